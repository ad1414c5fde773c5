// GET /v1/shops/{shop}/diagnosis: what is wrong, how certain that is, and what to do about it.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Scope } from '../../contract.ts'
import { GatewayError } from '../../errors.ts'
import { causes } from './causes.ts'
import { factsFor, type FactsOptions } from './facts.ts'
import type { FoundCause } from './found.ts'

export interface DiagnosisRoutesOptions extends FactsOptions {
  /** Channels that messages are sent on; the first is meant where none is named. */
  channels: readonly string[]
  caller (request: FastifyRequest): { scopes: readonly Scope[], mayUse (shop: string): boolean }
}

const QUERY = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: { channel: { type: 'string', maxLength: 100 }, person: { type: 'string', pattern: '^\\+[1-9][0-9]{6,14}$' } }
  }
} as const

interface Asked { Params: { shop: string }, Querystring: { channel?: string, person?: string } }

export function diagnosisRoutes (app: FastifyInstance, options: DiagnosisRoutesOptions): void {
  app.get<Asked>('/v1/shops/:shop/diagnosis', { config: { scope: 'shops:read' }, schema: QUERY }, async request => {
    const { shop } = request.params
    const { channel = options.channels[0] ?? '', person = null } = request.query
    const { scopes, mayUse } = options.caller(request)
    if (person !== null && !scopes.includes('deliveries:read')) throw new GatewayError('GW_FORBIDDEN', 'This API key lacks the scope "deliveries:read", which a customer\'s deliveries need.')
    const state = mayUse(shop) ? await options.shops.get(shop) : null
    if (!state) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
    if (!options.channels.includes(channel)) throw new GatewayError('GW_NOT_FOUND', `Nothing is sent on a channel called "${channel}"; there are ${options.channels.join(', ')}.`)
    const facts = await factsFor(state, channel, person, options)
    const found = causes(facts)
    return { shop, channel, provider: facts.chosen, healthy: !found.some(({ certain }) => certain), causes: found.map(causeView) }
  })
}

function causeView ({ since, ...cause }: FoundCause): object {
  return { ...cause, ...(since !== undefined && { since: new Date(since).toISOString() }) }
}
