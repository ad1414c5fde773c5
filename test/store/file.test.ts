// R9, R5: a file that is damaged, cut off, foreign, too new or without its log is refused with words, and left as it was.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { checkSqlite } from '../../gateway/store/file.ts'
import { openSqlite } from '../../gateway/store/sqlite.ts'
import { seeded } from '../campaign/seed.ts'
import { ALL, NOW, place, put } from '../conformance/store-rows.ts'
import { tempDir } from '../helpers/tmp.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const UNUSABLE = { code: 'GW_STORE_UNUSABLE' }
const EVENTS = 200
const WITHIN_MS = 5000

const open = (path: string) => openSqlite({ path, now: () => NOW })
const hash = (path: string): string | null => existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : null
const hashes = (path: string) => [hash(path), hash(`${path}-wal`)]

/** A file with events in it, closed. */
async function filled (t: { teardown (clean: () => unknown): void }): Promise<string> {
  const path = join(tempDir(t), 'gateway.db')
  const store = open(path)
  const at = await place(store)
  await Promise.all(Array.from({ length: EVENTS }, () => put(store, at, { data: JSON.stringify({ text: 'x'.repeat(300) }) })))
  await store.close()
  return path
}

/** One whose process was killed: the newest commits are in its log. Answers how many events were answered as kept. */
function killed (t: { teardown (clean: () => unknown): void }): { path: string, kept: number } {
  const path = join(tempDir(t), 'gateway.db')
  const code = `
    const { openSqlite } = await import('${ROOT}/gateway/store/sqlite.ts')
    const { NOW, place, put } = await import('${ROOT}/test/conformance/store-rows.ts')
    const store = openSqlite({ path: ${JSON.stringify(path)}, now: () => NOW })
    const at = await place(store)
    for (let i = 0; i < 20; i++) await put(store, at)
    process.kill(process.pid, 'SIGKILL')`
  const { signal, stderr } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', code], { encoding: 'utf8' })
  if (signal !== 'SIGKILL') throw new Error(stderr)
  return { path, kept: 20 }
}

/** Refused in time, by this code, and not a byte of the file or its log is another. */
function refused (t: Test, path: string, expected: object, words: RegExp, what: string): void {
  const before = hashes(path)
  const startedAt = performance.now()
  let error: unknown
  try { void open(path).close() } catch (caught) { error = caught }
  t.match(error, expected, what)
  t.match((error as Error | undefined)?.message, words, what)
  t.ok(performance.now() - startedAt < WITHIN_MS, `${what}: at once`)
  t.strictSame(hashes(path), before, `${what}: nothing was written`)
}

t.test('R9: a file that is cut off anywhere is refused and left as it was', async t => {
  const path = await filled(t)
  const whole = readFileSync(path)
  const random = seeded(9)
  for (let i = 0; i < 20; i++) {
    const length = 1 + Math.floor(random() * (whole.length - 1))
    writeFileSync(path, whole.subarray(0, length))
    refused(t, path, UNUSABLE, /gateway\.db is (cut off|no SQLite file|damaged)/, `${length} of ${whole.length} bytes`)
  }
  writeFileSync(path, whole)
  const store = open(path)
  t.equal((await store.read('list_deliveries', { ...ALL, limit: EVENTS + 1 })).length, EVENTS, 'the whole one is taken')
  await store.close()
})

t.test('R9: after a random bit is flipped the start refuses the file and leaves it alone, or all that SQLite holds together is whole', async t => {
  const path = await filled(t)
  const whole = readFileSync(path)
  const random = seeded(99)
  let refusals = 0
  for (let i = 0; i < 50; i++) {
    const bytes = Buffer.from(whole)
    // Every other one in the header, where the form of the file is written.
    const at = Math.floor(random() * (i % 2 === 0 ? 100 : bytes.length))
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << Math.floor(random() * 8)), at)
    writeFileSync(path, bytes)
    const before = hashes(path)
    const startedAt = performance.now()
    try {
      await open(path).close()
      const db = new DatabaseSync(path)
      t.equal(db.prepare('pragma quick_check').get()?.quick_check, 'ok', `byte ${at}`)
      db.close()
    } catch (error) {
      refusals++
      t.match((error as { code: string }).code, /^GW_STORE_(UNUSABLE|NEWER)$/, `byte ${at}: ${(error as Error).message}`)
      t.strictSame(hashes(path), before, `byte ${at}: nothing was written`)
    }
    t.ok(performance.now() - startedAt < WITHIN_MS)
    for (const end of ['-wal', '-shm', '.in-use']) rmSync(path + end, { force: true })
  }
  t.ok(refusals > 5, `${refusals} were refused`)
})

t.test('R9: without its log a file that was in use is refused, with the way out; with it nothing is missing', async t => {
  const { path, kept } = killed(t)
  renameSync(`${path}-wal`, `${path}-aside`)
  refused(t, path, UNUSABLE, /its log .*gateway\.db-wal is missing.*delete .*gateway\.db\.in-use/, 'the log is gone')
  writeFileSync(`${path}-wal`, '')
  refused(t, path, UNUSABLE, /is missing/, 'the log is empty')
  renameSync(`${path}-aside`, `${path}-wal`)
  renameSync(path, `${path}-aside`)
  refused(t, path, UNUSABLE, /is missing, and its log .* is there/, 'the file is gone')
  renameSync(`${path}-aside`, path)
  const store = open(path)
  t.equal((await store.read('list_deliveries', ALL)).length, kept, 'all of it was in the log')
  await store.close()
  t.notOk(existsSync(`${path}.in-use`), 'a file that was closed needs no log')
  await open(path).close()
})

t.test('R9: who restores a backup and says so by deleting the mark can start', async t => {
  const { path } = killed(t)
  const backup = await filled(t)
  copyFileSync(backup, path)
  for (const end of ['-wal', '-shm']) rmSync(path + end, { force: true })
  refused(t, path, UNUSABLE, /restored backup/, 'nobody has said so')
  rmSync(`${path}.in-use`)
  const store = open(path)
  t.equal((await store.read('list_deliveries', { ...ALL, limit: EVENTS + 1 })).length, EVENTS)
  await store.close()
})

t.test('R9: a database of another program is refused, whatever its version says, and so is one of a newer gateway', async t => {
  for (const version of [0, 1, 99]) {
    const path = join(tempDir(t), 'gateway.db')
    const db = new DatabaseSync(path)
    db.exec(`create table books (id integer primary key, title text); insert into books values (1, 'Emma'); pragma user_version = ${version}`)
    db.close()
    refused(t, path, UNUSABLE, /belongs to another program/, `version ${version}`)
    t.notOk(existsSync(`${path}-wal`), 'and no log was made beside it')
  }
  const path = await filled(t)
  const db = new DatabaseSync(path)
  db.exec('pragma user_version = 99')
  db.close()
  refused(t, path, { code: 'GW_STORE_NEWER' }, /version 99/, 'a newer one')
})

t.test('R9: a copy taken while it is written, without its log, is refused or whole', async t => {
  const path = join(tempDir(t), 'gateway.db')
  const store = open(path)
  const at = await place(store)
  const copy = join(tempDir(t), 'gateway.db')
  for (let i = 0; i < 5; i++) {
    await Promise.all(Array.from({ length: 50 }, () => put(store, at)))
    copyFileSync(path, copy)
    try {
      await open(copy).close()
      const db = new DatabaseSync(copy, { readOnly: true })
      t.equal(db.prepare('pragma integrity_check').get()?.integrity_check, 'ok')
      db.close()
    } catch (error) {
      t.match(error, UNUSABLE)
    }
    for (const end of ['', '-wal', '-shm', '.in-use']) rmSync(copy + end, { force: true })
  }
  await store.close()
})

t.test('R9: damage met while reading stops writing for good, and reading of what is whole goes on', async t => {
  const path = await filled(t)
  const store = open(path)
  t.teardown(() => store.close())
  const bytes = readFileSync(path)
  bytes.fill(0x5a, 8192)
  writeFileSync(path, bytes)
  await t.rejects(store.read('list_deliveries', { ...ALL, limit: EVENTS }), { code: 'GW_STORE_FAILED' })
  t.equal(store.healthy(), false)
  await t.rejects(store.commit([]), { code: 'GW_STORE_FAILED' })
})

t.test('R9: an empty file is a new one', async t => {
  const path = join(tempDir(t), 'gateway.db')
  writeFileSync(path, '')
  await open(path).close()
  truncateSync(path, 0)
  await open(path).close()
})

t.test('R5: an SQLite whose log may damage the file is refused by name', async t => {
  for (const version of ['3.51.2', '3.50.9', '2.99.99', undefined]) t.throws(() => { checkSqlite(version ?? '') }, { code: 'GW_RUNTIME' }, String(version))
  for (const version of ['3.51.3', '3.53.0', '3.60.1', '4.0.0']) t.doesNotThrow(() => { checkSqlite(version) }, version)
})
