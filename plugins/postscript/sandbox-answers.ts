// How Postscript's API reads a body and answers: the shapes of its errors, its ids and its times.

import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** Who is asking. `account`: what is counted by; `shop`: null for a partner that acts for none. */
export interface Caller { account: string, shop: string | null, shopKey: string, partner: boolean }

/** An error as it is answered: JSON, or text. `why` goes into a header, as most bodies say nothing. */
export interface Refusal { status: number, body: object | string, why: string }

/** What an endpoint answers. */
export interface Answered { status: number, body: object }

export type Endpoint = (caller: Caller & { shop: string }, request: FastifyRequest) => Answered | Refusal

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export const API = '/api/v2'
export const NO_JSON = 'the body is no JSON that says so'

export function ok (status: number, body: object): Answered { return { status, body } }

/** Most refusals are documented with an empty object. */
export function bad (why: string): Refusal { return { status: 400, body: {}, why } }

export function listed (status: number, type: string, msg: string): Refusal { return { status, body: { errors: [{ loc: [], msg, type }] }, why: msg } }

export function forbidden (why: string): Refusal { return { status: 403, body: { error: 'You do not have permission to do that.' }, why } }

/** What a wrong key is answered is not documented; text, as a missing one is. */
export function unauthorized (why: string): Refusal { return { status: 401, body: 'Invalid Authorization header', why } }

/** Documented of keywords; of webhooks nothing is, and they are answered like it. */
export function notFound (what: string): Refusal {
  return { status: 404, body: { error_code: 3001, error_message: `Could not find ${what} matching that information`, success: false }, why: `no such ${what}` }
}

export function page (reply: FastifyReply, status: number, title: string): FastifyReply {
  return reply.code(status).type('text/html; charset=utf-8').send(`<!doctype html><title>${status} ${title}</title><h1>${title}</h1>`)
}

/** The body as data, where it is JSON and says so; else undefined. */
export function json ({ headers, body }: FastifyRequest): unknown {
  return (headers['content-type'] ?? '').split(';')[0]?.trim() === 'application/json' ? parsed(body) : undefined
}

export function parsed (body: unknown): unknown {
  if (!Buffer.isBuffer(body)) return undefined
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

export function idIn (request: FastifyRequest): string { return (request.params as { id: string }).id }

/** The same key is the same shop. */
export function shopOf (key: string): string { return `shop_${hash(key)}` }

export function hash (text: string): string { return createHash('sha256').update(text).digest('hex').slice(0, 13) }

/** ISO 8601 to the microsecond, without a zone, as some endpoints have it. */
export function zoneless (atMs: number): string { return `${new Date(atMs).toISOString().slice(0, -1)}000` }

/** ISO 8601 to the second, as the others have it. */
export function zoned (atMs: number): string { return `${new Date(atMs).toISOString().slice(0, 19)}Z` }
