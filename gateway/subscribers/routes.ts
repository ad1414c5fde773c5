// GET …/subscribers and POST …/subscribers/check: how the customers of a shop stand on its provider's list.

import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Provider, Row, Runtime, Scope, Step, Store } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { sentence, type Reason } from '../reasons.ts'
import { noticed, noticeId, type Sealing } from './notices.ts'
import { STANDINGS, type StandingName } from './standing.ts'

const CHECKED_WITHIN_MS = 10_000
const LOOK_MS = 50
/** In the audit table. */
export const CHECK_ACTION = 'subscriber.check'

export interface SubscriberRoutesOptions {
  store: Store
  runtime: Runtime
  vault: Sealing
  providers: ReadonlyMap<string, Provider>
  caller (request: FastifyRequest): { id: string, scopes: readonly Scope[], mayUse (shop: string): boolean }
  /** A shop and the account that it is connected to, null where it is not; null where there is no such shop. */
  shop (id: string, provider: string): Promise<{ key: number, accountKey: number | null } | null>
  /** Throws GW_TOO_OFTEN where the shop had customers checked five times within a minute. */
  limited (shop: string): Promise<void>
  person (phone: string): Uint8Array
  cursors: { seal (position: string, bound: string): string, open (cursor: string, bound: string): string }
  /** There is a job: no reason to wait for the next look. */
  look (): void
}

const PHONE = { type: 'string', pattern: '^\\+[1-9][0-9]{6,14}$' } as const
const LIST = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: { state: { enum: STANDINGS }, phone: PHONE, limit: { type: 'integer', minimum: 1, maximum: 200, default: 50 }, cursor: { type: 'string', maxLength: 200 } }
  }
} as const
const CHECK = { body: { type: 'object', additionalProperties: false, required: ['phone'], properties: { phone: PHONE } } } as const

interface At { shop: string, provider: string }
interface Query { state?: StandingName, phone?: string, limit: number, cursor?: string }
interface Place { shopKey: number, accountKey: number, provider: Provider }

export function subscriberRoutes (app: FastifyInstance, options: SubscriberRoutesOptions): void {
  app.get<{ Params: At, Querystring: Query }>('/v1/shops/:shop/providers/:provider/subscribers', { config: { scope: 'shops:read' }, schema: LIST }, async request => {
    const place = await placeOf(request, options)
    const { rows, next } = await found(request, place, options)
    const counts = await options.store.read('count_subscribers', { account_key: place.accountKey })
    return {
      shop: request.params.shop,
      provider: place.provider.id,
      counts: Object.fromEntries(STANDINGS.map(state => [state, Number(counts.find(({ standing }) => standing === state)?.people ?? 0)])),
      items: rows.map(row => viewOf(row, place.provider)),
      next_cursor: next
    }
  })

  app.post<{ Params: At, Body: { phone: string } }>('/v1/shops/:shop/providers/:provider/subscribers/check', { config: { scope: 'shops:write' }, schema: CHECK }, async (request, reply) => {
    readsPeople(request, options)
    const place = await placeOf(request, options)
    const { phone } = request.body
    await options.limited(request.params.shop)
    const notice = { accountKey: place.accountKey, phone, ref: null, state: null, at: options.runtime.now() }
    await options.store.commit([...noticed(notice, options), audit(request, options)])
    options.store.tell({ jobs: true })
    options.look()
    return await answered(noticeId(notice, options.vault), { phone, place, reply, at: request.params }, options)
  })
}

async function answered (id: string, { phone, place, reply, at }: { phone: string, place: Place, reply: FastifyReply, at: At }, { store, runtime, person }: SubscriberRoutesOptions): Promise<object> {
  const until = runtime.mono() + CHECKED_WITHIN_MS
  let waits = true
  while (waits && runtime.mono() < until) {
    await wait(LOOK_MS)
    waits = (await store.read('notice', { id })).length > 0
  }
  const [row] = await store.read('subscriber', { account_key: place.accountKey, person: person(phone) })
  if (waits) reply.code(202).header('location', `/v1/shops/${at.shop}/providers/${at.provider}/subscribers?phone=${encodeURIComponent(phone)}`)
  return row === undefined ? { state: null } : viewOf({ ...row, delivery: null }, place.provider)
}

/** A shop sees the account that it is connected to. */
async function placeOf (request: FastifyRequest<{ Params: At }>, { caller, providers, shop: find }: SubscriberRoutesOptions): Promise<Place> {
  const { shop: id, provider: name } = request.params
  const provider = providers.get(name)
  const shop = caller(request).mayUse(id) ? await find(id, name) : null
  if (shop === null) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
  if (!provider) throw new GatewayError('GW_NOT_FOUND', `No provider is called "${name}"; there are ${[...providers.keys()].join(', ')}.`)
  if (!provider.subscribers) throw new GatewayError('GW_NOT_FOUND', `${provider.title} has no list of subscribers that messages depend on.`)
  if (shop.accountKey === null) throw new GatewayError('GW_NOT_FOUND', `${id} has no connection to ${provider.title}.`)
  return { shopKey: shop.key, accountKey: shop.accountKey, provider }
}

async function found (request: FastifyRequest<{ Params: At, Querystring: Query }>, { shopKey, accountKey }: Place, options: SubscriberRoutesOptions): Promise<{ rows: Row[], next: string | null }> {
  const { state, phone, limit, cursor } = request.query
  const { store, cursors } = options
  if (phone !== undefined) {
    readsPeople(request, options)
    const rows = await store.read('subscriber', { account_key: accountKey, person: options.person(phone) })
    return { rows: rows.filter(({ standing }) => standing !== 'unknown' && (state === undefined || standing === state)).map(row => ({ ...row, delivery: null })), next: null }
  }
  const bound = `subscribers ${options.caller(request).id} ${request.params.shop} ${accountKey} ${state ?? ''}`
  const after = cursor === undefined ? new Uint8Array(0) : Buffer.from(cursors.open(cursor, bound), 'hex')
  const params = { account_key: accountKey, shop_key: shopKey, after_person: after, limit }
  const rows = state === undefined ? await store.read('list_subscribers', params) : await store.read('list_subscribers_so', { ...params, standing: state })
  const last = rows.length === limit ? rows.at(-1) : undefined
  return { rows, next: last === undefined ? null : cursors.seal(Buffer.from(last.person as Uint8Array).toString('hex'), bound) }
}

/** Nobody is told whether a phone number is known who may not see the customers' messages. */
function readsPeople (request: FastifyRequest, { caller }: SubscriberRoutesOptions): void {
  if (!caller(request).scopes.includes('deliveries:read')) throw new GatewayError('GW_FORBIDDEN', 'This API key lacks the scope "deliveries:read", which asking for a customer needs.')
}

function audit (request: FastifyRequest<{ Params: At }>, { runtime, caller }: SubscriberRoutesOptions): Step {
  return { name: 'audit', params: { at: runtime.now(), actor: caller(request).id, action: CHECK_ACTION, shop: request.params.shop, subject: request.params.provider } }
}

/** Who it is, is told by the delivery alone. */
function viewOf (row: Row, { title }: Provider): object {
  const refused = row.refused as Reason | null
  return {
    state: row.standing === 'unknown' ? null : row.standing,
    since: time(row.since),
    asked_at: time(row.asked_at),
    checked_at: time(row.checked_at),
    reason: refused,
    sentence: refused && sentence(refused, title),
    delivery: row.delivery
  }
}

function time (ms: unknown): string | null { return typeof ms === 'number' ? new Date(ms).toISOString() : null }
