// Two instances change one shop at the same moment: neither writes what follows from a state that is gone.

import t, { type Test } from 'tap'
import type { Config, Row, Store } from '../../gateway/contract.ts'
import { Shops } from '../../gateway/shops/shops.ts'
import { createVault } from '../../gateway/shops/vault.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { openPostgres } from '../../gateway/store/postgres/store.ts'
import { config as makeConfig, provider, shop } from '../helpers/make.ts'
import { query } from '../helpers/postgres-cluster.ts'
import { database, haveNoPostgres } from '../helpers/postgres.ts'

const ID = 'acme.example'
const NAMES = { id: ID, name: 'Acme', domain: ID, plan: 'pro', active: true }
const INPUT = { auth: 'api_key', secrets: { api_key: `secret-of-${ID}` }, accountId: 'A1', settings: {}, ready: ['things', 'urgent'] }
/** Within this many turns of promises whatever comes after the last read of a shop has come. */
const HOPS = 30

interface Two {
  one: Shops
  other: Shops
  /** Called before a change of `one` is written, once; and after each of the reads of which one is a shop's last. */
  between: { commit: (() => Promise<unknown>) | null, read: (() => void) | null }
  queue (): Promise<Row>
  /** No credentials were given lately. */
  later (): Promise<unknown>
}

async function two (t: Test): Promise<Two> {
  const url = await database(t)
  const providers = new Map(['alpha', 'beta'].map(id => [id, provider({ id })]))
  const config: Config = makeConfig({ shops: [shop(ID, { account: 'A1' })] })
  const runtime = systemRuntime()
  const between: Two['between'] = { commit: null, read: null }
  const opened = async (): Promise<Store> => {
    const store = await openPostgres({ url, pool: 2, leaseMs: 30_000, allowDataLoss: false, mono: runtime.mono, onError: error => { t.comment(String(error)) } })
    t.teardown(() => store.close())
    return store
  }
  const shopsOf = (store: Store): Shops => new Shops({ store, runtime, config, providers, vault: createVault(config.security.encryptionKeys, config.security.personKey) })
  const store = await opened()
  const watched = new Proxy(store, {
    get (target, name) {
      if (name === 'commit') {
        return async (unit: never) => {
          const { commit } = between
          between.commit = null
          await commit?.()
          return await target.commit(unit)
        }
      }
      if (name === 'read') {
        return async (statement: string, params: never) => {
          const rows = await target.read(statement, params)
          if (statement === 'queues' || statement === 'secrets') between.read?.()
          return rows
        }
      }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) as unknown : value
    }
  })
  const [one, other] = [shopsOf(watched), shopsOf(await opened())]
  await one.declare()
  await other.declare()
  await one.queue(await one.get(ID) as never, config.eventTypes['thing.happened'] as never)
  const { shop: { key } } = await one.get(ID) as { shop: { key: number } }
  return { one, other, between, queue: async () => (await store.read('queues', { shop_key: key }))[0] as Row, later: () => query(url, 'update audit set at = 0') }
}

const PAIRS: Array<[name: string, first: (one: Shops) => Promise<unknown>, change: (one: Shops) => Promise<unknown>, meanwhile: (other: Shops) => Promise<unknown>, left: object]> = [
  ['credentials are put, and the other chooses another provider', one => one.setChannel(ID, 'sms', 'alpha', 'me'), one => one.putConnection(ID, 'alpha', INPUT, 'me'), other => other.setChannel(ID, 'sms', 'beta', 'me'), { provider: 'beta', held_reason: null }],
  ['a provider is chosen, and the other disconnects it', async one => { await one.putConnection(ID, 'beta', INPUT, 'me'); await one.setChannel(ID, 'sms', 'alpha', 'me') }, one => one.setChannel(ID, 'sms', 'beta', 'me'), other => other.deleteConnection(ID, 'beta', 'me'), { provider: 'beta', account_key: null, held_reason: 'not_connected' }],
  ['the shop is put, and the other chooses another provider', one => one.setChannel(ID, 'sms', 'alpha', 'me'), one => one.put(NAMES, 'me'), other => other.setChannel(ID, 'sms', 'beta', 'me'), { provider: 'beta' }],
  ['a provider is disconnected, and the other chooses it', async one => { await one.putConnection(ID, 'beta', INPUT, 'me'); await one.setChannel(ID, 'sms', 'alpha', 'me') }, one => one.deleteConnection(ID, 'beta', 'me'), other => other.setChannel(ID, 'sms', 'beta', 'me'), { provider: 'beta', held_reason: 'not_connected' }]
]

for (const [name, first, change, meanwhile, left] of PAIRS) {
  t.test(`${name}: the queue goes where both together say, whenever word of it comes`, { skip: haveNoPostgres }, async t => {
    const { one, other, between, queue, later } = await two(t)
    await other.putConnection(ID, 'beta', INPUT, 'me')
    for (let hops = 0; hops <= HOPS; hops++) {
      await later()
      await first(one)
      one.forget(ID)
      other.forget(ID)
      between.commit = () => meanwhile(other)
      // Somebody else in this process hears that the shop has changed, while it is being worked on.
      between.read = () => {
        let turn = Promise.resolve()
        for (let i = 0; i < hops; i++) turn = turn.then(() => {})
        void turn.then(() => { one.forget(ID) })
      }
      await change(one)
      between.read = null
      t.match(await queue(), left, `${hops} turns later`)
    }
  })
}
