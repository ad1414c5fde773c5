// POST /webhooks/shopify: whose it is, then on disk, then 200. What follows from it is worked on later, since Shopify
// waits five seconds, and sends again what got anything but 2xx: only a wrong signature or header is refused.

import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { WEBHOOK_CAP_BYTES, type InboundContext, type SourceContext } from '../../gateway/define.ts'
import { keptAs, keysOf } from './keys.ts'
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

/** What the routes need of what they are given. */
export type WebhookContext = Pick<InboundContext & SourceContext, 'id' | 'options' | 'secrets' | 'receive' | 'read' | 'warn'>

type Named = Record<typeof REQUIRED[number], string>

export function webhook (app: FastifyInstance, context: WebhookContext): void {
  const versions = new Set([String(context.options['api_version'])])
  app.post('/', (request, reply) => received(request, reply, context, versions))
}

async function received (request: FastifyRequest, reply: FastifyReply, context: WebhookContext, versions: Set<string>): Promise<FastifyReply> {
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
  const legible = isUtf8(body) && !body.includes(0)
  const text = body.length > WEBHOOK_CAP_BYTES ? null : body.toString('utf8').replaceAll('\0', '\ufffd')
  const { subject, keys, bytes } = keysOf({ topic: topic.toLowerCase(), shop, headers, body, text: legible ? text : null })
  const result = await context.receive({ keys, topic, shop, subject, headers: { ...headers, ...(!legible && { illegible: 'not UTF-8' }) }, body: text })
  if (result === 'repeat') await alarmOf(bytes, { topic, shop, webhook: id }, context)
  return reply.code(200).send({ status: result === 'new' ? 'received' : 'repeat' })
}

/** The app signs other things with the same secret, such as a session's token: text of another's choice, but no object of JSON. */
function isForeign (body: Buffer): boolean {
  const first = body.findIndex(byte => ![0x20, 0x09, 0x0a, 0x0d].includes(byte))
  return body.length > 0 && body[first] !== 0x7b
}

/** Without the prefix, and only those that are kept. */
function headersOf ({ headers }: FastifyRequest, family: string): Record<string, string> {
  return Object.fromEntries(KEPT.flatMap(name => {
    const value = headers[family + name]
    return typeof value === 'string' ? [[name, value]] : []
  }))
}

/** The first of two bodies stays. That there were two is a fault of somebody's, or an attack. */
async function alarmOf (bytes: readonly string[], about: object, { id, read, warn }: WebhookContext): Promise<void> {
  const same = await read('shopify_came', { source: id, keys: JSON.stringify(bytes.map(keptAs)) }).catch(() => [{}])
  if (same.length === 0) warn(about, 'another body came under an id that was used before: the first one stays')
}

/** Once per version: the first sign that the subscriptions ask for one that is out of support. */
function warnOf (version: string, shop: string, { options, warn }: WebhookContext, versions: Set<string>): void {
  if (versions.has(version) || versions.size > VERSIONS_MAX) return
  versions.add(version)
  warn({ shop, version: version.slice(0, 50), expected: options['api_version'] }, 'webhooks come in another API version than expected: look at the subscriptions, and at sources.shopify.options.api_version')
}

function refuse (reply: FastifyReply, code: number, message: string): FastifyReply {
  return reply.code(code).send({ error: { message } })
}
