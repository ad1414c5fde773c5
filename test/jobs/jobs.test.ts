// The runner, and the jobs that keep the tables small, with time moved by hand.

import { join } from 'node:path'
import t, { type Test } from 'tap'
import { STATE, type Runtime, type Store } from '../../gateway/contract.ts'
import { digest } from '../../gateway/events/accept.ts'
import { expireHeld, retention } from '../../gateway/jobs/retention.ts'
import { Jobs, type Job, type JobHandler } from '../../gateway/jobs/runner.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { openSqlite } from '../../gateway/store/sqlite.ts'
import { countStates, ALL, claim, deliveryOf, NOW, one, place, put, sent, settleStep, startStep } from '../conformance/store-rows.ts'
import { tempDir } from '../helpers/tmp.ts'

const DAY_MS = 24 * 3_600_000

interface Setting { store: Store, path: string, runtime: Runtime, at (ms: number): void }

function setting (t: Test, path = join(tempDir(t), 'gateway.db')): Setting {
  let now = NOW
  const store = openSqlite({ path, now: () => now })
  t.teardown(() => store.close())
  return { store, path, runtime: { ...systemRuntime(), now: () => now }, at (ms) { now = ms } }
}

const job = (cursor: string | null = null): Job => ({ key: 1, kind: 'retention', uniqueKey: 'retention', accountKey: null, deliveryKey: null, attempts: 1, cursor })

/** A handler whose runs a test waits for. */
function counted (handler: (job: Job, run: number) => ReturnType<JobHandler>): { handler: JobHandler, runs: Job[], run (n: number): Promise<void> } {
  const runs: Job[] = []
  const waiting: Array<{ n: number, resolve: () => void }> = []
  return {
    runs,
    run: n => runs.length >= n ? Promise.resolve() : new Promise(resolve => { waiting.push({ n, resolve }) }),
    async handler (job) {
      runs.push(job)
      try {
        return await handler(job, runs.length)
      } finally {
        for (const { n, resolve } of waiting) if (runs.length >= n) resolve()
      }
    }
  }
}

t.test('a recurring job is made once, and runs each time it is due', async t => {
  const { store, runtime } = setting(t)
  const sweep = counted(async job => ({ dueAt: runtime.now(), cursor: `after ${job.cursor ?? 'nothing'}` }))
  const jobs = new Jobs({ store, runtime, handlers: { sweep: sweep.handler }, onError: error => { t.fail(String(error)) } })
  await jobs.start(['sweep'])
  await sweep.run(2)
  await jobs.stop()
  t.strictSame(sweep.runs.slice(0, 2).map(({ kind, attempts, cursor }) => [kind, attempts, cursor]), [['sweep', 1, null], ['sweep', 1, 'after nothing']])
  const again = new Jobs({ store, runtime, handlers: { sweep: sweep.handler }, onError: () => {} })
  await again.start(['sweep'])
  await again.stop()
  t.equal((await one(store, 'claim_jobs', { now: runtime.now(), owner: store.owner, epoch: store.epoch, limit: 10 })).changes, 1, 'one row, however often it is started')
})

t.test('what fails is tried again later, with its cursor, and is told of', async t => {
  const { store, runtime, at } = setting(t)
  const errors: unknown[] = []
  const work = counted(async (_job, run) => {
    if (run === 1) throw new Error('not now')
    return null
  })
  const jobs = new Jobs({ store, runtime, handlers: { work: work.handler }, onError: (error, job) => { errors.push([(error as Error).message, job?.kind]) } })
  const key = store.nextKey('jobs')
  await one(store, 'put_job', { job_key: key, id: 'job_work', kind: 'work', unique_key: 'w', account_key: null, delivery_key: null, due_at: NOW, now: NOW })
  await jobs.start([])
  await work.run(1)
  let [row] = await store.read('job', { id: 'job_work' })
  while (row?.owner !== null) [row] = await new Promise<typeof row[]>(resolve => { setImmediate(() => { void store.read('job', { id: 'job_work' }).then(resolve) }) })
  t.match(row, { attempts: 1, due_at: NOW + 30_000 })
  t.strictSame(errors, [['not now', 'work']])
  at(NOW + 30_000)
  await work.run(2)
  await jobs.stop()
  t.equal(work.runs[1]?.attempts, 2)
  t.strictSame(await store.read('job', { id: 'job_work' }), [], 'and what is done is gone')
})

t.test('stopping waits for what runs, and starts nothing more', async t => {
  const { store, runtime } = setting(t)
  let ended = false
  const slow = counted(async () => {
    await new Promise(resolve => { setImmediate(resolve) })
    ended = true
    return { dueAt: runtime.now() }
  })
  const began = new Promise<void>(resolve => { const { handler } = slow; slow.handler = async job => { resolve(); return handler(job) } })
  const jobs = new Jobs({ store, runtime, handlers: { slow: slow.handler }, onError: () => {} })
  await jobs.start(['slow'])
  await began
  await jobs.stop()
  t.ok(ended)
  t.equal(slow.runs.length, 1)
  t.equal((await store.read('jobs_are_due', { now: runtime.now() })).length, 1, 'it is settled, and due again for the next process')
})

t.test('a job whose process died is run by the next one', async t => {
  const first = setting(t)
  await one(first.store, 'put_job', { job_key: 1, id: 'job_1', kind: 'work', unique_key: 'w', account_key: null, delivery_key: 7, due_at: NOW, now: NOW })
  await one(first.store, 'claim_jobs', { now: NOW, owner: first.store.owner, epoch: first.store.epoch, limit: 1 })
  await first.store.close()
  const { store, runtime } = setting(t, first.path)
  await one(store, 'adopt_jobs', { owner: store.owner, now: NOW })
  const work = counted(async () => null)
  const jobs = new Jobs({ store, runtime, handlers: { work: work.handler }, onError: () => {} })
  await jobs.start([])
  await work.run(1)
  await jobs.stop()
  t.match(work.runs, [{ kind: 'work', attempts: 2, deliveryKey: 7 }])
})

t.test('a store that takes nothing does not end the process', async t => {
  const { store, runtime } = setting(t)
  const told = new Promise<unknown>(resolve => {
    const failing: Store = { ...store, owner: store.owner, epoch: store.epoch, nextKey: table => store.nextKey(table), healthy: () => false, close: async () => {}, commit: unit => store.commit(unit), read: async () => { throw new Error('no reads') } }
    const jobs = new Jobs({ store: failing, runtime, handlers: {}, onError: (error, job) => { void jobs.stop().then(() => { resolve([(error as Error).message, job]) }) } })
    void jobs.start(['sweep'])
  })
  t.strictSame(await told, ['no reads', null])
})

t.test('a payload goes thirty days after its delivery ended; the identity with it, and then the event is new', async t => {
  const { store, runtime, at } = setting(t)
  const shop = await place(store)
  const done = await sent(store, shop, { sourceId: 'old', settledAt: NOW })
  const waiting = await put(store, shop, { dueAt: NOW + 90 * DAY_MS, expiresAt: NOW + 99 * DAY_MS })
  const late = await put(store, shop)
  await claim(store, shop)
  const handler = retention({ store, runtime, payloadMs: 30 * DAY_MS, identityMs: 60 * DAY_MS, digest })

  at(NOW + 30 * DAY_MS - 1)
  t.strictSame(await handler(job()), { dueAt: runtime.now() + 3_600_000, cursor: null })
  t.equal((await deliveryOf(store, done)).data, '{"a":1}')
  at(NOW + 30 * DAY_MS)
  await store.commit([startStep(store, late.deliveryKey), settleStep(store, late.deliveryKey, { finished_at: runtime.now(), settled_at: runtime.now() })])
  await handler(job())
  t.match(await deliveryOf(store, done), { data: null, request_body: null, state: STATE.delivered }, 'what is left says what became of it')
  for (const kept of [waiting, late]) t.equal((await deliveryOf(store, kept)).data, '{"a":1}', 'a message that waits, or ended just now, keeps what it says')
  const [known] = await store.read('event_by_identity', { shop_key: shop.shopKey, source: '/test', source_id: 'old' })
  t.ok(digest({ a: 1 }).equals(known?.digest as Uint8Array), 'a repeat is still told')

  at(NOW + 60 * DAY_MS)
  await handler(job())
  t.strictSame(await store.read('event_by_identity', { shop_key: shop.shopKey, source: '/test', source_id: 'old' }), [])
  const again = await put(store, shop, { sourceId: 'old' })
  t.match(await deliveryOf(store, again), { state: STATE.waiting }, 'a new event with a delivery of its own')
  t.strictSame((await store.read('list_deliveries', ALL)).map(({ id }) => id), [again.id, waiting.id], 'and nothing of the old one is left')
})

t.test('retention goes through many events in slices, the next one soon', async t => {
  const { store, runtime, at } = setting(t)
  const shop = await place(store)
  await Promise.all(Array.from({ length: 250 }, () => put(store, shop, { expiresAt: NOW })))
  t.equal((await one(store, 'expire_waiting', { queue_key: shop.queueKey, now: NOW, reason: null, limit: 1000 })).changes, 250)
  at(NOW + 30 * DAY_MS)
  const handler = retention({ store, runtime, payloadMs: 30 * DAY_MS, identityMs: 30 * DAY_MS, digest })
  const left = async () => (await store.read('list_deliveries', { ...ALL, limit: 1000 })).length
  const first = await handler(job())
  t.match(first, { dueAt: runtime.now() + 1000 })
  t.equal(await left(), 50)
  const second = await handler(job(first?.cursor))
  t.match(second, { dueAt: runtime.now() + 3_600_000, cursor: null })
  t.equal(await left(), 0)
})

t.test('what is held too long expires, and what lasts longer does not stand in its way', async t => {
  const { store, runtime, at } = setting(t)
  const shop = await place(store, { held: 'plan_too_low' })
  const other = await place(store, { shop: 'b.example', account: 'B1' })
  const lasting = await put(store, shop, { dueAt: NOW - 5, expiresAt: NOW + 10 * DAY_MS })
  const short = []
  for (let i = 0; i < 450; i++) short.push(put(store, shop, { expiresAt: NOW + DAY_MS }))
  await Promise.all(short)
  const free = await put(store, other, { expiresAt: NOW + DAY_MS })
  const handler = expireHeld({ store, runtime })
  at(NOW + DAY_MS - 1)
  t.strictSame(await handler(job()), { dueAt: runtime.now() + 10_000, cursor: null })
  t.strictSame(Object.keys(await countStates(store)), [String(STATE.waiting)])
  at(NOW + DAY_MS)
  await handler(job())
  t.strictSame(await countStates(store), { [STATE.waiting]: 2, [STATE.expired]: 450 })
  t.equal((await deliveryOf(store, lasting)).state, STATE.waiting)
  t.equal((await deliveryOf(store, free)).state, STATE.waiting, 'what is not held is looked at when it is claimed')
})
