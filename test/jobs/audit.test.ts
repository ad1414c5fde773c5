// The audit: what is found, when it is believed, and what the metric says meanwhile (R90: the invariant as a metric).

import t, { type Test } from 'tap'
import type { Store } from '../../gateway/contract.ts'
import { audit, unaccounted, type Unaccounted } from '../../gateway/jobs/audit.ts'
import type { Job } from '../../gateway/jobs/runner.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { eventOf, NOW, one, place, put, type Put } from '../conformance/store-rows.ts'
import { eventType } from '../helpers/make.ts'
import { newPlace, openAlone, query } from '../helpers/stores.ts'

/** Of three deliveries. */
const SECOND = 'delivery_key = (select min(delivery_key) + 1 from deliveries)'
const MESSAGE = { 'thing.happened': eventType({ type: 'thing.happened' }) }
const RECORDED = { 'thing.happened': { type: 'thing.happened', schema: '/none', person: null } }

interface Setting {
  store: Store
  found: Unaccounted[]
  /** Runs the job once, as it left off. Returns in how many milliseconds it runs again. */
  run (): Promise<number>
  /** Until it has been through everything. */
  pass (): Promise<void>
  configure (config: Parameters<typeof audit>[0]['config'] extends () => infer C ? C : never): void
  /** As somebody would who writes in the database. */
  spoil (sql: string): Promise<unknown>
}

async function setting (t: Test): Promise<Setting> {
  const at = await newPlace(t)
  let now = NOW
  const store = await openAlone(t, at, () => now)
  await one(store, 'put_job', { job_key: store.nextKey('jobs'), id: 'job_1', kind: 'audit', unique_key: 'audit', account_key: null, delivery_key: null, due_at: NOW, now: NOW })
  const found: Unaccounted[] = []
  let config: { eventTypes: object, recordedTypes: object } = { eventTypes: MESSAGE, recordedTypes: {} }
  const handler = audit({ store, runtime: { ...systemRuntime(), now: () => now }, config: () => config as never, onFound: one => { found.push(one) } })
  const made: Setting = {
    store,
    found,
    async run () {
      const [row] = await store.read('audited', {})
      const job: Job = { key: 1, kind: 'audit', uniqueKey: 'audit', accountKey: null, deliveryKey: null, attempts: 1, cursor: row?.cursor as string | null }
      const result = await handler(job)
      await made.spoil(`update jobs set cursor = '${result?.cursor}'`)
      const inMs = (result?.dueAt ?? 0) - now
      now += inMs
      return inMs
    },
    async pass () { for (;;) if (await made.run() >= 600_000) return },
    configure (next) { config = next },
    spoil: sql => query(at, sql)
  }
  return made
}

/** Large enough for several slices. */
async function many (store: Store, count: number): Promise<Put[]> {
  const at = await place(store)
  const events = Array.from({ length: count }, () => eventOf(store, at))
  await store.commit(events.flatMap(({ steps }) => steps))
  return events
}

t.test('A9: where everything is accounted for the audit finds nothing, and runs again in ten minutes', async t => {
  const { store, run, found } = await setting(t)
  await many(store, 1200)
  t.strictSame([await run(), await run(), await run(), await run()], [1000, 1000, 1000, 600_000], 'three slices of 500, and the end')
  t.strictSame(found, [])
  t.equal(await unaccounted(store), 0)
})

t.test('A9: a delivery that would never be sent is counted and told of, once it was seen so twice, a minute apart', async t => {
  const { store, run, pass, found, spoil } = await setting(t)
  const events = await many(store, 700)
  const ids = [650, 651].map(n => events[n]?.id as string)
  await spoil(`update deliveries set due_at = null where id in ('${ids.join("','")}')`)
  t.equal(await run(), 1000)
  t.equal(await run(), 60_000, 'the second slice is looked at again')
  t.strictSame(found, [])
  t.equal(await unaccounted(store), 0)
  await run()
  t.strictSame(found, [{ fault: 'never_due', count: 2, ids }])
  t.equal(await unaccounted(store), 2, 'before the pass has ended')
  await run()
  t.equal(await unaccounted(store), 2, 'after it')
  await spoil(`update deliveries set due_at = ${NOW} where due_at is null`)
  await pass()
  t.equal(await unaccounted(store), 0, 'put right by hand')
})

t.test('A9: what was put right, or taken over, before it is looked at again counts for nothing', async t => {
  const { store, run, pass, found, spoil } = await setting(t)
  await many(store, 3)
  await spoil(`update deliveries set owner = 99, epoch = 99, due_at = null where ${SECOND}`)
  t.equal(await run(), 60_000)
  await spoil(`update deliveries set owner = null, due_at = ${NOW} where ${SECOND}`)
  await pass()
  t.strictSame(found, [])
  t.equal(await unaccounted(store), 0)
})

for (const [fault, sql] of Object.entries({
  event_gone: 'delete from events where event_key = (select min(event_key) + 1 from events)',
  queue_gone: `update deliveries set queue_key = 99 where ${SECOND}`,
  no_state: `update deliveries set state = 7 where ${SECOND}`,
  claimed_and_due: `update deliveries set owner = 1 where ${SECOND}`,
  ended_and_goes_on: `update deliveries set finished_at = 1 where ${SECOND}`,
  ended_without_time: `update deliveries set state = 5, due_at = null where ${SECOND}`,
  sent_by_nobody: `update deliveries set state = 2, due_at = null where ${SECOND}`,
  owner_gone: `update deliveries set owner = 99, epoch = 99, due_at = null where ${SECOND}`,
  never_due: `update deliveries set due_at = null where ${SECOND}`,
  nobody_asks: `update deliveries set state = 4, due_at = null where ${SECOND}`,
  no_delivery: `delete from deliveries where ${SECOND}`
})) {
  t.test(`A9: the audit finds ${fault}`, async t => {
    const { store, pass, found, spoil } = await setting(t)
    await many(store, 3)
    await spoil(sql)
    await pass()
    t.match(found, [{ fault, count: 1 }])
    t.equal(found.length, 1)
    t.equal(await unaccounted(store), 1)
  })
}

t.test('A9: the audit finds a queue that nobody looks at, though something in it is due, and wakes it', async t => {
  const { store, pass, found, spoil } = await setting(t)
  await many(store, 3)
  await spoil('update queues set ready = 0, next_due_at = null')
  t.strictSame(await store.read('ready_accounts', { after: 0, limit: 10 }), [])
  await pass()
  t.match(found, [{ fault: 'overslept', count: 3 }])
  t.equal((await store.read('ready_accounts', { after: 0, limit: 10 })).length, 1)
  await pass()
  t.equal(found.length, 1, 'and finds it in order from then on')
})

t.test('A9: events need no delivery that came while their type made none, also after it was changed to make one', async t => {
  const { store, pass, found, configure } = await setting(t)
  const { shopKey } = await place(store)
  const alone = (n: number, at: number) => one(store, 'insert_event', { event_key: store.nextKey('events'), id: `evt_${n}`, shop_key: shopKey, source: '/test', source_id: `s${n}`, type: 'thing.happened', time_at: at, received_at: at, person: null, data: '{}' })
  configure({ eventTypes: {}, recordedTypes: RECORDED })
  await alone(1, NOW)
  await pass()
  configure({ eventTypes: MESSAGE, recordedTypes: {} })
  await pass()
  t.strictSame(found, [])
  await alone(2, NOW + 3_600_000)
  await pass()
  t.match(found, [{ fault: 'no_delivery', count: 1, ids: ['evt_2'] }])
})

t.test('A9: of many the first ten are named', async t => {
  const { store, pass, found, spoil } = await setting(t)
  const at = await place(store)
  for (let i = 0; i < 12; i++) await put(store, at)
  await spoil('update deliveries set due_at = null')
  await pass()
  t.match(found, [{ fault: 'never_due', count: 12 }])
  t.equal(found[0]?.ids.length, 10)
})
