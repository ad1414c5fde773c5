// Whether what comes in may be taken. What is in flight at the door is bounded, in requests and in bytes, before a body
// is read; since an event is answered when it is on disk, that bounds what waits for the store as well, whichever it is.
//
// @fastify/under-pressure belongs to one Fastify instance, which is built anew at each reload, has one mark for all of
// its routes and looks at a second's mean only: here one watch outlives the generations, and lanes have marks of their own.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { OverloadConfig } from './contract.ts'
import { GatewayError } from './errors.ts'
import type { Pressure } from './pressure.ts'

/** What is refused first, and what last: a platform whose webhooks are refused gives up calling. */
export type Lane = 'events' | 'webhooks'
export type Shed = 'requests' | 'bytes' | 'share' | 'loop_delay' | 'memory' | 'connections' | 'disk'

/** Webhooks are taken up to so many times the marks of events: that much is theirs alone. */
const WEBHOOKS_FACTOR = 2
/** Of what events may take together, one API key takes no more, so that it shuts nobody out. */
const KEY_SHARE = 0.75
/** Of the mark of requests: with less in flight a late event loop is not their doing, and refusing them helps nobody. */
const BUSY_SHARE = 1 / 8
/** Of the connections that can be had: beyond it events are refused, and the refused are disconnected. */
const CONNECTIONS_SHARE = 0.75
/** A body whose length is not announced may be as large as any. */
const LARGEST_BODY_BYTES = 4 * 1024 * 1024

export interface CapacityOptions {
  marks: OverloadConfig
  pressure: Pressure
  /** Connections that are open, and how many there may be. */
  connections (): { open: number, max: number }
  onShed (lane: Lane, reason: Shed): void
}

interface Place { bytes: number, key: string | null }

export class Capacity {
  #o: CapacityOptions
  #places = new WeakMap<FastifyRequest, Place>()
  #requests = 0
  #bytes = 0
  #keys = new Map<string, { requests: number, bytes: number }>()

  constructor (options: CapacityOptions) { this.#o = options }

  /** What is in flight at this moment, both lanes together. */
  get inFlight (): { requests: number, bytes: number } { return { requests: this.#requests, bytes: this.#bytes } }

  /** All routes of the scope take a place before their body is read. Comes after the hook that finds out who is calling. */
  guardEvents (scope: FastifyInstance, caller: (request: FastifyRequest) => { id: string }): void {
    scope.addHook('onRequest', async (request, reply) => {
      try {
        this.#take('events', request, announced(request), caller(request).id)
      } catch (error) {
        if (this.#crowded) void reply.header('connection', 'close')
        throw error
      }
    })
    this.#giveBack(scope)
  }

  /** Nobody has proved who is calling before the body is read, and reading has its own bound: a place is taken after it. */
  guardWebhooks (scope: FastifyInstance): void {
    scope.addHook('onRequest', async () => { this.#admit('webhooks', 0) })
    scope.addHook('preHandler', async request => {
      this.#take('webhooks', request, Buffer.isBuffer(request.body) ? request.body.length : 0, null)
    })
    this.#giveBack(scope)
  }

  /** When its answer is made: what nobody waits for any more is worked on all the same. A body that breaks off is answered, too. */
  #giveBack (scope: FastifyInstance): void {
    scope.addHook('onSend', async request => { this.#leave(request) })
  }

  #take (lane: Lane, request: FastifyRequest, bytes: number, key: string | null): void {
    this.#admit(lane, bytes)
    if (key !== null) this.#share(key, bytes)
    this.#requests++
    this.#bytes += bytes
    this.#places.set(request, { bytes, key })
  }

  /** Throws GW_DISK_FULL or GW_OVERLOADED. */
  #admit (lane: Lane, bytes: number): void {
    const reason = this.#reason(lane === 'webhooks' ? WEBHOOKS_FACTOR : 1, lane, bytes)
    if (reason === null) return
    this.#o.onShed(lane, reason)
    if (reason === 'disk') throw new GatewayError('GW_DISK_FULL', 'The disk of the store is nearly full.')
    throw new GatewayError('GW_OVERLOADED', 'More comes in at this moment than can be taken.')
  }

  #reason (factor: number, lane: Lane, bytes: number): Shed | null {
    const { marks, pressure } = this.#o
    if (pressure.intakePaused) return 'disk'
    if (this.#requests >= marks.requests * factor) return 'requests'
    // One that is larger than the mark is taken where nothing else is in flight.
    if (this.#bytes > 0 && this.#bytes + bytes > marks.bodyBytes * factor) return 'bytes'
    if (pressure.loopDelayMs > marks.loopDelayMs * factor && this.#requests >= marks.requests * BUSY_SHARE) return 'loop_delay'
    if (pressure.memoryBytes > marks.memoryBytes * factor) return 'memory'
    return lane === 'events' && this.#crowded ? 'connections' : null
  }

  get #crowded (): boolean {
    const { open, max } = this.#o.connections()
    return open > max * CONNECTIONS_SHARE
  }

  /** Throws GW_KEY_OVERLOADED. */
  #share (key: string, bytes: number): void {
    const { marks, onShed } = this.#o
    const mine = this.#keys.get(key) ?? { requests: 0, bytes: 0 }
    if (mine.requests >= marks.requests * KEY_SHARE || (mine.bytes > 0 && mine.bytes + bytes > marks.bodyBytes * KEY_SHARE)) {
      onShed('events', 'share')
      throw new GatewayError('GW_KEY_OVERLOADED', 'This API key has too many requests open at this moment.')
    }
    this.#keys.set(key, { requests: mine.requests + 1, bytes: mine.bytes + bytes })
  }

  #leave (request: FastifyRequest): void {
    const place = this.#places.get(request)
    if (!place) return
    this.#places.delete(request)
    this.#requests--
    this.#bytes -= place.bytes
    if (place.key === null) return
    const mine = this.#keys.get(place.key) as { requests: number, bytes: number }
    if (mine.requests === 1) this.#keys.delete(place.key)
    else this.#keys.set(place.key, { requests: mine.requests - 1, bytes: mine.bytes - place.bytes })
  }
}

function announced ({ headers }: FastifyRequest): number {
  const length = headers['content-length']
  return length === undefined ? LARGEST_BODY_BYTES : Number(length)
}
