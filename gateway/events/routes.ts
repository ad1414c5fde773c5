// POST /v1/events: CloudEvents single and batch, and the same fields as plain JSON.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Scope } from '../contract.ts'
import { CODES, GatewayError } from '../errors.ts'
import type { Caller, Door, Receipt } from './accept.ts'

const SINGLE_CAP_BYTES = 64 * 1024
const BATCH_CAP_BYTES = 4 * 1024 * 1024
const BATCH_CAP_EVENTS = 1000
const MODES = {
  'application/json': 'plain',
  'application/cloudevents+json': 'cloudevents',
  'application/cloudevents-batch+json': 'batch'
} as const
type Media = keyof typeof MODES

export interface EventRoutesOptions {
  door: Door
  /** Who is calling; throws where they may not send events. */
  caller (request: FastifyRequest): { id: string, scopes: readonly Scope[], mayUse (shop: string): boolean }
}

/** A scope of its own: its content types are nobody else's. */
export function eventRoutes (app: FastifyInstance, { door, caller }: EventRoutesOptions): void {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  for (const media of Object.keys(MODES)) app.addContentTypeParser(media, { parseAs: 'string', bodyLimit: BATCH_CAP_BYTES }, parse)

  app.post('/v1/events', { config: { scope: 'events:write' }, bodyLimit: BATCH_CAP_BYTES }, async (request, reply) => {
    const { id, scopes, mayUse } = caller(request)
    const mode = modeOf(request)
    const by: Caller = { mode: mode === 'plain' ? 'plain' : 'cloudevents', defaultSource: `/api-keys/${id}`, mayUse, governs: scopes.includes('shops:write') }
    const { body } = request
    if (mode === 'batch' || (mode === 'plain' && Array.isArray(body))) return await batch(door, body, by, reply)
    const length = Number(request.headers['content-length'] ?? 0)
    if (length > SINGLE_CAP_BYTES) throw new GatewayError('GW_TOO_LARGE', `The event has ${length} bytes; one event may have 64 KiB.`)
    const [receipt] = await door.accept([body], by)
    return single(receipt as Receipt, reply)
  })
}

function modeOf (request: FastifyRequest): 'plain' | 'cloudevents' | 'batch' {
  const media = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() as Media
  const mode = MODES[media]
  if (mode === undefined || request.headers['content-encoding'] !== undefined) throw new GatewayError('GW_MEDIA_TYPE', `The gateway does not read "${media}".`)
  return mode
}

function single (receipt: Receipt, reply: FastifyReply): FastifyReply {
  if (!receipt.error) return reply.code(202).send(receipt)
  const { code, message, details } = receipt.error
  throw new GatewayError(code, message, { details })
}

async function batch (door: Door, body: unknown, by: Caller, reply: FastifyReply): Promise<FastifyReply> {
  if (!Array.isArray(body) || body.length === 0) throw new GatewayError('GW_EVENT_INVALID', 'A batch is an array of at least one event.', { details: [{ path: '', rule: 'type', message: 'must be an array of events' }] })
  if (body.length > BATCH_CAP_EVENTS) throw new GatewayError('GW_TOO_LARGE', `The batch has ${body.length} events; 1,000 are allowed.`)
  const items = await door.accept(body, by)
  const allRefused = items.every(item => item.status === 'refused')
  return reply.code(allRefused ? CODES.GW_EVENT_INVALID.status : 202).send({ items })
}
