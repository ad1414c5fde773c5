// Whether an account is this instance's for as long as a request may take.

import { slotOf, type Config, type Provider, type Store } from '../contract.ts'
import type { OpenAccount } from './account.ts'

/** The epoch of an account's slot, null where the account may be another instance's before a request that leaves now has ended. */
export function epochOf ({ key }: OpenAccount, { deadlineMs }: Provider, { store, config }: { store: Store, config: Config }): number | null {
  return store.slots.epoch(slotOf(key), deadlineMs ?? config.delivery.requestDeadlineMs)
}
