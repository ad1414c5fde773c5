// Klaviyo's API as its documentation has it, for the endpoints this folder uses. The strict party:
// where the documentation leaves room, this refuses. Keys it takes: pk_… of at least ten more characters;
// one that holds "revoked" is answered 401, one that holds "noscope" 403.

import { createHash, randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { SandboxContext } from '../../gateway/define.ts'
import { eventFault } from './sandbox-event.ts'
import type { EventBody } from './sandbox-event.ts'

const MEDIA_TYPE = 'application/vnd.api+json'
const EVENT_BYTES_MAX = 5 * 1024 * 1024
/** Revisions come quarterly, are stable for a year and deprecated for another, then retired. */
const NEWEST_REVISION = '2026-07-15'
const OLDEST_REVISION = '2024-10-15'
const REVISION = /^20\d\d-(01|04|07|10)-15$/
/** How long Klaviyo remembers a unique_id is not published; this many are remembered here. */
const REMEMBERED_MAX = 200_000

interface Fault { status: number, code: string, title: string, detail: string, pointer?: string, headers?: Record<string, string> }

export default function klaviyo (app: FastifyInstance, context: SandboxContext): void {
  const seen = new Set<string>()
  app.get('/api/accounts', (request, reply) => served(request, reply, context, 'accounts', account => {
    context.record({ account, method: 'GET', path: '/api/accounts', body: null, status: 200 })
    return reply.code(200).header('content-type', MEDIA_TYPE).send(bytes({ data: [accountResource(account)], links: { self: 'https://a.klaviyo.com/api/accounts' } }))
  }))
  app.post('/api/events', (request, reply) => served(request, reply, context, 'events', account => createEvent(account, request, reply, context, seen)))
  app.setNotFoundHandler((_request, reply) => refuse(reply, { status: 404, code: 'not_found', title: 'Not found.', detail: 'A path or resource could not be found.' }))
  for (const url of ['/api/accounts', '/api/events']) {
    app.route({ method: ['PUT', 'PATCH', 'DELETE', url === '/api/accounts' ? 'POST' : 'GET'], url, handler: (_request, reply) => refuse(reply, { status: 405, code: 'method_not_allowed', title: 'Method not allowed.', detail: 'The method is not allowed here.' }) })
  }
}

/** What every call goes through: who asks, which revision, how often, and whether the key may. */
function served (request: FastifyRequest, reply: FastifyReply, context: SandboxContext, group: string, then: (account: string) => FastifyReply): FastifyReply {
  const { authorization } = request.headers
  const key = /^Klaviyo-API-Key (pk_[A-Za-z0-9_-]{10,})$/.exec(authorization ?? '')?.[1]
  const account = accountId(key ?? authorization ?? '')
  const record = (fault: Fault): FastifyReply => {
    context.record({ account, method: request.method, path: `/api/${group}`, body: parsed(request.body) ?? null, status: fault.status })
    return refuse(reply, fault)
  }
  if (key === undefined || key.includes('revoked')) return record(unauthorized(authorization))
  const revision = revisionFault(request.headers['revision'])
  if (revision !== null) return record(revision)
  const waitMs = context.take(group, account)
  if (waitMs !== null) return record(throttled(waitMs))
  reply.headers(rateLimitHeaders(context, group, account)).header('x-klaviyo-api-revision', request.headers['revision'])
  if (key.includes('noscope')) return record({ status: 403, code: 'permission_denied', title: 'You do not have permission to perform this action.', detail: `Your key lacks the scope ${group}:${group === 'accounts' ? 'read' : 'write'}.` })
  return then(account)
}

function createEvent (account: string, request: FastifyRequest, reply: FastifyReply, context: SandboxContext, seen: Set<string>): FastifyReply {
  const body = parsed(request.body)
  const fault = envelopeFault(request, body) ?? bodyFault(body)
  const entry = { account, method: 'POST', path: '/api/events', body: body ?? null }
  if (fault !== null) {
    context.record({ ...entry, status: fault.status })
    return refuse(reply, fault)
  }
  const { identity, key } = identityOf(account, body as EventBody, request)
  const repeat = seen.has(identity)
  remember(seen, identity)
  context.record({ ...entry, status: 202, key, repeat })
  return reply.code(202).send()
}

function envelopeFault (request: FastifyRequest, body: unknown): Fault | null {
  const type = request.headers['content-type'] ?? ''
  if (type.split(';')[0]?.trim() !== MEDIA_TYPE) return { status: 415, code: 'unsupported_media_type', title: 'Unsupported media type.', detail: `Send ${MEDIA_TYPE}.` }
  if (Buffer.isBuffer(request.body) && request.body.length > EVENT_BYTES_MAX) return { status: 413, code: 'payload_too_large', title: 'Payload too large.', detail: 'An event must not exceed 5 MB.' }
  return body === undefined ? { status: 400, code: 'invalid', title: 'Invalid input.', detail: 'The body is no JSON.', pointer: '' } : null
}

function bodyFault (body: unknown): Fault | null {
  const fault = eventFault(body, Date.now())
  return fault === null ? null : { status: 400, code: 'invalid', title: 'Invalid input.', ...fault }
}

/** What Klaviyo keeps one event per: profile, metric and unique_id, which is the time to the second where none is given. */
function identityOf (account: string, body: EventBody, request: FastifyRequest): { identity: string, key: string } {
  const { unique_id: uniqueId, time, metric, profile } = body.data.attributes
  const { phone_number: phone, email, external_id: externalId } = profile.data.attributes
  const key = uniqueId ?? (time ?? new Date().toISOString()).slice(0, 19)
  const who = profile.data.id ?? phone ?? email ?? externalId ?? request.id
  return { key, identity: createHash('sha256').update(JSON.stringify([account, who, metric.data.attributes.name, key])).digest('base64') }
}

function remember (seen: Set<string>, identity: string): void {
  seen.add(identity)
  if (seen.size > REMEMBERED_MAX) seen.delete(seen.values().next().value as string)
}

function revisionFault (revision: unknown): Fault | null {
  if (typeof revision !== 'string' || revision === '') return invalidRevision('The revision header is required.')
  if (!REVISION.test(revision) || revision > NEWEST_REVISION) return invalidRevision(`There is no revision ${revision.slice(0, 40)}.`)
  return revision < OLDEST_REVISION ? { status: 410, code: 'gone', title: 'Revision retired.', detail: `The revision ${revision} is retired.` } : null
}

function invalidRevision (detail: string): Fault {
  return { status: 400, code: 'invalid', title: 'Invalid revision.', detail }
}

function unauthorized (header: string | undefined): Fault {
  const detail = header === undefined ? 'Authentication credentials were not provided.' : 'Incorrect authentication credentials.'
  return { status: 401, code: header === undefined ? 'not_authenticated' : 'authentication_failed', title: detail, detail }
}

function throttled (waitMs: number): Fault {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000))
  return {
    status: 429, code: 'throttled', title: 'Request was throttled.', detail: `Request was throttled. Expected available in ${seconds} second${seconds === 1 ? '' : 's'}.`, headers: { 'retry-after': String(seconds) }
  }
}

/** On every answer but a 429: `10, 10;w=1, 150;w=60`, and what is left in the window that is fullest. */
function rateLimitHeaders (context: SandboxContext, group: string, account: string): Record<string, string> {
  const windows = context.left(group, account)
  const first = windows[0]
  if (first === undefined) return {}
  const tightest = windows.reduce((least, window) => window.left < least.left ? window : least)
  return {
    'ratelimit-limit': [String(first.max), ...windows.map(({ max, perMs }) => `${max};w=${perMs / 1000}`)].join(', '),
    'ratelimit-remaining': String(tightest.left),
    'ratelimit-reset': String(Math.ceil(tightest.resetMs / 1000))
  }
}

function refuse (reply: FastifyReply, { status, code, title, detail, pointer, headers }: Fault): FastifyReply {
  const source = pointer === undefined ? {} : { pointer }
  const error = { id: randomUUID(), status, code, title, detail, source, links: {}, meta: {} }
  return reply.code(status).headers({ 'content-type': MEDIA_TYPE, ...headers }).send(bytes({ errors: [error] }))
}

/** As a buffer: to text a charset would be added, which this media type does not have. */
function bytes (document: object): Buffer {
  return Buffer.from(JSON.stringify(document))
}

/** Six characters, as Klaviyo's are; the same key is the same account. */
function accountId (key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 6).toUpperCase()
}

function accountResource (id: string): object {
  return {
    type: 'account',
    id,
    attributes: {
      test_account: true,
      contact_information: {
        default_sender_name: 'Sandbox', default_sender_email: 'sandbox@example.com', website_url: 'https://shop.example', organization_name: 'Sandbox', street_address: { address1: null, address2: null, city: null, region: null, country: 'United States', zip: null }
      },
      industry: null,
      timezone: 'US/Eastern',
      preferred_currency: 'USD',
      public_api_key: id,
      locale: 'en-US'
    },
    links: { self: `https://a.klaviyo.com/api/accounts/${id}` }
  }
}

function parsed (body: unknown): unknown {
  if (!Buffer.isBuffer(body)) return undefined
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}
