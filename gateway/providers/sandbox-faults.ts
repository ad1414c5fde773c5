// Faults on demand: what a provider, or the way to it, may do wrong.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/**
 * status: answered at once with this status. delay: processed, later. hang: never answered.
 * reset: the connection is reset before the request is looked at. cut_before: closed without processing.
 * cut_after: processed, and closed without an answer.
 */
export const FAULT_KINDS = ['status', 'delay', 'hang', 'reset', 'cut_before', 'cut_after'] as const

export interface FaultOrder {
  kind: typeof FAULT_KINDS[number]
  match?: { method?: string, path?: string }
  /** So many times; without `times` and `rate`, every time until it is deleted. */
  times?: number
  /** With this probability, 0 to 1, drawn from `seed` on. */
  rate?: number
  seed?: number
  status?: number
  headers?: Record<string, string>
  body?: unknown
  delay_ms?: number
}

interface Standing { id: number, struck: number, order: FaultOrder, draw: () => number }

/** JSON Schema of an order. */
export const FAULT_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['kind'],
  properties: {
    kind: { enum: FAULT_KINDS },
    match: { type: 'object', additionalProperties: false, properties: { method: { type: 'string' }, path: { type: 'string' } } },
    times: { type: 'integer', minimum: 1 },
    rate: { type: 'number', minimum: 0, maximum: 1 },
    seed: { type: 'integer' },
    status: { type: 'integer', minimum: 200, maximum: 599 },
    headers: { type: 'object', additionalProperties: { type: 'string' } },
    body: {},
    delay_ms: { type: 'integer', minimum: 0, maximum: 600_000 }
  }
} as const

export class Faults {
  readonly #standing: Standing[] = []
  #next = 1

  add (order: FaultOrder): { id: number } {
    const id = this.#next++
    this.#standing.push({ id, struck: 0, order, draw: seeded(order.seed ?? 1) })
    return { id }
  }

  list (): Array<FaultOrder & { id: number, struck: number }> {
    return this.#standing.map(({ id, struck, order }) => Object.assign({ id, struck }, order))
  }

  clear (): void { this.#standing.length = 0 }

  /** The first standing fault for a request; it counts as having struck. */
  strike (method: string, path: string): FaultOrder | null {
    for (const fault of this.#standing) {
      const { match, times, rate } = fault.order
      if (times !== undefined && fault.struck >= times) continue
      if (match?.method !== undefined && match.method !== method) continue
      if (match?.path !== undefined && match.path !== path) continue
      if (rate !== undefined && fault.draw() >= rate) continue
      fault.struck++
      return fault.order
    }
    return null
  }
}

/** mulberry32: the same faults for the same seed. */
function seeded (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6D2B79F5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Lets the faults strike the routes of a provider's scope. `pathOf` gives the path as the provider knows it. */
export function strikeWith (faults: Faults, scope: FastifyInstance, pathOf: (request: FastifyRequest) => string): void {
  const cut = new WeakSet<FastifyRequest>()
  const due = new WeakMap<FastifyRequest, FaultOrder>()
  scope.addHook('onRequest', async (request, reply) => {
    const fault = faults.strike(request.method, pathOf(request))
    if (fault === null) return
    if (fault.kind === 'reset') return drop(reply, () => request.raw.socket.resetAndDestroy())
    due.set(request, fault)
  })
  // The others strike when the whole request has arrived.
  scope.addHook('preHandler', async (request, reply) => {
    const fault = due.get(request)
    if (fault === undefined) return
    if (fault.delay_ms !== undefined) await new Promise(resolve => setTimeout(resolve, fault.delay_ms).unref())
    if (fault.kind === 'status') return reply.code(fault.status ?? 500).headers(fault.headers ?? {}).send(fault.body ?? '')
    if (fault.kind === 'hang') return reply.hijack()
    if (fault.kind === 'cut_before') return drop(reply, () => request.raw.socket.destroy())
    if (fault.kind === 'cut_after') cut.add(request)
  })
  scope.addHook('onSend', async (request, reply) => {
    if (cut.has(request)) drop(reply, () => request.raw.socket.destroy())
  })
}

function drop (reply: FastifyReply, close: () => void): FastifyReply {
  reply.hijack()
  close()
  return reply
}
