// Why a delivery is where it is: every reason code with the sentence a merchant reads.
// "{provider}" becomes the provider's title. A released code is never renamed or reused.

import type { Row, State } from './contract.ts'
import { STATE } from './contract.ts'

export const REASONS = {
  // waiting
  rate_limited: '{provider} is limiting us; the message goes out as soon as there is room.',
  provider_failing: '{provider} answered with an error; it is tried again.',
  not_connected_to_provider: '{provider} could not be reached; it is tried again.',
  crashed_gateway: 'Preparing this message stopped the gateway three times; it was set aside.',
  deferred: 'The message waits for a better time.',

  // held: a person must act
  no_provider: 'No provider is chosen for this channel.',
  provider_unknown: 'The provider chosen is not available here any more.',
  coming_soon: '{provider} is not available yet.',
  plan_too_low: 'The shop\'s plan does not include {provider}; upgrade to send through it.',
  not_connected: 'Connect your {provider} account.',
  setup_open: 'The set-up of {provider} is not finished for this kind of message.',
  event_not_supported: '{provider} has no mapping for this kind of message.',
  credentials_refused: '{provider} refuses the credentials; connect again.',
  credentials_unreadable: 'The stored credentials of {provider} cannot be opened; connect again.',
  scope_missing: '{provider} did not grant what is needed; connect again and grant it.',
  blocked_by_provider: '{provider} blocks our calls; it is tried again later, and the operator is told.',
  shop_inactive: 'The shop has uninstalled the app or is closed.',

  // unknown: written, and no full answer
  no_answer: '{provider} did not answer in time; it may have the message.',
  interrupted: 'The gateway stopped while {provider} was being asked; it may have the message.',
  repeat_refused: 'The message may have been sent; it is not repeated, so that nobody is texted twice.',

  // rejected
  payload_refused: '{provider} refused the message.',
  target_gone: '{provider} does not know the target any more.',
  redirect_refused: '{provider} sent us elsewhere, which is not followed.',
  request_refused: 'The request to {provider} was wrong; the operator must look at it.',
  mapping_failed: 'The message could not be put together from the event\'s data.',
  no_phone: 'The customer gave no phone number.',
  phone_refused: '{provider} does not accept the customer\'s phone number.',

  // expired
  expired: 'Waiting took too long for this kind of message.',
  expired_rate_limited: '{provider} rate limit exceeded: waiting took too long.',

  // delivered, with a remark
  answer_unreadable: '{provider} accepted the message, but its answer could not be read.',
  accepted_elsewhere: '{provider} already had this message.'
} as const satisfies Record<string, string>

export type Reason = keyof typeof REASONS

/** The sentence for a merchant. */
export function sentence (reason: Reason, providerTitle: string): string {
  return REASONS[reason].replaceAll('{provider}', providerTitle)
}

const STATE_NAMES = new Map<number, State>((Object.keys(STATE) as State[]).map(name => [STATE[name], name]))

/** The state of a delivery's row as it is called outside, and why. A waiting one of a held queue or account is held. */
export function stateOfRow (row: Row): { state: State | 'held', reason: Reason | null } {
  const state = STATE_NAMES.get(row.state as number) as State
  const held = (row.held_reason ?? row.account_held) as Reason | null
  if (state === 'waiting' && held) return { state: 'held', reason: held }
  return { state, reason: row.reason as Reason | null }
}
