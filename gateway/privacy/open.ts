// Whether a delivery is of a person who is being erased just now: what is not found yet is not sent either.

import type { Row, Store } from '../contract.ts'
import { matcher } from './match.ts'
import { personOf, unsealed, type Sealing, type Subject } from './who.ts'

/** Rows: claimed deliveries, with `shop_key`, `shop`, `data`, `time_at` and `received_at`. */
export function redactedBy ({ store, vault }: { store: Pick<Store, 'read'>, vault: Sealing }): (row: Row) => Promise<boolean> {
  return async row => {
    const { shop_key: shopKey, shop, data, time_at: timeAt } = row
    if (data === null) return false
    const open = await store.read('open_redactions', { shop_key: shopKey as number })
    return open.some(request => Number(request.at) >= Number(timeAt) && matcher(personOf(unsealed(String(shop), String(request.id), request, vault) as Subject, vault))(String(data)))
  }
}
