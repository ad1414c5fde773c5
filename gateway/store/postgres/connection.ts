// One connection that comes back by itself: for the writer, which sends a whole transaction at once, and for what listens.

import { Client, types } from 'pg'

/** Sums and keys stay far below 2^53. */
types.setTypeParser(types.builtins.INT8, Number)
types.setTypeParser(types.builtins.NUMERIC, Number)

const CONNECT_MS = 2000
const FAREWELL_MS = 1000
const AGAIN_MS = [50, 100, 250, 500, 1000] as const

/**
 * Every statement looks rows up by key: a plan that was made while a table was empty must not read all of it later.
 * Who has gone without a word keeps no rows locked, and no place among the connections.
 */
const SESSION = Object.entries({
  enable_seqscan: 'off', enable_hashjoin: 'off', enable_mergejoin: 'off', jit: 'off', timezone: 'UTC',
  idle_in_transaction_session_timeout: '5s', tcp_keepalives_idle: 30, tcp_keepalives_interval: 10, tcp_keepalives_count: 3
}).map(([name, value]) => `-c ${name}=${value}`).join(' ')

export interface ConnectionOptions {
  url: string
  /** Shown in pg_stat_activity. */
  name: string
  pipeline?: boolean
  /** Run on each new connection, before anybody else uses it. */
  prepare? (client: Client): Promise<void>
  /** The connection is there, or there again. */
  onUp? (): void
  onNotice? (channel: string, payload: string): void
  onError (error: Error): void
}

export function clientConfig ({ url, name, pipeline = false }: Pick<ConnectionOptions, 'url' | 'name' | 'pipeline'>) {
  return { connectionString: url, application_name: name, connectionTimeoutMillis: CONNECT_MS, keepAlive: true, options: SESSION, pipeline }
}

/** Ends it in order, and where nobody answers without. */
export async function farewell (client: Client): Promise<void> {
  const cut = setTimeout(() => { client.connection.stream.destroy() }, FAREWELL_MS)
  await client.end().catch(() => {})
  clearTimeout(cut)
}

export class Connection {
  #o: ConnectionOptions
  #client: Client | null = null
  #connecting: Promise<void> | null = null
  #closed = false
  #failures = 0
  /** The one that a ping waits for. */
  #asked: Client | null = null

  constructor (options: ConnectionOptions) { this.#o = options }

  /** Null while there is none; one is being made then. */
  get client (): Client | null {
    if (this.#client === null) void this.#connect()
    return this.#client
  }

  /** Rejects where the first connection cannot be had. */
  async open (): Promise<void> {
    this.#client = await this.#made()
    this.#o.onUp?.()
  }

  /** Cuts it off: what was asked on it is never answered. One that came after it stays. */
  drop (client: Client | null): void {
    if (client === null || this.#client !== client) return
    this.#client = null
    client.connection.stream.destroy()
    void this.#connect()
  }

  /** Asks on it, and cuts it off where no answer comes: one that was lost without a word is not noticed otherwise. */
  async ping (withinMs: number): Promise<void> {
    const client = this.client
    if (client === null || client === this.#asked) return // an answer is waited for already
    this.#asked = client
    const late = setTimeout(() => { this.drop(client) }, withinMs)
    await client.query('select 1').catch(() => {}).finally(() => {
      clearTimeout(late)
      if (this.#asked === client) this.#asked = null
    })
  }

  async close (): Promise<void> {
    this.#closed = true
    const client = this.#client
    this.#client = null
    if (client) await farewell(client)
  }

  /** Tries until there is one. */
  #connect (): Promise<void> {
    this.#connecting ??= this.#again().finally(() => {
      this.#connecting = null
      if (!this.#closed && this.#client === null) void this.#connect() // gone again at once
    })
    return this.#connecting
  }

  async #again (): Promise<void> {
    while (!this.#closed && this.#client === null) {
      try {
        const client = await this.#made()
        this.#failures = 0
        if (this.#closed) { await client.end(); return }
        this.#client = client
        this.#o.onUp?.()
      } catch (error) {
        if (this.#failures++ === 0) this.#o.onError(error as Error)
        await new Promise(resolve => { setTimeout(resolve, AGAIN_MS[Math.min(this.#failures, AGAIN_MS.length - 1)]) })
      }
    }
  }

  async #made (): Promise<Client> {
    const client = new Client(clientConfig(this.#o))
    client.on('error', error => {
      if (this.#client === client) {
        this.#client = null
        this.#o.onError(error)
        void this.#connect()
      }
    })
    client.on('end', () => {
      if (this.#client === client) {
        this.#client = null
        void this.#connect()
      }
    })
    client.on('notification', ({ channel, payload = '' }) => { this.#o.onNotice?.(channel, payload) })
    try {
      await client.connect()
      await this.#o.prepare?.(client)
      return client
    } catch (error) {
      void client.end().catch(() => {})
      throw error
    }
  }
}
