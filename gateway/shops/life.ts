// A shop's life as its platform tells it: installed or not, its plan, its name. What is told is written in the unit that accepts the
// event; what follows for queues, grants and webhooks is done by a job at once, from how the shop stands by then.

import type { Config, Consumer, Entering, Provider, Runtime, Step, Store } from '../contract.ts'
import { disconnectSteps, revocationSteps, type Connection } from './connections.ts'
import type { Shops } from './shops.ts'
import type { ShopState } from './state.ts'
import type { Vault } from './vault.ts'
import { leavingSteps, lookAfterSteps } from './webhooks/steps.ts'

export const LIFE_JOB = 'shop_life'

/** Data of `shop.updated`. */
interface Told { plan?: string, name?: string, domain?: string, status?: 'installed' | 'uninstalled', at: string }

export interface LifeTools {
  store: Store
  runtime: Runtime
  vault: Vault
  shops: Shops
  config (): Pick<Config, 'plans'>
  provider (id: string): Provider | undefined
  warn (fields: object, message: string): void
}

/** What the events of a platform about the shop itself set going. Of each fact the latest word counts, whenever it comes. */
export function lifeConsumers (tools: Pick<LifeTools, 'store' | 'runtime' | 'config'>): ReadonlyMap<string, Consumer> {
  return new Map([['shop.updated', entering => toldSteps(entering, tools)]])
}

function toldSteps ({ shop, key, data, receivedAt }: Entering, { store, runtime, config }: Pick<LifeTools, 'store' | 'runtime' | 'config'>): Step[] {
  const { plan, name = null, domain = null, status, at } = data as unknown as Told
  const now = runtime.now()
  const told = { shop_key: shop.key, event_key: key, at: Math.min(Date.parse(at), receivedAt), now } // one from the future would keep out all that come until then
  return [
    ...(status === undefined ? [] : [{ name: 'set_shop_status', params: { ...told, life: status } }]),
    ...(status === 'uninstalled' ? [{ name: 'hold_shop', params: { shop_key: shop.key } }] : []),
    ...(plan === undefined ? [] : [{ name: Object.hasOwn(config().plans, plan) ? 'set_shop_plan' : 'note_shop_plan', params: { ...told, plan } }]),
    ...(name === null && domain === null ? [] : [{ name: 'set_shop_profile', params: { ...told, name, domain } }]),
    { name: 'put_job', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), kind: LIFE_JOB, unique_key: String(shop.key), account_key: null, delivery_key: null, due_at: now, now } }
  ]
}

/** A job: brings queues, grants and webhooks in line with how the shop stands. Again is no harm. */
export async function followLife ({ uniqueKey }: { uniqueKey: string }, tools: LifeTools): Promise<null> {
  const { store, shops, warn } = tools
  const [row] = await store.read('shop_by_key', { shop_key: Number(uniqueKey) })
  if (row === undefined) return null
  const id = String(row.id)
  shops.forget(id) // what is at hand is of before
  if (await shops.get(id) === null) return null // it is being erased
  const after = await shops.alter(id, async state => ({ steps: await followSteps(state, tools), after: state }))
  if (after.shop.planTold !== null) warn({ shop: id, plan: after.shop.planTold, stays: after.shop.plan }, 'the platform names a plan that the config does not have; the shop keeps the one it had')
  return null
}

async function followSteps (state: ShopState, tools: LifeTools): Promise<Step[]> {
  const { store, provider } = tools
  const own = [...state.connections.values()].filter(({ platform }) => !platform)
  const isIn = state.shop.status === 'installed'
  const steps: Step[] = []
  for (const connection of own) {
    const listens = (await store.read('webhooks_of', { account_key: connection.accountKey })).length > 0
    if (isIn && !listens) steps.push(...lookAfterSteps(provider(connection.provider), connection.account, tools))
    if (!isIn) steps.push(...(listens ? leavingSteps(state.shop.id, provider(connection.provider), connection, tools) : []), ...revoked(state, connection, tools))
  }
  return steps
}

/** The grant ends at the provider; the tokens stay, and are known to be good for nothing. */
function revoked ({ shop }: ShopState, connection: Connection, tools: LifeTools): Step[] {
  const steps = revocationSteps(shop, connection, tools)
  if (steps.length === 0) return []
  const oauth = JSON.stringify({ ...connection.oauth, brokenAt: tools.runtime.now() })
  return [...steps, { name: 'put_grant', params: { shop_key: shop.key, provider: connection.provider, oauth } }]
}

/** Of a shop that is being erased: its connections end here at once, and at the providers soon. */
export async function disconnectAll (shopKey: number, tools: LifeTools): Promise<void> {
  const { store, shops, provider } = tools
  const [row] = await store.read('shop_by_key', { shop_key: shopKey })
  const state = await shops.byKey(shopKey, Number(row?.version ?? 0))
  const steps = [...state.connections.values()].flatMap(connection => disconnectSteps(state.shop, connection.provider, provider(connection.provider), connection, tools))
  if (steps.length > 0) await store.commit(steps)
  shops.forget(state.shop.id)
  store.tell({ shop: state.shop.id })
}
