// What a reload keeps as the gateway was started with it, and what of it the file says otherwise by now.

import { isDeepStrictEqual } from 'node:util'
import type { Config, PostgresConfig, SqliteConfig } from './contract.ts'

export type Kept = Pick<Config, 'server' | 'store'>

/** As the file calls them. */
const SERVER_KEYS: Record<keyof Config['server'], string> = { host: 'host', port: 'port', trustProxy: 'trust_proxy', publicUrl: 'public_url', overload: 'overload' }
const STORE_KEYS: Record<keyof SqliteConfig | keyof PostgresConfig, string> = {
  driver: 'driver',
  path: 'path',
  synchronous: 'synchronous',
  allowDataLoss: 'allow_data_loss',
  intakeFreeBytes: 'intake_free_mib',
  sendFreeBytes: 'send_free_mib',
  url: 'url',
  pool: 'pool',
  leaseMs: 'lease'
}

/** Sections with the keys whose values are others than before; those without any are left out. */
export function changes (before: Kept, written: Kept): Array<{ section: keyof Kept, changed: string[] }> {
  const store = before.store.driver === written.store.driver ? changedKeys(readable(before.store), readable(written.store), STORE_KEYS) : ['driver']
  const found = [{ section: 'server' as const, changed: changedKeys(before.server, written.server, SERVER_KEYS) }, { section: 'store' as const, changed: store }]
  return found.filter(({ changed }) => changed.length > 0)
}

function changedKeys<T extends object> (before: T, now: T, names: Record<string, string>): string[] {
  return Object.keys(before).filter(key => !isDeepStrictEqual(before[key as keyof T], now[key as keyof T])).map(key => names[key] as string)
}

/** Two secrets are the same only by their text. */
function readable (store: Config['store']): object {
  return store.driver === 'postgres' ? { ...store, url: store.url.reveal() } : store
}
