import t from 'tap'
import { setTimeout as wait } from 'node:timers/promises'
import { ALL_SLOTS, type StoreEvents } from '../../gateway/contract.ts'
import { openPostgres, type PostgresStore } from '../../gateway/store/postgres/store.ts'
import { database, haveNoPostgres } from '../helpers/postgres.ts'
import { until } from '../helpers/fake-runtime.ts'
import { DAY_MS } from '../helpers/make.ts'

const LEASE_MS = 1500
const EVENTS: StoreEvents = { taken: async () => {}, asked: async () => {}, lost: () => {}, work: () => {}, news: () => {}, onError: () => {} }

t.test('R60: leases and times are the database\'s: an instance whose own clock is wrong keeps what it has, and takes nothing early', { skip: haveNoPostgres }, async t => {
  const url = await database(t)
  const open = async (): Promise<PostgresStore> => {
    const store = await openPostgres({ url, pool: 1, leaseMs: LEASE_MS, allowDataLoss: false, mono: () => performance.now(), onError () {} })
    t.teardown(() => store.close())
    await store.listen(EVENTS)
    return store
  }
  const { now } = Date
  t.teardown(() => { Date.now = now })
  const first = await open()
  t.strictSame(first.slots.mine.toSorted((a, b) => a - b), ALL_SLOTS)
  const epochs = ALL_SLOTS.map(slot => first.slots.epoch(slot))
  for (const apartMs of [-DAY_MS, DAY_MS]) {
    Date.now = () => now() + apartMs
    await wait(LEASE_MS * 1.5) // renewed in between, or it would have run out
    t.ok(Math.abs(first.now() - now()) < DAY_MS / 2, 'it has the database\'s time')
    await until('it has what it had', () => ALL_SLOTS.every(slot => first.slots.epoch(slot) === epochs[slot]))
  }
  const second = await open()
  const both = [...first.slots.mine, ...second.slots.mine]
  t.equal(new Set(both).size, both.length, 'no account is worked on by two')
})
