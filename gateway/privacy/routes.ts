// /v1/shops/{shop}/privacy…: what was asked to be done with people's data, what was gathered, and erasing somebody once more.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Row, Store } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { redactSteps, type AskTools } from './ask.ts'
import { documentOf } from './gather.ts'

/** What was gathered is kept for so long. */
export const DOCUMENT_KEPT_MS = 30 * 24 * 3_600_000

export interface PrivacyRoutesOptions extends AskTools {
  store: Store
  caller (request: FastifyRequest): { id: string, mayUse (shop: string): boolean }
  /** There is a job: no reason to wait for the next look. */
  look (): void
}

const text = (maxLength: number) => ({ type: 'string', minLength: 1, maxLength }) as const
const REDACTION = {
  body: {
    type: 'object',
    additionalProperties: false,
    required: ['customer'],
    properties: {
      customer: { type: 'object', additionalProperties: false, minProperties: 1, properties: { id: text(100), email: text(254), phone: text(40), country: { type: 'string', pattern: '^[A-Z]{2}$' } } },
      orders: { type: 'array', maxItems: 1000, items: text(100) }
    }
  }
} as const
const LIST = { querystring: { type: 'object', additionalProperties: false, properties: { limit: { type: 'integer', minimum: 1, maximum: 200, default: 50 }, before: { type: 'string', maxLength: 60 } } } } as const
const BY_ID = { params: { type: 'object', properties: { id: { type: 'string', maxLength: 60 } } } } as const

interface At { shop: string }
interface Redaction { customer: { id?: string, email?: string, phone?: string, country?: string }, orders?: string[] }

/** After the id of any, however a database compares texts. */
const LAST = 'prw'

export function privacyRoutes (app: FastifyInstance, options: PrivacyRoutesOptions): void {
  const { store, runtime, vault } = options

  app.get<{ Params: At, Querystring: { limit: number, before?: string } }>('/v1/shops/:shop/privacy/requests', { config: { scope: 'deliveries:read' }, schema: LIST }, async request => {
    const { limit, before = LAST } = request.query
    const { key } = await shopOf(request, options)
    const rows = await store.read('list_privacy', { shop_key: key, before_id: before, limit })
    return { items: rows.map(viewOf), next_before: rows.length === limit ? rows.at(-1)?.id : null }
  })

  // Who looks at what was gathered about somebody is on record before they see it.
  app.get<{ Params: At & { id: string } }>('/v1/shops/:shop/privacy/requests/:id', { config: { scope: 'deliveries:read' }, schema: BY_ID }, async request => {
    const { id } = request.params
    const shop = await shopOf(request, options)
    const [row] = await store.read('privacy_by_id', { id, shop_key: shop.key })
    if (!row) throw new GatewayError('GW_NOT_FOUND', 'No request has this id.')
    if (row.kind !== 'export' || row.done_at === null) return { ...viewOf(row), document: null }
    await store.commit([{ name: 'audit', params: { at: runtime.now(), actor: options.caller(request).id, action: 'privacy.read', shop: shop.id, subject: id } }])
    const parts = await store.read('parts', { id })
    const isGone = parts.length === 0 && gathered(row) > 0
    return { ...viewOf(row), document: isGone ? null : documentOf(shop.id, id, parts, vault) }
  })

  app.post<{ Params: At, Body: Redaction }>('/v1/shops/:shop/privacy/redactions', { config: { scope: 'shops:write' }, schema: REDACTION }, async (request, reply) => {
    const { customer, orders = [] } = request.body
    const shop = await shopOf(request, options)
    const asked = { shop, at: runtime.now(), eventKey: null, actor: options.caller(request).id }
    const { id, steps } = redactSteps({ customer, orders }, asked, options)
    await store.commit(steps)
    store.tell({ jobs: true })
    options.look()
    const [row] = await store.read('privacy_by_id', { id, shop_key: shop.key })
    return reply.code(202).send(viewOf(row as Row))
  })
}

/** Also one that was erased: what was asked stays known. */
async function shopOf (request: FastifyRequest<{ Params: At }>, { caller, store }: PrivacyRoutesOptions): Promise<{ key: number, id: string }> {
  const id = request.params.shop
  const [row] = caller(request).mayUse(id) ? await store.read('shop', { id }) : []
  if (!row) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
  return { key: row.shop_key as number, id }
}

const KINDS: Record<string, string> = { redact: 'redaction', export: 'data_request', forget: 'shop_redaction' }

/** Nothing of it names a person. */
function viewOf (row: Row): object {
  const { id, kind, at, done_at: doneAt, gathered_at: gatheredAt } = row
  return {
    id,
    kind: KINDS[kind as string],
    state: doneAt === null ? 'open' : 'done',
    asked_at: iso(at),
    done_at: iso(doneAt),
    found: JSON.parse(String(row.found)) as unknown,
    ...(kind === 'export' && { expires_at: gatheredAt === null ? null : iso(Number(gatheredAt) + DOCUMENT_KEPT_MS) })
  }
}

function gathered (row: Row): number {
  return Object.values(JSON.parse(String(row.found)) as Record<string, number>).reduce((sum, n) => sum + n, 0)
}

function iso (ms: unknown): string | null { return typeof ms === 'number' ? new Date(ms).toISOString() : null }
