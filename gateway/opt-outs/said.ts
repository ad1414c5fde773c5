// That a person wants no more messages, or wants them again, as it was said over an account; the steps may be done twice.

import type { Step } from '../contract.ts'

export interface Said { accountKey: number, person: Uint8Array, at: number, /** In snake_case. */ via: string }

/** To a sender that shops may share: it holds for the account, and for each shop that texted the person over it. */
export function optedOutAtSender ({ accountKey, person, at, via }: Said): Step[] {
  const params = { person, account_key: accountKey, at, via }
  return [{ name: 'opt_out_account', params }, { name: 'opt_out_texted', params }]
}

/** At a provider that keeps a list of its own for the account: it holds for each shop that is connected to it. */
export function optedOutAtProvider ({ accountKey, person, at, via }: Said): Step[] {
  return [{ name: 'opt_out_connected', params: { person, account_key: accountKey, at, via } }]
}

/** What was said over the account, and nothing that was said elsewhere. */
export function optedIn ({ accountKey, person, at, via }: Said): Step[] {
  return [{ name: 'lift_account', params: { person, account_key: accountKey, at, via } }]
}
