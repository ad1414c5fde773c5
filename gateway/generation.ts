// A generation: the routes, built from one frozen config. The listener, the store and all deliveries outlive it.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Config, Provider, Runtime, Store } from './contract.ts'
import { consumersOf } from './acting.ts'
import { authenticate, callerOfRequest, openToAll } from './auth.ts'
import { createCursors } from './cursor.ts'
import type { Deliver } from './delivery/deliver.ts'
import { forecast, waitingIn } from './delivery/forecast.ts'
import { deliveryRoutes } from './delivery/routes.ts'
import { usageRoutes } from './delivery/usage.ts'
import { Door } from './events/accept.ts'
import { eventRoutes } from './events/routes.ts'
import type { EventSchema } from './events/schemas.ts'
import { createHttp, violations } from './http.ts'
import { inboundsOf } from './inbound.ts'
import type { Intake } from './intake.ts'
import type { Logger } from './observe/log.ts'
import type { Metrics } from './observe/metrics.ts'
import { optOutRoutes } from './opt-outs/routes.ts'
import type { Outgoing } from './outgoing.ts'
import { privacyRoutes } from './privacy/routes.ts'
import type { Grants } from './shops/oauth/grants.ts'
import { oauthRoutes } from './shops/oauth/routes.ts'
import type { Queue, Shops, ShopState } from './shops/shops.ts'
import { recentOf } from './shops/diagnosis/recent.ts'
import { diagnosisRoutes } from './shops/diagnosis/routes.ts'
import { shopRoutes } from './shops/routes.ts'
import { textRoutes } from './shops/texts.ts'
import { activityOf } from './shops/setup/activity.ts'
import { setupRoutes } from './shops/setup/routes.ts'
import type { Setup } from './shops/setup/setup.ts'
import { limited } from './shops/tries.ts'
import type { Vault } from './shops/vault.ts'
import type { Webhooks } from './shops/webhooks/webhooks.ts'
import type { Inbox, Translator } from './sources/inbox.ts'
import type { LoadedSource } from './sources/load.ts'
import { inboxRoutes } from './sources/routes.ts'
import { sourceRoutes } from './source-routes.ts'
import { sourcing, type Sourcing } from './sourcing.ts'
import { webhookRoutes, type Inbound } from './sources/webhooks.ts'
import { isKeptBack, optedOutAt } from './subscribers/consent.ts'
import { CHECK_ACTION, subscriberRoutes } from './subscribers/routes.ts'

export interface GenerationParts {
  config: Config
  schemas: ReadonlyMap<string, EventSchema>
  providers: ReadonlyMap<string, Provider>
  sources: ReadonlyMap<string, LoadedSource>
  outgoing: Outgoing
  /** Where what is played of providers and sources is reached; null where nothing is. */
  sandboxUrl: string | null
  store: Store
  runtime: Runtime
  vault: Vault
  shops: Shops
  deliver: Deliver
  setup: Setup
  grants: Grants
  webhooks: Webhooks
  /** Where browsers reach this gateway, null where none does. */
  publicUrl (): string | null
  /** There is a job: no reason to wait for the next look. */
  look (): void
  inbox: Inbox
  intake: Intake
  metrics: Metrics
  log: Logger
  /** False while starting or stopping. */
  ready (): boolean
  /** Told of what came from outside and was refused. */
  onRefused (refused: { source: string, status: number }): void
  /** Told of each route as it is made. */
  onRoute? (route: { method: string | string[], url: string }): void
}

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

/** Answers requests; built anew at a reload, swapped in at once. The inbox works on through its door and with its sources. */
export interface Generation { handler: RequestHandler, door: Door, translators: ReadonlyMap<string, Translator>, sourcing: Sourcing, close (): Promise<void> }

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
  const atWork: Sourcing = sourcing({ ...parts, door: () => entrance })
  const entrance = door(parts, atWork)
  const { inbounds, translators } = inboundsOf({ ...parts, working: atWork.working, person: phone => parts.vault.fingerprint('person', phone) })
  app.register(async scope => {
    routes(scope, parts, entrance, inbounds)
    sourceRoutes(scope, { working: atWork.working, shops: parts.shops })
  })
  await app.ready()
  // The listener is not this one's: it outlives the generation and hands requests over.
  return { handler: (request, response) => { app.routing(request, response) }, door: entrance, translators, sourcing: atWork, close: () => app.close() }
}

function routes (app: FastifyInstance, parts: GenerationParts, entrance: Door, inbounds: readonly Inbound[]): void {
  const { config, providers, store, runtime, vault, shops, deliver, setup, grants, inbox, metrics, log, intake: { capacity, pressure } } = parts
  const titleOf = (provider: string) => providers.get(provider)?.title ?? provider
  const person = (phone: string) => vault.fingerprint('person', phone)
  const wake = (accountKey: number) => { deliver.wake(accountKey) }
  const channels = Object.keys(config.channels)
  const cursors = createCursors(text => vault.fingerprint('cursor', text))

  app.register(async scope => {
    capacity.guardEvents(scope, callerOfRequest)
    eventRoutes(scope, { door: entrance, caller: callerOfRequest })
  })
  const open = (scope: FastifyInstance): void => {
    openToAll(scope)
    capacity.guardWebhooks(scope)
  }
  webhookRoutes(app, inbounds, { open, onRefused: parts.onRefused })
  oauthRoutes(app, { config, providers, store, vault, runtime, setup, shops, open, publicUrl: () => parts.publicUrl(), calling: id => grants.calling(id), onError: error => { log.error({ error }, 'a merchant could not be connected') } })
  inboxRoutes(app, { store, caller: callerOfRequest, cursors, inbox, knownSince: () => runtime.now() - config.retention.identityMs })
  deliveryRoutes(app, {
    store, runtime, config, caller: callerOfRequest, titleOf, providerOf: id => providers.get(id), person, cursors, wake,
    keptBack: async (id, at, finishedAt) => {
      const provider = providers.get(id)
      return provider !== undefined && await isKeptBack(provider, at, finishedAt, store)
    }
  })
  const waiting = (queues: readonly Queue[]) => waitingIn(queues, { store })
  const told = (queues: readonly Queue[]) => forecast(queues, { store, runtime, config, providerOf: id => providers.get(id), opened: key => deliver.opened(key) })
  setupRoutes(app, { setup, shops, providers, channels, caller: callerOfRequest, waiting, activity: (state, provider) => activityOf(state, provider, { store, runtime }), isFull: () => pressure.intakePaused })
  subscriberRoutes(app, {
    store, runtime, vault, providers, caller: callerOfRequest, person, cursors, look: () => { parts.look() },
    limited: shop => limited(shop, [CHECK_ACTION], { store, runtime }),
    shop: async (id, provider) => {
      const state = await shops.get(id)
      return state && { key: state.shop.key, accountKey: state.connections.get(provider)?.accountKey ?? null }
    }
  })
  optOutRoutes(app, { store, runtime, caller: callerOfRequest, person, shopKey: async id => (await shops.get(id))?.shop.key ?? null })
  diagnosisRoutes(app, {
    shops, config, providers, caller: callerOfRequest,
    channels: channels.filter(channel => !config.channels[channel]?.choices),
    standings: (state, provider) => setup.standings(state, provider),
    forecast: told,
    recent: (shop, channel, phone) => recentOf(shop, channel, phone, { store, runtime, person }),
    optedOutAt: (provider, accountKey, phone) => optedOutAt(provider, { accountKey, person: person(phone) }, store)
  })
  textRoutes(app, { shops, providers, runtime, caller: callerOfRequest, violations, sample: type => (parts.schemas.get(type)?.examples[0] ?? null) as Record<string, unknown> | null })
  usageRoutes(app, {
    store, runtime, providers, caller: callerOfRequest,
    shop: async id => {
      const state = await shops.get(id)
      return state && { shop: state.shop, settings: provider => state.connections.get(provider)?.settings ?? {} }
    }
  })
  shopRoutes(app, {
    shops,
    providers,
    channels,
    plans: Object.keys(config.plans),
    setupGroups: [...new Set(Object.values(config.eventTypes).map(type => type.setupGroup))],
    groupsOf: channel => [...new Set(Object.values(config.eventTypes).filter(type => type.channel === channel).map(type => type.setupGroup))],
    shopIdPattern: config.shopIdPattern,
    caller: callerOfRequest,
    cursors,
    forecast: told,
    waiting,
    webhooks: (provider, connection) => parts.webhooks.view(provider, connection),
    now: runtime.now,
    violations
  })
  privacyRoutes(app, { store, runtime, vault, caller: callerOfRequest, look: () => { parts.look() } })
  app.get('/v1/providers', { config: { scope: 'shops:read' } }, async () => ({
    items: [...providers.values()].map(({ id, title, comingSoon, connection, channels, needs, events }) => ({ id, title, coming_soon: comingSoon, connection, channels, needs, events: Object.keys(events) }))
  }))
  app.get('/healthz', { config: { scope: 'public' } }, async () => ({ status: 'ok' }))
  app.get('/readyz', { config: { scope: 'public' } }, async (_request, reply) => {
    const why = !store.healthy() ? 'the store cannot be trusted: see the log' : pressure.intakePaused ? 'the disk of the store is nearly full' : parts.ready() ? null : 'stopping'
    return reply.code(why === null ? 200 : 503).send({ status: why ?? 'ready' })
  })
  app.get('/metrics', { config: { scope: 'public' } }, async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()))
}

function door ({ config, schemas, store, runtime, vault, shops, deliver, metrics, look }: GenerationParts, { consumers }: Pick<Sourcing, 'consumers'>): Door {
  const routeOf = (state: ShopState, queue: Queue) => ({ shopKey: state.shop.key, queueKey: queue.key, provider: queue.provider, accountKey: queue.accountKey, held: queue.held ?? deliver.heldReason(queue.accountKey) })
  const core = consumersOf({ store, runtime, vault, config: () => config })
  const all = new Map([...new Set([...core.keys(), ...consumers.keys()])].map(type => [type, [...core.get(type) ?? [], ...consumers.get(type) ?? []]]))
  return new Door({
    store,
    runtime,
    config,
    schemas,
    consumers: all,
    governing: new Set(core.keys()),
    look,
    person: phone => vault.fingerprint('person', phone),
    wake: accountKey => { deliver.wake(accountKey) },
    onReceipt: (type, status) => { metrics.event(type, status) },
    consumed: (shop, types) => {
      if (![...types].some(type => core.has(type))) return // sources change nothing of the shop itself
      shops.forget(shop)
      store.tell({ shop, jobs: true })
      look()
    },
    route: (id, type) => {
      const state = shops.peek(id)
      const queue = state?.queues.get(`${type.channel}/${type.setupGroup}`)
      if (state && queue) return routeOf(state, queue)
      return shops.get(id).then(async loaded => loaded ? routeOf(loaded, await shops.queue(loaded, type)) : null)
    },
    shopKey: id => shops.peek(id)?.shop.key ?? shops.get(id).then(loaded => loaded?.shop.key ?? null)
  })
}
