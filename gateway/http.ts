// What all routes share: one form of error, one way to check bodies, ids for requests.

import type { ErrorObject, ValidateFunction } from 'ajv'
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify'
import type { Detail, Runtime } from './contract.ts'
import { CODES, type Code, GatewayError } from './errors.ts'
import { schemaCompiler } from './json-schema.ts'

const GOT_CHARS = 100
/** Any other 503 passes within a second. */
const RETRY_AFTER_S: Partial<Record<Code, number>> = { GW_OVERLOADED: 2, GW_KEY_OVERLOADED: 1, GW_DISK_FULL: 30, GW_TOO_OFTEN: 60 }

export interface HttpOptions {
  runtime: Runtime
  trustProxy: string[]
  onError (error: unknown, requestId: string): void
}

export function createHttp (options: HttpOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    trustProxy: options.trustProxy.length > 0 ? options.trustProxy : false,
    bodyLimit: 256 * 1024,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    return503OnClosing: true,
    exposeHeadRoutes: false,
    frameworkErrors: (error, request, reply) => {
      const known = asGatewayError(error)
      void (reply as FastifyReply).code(known.statusCode).send(errorBody(known, request.id))
    },
    genReqId: () => options.runtime.id('req_'),
    schemaErrorFormatter: errors => new GatewayError('GW_REQUEST_INVALID', 'The request does not fit the schema of this route.', { details: (errors as ErrorObject[]).map(detailOf) })
  })
  app.setValidatorCompiler(({ schema, httpPart }) => compilerOf(httpPart)(schema as object))
  app.setErrorHandler((error, request, reply) => {
    const known = asGatewayError(error as FastifyError)
    if (known.code === 'GW_INTERNAL') options.onError(error, request.id)
    const retryAfterS = known.retryAfterS ?? RETRY_AFTER_S[known.code] ?? (known.statusCode === 503 ? 1 : undefined)
    if (retryAfterS !== undefined) void reply.header('retry-after', String(retryAfterS))
    if (known.code === 'GW_UNAUTHENTICATED') void reply.header('www-authenticate', 'Bearer')
    return reply.code(known.statusCode).send(errorBody(known, request.id))
  })
  app.setNotFoundHandler((request, reply) => {
    const allowed = (['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const).filter(method => app.findRoute({ method, url: pathOf(request.url) }) !== null)
    const code = allowed.length > 0 ? 'GW_METHOD' : 'GW_NOT_FOUND'
    if (allowed.length > 0) void reply.header('allow', allowed.join(', '))
    const error = new GatewayError(code, allowed.length > 0 ? `${request.method} is not possible here.` : `Nothing is at ${pathOf(request.url).slice(0, 100)}.`)
    return reply.code(error.statusCode).send(errorBody(error, request.id))
  })
  return app
}

/** The one form of every error: code, message, remedy, the request's id, the fields. */
export function errorBody (error: GatewayError, requestId: string): object {
  return { error: { code: error.code, message: error.message, fix: CODES[error.code].fix, request_id: requestId, details: error.details } }
}

const FASTIFY_CODES: Record<string, Code> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'GW_MEDIA_TYPE',
  FST_ERR_CTP_BODY_TOO_LARGE: 'GW_TOO_LARGE',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'GW_JSON',
  FST_ERR_CTP_INVALID_JSON_BODY: 'GW_JSON',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'GW_JSON',
  FST_ERR_BAD_URL: 'GW_NOT_FOUND',
  FST_ERR_MAX_PARAM_LENGTH: 'GW_NOT_FOUND'
}

function asGatewayError (error: FastifyError): GatewayError {
  if (error instanceof GatewayError) return error
  const code = FASTIFY_CODES[error.code] ?? (error.statusCode === 400 ? 'GW_JSON' : undefined)
  if (code) return new GatewayError(code, code === 'GW_JSON' ? `The body cannot be read: ${error.message}.` : error.message)
  return new GatewayError('GW_INTERNAL', 'Something went wrong on our side.', { cause: error })
}

// Bodies are taken as they are; query strings are text, and become what the schema says.
const strict = schemaCompiler({ allErrors: true, strict: true, coerceTypes: false, removeAdditional: false, useDefaults: false, verbose: true })
const lenient = schemaCompiler({ allErrors: true, strict: true, coerceTypes: true, removeAdditional: false, useDefaults: true, verbose: true })

function compilerOf (part: string | undefined): (schema: object) => ValidateFunction {
  return schema => (part === 'body' ? strict : lenient).compile(schema)
}

/** Checks a value against a schema that is not a route's own: every violation, with its place. */
export function violations (schema: object, value: unknown, path: string): Detail[] {
  const validate = strict.compile(schema)
  strict.removeSchema(schema) // made anew for each request: kept, they would pile up
  if (validate(value)) return []
  return (validate.errors ?? []).map(error => ({ ...detailOf(error), path: path + detailOf(error).path }))
}

function detailOf (error: ErrorObject): Detail {
  const key = error.params?.['additionalProperty'] ?? error.params?.['missingProperty']
  const path = key === undefined ? error.instancePath : `${error.instancePath}/${String(key)}`
  const scalar = typeof error.data === 'string' || typeof error.data === 'number' || typeof error.data === 'boolean'
  return { path, rule: error.keyword, message: error.message ?? 'is not valid', ...(scalar && !/secret/.test(path) && { got: String(error.data).slice(0, GOT_CHARS) }) }
}

function pathOf (url: string): string { return url.split('?')[0] as string }
