// A claimed delivery becomes a flight, with its request and its place in the windows, or ends without a call.

import type { Config, PreparedRequest, Provider, Row, Runtime, Step, Store } from '../contract.ts'
import { STATE } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import type { Reason } from '../reasons.ts'
import type { OpenConnection } from '../shops/connections.ts'
import type { Fresh } from '../shops/oauth/fresh.ts'
import type { Shops, ShopState } from '../shops/shops.ts'
import type { OpenAccount } from './account.ts'
import { check } from './checks.ts'
import { head, scopeOf, stored } from './flight.ts'
import type { Gate } from './gate.ts'

/** What the gateway itself lacks just now, and what a hook holds, is looked at again after this. */
const AGAIN_MS = 60_000
/** A time that has passed would be asked about again and again. */
const DEFERRED_AT_LEAST_MS = 1000

/** A delivery on its way, from the place in its windows to the settle. */
export interface Flight {
  row: Row
  state: ShopState
  /** Its settings are those the request was made with. */
  connection: OpenConnection
  request: PreparedRequest
  gate: Gate
  reservedAt: number
  /** It was refused for the account before, and the account took another message after that. */
  othersPass: boolean
  /** How often its account had been held when it was claimed. */
  holds: number
  /** Its credentials were refused, and others are there or on their way. */
  again?: boolean
}

/** The steps that put a delivery where it belongs without a call. */
export interface Ended { steps: Step[] }

export interface PrepareOptions {
  holds: number
  store: Store
  runtime: Runtime
  shops: Shops
  config: Config
  /** Renews credentials that end by themselves. */
  fresh?: Fresh | undefined
  lane (account: OpenAccount, provider: Provider, group: string): Promise<Gate>
  onRefused (delivery: { delivery: string, type: string, provider: string, reason: string }): void
  onError (error: unknown): void
}

/** Never throws: a bug in a provider's code or mapping sets its delivery aside, visibly. */
export async function prepare (claimed: Row, account: OpenAccount, provider: Provider, options: PrepareOptions): Promise<Flight | Ended> {
  // What an answer asked for is the business of the provider that gave it.
  const row = claimed.adjusted === null || claimed.adjusted_by === provider.id ? claimed : { ...claimed, adjusted: null }
  try {
    return await checked(row, account, provider, options)
  } catch (error) {
    options.onError(error)
    const { name, message } = error as Error
    return error instanceof GatewayError
      ? rest(row, 'deferred', message, options.runtime.now() + AGAIN_MS, options)
      : refuse(row, provider, 'mapping_failed', `${name}: ${message}`.slice(0, 300), options)
  }
}

async function checked (row: Row, account: OpenAccount, provider: Provider, options: PrepareOptions): Promise<Flight | Ended> {
  const { runtime, shops, config } = options
  const now = runtime.now()
  const state = await shops.byKey(row.shop_key as number, row.shop_version as number)
  const connection = state.connections.get(provider.id)
  const queue = [...state.queues.values()].find(({ key }) => key === row.queue_key)
  if (row.state === STATE.unknown && row.account_key !== account.key) return refuse(row, provider, 'repeat_refused', null, options)
  if (!connection || connection.accountKey !== account.key || queue?.accountKey !== account.key || queue.held !== null) return giveBack(row, options) // switched or held since the claim
  const { secrets } = connection
  if (secrets === null) return rest(row, 'credentials_unreadable', null, now + AGAIN_MS, options)
  const stale = options.fresh?.now({ ...connection, secrets }, state.shop.key) ?? null
  if (stale !== null) return rest(row, stale, null, now, options)
  const scope = scopeOf(row, state, connection)
  const verdict = check({ now, expiresAt: row.expires_at as number, waitedFor: row.reason as string | null, eventType: config.eventTypes[row.type as string], provider, hasData: row.data !== null, recordOnly: row.record_only === 1 }, scope)
  switch (verdict.is) {
    case 'defer': return rest(row, verdict.reason, null, Math.max(verdict.untilAt, now + DEFERRED_AT_LEAST_MS), options)
    case 'hold': return rest(row, verdict.reason, null, now + AGAIN_MS, options)
    case 'reject': return refuse(row, provider, verdict.reason, verdict.detail ?? null, options)
    case 'go': break
  }
  const prepared = row.state === STATE.unknown ? { ok: true as const, request: stored(row) } : provider.prepare(row.type as string, scope)
  if (!prepared.ok) return refuse(row, provider, prepared.reason, prepared.detail, options)
  const { request } = prepared
  const gate = await options.lane(account, provider, request.group)
  const othersPass = row.outcome === 'hold' && await passedSince(row, account, options.store)
  if (!gate.reserve(runtime.mono())) return giveBack(row, options)
  return { row, state, connection: { ...connection, secrets, settings: scope.connection.settings }, request, gate, reservedAt: now, othersPass, holds: options.holds }
}

async function passedSince (row: Row, { key }: OpenAccount, store: Store): Promise<boolean> {
  return row.account_key === key && (await store.read('accepted_since', { account_key: key, since: row.settled_at as number })).length > 0
}

/** The rows that say a request is about to be sent; on disk before its first byte leaves. */
export function callSteps ({ row, request, connection, reservedAt }: Flight, store: Store): Step[] {
  const mine = mineOf(row)
  const call: Step = { name: 'start_call', params: { ...mine, account_key: connection.accountKey, lane: request.group, reserved_at: reservedAt, request_head: head(request), request_body: request.body, adjusted: row.adjusted as string | null } }
  return row.call_no === 0 ? [call] : [{ name: 'archive_call', params: { ...mine, call_key: store.nextKey('calls') } }, call]
}

/** As it was before the claim. */
export function giveBack (row: Row, options: Pick<PrepareOptions, 'runtime'>): Ended {
  return rest(row, row.reason as Reason | null, null, options.runtime.now(), options)
}

/** Its call could not be put on disk, or nobody knows whether it was; nothing was sent. It is tried again, but not at once. */
export function notWritten (row: Row, options: Pick<PrepareOptions, 'runtime'>): Step[] {
  const dueAt = options.runtime.now() + AGAIN_MS
  const written = { state: row.state as number, reason: 'deferred' as const, detail: null, due_at: dueAt, finished_at: null }
  return [
    { name: 'settle_call', params: { ...mineOf(row), call_no: (row.call_no as number) + 1, ...written, paid: 0, settled_at: null, status: null, answer: null, outcome: 'not_sent', receipt: null, adjusted: null } },
    ...rest(row, 'deferred', null, dueAt, options).steps
  ]
}

/** What it was claimed under: nobody else settles it. */
export function mineOf (row: Row): { delivery_key: number, owner: number, epoch: number } {
  return { delivery_key: row.delivery_key as number, owner: row.owner as number, epoch: row.epoch as number }
}

/** The step by which a queue learns that one of its deliveries is due. */
export function dueStep (row: Row, dueAt: number, now: number): Step {
  return { name: 'queue_due', params: { queue_key: row.queue_key as number, priority: row.priority as number, due_at: dueAt, now } }
}

function rest (row: Row, reason: Reason | null, detail: string | null, dueAt: number, { runtime }: Pick<PrepareOptions, 'runtime'>): Ended {
  return { steps: [released(row, { state: row.state as number, reason, detail, due_at: dueAt, finished_at: null }), dueStep(row, dueAt, runtime.now())] }
}

/** A message that may have been sent stays unknown, whatever is said of sending it again. */
function refuse (row: Row, provider: Provider, reason: Reason, detail: string | null, { runtime, onRefused }: PrepareOptions): Ended {
  const expired = reason === 'expired' || reason === 'expired_rate_limited'
  const unknown = row.state === STATE.unknown
  const state = unknown ? STATE.unknown : expired ? STATE.expired : STATE.rejected
  onRefused({ delivery: row.id as string, type: row.type as string, provider: provider.id, reason })
  return { steps: [released(row, { state, reason: unknown && expired ? 'no_answer' : reason, detail, due_at: null, finished_at: runtime.now() })] }
}

interface Released { state: number, reason: Reason | null, detail: string | null, due_at: number | null, finished_at: number | null }

function released (row: Row, to: Released): Step {
  return { name: 'release_claim', params: { ...mineOf(row), ...to } }
}
