// The store that several instances share. Units that arrive together share one transaction, sent as one message; what
// concerns an account is written by the instance that works on it, and others leave it word.

import { Client } from 'pg'
import type { Extensible, Keyed, News, Row, Slots, Step, StepResult, Store, StoreEvents, StoreExtension, Value } from '../../contract.ts'
import { slotOf } from '../../contract.ts'
import { GatewayError } from '../../errors.ts'
import { POSTGRES } from '../dialect.ts'
import { statementsOf } from '../extend.ts'
import { Lease } from '../lease.ts'
import { clientConfig, Connection } from './connection.ts'
import { openFailure } from './failures.ts'
import { BLOCKS_SQL, Keys } from './keys.ts'
import { checkDurable, checkVersion, migrate, migrateExtension } from './migrate.ts'
import { READ_MS, Reader } from './reader.ts'
import { bound, COMPILED, one } from './statements.ts'
import { Writer } from './writer.ts'

const CHANNEL = 'gateway'
const WORDS_MS = 250
const WORDS = 1000
const KEYS_MS = 60_000
/** At the start the clock is asked again while the way there and back leaves more than this open. */
const CLOCK_OFF_MS = 20
const CLOCK_ASKS = 5
/** By which two clocks may run apart. */
const DRIFT = 0.0002

export interface PostgresOptions {
  url: string
  /** Connections for reading; one more writes, and one listens. */
  pool: number
  /** How long an account stays this instance's after it was last heard of. */
  leaseMs: number
  allowDataLoss: boolean
  mono (): number
  /** Log of what goes wrong between the database and this instance, and passes. */
  onError (error: unknown): void
}

/** Connects, brings the tables up to date and joins the instances. Throws GW_STORE_NEWER, GW_STORE_UNSAFE or what openFailure makes. */
export async function openPostgres (options: PostgresOptions): Promise<PostgresStore> {
  const first = new Client(clientConfig({ url: options.url, name: 'gateway start' }))
  first.on('error', () => {}) // whoever waits for an answer hears of it
  try {
    await first.connect()
    await checkVersion(first)
    await checkDurable(first, options.allowDataLoss)
    await migrate(first)
  } catch (error) {
    throw openFailure(error, options.url)
  } finally {
    await first.end().catch(() => {})
  }
  const store = new PostgresStore(options)
  try {
    await store.open()
    return store
  } catch (error) {
    await store.close()
    throw openFailure(error, options.url)
  }
}

export class PostgresStore implements Store, Extensible {
  #statements = new Map(Object.entries(COMPILED))
  #o: PostgresOptions
  #writer: Writer
  #reader: Reader
  #ear: Connection
  #keys: Keys
  #lease: Lease | null = null
  #events: StoreEvents | null = null
  #timers: NodeJS.Timeout[] = []
  #looking = false
  #lookAgain = false
  /** The database's clock, ours at that moment, and how far off that may be. */
  #clock = { at: 0, mono: 0, offMs: Infinity }
  #closed = false

  constructor (options: PostgresOptions) {
    this.#o = options
    this.#writer = new Writer({ url: options.url, statements: this.#statements, mono: options.mono, onError: options.onError, here: key => this.#isMine(key), onWord: slots => { this.#say({ words: slots }) } })
    this.#reader = new Reader({ url: options.url, size: options.pool, mono: options.mono, onError: options.onError })
    this.#ear = new Connection({
      url: options.url,
      name: 'gateway listen',
      prepare: async client => { await client.query(`listen ${CHANNEL}`) },
      onUp: () => { this.#events?.news(null) },
      onNotice: (_channel, payload) => { this.#heard(payload) },
      onError: options.onError
    })
    this.#keys = new Keys(async () => (await this.#reader.query(BLOCKS_SQL)).rows[0] as Row, options.onError)
  }

  async open (): Promise<void> {
    await this.#writer.open()
    await this.#ear.open()
    await this.#keys.start()
    for (let asked = 0; asked < CLOCK_ASKS && this.#clock.offMs >= CLOCK_OFF_MS; asked++) await this.#synchronise()
    this.#lease = await Lease.join({
      leaseMs: this.#o.leaseMs,
      commit: unit => this.commit(unit),
      read: (name, params) => this.read(name, params),
      mono: this.#o.mono,
      now: () => this.now(),
      events: this.#passedOn(),
      tell: () => { this.#say({ slots: true }) }
    })
  }

  get owner (): number { return (this.#lease as Lease).owner }
  get epoch (): number { return (this.#lease as Lease).owner }
  get slots (): Slots { return this.#lease as Lease }

  /** Epoch milliseconds by the database's clock, which all instances share; runs on between two questions. */
  now (): number { return Math.round(this.#clock.at + this.#o.mono() - this.#clock.mono) }

  commit (unit: Step[]): Promise<StepResult[]> { return this.#writer.commit(unit) }

  async read (name: string, params: Record<string, Value>): Promise<Row[]> {
    const compiled = this.#statements.get(name)
    if (!compiled || compiled.set) throw new Error(`no query is named "${name}"`)
    const values = compiled.names.map(field => bound(params[field], name, field))
    try {
      return (await this.#reader.query({ name, text: compiled.text, values })).rows as Row[]
    } catch (error) {
      throw new GatewayError('GW_STORE_FAILED', `The database did not answer: ${(error as Error).message}.`, { cause: error })
    }
  }

  async extend (extension: StoreExtension): Promise<void> {
    const client = new Client(clientConfig({ url: this.#o.url, name: 'gateway extend' }))
    client.on('error', () => {}) // whoever waits for an answer hears of it
    try {
      await client.connect()
      await migrateExtension(client, extension)
    } catch (error) {
      throw openFailure(error, this.#o.url)
    } finally {
      await client.end().catch(() => {})
    }
    for (const [name, sql] of statementsOf(extension, POSTGRES)) this.#statements.set(name, one(name, sql))
  }

  nextKey (table: Keyed): number { return this.#keys.next(table) }

  async listen (events: StoreEvents): Promise<void> {
    this.#events = events
    await (this.#lease as Lease).start()
    this.#say({ slots: true })
    this.#every(WORDS_MS, () => this.#look())
    this.#every(KEYS_MS, () => this.#keys.renew())
    this.#every(this.#o.leaseMs / 3, () => this.#synchronise())
    this.#every(this.#o.leaseMs / 3, () => this.#ear.ping(READ_MS))
  }

  tell (news: News): void { this.#say({ news }) }

  healthy (): boolean { return this.#writer.healthy() }

  async close (): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const timer of this.#timers) clearInterval(timer)
    await this.#lease?.stop().catch(() => {}) // the lease runs out
    await this.#writer.close()
    await Promise.all([this.#ear.close(), this.#reader.close()])
  }

  #isMine (accountKey: number): boolean { return this.#lease !== null && this.#lease.epoch(slotOf(accountKey)) !== null }

  #passedOn (): StoreEvents {
    const events = (): StoreEvents => this.#events as StoreEvents
    return {
      taken: slots => events().taken(slots),
      asked: slots => events().asked(slots),
      lost: slots => { events().lost(slots) },
      work: keys => { events().work(keys) },
      news: news => { events().news(news) },
      onError: this.#o.onError
    }
  }

  #every (ms: number, run: () => Promise<void>): void {
    this.#timers.push(setInterval(() => { void run().catch(this.#o.onError) }, ms))
  }

  /** What was asked while all was slow tells less than what is known already, unless the database's clock was put right. */
  async #synchronise (): Promise<void> {
    const askedAt = this.#o.mono()
    const { rows } = await this.#reader.query('select (extract(epoch from clock_timestamp()) * 1000)::float8 as now')
    const answeredAt = this.#o.mono()
    const told = { at: Number(rows[0]?.now), mono: (askedAt + answeredAt) / 2, offMs: (answeredAt - askedAt) / 2 }
    const known = this.#clock
    const knownOffMs = known.offMs + (told.mono - known.mono) * DRIFT
    const apartMs = Math.abs(known.at + told.mono - known.mono - told.at)
    if (told.offMs <= knownOffMs || !(apartMs <= told.offMs + knownOffMs)) this.#clock = told
  }

  // ── between instances ──

  /** Outside of any transaction: a message within one makes all commits of the database wait for each other. */
  #say (message: { words?: readonly number[], slots?: true, news?: News }): void {
    const payload = JSON.stringify({ from: this.#lease?.owner ?? 0, ...message })
    if (payload.length > 7000) return // more than one message holds; they find out
    void this.#reader.query('select pg_notify($1, $2)', [CHANNEL, payload]).catch(() => {})
  }

  #heard (payload: string): void {
    const { from, words, slots, news } = JSON.parse(payload) as { from: number, words?: number[], slots?: true, news?: News }
    if (from === this.#lease?.owner) return
    if (slots) this.#lease?.look()
    if (news) this.#events?.news(news)
    if (words?.some(slot => this.#lease?.epoch(slot) !== null)) void this.#look().catch(this.#o.onError)
  }

  /** Word that others left about queues of ours. */
  async #look (): Promise<void> {
    if (this.#looking) { this.#lookAgain = true; return }
    this.#looking = true
    try {
      do {
        this.#lookAgain = false
        const slots = JSON.stringify(this.slots.mine)
        if ((await this.read('words_left', { slots })).length === 0) continue
        const [taken] = await this.commit([{ name: 'take_words', params: { slots, limit: WORDS } }])
        const keys = new Set((taken?.rows ?? []).map(row => row.account_key as number | null).filter(key => key !== null))
        if (keys.size > 0) this.#events?.work([...keys])
      } while (this.#lookAgain)
    } finally {
      this.#looking = false
    }
  }
}
