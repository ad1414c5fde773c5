// What the endpoints of the sandbox are made of: who asks, what is answered, and JSON:API around it.

import { createHash, randomUUID } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

export const MEDIA_TYPE = 'application/vnd.api+json'
/** Links name Klaviyo's own host: whoever follows one as it is, leaves the sandbox. */
const HOST = 'https://a.klaviyo.com'

/** `integration`: by what its events come. `scopes`: what it may; null: everything. */
export interface Caller { account: string, integration: string, scopes: ReadonlySet<string> | null }

/** A refusal. `pointer` leads into the body, `parameter` names one of the query. */
export interface Fault { status: number, code: string, title: string, detail: string, pointer?: string, parameter?: string, headers?: Record<string, string> }

/** `record`: what the entry of what was received says besides. */
export interface Answered { status: number, body?: object, record?: { key: string, repeat: boolean } }

/** A call that may be answered. `body`: parsed, undefined for a method without one. `id`: of the path, '' where it has none. */
export interface Call { caller: Caller, request: FastifyRequest, id: string, body: unknown }

export interface Endpoint {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  url: string
  /** The manifest's limit group. */
  group: string
  scopes: readonly string[]
  answer (call: Call): Answered | Fault
}

/** A JSON:API resource. */
export interface Resource { type: string, id: string, attributes: Record<string, unknown>, relationships?: object, links: { self: string } }

export function isFault (answer: Answered | Fault): answer is Fault { return 'code' in answer }

export function invalid (detail: string, at: { pointer?: string, parameter?: string } = {}): Fault {
  return { status: 400, code: 'invalid', title: 'Invalid input.', detail, ...at }
}

export function notFound (what: string, id: string): Fault {
  return { status: 404, code: 'not_found', title: 'Not found.', detail: `A ${what} with id ${id.slice(0, 40)} does not exist.` }
}

export function refuse (reply: FastifyReply, { status, code, title, detail, pointer, parameter, headers }: Fault): FastifyReply {
  const source = { ...(pointer !== undefined && { pointer }), ...(parameter !== undefined && { parameter }) }
  const error = { id: randomUUID(), status, code, title, detail, source, links: {}, meta: {} }
  return reply.code(status).headers({ 'content-type': MEDIA_TYPE, ...headers }).send(bytes({ errors: [error] }))
}

/** As a buffer: to text a charset would be added, which this media type does not have. */
export function bytes (document: object): Buffer {
  return Buffer.from(JSON.stringify(document))
}

export function parsed (body: unknown): unknown {
  if (!Buffer.isBuffer(body)) return undefined
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

/** A path of the API as a link. */
export function link (path: string): string { return HOST + path }

/** Six characters, as Klaviyo's ids are; the same text gives the same id. */
export function shortId (text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 6).toUpperCase()
}
