// Asks a provider whether a request that got no answer arrived, where its folder brings a hook for that.

import type { Answer, Provider, Reconciled, Row, Runtime, Step, Store } from '../contract.ts'
import { STATE } from '../contract.ts'
import type { OpenConnection } from '../shops/connections.ts'
import type { Shops } from '../shops/shops.ts'
import { scopeOf, stored } from './flight.ts'

/** Waits between the questions; after the last one a person decides. */
const AGAIN_MS = [60_000, 5 * 60_000, 30 * 60_000, 2 * 3_600_000]

export interface ReconcileOptions {
  store: Store
  runtime: Runtime
  shops: Shops
  providers: ReadonlyMap<string, Provider>
  /** Sends one of the provider's requests on the account's lane. */
  ask (connection: OpenConnection, request: string, scope: object): Promise<Answer>
}

/** Epoch ms of the next question about a delivery, null when it is settled or no longer asked about. */
export async function reconcile (deliveryKey: number, attempts: number, options: ReconcileOptions): Promise<number | null> {
  const { store, runtime } = options
  const [row] = await store.read('delivery_by_key', { delivery_key: deliveryKey })
  if (!row || row.state !== STATE.unknown || row.owner !== null || row.request_head === null) return null
  const found = await question(row, options)
  const now = runtime.now()
  const waitMs = AGAIN_MS[attempts - 1]
  if (found.is === 'unclear' && waitMs !== undefined) return now + waitMs
  await store.commit(steps(row, found, now))
  return null
}

async function question (row: Row, { shops, providers, ask }: ReconcileOptions): Promise<Reconciled> {
  const provider = providers.get(row.account_provider as string)
  const state = await shops.byKey(row.shop_key as number)
  const connection = provider && state.connections.get(provider.id)
  const secrets = connection?.secrets
  if (!provider?.code.reconcile || !connection || !secrets) return { is: 'unclear', detail: 'the connection it went over is gone' }
  const scope = scopeOf(row, state, connection)
  return await provider.code.reconcile(scope, stored(row), row.reserved_at as number, (request, map) => ask({ ...connection, secrets }, request, { ...scope, map }))
}

function steps (row: Row, found: Reconciled, now: number): Step[] {
  const key = { delivery_key: row.delivery_key as number }
  const detail = 'detail' in found ? found.detail ?? null : null
  if (found.is === 'delivered') return [{ name: 'resolve_unknown', params: { ...key, state: STATE.delivered, reason: 'accepted_elsewhere', detail, due_at: null, finished_at: now } }]
  if (found.is === 'unclear') return [{ name: 'resolve_unknown', params: { ...key, state: STATE.unknown, reason: 'no_answer', detail, due_at: null, finished_at: now } }]
  return [
    { name: 'resolve_unknown', params: { ...key, state: STATE.waiting, reason: null, detail: null, due_at: now, finished_at: null } },
    { name: 'queue_due', params: { queue_key: row.queue_key as number, priority: row.priority as number, due_at: now, now } }
  ]
}
