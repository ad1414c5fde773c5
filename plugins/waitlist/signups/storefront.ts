// POST /webhooks/waitlist/{shop}/signups: signing up from a shop's own pages. Anybody can call it, so little is taken, and
// nothing told: the answer is the same whether somebody waits already or not.

import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { GatewayError } from '../../../gateway/errors.ts'
import type { Detail, SourceContext } from '../../../gateway/contract.ts'
import { counted, limitOf } from './limits.ts'
import { knownProduct, originsOf, settingsOf } from './settings.ts'
import { shapeOf } from './shape.ts'
import { signupOf } from './signup.ts'
import { take } from './take.ts'
import { admitted } from './tokens.ts'

const BODY_CAP_BYTES = 16 * 1024
const MINUTE_MS = 60_000
const PREFLIGHT_S = 600
const HEADER = 'x-storefront-token'
const JSON_TYPE = /^application\/json *(?:;|$)/i

export async function routes (app: FastifyInstance, context: SourceContext): Promise<void> {
  await app.register(cors, { delegator: async (request: FastifyRequest) => ({ origin: await allowed(request, context), methods: ['POST'], allowedHeaders: ['content-type', HEADER], exposedHeaders: ['retry-after'], maxAge: PREFLIGHT_S }) })
  await app.register(rateLimit, {
    global: false,
    errorResponseBuilder: (_request, { ttl }) => new GatewayError('GW_RATE_LIMITED', 'Too many requests of one address within a minute.', { retryAfterS: Math.ceil(ttl / 1000) })
  })
  const perAddress = { max: limitOf('address_per_minute', context.options), timeWindow: MINUTE_MS }
  app.post<{ Params: { shop: string } }>('/:shop/signups', { bodyLimit: BODY_CAP_BYTES, config: { rateLimit: perAddress } }, async (request, reply) => {
    const shop = await admitted(request.params.shop, request.headers[HEADER], context)
    const shape = shapeOf(bodyOf(request))
    if ('faults' in shape) throw refused(shape.faults)
    const [settings, known] = await Promise.all([settingsOf(shop.key, context), knownProduct(shop.key, shape.given.product.id, context)])
    const { customer, product, variant, consent: { sms, text }, market } = shape.given // times are the gateway's: a page says what is so now
    const signup = signupOf({ customer, product, variant, consent: { sms, ...(text !== undefined && { text }) }, ...(market !== undefined && { market }) }, { shop, settings, known, trusted: false, withoutConsent: false, now: context.now() })
    if ('faults' in signup) throw refused(signup.faults)
    await counted(signup.phone, shop, context)
    const taken = await take(signup, 'storefront', shop, context)
    if (taken.is === 'refused') throw refused([{ path: '', rule: 'event', message: taken.message }])
    return reply.code(202).send({ status: 'received' })
  })
}

/** Of a shop that does not exist nobody learns that. */
async function allowed (request: FastifyRequest, context: SourceContext): Promise<string[] | false> {
  const { shop: id, '*': rest = '' } = request.params as { shop?: string, '*'?: string }
  const shop = await context.shop(id ?? rest.split('/').find(part => part !== '') ?? '')
  return shop === null ? false : originsOf(shop, await settingsOf(shop.key, context))
}

/** Throws GW_MEDIA_TYPE, GW_JSON. */
function bodyOf ({ headers, body }: FastifyRequest): unknown {
  if (!JSON_TYPE.test(headers['content-type'] ?? '')) throw new GatewayError('GW_MEDIA_TYPE', 'A sign-up is application/json.')
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body as Buffer))
  } catch {
    throw new GatewayError('GW_JSON', 'The body is no JSON.')
  }
}

export function refused (details: Detail[]): GatewayError {
  return new GatewayError('GW_REQUEST_INVALID', details.some(({ rule }) => rule === 'no_consent') ? 'Without the customer\'s consent nobody is signed up.' : 'The sign-up cannot be taken; details say why.', { details })
}
