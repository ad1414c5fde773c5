// The real deliveries on a real store of their own, and a provider on loopback that a test directs.

import type { Config, EventTypeConfig, Provider, Row, ShopConfig, Store } from '../../gateway/contract.ts'
import type { HeldAccount } from '../../gateway/delivery/conclude.ts'
import { Deliver, type Attempt } from '../../gateway/delivery/deliver.ts'
import { Door, type Receipt, type Route } from '../../gateway/events/accept.ts'
import type { EventSchema } from '../../gateway/events/schemas.ts'
import { stateOfRow } from '../../gateway/reasons.ts'
import { Shops, type ShopState } from '../../gateway/shops/shops.ts'
import { createVault } from '../../gateway/shops/vault.ts'
import { fakeRuntime, until, type FakeRuntime } from '../helpers/fake-runtime.ts'
import { faultServer, type FaultServer, type Reply } from '../helpers/fault-server.ts'
import { config as makeConfig, provider as makeProvider, shop } from '../helpers/make.ts'
import { leftAt, newPlace, openTestStore, query, type Place } from '../helpers/stores.ts'
import type { Teardown } from '../helpers/tmp.ts'

export interface WorldOptions {
  shops?: ShopConfig[]
  /** Instead of one called `alpha`; each is reached at the server, below its id. */
  providers?: Array<Partial<Provider>>
  config?: Partial<Config>
  reply?: Reply
  /** Where the providers are reached, instead of at the world's own server; plain http only on loopback. */
  origin?: string
  /** False: the test starts it, when what it needs is in place. */
  start?: boolean
  /** Of a store that is there, instead of a new one. */
  place?: Place
  /** The same keys as another world's, so that its secrets can be opened. */
  like?: World
  /** Members that stand in for the store's, for the deliveries alone. */
  between? (store: Store): Partial<Store>
  /** Whether the disk lets nothing be sent. */
  paused? (): boolean
}

export interface World {
  place: Place
  config: Config
  server: FaultServer
  store: Store
  shops: Shops
  runtime: FakeRuntime
  deliver: Deliver
  providers: Map<string, Provider>
  attempts: Attempt[]
  refused: Array<{ delivery: string, reason: string }>
  /** What held accounts; null where one works again. */
  held: HeldAccount[]
  errors: unknown[]
  /** Takes events in by the door; ids of their deliveries. */
  accept (shop: string, count?: number, type?: string): Promise<string[]>
  delivery (id: string): Promise<Row>
  /** As it is called outside: state and reason. */
  shown (id: string): Promise<{ state: string, reason: string | null }>
  /** Waits until it is so shown. */
  becomes (id: string, state: string, reason?: string | null): Promise<Row>
  all (ids: string[], state: string): Promise<void>
  state (shop: string): Promise<ShopState>
  /** Reads as another process would. */
  query (sql: string): Promise<Row[]>
  /** Until then nothing is sent. Returns how many deliveries of a dead gateway were taken over. */
  start (): Promise<number>
  stop (graceMs?: number): Promise<void>
  /** Ends it as a kill would: nothing more of it is kept. Returns what it left, for the next one. */
  die (): Promise<Place>
}

export async function world (t: Teardown, options: WorldOptions = {}): Promise<World> {
  const runtime = fakeRuntime()
  const server = await faultServer(t, options.reply)
  const origin = options.origin ?? server.origin
  const place = options.place ?? await newPlace(t)
  const config = makeConfig({ ...(options.like && { security: options.like.config.security }), shops: options.shops ?? [shop('a')], ...options.config })
  const providers = new Map((options.providers ?? [{}]).map(more => makeProvider(more)).map(made => [made.id, { ...made, baseUrl: `${origin}/${made.id}` }]))
  const opened = await openTestStore(t, place, runtime.now)
  let dead = false
  const store = instead(opened, { commit: unit => dead ? Promise.reject(new Error('the dead write nothing')) : opened.commit(unit) })
  const vault = createVault(config.security.encryptionKeys, config.security.personKey)
  const shops = new Shops({ store, vault, runtime, config, providers })
  await shops.declare()
  const attempts: Attempt[] = []
  const refused: World['refused'] = []
  const errors: unknown[] = []
  const held: HeldAccount[] = []
  const deliver = new Deliver({
    store: options.between ? instead(store, options.between(store)) : store,
    runtime,
    shops,
    config,
    providers,
    sandboxOrigin: origin,
    paused: () => options.paused?.() ?? false,
    onAttempt: attempt => { attempts.push(attempt) },
    onRefused: one => { refused.push(one) },
    onHeld: one => { held.push(one) },
    onError: error => { errors.push(error) }
  })
  let started = false
  shops.onChange = accounts => { if (started) deliver.release(accounts) }
  shops.onWork = accounts => { if (started) for (const account of accounts) deliver.wake(account) }
  const door = doorOf({ store, runtime, config, shops, wake: account => { if (started) deliver.wake(account) } })
  let stopped: Promise<void> | null = null
  let closing: Promise<void> | null = null
  let n = 0
  const made: World = {
    place, config, server, store, shops, runtime, deliver, providers, attempts, refused, held, errors,
    async accept (shop, count = 1, type = 'thing.happened') {
      const items = Array.from({ length: count }, () => ({ id: `e${store.owner}-${++n}`, type, shop, data: { n } }))
      const receipts = await door.accept(items, { mode: 'plain', defaultSource: 'test', mayUse: () => true })
      return receipts.map(idOf)
    },
    async delivery (id) { return (await store.read('delivery_by_id', { id }))[0] as Row },
    async shown (id) { return stateOfRow(await made.delivery(id)) },
    async becomes (id, state, reason) {
      try {
        await until(state, async () => {
          const shown = await made.shown(id)
          return shown.state === state && (reason === undefined || shown.reason === reason)
        })
      } catch {
        throw new Error(`waited for ${state} ${reason ?? ''}, and it is ${JSON.stringify(await made.shown(id))}; errors: ${errors.map(String).join('; ')}`)
      }
      return await made.delivery(id)
    },
    async all (ids, state) { for (const id of ids) await made.becomes(id, state) },
    async state (shop) { return await shops.get(shop) as ShopState },
    query: sql => query(place, sql),
    async start () {
      started = true
      let adopted = 0
      await (options.between ? instead(store, options.between(store)) : store).listen({
        taken: async slots => { adopted += await deliver.take(slots) },
        asked: slots => deliver.handOver(slots),
        lost: slots => { deliver.drop(slots) },
        work: keys => { for (const key of keys) deliver.wake(key) },
        news: () => {},
        onError: error => { errors.push(error) }
      })
      deliver.start()
      return adopted
    },
    stop (graceMs = 0) { return stopped ??= deliver.stop(graceMs) },
    async die () {
      dead = true
      const left = await leftAt(t, place)
      closing = opened.close()
      return left
    }
  }
  t.teardown(async () => {
    await made.stop()
    await closing
  })
  if (options.start !== false) await made.start()
  return made
}

/** The store, with some of its members replaced. */
function instead (store: Store, members: Partial<Store>): Store {
  return new Proxy(store, {
    get (target, name) {
      const value: unknown = Reflect.get(members, name) ?? Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) as unknown : value
    }
  })
}

function doorOf ({ store, runtime, config, shops, wake }: Pick<World, 'store' | 'runtime' | 'config' | 'shops'> & { wake (account: number): void }): Door {
  const schemas = new Map(Object.keys(config.eventTypes).map(type => [type, { type, schema: {}, examples: [], valid: () => true, faults: () => [] } satisfies EventSchema]))
  return new Door({
    store, runtime, config, schemas,
    person: () => new Uint8Array(16),
    wake,
    onReceipt: () => {},
    async route (id: string, type: EventTypeConfig): Promise<Route | null> {
      const state = await shops.get(id)
      if (!state) return null
      const queue = await shops.queue(state, type)
      return { shopKey: state.shop.key, queueKey: queue.key, provider: queue.provider, accountKey: queue.accountKey, held: queue.held }
    },
    shopKey: async id => (await shops.get(id))?.shop.key ?? null
  })
}

function idOf (receipt: Receipt): string {
  const [delivery] = receipt.deliveries
  if (receipt.status !== 'accepted' || !delivery) throw new Error(`not accepted: ${JSON.stringify(receipt)}`)
  return delivery.id
}

/** The keys of the deliveries a server received, in their order. */
export function keysOf (server: FaultServer): string[] {
  return server.received.map(({ body }) => (JSON.parse(body) as { key: string }).key)
}

/** The shops they were for. */
export function shopsOf (server: FaultServer): string[] {
  return server.received.map(({ body }) => (JSON.parse(body) as { shop: string }).shop)
}
