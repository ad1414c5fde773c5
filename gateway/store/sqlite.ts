// The embedded store: one SQLite file, one process. Units that arrive together share one transaction and one fsync.

import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { ALL_SLOTS, type Extensible, type Row, type Slots, type SqliteConfig, type Step, type StepResult, type Store, type StoreEvents, type StoreExtension, type Value } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { SQLITE } from './dialect.ts'
import { newer, statementsOf } from './extend.ts'
import { checkFile, checkSqlite, markInUse, unmark } from './file.ts'
import { migrate, migrations } from './migrate.ts'
import { positional, STATEMENTS } from './statements.ts'

/** One process may wait this long, blocking, for another one's lock; longer waits are repeated asynchronously. */
const BUSY_MS = 20
const BUSY_RETRIES = 250
/** Bounds how long one transaction blocks the event loop. */
const STEPS_PER_GROUP = 2000
const GATHER_MS = 2
/** A unit of that many steps is worth a transaction of its own. */
const LARGE_UNIT = 50
const TABLES = { events: 'event_key', deliveries: 'delivery_key', calls: 'call_key', jobs: 'job_key', inbox: 'inbox_key' } as const
/** SQLite result codes. Busy and locked pass, and so does a full disk, of which nothing was kept. */
const PASSING = new Set([5, 6])
const FULL = 13
/** I/O failed, or the file is damaged: what is written after it may be gone whatever the disk says. */
const BROKEN = new Set([10, 11, 26])

interface Waiting {
  unit: Step[]
  resolve (results: StepResult[]): void
  reject (error: Error): void
}

interface Prepared { statement: StatementSync, names: string[], returns: boolean }

/** Opens the file, makes it where it is missing, brings its tables up to date and takes it for this process alone. */
export function openSqlite (options: { path: string, now: () => number, synchronous?: SqliteConfig['synchronous'] }): Store & Extensible {
  checkSqlite()
  let lock: DatabaseSync | null = null
  let db: DatabaseSync | null = null
  try {
    mkdirSync(dirname(options.path), { recursive: true, mode: 0o700 })
    lock = takeLock(options.path)
    checkFile(options.path, migrations('sqlite').at(-1)?.version ?? 0)
    db = open(options.path, options.synchronous ?? 'full')
    migrate(db)
    const store = new SqliteStore(options.path, db, lock, options.now)
    markInUse(options.path) // its log has a commit by now, which a start must find
    return store
  } catch (error) {
    if (db !== null) unmark(options.path) // what closes it folds its log back and removes it
    db?.close()
    lock?.close()
    throw unusable(options.path, error)
  }
}

/** An open transaction on a file of its own keeps other processes out, and ends with this one however it dies. */
function takeLock (path: string): DatabaseSync {
  const lock = new DatabaseSync(`${path}.lock`, { timeout: BUSY_MS })
  try {
    lock.exec('begin exclusive')
    return lock
  } catch (error) {
    lock.close()
    if (!PASSING.has(resultCode(error))) throw error
    throw new GatewayError('GW_STORE_LOCKED', `${path} is used by another process.`, { cause: error })
  }
}

function resultCode (error: unknown): number { return ((error as { errcode?: number }).errcode ?? 0) & 0xff }

function open (path: string, synchronous: SqliteConfig['synchronous']): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: BUSY_MS })
  // What is deleted or emptied is overwritten wherever its page is written anyway: somebody asked for it to be gone.
  // FULL: an accepted event survives a power cut. 16 MiB of cache, the rest is the page cache's; the log is folded back every 48 MiB.
  db.exec(`pragma journal_mode = wal; pragma synchronous = ${synchronous}; pragma cache_size = -16384; pragma wal_autocheckpoint = 12000; pragma temp_store = memory; pragma secure_delete = fast`)
  return db
}

function unusable (path: string, error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  return new GatewayError('GW_STORE_UNUSABLE', `${path} cannot be used: ${(error as Error).message}.`, { cause: error })
}

class SqliteStore implements Store, Extensible {
  readonly owner: number
  readonly epoch: number
  readonly slots: Slots
  #path: string
  #db: DatabaseSync
  #lock: DatabaseSync
  #now: () => number
  #statements = new Map(Object.entries(STATEMENTS))
  #prepared = new Map<string, Prepared>()
  #waiting: Waiting[] = []
  #scheduled = false
  #flushedAt = 0
  #busy = 0
  #full = false
  #broken = false
  #closed = false
  #keys: Record<keyof typeof TABLES, number>
  #idle: (() => void) | null = null

  constructor (path: string, db: DatabaseSync, lock: DatabaseSync, now: () => number) {
    this.#path = path
    this.#db = db
    this.#lock = lock
    this.#now = now
    const nextKey = (table: keyof typeof TABLES) =>
      Number(db.prepare(`select coalesce(max(${TABLES[table]}), 0) + 1 as next from ${table}`).get()?.next)
    this.#keys = { events: nextKey('events'), deliveries: nextKey('deliveries'), calls: nextKey('calls'), jobs: nextKey('jobs'), inbox: nextKey('inbox') }
    db.exec('begin immediate')
    const { owner, epoch } = db.prepare('select max(coalesce(max(owner), 0), (select coalesce(max(owner), 0) from instances)) + 1 as owner, coalesce(max(epoch), 0) + 1 as epoch from slots').get() as { owner: number, epoch: number }
    db.prepare('delete from instances').run()
    db.prepare('insert into instances (owner, expires_at) values (?1, ?2)').run(owner, now())
    const seize = db.prepare('insert into slots (slot, owner, epoch, expires_at) values (?1, ?2, ?3, ?4) on conflict (slot) do update set owner = ?2, epoch = ?3, expires_at = ?4')
    for (const slot of ALL_SLOTS) seize.run(slot, owner, epoch, now())
    db.exec('commit')
    this.owner = owner
    this.epoch = epoch
    this.slots = { mine: ALL_SLOTS, epoch: () => epoch }
  }

  commit (unit: Step[]): Promise<StepResult[]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) { reject(new GatewayError('GW_STORE_FAILED', 'The store is closed.')); return }
      if (this.#broken) { reject(new GatewayError('GW_STORE_FAILED', 'A write to disk failed; nothing is taken until the gateway is started again.')); return }
      this.#waiting.push({ unit, resolve, reject })
      this.#schedule()
    })
  }

  async read (name: string, params: Record<string, Value>): Promise<Row[]> {
    try {
      return this.#query(name, params)
    } catch (error) {
      if (!this.#grave(resultCode(error))) throw error
      throw new GatewayError('GW_STORE_FAILED', `The store could not be read: ${(error as Error).message}.`, { cause: error })
    }
  }

  async extend (extension: StoreExtension): Promise<void> {
    const { prefix, migrations: folder } = extension
    try {
      const version = folder === null ? 0 : Number(this.#db.prepare('select version from extensions where prefix = ?1').get(prefix)?.version ?? 0)
      for (const migration of newer(extension, 'sqlite', version)) {
        this.#db.exec(`begin immediate; ${migration.sql}; insert into extensions (prefix, version) values ('${prefix}', ${migration.version}) on conflict (prefix) do update set version = excluded.version; commit`)
      }
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('rollback')
      throw unusable(this.#path, error)
    }
    for (const [name, sql] of statementsOf(extension, SQLITE)) this.#statements.set(name, sql)
  }

  nextKey (table: keyof typeof TABLES): number { return this.#keys[table]++ }

  /** One process has the file, and so all of its accounts. */
  async listen ({ taken }: StoreEvents): Promise<void> { await taken(ALL_SLOTS) }

  tell (): void {}

  healthy (): boolean { return !this.#broken && !this.#full }

  async close (): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#waiting.length > 0) await new Promise<void>(resolve => { this.#idle = resolve })
    unmark(this.#path)
    this.#db.close()
    this.#lock.close()
  }

  /**
   * After the I/O of this turn of the event loop, so that all that arrived in it shares one transaction. Right after
   * another one it gathers a little longer: under load fewer and larger transactions do the same with less.
   */
  #schedule (): void {
    if (this.#scheduled) return
    this.#scheduled = true
    const large = (this.#waiting[0]?.unit.length ?? 0) >= LARGE_UNIT
    if (!large && this.#now() - this.#flushedAt < GATHER_MS) setTimeout(() => { this.#flush() }, GATHER_MS)
    else setImmediate(() => { this.#flush() })
  }

  #flush (): void {
    this.#scheduled = false
    if (this.#broken) { for (const waiting of this.#waiting.splice(0)) waiting.reject(notTaken(new Error('a write to disk failed before'))) }
    const group = this.#nextGroup()
    if (group.length === 0) return
    let results: StepResult[][]
    try {
      results = this.#transaction(group)
      this.#busy = 0
    } catch (error) {
      this.#failed(group, error as Error)
      return
    }
    this.#flushedAt = this.#now()
    group.forEach((waiting, i) => { waiting.resolve(results[i] as StepResult[]) })
    this.#continue()
  }

  #nextGroup (): Waiting[] {
    let steps = 0
    let count = 0
    while (count < this.#waiting.length) {
      steps += (this.#waiting[count] as Waiting).unit.length
      if (steps > STEPS_PER_GROUP && count > 0) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  #continue (): void {
    if (this.#waiting.length > 0) this.#schedule()
    else if (this.#idle) this.#idle()
  }

  #transaction (group: Waiting[]): StepResult[][] {
    this.#db.exec('begin immediate')
    try {
      const results = group.map(waiting => waiting.unit.map(step => this.#run(step)))
      this.#db.exec('commit')
      this.#full = false
      return results
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('rollback')
      throw error
    }
  }

  /** Another process's lock passes; a failed disk does not; anything else is the fault of one unit, which is found by running each alone. */
  #failed (group: Waiting[], error: Error): void {
    const code = resultCode(error)
    if (PASSING.has(code) && this.#busy < BUSY_RETRIES) {
      this.#busy++
      this.#waiting.unshift(...group)
      this.#scheduled = true
      setTimeout(() => { this.#flush() }, BUSY_MS)
      return
    }
    if (this.#grave(code) || PASSING.has(code) || group.length === 1) {
      for (const waiting of group) waiting.reject(notTaken(error))
      this.#busy = 0
      this.#continue()
      return
    }
    for (const waiting of group) this.#alone(waiting)
    this.#continue()
  }

  /** A disk that is full or cannot be trusted; nothing of the transaction was kept. */
  #grave (code: number): boolean {
    if (code === FULL) this.#full = true
    if (BROKEN.has(code)) this.#broken = true
    return code === FULL || BROKEN.has(code)
  }

  #alone (waiting: Waiting): void {
    try {
      if (this.#broken) throw new Error('a write to disk failed')
      const [results] = this.#transaction([waiting])
      waiting.resolve(results as StepResult[])
    } catch (error) {
      this.#grave(resultCode(error))
      waiting.reject(notTaken(error as Error))
    }
  }

  #run (step: Step): StepResult {
    const { statement, names, returns } = this.#statement(step.name)
    const values = bind(step.name, names, step.params)
    if (returns) {
      const rows = statement.all(...values) as Row[]
      return { changes: rows.length, rows }
    }
    return { changes: Number(statement.run(...values).changes), rows: [] }
  }

  #query (name: string, params: Record<string, Value>): Row[] {
    const { statement, names } = this.#statement(name)
    return statement.all(...bind(name, names, params)) as Row[]
  }

  #statement (name: string): Prepared {
    let prepared = this.#prepared.get(name)
    if (!prepared) {
      const text = this.#statements.get(name)
      if (text === undefined) throw new Error(`no statement is named "${name}"`)
      const { sql, names } = positional(text)
      prepared = { statement: this.#db.prepare(sql), names, returns: /\breturning\b/.test(sql) }
      this.#prepared.set(name, prepared)
    }
    return prepared
  }
}

function notTaken (error: Error): GatewayError {
  return new GatewayError('GW_STORE_FAILED', `The store did not take it: ${error.message}.`, { cause: error })
}

function bind (statement: string, names: string[], params: Record<string, Value>): SQLInputValue[] {
  return names.map(name => {
    const value = params[name]
    if (value === undefined) throw new Error(`statement "${statement}" was given no "${name}"`)
    return value
  })
}
