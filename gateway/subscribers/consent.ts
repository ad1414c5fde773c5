// What a list of people says of messages that are handed over in any case.

import type { Provider, Store } from '../contract.ts'
import { standingOf } from './standing.ts'

/** When a person was last seen as one who opted out, at a provider that takes every message and keeps it from such people; null where that is not known. Epoch milliseconds. */
export async function optedOutAt ({ subscribers }: Provider, at: { accountKey: number, person: Uint8Array }, store: Pick<Store, 'read'>): Promise<number | null> {
  if (!subscribers || subscribers.gate.length > 0) return null
  const standing = standingOf((await store.read('subscriber', { account_key: at.accountKey, person: at.person }))[0])
  return standing?.standing === 'opted_out' ? standing.checkedAt : null
}
