// What every store must keep of deliveries that are sent again: one at a time, however many ask at once.

import type { Test } from 'tap'
import { STATE, type Row, type Step, type Store, type Value } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { ALL, claim, deliveryOf, NOW, one, place, put, sent, settleStep, startStep, type Place, type Put } from './store-rows.ts'

const APART_MS = 30_000

interface Again { now?: number, sent?: 0 | 1, recordOnly?: 0 | 1 }

/** The unit of a press; `made` says whether it made a delivery. */
async function press (store: Store, first: Put, { now = NOW, sent: twice = 0, recordOnly = 0 }: Again = {}): Promise<{ made: number, again: Put }> {
  const deliveryKey = store.nextKey('deliveries')
  const again = { ...first, deliveryKey, id: `dlv_${deliveryKey}` }
  const steps: Step[] = [
    { name: 'lock_family', params: { first_key: first.deliveryKey } },
    { name: 'insert_again', params: { delivery_key: deliveryKey, id: again.id, event_key: first.eventKey, first_key: first.deliveryKey, now, expires_at: now + 1000, record_only: recordOnly, unknown: twice, since: now - APART_MS } },
    { name: 'audit_again', params: { at: now, actor: 'test', action: 'delivery.send_again', shop: null, subject: again.id, reason: 'asked for', delivery_key: deliveryKey } }
  ]
  const [, inserted, audited] = await store.commit(steps)
  if (inserted?.changes !== audited?.changes) throw new Error('what is not made is not on record, and what is made is')
  return { made: inserted?.changes ?? 0, again }
}

/** One that ended in this state. */
async function ended (store: Store, at: Place, state: number = STATE.rejected): Promise<Put> {
  const event = await put(store, at)
  await end(store, at, event, state)
  return event
}

async function end (store: Store, at: Place, { deliveryKey }: Put, state: number, now = NOW): Promise<void> {
  await claim(store, at, { now })
  await store.commit([startStep(store, deliveryKey, { accountKey: at.accountKey }), settleStep(store, deliveryKey, { state, finished_at: now })])
}

async function familyOf (store: Store, { eventKey, deliveryKey }: Put): Promise<Row[]> {
  return await store.read('family', { event_key: eventKey, first_key: deliveryKey })
}

export async function again (t: Test, open: Open): Promise<void> {
  await t.test('of ten that ask at once one gets it (#38), and it is claimed as any other', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const first = await ended(store, at)
    const pressed = await Promise.all(Array.from({ length: 10 }, () => press(store, first, { recordOnly: 1 })))
    t.equal(pressed.reduce((sum, { made }) => sum + made, 0), 1)
    const { again } = pressed.find(({ made }) => made === 1) as { again: Put }
    t.match(await deliveryOf(store, again), { state: STATE.waiting, priority: 2, due_at: NOW, expires_at: NOW + 1000, attempts: 0, call_no: 0, first_id: first.id, sent_again: null, record_only: 1, data: '{"a":1}' })
    t.match(await deliveryOf(store, first), { state: STATE.rejected, first_id: null, sent_again: again.id, record_only: 0 })
    t.strictSame((await familyOf(store, first)).map(row => [row.id, row.again_of, row.record_only]), [[first.id, null, 0], [again.id, first.deliveryKey, 1]])
    t.match(await store.read('list_deliveries', ALL), [{ id: again.id, first_id: first.id, record_only: 1 }, { id: first.id, sent_again: again.id }])
    t.strictSame((await store.read('deliveries_of_event', { event_key: first.eventKey })).map(row => row.id), [first.id, again.id])
    t.strictSame(await claim(store, at), [again.deliveryKey])
    t.match(await store.read('claimed', { keys: `[${again.deliveryKey}]` }), [{ record_only: 1 }])
  })

  await t.test('none is made while one of the family is on its way, or was made a moment ago', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const waiting = await put(store, at)
    t.equal((await press(store, waiting)).made, 0)
    await end(store, at, waiting, STATE.rejected)
    const { made, again } = await press(store, waiting)
    t.equal(made, 1)
    const later = NOW + APART_MS
    t.equal((await press(store, waiting, { now: later })).made, 0, 'it waits')
    await end(store, at, again, STATE.rejected)
    t.equal((await press(store, waiting, { now: later - 1 })).made, 0, 'a moment ago')
    t.equal((await press(store, waiting, { now: later })).made, 1)
  })

  await t.test('what may have arrived goes twice only where that was said, whichever of the family it was', async t => {
    const { store } = await open(t)
    const at = await place(store)
    for (const state of [STATE.delivered, STATE.unknown]) {
      const first = await ended(store, at, state)
      t.equal((await press(store, first)).made, 0)
      const { made, again } = await press(store, first, { sent: 1 })
      t.equal(made, 1)
      await end(store, at, again, STATE.rejected)
    }
    const first = await ended(store, at)
    await end(store, at, (await press(store, first)).again, STATE.delivered)
    t.equal((await press(store, first, { now: NOW + APART_MS })).made, 0)
    t.equal((await press(store, first, { now: NOW + APART_MS, sent: 1 })).made, 1)
  })

  await t.test('none is made for a queue or an account that is held, nor where the data is gone', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const first = await ended(store, at)
    const route = async () => (await store.read('route_of_queue', { queue_key: at.queueKey }))[0]
    t.match(await route(), { provider: 'alpha', account_key: at.accountKey, held_reason: null, account_held: null })
    await place(store, { held: 'shop_inactive' })
    t.equal((await press(store, first)).made, 0)
    await place(store)
    await one(store, 'hold_account', { owner: store.owner, account_key: at.accountKey, held_reason: 'credentials_refused', held_until: NOW })
    t.match(await route(), { held_reason: null, account_held: 'credentials_refused' })
    t.equal((await press(store, first)).made, 0)
    await one(store, 'release_account', { provider: 'alpha', account: 'A1' })
    await one(store, 'drop_payload', { event_key: first.eventKey, digest: Buffer.from('digest') })
    t.equal((await press(store, first)).made, 0)
  })

  await t.test('the first is not tried again beside one that sends it again, nor after that has arrived, but where that was said', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const first = await ended(store, at)
    const retry = async ({ deliveryKey }: Put, unknown: 0 | 1 = 0) => (await one(store, 'retry_delivery', { delivery_key: deliveryKey, now: NOW, expires_at: NOW + 1, unknown })).changes
    const { again } = await press(store, first)
    t.strictSame([await retry(first), await retry(first, 1)], [0, 0])
    await end(store, at, again, STATE.delivered)
    t.strictSame([await retry(first), await retry(first, 1)], [0, 1])
    t.strictSame([await retry(again, 1), (await press(store, first, { now: NOW + APART_MS, sent: 1 })).made], [0, 0], 'now the first is on its way')
    const other = await ended(store, at)
    t.equal(await retry(other), 1, 'and nothing of this is another event\'s')
  })

  await t.test('what rests for a person to decide does not wait again by word of a question', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const event = await ended(store, at, STATE.unknown)
    const resolve = async (facts: Record<string, Value>) => (await one(store, 'resolve_unknown', { delivery_key: event.deliveryKey, call_no: 1, reason: null, detail: null, ...facts })).changes
    t.equal(await resolve({ state: STATE.waiting, due_at: NOW, finished_at: null }), 0)
    t.equal(await resolve({ state: STATE.delivered, due_at: null, finished_at: NOW }), 1)
  })

  await t.test('the payload stays for one that is on its way, also where it was found to be old before; all of a family is forgotten together', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const first = await sent(store, at, { at: NOW - 10, settledAt: NOW - 5 })
    const due = async () => (await store.read('payloads_due', { before: NOW, after: 0, limit: 10 })).filter(row => row.data !== null).length
    t.equal(await due(), 1)
    const { again } = await press(store, first, { sent: 1 })
    t.equal(await due(), 0)
    const event = { event_key: first.eventKey }
    const drop = async () => (await store.commit([{ name: 'drop_payload', params: { ...event, digest: Buffer.from('digest') } }, { name: 'drop_requests', params: event }, { name: 'drop_earlier_calls', params: event }])).map(({ changes }) => changes)
    t.strictSame(await drop(), [0, 0, 0])
    t.equal((await deliveryOf(store, again)).data, '{"a":1}')
    await end(store, at, again, STATE.delivered)
    t.strictSame(await drop(), [1, 2, 0])
    t.equal((await one(store, 'forget_deliveries', { before: NOW, limit: 10 })).changes, 2)
    t.equal((await one(store, 'forget_events', { before: NOW, limit: 10 })).changes, 1)
  })
}
