// How often a shop may do what tells strangers something: whether a key is good, or that a phone exists.

import type { Runtime, Store } from '../contract.ts'
import { GatewayError } from '../errors.ts'

const PER_MINUTE = 5
const MINUTE_MS = 60_000
/** Clocks of several gateways are a little apart. What is later than that was done before the clock was set back, nobody knows how long ago. */
const AHEAD_MS = 5000

/** Credentials that came in, by whichever way: each time they can be found out to be good or not. */
export const CREDENTIALS = ['setup.connect', 'connection.secrets'] as const

/**
 * Of what the audit table has of a shop. To be asked within the shop's turn, so that of many at once no more get through.
 * Throws GW_TOO_OFTEN where these were done five times within a minute, all together.
 */
export async function limited (shop: string, actions: readonly string[], { store, runtime }: { store: Store, runtime: Runtime }): Promise<void> {
  const now = runtime.now()
  const rows = await Promise.all(actions.map(action => store.read('audit_since', { shop, action, since: now - MINUTE_MS, until: now + AHEAD_MS })))
  const times = rows.flat().reduce((sum, row) => sum + Number(row.times), 0)
  if (times >= PER_MINUTE) throw new GatewayError('GW_TOO_OFTEN', `The shop did this ${PER_MINUTE} times within a minute.`)
}
