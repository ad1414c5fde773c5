import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Store, StoreEvents } from '../../gateway/contract.ts'
import { openPostgres } from '../../gateway/store/postgres/store.ts'
import { openSqlite } from '../../gateway/store/sqlite.ts'
import { database, emptied, haveNoPostgres } from '../helpers/postgres.ts'
import { tempDir } from '../helpers/tmp.ts'
import { storeSuite, type Opened } from './store.ts'

let now = 1_800_000_000_000
const LEASE_MS = 30_000

const nothing: StoreEvents = { taken: async () => {}, asked: async () => {}, lost: () => {}, work: () => {}, news: () => {}, onError: error => { throw error } }

/** Opened again it is another instance, which has every account. */
async function opened (t: Test, open: () => Promise<Store>, alone: boolean): Promise<Opened> {
  const listening = async (): Promise<Store> => {
    const store = await open()
    await store.listen(nothing)
    return store
  }
  let store = await listening()
  t.teardown(() => store.close())
  return {
    store,
    async reopen () {
      await store.close()
      store = await listening()
      return store
    },
    again: alone ? open : null
  }
}

await storeSuite(t, 'sqlite', async t => {
  const path = join(tempDir(t), 'gateway.db')
  return await opened(t, async () => openSqlite({ path, now: () => now++ }), true)
})

if (haveNoPostgres) t.test('store postgres', { skip: haveNoPostgres }, async () => {})
else {
  // One database, emptied for each test: to make one takes longer than most of the tests.
  const url = await database(t)
  const open = () => openPostgres({ url, pool: 2, leaseMs: LEASE_MS, allowDataLoss: false, mono: () => performance.now(), onError: error => { t.comment(String(error)) } })
  await storeSuite(t, 'postgres', async t => {
    t.teardown(() => emptied(url)) // after the store was closed
    return await opened(t, open, false)
  })
}
