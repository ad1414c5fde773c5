// The connections that read. Each read ends within its time, whatever has become of the database or the way to it.

import { type Client, Pool, type QueryConfig, type QueryResult } from 'pg'
import { clientConfig, farewell } from './connection.ts'

/** From the question to the answer, the wait for a connection included. */
export const READ_MS = 2000
/** A timer may fire so much before its time by the other clock. */
const EARLY_MS = 50

export interface ReaderOptions {
  url: string
  /** Connections at most. */
  size: number
  /** Milliseconds that never run backwards. */
  mono (): number
  onError (error: Error): void
}

export class Reader {
  #o: ReaderOptions
  #pool: Pool
  /** Monotonic: when any of them was last answered. */
  #answeredAt = -Infinity
  /** Of a pool that another one has taken the place of. */
  #ending: Promise<void> = Promise.resolve()

  constructor (options: ReaderOptions) {
    this.#o = options
    this.#pool = this.#made()
  }

  async query (query: string | QueryConfig, values?: unknown[]): Promise<QueryResult> {
    const pool = this.#pool
    const askedAt = this.#o.mono()
    let tooLate: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_resolve, reject) => { tooLate = setTimeout(() => { reject(new Error(`no answer within ${READ_MS} ms`)) }, READ_MS) })
    try {
      const result = await Promise.race([pool.query(query as QueryConfig, values), timeout])
      this.#answeredAt = this.#o.mono()
      return result
    } catch (error) {
      // All may be dead without a word, and each would have to be found out by a read of its own.
      if (pool === this.#pool && this.#answeredAt < askedAt && this.#o.mono() - askedAt >= READ_MS - EARLY_MS) this.#renew()
      throw error
    } finally {
      clearTimeout(tooLate)
    }
  }

  async close (): Promise<void> {
    await Promise.all([this.#ending, ended(this.#pool)])
  }

  #renew (): void {
    this.#ending = ended(this.#pool)
    this.#pool = this.#made()
  }

  #made (): Pool {
    const { url, size, onError } = this.#o
    const pool = new Pool({ ...clientConfig({ url, name: 'gateway read' }), max: size, query_timeout: READ_MS })
    pool.on('error', onError)
    return pool
  }
}

/** What is asked may still be answered. Who does not take leave, since its connection is dead, is cut off. */
async function ended (pool: Pool): Promise<void> {
  const ending: Promise<void>[] = []
  pool.on('remove', client => { ending.push(farewell(client as Client)) })
  await pool.end().catch(() => {})
  await Promise.all(ending)
}
