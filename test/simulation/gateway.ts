// One virtual gateway: the real door, shops, deliveries and jobs, on a virtual store and virtual wires.

import { randomBytes } from 'node:crypto'
import { HiddenSecret } from '../../gateway/config/secret.ts'
import type { Config, EventTypeConfig, Provider, Row, Runtime, ShopConfig } from '../../gateway/contract.ts'
import { sendAgain } from '../../gateway/delivery/again.ts'
import { Deliver } from '../../gateway/delivery/deliver.ts'
import { reconcile } from '../../gateway/delivery/reconcile.ts'
import { digest, Door, type Receipt, type Route } from '../../gateway/events/accept.ts'
import type { EventSchema } from '../../gateway/events/schemas.ts'
import { storeEvents } from '../../gateway/instances.ts'
import { expireHeld, retention } from '../../gateway/jobs/retention.ts'
import { Jobs } from '../../gateway/jobs/runner.ts'
import { createLog } from '../../gateway/observe/log.ts'
import { Shops } from '../../gateway/shops/shops.ts'
import { createVault } from '../../gateway/shops/vault.ts'
import { config as makeConfig, eventType, HOUR_MS } from '../helpers/make.ts'
import { VirtualStore, type VirtualDatabase } from './database.ts'
import { DEADLINE_MS, type VirtualProvider } from './provider.ts'
import { VirtualProcess } from './time.ts'

/** As short as it may be beside the deadline, so that much happens to it. */
export const LEASE_MS = 6000
const STOP_MS = 3000
export const SHOPS = ['a', 'b', 'c', 'd', 'e']

export interface Surroundings {
  db: VirtualDatabase
  providers: VirtualProvider[]
  config: Config
}

const KEYS = { encryption: new HiddenSecret(randomBytes(32).toString('base64url'), null), person: new HiddenSecret(randomBytes(32).toString('base64url'), null) }

/** The shops `a` and `b` share each of their accounts. */
export function accountOf (shop: string): string { return shop === 'b' ? 'a' : shop }

export function connectionOf (shop: string): { auth: null, secrets: Record<string, string>, accountId: string, settings: Record<string, unknown>, ready: string[] } {
  return { auth: null, secrets: { api_key: `secret of ${accountOf(shop)}` }, accountId: accountOf(shop), settings: {}, ready: ['things', 'urgent'] }
}

export function configOf (providers: readonly VirtualProvider[]): Config {
  const shops: ShopConfig[] = SHOPS.map((id, i) => ({
    id, name: id, domain: `${id}.example`, plan: 'pro', sandbox: false,
    channels: { sms: providers[i % providers.length]?.provider.id as string },
    connections: providers.map(({ provider }) => ({ ...connectionOf(id), provider: provider.id, secrets: { api_key: new HiddenSecret(`secret of ${accountOf(id)}`, null) } }))
  }))
  return makeConfig({
    security: { encryptionKeys: [{ id: 'k1', key: KEYS.encryption }], personKey: KEYS.person, apiKeys: [] },
    channels: { sms: { defaultProvider: providers[0]?.provider.id as string } },
    eventTypes: {
      'thing.happened': eventType({ type: 'thing.happened', expiresAfterMs: HOUR_MS / 2 }),
      'thing.urgent': eventType({ type: 'thing.urgent', setupGroup: 'urgent', kind: 'transactional', expiresAfterMs: HOUR_MS })
    },
    shops,
    delivery: { requestDeadlineMs: DEADLINE_MS, retryScheduleMs: [2000, 10_000, 60_000] },
    retention: { payloadMs: 3 * HOUR_MS, identityMs: 6 * HOUR_MS }
  })
}

export class VirtualGateway {
  readonly process = new VirtualProcess()
  readonly store: VirtualStore
  /** Set once it takes events in. */
  up = false
  readonly errors: string[] = []
  #around: Surroundings
  #runtime: Runtime
  #shops!: Shops
  #deliver!: Deliver
  #jobs!: Jobs
  #door!: Door

  /** `skewMs`: how far it misses the database's clock. */
  constructor (around: Surroundings, skewMs: number, nextId: () => number) {
    const { db } = around
    this.#around = around
    this.store = new VirtualStore(db, this.process, LEASE_MS)
    this.#runtime = { now: () => db.now() + skewMs, mono: () => db.time.now, random: db.random, id: prefix => `${prefix}${nextId()}` }
  }

  /** Rejects where the database does not let it; then it is to be killed. */
  start (): Promise<void> { return this.process.within(() => this.#start()) }

  async #start (): Promise<void> {
    const { config, providers } = this.#around
    const store = this.store
    const runtime = this.#runtime
    const onError = (error: unknown): void => { this.errors.push(String(error)) }
    await store.open(onError)
    const known = new Map(providers.map(({ provider }) => [provider.id, { ...provider, baseUrl: `https://${provider.id}.example` }]))
    const vault = createVault(config.security.encryptionKeys, config.security.personKey)
    const shops = this.#shops = new Shops({ store, vault, runtime, config, providers: known })
    await shops.declare()
    await shops.refreshAll()
    const deliver = this.#deliver = new Deliver({
      store, runtime, shops, config, providers: known, sandboxOrigin: null, onError,
      createSender: url => (providers.find(({ provider }) => url === `https://${provider.id}.example`) as VirtualProvider).sender(this.process),
      paused: () => false,
      onAttempt: () => {},
      onRefused: () => {},
      onHeld: () => {}
    })
    shops.onChange = accounts => { deliver.release(accounts) }
    shops.onWork = accounts => { for (const account of accounts) deliver.wake(account) }
    const jobs = this.#jobs = new Jobs({
      store, runtime, onError,
      handlers: {
        retention: retention({ store, runtime, ...config.retention, digest }),
        expire_held: expireHeld({ store, runtime }),
        reconcile: job => reconcile(job.deliveryKey as number, job.cursor, {
          store, runtime, shops, providers: known, onError, onLearnt: () => {},
          ask: (connection, request, scope) => deliver.ask(connection, request, scope)
        })
      }
    })
    await store.listen({ ...storeEvents({ deliver, shops, jobs, log: createLog('silent', () => {}) }), onError })
    deliver.start()
    await jobs.start(['retention', 'expire_held'])
    this.#door = this.#doorOf(config)
    this.up = true
  }

  /** Ends what is in flight, gives up its accounts. */
  stop (): Promise<void> {
    this.up = false
    return this.process.within(async () => {
      await Promise.all([this.#jobs.stop(), this.#deliver.stop(STOP_MS)])
      await this.store.close()
      this.process.kill()
    })
  }

  kill (): void {
    this.up = false
    this.process.kill()
    this.#around.db.stores.delete(this.store)
  }

  accept (items: readonly object[]): Promise<Receipt[]> {
    return this.process.within(() => this.#door.accept(items, { mode: 'plain', defaultSource: 'simulation', mayUse: () => true }))
  }

  // ── what persons do ──

  switchTo (shop: string, provider: string): Promise<unknown> { return this.process.within(() => this.#shops.setChannel(shop, 'sms', provider, 'person')) }

  setActive (shop: string, active: boolean): Promise<unknown> {
    return this.process.within(() => this.#shops.put({ id: shop, name: shop, domain: `${shop}.example`, plan: 'pro', active }, 'person'))
  }

  /** As it was, which lets go what its account was held for. */
  connectAgain (shop: string, provider: Provider): Promise<unknown> {
    return this.process.within(() => this.#shops.putConnection(shop, provider.id, connectionOf(shop), 'person'))
  }

  /** What the route does for one that has ended; `unknown` says that a second message is acceptable. */
  retry (row: Row, unknown: boolean): Promise<unknown> {
    const now = this.#runtime.now()
    return this.process.within(() => this.store.commit([
      { name: 'lock_family', params: { first_key: (row.again_of ?? row.delivery_key) as number } },
      { name: 'retry_delivery', params: { delivery_key: row.delivery_key as number, now, expires_at: now + HOUR_MS / 2, unknown: unknown ? 1 : 0 } },
      { name: 'queue_due', params: { queue_key: row.queue_key as number, priority: row.priority as number, due_at: now, now } }
    ]))
  }

  sendAgain (id: string): Promise<unknown> {
    const { config, providers } = this.#around
    return this.process.within(async () => {
      const [row] = await this.store.read('delivery_by_id', { id })
      if (row) await sendAgain(row, { mode: 'send', reason: 'simulated', may_have_been_sent: true, expired: true }, 'person', { store: this.store, runtime: this.#runtime, config, providerOf: id => providers.find(({ provider }) => provider.id === id)?.provider })
    })
  }

  #doorOf (config: Config): Door {
    const schemas = new Map(Object.keys(config.eventTypes).map(type => [type, { type, schema: {}, examples: [], valid: () => true, faults: () => [] } satisfies EventSchema]))
    return new Door({
      store: this.store,
      runtime: this.#runtime,
      config,
      schemas,
      person: () => new Uint8Array(16),
      wake: account => { this.#deliver.wake(account) },
      onReceipt: () => {},
      route: async (id: string, type: EventTypeConfig): Promise<Route | null> => {
        const state = await this.#shops.get(id)
        if (!state) return null
        const queue = await this.#shops.queue(state, type)
        return { shopKey: state.shop.key, queueKey: queue.key, provider: queue.provider, accountKey: queue.accountKey, held: queue.held }
      },
      shopKey: async id => (await this.#shops.get(id))?.shop.key ?? null
    })
  }
}
