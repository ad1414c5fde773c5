// GET /v1/deliveries…, POST /v1/deliveries/{id}/retry and …/send-again: where is it, why, try it again, send it again.

import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Config, Row, Runtime, Store, Value } from '../contract.ts'
import { STATE } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { checkRetry, familyOf, firstKeyOf, MODES, possibilities, sendAgain, type AgainProvider, type Wish } from './again.ts'
import { sentence } from '../reasons.ts'
import { detailsOf, viewOf } from './view.ts'

/** Rows looked at for one page: bounds how long a filter that fits nothing may search. */
const SLICE = 5000
const SLICES = 20

export interface DeliveryRoutesOptions {
  store: Store
  runtime: Runtime
  config: Config
  caller (request: FastifyRequest): { id: string, shops: readonly string[] | '*', mayUse (shop: string): boolean }
  titleOf (provider: string): string
  providerOf (id: string): AgainProvider | undefined
  person (phone: string): Uint8Array
  /** Whether the provider is known to have kept a message from its person, that it took at `finishedAt`. */
  keptBack (provider: string, at: { accountKey: number, person: Uint8Array }, finishedAt: number): Promise<boolean>
  /** Signs cursors, bound to who asked for what. */
  cursors: { seal (position: string, bound: string): string, open (cursor: string, bound: string): string }
  wake (accountKey: number): void
}

const STATES = [...Object.keys(STATE), 'held']

const LIST = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: {
      shop: { type: 'string', maxLength: 100 },
      state: { enum: STATES },
      type: { type: 'string', maxLength: 200 },
      provider: { type: 'string', maxLength: 100 },
      event_id: { type: 'string', maxLength: 100 },
      source_id: { type: 'string', maxLength: 200 },
      phone: { type: 'string', pattern: '^\\+[1-9][0-9]{6,14}$' },
      view: { enum: ['short', 'full'], default: 'short' },
      limit: { type: 'integer', minimum: 1, maximum: 200, default: 50 },
      cursor: { type: 'string', maxLength: 100 }
    }
  }
} as const

interface ListQuery { shop?: string, state?: string, type?: string, provider?: string, event_id?: string, source_id?: string, phone?: string, view: 'short' | 'full', limit: number, cursor?: string }

interface RetryBody { may_have_been_sent?: boolean, expired?: boolean }
const RETRY_BODY = {
  anyOf: [{ type: 'null' }, { type: 'object', additionalProperties: false, properties: { may_have_been_sent: { type: 'boolean' }, expired: { type: 'boolean' } } }]
} as const

const AGAIN_BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['mode', 'reason'],
  properties: {
    mode: { enum: MODES },
    may_have_been_sent: { type: 'boolean' },
    expired: { type: 'boolean' },
    reason: { type: 'string', minLength: 1, maxLength: 500, pattern: '\\S' }
  }
} as const

const BY_ID = { params: { type: 'object', properties: { id: { type: 'string', maxLength: 60 } } } } as const

export function deliveryRoutes (app: FastifyInstance, options: DeliveryRoutesOptions): void {
  const { store, runtime, caller, titleOf } = options

  app.get<{ Querystring: ListQuery }>('/v1/deliveries', { config: { scope: 'deliveries:read' }, schema: LIST }, async request => {
    const { rows, next } = await search(request, options)
    const items = request.query.view === 'full' ? await Promise.all(rows.map(row => full(row.id as string, options))) : rows.map(row => viewOf(row, titleOf))
    return { items, next_cursor: next }
  })

  app.get<{ Params: { id: string } }>('/v1/deliveries/:id', { config: { scope: 'deliveries:read' }, schema: BY_ID }, async request => {
    const row = await find(store, request.params.id, caller(request))
    return await full(row.id as string, options)
  })

  // Only what certainly was not accepted, unless the caller says that a second text is acceptable.
  app.post<{ Params: { id: string }, Body: RetryBody | null }>('/v1/deliveries/:id/retry', { config: { scope: 'deliveries:write' }, schema: { ...BY_ID, body: RETRY_BODY } }, async (request, reply) => {
    const row = await find(store, request.params.id, caller(request))
    const { may_have_been_sent: unknown = false, expired = false } = request.body ?? {}
    const now = runtime.now()
    checkRetry(row, await familyOf(row, store), { unknown })
    const expiresAt = retryUntil(row, now, { unknown, expired }, options.config)
    const [queue] = await store.read('account_of_queue', { queue_key: row.queue_key as number })
    const accountKey = (queue?.account_key ?? null) as number | null
    const [, retried] = await store.commit([
      { name: 'lock_family', params: { first_key: firstKeyOf(row) } },
      { name: 'retry_delivery', params: { delivery_key: row.delivery_key as number, now, expires_at: expiresAt, unknown: unknown ? 1 : 0 } },
      { name: 'wake_queue', params: { queue_key: row.queue_key as number, account_key: accountKey, priority: row.priority as number } },
      { name: 'audit', params: { at: now, actor: caller(request).id, action: row.state === STATE.unknown ? 'delivery.retry_unknown' : 'delivery.retry', shop: row.shop as string, subject: row.id as string } }
    ])
    if (retried?.changes !== 1) throw notRetried()
    if (accountKey !== null) options.wake(accountKey)
    const fresh = await find(store, request.params.id, caller(request))
    return reply.code(202).send(viewOf(fresh, titleOf))
  })

  app.get<{ Params: { id: string } }>('/v1/deliveries/:id/send-again', { config: { scope: 'deliveries:read' }, schema: BY_ID }, async request =>
    await possibilities(await find(store, request.params.id, caller(request)), options))

  // Another delivery, which no provider takes for a repeat: each press is answered for.
  app.post<{ Params: { id: string }, Body: Wish }>('/v1/deliveries/:id/send-again', { config: { scope: 'deliveries:write' }, schema: { ...BY_ID, body: AGAIN_BODY } }, async (request, reply) => {
    const row = await find(store, request.params.id, caller(request))
    const { id, accountKey } = await sendAgain(row, request.body, caller(request).id, options)
    if (accountKey !== null) options.wake(accountKey)
    return reply.code(202).send(viewOf(await find(store, id, caller(request)), titleOf))
  })
}

/** Until when a retried delivery may be sent; throws GW_CONFLICT where it may not be retried, and says what would allow it. */
function retryUntil (row: Row, now: number, allowed: { unknown: boolean, expired: boolean }, config: Config): number {
  const type = config.eventTypes[row.type as string]
  if (row.redacted_at !== null || row.reason === 'redacted') throw new GatewayError('GW_CONFLICT', sentence('redacted', ''))
  if (row.data === null || !type) throw new GatewayError('GW_CONFLICT', 'The event\'s data is gone: its retention has ended.')
  if (row.owner !== null) throw notRetried()
  if (row.state === STATE.unknown && !allowed.unknown) throw new GatewayError('GW_CONFLICT', 'This one may have been sent. To send it all the same, and perhaps text the customer twice: {"may_have_been_sent": true}.')
  if (row.state !== STATE.unknown && !RETRIED.has(row.state as number)) throw notRetried()
  const stale = now >= (row.time_at as number) + type.expiresAfterMs
  if (stale && !allowed.expired) throw new GatewayError('GW_CONFLICT', 'The event is older than messages of its kind may get. To send it all the same: {"expired": true}.')
  return stale ? now + type.expiresAfterMs : row.expires_at as number
}

const RETRIED: ReadonlySet<number> = new Set([STATE.waiting, STATE.rejected, STATE.expired])

function notRetried (): GatewayError {
  return new GatewayError('GW_CONFLICT', 'Only a delivery that is waiting, unknown, rejected or expired can be tried again; this one was sent, or is on its way.')
}

async function full (id: string, options: DeliveryRoutesOptions): Promise<object> {
  const { store, titleOf } = options
  const [row] = await store.read('delivery_by_id', { id })
  return detailsOf({ ...row as Row, ...(await isKept(row as Row, options) && { reason: 'no_sms_consent' }) }, await store.read('calls_of_delivery', { delivery_key: row?.delivery_key as number }), titleOf)
}

/** A message that the provider took, and keeps from somebody who wants none, as far as that is known. */
async function isKept (row: Row, { keptBack }: DeliveryRoutesOptions): Promise<boolean> {
  const { state, reason, person, account_key: accountKey, account_provider: provider, finished_at: finishedAt } = row
  if (state !== STATE.delivered || reason !== null || row.record_only === 1 || person === null || accountKey === null || provider === null) return false
  return await keptBack(String(provider), { accountKey: accountKey as number, person: person as Uint8Array }, finishedAt as number)
}

async function find (store: Store, id: string, caller: { mayUse (shop: string): boolean }): Promise<Row> {
  const [row] = await store.read('delivery_by_id', { id })
  if (!row || !caller.mayUse(row.shop as string)) throw new GatewayError('GW_NOT_FOUND', 'No delivery has this id.')
  return row
}

async function search (request: FastifyRequest<{ Querystring: ListQuery }>, options: DeliveryRoutesOptions): Promise<{ rows: Row[], next: string | null }> {
  const { query } = request
  const { shops } = options.caller(request)
  const bound = `deliveries ${options.caller(request).id} ${query.shop ?? ''}`
  let before = query.cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(options.cursors.open(query.cursor, bound))
  const filters = {
    shop: query.shop ?? null,
    shops: shops === '*' ? null : JSON.stringify(shops),
    state: stateFilter(query.state),
    held: query.state === 'held' ? 1 : query.state === 'waiting' ? 0 : null,
    type: query.type ?? null,
    provider: query.provider ?? null,
    event_id: query.event_id ?? null,
    source_id: query.source_id ?? null,
    person: query.phone === undefined ? null : options.person(query.phone)
  }
  const found = await among(query, filters, before, options.store)
  if (found) return { rows: found, next: found.length === query.limit ? options.cursors.seal(String(found.at(-1)?.delivery_key), bound) : null }
  const rows: Row[] = []
  for (let slice = 0; slice < SLICES && rows.length < query.limit; slice++) {
    const [newest] = await options.store.read('newest_delivery_before', { before })
    if (newest?.delivery_key == null) return { rows, next: null }
    const floor = (newest.delivery_key as number) - SLICE
    rows.push(...await options.store.read('list_deliveries', { ...filters, before, floor, limit: query.limit - rows.length }))
    before = rows.length === query.limit ? rows.at(-1)?.delivery_key as number : floor
    await setImmediate() // others have their turn between two slices
  }
  return { rows, next: options.cursors.seal(String(before), bound) }
}

/** One person's, or those of one id of a shop, are found by index. */
async function among (query: ListQuery, filters: Record<string, Value>, before: number, store: Store): Promise<Row[] | null> {
  const params = { ...filters, before, limit: query.limit }
  if (query.phone !== undefined) return await store.read('list_of_person', params)
  if (query.source_id !== undefined && query.shop !== undefined) return await store.read('list_of_source_id', params)
  return null
}

function stateFilter (state: string | undefined): number | null {
  if (state === undefined) return null
  return state === 'held' ? STATE.waiting : STATE[state as keyof typeof STATE]
}
