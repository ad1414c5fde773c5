// POST /webhooks/shopify: whose it is, then on disk, then 200. What follows from it is worked on later, since Shopify
// waits five seconds, and sends again what got anything but 2xx: only a wrong signature or header is refused.

import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { WEBHOOK_CAP_BYTES, type InboundContext } from '../../gateway/define.ts'
import { idOf, isObject, parseJson, shopOf } from './body.ts'
import { isSigned } from './verify.ts'

/** The headers of webhooks, and of the newer deliveries called Events, which count where both are there. */
const FAMILIES = ['shopify-', 'x-shopify-'] as const
const REQUIRED = ['topic', 'shop-domain', 'api-version', 'webhook-id'] as const
/** Kept with the row; the signature is not. */
const KEPT = [...REQUIRED, 'event-id', 'triggered-at', 'name', 'handle', 'action', 'resource-id']
/** orders/create, customer.tags_added, Product: words, never a path. */
const TOPIC = /^(?=.{1,100}$)[a-z0-9_]+(?:[./][a-z0-9_]+){0,3}$/i
const SHOP = /^(?=.{1,253}$)[a-z0-9-]+(?:\.[a-z0-9-]+)+$/
const ID_CHARS = 200
/** Versions that are warned of, so that nobody fills the log with them. */
const VERSIONS_MAX = 20

type Named = Record<typeof REQUIRED[number], string>

export function webhook (app: FastifyInstance, context: InboundContext): void {
  const versions = new Set([String(context.options['api_version'])])
  app.post('/', (request, reply) => received(request, reply, context, versions))
}

async function received (request: FastifyRequest, reply: FastifyReply, context: InboundContext, versions: Set<string>): Promise<FastifyReply> {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const family = FAMILIES.find(prefix => request.headers[`${prefix}hmac-sha256`] !== undefined) ?? 'x-shopify-'
  const signed = isSigned(request.headers[`${family}hmac-sha256`], context.secrets['client_secret'] ?? [], body)
  if (!signed || isForeign(body)) return refuse(reply, 401, 'The signature is missing or wrong.')
  const headers = headersOf(request, family)
  const missing = REQUIRED.filter(name => (headers[name] ?? '') === '')
  if (missing.length > 0) return refuse(reply, 400, `Missing: ${missing.map(name => family + name).join(', ')}.`)
  const { topic, 'shop-domain': domain, 'api-version': version, 'webhook-id': id } = headers as Named
  const shop = domain.toLowerCase()
  if (!TOPIC.test(topic)) return refuse(reply, 400, `${family}topic is no topic, such as orders/create.`)
  if (!SHOP.test(shop)) return refuse(reply, 400, `${family}shop-domain is no domain.`)
  if (id.length > ID_CHARS) return refuse(reply, 400, `${family}webhook-id has more than ${ID_CHARS} characters.`)
  if (body.length === 0) return refuse(reply, 400, 'The body is empty.')
  warnOf(version, shop, context, versions)
  const text = body.length > WEBHOOK_CAP_BYTES ? null : body.toString('utf8')
  const order = text === null || !topic.toLowerCase().startsWith('orders/') ? null : orderOf(text, shop)
  const keys = keysOf(topic.toLowerCase(), shop, id, body, order)
  const result = await context.receive({ keys, topic, shop, subject: order?.id ?? null, headers, body: text })
  return reply.code(200).send({ status: result === 'new' ? 'received' : 'repeat' })
}

/** The app signs other things with the same secret, such as a session's token: text of another's choice, but no object of JSON. */
function isForeign (body: Buffer): boolean {
  const first = body.findIndex(byte => ![0x20, 0x09, 0x0a, 0x0d].includes(byte))
  return body.length > 0 && body[first] !== 0x7b
}

interface OrderId { id: string, ours: boolean }

/** Which order a body is about; null where it does not say. `ours`: nothing in it names another shop than the header. */
function orderOf (text: string, shop: string): OrderId | null {
  const body = parseJson(text)
  const id = isObject(body) ? idOf(body, 'Order') : null
  return id === null || !isObject(body) ? null : { id: `gid://shopify/Order/${id}`, ours: (shopOf(body) ?? shop) === shop }
}

/** Without the prefix, and only those that are kept. */
function headersOf ({ headers }: FastifyRequest, family: string): Record<string, string> {
  return Object.fromEntries(KEPT.flatMap(name => {
    const value = headers[family + name]
    return typeof value === 'string' ? [[name, value]] : []
  }))
}

/**
 * The signature covers the body alone: whoever saw an order once could send it again under other headers. So an order is
 * known by its bytes too. Other topics may truly say the same twice, such as a stock level that comes back.
 * And an order is made once: the body of a later change of it, seen elsewhere, is no second one, whatever the headers say.
 * A body that names another shop than its header is parked, so it must not take the place of the true one.
 */
function keysOf (topic: string, shop: string, id: string, body: Buffer, order: OrderId | null): string[] {
  const delivery = `webhook ${shop} ${id}`
  if (!topic.startsWith('orders/')) return [delivery]
  const bytes = `body ${topic} ${createHash('sha256').update(body).digest('base64url')}`
  return topic === 'orders/create' && order?.ours ? [delivery, bytes, `order ${order.id}`] : [delivery, bytes]
}

/** Once per version: the first sign that the subscriptions ask for one that is out of support. */
function warnOf (version: string, shop: string, { options, warn }: InboundContext, versions: Set<string>): void {
  if (versions.has(version) || versions.size > VERSIONS_MAX) return
  versions.add(version)
  warn({ shop, version: version.slice(0, 50), expected: options['api_version'] }, 'webhooks come in another API version than expected: look at the subscriptions, and at sources.shopify.options.api_version')
}

function refuse (reply: FastifyReply, code: number, message: string): FastifyReply {
  return reply.code(code).send({ error: { message } })
}
