import { join } from 'node:path'
import t from 'tap'
import type { Store } from '../../gateway/contract.ts'
import { openSqlite } from '../../gateway/store/sqlite.ts'
import { tempDir } from '../helpers/tmp.ts'
import { storeSuite } from './store.ts'

let now = 1_800_000_000_000

await storeSuite(t, 'sqlite', async t => {
  const path = join(tempDir(t), 'gateway.db')
  const open = async (): Promise<Store> => openSqlite({ path, now: () => now++ })
  let store = await open()
  t.teardown(() => store.close())
  return {
    store,
    async reopen () {
      await store.close()
      store = await open()
      return store
    },
    again: open
  }
})
