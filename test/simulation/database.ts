// One database in memory that several virtual gateways share: the embedded one's statements, the leases of the other, and
// a network between them that loses words. Every row that is written is looked at by the database itself.

import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import type { Keyed, News, Row, Slots, Step, StepResult, Store, StoreEvents, Value } from '../../gateway/contract.ts'
import { ALL_SLOTS, slotOf } from '../../gateway/contract.ts'
import { GatewayError } from '../../gateway/errors.ts'
import { SQLITE } from '../../gateway/store/dialect.ts'
import { Lease } from '../../gateway/store/lease.ts'
import { migrate } from '../../gateway/store/migrate.ts'
import { slots } from '../../gateway/store/sql/slots.ts'
import { positional, STATEMENTS } from '../../gateway/store/statements.ts'
import { watch } from './watch.ts'
import type { VirtualProcess, VirtualTime } from './time.ts'

/** Whoever gave a unit hears of it within this. */
const PATIENCE_MS = 2500
/** A unit whose connection broke may still be carried out that much later. */
const LATE_MS = 8000
const BEGAN_AT = Date.UTC(2026, 0, 1)

/** How likely each fault is, of what one gateway asks of the database. */
export interface Losses {
  /** A unit that never arrives. */
  fails: number
  /** A unit that is carried out, and nobody hears of it. */
  unsure: number
  /** A unit that is carried out after it was given up. */
  late: number
  readFails: number
  /** Longest way of a unit to the database. */
  slowMs: number
}

export const SOUND: Losses = { fails: 0, unsure: 0, late: 0, readFails: 0, slowMs: 2 }

/** Statements that go by the database's own time, whenever they are carried out. */
const BY_DATABASE_TIME = new Set(Object.keys(slots(SQLITE)))

interface Prepared { statement: StatementSync, names: string[], returns: boolean }

export class VirtualDatabase {
  readonly time: VirtualTime
  readonly random: () => number
  /** What its clock is off, as it was set meanwhile. */
  offMs = 0
  /** What may not be, with the time it was seen at. */
  readonly wrong: string[] = []
  stores = new Set<VirtualStore>()
  #db = new DatabaseSync(':memory:')
  #actor: StatementSync
  #seen: () => string[]
  #prepared = new Map<string, Prepared>()
  #keys: Record<Keyed, number> = { events: 1, deliveries: 1, calls: 1, jobs: 1, inbox: 1 }

  constructor (time: VirtualTime, random: () => number) {
    this.time = time
    this.random = random
    migrate(this.#db)
    this.#db.function('chance', () => Math.floor(random() * 2 ** 31))
    this.#seen = watch(this.#db)
    this.#actor = this.#db.prepare('update actor set owner = ?')
    for (const slot of ALL_SLOTS) this.#db.prepare('insert into slots (slot, owner, epoch, expires_at) values (?, 0, 0, 0)').run(slot)
  }

  now (): number { return Math.round(BEGAN_AT + this.time.now + this.offMs) }

  /** By this its leases run out: one that was set ahead would end them while they are counted on. */
  leaseNow (): number { return Math.round(BEGAN_AT + this.time.now) }

  nextKey (table: Keyed): number { return this.#keys[table]++ }

  /** As a person at the database would. */
  query (sql: string): Row[] { return this.#db.prepare(sql).all() as Row[] }

  run (unit: Step[], by: number): StepResult[] {
    this.#db.exec('begin')
    try {
      this.#actor.run(by)
      const results = unit.map(step => this.#step(step))
      this.#db.exec('commit')
      return results
    } catch (error) {
      this.#db.exec('rollback')
      throw error
    } finally {
      this.wrong.push(...this.#seen())
    }
  }

  read (name: string, params: Record<string, Value>): Row[] {
    const { statement, names } = this.#statement(name)
    return (statement.all(...bind(names, params)) as Row[]).map(row => ({ ...row }))
  }

  close (): void { this.#db.close() }

  #step ({ name, params: given }: Step): StepResult {
    const params = BY_DATABASE_TIME.has(name) ? { ...given, now: this.leaseNow() } : given
    const { statement, names, returns } = this.#statement(name)
    if (!returns) return { changes: Number(statement.run(...bind(names, params)).changes), rows: [] }
    const rows = statement.all(...bind(names, params)) as Row[]
    return { changes: rows.length, rows }
  }

  #statement (name: string): Prepared {
    const known = this.#prepared.get(name)
    if (known) return known
    const text = STATEMENTS[name]
    if (text === undefined) throw new Error(`no statement is named "${name}"`)
    const { sql, names } = positional(text.replace('random()', 'chance()')) // SQLite's own dice cannot be thrown again
    const prepared = { statement: this.#db.prepare(sql), names, returns: /\breturning\b/.test(sql) }
    this.#prepared.set(name, prepared)
    return prepared
  }
}

function bind (names: string[], params: Record<string, Value>): SQLInputValue[] { return names.map(name => params[name] as SQLInputValue) }

/** One gateway's end of it. */
export class VirtualStore implements Store {
  losses: Losses = SOUND
  #db: VirtualDatabase
  #process: VirtualProcess
  #lease: Lease | null = null
  #events: StoreEvents | null = null
  #leaseMs: number
  /** Units of one gateway are carried out in their order. */
  #freeAt = 0

  constructor (db: VirtualDatabase, process: VirtualProcess, leaseMs: number) {
    this.#db = db
    this.#process = process
    this.#leaseMs = leaseMs
  }

  async open (onError: (error: unknown) => void): Promise<void> {
    const events = (): StoreEvents => this.#events as StoreEvents
    this.#lease = await Lease.join({
      leaseMs: this.#leaseMs,
      commit: unit => this.commit(unit),
      read: (name, params) => this.read(name, params),
      mono: () => this.#db.time.now,
      now: () => this.#db.leaseNow(),
      events: {
        taken: slots => events().taken(slots),
        asked: slots => events().asked(slots),
        lost: slots => { events().lost(slots) },
        work: keys => { events().work(keys) },
        news: news => { events().news(news) },
        onError
      },
      tell: () => { this.#toOthers(other => { other.#lease?.look() }) }
    })
    this.#db.stores.add(this)
  }

  get owner (): number { return (this.#lease as Lease).owner }
  get epoch (): number { return (this.#lease as Lease).owner }
  get slots (): Slots { return this.#lease as Lease }

  nextKey (table: Keyed): number { return this.#db.nextKey(table) }
  healthy (): boolean { return this.losses.fails < 1 }

  async listen (events: StoreEvents): Promise<void> {
    this.#events = events
    await (this.#lease as Lease).start()
    this.#toOthers(other => { other.#lease?.look() })
  }

  tell (news: News): void { this.#toOthers(other => { other.#events?.news(news) }) }

  async close (): Promise<void> {
    await this.#lease?.stop().catch(() => {})
    this.#db.stores.delete(this)
  }

  commit (unit: Step[]): Promise<StepResult[]> {
    const { time, random } = this.#db
    const fate = this.#fate(random())
    const slowMs = 1 + Math.floor(random() * this.losses.slowMs)
    return new Promise((resolve, reject) => {
      const told = (task: () => void): void => { this.#process.run(task) }
      if (fate === 'fails') { time.after(slowMs, () => { told(() => { reject(notTaken('it did not arrive')) }) }); return }
      if (fate === 'late') {
        time.after(PATIENCE_MS, () => { told(() => { reject(unsure()) }) })
        time.after(PATIENCE_MS * random() + LATE_MS * random(), () => { this.#carryOut(unit) })
        return
      }
      this.#freeAt = Math.max(this.#freeAt, time.now + slowMs)
      time.after(this.#freeAt - time.now, () => {
        const done = this.#carryOut(unit)
        told(() => {
          if (done instanceof Error) reject(notTaken(done.message))
          else if (fate === 'unsure') reject(unsure())
          else resolve(done)
        })
      })
    })
  }

  async read (name: string, params: Record<string, Value>): Promise<Row[]> {
    const { time, random } = this.#db
    const dice = random()
    if (dice < this.losses.readFails) throw notTaken('the database did not answer')
    if (dice < 0.9) return this.#db.read(name, params)
    return await new Promise((resolve, reject) => {
      time.after(1 + Math.floor(random() * this.losses.slowMs), () => {
        try {
          const rows = this.#db.read(name, params)
          this.#process.run(() => { resolve(rows) })
        } catch (error) {
          this.#process.run(() => { reject(error as Error) })
        }
      })
    })
  }

  #fate (dice: number): 'fails' | 'unsure' | 'late' | 'done' {
    const { fails, unsure, late } = this.losses
    return dice < fails ? 'fails' : dice < fails + unsure ? 'unsure' : dice < fails + unsure + late ? 'late' : 'done'
  }

  #carryOut (unit: Step[]): StepResult[] | Error {
    try {
      const results = this.#db.run(unit, this.#lease?.owner ?? 0)
      for (const { name, params } of unit) if (name === 'wake_queue' && typeof params.account_key === 'number') this.#wakeOthers(params.account_key)
      return results
    } catch (error) {
      return error as Error
    }
  }

  #wakeOthers (account: number): void {
    this.#toOthers(other => { if (other.#lease && other.#lease.epoch(slotOf(account)) !== null) other.#events?.work([account]) })
  }

  /** Soon, or after the connection that hears them was made anew: then anything may have been missed. */
  #toOthers (say: (other: VirtualStore) => void): void {
    const { time, random, stores } = this.#db
    for (const other of stores) {
      if (other === this) continue
      if (random() < 0.9) time.after(1 + Math.floor(random() * 50), () => { other.#process.run(() => { say(other) }) })
      else time.after(1000 + Math.floor(random() * 4000), () => { other.#process.run(() => { other.#events?.news(null) }) })
    }
  }
}

function notTaken (why: string): GatewayError { return new GatewayError('GW_STORE_FAILED', `The store did not take it: ${why}.`) }
function unsure (): GatewayError { return new GatewayError('GW_STORE_UNSURE', 'The answer to the commit was lost.') }
