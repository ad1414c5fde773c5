// What must agree about the store: the keys with its driver, the lease with the time that requests may take.

import type { Config, Fault, Provider, SourceFile } from '../contract.ts'
import { Cursor } from './cursor.ts'
import type { Source } from './source.ts'
import { durationMs } from './units.ts'

/** Keys that only one driver knows. */
const ONLY: Record<Config['store']['driver'], readonly string[]> = {
  sqlite: ['path', 'synchronous', 'intake_free_mib', 'send_free_mib'],
  postgres: ['url', 'pool', 'lease']
}
const NEEDS: Record<Config['store']['driver'], { key: string, fix: string }> = {
  sqlite: { key: 'path', fix: 'Name the file: path: ./data/gateway.db.' },
  postgres: { key: 'url', fix: 'Say where the address of the database is kept: url: { env: DATABASE_URL }.' }
}
const LEAST_LEASE_MS = 1000
const MOST_LEASE_MS = 600_000
/** A lease is renewed when a third of it has passed; what is left then must be enough for the longest request. */
const LEASE_PER_REQUEST = 1.5

/** Of the config with its defaults; which keys were written is the file's own word. */
export function storeFaults (file: Source, root: Cursor): Fault[] {
  const driver = root.get('store', 'driver').text()
  if (driver !== 'sqlite' && driver !== 'postgres') return []
  const written = new Cursor(file.value).get('store').keys()
  const other = driver === 'sqlite' ? 'postgres' : 'sqlite'
  const foreign = written.filter(key => ONLY[other].includes(key))
    .map(key => file.fault('GW_CONFIG_UNKNOWN_KEY', `/store/${key}`, `/store/${key} is for driver ${other}, and this is driver ${driver}`, `Remove it, or write driver: ${other}.`, { key: true }))
  const { key, fix } = NEEDS[driver]
  const isThere = typeof new Cursor(file.value).get('store').value !== 'object' || written.includes(key)
  const missing = isThere ? [] : [file.fault('GW_CONFIG_MISSING_KEY', '/store', `/store has no "${key}"`, fix, { key: true })]
  return [...foreign, ...missing, ...driver === 'postgres' ? leaseValues(file, root) : []]
}

function leaseValues (file: Source, root: Cursor): Fault[] {
  const leaseMs = durationMs(root.get('store', 'lease').text() ?? '')
  if (leaseMs < LEAST_LEASE_MS) return [file.fault('GW_CONFIG_VALUE', '/store/lease', '/store/lease is shorter than 1s', 'Give 1s or more.')]
  if (leaseMs > MOST_LEASE_MS) return [file.fault('GW_CONFIG_VALUE', '/store/lease', '/store/lease is longer than 10m: after a crash nobody would work on its accounts so long', 'Give 10m or less.')]
  return tooShort(file, leaseMs, 'delivery.request_deadline', durationMs(root.get('delivery', 'request_deadline').text() ?? ''))
}

/**
 * Faults of a lease that is too short for what the config's requests may take. The store is the one that is open, which need not be
 * the file's. For a provider with a deadline of its own, the manifest says it.
 */
export function leaseFaults (from: SourceFile, { store, delivery }: Pick<Config, 'store' | 'delivery'>, providers: Iterable<Provider>): Fault[] {
  if (store.driver !== 'postgres') return []
  return [
    ...tooShort(from, store.leaseMs, 'delivery.request_deadline', delivery.requestDeadlineMs),
    ...[...providers].flatMap(({ id, deadlineMs }) => deadlineMs === null ? [] : tooShort(from, store.leaseMs, `the deadline of provider ${id}`, deadlineMs))
  ]
}

// Another gateway may work on an account once its lease is over: no request may still be on its way then.
function tooShort (from: SourceFile, leaseMs: number, what: string, deadlineMs: number): Fault[] {
  const leastMs = Math.ceil(deadlineMs * LEASE_PER_REQUEST)
  if (!(leaseMs < leastMs)) return []
  const message = `the lease of ${leaseMs} ms must be longer than ${what} (${deadlineMs} ms) by half: it is renewed each third of it, and no request may outlast it`
  return [from.fault('GW_CONFIG_VALUE', '/store/lease', message, `Give store.lease at least ${leastMs}ms, or shorten ${what}; a gateway that runs keeps its lease until the next start.`)]
}
