// Rows for the store suite: made and moved by the named statements alone, so that they fit any database.

import { ALL_SLOTS, STATE, type Row, type Step, type StepResult, type Store, type Value } from '../../gateway/contract.ts'

/** Every account is this instance's. */
export const HERE = JSON.stringify(ALL_SLOTS)
/** The suite's present; epoch milliseconds. */
export const NOW = 1_800_000_000_000
const HOUR_MS = 3_600_000

/** A queue, with the shop and the account it belongs to. */
export interface Place { shop: string, shopKey: number, provider: string, account: string, accountKey: number, queueKey: number }

export interface Put { steps: Step[], eventKey: number, deliveryKey: number, id: string, eventId: string }

export interface EventFacts {
  sourceId?: string
  source?: string
  type?: string
  at?: number
  dueAt?: number | null
  priority?: number
  expiresAt?: number
  person?: Uint8Array | null
  data?: string
}

/** Runs one statement alone. */
export async function one (store: Store, name: string, params: Record<string, Value>): Promise<StepResult> {
  return (await store.commit([{ name, params }]))[0] as StepResult
}

export async function place (store: Store, facts: { shop?: string, provider?: string, account?: string, group?: string, held?: string | null } = {}): Promise<Place> {
  const { shop = 'acme.example', provider = 'alpha', account = 'A1', group = 'things', held = null } = facts
  await store.commit([
    { name: 'upsert_shop', params: { id: shop, name: 'Acme', domain: shop, plan: 'pro', active: 1, now: NOW } },
    { name: 'ensure_account', params: { provider, account, slot: 7 } }
  ])
  const shopKey = (await store.read('shop', { id: shop }))[0]?.shop_key as number
  await store.commit([
    { name: 'upsert_connection', params: { id: `con_${shop}_${provider}`, shop_key: shopKey, provider, auth: 'api_key', account_id: account, account, name: '', settings: '{}', ready: `["${group}"]`, set_up: '[]', now: NOW } }
  ])
  const accountKey = (await store.read('connections', { shop_key: shopKey })).find(row => row.provider === provider)?.account_key as number
  await one(store, 'ensure_queue', { shop_key: shopKey, channel: 'sms', setup_group: group, provider, account, held_reason: held })
  const queue = await queueOf(store, shopKey, group)
  return { shop, shopKey, provider, account, accountKey, queueKey: queue.queue_key as number }
}

export async function queueOf (store: Store, shopKey: number, group = 'things'): Promise<Row> {
  return (await store.read('queues', { shop_key: shopKey })).find(row => row.setup_group === group) as Row
}

/** What the door writes for one event. */
export function eventOf (store: Store, { shopKey, queueKey, accountKey }: Place, facts: EventFacts = {}): Put {
  const eventKey = store.nextKey('events')
  const deliveryKey = store.nextKey('deliveries')
  const { sourceId = `s-${eventKey}`, source = '/test', type = 'thing.happened', at = NOW, dueAt = NOW, priority = 2, expiresAt = NOW + HOUR_MS, person = null, data = '{"a":1}' } = facts
  const id = `dlv_${deliveryKey}`
  const eventId = `evt_${eventKey}`
  const steps = [
    { name: 'insert_event', params: { event_key: eventKey, id: eventId, shop_key: shopKey, source, source_id: sourceId, type, time_at: at, received_at: at, person, data } },
    { name: 'insert_delivery', params: { delivery_key: deliveryKey, id, event_key: eventKey, queue_key: queueKey, state: STATE.waiting, reason: null, priority, due_at: dueAt, expires_at: expiresAt, created_at: at, finished_at: null } },
    { name: 'wake_queue', params: { queue_key: queueKey, account_key: accountKey, priority } }
  ]
  return { steps, eventKey, deliveryKey, id, eventId }
}

export async function put (store: Store, at: Place, facts: EventFacts = {}): Promise<Put> {
  const event = eventOf(store, at, facts)
  await store.commit(event.steps)
  return event
}

/** Claims and refreshes the queue, as one unit; keys in ascending order. */
export async function claim (store: Store, at: Place, { now = NOW, limit = 10, accountKey = at.accountKey, owner = store.owner } = {}): Promise<number[]> {
  const [claimed] = await store.commit([
    { name: 'claim_deliveries', params: { queue_key: at.queueKey, account_key: accountKey, owner, epoch: store.epoch, now, limit } },
    { name: 'refresh_queue', params: { queue_key: at.queueKey, served_at: now * 1000, now, limit: 1 } }
  ])
  return (claimed?.rows ?? []).map(row => row.delivery_key as number).toSorted((a, b) => a - b)
}

export function startStep (store: Store, deliveryKey: number, facts: { lane?: string, at?: number, body?: string, accountKey?: number, adjusted?: string | null } = {}): Step {
  const { lane = 'messages', at = NOW, accountKey = 1, body = '{"text":"hello"}', adjusted = null } = facts
  return { name: 'start_call', params: { delivery_key: deliveryKey, owner: store.owner, epoch: store.epoch, account_key: accountKey, lane, reserved_at: at, request_head: 'POST /messages', request_body: body, adjusted } }
}

export function archiveStep (store: Store, deliveryKey: number): Step {
  return { name: 'archive_call', params: { call_key: store.nextKey('calls'), delivery_key: deliveryKey, owner: store.owner, epoch: store.epoch } }
}

export function settleStep (store: Store, deliveryKey: number, facts: Record<string, Value> = {}): Step {
  return {
    name: 'settle_call',
    params: {
      delivery_key: deliveryKey, owner: store.owner, epoch: store.epoch, call_no: null, state: STATE.delivered, reason: null, detail: null, due_at: null, finished_at: NOW,
      paid: 1, settled_at: NOW, status: 202, answer: '{}', outcome: 'delivered', receipt: null, adjusted: null, ...facts
    }
  }
}

/** Claims one delivery, sends it and settles it. */
export async function sent (store: Store, at: Place, { settledAt = NOW, lane = 'messages', ...facts }: { settledAt?: number, lane?: string } & EventFacts = {}): Promise<Put> {
  const event = await put(store, at, facts)
  await claim(store, at)
  await store.commit([startStep(store, event.deliveryKey, { lane, accountKey: at.accountKey }), settleStep(store, event.deliveryKey, { settled_at: settledAt, finished_at: settledAt })])
  return event
}

export async function deliveryOf (store: Store, { id }: Put): Promise<Row> {
  return (await store.read('delivery_by_id', { id }))[0] as Row
}

/** Every filter of the list empty. */
export const ALL = { before: Number.MAX_SAFE_INTEGER, floor: 0, shop: null, shops: null, state: null, held: null, type: null, provider: null, event_id: null, source_id: null, person: null, limit: 100 } as const

/** How many deliveries are in each state. */
export async function countStates (store: Store): Promise<Record<number, number>> {
  const counts: Record<number, number> = {}
  for (const row of await store.read('list_deliveries', { ...ALL, limit: 10_000 })) counts[row.state as number] = (counts[row.state as number] ?? 0) + 1
  return counts
}
