// What a list of people says of messages that are handed over in any case.

import type { Provider, Store } from '../contract.ts'
import { standingOf, type Standing } from './standing.ts'

interface At { accountKey: number, person: Uint8Array }

/** When a person was last seen as one who opted out, at a provider that takes every message and keeps it from such people; null where that is not known. Epoch milliseconds. */
export async function optedOutAt (provider: Provider, at: At, store: Pick<Store, 'read'>): Promise<number | null> {
  return (await optedOut(provider, at, store))?.checkedAt ?? null
}

/** Whether the provider is known to have kept a message from its person, that it took at `finishedAt`. */
export async function isKeptBack (provider: Provider, at: At, finishedAt: number, store: Pick<Store, 'read'>): Promise<boolean> {
  const standing = await optedOut(provider, at, store)
  return standing !== null && standing.since <= finishedAt
}

async function optedOut ({ subscribers }: Provider, { accountKey, person }: At, store: Pick<Store, 'read'>): Promise<Standing | null> {
  if (!subscribers || subscribers.gate.length > 0) return null
  const standing = standingOf((await store.read('subscriber', { account_key: accountKey, person }))[0])
  return standing?.standing === 'opted_out' ? standing : null
}
