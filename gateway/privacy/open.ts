// Whether a delivery is of a person who is being erased just now: what is not found yet is not sent either.

import type { Row, Store } from '../contract.ts'
import { matcher } from './match.ts'
import { personOf, unsealed, type Sealing, type Subject } from './who.ts'
import { isBefore } from './work.ts'

/** Whom it is about is at hand no longer than this. */
const AT_HAND_MS = 60_000

type Names = (text: string) => boolean

/** Rows: claimed deliveries, with `shop_key`, `shop`, `data`, `time_at` and `received_at`. */
export function redactedBy ({ store, vault }: { store: Pick<Store, 'read'>, vault: Sealing }): (row: Row) => Promise<boolean> {
  const atHand = new Map<string, Names>() // hundreds may be open, and each is asked for each delivery
  let clearing: NodeJS.Timeout | null = null
  const namesOf = (shop: string, request: Row): Names => {
    const id = String(request.id)
    const names = atHand.get(id) ?? matcher(personOf(unsealed(shop, id, request, vault) as Subject, vault))
    atHand.set(id, names)
    clearing ??= setTimeout(() => {
      atHand.clear()
      clearing = null
    }, AT_HAND_MS).unref()
    return names
  }
  return async row => {
    const { shop_key: shopKey, shop, data } = row
    if (data === null) return false
    const open = await store.read('open_redactions', { shop_key: shopKey as number })
    return open.some(request => isBefore(row, Number(request.at)) && namesOf(String(shop), request)(String(data)))
  }
}
