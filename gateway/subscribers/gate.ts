// Before a delivery is sent to a provider that texts only people on a list of its own: how its person stands there, and what follows.

import { PRIORITY, STATE, type Config, type EventTypeConfig, type Provider, type Row, type Runtime, type Step, type Store } from '../contract.ts'
import { decideAdd, decideMessage, type Decision } from './decide.ts'
import { standingOf, type Standing } from './standing.ts'
import type { At } from './steps.ts'

/** What events that add people for a message are called by; no folder has this name. */
const SOURCE = '/sources/_subscribers'

export interface Gated { at: At, standing: Standing | null, decision: Decision }

/** Null where nobody on a list is concerned. `row`: the delivery as it was claimed. */
export async function gated (row: Row, { provider, type, accountKey, now }: { provider: Provider, type: EventTypeConfig, accountKey: number, now: number }, store: Store): Promise<Gated | null> {
  const { subscribers } = provider
  const adds = subscribers?.add.includes(type.type) === true
  if (!subscribers || row.person === null || (!adds && !subscribers.gate.includes(type.type))) return null
  const at = { account_key: accountKey, person: row.person as Uint8Array }
  const [found] = await store.read('subscriber', at)
  const standing = standingOf(found)
  const key = row.delivery_key as number
  const adder = standing?.adding ?? null
  const adderAlive = adder !== null && adder !== key && (await store.read('adder', { delivery_key: adder, account_key: accountKey })).length > 0
  const facts = { now, standing, kind: type.kind, delivery: { key, lostAt: row.state === STATE.unknown ? row.settled_at as number : null }, adderAlive }
  return { at, standing, decision: adds ? decideAdd(facts) : decideMessage(facts, subscribers.addFor.includes(type.type)) }
}

/** The event that adds the person of a message, as one that came in; once for each message, account, and look-up that did not find them. */
export function addSteps (row: Row, { type, data, shopKey, queue, checkedAt }: { type: EventTypeConfig, data: Record<string, unknown>, shopKey: number, checkedAt: number | null, queue: { key: number, accountKey: number | null } }, { store, runtime }: { store: Store, runtime: Runtime }): Step[] {
  const now = runtime.now()
  const eventKey = store.nextKey('events')
  const priority = PRIORITY[type.kind]
  return [
    { name: 'insert_event_for', params: { delivery_key: row.delivery_key as number, owner: row.owner as number, epoch: row.epoch as number, event_key: eventKey, id: runtime.id('evt_'), shop_key: shopKey, source: SOURCE, source_id: `add ${String(row.id)} ${queue.accountKey ?? ''} ${checkedAt ?? ''}`, type: type.type, time_at: now, received_at: now, person: row.person as Uint8Array, data: JSON.stringify(data) } },
    { name: 'insert_delivery', params: { delivery_key: store.nextKey('deliveries'), id: runtime.id('dlv_'), event_key: eventKey, queue_key: queue.key, state: STATE.waiting, reason: null, priority, due_at: now, expires_at: now + type.expiresAfterMs, created_at: now, finished_at: null } },
    { name: 'wake_queue', params: { queue_key: queue.key, account_key: queue.accountKey, priority } }
  ]
}

/** Data of the person's newest sign-up at the shop; null where there is none, or its retention has ended. */
export async function newestSignUp (row: Row, { shopKey, type }: { shopKey: number, type: string }, store: Pick<Store, 'read'>): Promise<Record<string, unknown> | null> {
  const [newest] = await store.read('newest_sign_up', { person: row.person as Uint8Array, shop_key: shopKey, type, except: SOURCE })
  return newest?.data == null ? null : JSON.parse(String(newest.data)) as Record<string, unknown>
}

/** The event type that adds people, where the config has it. */
export function addType ({ subscribers }: Provider, { eventTypes }: Pick<Config, 'eventTypes'>): EventTypeConfig | null {
  return eventTypes[subscribers?.add[0] ?? ''] ?? null
}

export function placeOf ({ account_key: accountKey, person }: At): string { return `${accountKey} ${Buffer.from(person).toString('hex')}` }
