// /v1/shops/{shop}/providers/{provider}/setup…: how far it is, and what a merchant does.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Provider } from '../../contract.ts'
import { GatewayError } from '../../errors.ts'
import type { Queue, Shops, ShopState } from '../shops.ts'
import { byGroup, type Waiting } from '../waiting.ts'
import type { Activity } from './activity.ts'
import type { Act, Setup } from './setup.ts'
import { pathOf, setupView } from './view.ts'

export interface SetupRoutesOptions {
  setup: Setup
  shops: Shops
  providers: ReadonlyMap<string, Provider>
  channels: readonly string[]
  caller (request: FastifyRequest): { id: string, mayUse (shop: string): boolean }
  /** How much waits in queues, in the order given. */
  waiting (queues: readonly Queue[]): Promise<Waiting[]>
  activity (state: ShopState, provider: Provider): Promise<Activity | null>
  /** There is no room for what a step writes. */
  isFull (): boolean
}

interface At { shop: string, provider: string, step: string, action: string }
interface Body { return_url?: string, subject?: string, secrets?: Record<string, string>, input?: Record<string, string>, value?: string, phone?: string }

const text = (maxLength: number) => ({ type: 'string', minLength: 1, maxLength }) as const
const BODY = {
  type: 'object',
  nullable: true,
  additionalProperties: false,
  properties: {
    subject: text(100),
    secrets: { type: 'object', maxProperties: 20, additionalProperties: text(4096) },
    input: { type: 'object', maxProperties: 20, additionalProperties: text(500) },
    value: text(200),
    return_url: text(1000),
    phone: { type: 'string', pattern: '^\\+[1-9][0-9]{6,14}$' }
  }
} as const
const RESET_BODY = { type: 'object', nullable: true, additionalProperties: false, properties: { setup_group: text(100) } } as const

export function setupRoutes (app: FastifyInstance, options: SetupRoutesOptions): void {
  const { setup, caller } = options
  const path = '/v1/shops/:shop/providers/:provider/setup'

  app.get<{ Params: At }>(path, { config: { scope: 'shops:read' } }, async request => await view(request, options))

  // 200 with how it stands then; 202 where the provider's answer is still awaited: look at it again.
  app.post<{ Params: At, Body: Body | null }>(`${path}/:step/:action`, { config: { scope: 'shops:write' }, schema: { body: BODY } }, async (request, reply) => {
    const { state, provider } = await load(request, options)
    const { subject = '', return_url: returnUrl = null, ...body } = request.body ?? {}
    const { step, action } = request.params
    if (options.isFull()) throw new GatewayError('GW_DISK_FULL', 'The disk of the store is nearly full.')
    const act: Act = { shop: state.shop.id, provider, step, action, subject, body, actor: caller(request).id }
    if (action === 'connect' && provider.setup.some(({ id, kind }) => id === step && kind === 'oauth2')) {
      const { url, expiresAt } = await setup.authorize(act, returnUrl === null ? null : returnable(returnUrl))
      return await reply.send({ ...await view(request, options), authorize: { url, expires_at: new Date(expiresAt).toISOString() } })
    }
    const ended = await setup.act(act)
    if (!ended) void reply.header('location', pathOf(state, provider))
    return reply.code(ended ? 200 : 202).send(await view(request, options))
  })

  app.post<{ Params: At, Body: { setup_group?: string } | null }>(`${path}/reset`, { config: { scope: 'shops:write' }, schema: { body: RESET_BODY } }, async request => {
    const { state, provider } = await load(request, options)
    const group = request.body?.setup_group ?? null
    const { facts } = await setup.standings(state, provider)
    if (group !== null && !facts.groups.has(group)) throw new GatewayError('GW_REQUEST_INVALID', 'The request does not fit.', { details: [{ path: '/setup_group', rule: 'enum', message: `one of ${[...facts.groups.keys()].join(', ')}` }] })
    await setup.reset(state.shop.id, provider, group, caller(request).id)
    return await view(request, options)
  })
}

/** A page of the merchant's app. */
function returnable (text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  const isLoopback = url !== null && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  if (url !== null && url.username === '' && url.password === '' && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback))) return url.href
  throw new GatewayError('GW_REQUEST_INVALID', 'The request does not fit.', { details: [{ path: '/return_url', rule: 'format', message: 'an https:// address, or http:// on a loopback address' }] })
}

async function load (request: FastifyRequest<{ Params: At }>, { shops, providers, caller }: SetupRoutesOptions): Promise<{ state: ShopState, provider: Provider }> {
  const { shop, provider: id } = request.params
  const state = caller(request).mayUse(shop) ? await shops.get(shop) : null
  if (!state) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
  const provider = providers.get(id)
  if (!provider) throw new GatewayError('GW_NOT_FOUND', `No provider is called "${id}"; there are ${[...providers.keys()].join(', ')}.`)
  return { state, provider }
}

async function view (request: FastifyRequest<{ Params: At }>, options: SetupRoutesOptions): Promise<object> {
  const { state, provider } = await load(request, options)
  const { setup, shops, channels, waiting, activity } = options
  const queues = [...state.queues.values()].filter(queue => queue.provider === provider.id)
  return setupView(await setup.standings(state, provider), provider, {
    active: channels.filter(channel => provider.channels.includes(channel) && shops.providerOf(state, channel) === provider.id),
    refusal: shops.refusal(state.shop, provider),
    notPossible: setup.notPossible(provider),
    waiting: byGroup(queues, await waiting(queues)),
    activity: await activity(state, provider)
  })
}
