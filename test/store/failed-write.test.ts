// A write to disk that fails under many: who is told, what is kept, and what the store says of itself.
// A full disk, of which nothing was kept and which passes, is in sqlite.test.ts.

import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Step, Store } from '../../gateway/contract.ts'
import { openSqlite } from '../../gateway/store/sqlite.ts'
import { ALL, eventOf, NOW, place, put, type Place } from '../conformance/store-rows.ts'
import { tempDir } from '../helpers/tmp.ts'

const FAILED = { code: 'GW_STORE_FAILED' }
/** SQLite's own number. */
const IOERR = 10
/** A unit of so many events is more than goes into a transaction with others. */
const EVENTS_OF_A_GROUP = 700

async function open (t: Test, path = join(tempDir(t), 'gateway.db')): Promise<{ store: Store, path: string, at: Place }> {
  const store = openSqlite({ path, now: () => NOW })
  t.teardown(() => store.close())
  return { store, path, at: await place(store) }
}

/** The disk fails at one commit, the `nth` from now, and is well again. Returns how many were tried. */
function failingDisk (t: Test, nth: number): { commits: () => number } {
  const { exec } = DatabaseSync.prototype
  let commits = 0
  DatabaseSync.prototype.exec = function (sql) {
    if (sql === 'commit' && ++commits === nth) throw Object.assign(new Error('disk I/O error'), { errcode: IOERR })
    exec.call(this, sql)
  }
  t.teardown(() => { DatabaseSync.prototype.exec = exec })
  return { commits: () => commits }
}

const unit = (store: Store, at: Place, events = 1): Step[] => Array.from({ length: events }, () => eventOf(store, at).steps).flat()
const ids = async (store: Store) => (await store.read('list_deliveries', ALL)).map(({ id }) => id)

t.test('a failed write refuses all units that wait, those of later transactions too; nothing is written after it', async t => {
  const { store, path, at } = await open(t)
  const first = await put(store, at)
  const disk = failingDisk(t, 1)
  const together = Array.from({ length: 5 }, () => unit(store, at))
  const given = [...together, unit(store, at, EVENTS_OF_A_GROUP), unit(store, at)]
  for (const result of await Promise.allSettled(given.map(one => store.commit(one)))) t.match(result, { status: 'rejected', reason: FAILED })
  t.equal(disk.commits(), 1, 'the later ones were not even tried')
  t.equal(store.healthy(), false)
  await t.rejects(put(store, at), FAILED, 'whatever the disk says by now')
  t.equal(disk.commits(), 1)
  t.equal(store.healthy(), false, 'for good')
  t.strictSame(await ids(store), [first.id], 'reading goes on')
  await store.close()
  const next = await open(t, path)
  t.strictSame(await ids(next.store), [first.id], 'none of what was refused is there')
  t.equal(next.store.healthy(), true, 'the next process starts anew')
  await put(next.store, next.at)
})

t.test('a write that fails while the units of a group are tried one by one refuses those that are left', async t => {
  const { store, at } = await open(t)
  const events = Array.from({ length: 4 }, () => eventOf(store, at))
  const faulty = unit(store, at).map((step, i) => i === 0 ? { ...step, params: { ...step.params, id: null } } : step)
  const disk = failingDisk(t, 2)
  const given = [events[0]?.steps, events[1]?.steps, faulty, events[2]?.steps, events[3]?.steps] as Step[][]
  const results = await Promise.allSettled(given.map(one => store.commit(one)))
  t.strictSame(results.map(({ status }) => status), ['fulfilled', 'rejected', 'rejected', 'rejected', 'rejected'])
  for (const result of results.slice(1)) t.match(result, { reason: FAILED })
  t.equal(disk.commits(), 2)
  t.equal(store.healthy(), false)
  t.strictSame(await ids(store), [events[0]?.id])
})
