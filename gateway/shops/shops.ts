// Shops, what they chose and what they are connected to, and the queue rows that follow. Everything is in the
// store; the cache in front of it is dropped on every change.

import type { Config, ConnectionConfig, EventTypeConfig, Provider, Row, Runtime, Step, Store } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import type { Reason } from '../reasons.ts'
import { Moved, unmoved } from './moved.ts'
import { adjustStep, connectionSteps, disconnectSteps, hasNewSecrets, uncheckSteps, type ConnectionInput } from './connections.ts'
import { loadShop } from './load.ts'
import { platformAccounts, settingsSteps, type PlatformAccounts } from './platform.ts'
import { heldReason, planAllows } from './route.ts'
import { present, shopOf, withConnection, type Queue, type RouteState, type Shop, type ShopState } from './state.ts'
import { CREDENTIALS, limited } from './tries.ts'
import type { Vault } from './vault.ts'

export type { Queue, Shop, ShopState } from './state.ts'

const CACHED_SHOPS = 20_000

export class Shops {
  #store: Store
  #vault: Vault
  #runtime: Runtime
  #config: Config
  #providers: ReadonlyMap<string, Provider>
  #platform: PlatformAccounts = new Map()
  #cache = new Map<string, ShopState>()
  #turn: Promise<unknown> = Promise.resolve()
  /** Monotonic. */
  #failedAt = -Infinity
  #byKey = new Map<number, string>()
  /** Told of accounts that were put right: what was held for them may go. */
  onChange: (accountKeys: number[]) => void = () => {}
  /** Told of accounts that may have something to send now, though nothing about them has changed: a shop came to the platform's. */
  onWork: (accountKeys: number[]) => void = () => {}

  constructor (options: { store: Store, vault: Vault, runtime: Runtime, config: Config, providers: ReadonlyMap<string, Provider> }) {
    this.#store = options.store
    this.#vault = options.vault
    this.#runtime = options.runtime
    this.#config = options.config
    this.#providers = options.providers
  }

  /** Another generation: other plans, providers, defaults. `refreshAll` brings the queue rows after it. */
  async use (config: Config, providers: ReadonlyMap<string, Provider>): Promise<void> {
    const { accounts, changed } = await platformAccounts(config, providers, { store: this.#store, vault: this.#vault, runtime: this.#runtime })
    this.#config = config
    this.#providers = providers
    this.#platform = accounts
    this.#cache.clear()
    if (changed.length > 0) this.onChange(changed)
  }

  /** Another instance has changed it; null: any of them may have been. */
  forget (id: string | null): void {
    if (id === null) this.#cache.clear()
    else this.#cache.delete(id)
  }

  /** The shop when it is at hand, undefined when it must be loaded. */
  peek (id: string): ShopState | undefined { return present(this.#cache.get(id)) ?? undefined }

  /** The shop, null where there is none of this id. */
  async get (id: string): Promise<ShopState | null> {
    const cached = this.#cache.get(id)
    if (cached) return present(cached)
    const [row] = await this.#store.read('shop', { id })
    return row ? present(await this.#load(row)) : null
  }

  /** The shop, as it was at `version` or later. */
  async byKey (key: number, version = 0): Promise<ShopState> {
    const id = this.#byKey.get(key)
    const cached = id === undefined ? undefined : this.#cache.get(id)
    if (cached && cached.shop.version >= version) return cached
    const [row] = await this.#store.read('shop_by_key', { shop_key: key })
    if (!row) throw new Error(`no shop has the key ${key}`)
    return await this.#load(row)
  }

  async list (options: { after: string, limit: number, shops: string[] | null }): Promise<Shop[]> {
    const rows = await this.#store.read('list_shops', { after: options.after, limit: options.limit, shops: options.shops && JSON.stringify(options.shops) })
    return rows.map(shopOf)
  }

  async put ({ id, name, domain, plan, active }: { id: string, name: string, domain: string, plan: string, active: boolean }, actor: string): Promise<ShopState> {
    return await this.#inTurn(async () => {
      const before = await this.get(id)
      const after = before && { ...before, shop: { ...before.shop, name, domain, plan, active } }
      return await this.#change(id, [
        { name: 'upsert_shop', params: { id, name, domain, plan, active: active ? 1 : 0, now: this.#runtime.now() } },
        ...(after ? this.#queueSteps(after) : []),
        this.#audit(actor, 'shop.put', id, plan)
      ], before)
    })
  }

  /** Chooses the provider of a channel; what waits moves to it, since only the queues' rows say where it goes. */
  async setChannel (id: string, channel: string, providerId: string, actor: string): Promise<ShopState> {
    const provider = this.#providers.get(providerId)
    if (!this.providersOf(channel).includes(providerId)) throw new GatewayError('GW_REQUEST_INVALID', `No provider "${providerId}" serves the channel "${channel}".`, { details: [{ path: '/provider', rule: 'enum', message: `one of ${this.providersOf(channel).join(', ')}` }] })
    return await this.#inTurn(async () => {
      const before = await this.#existing(id)
      if (provider && this.choicesOf(channel) === null) this.mayUse(before.shop, provider)
      const after = { ...before, channels: new Map(before.channels).set(channel, providerId) }
      return await this.#change(id, [
        { name: 'set_channel', params: { shop_key: before.shop.key, channel, provider: providerId, now: this.#runtime.now() } },
        ...this.#queueSteps(after),
        this.#audit(actor, 'channel.set', id, `${channel} ${providerId}`)
      ], before)
    })
  }

  /** Throws GW_TOO_OFTEN for other credentials than those there, as a set-up step does. */
  async putConnection (id: string, providerId: string, input: ConnectionInput, actor: string): Promise<ShopState> {
    const provider = this.#provider(providerId)
    return await this.#inTurn(async () => {
      const before = await this.#existing(id)
      this.mayUse(before.shop, provider)
      const isTry = hasNewSecrets(input, before.connections.get(providerId))
      if (isTry) await limited(id, CREDENTIALS, { store: this.#store, runtime: this.#runtime })
      const { account, setUp, steps } = this.#connect(before, provider, input)
      const after = withConnection(before, providerId, { platform: provider.connection === 'gateway', account, ready: input.ready, setUp, secrets: input.secrets })
      return await this.#change(id, [...steps, ...this.#queueSteps(after), this.#audit(actor, 'connection.put', id, providerId), ...(isTry ? [this.#audit(actor, 'connection.secrets', id, providerId)] : [])], before)
    })
  }

  /**
   * Another change of a shop, made from how it stands now, and made anew where another instance was first; null: nothing changes.
   * `after`: the shop as its queues are to see it. `frees`: it puts right what its accounts were held for.
   */
  async alter (id: string, make: (state: ShopState) => Promise<{ steps: Step[], after?: RouteState, frees?: boolean } | null>): Promise<ShopState> {
    return await this.#inTurn(async () => {
      const before = await this.#existing(id)
      const made = await make(before)
      return made === null ? before : await this.#change(id, [...made.steps, ...(made.after ? this.#queueSteps(made.after) : [])], before, made.frees ?? false)
    })
  }

  /** What the provider's answers asked for: settings of a connection, kept where they are not so already. All else of it stays. */
  async adjust (id: string, providerId: string, settings: Record<string, unknown>): Promise<void> {
    await this.#inTurn(async () => {
      const before = await this.#existing(id)
      const step = adjustStep(before.shop, before.connections.get(providerId), settings, this.#runtime)
      if (step !== null) await this.#change(id, [step, this.#audit('provider', 'connection.adjusted', id, `${providerId} ${Object.keys(settings).join(' ')}`)], before)
    })
  }

  /** At the platform's account: back to its own settings. */
  async deleteConnection (id: string, providerId: string, actor: string): Promise<ShopState> {
    return await this.#inTurn(async () => {
      const before = await this.#existing(id)
      return await this.#change(id, [
        ...disconnectSteps(before.shop, providerId, this.#providers.get(providerId), before.connections.get(providerId), { vault: this.#vault, runtime: this.#runtime, store: this.#store }),
        ...(this.#platform.has(providerId) ? [] : this.#queueSteps(withConnection(before, providerId, null))),
        this.#audit(actor, 'connection.delete', id, providerId)
      ], before)
    })
  }

  /** The queue of an event type; made when the first event of it comes. */
  async queue (state: ShopState, type: EventTypeConfig): Promise<Queue> {
    const at = `${type.channel}/${type.setupGroup}`
    if (state.queues.has(at)) return state.queues.get(at) as Queue
    await this.#inTurn(async () => {
      const now = await this.#existing(state.shop.id)
      if (!now.queues.has(at)) await this.#change(state.shop.id, this.#queueSteps(now, [{ channel: type.channel, setupGroup: type.setupGroup }]), now, false)
    })
    const loaded = (await this.get(state.shop.id))?.queues.get(at)
    if (!loaded) throw new Error(`the queue ${at} of ${state.shop.id} was not written`)
    return loaded
  }

  /** What holds each account of a shop just now; those that nothing holds are not in it. */
  async held (state: ShopState): Promise<Map<number, Reason>> {
    const rows = await Promise.all([...state.connections.values()].map(({ accountKey }) => this.#store.read('account', { account_key: accountKey })))
    return new Map(rows.flat().flatMap(row => row.held_reason ? [[row.account_key as number, row.held_reason as Reason]] : []))
  }

  providerOf (state: ShopState, channel: string): string | null {
    return state.channels.get(channel) ?? this.#config.channels[channel]?.defaultProvider ?? null
  }

  /** Where nothing is sent on a channel: what a shop chooses from, id to title. Else null. */
  choicesOf (channel: string): Readonly<Record<string, string>> | null { return this.#config.channels[channel]?.choices ?? null }

  providersOf (channel: string): string[] {
    const choices = this.choicesOf(channel)
    return choices !== null ? Object.keys(choices) : [...this.#providers.values()].filter(provider => provider.channels.includes(channel)).map(provider => provider.id)
  }

  capabilities (shop: Shop): readonly string[] { return this.#config.plans[shop.plan] ?? [] }

  /** Why a provider cannot be chosen by this shop, null when it can. */
  refusal (shop: Shop, provider: Provider): 'coming_soon' | 'plan_too_low' | null {
    if (provider.comingSoon) return 'coming_soon'
    return planAllows(provider, this.capabilities(shop)) ? null : 'plan_too_low'
  }

  /**
   * Creates the shops that the config declares, and brings those up to date whose declaration has changed since it
   * was last applied; what else happened to them stays.
   */
  async declare (): Promise<void> {
    await this.use(this.#config, this.#providers)
    for (const declared of this.#config.shops) {
      const secrets = declared.connections.map(connection => Object.entries(connection.secrets).map(([field, secret]) => [field, secret.reveal()]))
      const mark = this.#vault.fingerprint('declared', JSON.stringify([declared, secrets])).toString('hex')
      const [row] = await this.#store.read('declared', { id: declared.id })
      if (row?.status === 'erasing' || (row?.declared === mark && (row.status === 'erased' || await this.#readable(declared.id)))) continue
      await this.put({ id: declared.id, name: declared.name, domain: declared.domain, plan: declared.plan, active: true }, 'config')
      await this.#inTurn(async () => {
        const state = await this.#existing(declared.id)
        const steps: Step[] = Object.entries(declared.channels).map(([channel, provider]) =>
          ({ name: 'set_channel', params: { shop_key: state.shop.key, channel, provider, now: this.#runtime.now() } }))
        for (const connection of declared.connections) steps.push(...this.#declaredSteps(state, connection))
        const after = await this.#change(declared.id, steps, state)
        await this.#change(declared.id, [...this.#queueSteps(after), { name: 'mark_declared', params: { id: declared.id, declared: mark } }], after)
      })
    }
  }

  /** Brings every shop's queue rows in line with this generation: plans, providers and defaults may have changed. */
  async refreshAll (): Promise<void> {
    let after = ''
    for (;;) {
      const shops = await this.list({ after, limit: 500, shops: null })
      for (const { id } of shops) {
        await this.#inTurn(async () => {
          const state = await this.#existing(id)
          if (state.queues.size > 0) await this.#change(id, this.#queueSteps(state), state)
        })
      }
      const last = shops.at(-1)
      if (!last) return
      after = last.id
    }
  }

  /** Throws GW_COMING_SOON or GW_PLAN_TOO_LOW where the shop cannot choose it. */
  mayUse (shop: Shop, provider: Provider): void {
    const refusal = this.refusal(shop, provider)
    if (refusal === 'coming_soon') throw new GatewayError('GW_COMING_SOON', `${provider.title} is not available yet.`)
    if (refusal === 'plan_too_low') throw new GatewayError('GW_PLAN_TOO_LOW', `The plan "${shop.plan}" does not include ${provider.title}: it needs ${provider.needs.join(', ')}.`)
  }

  /** Whether what is stored of a shop's connections can be opened; a declared one that cannot is stored anew. */
  async #readable (id: string): Promise<boolean> {
    const state = await this.#existing(id)
    return [...state.connections.values()].every(({ secrets }) => secrets !== null)
  }

  #provider (id: string): Provider {
    const provider = this.#providers.get(id)
    if (!provider) throw new GatewayError('GW_NOT_FOUND', `No provider is called "${id}".`)
    return provider
  }

  async #existing (id: string): Promise<ShopState> {
    const state = await this.get(id)
    if (!state) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
    return state
  }

  #connect (state: ShopState, provider: Provider, input: ConnectionInput): { account: string, setUp: string[], steps: Step[] } {
    if (provider.connection === 'gateway') {
      const platform = this.#platform.get(provider.id)
      return { account: platform?.account ?? '', setUp: [], steps: settingsSteps(state.shop.key, provider.id, platform, input.settings, this.#runtime) }
    }
    const before = state.connections.get(provider.id)
    const made = connectionSteps(state.shop, provider, input, before ?? null, { vault: this.#vault, runtime: this.#runtime, store: this.#store })
    return { ...made, steps: [...made.steps, ...uncheckSteps(state.shop, provider, input, before)] }
  }

  #declaredSteps (state: ShopState, declared: ConnectionConfig): Step[] {
    const provider = this.#providers.get(declared.provider)
    if (!provider) return []
    const secrets = Object.fromEntries(Object.entries(declared.secrets).map(([field, secret]) => [field, secret.reveal()]))
    const { auth, accountId, settings, ready } = declared
    return this.#connect(state, provider, { auth, secrets, accountId, settings, ready }).steps
  }

  /** Changes of shops go one after the other: each is made from what the one before it left. */
  #inTurn<T> (change: () => Promise<T>): Promise<T> {
    const givenAt = this.#runtime.mono()
    const turn = this.#turn.then(async () => {
      // Where the database is silent each would wait for its time, and who comes last for all of them.
      if (givenAt <= this.#failedAt && !this.#store.healthy()) throw new GatewayError('GW_STORE_FAILED', 'The store takes nothing just now.')
      return await unmoved(change).catch((error: unknown) => { this.#failedAt = this.#runtime.mono(); throw error })
    })
    this.#turn = turn.catch(() => {})
    return turn
  }

  /** A change and what follows from it for the queues are one unit. `before`: what its steps were made from, null where there was no shop. Throws Moved. */
  async #change (id: string, steps: Step[], before: ShopState | null, frees = true): Promise<ShopState> {
    await this.#commit(id, steps, before?.shop.version ?? null)
    const state = await this.#existing(id)
    const all = [...before?.connections.values() ?? [], ...state.connections.values()]
    const keys = (platform: boolean): number[] => [...new Set(all.filter(connection => connection.platform === platform).map(({ accountKey }) => accountKey))]
    this.#store.tell({ shop: id, accounts: keys(false) })
    if (frees) this.onChange(keys(false))
    else this.onWork(keys(false))
    this.onWork(keys(true)) // one shop cannot put right what holds the account of all
    return state
  }

  async #commit (id: string, steps: Step[], version: number | null): Promise<void> {
    try {
      await this.#store.commit([...steps, { name: 'touch_shop', params: { id, version } }])
    } catch (error) {
      const [row] = await this.#store.read('shop', { id })
      if (version !== null && row && row.version !== version) throw new Moved('the shop was changed meanwhile', { cause: error })
      throw error
    } finally {
      this.#cache.delete(id)
    }
  }

  /** Where each queue goes and what holds it, as the state given says. */
  #queueSteps (state: RouteState, queues: Iterable<{ channel: string, setupGroup: string }> = state.queues.values()): Step[] {
    return [...queues].map(({ channel, setupGroup }) => {
      const chosen = state.channels.get(channel) ?? this.#config.channels[channel]?.defaultProvider ?? null
      const provider = chosen === null ? null : this.#providers.get(chosen) ?? null
      const connection = chosen === null ? null : state.connections.get(chosen) ?? null
      const held = heldReason({ active: state.shop.active, uninstalled: state.shop.status === 'uninstalled', capabilities: this.capabilities(state.shop), provider, chosen, connection, setupGroup })
      return { name: 'ensure_queue', params: { shop_key: state.shop.key, channel, setup_group: setupGroup, provider: chosen, account: connection?.account ?? null, held_reason: held } }
    })
  }

  async #load (row: Row): Promise<ShopState> {
    const state = await loadShop(row, { store: this.#store, vault: this.#vault, providers: this.#providers, platform: this.#platform })
    this.#keep(state)
    return state
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
