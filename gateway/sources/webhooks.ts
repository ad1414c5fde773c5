// What comes from outside below /webhooks/<id>: no API key is asked for there, the code of the folder proves who is
// calling. Bodies are bytes as they came, since signatures are over those.

import type { FastifyInstance } from 'fastify'
import { GatewayError } from '../errors.ts'
import { Bodies } from './bodies.ts'

/** Read at most, where a route says nothing less; what is kept of it is less. */
const READ_CAP_BYTES = 8 * 1024 * 1024

/** Somebody who is called from outside. */
export interface Inbound { id: string, routes (app: FastifyInstance): void | Promise<void> }

export interface WebhookOptions {
  /** Lets anyone in. */
  open (scope: FastifyInstance): void
  /** Told of every answer of 400 or above, whoever gave it. */
  onRefused (refused: { source: string, status: number }): void
  bodies?: Bodies
}

/** A scope of its own for each: parsers, hooks and error handlers of one are nobody else's. The room for bodies is shared. */
export function webhookRoutes (app: FastifyInstance, inbounds: readonly Inbound[], { open, onRefused, bodies = new Bodies() }: WebhookOptions): void {
  for (const { id, routes } of inbounds) {
    app.register(async scope => {
      open(scope)
      asBytes(scope, bodies)
      scope.addHook('onResponse', async (_request, { statusCode }) => {
        if (statusCode >= 400) onRefused({ source: id, status: statusCode })
      })
      await routes(scope)
    }, { prefix: `/webhooks/${id}` })
  }
}

function asBytes (scope: FastifyInstance, bodies: Bodies): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (_request, _payload, done) => { done(null) })
  scope.addHook('onRoute', route => { route.bodyLimit ??= READ_CAP_BYTES })
  scope.addHook('onRequest', async request => {
    const encoding = request.headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') throw new GatewayError('GW_MEDIA_TYPE', 'The gateway reads no compressed bodies.')
  })
  scope.addHook('preValidation', async (request, reply) => { request.body = await bodies.read(request, reply) })
}
