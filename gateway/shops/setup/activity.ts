// What went through a provider lately, for whoever wonders whether it works: how many messages it took, and what it said last
// of one that it did not take.

import type { Provider, Row, Runtime, Store } from '../../contract.ts'
import { STATE } from '../../contract.ts'
import { sentence, type Reason } from '../../reasons.ts'
import type { ShopState } from '../shops.ts'

const HOURS = 24
/** Looked at, at most, of all shops on the account: whoever asks looks again every few seconds. */
const MESSAGES_MAX = 2000

/**
 * Of the messages whose last call ended within the last `hours`, those that are among the latest 2,000 of all shops on the
 * account. `at_least`: there were 2,000, so the shop may have more. Where none of these is the shop's, all but `hours` and
 * `at_least` is null: nothing is known. Times RFC 3339.
 */
export interface Activity {
  hours: number
  delivered: number | null
  /** Refused for good. */
  rejected: number | null
  /** May have been sent: a person decides. */
  unknown: number | null
  at_least: boolean
  last_delivered_at: string | null
  /** The latest word of the provider that was no acceptance; its message may have gone since. */
  last_error: { reason: Reason, sentence: string, at: string } | null
}

/** Null where the shop is not connected. */
export async function activityOf (state: ShopState, provider: Provider, { store, runtime }: { store: Store, runtime: Runtime }): Promise<Activity | null> {
  const connection = state.connections.get(provider.id)
  if (connection === undefined) return null
  const all = await store.read('recent_of_shop', { account_key: connection.accountKey, shop_key: state.shop.key, since: runtime.now() - HOURS * 3_600_000, limit: MESSAGES_MAX })
  const rows = all.filter(({ own }) => Boolean(own))
  const delivered = rows.filter(row => row.state === STATE.delivered)
  const atLeast = sum(all) >= MESSAGES_MAX
  const counted = (some: readonly Row[]): number | null => atLeast && rows.length === 0 ? null : sum(some)
  const failed = latest(rows.filter(row => row.state !== STATE.delivered && row.reason !== null))
  return {
    hours: HOURS,
    delivered: counted(delivered),
    rejected: counted(rows.filter(row => row.state === STATE.rejected)),
    unknown: counted(rows.filter(row => row.state === STATE.unknown)),
    at_least: atLeast,
    last_delivered_at: delivered.length === 0 ? null : timeOf(latest(delivered)?.settled_at as number),
    last_error: failed === null ? null : { reason: failed.reason as Reason, sentence: sentence(failed.reason as Reason, provider.title), at: timeOf(failed.settled_at as number) }
  }
}

function latest (rows: readonly Row[]): Row | null {
  return rows.toSorted((a, b) => Number(b.settled_at) - Number(a.settled_at))[0] ?? null
}

function sum (rows: readonly Row[]): number { return rows.reduce((all, { messages }) => all + Number(messages), 0) }

function timeOf (at: number): string { return new Date(at).toISOString() }
