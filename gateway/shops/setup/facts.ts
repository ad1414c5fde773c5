// What a set-up is judged by: its rows, the connection, and the groups that the provider has messages for.

import type { Config, Provider, Runtime, Store } from '../../contract.ts'
import type { Reason } from '../../reasons.ts'
import type { Shops, ShopState } from '../shops.ts'
import type { Vault } from '../vault.ts'
import type { Asking } from './asking.ts'
import type { SetupFacts } from './progress.ts'
import { rowsOf, type At } from './rows.ts'

/** What the provider refuses an account for; a person must act. */
const REFUSED: ReadonlySet<Reason> = new Set(['credentials_refused', 'scope_missing', 'account_unknown', 'account_suspended'])

export interface SetupOptions extends Asking {
  store: Store
  runtime: Runtime
  vault: Vault
  shops: Shops
  config (): Config
  provider (id: string): Provider | undefined
  /** Data that fits the schema of an event type, with everything in it; null where its schema gives no example. */
  sample (type: string): Record<string, unknown> | null
  /** There is a job: no reason to wait for the next look. */
  look (): void
  /** True: nothing is sent, since what comes of it could not be recorded. */
  paused (): boolean
  /** Why no merchant can be sent to a provider now; null where one can. */
  notPossible (provider: Provider): string | null
  /** Where browsers reach this gateway. */
  publicUrl (): string | null
}

/** What the set-up of a shop at a provider stands on just now. */
export async function factsOf (state: ShopState, provider: Provider, options: SetupOptions): Promise<SetupFacts> {
  const [rows, held] = await Promise.all([options.store.read('setup_rows', at(state, provider)), heldFor(state, provider, options)])
  return { steps: provider.setup, groups: groupsOf(provider, options.config()), connection: state.connections.get(provider.id), refused: held !== null && REFUSED.has(held), rows: rowsOf(rows) }
}

/** What holds the account of a shop at a provider. */
export async function heldFor (state: ShopState, provider: Provider, { shops }: Pick<SetupOptions, 'shops'>): Promise<Reason | null> {
  const connection = state.connections.get(provider.id)
  if (connection === undefined) return null
  return (connection.oauth?.brokenAt ?? null) !== null ? 'credentials_refused' : (await shops.held(state)).get(connection.accountKey) ?? null
}

/** Kinds of message by set-up group, as far as the provider has them. */
export function groupsOf (provider: Provider, config: Config): Map<string, string[]> {
  const types = Object.values(config.eventTypes).filter(({ type, kind }) => kind !== 'sync' && Object.hasOwn(provider.events, type))
  return new Map([...Map.groupBy(types, ({ setupGroup }) => setupGroup)].map(([group, all]) => [group, all.map(({ type }) => type)]))
}

export function at ({ shop }: ShopState, { id }: Provider): At {
  return { shop_key: shop.key, provider: id }
}

/** The row of an account by the provider's own identity of it, or by what stands for it. */
export async function accountKeyOf (provider: Provider, account: string, { store }: Pick<SetupOptions, 'store'>): Promise<number> {
  const [row] = await store.read('account_called', { provider: provider.id, account })
  return row?.account_key as number
}
