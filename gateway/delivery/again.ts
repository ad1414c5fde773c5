// Sending again: another delivery of an event that had one, with a key of its own, which a person asks for and answers for.
// No provider drops it as a repeat, so what must not happen twice is refused here, and in the insert itself.

import type { Config, EventTypeConfig, Provider, Row, Runtime, Step, Store } from '../contract.ts'
import { STATE } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { sentence, type Reason } from '../reasons.ts'

/** Of the provider it would go to, as much as decides whether it may. */
export type AgainProvider = Pick<Provider, 'title' | 'events' | 'recordOnly'>

export interface AgainOptions {
  store: Store
  runtime: Runtime
  config: Config
  providerOf (id: string): AgainProvider | undefined
}

/** `send`: the customer gets the message. `record`: the provider keeps it, and nobody is texted. */
export const MODES = ['send', 'record'] as const
export type Mode = typeof MODES[number]

/** What a person may be asked to say before it goes out. */
export interface Confirmed { may_have_been_sent?: boolean, expired?: boolean }
export interface Wish extends Confirmed { mode: Mode, reason: string }

/** Why it is not possible now: a code in snake_case, and what would allow it. */
interface Refusal { reason: Reason | 'not_ended' | 'just_sent_again' | 'data_gone', message: string }
interface Need { field: keyof Confirmed, message: string }

/** What is known of a delivery when a person looks at it. */
interface Facts { row: Row, family: Row[], first: Row, route: Row, type: EventTypeConfig | undefined, provider: AgainProvider | undefined, now: number }

/** Whoever presses twice means it once; also where the first press has been answered and is done within milliseconds. */
const AT_LEAST_APART_MS = 30_000

/** The first delivery and all that send it again, oldest first. */
export async function familyOf (row: Row, store: Store): Promise<Row[]> {
  return await store.read('family', { event_key: row.event_key as number, first_key: firstKeyOf(row) })
}

export function firstKeyOf (row: Row): number { return (row.again_of ?? row.delivery_key) as number }

/** What each mode would do now: allowed, or refused and why; and what must be confirmed. Nothing is changed. */
export async function possibilities (row: Row, options: AgainOptions): Promise<object> {
  const facts = await look(row, options)
  const modes = MODES.map(mode => {
    const refusal = refusalOf(facts, mode)
    return [mode, { allowed: refusal === null, reason: refusal?.reason ?? null, message: refusal?.message ?? null, needs: refusal === null ? needsOf(facts, mode) : [] }] as const
  })
  return { id: row.id, again_of: row.first_id, provider: facts.route.provider, modes: Object.fromEntries(modes) }
}

/** Makes the new delivery and returns its id. Throws GW_CONFLICT where that is refused, with what would allow it; GW_STORE_FAILED. */
export async function sendAgain (row: Row, wish: Wish, actor: string, options: AgainOptions): Promise<{ id: string, accountKey: number | null }> {
  const facts = await look(row, options)
  const { first, type, now } = facts
  const refusal = refusalOf(facts, wish.mode)
  if (refusal || !type) throw notAllowed(refusal)
  const missing = needsOf(facts, wish.mode).filter(({ field }) => wish[field] !== true)
  if (missing.length > 0) throw notConfirmed(missing)
  const key = options.store.nextKey('deliveries')
  const id = options.runtime.id('dlv_')
  const made = await options.store.commit([
    { name: 'lock_family', params: { first_key: first.delivery_key as number } },
    insertStep(key, id, facts, wish, untilOf(row, type, now)),
    { name: 'wake_queue', params: { queue_key: row.queue_key as number, account_key: facts.route.account_key as number | null, priority: row.priority as number } },
    { name: 'audit_again', params: { at: now, actor, action: wish.mode === 'send' ? 'delivery.send_again' : 'delivery.record_again', shop: row.shop as string, subject: `${String(first.id)} ${id}`, reason: wish.reason, delivery_key: key } }
  ])
  if (made[1]?.changes !== 1) throw notAllowed(refusalOf(await look(row, options), wish.mode)) // somebody was faster
  return { id, accountKey: facts.route.account_key as number | null }
}

/** Throws GW_CONFLICT where one of a family may not be tried again, as another of them is on its way, or may have arrived. */
export function checkRetry (row: Row, family: readonly Row[], allowed: { unknown: boolean }): void {
  const others = family.filter(({ id }) => id !== row.id)
  const open = others.find(isOpen)
  if (open) throw new GatewayError('GW_CONFLICT', `${String(open.id)} has the same message and has not ended yet. Wait until it has.`)
  const arrived = others.find(mayHaveArrived)
  if (arrived && !allowed.unknown) throw new GatewayError('GW_CONFLICT', `The message went out as ${String(arrived.id)}, or may have. To send it all the same, and perhaps text the customer twice: {"may_have_been_sent": true}.`)
}

async function look (row: Row, { store, runtime, config, providerOf }: AgainOptions): Promise<Facts> {
  const [family, [route]] = await Promise.all([familyOf(row, store), store.read('route_of_queue', { queue_key: row.queue_key as number })])
  if (!route || !family[0]) throw new GatewayError('GW_NOT_FOUND', 'No delivery has this id.') // its retention ended at this very moment
  const provider = typeof route.provider === 'string' ? providerOf(route.provider) : undefined
  return { row, family, first: family[0], route, type: config.eventTypes[row.type as string], provider, now: runtime.now() }
}

function refusalOf (facts: Facts, mode: Mode): Refusal | null {
  return notEnded(facts) ?? dataGone(facts) ?? justSent(facts) ?? noWay(facts, mode)
}

function notEnded ({ row, family }: Facts): Refusal | null {
  const open = family.find(isOpen)
  if (!open) return null
  if (open.id !== row.id) return { reason: 'not_ended', message: `${String(open.id)} has the same message and has not ended yet. Wait until it has.` }
  const message = open.state === STATE.unknown ? 'It is still being found out whether this one was sent. It can be sent again once that has ended.' : 'This one has not ended yet. It can be sent again once it has.'
  return { reason: 'not_ended', message }
}

function dataGone ({ row }: Facts): Refusal | null {
  if (row.redacted_at !== null) return { reason: 'redacted', message: sentence('redacted', '') }
  return row.data === null ? { reason: 'data_gone', message: 'The event\'s data is gone: its retention has ended. Send a new event.' } : null
}

function justSent ({ family, now }: Facts): Refusal | null {
  const last = family.findLast(({ again_of: againOf }) => againOf !== null)
  const waitMs = last ? (last.created_at as number) + AT_LEAST_APART_MS - now : 0
  return waitMs > 0 ? { reason: 'just_sent_again', message: `It was sent again just now, as ${String(last?.id)}. For another one, wait ${Math.ceil(waitMs / 1000)} seconds.` } : null
}

/** What holds the queue would only let it wait; that is to be put right first. */
function noWay ({ route, type, provider }: Facts, mode: Mode): Refusal | null {
  const title = provider?.title ?? String(route.provider ?? 'The provider')
  const because = (reason: Reason, remedy = ''): Refusal => ({ reason, message: sentence(reason, title) + remedy })
  const held = (route.held_reason ?? route.account_held) as Reason | null
  if (held) return because(held, ' Then it can be sent again.')
  if (!provider) return because('provider_unknown', ' Choose another one for the channel.')
  if (type?.kind === 'sync' && !Object.hasOwn(provider.events, type.type)) return because('nothing_to_tell')
  if (!type || !Object.hasOwn(provider.events, type.type)) return because('event_not_supported', ' Choose another provider for the channel.')
  if (mode === 'record' && (!provider.recordOnly || type.kind === 'sync')) return { reason: 'record_not_possible', message: `${title} cannot record a message without sending it. Use the mode "send", or leave it.` }
  return null
}

function needsOf ({ row, family, type, now }: Facts, mode: Mode): Need[] {
  const needs: Need[] = []
  const arrived = family.find(mayHaveArrived)
  if (arrived) {
    const has = `The provider has it as ${String(arrived.id)}${arrived.state === STATE.unknown ? ', or may have' : ''}.`
    needs.push({ field: 'may_have_been_sent', message: `${has} ${mode === 'send' ? 'To send it all the same, and perhaps text the customer twice' : 'To record it all the same, perhaps a second time'}: {"may_have_been_sent": true}.` })
  }
  if (type && isStale(row, type, now)) needs.push({ field: 'expired', message: `The event is older than messages of its kind may get. To ${mode} it all the same: {"expired": true}.` })
  return needs
}

function isOpen ({ finished_at: finishedAt }: Row): boolean { return finishedAt === null }

function mayHaveArrived ({ state }: Row): boolean { return state === STATE.delivered || state === STATE.unknown }

function isStale (row: Row, { expiresAfterMs }: EventTypeConfig, now: number): boolean { return now >= (row.time_at as number) + expiresAfterMs }

/** As long as the event allows; where that is over, as long again from now. */
function untilOf (row: Row, type: EventTypeConfig, now: number): number {
  return (isStale(row, type, now) ? now : row.time_at as number) + type.expiresAfterMs
}

function insertStep (key: number, id: string, { row, first, now }: Facts, { mode, may_have_been_sent: sent }: Wish, expiresAt: number): Step {
  return {
    name: 'insert_again',
    params: {
      delivery_key: key, id, event_key: row.event_key as number, first_key: first.delivery_key as number, now, expires_at: expiresAt,
      record_only: mode === 'record' ? 1 : 0, unknown: sent === true ? 1 : 0, since: now - AT_LEAST_APART_MS
    }
  }
}

function notAllowed (refusal: Refusal | null): GatewayError {
  return new GatewayError('GW_CONFLICT', refusal?.message ?? 'Something about it changed just now. Look at it again.', refusal ? { details: [{ path: '/mode', rule: refusal.reason, message: refusal.message }] } : {})
}

function notConfirmed (missing: readonly Need[]): GatewayError {
  return new GatewayError('GW_CONFLICT', missing.map(({ message }) => message).join(' '), { details: missing.map(({ field, message }) => ({ path: `/${field}`, rule: 'confirm', message })) })
}
