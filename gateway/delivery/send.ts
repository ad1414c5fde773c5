// The only place where a request leaves the gateway: one total deadline, one size cap, no redirects, no retries,
// no proxy from the environment, no address but a public one (or the sandbox's).

import { buildConnector, type Dispatcher, Pool } from 'undici'
import type { Answer, PreparedRequest } from '../contract.ts'
import { AddressRefused, allowsHost, guardedLookup, isLoopback, isPublic, type Resolve } from './guard.ts'

/** Of an answer no more is read, unless whoever asks says otherwise. */
const ANSWER_CAP_BYTES = 64 * 1024
const CONNECT_TIMEOUT_MS = 10_000
const KEPT_HEADERS = new Set(['content-type', 'date', 'retry-after', 'cf-mitigated', 'location'])
const KEPT_BEGINNING = /^(x-|rate-?limit)/

export interface SendOptions {
  deadlineMs: number
  connections: number
  /** Origin that may be plain HTTP on loopback; every other one is https on a public address. */
  sandboxOrigin: string | null
  now (): number
  /** Resolves names; the system's resolver unless a test brings its own. */
  resolve?: Resolve
}

/** A provider's connections. One per provider; `send` never throws. */
export interface Sender {
  send (request: PreparedRequest, credentials: Record<string, string>, signal: AbortSignal, capBytes?: number): Promise<Answer>
  close (): Promise<void>
}

export function createSender (baseUrl: string, options: SendOptions): Sender {
  const { origin, pathname, protocol, hostname } = new URL(baseUrl)
  const sandboxed = origin === options.sandboxOrigin
  const allowed = sandboxed ? isLoopback : isPublic
  const pool = new Pool(origin, {
    connections: options.connections,
    pipelining: 1,
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: 32 * 1024,
    connect: guardedConnector(allowed, options.resolve)
  })
  const prefix = pathname.replace(/\/$/, '')
  const inFlight = new Set<Exchange>()
  // One watch for all that is in flight: a timer per request costs more than the request's own headers.
  const watch = setInterval(() => { cutLate(inFlight, options.now()) }, Math.max(10, Math.min(100, options.deadlineMs / 20)))
  watch.unref()

  return {
    async send (request, credentials, signal, capBytes = ANSWER_CAP_BYTES) {
      if (protocol !== 'https:' && !sandboxed) return notSent('ADDRESS_REFUSED', `${origin} is not https`)
      if (!allowsHost(hostname, allowed)) return notSent('ADDRESS_REFUSED', `${hostname} is not a public address`)
      if (signal.aborted) return notSent('STOPPED', 'the gateway stopped')
      const exchange = new Exchange(options.now() + options.deadlineMs, options.now, capBytes)
      const abort = () => { exchange.cut('STOPPED', 'the gateway stopped') }
      signal.addEventListener('abort', abort)
      inFlight.add(exchange)
      try {
        return await exchange.run(pool, prefix, request, credentials)
      } finally {
        inFlight.delete(exchange)
        signal.removeEventListener('abort', abort)
      }
    },
    async close () {
      clearInterval(watch)
      await pool.destroy()
    }
  }
}

// HTTP/1.1 alone: with one request on a connection, a connection that breaks leaves one outcome unknown, not all of them.
function guardedConnector (allowed: (address: string) => boolean, resolve?: Resolve) {
  const connect = buildConnector({ timeout: CONNECT_TIMEOUT_MS, allowH2: false, lookup: guardedLookup(allowed, resolve) as never })
  return (options: buildConnector.Options, callback: buildConnector.Callback): void => {
    if (!allowsHost(options.hostname, allowed)) { callback(new AddressRefused(`${options.hostname} is not a public address`), null); return }
    connect(options, callback)
  }
}

function cutLate (inFlight: Set<Exchange>, now: number): void {
  for (const exchange of inFlight) {
    if (now >= exchange.deadlineAt) exchange.cut('DEADLINE', 'no full answer within the deadline')
  }
}

/** One request and its answer. Ends exactly once, whatever comes first: the answer, an error, the deadline, a stop. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly deadlineAt: number
  #now: () => number
  #capBytes: number
  /** There from the moment a connection is given to it: whatever fails after that, the request may have been written. */
  #controller: Dispatcher.DispatchController | null = null
  #resolve: ((answer: Answer) => void) | null = null
  #ended = false
  #status = 0
  #headers: Record<string, string> = {}
  #chunks: Buffer[] = []
  #size = 0

  constructor (deadlineAt: number, now: () => number, capBytes: number) {
    this.deadlineAt = deadlineAt
    this.#now = now
    this.#capBytes = capBytes
  }

  run (pool: Pool, prefix: string, request: PreparedRequest, credentials: Record<string, string>): Promise<Answer> {
    return new Promise(resolve => {
      this.#resolve = resolve
      try {
        pool.dispatch({
          method: request.method as Dispatcher.HttpMethod,
          path: prefix + request.path,
          headers: { ...request.headers, ...credentials },
          body: request.body
        }, this)
      } catch (error) {
        this.onResponseError(null, error as Error)
      }
    })
  }

  /** Ends it from our side. */
  cut (code: string, message: string): void {
    this.#end(this.#controller ? { kind: 'no_answer', code, message } : notSent(code, message))
    this.#controller?.abort(new Error(message))
  }

  onRequestStart (controller: Dispatcher.DispatchController): void {
    // A process that stood still may come here before the watch does: nothing is written after the deadline.
    if (!this.#ended && this.#now() >= this.deadlineAt) this.#end(notSent('DEADLINE', 'no connection within the deadline'))
    if (this.#ended) { controller.abort(new Error('given up before a connection was free')); return }
    this.#controller = controller
  }

  onResponseStart (_controller: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    this.#status = status
    this.#headers = kept(headers)
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#size += chunk.length
    if (this.#size <= this.#capBytes) { this.#chunks.push(chunk); return }
    this.#answer(true)
    controller.abort(new Error('the answer is larger than what is read'))
  }

  onResponseEnd (): void { this.#answer(false) }

  onResponseError (_controller: Dispatcher.DispatchController | null, error: Error & { code?: string }): void {
    const code = error.code ?? (error.cause as { code?: string } | undefined)?.code ?? error.name
    const message = error.message.slice(0, 200)
    this.#end(this.#controller ? { kind: 'no_answer', code, message } : notSent(code, message))
  }

  #answer (cut: boolean): void {
    const body = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer).toString('utf8') : Buffer.concat(this.#chunks).toString('utf8')
    this.#end({ kind: 'answer', status: this.#status, headers: this.#headers, body, cut })
  }

  #end (answer: Answer): void {
    if (this.#ended) return
    this.#ended = true
    this.#resolve?.(answer)
  }
}

function kept (headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const result: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined && (KEPT_HEADERS.has(name) || KEPT_BEGINNING.test(name))) result[name] = String(value).slice(0, 200)
  }
  return result
}

function notSent (code: string, message: string): Answer { return { kind: 'not_sent', code, message } }
