// Connections to addresses that sources name, one pool for each; what nobody has used for a while is closed.

import type { Answer, PreparedRequest, Runtime } from './contract.ts'
import { createSender, type Sender } from './delivery/send.ts'

const DEADLINE_MS = 10_000
const CONNECTIONS = 4
/** Pools that are kept; those in use stay all the same. */
const ORIGINS_MAX = 200

interface Pool { sender: Sender, inFlight: number, usedAt: number }

export type Plain = Pick<PreparedRequest, 'method' | 'path' | 'headers' | 'body'>

export class Outgoing {
  #runtime: Pick<Runtime, 'mono'>
  #sandboxOrigin: string | null
  #pools = new Map<string, Pool>()
  #stopped = new AbortController()

  constructor (runtime: Pick<Runtime, 'mono'>, sandboxUrl: string | null) {
    this.#runtime = runtime
    this.#sandboxOrigin = sandboxUrl === null ? null : new URL(sandboxUrl).origin
  }

  /** Never throws. */
  async send (baseUrl: string, request: Plain, credentials: Record<string, string> = {}, capBytes?: number): Promise<Answer> {
    if (!URL.canParse(baseUrl)) return { kind: 'not_sent', code: 'ADDRESS_REFUSED', message: 'it is no address' }
    const { origin, pathname } = new URL(baseUrl)
    const pool = this.#pool(origin)
    pool.inFlight++
    try {
      const prepared: PreparedRequest = { name: 'source', group: 'source', ...request, path: pathname.replace(/\/$/, '') + request.path }
      return await pool.sender.send(prepared, credentials, this.#stopped.signal, capBytes)
    } finally {
      pool.inFlight--
      pool.usedAt = this.#runtime.mono()
    }
  }

  #pool (origin: string): Pool {
    const known = this.#pools.get(origin)
    if (known) return known
    if (this.#pools.size >= ORIGINS_MAX) this.#makeRoom()
    const sender = createSender(origin, { deadlineMs: DEADLINE_MS, connections: CONNECTIONS, sandboxOrigin: this.#sandboxOrigin, now: this.#runtime.mono })
    const pool = { sender, inFlight: 0, usedAt: this.#runtime.mono() }
    this.#pools.set(origin, pool)
    return pool
  }

  #makeRoom (): void {
    const idle = [...this.#pools].filter(([, { inFlight }]) => inFlight === 0).toSorted(([, a], [, b]) => a.usedAt - b.usedAt)[0]
    if (!idle) return
    this.#pools.delete(idle[0])
    void idle[1].sender.close()
  }

  async close (): Promise<void> {
    this.#stopped.abort()
    await Promise.all([...this.#pools.values()].map(({ sender }) => sender.close()))
  }
}
