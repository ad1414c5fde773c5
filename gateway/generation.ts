// A generation: the routes, built from one frozen config. The listener, the store and all deliveries outlive it.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Config, Provider, Runtime, Store } from './contract.ts'
import { authenticate, callerOfRequest } from './auth.ts'
import { createCursors } from './cursor.ts'
import type { Deliver } from './delivery/deliver.ts'
import { deliveryRoutes } from './delivery/routes.ts'
import { Door } from './events/accept.ts'
import { eventRoutes } from './events/routes.ts'
import type { EventSchema } from './events/schemas.ts'
import { createHttp, violations } from './http.ts'
import type { Logger } from './observe/log.ts'
import type { Metrics } from './observe/metrics.ts'
import type { Queue, Shops, ShopState } from './shops/shops.ts'
import { shopRoutes } from './shops/routes.ts'
import type { Vault } from './shops/vault.ts'

export interface GenerationParts {
  config: Config
  schemas: ReadonlyMap<string, EventSchema>
  providers: ReadonlyMap<string, Provider>
  store: Store
  runtime: Runtime
  vault: Vault
  shops: Shops
  deliver: Deliver
  metrics: Metrics
  log: Logger
  /** False while starting or stopping. */
  ready (): boolean
  /** Told of each route as it is made. */
  onRoute? (route: { method: string | string[], url: string }): void
}

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

/** Answers requests; built anew at a reload, swapped in at once. */
export interface Generation { handler: RequestHandler, close (): Promise<void> }

export async function buildGeneration (parts: GenerationParts): Promise<Generation> {
  const { config, runtime, log } = parts
  const app = createHttp({
    runtime,
    trustProxy: config.server.trustProxy,
    onError: (error, request) => { log.error({ error, request }, 'a request failed') }
  })
  if (parts.onRoute) app.addHook('onRoute', parts.onRoute)
  // Shared by all that comes after it; the routes keep their parsers to themselves.
  app.register(fastifyPlugin(async scope => { authenticate(scope, config.security.apiKeys) }, { name: 'authentication', fastify: '5.x' }))
  app.register(async scope => { routes(scope, parts) })
  await app.ready()
  // The listener is not this one's: it outlives the generation and hands requests over.
  return { handler: (request, response) => { app.routing(request, response) }, close: () => app.close() }
}

function routes (app: FastifyInstance, parts: GenerationParts): void {
  const { config, providers, store, runtime, vault, shops, deliver, metrics } = parts
  const titleOf = (provider: string) => providers.get(provider)?.title ?? provider
  const person = (phone: string) => vault.fingerprint('person', phone)
  const wake = (accountKey: number) => { deliver.wake(accountKey) }
  const channels = Object.keys(config.channels)
  const cursors = createCursors(text => vault.fingerprint('cursor', text))

  app.register(async scope => { eventRoutes(scope, { door: door(parts, person, wake), caller: callerOfRequest }) })
  deliveryRoutes(app, { store, runtime, config, caller: callerOfRequest, titleOf, person, cursors, wake })
  shopRoutes(app, {
    shops,
    providers,
    channels,
    plans: Object.keys(config.plans),
    setupGroups: [...new Set(Object.values(config.eventTypes).map(type => type.setupGroup))],
    shopIdPattern: config.shopIdPattern,
    caller: callerOfRequest,
    cursors,
    violations
  })
  app.get('/v1/providers', { config: { scope: 'shops:read' } }, async () => ({
    items: [...providers.values()].map(({ id, title, comingSoon, channels, needs, events }) => ({ id, title, coming_soon: comingSoon, channels, needs, events: Object.keys(events) }))
  }))
  app.get('/healthz', { config: { scope: 'public' } }, async () => ({ status: 'ok' }))
  app.get('/readyz', { config: { scope: 'public' } }, async (_request, reply) => {
    const ready = parts.ready() && store.healthy()
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : store.healthy() ? 'stopping' : 'the store cannot be trusted: see the log' })
  })
  app.get('/metrics', { config: { scope: 'public' } }, async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()))
}

function door ({ config, schemas, store, runtime, shops, deliver, metrics }: GenerationParts, person: (phone: string) => Uint8Array, wake: (accountKey: number) => void): Door {
  const routeOf = (state: ShopState, queue: Queue) => ({ shopKey: state.shop.key, queueKey: queue.key, provider: queue.provider, accountKey: queue.accountKey, held: queue.held ?? deliver.heldReason(queue.accountKey) })
  return new Door({
    store,
    runtime,
    config,
    schemas,
    person,
    wake,
    onReceipt: (type, status) => { metrics.event(type, status) },
    route: (id, type) => {
      const state = shops.peek(id)
      const queue = state?.queues.get(`${type.channel}/${type.setupGroup}`)
      if (state && queue) return routeOf(state, queue)
      return shops.get(id).then(async loaded => loaded ? routeOf(loaded, await shops.queue(loaded, type)) : null)
    }
  })
}
