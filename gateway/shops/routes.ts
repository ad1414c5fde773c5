// /v1/shops…: shops, the provider of each channel, connections as far as sending needs them.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Detail, Provider } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { sentence, type Reason } from '../reasons.ts'
import { channelView, choiceView, titleOf, type Held } from './channels.ts'
import type { Connection } from './connections.ts'
import { missingScopes } from './oauth/platform-app.ts'
import { secretsFaults } from './secrets-faults.ts'
import type { Queue, Shops, ShopState } from './shops.ts'
import { byGroup, type Waiting } from './waiting.ts'

/** `ms` null: it is held. `atLeast`: there may be more, and it may take longer. */
interface QueueForecast extends Waiting { setupGroup: string, held: Reason | null, ms: number | null, limitedBy: string | null }

export interface ShopRoutesOptions {
  shops: Shops
  providers: ReadonlyMap<string, Provider>
  channels: readonly string[]
  plans: readonly string[]
  setupGroups: readonly string[]
  /** Those of a channel's kinds of message. */
  groupsOf (channel: string): readonly string[]
  shopIdPattern: string
  caller (request: FastifyRequest): { id: string, shops: readonly string[] | '*', mayUse (shop: string): boolean }
  /** How long the backlog of queues takes, in the order given. */
  forecast (queues: readonly Queue[]): Promise<QueueForecast[]>
  /** How much waits in queues, in the order given. */
  waiting (queues: readonly Queue[]): Promise<Waiting[]>
  /** How it stands with what a provider tells us by itself; null where it tells nothing. */
  webhooks (provider: Provider, connection: Connection): Promise<object | null>
  now (): number
  /** Signs cursors, bound to who asked. */
  cursors: { seal (position: string, bound: string): string, open (cursor: string, bound: string): string }
  /** Every violation of a JSON Schema. */
  violations (schema: object, value: unknown, path: string): Detail[]
}

const text = (maxLength: number) => ({ type: 'string', minLength: 1, maxLength }) as const
const SHOP_BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'domain', 'plan'],
  properties: { name: text(200), domain: text(253), plan: text(100), active: { type: 'boolean' } }
} as const
const CONNECTION_BODY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    auth: text(100),
    secrets: { type: 'object', maxProperties: 20, additionalProperties: { type: 'string', minLength: 1, maxLength: 4096 } },
    account_id: text(200),
    settings: { type: 'object', maxProperties: 100 },
    ready: { type: 'array', maxItems: 100, items: text(100) }
  }
} as const
const LIST = { querystring: { type: 'object', additionalProperties: false, properties: { limit: { type: 'integer', minimum: 1, maximum: 200, default: 50 }, cursor: { type: 'string', maxLength: 200 } } } } as const

interface ShopBody { name: string, domain: string, plan: string, active?: boolean }
interface ConnectionBody { auth?: string, secrets?: Record<string, string>, account_id?: string, settings?: Record<string, unknown>, ready?: string[] }
interface At { shop: string, channel: string, provider: string }

export function shopRoutes (app: FastifyInstance, options: ShopRoutesOptions): void {
  const { shops, caller } = options
  const read = { config: { scope: 'shops:read' as const } }
  const write = { config: { scope: 'shops:write' as const } }

  app.get<{ Querystring: { limit: number, cursor?: string } }>('/v1/shops', { ...read, schema: LIST }, async request => {
    const { limit, cursor } = request.query
    const { id: who, shops: allowed } = caller(request)
    const bound = `shops ${who}`
    const after = cursor === undefined ? '' : options.cursors.open(cursor, bound)
    const items = await shops.list({ after, limit, shops: allowed === '*' ? null : [...allowed] })
    const last = items.length === limit ? items.at(-1) : undefined
    return { items: items.map(({ id, name, domain, plan, active, status }) => ({ id, name, domain, plan, active, status })), next_cursor: last ? options.cursors.seal(last.id, bound) : null }
  })

  app.get<{ Params: At }>('/v1/shops/:shop', read, async request => await shopView(await load(request, options), options))

  app.put<{ Params: At, Body: ShopBody }>('/v1/shops/:shop', { ...write, schema: { body: SHOP_BODY } }, async request => {
    const id = request.params.shop
    mayUse(request, options)
    if (!new RegExp(options.shopIdPattern).test(id)) throw invalid('/shop', 'pattern', `must match ${options.shopIdPattern}`)
    if (!options.plans.includes(request.body.plan)) throw invalid('/plan', 'enum', `one of ${options.plans.join(', ')}`)
    const { name, domain, plan, active = true } = request.body
    return await shopView(await puts({ id, name, domain, plan, active }, caller(request).id, shops), options)
  })

  app.get<{ Params: At }>('/v1/shops/:shop/channels/:channel', read, async request => {
    const state = await load(request, options)
    return await choicesView(state, channelOf(request, options), options)
  })

  app.put<{ Params: At, Body: { provider: string } }>('/v1/shops/:shop/channels/:channel', {
    ...write,
    schema: { body: { type: 'object', additionalProperties: false, required: ['provider'], properties: { provider: text(100) } } }
  }, async request => {
    const channel = channelOf(request, options)
    const { shop } = await load(request, options)
    const state = await shops.setChannel(shop.id, channel, request.body.provider, caller(request).id)
    return await choicesView(state, channel, options)
  })

  app.get<{ Params: At }>('/v1/shops/:shop/channels/:channel/forecast', read, async request => {
    const channel = channelOf(request, options)
    return await forecastView(await load(request, options), channel, options)
  })

  app.get<{ Params: At }>('/v1/shops/:shop/providers/:provider', read, async request =>
    await providerView(await load(request, options), providerOf(request, options), options))

  app.put<{ Params: At, Body: ConnectionBody }>('/v1/shops/:shop/providers/:provider/connection', { ...write, schema: { body: CONNECTION_BODY } }, async request => {
    const provider = providerOf(request, options)
    const state = await load(request, options)
    const { auth, secrets = {}, account_id: accountId = null, settings = {}, ready = [] } = request.body
    const way = auth ?? Object.keys(provider.auth)[0] ?? ''
    const faults = connectionFaults(provider, way, request.body, options)
    // Whoever names another shop's account joins its limits, and what holds it.
    if (accountId !== null && caller(request).shops !== '*') faults.push({ path: '/account_id', rule: 'scope', message: 'only a caller for all shops may name the account' })
    if (faults.length > 0) throw new GatewayError('GW_REQUEST_INVALID', `The connection does not fit ${provider.title}.`, { details: faults })
    return await providerView(await shops.putConnection(state.shop.id, provider.id, { auth: way, secrets, accountId, settings, ready }, caller(request).id), provider, options)
  })

  app.delete<{ Params: At }>('/v1/shops/:shop/providers/:provider/connection', write, async request => {
    const provider = providerOf(request, options)
    const state = await load(request, options)
    if (!state.connections.has(provider.id)) throw new GatewayError('GW_NOT_FOUND', `${state.shop.id} has no connection to ${provider.title}.`)
    return await providerView(await shops.deleteConnection(state.shop.id, provider.id, caller(request).id), provider, options)
  })
}

/** One that was erased begins anew; its queues, which were there before, are brought in line with that. */
async function puts (shop: Parameters<Shops['put']>[0], actor: string, shops: Shops): Promise<ShopState> {
  const isNew = await shops.get(shop.id) === null
  try {
    const state = await shops.put(shop, actor)
    return isNew && state.queues.size > 0 ? await shops.alter(shop.id, async after => ({ steps: [], after })) : state
  } catch (error) {
    if (isNew && (error as GatewayError).code === 'GW_NOT_FOUND') throw new GatewayError('GW_CONFLICT', 'The shop is being erased. Create it anew once that is done, in a moment.')
    throw error
  }
}

function mayUse (request: FastifyRequest<{ Params: At }>, { caller }: ShopRoutesOptions): void {
  if (!caller(request).mayUse(request.params.shop)) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
}

async function load (request: FastifyRequest<{ Params: At }>, options: ShopRoutesOptions): Promise<ShopState> {
  mayUse(request, options)
  const state = await options.shops.get(request.params.shop)
  if (!state) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
  return state
}

function channelOf (request: FastifyRequest<{ Params: At }>, { channels }: ShopRoutesOptions): string {
  const { channel } = request.params
  if (!channels.includes(channel)) throw new GatewayError('GW_NOT_FOUND', `No channel is called "${channel}"; there are ${channels.join(', ')}.`)
  return channel
}

function providerOf (request: FastifyRequest<{ Params: At }>, { providers }: ShopRoutesOptions): Provider {
  const provider = providers.get(request.params.provider)
  if (!provider) throw new GatewayError('GW_NOT_FOUND', `No provider is called "${request.params.provider}"; there are ${[...providers.keys()].join(', ')}.`)
  return provider
}

function connectionFaults (provider: Provider, way: string, body: ConnectionBody, options: ShopRoutesOptions): Detail[] {
  const faults = provider.connection === 'gateway' ? notTheShops(body) : [...secretsFaults(provider, way, body.secrets ?? {}), ...groupFaults(body.ready ?? [], options)]
  return [...faults, ...options.violations({ ...provider.settings, required: [] }, body.settings ?? {}, '/settings'), ...provider.settingsFaults(body.settings ?? {})]
}

/** Of the platform's account a shop has nothing to give. */
function notTheShops ({ auth, secrets = {}, account_id: accountId, ready }: ConnectionBody): Detail[] {
  const given = { auth, ...Object.fromEntries(Object.entries(secrets).map(([field, value]) => [`secrets/${field}`, value])), account_id: accountId, ready }
  return Object.entries(given).filter(([, value]) => value !== undefined)
    .map(([name]) => ({ path: `/${name}`, rule: 'gateway', message: 'the account is the platform\'s and is set up already: give settings only' }))
}

function groupFaults (ready: readonly string[], { setupGroups }: ShopRoutesOptions): Detail[] {
  return ready.flatMap((group, i) => setupGroups.includes(group) ? [] : [{ path: `/ready/${i}`, rule: 'enum', message: `one of ${setupGroups.join(', ')}`, got: group }])
}

function invalid (path: string, rule: string, message: string): GatewayError {
  return new GatewayError('GW_REQUEST_INVALID', 'The request does not fit.', { details: [{ path, rule, message }] })
}

async function shopView (state: ShopState, options: ShopRoutesOptions): Promise<object> {
  const held = await options.shops.held(state)
  const { id, name, domain, plan, active, status, statusAt, planTold } = state.shop
  return {
    id,
    name,
    domain,
    plan,
    active,
    status,
    status_at: statusAt === 0 ? null : new Date(statusAt).toISOString(),
    warnings: planTold === null ? [] : [{ code: 'plan_unknown', message: `The platform says that the shop's plan is "${planTold}", which the config does not have; "${plan}" stays.` }],
    channels: Object.fromEntries(options.channels.map(channel => [channel, channelView(state, channel, held, options)])),
    connections: [...state.connections.values()].map(connection => connectionView(connection, held, options.providers.get(connection.provider)))
  }
}

/** With what waits of it, which is to be known before another provider is chosen. */
async function choicesView (state: ShopState, channel: string, options: ShopRoutesOptions): Promise<object> {
  const queues = [...state.queues.values()].filter(queue => queue.channel === channel)
  return choiceView(state, channel, await options.shops.held(state), byGroup(queues, await options.waiting(queues)), options)
}

/** How long what waits of a channel takes, all together and by queue. While some of it is held no time can be told for all. */
async function forecastView (state: ShopState, channel: string, options: ShopRoutesOptions): Promise<object> {
  const provider = options.shops.providerOf(state, channel)
  const title = titleOf(provider, channel, options)
  const told = await options.forecast([...state.queues.values()].filter(queue => queue.channel === channel))
  const now = options.now()
  const times = (ms: number | null, limitedBy: string | null) => ({ seconds: ms === null ? null : Math.round(ms / 100) / 10, until: ms === null ? null : new Date(now + ms).toISOString(), limited_by: limitedBy })
  const why = (reason: Reason | null) => ({ held_reason: reason, sentence: reason && sentence(reason, title) })
  const held = told.find(queue => queue.ms === null && queue.waiting > 0)
  const longest = told.filter(queue => queue.ms !== null).toSorted((a, b) => (b.ms as number) - (a.ms as number))[0]
  return {
    shop: state.shop.id,
    channel,
    provider,
    waiting: told.reduce((sum, { waiting }) => sum + waiting, 0),
    at_least: told.some(({ atLeast }) => atLeast),
    ...why(held?.held ?? null),
    ...(held ? times(null, null) : times(longest?.ms ?? 0, longest?.limitedBy ?? 'nothing')),
    queues: told.map(({ setupGroup, waiting, atLeast, held, ms, limitedBy }) => ({ setup_group: setupGroup, waiting, at_least: atLeast, ...why(held), ...times(ms, limitedBy) }))
  }
}

async function providerView (state: ShopState, provider: Provider, options: ShopRoutesOptions): Promise<object> {
  const connection = state.connections.get(provider.id)
  const refusal = options.shops.refusal(state.shop, provider)
  const webhooks = connection && await options.webhooks(provider, connection)
  return {
    id: provider.id,
    title: provider.title,
    available: refusal === null,
    reason: refusal,
    connection: connection ? { ...connectionView(connection, await options.shops.held(state), provider), ...(webhooks && { webhooks }) } : null
  }
}

/** Secrets are write-only: the names of the fields, and the last four characters of long ones. */
function connectionView (connection: Connection, held: Held, played: Provider | undefined): object {
  const { id, provider, platform, auth, accountId, accountKey, name, settings, ready, setUp, secrets, oauth } = connection
  const accountHeld = oauth !== null && oauth.brokenAt !== null ? 'credentials_refused' : held.get(accountKey) ?? null
  const status = accountHeld === null ? 'connected' : accountHeld === 'provider_not_answering' ? 'failing' : 'refused'
  if (platform) return { id, provider, connection: 'gateway', status, reason: accountHeld, settings }
  const hints = secrets && oauth === null && Object.fromEntries(Object.entries(secrets).map(([field, value]) => [field, value.length >= 16 ? `…${value.slice(-4)}` : '…']))
  return { id, provider, connection: 'shop', auth, account_id: accountId || null, account_name: name || null, status: secrets === null ? 'unreadable' : status, reason: secrets === null ? 'credentials_unreadable' : accountHeld, settings, ready, set_up: setUp, ...(oauth === null ? { secrets: hints } : { scopes: oauth.scopes, missing_scopes: missingScopes(played, oauth) }) }
}
