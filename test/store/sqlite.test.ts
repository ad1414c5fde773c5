// What is particular to the embedded store: its file, its locks, its disk.

import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import type { Extensible, Row, Store } from '../../gateway/contract.ts'
import { migrations } from '../../gateway/store/migrate.ts'
import { openSqlite } from '../../gateway/store/sqlite.ts'
import { positional, STATEMENTS } from '../../gateway/store/statements.ts'
import { ALL, eventOf, NOW, place, put } from '../conformance/store-rows.ts'
import { tempDir } from '../helpers/tmp.ts'

const FAILED = { code: 'GW_STORE_FAILED' }

function open (t: Test, path = join(tempDir(t), 'gateway.db')): { store: Store & Extensible, path: string } {
  const store = openSqlite({ path, now: () => NOW })
  t.teardown(() => store.close())
  return { store, path }
}

/** Asks the store's own connection, which no other one can look into. */
async function pragma (store: Store & Extensible, text: string): Promise<Row> {
  const name = `test: ${text}`
  await store.extend({ prefix: 'test: ', migrations: null, statements: () => ({ [name]: `pragma ${text}` }) })
  return (await store.read(name, {}))[0] as Row
}

/** Another connection to the same file. */
function beside (t: Test, path: string): DatabaseSync {
  const db = new DatabaseSync(path)
  t.teardown(() => { if (db.isOpen) db.close() })
  return db
}

t.test('an accepted event survives a power cut: the log is written ahead, and every commit waits for the disk', async t => {
  const { store, path } = open(t)
  t.match(await pragma(store, 'journal_mode'), { journal_mode: 'wal' })
  t.match(await pragma(store, 'synchronous'), { synchronous: 2 })
  t.match(await pragma(store, 'foreign_keys'), { foreign_keys: 1 })
  t.ok(existsSync(`${path}-wal`))
})

t.test('#92: what was erased is not in the file any more, once its log is folded back', async t => {
  const { store, path } = open(t)
  const at = await place(store)
  await Promise.all(Array.from({ length: 50 }, () => put(store, at, { data: JSON.stringify({ phone: '+12015550123' }) })))
  await pragma(store, 'wal_checkpoint(truncate)')
  t.match(readFileSync(path, 'latin1'), /\+12015550123/)
  await store.extend({ prefix: 'test: ', migrations: null, statements: () => ({ 'test: erase': 'update events set data = null' }) })
  await store.commit([{ name: 'test: erase', params: {} }])
  await pragma(store, 'wal_checkpoint(truncate)')
  t.notMatch(readFileSync(path, 'latin1'), /\+12015550123/)
})

t.test('the file is whole after work, by SQLite\'s own word', async t => {
  const { store, path } = open(t)
  const at = await place(store)
  await Promise.all(Array.from({ length: 200 }, () => put(store, at)))
  t.strictSame({ ...beside(t, path).prepare('pragma integrity_check').get() }, { integrity_check: 'ok' })
})

t.test('migrations are numbered without a gap, and a file has all of them', async t => {
  const all = migrations('sqlite')
  t.strictSame(all.map(({ version }) => version), all.map((_, i) => i + 1))
  const { store } = open(t)
  t.match(await pragma(store, 'user_version'), { user_version: all.length })
})

t.test('a file of a newer version is left alone', async t => {
  const path = join(tempDir(t), 'gateway.db')
  await openSqlite({ path, now: () => NOW }).close()
  const db = beside(t, path)
  db.exec('pragma user_version = 99')
  db.close()
  const before = hash(path)
  t.throws(() => openSqlite({ path, now: () => NOW }), { code: 'GW_STORE_NEWER' })
  t.equal(hash(path), before)
  t.throws(() => openSqlite({ path, now: () => NOW }), { code: 'GW_STORE_NEWER' }, 'and not locked by the attempt')
})

t.test('a file that is no database is left alone', async t => {
  const dir = tempDir(t)
  for (const [name, content] of Object.entries({ text: 'this is no database, and longer than a header has to be. '.repeat(20), json: '{"a":1}', header: `SQLite format 3\0${'x'.repeat(4000)}` })) {
    const path = join(dir, name)
    writeFileSync(path, content)
    t.throws(() => openSqlite({ path, now: () => NOW }), { code: 'GW_STORE_UNUSABLE' }, name)
    t.equal(readFileSync(path, 'utf8'), content, `${name} is as it was`)
  }
})

t.test('a place where no file can be is said so', async t => {
  const dir = tempDir(t)
  writeFileSync(join(dir, 'file'), '')
  t.throws(() => openSqlite({ path: join(dir, 'file', 'gateway.db'), now: () => NOW }), { code: 'GW_STORE_UNUSABLE' }, 'below a file')
  mkdirSync(join(dir, 'folder.db'))
  t.throws(() => openSqlite({ path: join(dir, 'folder.db'), now: () => NOW }), { code: 'GW_STORE_UNUSABLE' }, 'a folder')
  writeFileSync(join(dir, 'odd.db.lock'), 'no lock of ours'.repeat(100))
  t.throws(() => openSqlite({ path: join(dir, 'odd.db'), now: () => NOW }), { code: 'GW_STORE_UNUSABLE' }, 'a lock file that is none')
  chmodSync(dir, 0o700)
  await openSqlite({ path: join(dir, 'new', 'deep', 'gateway.db'), now: () => NOW }).close()
  t.ok(readdirSync(join(dir, 'new', 'deep')).includes('gateway.db'), 'folders that are missing are made')
})

t.test('a lock of another program passes: nothing is lost, and the event loop turns', async t => {
  const { store, path } = open(t)
  const at = await place(store)
  const other = beside(t, path)
  other.exec('begin immediate')
  const events = Array.from({ length: 5 }, () => eventOf(store, at))
  const order: string[] = []
  const given = Promise.all(events.map(event => store.commit(event.steps))).then(() => { order.push('answered') })
  let longestMs = 0
  const until = performance.now() + 300
  for (let last = performance.now(); last < until;) {
    await new Promise(resolve => { setTimeout(resolve, 1) })
    longestMs = Math.max(longestMs, performance.now() - last)
    last = performance.now()
  }
  t.equal((await store.read('list_deliveries', ALL)).length, 0, 'reading goes on')
  order.push('released')
  other.exec('commit')
  await given
  t.strictSame(order, ['released', 'answered'])
  t.ok(longestMs < 150, `the longest turn took ${Math.round(longestMs)} ms`)
  t.equal((await store.read('list_deliveries', ALL)).length, 5)
  t.equal(store.healthy(), true)
})

t.test('a full disk: nothing is answered as kept that is not, and it goes on when there is room', async t => {
  const { store, path } = open(t)
  const at = await place(store)
  const first = await put(store, at)
  const { page_count: pages } = await pragma(store, 'page_count')
  await pragma(store, `max_page_count = ${Number(pages)}`)
  const large = JSON.stringify({ text: 'x'.repeat(60_000) })
  const refused = await Promise.allSettled(Array.from({ length: 5 }, () => store.commit(eventOf(store, at, { data: large }).steps)))
  t.ok(refused.every(({ status }) => status === 'rejected'))
  for (const result of refused) t.match((result as PromiseRejectedResult).reason, FAILED)
  t.equal(store.healthy(), false)
  t.strictSame((await store.read('list_deliveries', ALL)).map(({ id }) => id), [first.id])
  await pragma(store, 'max_page_count = 1000000')
  const second = await put(store, at, { data: large })
  t.equal(store.healthy(), true)
  await store.close()
  t.strictSame((await open(t, path).store.read('list_deliveries', ALL)).map(({ id }) => id), [second.id, first.id])
})

t.test('a file that is damaged while it is open: what cannot be trusted is not written on', async t => {
  const { store, path } = open(t)
  const at = await place(store)
  await Promise.all(Array.from({ length: 300 }, () => put(store, at, { data: JSON.stringify({ text: 'x'.repeat(500) }) })))
  await pragma(store, 'wal_checkpoint(truncate)')
  await pragma(store, 'shrink_memory')
  await pragma(store, 'cache_size = 1')
  const bytes = readFileSync(path)
  bytes.fill(0x5a, 4096)
  writeFileSync(path, bytes)
  await t.rejects(put(store, at), FAILED)
  t.equal(store.healthy(), false)
  await t.rejects(put(store, at), FAILED)
  await pragma(store, 'cache_size = 1')
  t.equal(store.healthy(), false, 'for good')
})

t.test('a name becomes a place, the same name the same place', async t => {
  t.strictSame(positional('select :a, :b_c where x = :a and y > :b_c'), { sql: 'select ?1, ?2 where x = ?1 and y > ?2', names: ['a', 'b_c'] })
})

function hash (path: string): string { return createHash('sha256').update(readFileSync(path)).digest('hex') }

t.test('what is parked, and what is about one thing, is found by an index of its own', async t => {
  const { path } = open(t)
  const db = beside(t, path)
  for (const [name, index] of [['newest_parked_inbox_before', 'inbox_parked'], ['newest_inbox_of_subject_before', 'inbox_subject']] as const) {
    const { sql, names } = positional(STATEMENTS[name] as string)
    const plan = db.prepare(`explain query plan ${sql}`).all(...names.map(() => 1)).map(({ detail }) => String(detail)).join('; ')
    t.match(plan, new RegExp(`SEARCH inbox USING COVERING INDEX ${index}\\b`), name)
    t.notMatch(plan, /SCAN/)
  }
})
