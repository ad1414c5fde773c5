// Klaviyo's API as its documentation has it, for the endpoints this folder uses. The strict party:
// where the documentation leaves room, this refuses. It takes private keys, pk_… of at least ten more characters
// (one that holds "revoked" is answered 401, one that holds "noscope" 403), and the tokens of its own OAuth server.
// A grant and a key of one account share its windows here, which is stricter than Klaviyo.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { SandboxContext } from '../../gateway/define.ts'
import { bytes, invalid, isFault, link, MEDIA_TYPE, parsed, refuse, shortId } from './sandbox-answers.ts'
import type { Caller, Endpoint, Fault } from './sandbox-answers.ts'
import { controls } from './sandbox-controls.ts'
import { eventEndpoints, Events } from './sandbox-events.ts'
import { flowEndpoints, Flows } from './sandbox-flows.ts'
import { Grants } from './sandbox-grants.ts'
import { metricEndpoints, Metrics } from './sandbox-metrics.ts'
import { oauth } from './sandbox-oauth.ts'
import { profileControls } from './sandbox-profile-controls.ts'
import { profileEndpoints, Profiles } from './sandbox-profiles.ts'

/** Revisions come quarterly, are stable for a year and deprecated for another, then retired. */
const NEWEST_REVISION = '2026-07-15'
const OLDEST_REVISION = '2024-10-15'
const REVISION = /^20\d\d-(01|04|07|10)-15$/
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

export default function klaviyo (app: FastifyInstance, context: SandboxContext): void {
  const wallNow = (): number => context.wallNow()
  const grants = new Grants(wallNow)
  const metrics = new Metrics(wallNow)
  const flows = new Flows(wallNow)
  const profiles = new Profiles(wallNow, at => metrics.seen(at))
  const endpoints: Endpoint[] = [ACCOUNTS, ...eventEndpoints(new Events(metrics, profiles), wallNow), ...profileEndpoints(profiles, wallNow), ...metricEndpoints(metrics, flows), ...flowEndpoints(flows, metrics)]
  for (const endpoint of endpoints) app.route({ method: endpoint.method, url: endpoint.url, handler: (request, reply) => served(request, reply, context, endpoint, grants) })
  for (const [url, known] of Map.groupBy(endpoints, endpoint => endpoint.url)) {
    const taken = new Set<string>(known.map(({ method }) => method))
    app.route({ method: METHODS.filter(method => !taken.has(method)), url, handler: (_request, reply) => refuse(reply, { status: 405, code: 'method_not_allowed', title: 'Method not allowed.', detail: 'The method is not allowed here.' }) })
  }
  oauth(app, context, grants)
  controls(app, { grants, metrics, flows })
  profileControls(app, profiles)
  app.setNotFoundHandler((_request, reply) => refuse(reply, { status: 404, code: 'not_found', title: 'Not found.', detail: 'A path or resource could not be found.' }))
}

const ACCOUNTS: Endpoint = {
  method: 'GET',
  url: '/api/accounts',
  group: 'accounts',
  scopes: ['accounts:read'],
  answer: ({ caller }) => ({ status: 200, body: { data: [accountResource(caller.account)], links: { self: link('/api/accounts') } } })
}

/** What every call goes through: who asks, which revision, how often, and whether they may. */
function served (request: FastifyRequest, reply: FastifyReply, context: SandboxContext, endpoint: Endpoint, grants: Grants): FastifyReply {
  const body = parsed(request.body)
  const caller = identify(request.headers.authorization, grants)
  const account = isCaller(caller) ? caller.account : shortId(request.headers.authorization ?? '')
  const answer = isCaller(caller) ? admitted(request, reply, context, endpoint, caller, body) ?? endpoint.answer({ caller, request, id: idOf(request), body }) : caller
  context.record({ account, method: request.method, path: pathOf(request), body: body ?? null, status: answer.status, ...('record' in answer && answer.record) })
  if (isFault(answer)) return refuse(reply, answer)
  reply.code(answer.status)
  return answer.body === undefined ? reply.send() : reply.header('content-type', MEDIA_TYPE).send(bytes(answer.body))
}

/** What stops a known caller before the endpoint looks at the call. */
function admitted (request: FastifyRequest, reply: FastifyReply, context: SandboxContext, { group, scopes, method }: Endpoint, { account, scopes: granted }: Caller, body: unknown): Fault | null {
  const revision = revisionFault(request.headers['revision'])
  if (revision !== null) return revision
  const waitMs = context.take(group, account)
  if (waitMs !== null) return throttled(waitMs)
  reply.headers(rateLimitHeaders(context, group, account)).header('x-klaviyo-api-revision', request.headers['revision'])
  const missing = scopes.filter(scope => granted !== null && !granted.has(scope))
  if (missing.length > 0) return { status: 403, code: 'permission_denied', title: 'You do not have permission to perform this action.', detail: `Your key or token lacks ${missing.join(', ')}.` }
  return method === 'POST' || method === 'PATCH' ? envelopeFault(request, body) : null
}

/** Who a header names; or why nobody. */
function identify (authorization: string | undefined, grants: Grants): Caller | Fault {
  const [, scheme, credentials = ''] = /^(Klaviyo-API-Key|Bearer) ([!-~]+)$/.exec(authorization ?? '') ?? []
  if (scheme === 'Bearer') {
    const caller = grants.caller(credentials)
    return caller === null || typeof caller === 'string' ? unauthorized(authorization, caller ?? undefined) : caller
  }
  if (scheme === undefined || !/^pk_[A-Za-z0-9_-]{10,}$/.test(credentials) || credentials.includes('revoked')) return unauthorized(authorization)
  return { account: shortId(credentials), integration: 'API', scopes: credentials.includes('noscope') ? new Set() : null }
}

function isCaller (caller: Caller | Fault): caller is Caller { return 'account' in caller }

function envelopeFault (request: FastifyRequest, body: unknown): Fault | null {
  const type = request.headers['content-type'] ?? ''
  if (type.split(';')[0]?.trim() !== MEDIA_TYPE) return { status: 415, code: 'unsupported_media_type', title: 'Unsupported media type.', detail: `Send ${MEDIA_TYPE}.` }
  return body === undefined ? invalid('The body is no JSON.', { pointer: '' }) : null
}

function revisionFault (revision: unknown): Fault | null {
  if (typeof revision !== 'string' || revision === '') return invalidRevision('The revision header is required.')
  if (!REVISION.test(revision) || revision > NEWEST_REVISION) return invalidRevision(`There is no revision ${revision.slice(0, 40)}.`)
  return revision < OLDEST_REVISION ? { status: 410, code: 'gone', title: 'Revision retired.', detail: `The revision ${revision} is retired.` } : null
}

function invalidRevision (detail: string): Fault {
  return { status: 400, code: 'invalid', title: 'Invalid revision.', detail }
}

function unauthorized (header: string | undefined, why?: string): Fault {
  const detail = header === undefined ? 'Authentication credentials were not provided.' : 'Incorrect authentication credentials.'
  return { status: 401, code: header === undefined ? 'not_authenticated' : 'authentication_failed', title: detail, detail: why ?? detail }
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

/** The path as Klaviyo knows it. */
function pathOf ({ url }: FastifyRequest): string {
  return url.slice(url.indexOf('/api/')).split('?')[0] as string
}

function idOf ({ params }: FastifyRequest): string { return (params as { id?: string }).id ?? '' }

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
    links: { self: link(`/api/accounts/${id}`) }
  }
}
