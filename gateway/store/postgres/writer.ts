// The one connection that writes. Groups of units go one after the other, each as one message: begin, one call per kind of
// statement, commit.

import type { Client } from 'pg'
import type { Row, Step, StepResult } from '../../contract.ts'
import { slotOf } from '../../contract.ts'
import { GatewayError } from '../../errors.ts'
import { Connection } from './connection.ts'
import { type Answered, type Call, plan, resultsOf, valuesOf } from './plan.ts'
import type { Compiled } from './statements.ts'

/** Bounds how much one transaction does. */
const STEPS_PER_GROUP = 2000
/** Whoever gave a unit hears within this, whatever becomes of it. */
const PATIENCE_MS = 2000
/**
 * A transaction that takes longer is given up, and its connection with it. Each in a row has twice the time: one that waits for
 * a standby goes on waiting in the database, and would sooner or later have all connections that can be had.
 */
const TRANSACTION_MS = 5000
const TRANSACTION_MS_MAX = 320_000
const WATCH_MS = 100
/** Less than a transaction has. */
const LOCK_MS = 4000
const LOOK_FOR_CLIENT_MS = 1000
/** Two transactions wait for each other, or one cannot be ordered before the other: done again, it works. */
const PASSING = new Set(['40P01', '40001', '55P03'])
const PASSING_RETRIES = 20
/** It is a standby, and may stay one: where it leads to now is asked again. */
const READ_ONLY = '25006'
/** The transaction is over already; the error that ended it came before. */
const ABORTED = '25P02'
/** A statement that is not known, or lacks a parameter: the caller's fault. */
const UNPLANNED = 'XX000'

interface Waiting { unit: Step[], givenAt: number, answered: boolean, resolve (results: StepResult[]): void, reject (error: Error): void }

export interface WriterOptions {
  url: string
  statements: ReadonlyMap<string, Compiled>
  mono (): number
  /** Whether this instance works on an account. */
  here (accountKey: number): boolean
  /** Word was left for those who work on these slots. */
  onWord (slots: readonly number[]): void
  onError (error: unknown): void
}

export class Writer {
  #o: WriterOptions
  #connection: Connection
  #waiting: Waiting[] = []
  #running: { client: Client, group: Waiting[], since: number } | null = null
  #scheduled = false
  #failing = false
  #transactionMs = TRANSACTION_MS
  #closed = false
  #watch: NodeJS.Timeout
  #idle: (() => void) | null = null

  constructor (options: WriterOptions) {
    this.#o = options
    this.#connection = new Connection({ url: options.url, name: 'gateway write', pipeline: true, prepare: endEarly, onUp: () => { this.#schedule() }, onError: options.onError })
    this.#watch = setInterval(() => { this.#look() }, WATCH_MS)
    this.#watch.unref()
  }

  open (): Promise<void> { return this.#connection.open() }

  commit (unit: Step[]): Promise<StepResult[]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) { reject(notTaken('the store is closed')); return }
      this.#waiting.push({ unit: this.#directed(unit), givenAt: this.#o.mono(), answered: false, resolve, reject })
      this.#schedule()
    })
  }

  healthy (): boolean { return !this.#failing && this.#connection.client !== null }

  async close (): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#waiting.length > 0 || this.#running) await new Promise<void>(resolve => { this.#idle = resolve })
    clearInterval(this.#watch)
    await this.#connection.close()
  }

  /** A queue's row is written by whoever works on its account; to others word is left. */
  #directed (unit: Step[]): Step[] {
    if (!unit.some(({ name }) => name === 'wake_queue')) return unit
    return unit.map(step => step.name === 'wake_queue' && !this.#o.here((step.params.account_key ?? 0) as number) ? { ...step, name: 'leave_word' } : step)
  }

  /** After the I/O of this turn of the event loop, so that all that arrived in it shares one transaction. */
  #schedule (): void {
    if (this.#scheduled || this.#running || this.#waiting.length === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (!this.#running && this.#waiting.length > 0) void this.#run()
    })
  }

  async #run (): Promise<void> {
    const client = this.#connection.client
    if (client === null) return // when it is there again it goes on; the watch tells who waits for too long
    const group = this.#next()
    this.#running = { client, group, since: this.#o.mono() }
    try {
      await this.#grouped(client, group)
    } finally {
      this.#running = null
      if (this.#waiting.length > 0) this.#schedule()
      else this.#idle?.()
    }
  }

  #next (): Waiting[] {
    let steps = 0
    let count = 0
    while (count < this.#waiting.length) {
      steps += (this.#waiting[count] as Waiting).unit.length
      if (steps > STEPS_PER_GROUP && count > 0) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  /** Where one unit's fault fails them all, each is run by itself. Never throws. */
  async #grouped (client: Client, group: Waiting[], tries = 0): Promise<void> {
    if (group.length === 0) return
    if (this.#running) this.#running.since = this.#o.mono()
    const ended = await transaction(client, group.map(({ unit }) => unit), this.#o.statements)
    if ('results' in ended) {
      this.#failing = false
      this.#transactionMs = TRANSACTION_MS
      group.forEach((waiting, i) => { settle(waiting, ended.results[i] as StepResult[]) })
      this.#leaveWord(group)
    } else if (ended.code === null) {
      this.#failing = true
      this.#o.onError(ended.error)
      for (const waiting of group) settle(waiting, unsure(ended.error.message))
      this.#connection.drop(client)
    } else if (ended.code === READ_ONLY) {
      this.#failing = true
      for (const waiting of group) settle(waiting, notTaken(ended.error.message, ended.error))
      this.#connection.drop(client)
    } else if (PASSING.has(ended.code) && tries < PASSING_RETRIES) {
      await this.#grouped(client, group.filter(({ answered }) => !answered), tries + 1) // nobody counts on the others any more
    } else if (group.length === 1) {
      settle(group[0] as Waiting, notTaken(ended.error.message, ended.error))
    } else {
      for (const waiting of group) await this.#grouped(client, [waiting])
    }
  }

  #leaveWord (group: readonly Waiting[]): void {
    const slots = group.flatMap(({ unit }) => unit.filter(({ name }) => name === 'leave_word').map(({ params }) => slotOf((params.account_key ?? 0) as number)))
    if (slots.length > 0) this.#o.onWord([...new Set(slots)])
  }

  /** What has waited for too long was never sent; what runs for too long may be kept, or not. */
  #look (): void {
    const now = this.#o.mono()
    const late = (waiting: Waiting): boolean => now - waiting.givenAt > PATIENCE_MS
    if (this.#waiting.some(late)) {
      this.#failing = true
      const given = this.#waiting
      this.#waiting = given.filter(waiting => !late(waiting))
      for (const waiting of given) if (late(waiting)) settle(waiting, notTaken('it does not answer'))
      if (this.#waiting.length === 0 && !this.#running) this.#idle?.()
    }
    if (!this.#running) return
    for (const waiting of this.#running.group) {
      if (!late(waiting) || waiting.answered) continue
      this.#failing = true
      settle(waiting, unsure('it does not answer'))
    }
    if (now - this.#running.since <= (this.#closed ? TRANSACTION_MS : this.#transactionMs)) return
    this.#transactionMs = Math.min(this.#transactionMs * 2, TRANSACTION_MS_MAX)
    this.#connection.drop(this.#running.client)
  }
}

/** What is given up here ends in the database as well, so that it does not act later. Sent ahead of the first transaction. */
async function endEarly (client: Client): Promise<void> {
  const settings = [`set lock_timeout = ${LOCK_MS}`, `set client_connection_check_interval = ${LOOK_FOR_CLIENT_MS}`]
  for (const setting of settings) void client.query(setting).catch(() => {}) // not every system can look for its client
}

/** `code` null: the connection failed, and nobody knows how it ended. Otherwise nothing was kept. */
type Ended = { results: StepResult[][] } | { code: string | null, error: Error }

async function transaction (client: Client, units: Step[][], statements: WriterOptions['statements']): Promise<Ended> {
  let calls: Call[]
  let queries: Array<string | { name: string, text: string, values: unknown[] }>
  try {
    calls = plan(units, statements)
    queries = calls.map(call => ({ name: call.compiled.name, text: call.compiled.text, values: valuesOf(call) }))
  } catch (error) {
    return { code: UNPLANNED, error: error as Error }
  }
  if (queries.length > 1) queries = ['begin', ...queries, 'commit'] // one statement is a transaction of its own
  const answers = await Promise.allSettled(queries.map(query => client.query(query as string)))
  const errors = answers.filter(answer => answer.status === 'rejected').map(({ reason }) => reason as Error & { code?: string })
  const error = errors.find(({ code }) => code !== ABORTED) ?? errors[0]
  if (error) return { code: errors.some(({ code }) => isLost(code)) ? null : error.code as string, error }
  const answered = answers.filter(answer => answer.status === 'fulfilled').map(({ value }): Answered => ({ rows: value.rows as Row[], changes: value.rowCount ?? 0 }))
  return { results: resultsOf(units, calls, queries.length > 1 ? answered.slice(1, -1) : answered) }
}

/** Classes 08 and 57: the connection broke, or the database is shut down. What has no SQLSTATE is of the socket. */
function isLost (code: string | undefined): boolean { return code === undefined || !/^[0-9A-Z]{5}$/.test(code) || /^(08|57)/.test(code) }

function settle (waiting: Waiting, outcome: StepResult[] | Error): void {
  if (waiting.answered) return
  waiting.answered = true
  if (outcome instanceof Error) waiting.reject(outcome)
  else waiting.resolve(outcome)
}

function notTaken (why: string, cause?: unknown): GatewayError {
  return new GatewayError('GW_STORE_FAILED', `The store did not take it: ${why}.`, { cause })
}

function unsure (why: string): GatewayError {
  return new GatewayError('GW_STORE_UNSURE', `Whether the store took it is not known: ${why}.`)
}
