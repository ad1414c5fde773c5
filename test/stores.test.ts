// Whatever runs on a store runs on both (R29): a file that opens one has its twin, or its reason.

import { posix } from 'node:path'
import t from 'tap'
import { sources } from './helpers/sources.ts'

const OPENS = new Set(['test/helpers/stores.ts', 'gateway/store/sqlite.ts', 'gateway/store/postgres/store.ts', 'node:sqlite', 'test/e2e/world.ts', 'test/helpers/gateway-process.ts'])

/** Files without a twin, each with its reason. Single tests say it themselves: onlySqlite. */
const ALONE: Record<string, string> = {
  'test/app/scaled-out.test.ts': 'several instances, on PostgreSQL alone',
  'test/conformance/store.test.ts': 'it runs on both by itself',
  'test/e2e/consumers.test.ts': 'several instances, on PostgreSQL alone',
  'test/e2e/database.test.ts': 'faults of a database, on PostgreSQL alone',
  'test/e2e/disk.test.ts': 'the disk of a SQLite file fills up',
  'test/e2e/failpoints-send.test.ts': 'test/e2e/crash.postgres.test.ts has the same with the lease in view',
  'test/e2e/failpoints.test.ts': 'test/e2e/crash.postgres.test.ts has the same with the lease in view',
  'test/e2e/handover.test.ts': 'several instances, on PostgreSQL alone',
  'test/e2e/instances.test.ts': 'several instances, on PostgreSQL alone',
  'test/e2e/io.test.ts': 'the disk of a SQLite file fails',
  'test/e2e/kill.test.ts': 'test/e2e/crash.postgres.test.ts has the same with the lease in view',
  'test/e2e/order.test.ts': 'the system calls that write a SQLite file',
  'test/e2e/power.test.ts': 'the power of the disk below a SQLite file',
  'test/e2e/refresh.test.ts': 'several instances, on PostgreSQL alone',
  'test/e2e/scarce.test.ts': 'memory and descriptors of the process, whatever the store',
  'test/e2e/start.test.ts': 'a SQLite file that is damaged, locked or unsafe; test/postgres/start.test.ts for a database',
  'test/e2e/takeover.test.ts': 'it runs on both by itself',
  'test/faults/mixed.test.ts': 'the others of test/faults, at once and as a process',
  'test/model/model.test.ts': 'a model beside the embedded store',
  'test/shops/setup-disk.test.ts': 'the disk of a SQLite file fills up',
  'test/shops/webhooks.test.ts': 'it opens none: rows are given',
  'test/store/failed-write.test.ts': 'writes to a SQLite file',
  'test/store/file.test.ts': 'a SQLite file',
  'test/store/migrate.test.ts': 'older SQLite files',
  'test/store/sqlite.test.ts': 'SQLite'
}
/** What is tested there is no store's, the gateway is only started; or PostgreSQL itself. */
const NO_STORE = /^test\/(postgres|cli|config|readme|sources\/load|providers|removal|app\/access|simulation)\b/

const texts = new Map(sources(['test']).map(({ path, text }) => [path, text]))
const isTwin = (path: string): boolean => path.endsWith('.postgres.test.ts')

/** Whatever a file imports, and what that does in turn. */
function reach (path: string, seen = new Set<string>()): Set<string> {
  for (const [, to = ''] of (texts.get(path) ?? '').matchAll(/(?:from |import |import\()'([^']+)'/g)) {
    const found = to.startsWith('.') ? posix.join(posix.dirname(path), to) : to
    if (seen.has(found)) continue
    seen.add(found)
    reach(found, seen)
  }
  return seen
}

const opens = (path: string): boolean => [...reach(path)].some(found => OPENS.has(found))
const files = [...texts.keys()].filter(path => path.endsWith('.test.ts') && !isTwin(path))

t.test('R29: each test file that opens a store has a twin that runs it on PostgreSQL', async t => {
  const tests = files.filter(path => opens(path) && !NO_STORE.test(path))
  t.ok(tests.length > 30, 'they are found')
  t.strictSame(tests.filter(path => !Object.hasOwn(ALONE, path) && !texts.has(path.replace('.test.ts', '.postgres.test.ts'))), [])
})

t.test('no file is said to be alone that is not there, or opens nothing', async t => {
  t.strictSame(Object.keys(ALONE).filter(path => !texts.has(path) || !opens(path)), [])
})

t.test('a twin runs its file whole, and none is left over', async t => {
  for (const [path, text] of texts) {
    if (!isTwin(path) || !text.includes('on-postgres.ts')) continue
    const name = posix.basename(path).replace('.postgres', '')
    t.ok(texts.has(path.replace('.postgres', '')), `${path} has a file to run`)
    t.match(text, `await onPostgres(() => import('./${name}'))`, path)
  }
})
