import type { Step, Store } from '../../gateway/contract.ts'
import { pass } from './pass.ts'

/** Puts failpoints before and after the units of work that move a delivery on, in any store. */
export function watched<T extends Store> (store: T): T {
  const commit = store.commit.bind(store)
  store.commit = async unit => {
    const has = (name: string): boolean => unit.some((step: Step) => step.name === name)
    if (has('settle_call')) pass('before_outcome')
    if (has('renew_grant')) pass('mid_refresh')
    const results = await commit(unit)
    if (has('start_call')) pass('before_send')
    if (results.some(({ rows }, i) => unit[i]?.name === 'claim_deliveries' && rows.length > 0)) pass('after_claim')
    return results
  }
  return store
}
