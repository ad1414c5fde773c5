// Looks at a database file before it is opened for writing: whether it is ours, whole, and of a version that is known.
// What is refused here stays as it was, byte for byte.

import { closeSync, fsyncSync, openSync, readSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { GatewayError } from '../errors.ts'

/** Before it, a reset of the log at the wrong moment could damage the file. */
const OLDEST_SQLITE = [3, 51, 3] as const
const MAGIC = 'SQLite format 3\0'
const HEADER_BYTES = 100
/** A file up to this size is read through at start, which takes a second or two at most; damage in a larger one is found when it is met. */
const READ_THROUGH_BYTES = 256 * 1024 * 1024
/** A table that every version has. */
const OURS = 'deliveries'

/** Throws GW_RUNTIME for an SQLite that is too old. */
export function checkSqlite (version = process.versions.sqlite): void {
  const parts = (version ?? '0').split('.').map(Number)
  const at = OLDEST_SQLITE.findIndex((oldest, i) => (parts[i] ?? 0) !== oldest)
  if (at === -1 || (parts[at] ?? 0) > (OLDEST_SQLITE[at] as number)) return
  throw new GatewayError('GW_RUNTIME', `This Node brings SQLite ${version ?? 'none'}, which may damage its file; ${OLDEST_SQLITE.join('.')} or later is needed.`)
}

/** Throws GW_STORE_UNUSABLE or GW_STORE_NEWER. Whoever calls it keeps other processes out. */
export function checkFile (path: string, newest: number): void {
  const [size, log] = [sizeOf(path), sizeOf(`${path}-wal`) ?? 0]
  const left = sizeOf(markOf(path)) !== null
  if (left && log === 0) throw unusable(`${path} was in use when the gateway ended, and its log ${path}-wal is missing, with what was accepted last. Put the log back; where the file is a restored backup, delete ${markOf(path)}`)
  if (size === null && log > 0) throw unusable(`${path} is missing, and its log ${path}-wal is there. Put the file back, or move the log away`)
  if (size === null || (size === 0 && log === 0)) return
  if (size > 0) checkHeader(path, size, log)
  checkContent(path, newest, { size, log })
}

function checkHeader (path: string, size: number, log: number): void {
  const header = Buffer.alloc(HEADER_BYTES)
  const file = openSync(path, 'r')
  const read = readSync(file, header, 0, HEADER_BYTES, 0)
  closeSync(file)
  if (read < HEADER_BYTES || header.toString('latin1', 0, MAGIC.length) !== MAGIC) throw unusable(`${path} is no SQLite file`)
  const field = header.readUInt16BE(16)
  const bytes = (field === 1 ? 65_536 : field) * header.readUInt32BE(28)
  // With a log beside it the file may lag behind.
  if (log === 0 && bytes > size) throw unusable(`${path} is cut off: ${size} of ${bytes} bytes are there`)
}

function checkContent (path: string, newest: number, { size, log }: { size: number, log: number }): void {
  const db = openReadOnly(path, log)
  try {
    const version = Number(db.prepare('pragma user_version').get()?.user_version)
    const tables = db.prepare('select name from sqlite_schema where type = \'table\'').all().map(({ name }) => name)
    if (tables.length > 0 && !tables.includes(OURS)) throw unusable(`${path} belongs to another program: it has other tables`)
    if (version > newest) throw new GatewayError('GW_STORE_NEWER', `The file has tables of version ${version}, this gateway knows ${newest}.`)
    if (size > READ_THROUGH_BYTES) return
    const found = String(db.prepare('pragma quick_check(1)').get()?.quick_check)
    if (found !== 'ok') throw unusable(`${path} is damaged: ${found.split('\n').at(-1) ?? found}`)
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw unusable(`${path} is damaged: ${(error as Error).message}`, error)
  } finally {
    db.close()
  }
}

/** Without a log nothing else is looked for, so that none is made beside the file. */
function openReadOnly (path: string, log: number): DatabaseSync {
  const url = pathToFileURL(path)
  if (log === 0) url.searchParams.set('immutable', '1')
  return new DatabaseSync(url, { readOnly: true })
}

/** While it is there, the newest commits are in the log alone: a start without the log would lose them. */
export function markInUse (path: string): void {
  writeFileSync(markOf(path), 'The gateway works with the file beside this, or ended without closing it.\n', { mode: 0o600 })
  syncFolder(path)
}

/** Before the log is folded back and removed. */
export function unmark (path: string): void {
  rmSync(markOf(path), { force: true })
  try { syncFolder(path) } catch { /* a power cut may bring it back: a person is asked then */ }
}

function markOf (path: string): string { return `${path}.in-use` }

function syncFolder (path: string): void {
  const folder = openSync(dirname(path), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

function sizeOf (path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.size ?? null
}

function unusable (message: string, cause?: unknown): GatewayError {
  return new GatewayError('GW_STORE_UNUSABLE', `${message}.`, { cause })
}
