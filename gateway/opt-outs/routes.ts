// GET PUT /v1/shops/{shop}/opt-outs and POST …/lift: whether a customer wants no more messages, that they want none, and that they
// want them again. No phone number is kept: a keyed hash stands for it.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Row, Runtime, Scope, Store } from '../contract.ts'
import { GatewayError } from '../errors.ts'

export interface OptOutRoutesOptions {
  store: Store
  runtime: Pick<Runtime, 'now'>
  caller (request: FastifyRequest): { id: string, scopes: readonly Scope[], mayUse (shop: string): boolean }
  /** Key of a shop; null where there is none. */
  shopKey (id: string): Promise<number | null>
  person (phone: string): Uint8Array
}

const PHONE = { type: 'string', pattern: '^\\+[1-9][0-9]{6,14}$' } as const
const REASON = { type: 'string', minLength: 1, maxLength: 500, pattern: '\\S' } as const
const GET = { querystring: { type: 'object', additionalProperties: false, properties: { phone: PHONE } } } as const
const PUT = { body: { type: 'object', additionalProperties: false, required: ['phone'], properties: { phone: PHONE, reason: REASON } } } as const
const LIFT = { body: { type: 'object', additionalProperties: false, required: ['phone', 'reason'], properties: { phone: PHONE, reason: REASON } } } as const

interface At { shop: string }
interface Said { phone: string, reason?: string }

export function optOutRoutes (app: FastifyInstance, options: OptOutRoutesOptions): void {
  app.get<{ Params: At, Querystring: { phone?: string } }>('/v1/shops/:shop/opt-outs', { config: { scope: 'shops:read' }, schema: GET }, async request =>
    await view(await place(request, request.query.phone, options), options))

  app.put<{ Params: At, Body: Said }>('/v1/shops/:shop/opt-outs', { config: { scope: 'shops:write' }, schema: PUT }, async request =>
    await written('opt_out_shop', request, options))

  app.post<{ Params: At, Body: Said }>('/v1/shops/:shop/opt-outs/lift', { config: { scope: 'shops:write' }, schema: LIFT }, async request =>
    await written('lift_shop', request, options))
}

interface Place { shop: string, shopKey: number, person: Uint8Array }

async function written (name: 'opt_out_shop' | 'lift_shop', request: FastifyRequest<{ Params: At, Body: Said }>, options: OptOutRoutesOptions): Promise<object> {
  const { phone, reason = null } = request.body
  const at = options.runtime.now()
  const found = await place(request, phone, options)
  const { shop, shopKey, person } = found
  await options.store.commit([
    { name, params: { person, shop_key: shopKey, at, via: 'api', reason, ...(name === 'opt_out_shop' && { by_account_key: null }) } },
    { name: 'audit_opt_out', params: { at, actor: options.caller(request).id, action: name === 'lift_shop' ? 'opt_out.lift' : 'opt_out.put', shop, subject: Buffer.from(person).toString('hex'), reason } }
  ])
  return await view(found, options)
}

/** Nobody is told whether a phone number is known who may not see the customers' messages. */
async function place (request: FastifyRequest<{ Params: At }>, phone: string | undefined, { caller, shopKey: find, person }: OptOutRoutesOptions): Promise<Place> {
  const { shop } = request.params
  const { scopes, mayUse } = caller(request)
  if (!scopes.includes('deliveries:read')) throw new GatewayError('GW_FORBIDDEN', 'This API key lacks the scope "deliveries:read", which asking for a customer needs.')
  const shopKey = mayUse(shop) ? await find(shop) : null
  if (shopKey === null) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
  if (phone === undefined) throw new GatewayError('GW_REQUEST_INVALID', 'Which customer is not said.', { details: [{ path: '/phone', rule: 'required', message: 'must be there, as E.164' }] })
  return { shop, shopKey, person: person(phone) }
}

async function view ({ shop, shopKey, person }: Place, { store }: OptOutRoutesOptions): Promise<object> {
  const rows = await store.read('opt_outs_seen', { shop_key: shopKey, person })
  return { shop, opted_out: rows.some(row => row.lifted_at === null), items: rows.map(itemOf) }
}

/** `scope: account`: said to a sender that shops share; a shop cannot lift that, the customer can. */
function itemOf (row: Row): object {
  return {
    scope: row.scope, opted_out: row.lifted_at === null, provider: row.provider, at: time(row.at), via: row.via, reason: row.reason,
    lifted_at: time(row.lifted_at), lifted_via: row.lifted_via, lift_reason: row.lift_reason
  }
}

function time (ms: unknown): string | null { return typeof ms === 'number' ? new Date(ms).toISOString() : null }
