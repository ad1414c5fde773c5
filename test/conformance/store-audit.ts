// What every store must tell of deliveries that nobody accounts for.

import type { Test } from 'tap'
import { STATE, type Store } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { claim, NOW, one, place, put, sent, settleStep, startStep } from './store-rows.ts'

async function faults (store: Store, { after = 0, now = NOW } = {}): Promise<unknown[]> {
  const [ends] = await store.read('audit_slices', { after_delivery_key: after, after_event_key: 0, limit: 100 })
  const rows = await store.read('audit_deliveries', { after, until_key: (ends?.delivery_key ?? after) as number, now })
  return rows.map(({ id, fault }) => [id, fault])
}

export async function audit (t: Test, open: Open): Promise<void> {
  await t.test('slices end where the next ones begin', async t => {
    const { store } = await open(t)
    const at = await place(store)
    t.match(await store.read('audit_slices', { after_delivery_key: 0, after_event_key: 0, limit: 2 }), [{ delivery_key: null, event_key: null }])
    const [, second, third] = [await put(store, at), await put(store, at), await put(store, at)]
    t.match(await store.read('audit_slices', { after_delivery_key: 0, after_event_key: 0, limit: 2 }), [{ delivery_key: second.deliveryKey, event_key: second.eventKey }])
    t.match(await store.read('audit_slices', { after_delivery_key: second.deliveryKey, after_event_key: third.eventKey, limit: 2 }), [{ delivery_key: third.deliveryKey, event_key: null }])
  })

  await t.test('whatever a delivery goes through, it is accounted for', async t => {
    const { store } = await open(t)
    const at = await place(store)
    t.strictSame(await faults(store), [])
    const [first, second] = [await put(store, at), await put(store, at)]
    t.strictSame(await faults(store), [], 'waiting')
    await claim(store, at)
    t.strictSame(await faults(store), [], 'claimed')
    await store.commit([first, second].map(({ deliveryKey }) => startStep(store, deliveryKey)))
    t.strictSame(await faults(store), [], 'sending')
    await store.commit([
      settleStep(store, first.deliveryKey),
      settleStep(store, second.deliveryKey, { state: STATE.unknown, due_at: NOW + 5, finished_at: null }),
      { name: 'queue_due', params: { queue_key: at.queueKey, priority: 2, due_at: NOW + 5, now: NOW } }
    ])
    await sent(store, at)
    t.strictSame(await faults(store), [], 'delivered, and to be sent again later')
    t.strictSame(await faults(store, { now: NOW + 60_000 }), [], 'its queue is to be woken, which says when')
  })

  await t.test('what would never be sent is found, with its fault', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const sleeping = await put(store, at, { dueAt: NOW + 10 })
    await one(store, 'refresh_queue', { queue_key: at.queueKey, served_at: 1, now: NOW, limit: 1 })
    t.strictSame(await faults(store), [])
    const early = await put(store, at, { dueAt: NOW + 20_000 })
    await one(store, 'set_apart', { delivery_key: early.deliveryKey, due_at: NOW + 5 })
    await one(store, 'refresh_queue', { queue_key: at.queueKey, served_at: 1, now: NOW + 15, limit: 1 })
    await claim(store, at, { now: NOW + 15, limit: 2 })
    t.strictSame(await faults(store), [], 'claimed by this instance')
    await store.commit([sleeping, early].map(({ deliveryKey }) => startStep(store, deliveryKey)))
    await store.commit([sleeping, early].map(({ deliveryKey }) => settleStep(store, deliveryKey, { state: STATE.unknown, finished_at: null })))
    t.strictSame(await faults(store), [[sleeping.id, 'nobody_asks'], [early.id, 'nobody_asks']])
    await one(store, 'put_job', { job_key: 1, id: 'job_1', kind: 'reconcile', unique_key: String(early.deliveryKey), account_key: at.accountKey, delivery_key: early.deliveryKey, due_at: NOW, now: NOW })
    await one(store, 'resolve_unknown', { delivery_key: sleeping.deliveryKey, call_no: 1, state: STATE.waiting, reason: null, detail: null, due_at: NOW + 50, finished_at: null })
    t.strictSame(await faults(store), [[sleeping.id, 'overslept']], 'its queue was not told')
    await one(store, 'resolve_unknown', { delivery_key: early.deliveryKey, call_no: 1, state: STATE.waiting, reason: null, detail: null, due_at: null, finished_at: null })
    t.strictSame(await faults(store), [[sleeping.id, 'overslept'], [early.id, 'never_due']])
    t.strictSame(await faults(store, { after: sleeping.deliveryKey }), [[early.id, 'never_due']])
  })

  await t.test('an event of a type that makes a message has a delivery', async t => {
    const { store } = await open(t)
    const at = await place(store)
    await put(store, at)
    const key = store.nextKey('events')
    await one(store, 'insert_event', { event_key: key, id: 'evt_alone', shop_key: at.shopKey, source: '/test', source_id: 'alone', type: 'thing.seen', time_at: NOW, received_at: NOW, person: null, data: '{}' })
    const alone = async (types: string[]) => await store.read('audit_events', { after: 0, until_key: key, types: JSON.stringify(types) })
    t.match(await alone(['thing.happened', 'thing.seen']), [{ id: 'evt_alone', type: 'thing.seen', received_at: NOW, fault: 'no_delivery' }])
    t.strictSame(await alone(['thing.happened']), [])
  })

  await t.test('the job that audits is found by its kind', async t => {
    const { store } = await open(t)
    t.strictSame(await store.read('audited', {}), [])
    await one(store, 'put_job', { job_key: 1, id: 'job_1', kind: 'audit', unique_key: 'audit', account_key: null, delivery_key: null, due_at: NOW, now: NOW })
    t.match(await store.read('audited', {}), [{ cursor: null }])
  })
}
