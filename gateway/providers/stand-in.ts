// A strict stand-in for an API, made from a manifest: it knows the declared endpoints and nothing else,
// and refuses whatever the manifest, or the schema file beside it, does not allow.

import { createHash } from 'node:crypto'
import type { ValidateFunction } from 'ajv'
import ajvFormats from 'ajv-formats'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SandboxContext, SandboxPlugin, StandIn, StandInRequest } from '../contract.ts'
import { schemaCompiler } from '../json-schema.ts'
import { covers } from './limits.ts'
import { valueAt } from '../json-pointer.ts'

type Endpoint = StandInRequest & { fits: ValidateFunction | null }
interface Refusal { status: number, code: string, message: string, headers?: Record<string, string> }

/** Mounts the stand-in; expects bodies as buffers. */
export function standIn (facts: StandIn): SandboxPlugin {
  const ajv = schemaCompiler({ strict: false, logger: false })
  ajvFormats.default(ajv)
  const endpoints: Endpoint[] = facts.requests.map(request => ({ ...request, fits: request.schema === null ? null : ajv.compile(request.schema) }))
  return (app, context) => {
    app.all('/*', async (request, reply) => {
      const path = request.url.slice(app.prefix.length).split('?')[0] as string // as sent: a %2F divides nothing
      const here = endpoints.filter(one => covers(one.path, path))
      if (here.length === 0) return refuse(reply, { status: 404, code: 'not_found', message: `no ${path} here` })
      const endpoint = here.find(one => one.method === request.method)
      if (endpoint === undefined) return refuse(reply, { status: 405, code: 'method', message: `no ${request.method} here`, headers: { allow: here.map(one => one.method).join(', ') } })
      return answer(endpoint, path, facts, context, request, reply)
    })
  }
}

function answer (endpoint: Endpoint, path: string, facts: StandIn, context: SandboxContext, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const account = accountOf(facts, request)
  if (account === null) {
    context.record({ account: '', method: request.method, path, body: null, status: 401 })
    return refuse(reply, { status: 401, code: 'unauthorized', message: 'the credentials have another form' })
  }
  const waitMs = context.take(endpoint.group, account)
  const body = bodyOf(endpoint, request)
  const refusal = waitMs === null ? refusalOf(endpoint, request, body) : tooMany(waitMs)
  const key = endpoint.key === null ? undefined : valueAt(body, endpoint.key)
  context.record({
    account, method: request.method, path, body, status: refusal?.status ?? endpoint.answer.status, ...(typeof key === 'string' ? { key } : {})
  })
  if (refusal !== null) return refuse(reply, refusal)
  return reply.code(endpoint.answer.status).header('content-type', 'application/json').send(JSON.stringify(endpoint.answer.body))
}

/** A hash of the credentials, or null where they fit none of the ways. */
function accountOf (facts: StandIn, request: FastifyRequest): string | null {
  for (const way of facts.auth) {
    const values = Object.keys(way).map(name => request.headers[name])
    const fits = Object.values(way).every((shape, i) => typeof values[i] === 'string' && new RegExp(shape, 's').test(values[i]))
    if (fits) return createHash('sha256').update(values.join('\n')).digest('hex').slice(0, 12)
  }
  return null
}

function refusalOf (endpoint: Endpoint, request: FastifyRequest, body: unknown): Refusal | null {
  for (const [name, value] of Object.entries(endpoint.headers)) {
    if (request.headers[name] !== value) return { status: name === 'content-type' ? 415 : 400, code: 'header', message: `header ${name} must be "${value}"` }
  }
  if (endpoint.fits === null) return body === undefined ? null : { status: 400, code: 'body', message: 'no body is expected' }
  if (body === undefined) return { status: 400, code: 'body', message: `the body is no ${endpoint.encoding}` }
  if (!contentTypeFits(endpoint, request)) return { status: 415, code: 'content_type', message: `the body must be sent as ${endpoint.encoding}` }
  if (endpoint.fits(body)) return null
  const fault = endpoint.fits.errors?.[0]
  return { status: 400, code: 'body', message: `${fault?.instancePath ?? ''} ${fault?.message ?? 'does not fit'}`.trim() }
}

function contentTypeFits (endpoint: Endpoint, request: FastifyRequest): boolean {
  const type = request.headers['content-type'] ?? ''
  return endpoint.encoding === 'form' ? type.startsWith('application/x-www-form-urlencoded') : /^application\/(.+\+)?json\b/.test(type)
}

/** The body as data; undefined where there is none or it cannot be read. */
function bodyOf (endpoint: Endpoint, request: FastifyRequest): unknown {
  if (!Buffer.isBuffer(request.body) || request.body.length === 0) return undefined
  const text = request.body.toString('utf8')
  if (endpoint.encoding === 'form') return Object.fromEntries(new URLSearchParams(text))
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function tooMany (waitMs: number): Refusal {
  return { status: 429, code: 'too_many_requests', message: 'slow down', headers: { 'retry-after': String(Math.ceil(waitMs / 1000)) } }
}

function refuse (reply: FastifyReply, { status, code, message, headers }: Refusal): FastifyReply {
  return reply.code(status).headers({ 'content-type': 'application/json', ...headers }).send(JSON.stringify({ error: { code, message } }))
}
