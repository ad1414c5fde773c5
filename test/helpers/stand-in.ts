// A provider that runs outside the gateway and remembers what it was sent: in memory and in an append-only file.
// It counts requests as providers do, when they arrive, in sliding windows, and answers 429 beyond them.

import { closeSync, openSync, writeSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Window } from '../../gateway/contract.ts'

/** A request that arrived in full. `at` is monotonic: milliseconds since this process began. */
export interface Arrival {
  at: number
  status: number
  provider: string
  /** What the gateway tells repeats by. */
  key: string
  /** The sender's own id of the event, carried through the mapping: joins the two ends without the gateway's word. */
  ref: string
  shop: string
}

export interface StandInOptions {
  /** Append-only file of arrivals, a JSON line each. */
  file?: string
  /** How long one answer takes. */
  latencyMs?: () => number
  /** How what is within the windows is answered; 202 unless told otherwise. */
  status?: (shop: string) => number
  /** Whether one that was taken gets no answer: its connection is cut. */
  cut?: () => boolean
  /** Sliding windows over all that arrives, refused ones included. */
  windows?: readonly Window[]
}

export class StandIn {
  readonly arrivals: Arrival[] = []
  /** Requests answered 429. */
  limited = 0
  #server = createServer((request, response) => { this.#receive(request, response) })
  #sockets = new Set<Socket>()
  #options: StandInOptions
  #file: number | null
  #waiting: Array<{ when (): boolean, resolve: () => void }> = []

  constructor (options: StandInOptions) {
    this.#options = options
    this.#file = options.file === undefined ? null : openSync(options.file, 'a')
    this.#server.keepAliveTimeout = 60_000
    this.#server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.once('close', () => { this.#sockets.delete(socket) })
    })
  }

  /** http://127.0.0.1:<port>; a provider is below it by its id. */
  get url (): string { return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}` }

  listen (): Promise<void> {
    return new Promise(resolve => { this.#server.listen(0, '127.0.0.1', resolve) })
  }

  async close (): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>(resolve => { this.#server.close(() => { resolve() }) })
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
  }

  /** Resolves at the arrival that makes it true. */
  until (when: () => boolean): Promise<void> {
    if (when()) return Promise.resolve()
    return new Promise(resolve => { this.#waiting.push({ when, resolve }) })
  }

  #receive (request: IncomingMessage, response: ServerResponse): void {
    const at = performance.now()
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => { chunks.push(chunk) })
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Pick<Arrival, 'key' | 'ref' | 'shop'>
      const status = this.#full(at) ? 429 : this.#options.status?.(body.shop) ?? 202
      this.#keep({ at, status, provider: (request.url as string).split('/')[1] as string, key: body.key, ref: body.ref, shop: body.shop })
      const latencyMs = this.#options.latencyMs?.() ?? 0
      const cut = this.#options.cut?.() ?? false
      const end = () => { if (cut) request.socket.destroy(); else this.#answer(response, status) }
      if (latencyMs === 0) end()
      else setTimeout(end, latencyMs).unref()
    })
    request.on('error', () => {}) // a gateway that was killed
  }

  #full (at: number): boolean {
    return (this.#options.windows ?? []).some(({ max, perMs }) => {
      const first = this.arrivals[this.arrivals.length - max]
      return first !== undefined && first.at > at - perMs
    })
  }

  #keep (arrival: Arrival): void {
    this.arrivals.push(arrival)
    if (arrival.status === 429) this.limited++
    if (this.#file !== null) writeSync(this.#file, `${JSON.stringify(arrival)}\n`)
    const due = this.#waiting.filter(({ when }) => when())
    if (due.length === 0) return
    this.#waiting = this.#waiting.filter(waiting => !due.includes(waiting))
    for (const { resolve } of due) resolve()
  }

  #answer (response: ServerResponse, status: number): void {
    response.writeHead(status, status === 429 ? { 'content-type': 'application/json', 'retry-after': '1' } : { 'content-type': 'application/json' })
    response.end('{}')
  }
}

export async function startStandIn (options: StandInOptions = {}): Promise<StandIn> {
  const standIn = new StandIn(options)
  await standIn.listen()
  return standIn
}
