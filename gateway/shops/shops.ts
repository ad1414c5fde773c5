// Shops, what they chose and what they are connected to, and the queue rows that follow. Everything is in the
// store; the cache in front of it is dropped on every change.

import type { Config, ConnectionConfig, EventTypeConfig, Provider, Row, Runtime, Step, Store } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import type { Reason } from '../reasons.ts'
import { heldReason, planAllows } from './route.ts'
import type { Vault } from './vault.ts'

export interface Shop { key: number, id: string, name: string, domain: string, plan: string, active: boolean }

export interface Connection {
  id: string
  provider: string
  /** Which of the manifest's `auth` ways its secrets belong to. */
  auth: string
  accountId: string
  accountKey: number
  account: string
  accountHeld: Reason | null
  settings: Record<string, unknown>
  ready: string[]
  secrets: Record<string, string>
}

export interface Queue { key: number, channel: string, setupGroup: string, provider: string | null, accountKey: number | null, held: Reason | null }

/** A shop with all that sending needs. */
export interface ShopState {
  shop: Shop
  channels: Map<string, string>
  connections: Map<string, Connection>
  queues: Map<string, Queue>
}

export interface ConnectionInput {
  auth: string | null
  secrets: Record<string, string>
  accountId: string | null
  settings: Record<string, unknown>
  ready: string[]
}

const CACHED_SHOPS = 20_000
const SLOTS = 256

export class Shops {
  #store: Store
  #vault: Vault
  #runtime: Runtime
  #config: Config
  #providers: ReadonlyMap<string, Provider>
  #cache = new Map<string, ShopState>()
  #byKey = new Map<number, string>()
  /** Told after every change with the accounts that may have something to send now. */
  onChange: (accountKeys: number[]) => void = () => {}

  constructor (options: { store: Store, vault: Vault, runtime: Runtime, config: Config, providers: ReadonlyMap<string, Provider> }) {
    this.#store = options.store
    this.#vault = options.vault
    this.#runtime = options.runtime
    this.#config = options.config
    this.#providers = options.providers
  }

  /** Another generation: other plans, providers, defaults. `refreshAll` brings the queue rows after it. */
  use (config: Config, providers: ReadonlyMap<string, Provider>): void {
    this.#config = config
    this.#providers = providers
    this.#cache.clear()
  }

  /** The shop when it is at hand, undefined when it must be loaded. */
  peek (id: string): ShopState | undefined { return this.#cache.get(id) }

  /** The shop, null where there is none of this id. */
  async get (id: string): Promise<ShopState | null> {
    const cached = this.#cache.get(id)
    if (cached) return cached
    const [row] = await this.#store.read('shop', { id })
    return row ? await this.#load(row) : null
  }

  async byKey (key: number): Promise<ShopState> {
    const id = this.#byKey.get(key)
    const cached = id === undefined ? undefined : this.#cache.get(id)
    if (cached) return cached
    const [row] = await this.#store.read('shop_by_key', { shop_key: key })
    if (!row) throw new Error(`no shop has the key ${key}`)
    return await this.#load(row)
  }

  async list (options: { after: string, limit: number, shops: string[] | null }): Promise<Shop[]> {
    const rows = await this.#store.read('list_shops', { after: options.after, limit: options.limit, shops: options.shops && JSON.stringify(options.shops) })
    return rows.map(shopOf)
  }

  async put (shop: { id: string, name: string, domain: string, plan: string, active: boolean }, actor: string): Promise<ShopState> {
    const { id, name, domain, plan, active } = shop
    await this.#store.commit([
      { name: 'upsert_shop', params: { id, name, domain, plan, active: active ? 1 : 0, now: this.#runtime.now() } },
      this.#audit(actor, 'shop.put', id, plan)
    ])
    return await this.#changed(id)
  }

  /** Chooses the provider of a channel; what waits moves to it, since only the queues' rows say where it goes. */
  async setChannel (state: ShopState, channel: string, providerId: string, actor: string): Promise<ShopState> {
    const provider = this.#providers.get(providerId)
    if (!provider || !provider.channels.includes(channel)) throw new GatewayError('GW_REQUEST_INVALID', `No provider "${providerId}" serves the channel "${channel}".`, { details: [{ path: '/provider', rule: 'enum', message: `one of ${this.providersOf(channel).join(', ')}` }] })
    this.#mayUse(state.shop, provider)
    await this.#store.commit([
      { name: 'set_channel', params: { shop_key: state.shop.key, channel, provider: providerId, now: this.#runtime.now() } },
      this.#audit(actor, 'channel.set', state.shop.id, `${channel} ${providerId}`)
    ])
    return await this.#changed(state.shop.id)
  }

  async putConnection (state: ShopState, providerId: string, input: ConnectionInput, actor: string): Promise<ShopState> {
    const provider = this.#providers.get(providerId)
    if (!provider) throw new GatewayError('GW_NOT_FOUND', `No provider is called "${providerId}".`)
    this.#mayUse(state.shop, provider)
    await this.#store.commit([...this.#connectionSteps(state.shop, provider, input), this.#audit(actor, 'connection.put', state.shop.id, providerId)])
    return await this.#changed(state.shop.id)
  }

  async deleteConnection (state: ShopState, providerId: string, actor: string): Promise<ShopState> {
    const params = { shop_key: state.shop.key, provider: providerId }
    await this.#store.commit([
      { name: 'drop_secrets', params },
      { name: 'delete_connection', params },
      this.#audit(actor, 'connection.delete', state.shop.id, providerId)
    ])
    return await this.#changed(state.shop.id)
  }

  /** The queue of an event type; made when the first event of it comes. */
  async queue (state: ShopState, type: EventTypeConfig): Promise<Queue> {
    const at = `${type.channel}/${type.setupGroup}`
    const queue = state.queues.get(at)
    if (queue) return queue
    await this.#writeQueues(state, [{ channel: type.channel, setupGroup: type.setupGroup }])
    const loaded = (await this.get(state.shop.id))?.queues.get(at)
    if (!loaded) throw new Error(`the queue ${at} of ${state.shop.id} was not written`)
    return loaded
  }

  providerOf (state: ShopState, channel: string): string | null {
    return state.channels.get(channel) ?? this.#config.channels[channel]?.defaultProvider ?? null
  }

  providersOf (channel: string): string[] {
    return [...this.#providers.values()].filter(provider => provider.channels.includes(channel)).map(provider => provider.id)
  }

  capabilities (shop: Shop): readonly string[] { return this.#config.plans[shop.plan] ?? [] }

  /** Why a provider cannot be chosen by this shop, null when it can. */
  refusal (shop: Shop, provider: Provider): 'coming_soon' | 'plan_too_low' | null {
    if (provider.comingSoon) return 'coming_soon'
    return planAllows(provider, this.capabilities(shop)) ? null : 'plan_too_low'
  }

  /** Creates and updates the shops that the config declares. */
  async declare (): Promise<void> {
    for (const declared of this.#config.shops) {
      const state = await this.put({ id: declared.id, name: declared.name, domain: declared.domain, plan: declared.plan, active: true }, 'config')
      const steps: Step[] = Object.entries(declared.channels).map(([channel, provider]) =>
        ({ name: 'set_channel', params: { shop_key: state.shop.key, channel, provider, now: this.#runtime.now() } }))
      for (const connection of declared.connections) steps.push(...this.#declaredSteps(state.shop, connection))
      if (steps.length > 0) await this.#store.commit(steps)
      await this.#changed(declared.id)
    }
  }

  /** Brings every shop's queue rows in line with this generation: plans, providers and defaults may have changed. */
  async refreshAll (): Promise<void> {
    let after = ''
    for (;;) {
      const shops = await this.list({ after, limit: 500, shops: null })
      for (const shop of shops) {
        const state = await this.get(shop.id)
        if (state) await this.#writeQueues(state, [...state.queues.values()])
      }
      const last = shops.at(-1)
      if (!last) return
      after = last.id
    }
  }

  #mayUse (shop: Shop, provider: Provider): void {
    const refusal = this.refusal(shop, provider)
    if (refusal === 'coming_soon') throw new GatewayError('GW_COMING_SOON', `${provider.title} is not available yet.`)
    if (refusal === 'plan_too_low') throw new GatewayError('GW_PLAN_TOO_LOW', `The plan "${shop.plan}" does not include ${provider.title}: it needs ${provider.needs.join(', ')}.`)
  }

  #declaredSteps (shop: Shop, declared: ConnectionConfig): Step[] {
    const provider = this.#providers.get(declared.provider)
    if (!provider) return []
    const secrets = Object.fromEntries(Object.entries(declared.secrets).map(([field, secret]) => [field, secret.reveal()]))
    const { auth, accountId, settings, ready } = declared
    return this.#connectionSteps(shop, provider, { auth, secrets, accountId, settings, ready })
  }

  #connectionSteps (shop: Shop, provider: Provider, input: ConnectionInput): Step[] {
    const way = input.auth ?? Object.keys(provider.auth)[0] ?? ''
    const settings = { ...provider.settingsDefaults, ...input.settings }
    const account = this.#account(provider, input, settings)
    const place = { shop_key: shop.key, provider: provider.id }
    const seal = (field: string, text: string): Step => {
      const { keyId, version, sealed } = this.#vault.seal({ shop: shop.id, provider: provider.id, field }, text)
      return { name: 'put_secret', params: { ...place, field, key_id: keyId, version, sealed } }
    }
    return [
      { name: 'ensure_account', params: { provider: provider.id, account, slot: slotOf(`${provider.id}/${account}`) } },
      { name: 'release_account', params: { provider: provider.id, account } },
      { name: 'upsert_connection', params: { ...place, id: this.#runtime.id('con_'), auth: way, account_id: input.accountId ?? '', account, settings: JSON.stringify(settings), ready: JSON.stringify(input.ready), now: this.#runtime.now() } },
      { name: 'drop_secrets', params: place },
      ...Object.entries(input.secrets).map(([field, text]) => seal(field, text))
    ]
  }

  /** The provider's own identity of the account; before it is known, a keyed hash of the secrets stands for it. */
  #account (provider: Provider, input: ConnectionInput, settings: Record<string, unknown>): string {
    if (input.accountId !== null) return provider.account({ account_id: input.accountId, settings })
    const secrets = Object.keys(input.secrets).toSorted().map(field => `${field}=${input.secrets[field]}`).join('\0')
    return `key:${this.#vault.fingerprint(`account ${provider.id}`, secrets).toString('hex')}`
  }

  async #changed (id: string): Promise<ShopState> {
    this.#cache.delete(id)
    const state = await this.get(id)
    if (!state) throw new Error(`the shop ${id} was not written`)
    await this.#writeQueues(state, [...state.queues.values()])
    return await this.get(id) as ShopState
  }

  async #writeQueues (state: ShopState, queues: Array<{ channel: string, setupGroup: string }>): Promise<void> {
    if (queues.length === 0) return
    await this.#store.commit(queues.map(({ channel, setupGroup }) => {
      const chosen = this.providerOf(state, channel)
      const provider = chosen === null ? null : this.#providers.get(chosen) ?? null
      const connection = chosen === null ? null : state.connections.get(chosen) ?? null
      const held = heldReason({ active: state.shop.active, capabilities: this.capabilities(state.shop), provider, chosen, connection, setupGroup })
      return { name: 'ensure_queue', params: { shop_key: state.shop.key, channel, setup_group: setupGroup, provider: chosen, account_key: connection?.accountKey ?? null, held_reason: held } }
    }))
    this.#cache.delete(state.shop.id)
    this.onChange([...state.connections.values()].map(connection => connection.accountKey))
  }

  async #load (row: Row): Promise<ShopState> {
    const shop = shopOf(row)
    const params = { shop_key: shop.key }
    const [channels, connections, queues] = await Promise.all([this.#store.read('channels', params), this.#store.read('connections', params), this.#store.read('queues', params)])
    const state: ShopState = {
      shop,
      channels: new Map(channels.map(({ channel, provider }) => [String(channel), String(provider)])),
      connections: new Map(),
      queues: new Map(queues.map(queue => [`${queue.channel}/${queue.setup_group}`, queueOf(queue)]))
    }
    for (const connection of connections) state.connections.set(String(connection.provider), await this.#connection(shop, connection))
    this.#keep(state)
    return state
  }

  async #connection (shop: Shop, row: Row): Promise<Connection> {
    const provider = String(row.provider)
    const secrets = await this.#store.read('secrets', { connection_key: row.connection_key as number })
    return {
      id: String(row.id),
      provider,
      auth: String(row.auth),
      accountId: String(row.account_id),
      accountKey: Number(row.account_key),
      account: String(row.account),
      accountHeld: row.held_reason as Reason | null,
      settings: JSON.parse(String(row.settings)) as Record<string, unknown>,
      ready: JSON.parse(String(row.ready)) as string[],
      secrets: Object.fromEntries(secrets.map(({ field, key_id: keyId, version, sealed }) =>
        [String(field), this.#vault.open({ shop: shop.id, provider, field: String(field) }, { keyId: String(keyId), version: Number(version), sealed: sealed as Uint8Array })]))
    }
  }

  #keep (state: ShopState): void {
    if (this.#cache.size >= CACHED_SHOPS) {
      const [oldest] = this.#cache.keys()
      if (oldest !== undefined) this.#cache.delete(oldest)
    }
    this.#cache.set(state.shop.id, state)
    this.#byKey.set(state.shop.key, state.shop.id)
  }

  #audit (actor: string, action: string, shop: string, subject: string): Step {
    return { name: 'audit', params: { at: this.#runtime.now(), actor, action, shop, subject } }
  }
}

function shopOf (row: Row): Shop {
  return { key: Number(row.shop_key), id: String(row.id), name: String(row.name), domain: String(row.domain), plan: String(row.plan), active: row.active === 1 }
}

function queueOf (row: Row): Queue {
  return {
    key: Number(row.queue_key),
    channel: String(row.channel),
    setupGroup: String(row.setup_group),
    provider: row.provider as string | null,
    accountKey: row.account_key as number | null,
    held: row.held_reason as Reason | null
  }
}

/** FNV-1a: spreads accounts over the slots, the same on every instance. */
function slotOf (text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % SLOTS
}
