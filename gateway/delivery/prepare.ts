// A claimed delivery becomes a flight, with its request and its place in the windows, or ends without a call.

import type { Config, EventTypeConfig, MappingScope, Message, PreparedRequest, Provider, Row, Step, Store, Verdict } from '../contract.ts'
import { STATE } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { hourOf, type Hour } from '../quiet-hours/quiet-hours.ts'
import { digest } from '../events/accept.ts'
import { eraseSteps } from '../privacy/erase.ts'
import { sentence, type Reason } from '../reasons.ts'
import type { OpenConnection } from '../shops/connections.ts'
import type { Fresh } from '../shops/oauth/fresh.ts'
import type { Shops, ShopState } from '../shops/shops.ts'
import { addSteps, addType, gated, newestSignUp, placeOf, type Gated } from '../subscribers/gate.ts'
import { beginAdd, dropAdd, endAdd, wantSteps, type AddEnd } from '../subscribers/steps.ts'
import type { OpenAccount } from './account.ts'
import { check, refusesTexts } from './checks.ts'
import { head, scopeOf, stored } from './flight.ts'
import type { Gate } from './gate.ts'
import { meterOf, roomFor, type Meter, type MeteringOptions } from './metering.ts'
import { spread } from './next.ts'

/** What the gateway itself lacks just now, and what a hook holds, is looked at again after this. */
const AGAIN_MS = 60_000
/** A time that has passed would be asked about again and again. */
const DEFERRED_AT_LEAST_MS = 1000
/** Whoever waits for a person to be found or to opt in is woken by that; this is for what may have changed besides. */
const PERSON_AGAIN_MS = 15 * 60_000
/** What waits for a merchant to choose something is looked at again after this. */
const CHOICE_AGAIN_MS = 5 * 60_000
/** Another delivery is about to add the same person. */
const ADDING_AGAIN_MS = 2000
/** Others are about to use what is left of the month. */
const MONTH_AGAIN_MS = 2000

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
  /** It adds its person to the provider's list. */
  adds?: Adds
  /** What it takes of its shop's month, where that is counted. */
  meter: Meter | null
}

export interface Adds {
  /** Goes to disk with the call. */
  begin: Step
  /** Goes to disk with its end. */
  ended (end: AddEnd): Step[]
  /** Others may add the person from now on, by what is on disk. */
  done (): void
}

/** The steps that put a delivery where it belongs without a call. */
export interface Ended { steps: Step[] }

export interface PrepareOptions extends MeteringOptions {
  holds: number
  /** People who are being added. */
  adding: Set<string>
  shops: Shops
  config: Config
  /** Whether sources let a message of the type go. */
  sources?: ((type: string, message: Message) => Promise<Verdict>) | undefined
  /** Renews credentials that end by themselves. */
  fresh?: Fresh | undefined
  lane (account: OpenAccount, provider: Provider, group: string): Promise<Gate>
  onRefused (delivery: { delivery: string, type: string, provider: string, reason: string }): void
  onError (error: unknown): void
  /** Whether its person is being erased just now. Absent where nobody is. */
  redacted? (row: Row): Promise<boolean>
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
  if (row.redacted === 1 || (row.redacting === 1 && await options.redacted?.(row) === true)) return refuseRedacted(row, provider, options)
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
  const ours = check({ now, expiresAt: row.expires_at as number, waitedFor: row.reason as string | null, eventType: config.eventTypes[row.type as string], provider, hasData: row.data !== null, recordOnly: row.record_only === 1, optedOut: Boolean(row.opted_out) }, scope)
  const verdict = ours.is === 'go' && options.sources ? await options.sources(row.type as string, messageOf(row, state, scope)) : ours
  switch (verdict.is) {
    case 'defer': return rest(row, verdict.reason, null, Math.max(verdict.untilAt, now + DEFERRED_AT_LEAST_MS), options)
    case 'hold': return rest(row, verdict.reason, null, now + AGAIN_MS, options)
    case 'reject': return refuse(row, provider, verdict.reason, verdict.detail ?? null, options)
    case 'end': return end(row, verdict.reason, options)
    case 'go': break
  }
  const type = config.eventTypes[row.type as string]
  const hour = hourFor(row, type, provider, scope, options)
  if (hour.is === 'never') return refuse(row, provider, hour.reason, hour.detail, options)
  if (hour.is === 'quiet') return rest(row, 'quiet_hours', hour.detail, Math.min(Math.max(hour.untilAt, now + DEFERRED_AT_LEAST_MS), row.expires_at as number), options)
  if (hour.openForMs !== null) scope.delivery.open_for_s = Math.max(1, Math.floor(hour.openForMs / 1000))
  const listed = type && await gated(row, { provider, type, accountKey: account.key, now }, options.store)
  if (listed && listed.decision.is !== 'go') return await notYet(row, listed, { state, provider, scope }, options)
  const prepared = row.state === STATE.unknown ? { ok: true as const, request: stored(row) } : provider.prepare(row.type as string, scope)
  if (!prepared.ok && prepared.waits) return rest(row, prepared.reason, null, soon(row, CHOICE_AGAIN_MS, options), options)
  if (!prepared.ok) return refuse(row, provider, prepared.reason, prepared.detail, options)
  const { request } = prepared
  const meter = meterOf(provider, state.shop, scope, request, now)
  const room = meter && await roomFor(meter, row, options)
  if (room?.is === 'none') return refuse(row, provider, 'monthly_limit', room.detail, options)
  if (room?.is === 'later') return noRoomYet(row, options)
  const gate = await options.lane(account, provider, request.group)
  const othersPass = row.outcome === 'hold' && await passedSince(row, account, options.store)
  if (!gate.reserve(runtime.mono())) return giveBack(row, options)
  const adds = listed?.decision.is === 'go' && listed.decision.adds ? addsOf(row, listed, options) : undefined
  if (adds === null) {
    gate.release()
    return rest(row, 'looking_up', null, now + ADDING_AGAIN_MS, options)
  }
  return { ...(adds && { adds }), row, state, connection: { ...connection, secrets, settings: scope.connection.settings }, request, gate, reservedAt: now, othersPass, holds: options.holds, meter }
}

/** Whether it may arrive now where the customer is. What is only recorded reaches nobody. */
function hourFor (row: Row, type: EventTypeConfig | undefined, { quietHours }: Provider, { data, connection: { settings } }: MappingScope, { runtime }: PrepareOptions): Hour {
  if (!type || !quietHours || row.record_only === 1) return { is: 'open', openForMs: null }
  return hourOf(quietHours, { kind: type.kind, settings, data, now: runtime.now(), random: runtime.random() })
}

function messageOf (row: Row, { shop }: ShopState, { data, event }: MappingScope): Message {
  return { shop: { key: shop.key, id: shop.id }, type: event.type, source: event.source, sourceId: row.source_id as string, timeAt: row.time_at as number, person: row.person as Uint8Array | null, data }
}

/** Its person has to be looked up, has not opted in, or is not to be told. */
async function notYet (row: Row, { at, standing, decision }: Gated, { state, provider, scope }: { state: ShopState, provider: Provider, scope: MappingScope }, options: PrepareOptions): Promise<Ended> {
  const now = options.runtime.now()
  const want = (dueAt: number, doubt = false) => wantSteps(at, { delivery: row.delivery_key as number, seen: standing, dueAt, doubt }, options)
  const waiting = (reason: Reason, detail: string | null = null) => rest(row, reason, detail, soon(row, PERSON_AGAIN_MS, options), options).steps
  switch (decision.is) {
    case 'look': return { steps: [...want(now, decision.doubt), ...waiting('looking_up')] }
    case 'wait': return { steps: [...(decision.lookAt === null ? [] : want(decision.lookAt)), ...waiting(decision.reason)] }
    case 'end': return end(row, decision.reason, options)
    case 'refuse': return refuse(row, provider, decision.reason, decision.because === undefined ? null : sentence(decision.because, provider.title), options)
    case 'add': return await addFirst(row, { state, provider, scope, checkedAt: standing?.checkedAt ?? null }, options)
    case 'go': throw new Error('it goes')
  }
}

/** The person is added by an event of its own, and the message waits for that; where it cannot be, neither can be sent. */
async function addFirst (row: Row, { state, provider, scope, checkedAt }: { state: ShopState, provider: Provider, scope: MappingScope, checkedAt: number | null }, options: PrepareOptions): Promise<Ended> {
  const type = addType(provider, options.config)
  if (type === null || !provider.subscribers) return refuse(row, provider, 'not_subscribed', null, options)
  const signedUp = await newestSignUp(row, { shopKey: state.shop.key, type: type.type }, options.store)
  if (signedUp !== null && refusesTexts(signedUp)) return refuse(row, provider, 'not_subscribed', 'The customer signed up without agreeing to be texted.', options)
  const data = provider.subscribers.addData(scope.data)
  const prepared = provider.prepare(type.type, { ...scope, data })
  if (!prepared.ok && prepared.waits) return rest(row, prepared.reason, null, soon(row, CHOICE_AGAIN_MS, options), options)
  if (!prepared.ok) return refuse(row, provider, 'not_subscribed', prepared.detail, options)
  const queue = await options.shops.queue(state, type)
  return { steps: [...addSteps(row, { type, data, shopKey: state.shop.key, queue, checkedAt }, options), ...rest(row, 'opt_in_pending', null, soon(row, PERSON_AGAIN_MS, options), options).steps] }
}

/** Null where another delivery adds the person just now. */
function addsOf (row: Row, { at }: Gated, options: PrepareOptions): Adds | null {
  const place = placeOf(at)
  if (options.adding.has(place)) return null
  options.adding.add(place)
  const key = row.delivery_key as number
  return {
    begin: beginAdd(at, key, options.runtime.now()),
    ended: ended => endAdd(at, key, ended, options),
    done: () => { options.adding.delete(place) }
  }
}

/** Not all at once, and no later than it expires. */
function soon (row: Row, afterMs: number, { runtime }: PrepareOptions): number {
  return Math.min(runtime.now() + spread(afterMs, runtime.random()), row.expires_at as number)
}

async function passedSince (row: Row, { key }: OpenAccount, store: Store): Promise<boolean> {
  return row.account_key === key && (await store.read('accepted_since', { account_key: key, since: row.settled_at as number })).length > 0
}

/** The rows that say a request is about to be sent; on disk before its first byte leaves. */
export function callSteps ({ row, request, connection, reservedAt, adds }: Flight, store: Store): Step[] {
  const mine = mineOf(row)
  const call: Step = { name: 'start_call', params: { ...mine, account_key: connection.accountKey, lane: request.group, reserved_at: reservedAt, request_head: head(request), request_body: request.body, adjusted: row.adjusted as string | null } }
  const before = [...(adds ? [adds.begin] : []), ...(row.call_no === 0 ? [] : [{ name: 'archive_call', params: { ...mine, call_key: store.nextKey('calls') } }])]
  return [...before, call]
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

/** What is being sent just now may take what is left of its shop's month, or give it back. What an earlier claim of it kept, two would wait for of each other. */
export function noRoomYet (row: Row, { runtime }: Pick<PrepareOptions, 'runtime'>): Ended {
  return { steps: [...rest(row, 'deferred', null, runtime.now() + MONTH_AGAIN_MS, { runtime }).steps, { name: 'free_usage', params: { delivery_key: row.delivery_key as number } }] }
}

/** Nothing is to be done about it any more. */
function end (row: Row, reason: Reason, { runtime }: PrepareOptions): Ended {
  return { steps: [released(row, { state: STATE.delivered, reason, detail: null, due_at: null, finished_at: runtime.now() })] }
}

/** A message that may have been sent stays unknown, whatever is said of sending it again. */
function refuse (row: Row, provider: Provider, reason: Reason, detail: string | null, { runtime, store, onRefused }: PrepareOptions): Ended {
  const expired = reason.startsWith('expired')
  const unknown = row.state === STATE.unknown
  const state = unknown ? STATE.unknown : expired ? STATE.expired : STATE.rejected
  onRefused({ delivery: row.id as string, type: row.type as string, provider: provider.id, reason })
  const added = row.person !== null && provider.subscribers?.add.includes(row.type as string) === true
  const at = { account_key: (row.account_key ?? row.queue_account_key) as number | null, person: row.person as Uint8Array }
  return {
    steps: [
      released(row, { state, reason: unknown && expired ? 'no_answer' : reason, detail, due_at: null, finished_at: runtime.now() }),
      ...(added && at.account_key !== null ? dropAdd({ ...at, account_key: at.account_key }, row.delivery_key as number, { state, reason }, { store, runtime }) : []) // it began to, over that account, or was about to
    ]
  }
}

/** Its person was erased before it came to be sent; what is there of it goes too. */
function refuseRedacted (row: Row, provider: Provider, options: PrepareOptions): Ended {
  const event = { key: row.event_key as number, data: row.data as string | null, person: row.person as Uint8Array | null }
  return { steps: [...refuse(row, provider, 'redacted', null, options).steps, ...eraseSteps(event, { key: row.shop_key as number, id: String(row.shop) }, { digest, now: options.runtime.now() })] }
}

interface Released { state: number, reason: Reason | null, detail: string | null, due_at: number | null, finished_at: number | null }

function released (row: Row, to: Released): Step {
  return { name: 'release_claim', params: { ...mineOf(row), ...to } }
}
