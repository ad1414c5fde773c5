// What every store puts right when the clock was set back.

import type { Test } from 'tap'
import { STATE } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { claim, deliveryOf, HERE, NOW, one, place, put, settleStep, startStep } from './store-rows.ts'

const APART_MS = 60_000
const BACK = { now: NOW - 3_600_000, apart_ms: APART_MS }

export async function clock (t: Test, open: Open): Promise<void> {
  await t.test('R60: what waits for a later time is due now, in slices; what may have been sent, and questions, a little later', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const other = await place(store, { group: 'second' })
    const unknown = await put(store, at)
    await claim(store, at)
    await store.commit([startStep(store, unknown.deliveryKey), settleStep(store, unknown.deliveryKey, { state: STATE.unknown, due_at: NOW + 5000, finished_at: null })])
    const late = [await put(store, at), await put(store, at, { dueAt: NOW + 9000 }), await put(store, at, { dueAt: NOW - 1 })]
    const early = await put(store, at, { dueAt: BACK.now - 5 })
    const elsewhere = await put(store, other)
    const slice = async (limit: number) => (await one(store, 'hasten_deliveries', { queue_key: at.queueKey, priority: 2, ...BACK, limit })).changes
    t.strictSame([await slice(3), await slice(3), await slice(3)], [3, 1, 0])
    for (const event of late) t.equal((await deliveryOf(store, event)).due_at, BACK.now)
    t.equal((await deliveryOf(store, unknown)).due_at, BACK.now + APART_MS)
    t.equal((await deliveryOf(store, early)).due_at, BACK.now - 5)
    t.equal((await deliveryOf(store, elsewhere)).due_at, NOW)

    const jobKey = store.nextKey('jobs')
    await one(store, 'put_job', { job_key: jobKey, id: 'job_1', kind: 'reconcile', unique_key: '1', account_key: null, delivery_key: null, due_at: NOW, now: NOW })
    t.equal((await one(store, 'hasten_jobs', BACK)).changes, 1)
    t.equal((await store.read('job', { id: 'job_1' }))[0]?.due_at, BACK.now + APART_MS)
    t.equal((await one(store, 'hasten_jobs', BACK)).changes, 0)
  })

  await t.test('R60: nobody had a turn later than now, and the latest event says what the clock said', async t => {
    const { store } = await open(t)
    t.strictSame(await store.read('latest_event', {}), [])
    const at = await place(store)
    await put(store, at, { at: NOW - 1 })
    await put(store, at, { at: NOW })
    t.match(await store.read('latest_event', {}), [{ received_at: NOW }])
    await claim(store, at)
    const turns = (slots: string) => one(store, 'hasten_turns', { served_at: BACK.now * 1000, slots })
    t.equal((await turns('[]')).changes, 0, 'they are not of these accounts')
    t.strictSame([(await turns(HERE)).changes, (await turns(HERE)).changes], [1, 0])
    t.match(await store.read('queues_of_slots', { after: -1, slots: HERE, limit: 10 }), [{ queue_key: at.queueKey, account_key: at.accountKey }])
    t.strictSame(await store.read('queues_of_slots', { after: at.queueKey, slots: HERE, limit: 10 }), [])
  })

  await t.test('R60: what came in from outside is due now', async t => {
    const { store } = await open(t)
    const inboxKey = store.nextKey('inbox')
    await one(store, 'insert_inbox', { inbox_key: inboxKey, id: 'inb_1', source: 'hook', topic: 'x', shop: null, subject: null, headers: '{}', body: '{}', received_at: NOW, state: 1, reason: null, detail: null, due_at: NOW, settled_at: null, keys: '[]' })
    t.strictSame(await store.read('inbox_is_due', { source: 'hook', now: BACK.now }), [])
    t.equal((await one(store, 'hasten_inbox', { now: BACK.now })).changes, 1)
    t.equal((await store.read('inbox_is_due', { source: 'hook', now: BACK.now })).length, 1)
  })
}
