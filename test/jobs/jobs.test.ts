// The runner, and the jobs that keep the tables small, with time moved by hand.

import t, { type Test } from 'tap'
import { STATE, type Runtime, type Store } from '../../gateway/contract.ts'
import { GatewayError } from '../../gateway/errors.ts'
import { digest } from '../../gateway/events/accept.ts'
import { expireHeld, retention } from '../../gateway/jobs/retention.ts'
import { Jobs, type Job, type JobHandler } from '../../gateway/jobs/runner.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { countStates, ALL, archiveStep, claim, deliveryOf, HERE, NOW, one, place, put, sent, settleStep, startStep } from '../conformance/store-rows.ts'
import { until } from '../helpers/fake-runtime.ts'
import { newPlace, openAlone, query, storeKind, type Place } from '../helpers/stores.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

interface Setting { store: Store, place: Place, runtime: Runtime, at (ms: number): void }

async function setting (t: Test, there?: Place): Promise<Setting> {
  let now = NOW
  const place = there ?? await newPlace(t)
  const store = await openAlone(t, place, () => now)
  return { store, place, runtime: { ...systemRuntime(), now: () => now }, at (ms) { now = ms } }
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
  const { store, runtime } = await setting(t)
  const sweep = counted(async job => ({ dueAt: runtime.now(), cursor: `after ${job.cursor ?? 'nothing'}` }))
  const jobs = new Jobs({ store, runtime, handlers: { sweep: sweep.handler }, onError: error => { t.fail(String(error)) } })
  await jobs.start(['sweep'])
  await sweep.run(2)
  await jobs.stop()
  t.strictSame(sweep.runs.slice(0, 2).map(({ kind, attempts, cursor }) => [kind, attempts, cursor]), [['sweep', 1, null], ['sweep', 1, 'after nothing']])
  const again = new Jobs({ store, runtime, handlers: { sweep: sweep.handler }, onError: () => {} })
  await again.start(['sweep'])
  await again.stop()
  t.equal((await one(store, 'claim_jobs', { slots: HERE, now: runtime.now(), owner: store.owner, epoch: store.epoch, limit: 10 })).changes, 1, 'one row, however often it is started')
})

t.test('what fails is tried again later, with its cursor, and is told of', async t => {
  const { store, runtime, at } = await setting(t)
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
  const { store, runtime } = await setting(t)
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
  t.equal((await store.read('jobs_are_due', { slots: HERE, now: runtime.now() })).length, 1, 'it is settled, and due again for the next process')
})

t.test('a job whose process died is run by the next one', async t => {
  const first = await setting(t)
  await one(first.store, 'put_job', { job_key: 1, id: 'job_1', kind: 'work', unique_key: 'w', account_key: null, delivery_key: 7, due_at: NOW, now: NOW })
  await one(first.store, 'claim_jobs', { slots: HERE, now: NOW, owner: first.store.owner, epoch: first.store.epoch, limit: 1 })
  await first.store.close()
  const { store, runtime } = await setting(t, first.place)
  await one(store, 'adopt_jobs', { owner: store.owner, now: NOW })
  const work = counted(async () => null)
  const jobs = new Jobs({ store, runtime, handlers: { work: work.handler }, onError: () => {} })
  await jobs.start([])
  await work.run(1)
  await jobs.stop()
  t.match(work.runs, [{ kind: 'work', attempts: 2, deliveryKey: 7 }])
})

t.test('a claim that was kept and not answered is given back, and runs as if for the first time (GW_STORE_UNSURE)', async t => {
  const { store, runtime } = await setting(t)
  let mono = 0
  let lost = false
  const unsure: Store = {
    owner: store.owner, epoch: store.epoch, slots: store.slots, listen: async () => {}, tell: () => {}, nextKey: table => store.nextKey(table), healthy: () => true, close: async () => {}, read: (name, params) => store.read(name, params),
    async commit (unit) {
      const results = await store.commit(unit)
      if (lost || unit[0]?.name !== 'claim_jobs') return results
      lost = true
      throw new GatewayError('GW_STORE_UNSURE', 'Nobody knows.')
    }
  }
  let end = (): void => {}
  const long = counted(() => new Promise(resolve => { end = () => { resolve(null) } }))
  const work = counted(async () => null)
  const put = (kind: string) => one(store, 'put_job', { job_key: store.nextKey('jobs'), id: `job_${kind}`, kind, unique_key: kind, account_key: null, delivery_key: null, due_at: NOW, now: NOW })
  const errors: unknown[] = []
  const jobs = new Jobs({ store: unsure, runtime: { ...runtime, mono: () => mono += 10_000 }, handlers: { work: work.handler, long: long.handler }, onError: error => { errors.push((error as GatewayError).code) } })
  await put('work')
  await jobs.start([])
  await until('the claim was lost', () => lost)
  await put('long')
  await work.run(1)
  t.match(work.runs, [{ attempts: 1 }])
  t.strictSame(errors, ['GW_STORE_UNSURE'])
  t.match(await store.read('job', { id: 'job_long' }), [{ owner: store.owner, attempts: 1 }], 'what runs is left alone, however long it takes')
  end()
  await jobs.stop()
  t.equal(long.runs.length, 1)
})

t.test('a store that takes nothing does not end the process', async t => {
  const { store, runtime } = await setting(t)
  const told = new Promise<unknown>(resolve => {
    const failing: Store = { ...store, owner: store.owner, epoch: store.epoch, slots: store.slots, nextKey: table => store.nextKey(table), healthy: () => false, close: async () => {}, commit: unit => store.commit(unit), read: async () => { throw new Error('no reads') } }
    const jobs = new Jobs({ store: failing, runtime, handlers: {}, onError: (error, job) => { void jobs.stop().then(() => { resolve([(error as Error).message, job]) }) } })
    void jobs.start(['sweep'])
  })
  t.strictSame(await told, ['no reads', null])
})

t.test('a payload goes thirty days after its delivery ended; the identity with it, and then the event is new', async t => {
  const { store, runtime, at } = await setting(t)
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
  const { store, runtime, at } = await setting(t)
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

t.test('a call that belongs to no delivery is forgotten when no window counts it any more, and no other call', async t => {
  const { store, place: here, runtime, at } = await setting(t)
  const shop = await place(store)
  const event = await put(store, shop)
  await claim(store, shop)
  await store.commit([startStep(store, event.deliveryKey, { accountKey: shop.accountKey }), settleStep(store, event.deliveryKey, { state: STATE.waiting, due_at: NOW, finished_at: null })])
  const asked = async (settledAt: number | null, outcome: string | null) => {
    const key = store.nextKey('calls')
    await one(store, 'open_call', { call_key: key, account_key: shop.accountKey, lane: 'messages', reserved_at: NOW, request_head: 'GET /messages' })
    if (outcome !== null) await one(store, 'close_call', { call_key: key, settled_at: settledAt, status: null, outcome })
  }
  await Promise.all(Array.from({ length: 250 }, () => asked(NOW, 'answer')))
  await asked(NOW + 2 * HOUR_MS, 'no_answer')
  await asked(null, 'not_sent')
  await asked(null, null)
  await store.commit([{ name: 'release_queues', params: { keys: `[${event.deliveryKey}]` } }])
  await claim(store, shop)
  await store.commit([archiveStep(store, event.deliveryKey), startStep(store, event.deliveryKey, { accountKey: shop.accountKey }), settleStep(store, event.deliveryKey)])
  const left = async () => (await query(here, 'select outcome, count(*) as n from calls group by outcome order by outcome nulls first')).map(({ outcome, n }) => [outcome, n])
  const handler = retention({ store, runtime, payloadMs: 30 * DAY_MS, identityMs: 30 * DAY_MS, digest })

  at(NOW + 25 * HOUR_MS - 1)
  t.strictSame(await handler(job()), { dueAt: runtime.now() + HOUR_MS, cursor: null })
  t.strictSame(await left(), [[null, 1], ['answer', 250], ['delivered', 1], ['no_answer', 1], ['not_sent', 1]])
  at(NOW + 25 * HOUR_MS)
  t.match(await handler(job()), { dueAt: runtime.now() + 1000 }, 'in slices, the next one soon')
  t.match(await handler(job()), { dueAt: runtime.now() + HOUR_MS })
  t.strictSame(await left(), [[null, 1], ['delivered', 1], ['no_answer', 1]], 'what is open, or came to its end later, stays; and what belongs to a delivery')
  at(NOW + 27 * HOUR_MS)
  await handler(job())
  t.strictSame(await left(), [[null, 1], ['delivered', 1]])
  const plan = await query(here, `explain ${storeKind === 'sqlite' ? 'query plan' : ''} select call_key from calls where delivery_key is null order by call_key limit 200`)
  t.match(JSON.stringify(plan), /(INDEX|Index Scan using|Index Only Scan using) calls_questions/)
})

t.test('what is held too long expires, and what lasts longer does not stand in its way', async t => {
  const { store, runtime, at } = await setting(t)
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

t.test('a job that is asked for while it runs is not run beside itself, and runs anew afterwards', async t => {
  const { store, runtime } = await setting(t)
  const ask = () => one(store, 'put_job', { job_key: store.nextKey('jobs'), id: `job_${runtime.id('job_')}`, kind: 'work', unique_key: 'w', account_key: null, delivery_key: null, due_at: NOW, now: NOW })
  let open = 0
  const work = counted(async (_job, run) => {
    t.equal(++open, 1)
    if (run === 1) await ask()
    open--
    return null
  })
  await ask()
  const jobs = new Jobs({ store, runtime, handlers: { work: work.handler }, onError: error => { t.fail(String(error)) } })
  await jobs.start([])
  await work.run(2)
  await jobs.stop()
  t.strictSame(work.runs.map(({ attempts, cursor }) => [attempts, cursor]), [[1, null], [1, null]])
  t.equal((await store.read('jobs_are_due', { slots: HERE, now: NOW })).length, 0)
})

t.test('more than run at one time are gone through without waiting for the next look', async t => {
  const { store, runtime } = await setting(t)
  const count = 150
  await Promise.all(Array.from({ length: count }, (_, i) => one(store, 'put_job', { job_key: store.nextKey('jobs'), id: `job_${i}`, kind: 'work', unique_key: `w${i}`, account_key: null, delivery_key: null, due_at: NOW, now: NOW })))
  let looks = 0
  const between: Store = {
    owner: store.owner, epoch: store.epoch, slots: store.slots, listen: async () => {}, tell: () => {}, nextKey: table => store.nextKey(table), healthy: () => true, close: async () => {}, read: (name, params) => store.read(name, params),
    commit (unit) {
      if (unit.some(({ name }) => name === 'claim_jobs')) looks++
      return store.commit(unit)
    }
  }
  const work = counted(async () => null)
  const jobs = new Jobs({ store: between, runtime, handlers: { work: work.handler }, onError: error => { t.fail(String(error)) } })
  await jobs.start([])
  const startedAt = performance.now()
  await work.run(count)
  t.ok(performance.now() - startedAt < 6000, 'eight ticks of a second otherwise')
  await jobs.stop()
  t.ok(looks >= count / 20)
  t.equal(new Set(work.runs.map(({ uniqueKey }) => uniqueKey)).size, count, 'each once')
  t.equal(work.runs.length, count)
})
