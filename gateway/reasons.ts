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
  queue_full: '{provider} has too many messages waiting; this one goes out as soon as there is room.',
  product_unavailable: 'The product is not published; the message waits until it can be bought.',
  quiet_hours: 'It is a quiet hour where the customer is; the message waits until it is over.',
  looking_up: 'We are asking {provider} whether the customer may be texted; it goes on as soon as we know.',
  opt_in_pending: 'The customer has not answered {provider}\'s opt-in yet; the message waits for it.',
  keyword_missing: 'Choose a keyword of {provider}: customers are added with it.',
  personal_data_refused: '{provider} did not take the customer\'s name or phone as properties; the message is sent without them.',

  // held: a person must act
  no_provider: 'No provider is chosen for this channel.',
  provider_unknown: 'The provider chosen is not available here any more.',
  coming_soon: '{provider} is not available yet.',
  plan_too_low: 'Upgrade to a paid plan to use {provider}.',
  not_connected: 'Connect your {provider} account.',
  setup_open: 'The set-up of {provider} is not finished for this kind of message.',
  event_not_supported: '{provider} has no mapping for this kind of message.',
  credentials_refused: '{provider} refuses the credentials; connect again.',
  credentials_unreadable: 'The stored credentials of {provider} cannot be opened; connect again.',
  scope_missing: '{provider} did not grant what is needed; connect again and grant it.',
  provider_not_answering: '{provider} is not answering properly; we try again every 30 seconds and send what is waiting then.',
  platform_account_refused: '{provider} refuses our own account just now; the operator is told, and there is nothing for you to do.',
  blocked_by_provider: '{provider} blocks our calls; it is tried again later, and the operator is told.',
  account_unknown: '{provider} does not know the account that messages are sent over; the operator must correct it.',
  account_suspended: 'The account at {provider} that messages are sent over is suspended; the operator must act.',
  sender_refused: '{provider} does not accept the sender of our messages; the operator must correct it.',
  sender_unregistered: 'The sender is not registered with the carriers of that country yet; the operator must act.',
  callback_refused: '{provider} does not accept the address it should report to; the operator must correct it.',
  shop_inactive: 'The shop has uninstalled the app or is closed.',
  shop_uninstalled: 'The shop has uninstalled the app.',

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
  record_not_possible: 'The provider cannot record a message without sending it; nothing was sent.',
  no_phone: 'The customer gave no phone number.',
  phone_refused: '{provider} does not accept the customer\'s phone number.',
  opted_out: 'The customer does not want messages any more.',
  not_subscribed: 'The customer is not among the subscribers of {provider}, and cannot be texted.',
  number_unknown: 'The customer\'s phone number does not exist or is not in use.',
  not_mobile: 'The customer\'s phone number cannot receive text messages.',
  country_not_enabled: '{provider} is not set up to text customers in that country.',
  account_restricted: 'The account at {provider} may not text this phone number yet; the operator must act.',
  no_route: '{provider} has no way from our sender to the customer\'s phone number.',
  text_too_long: 'The text is too long; shorten its template.',
  handset_unreachable: 'The customer\'s phone was switched off or out of reach.',
  carrier_blocked: 'The customer\'s carrier blocks our messages to this phone number.',
  carrier_filtered: 'The carrier took the text for unwanted advertising and did not deliver it.',
  carrier_failed: 'The carrier could not deliver the message.',
  carrier_too_late: 'The message waited too long at {provider}, and was dropped instead of being sent late.',
  abuse_suspected: '{provider} takes this phone number for one that is used for fraud.',
  recipient_barred: 'This phone number is on a list of numbers that must not be texted.',
  monthly_limit: 'The limit of text messages for this month is reached; the message is not sent later.',
  no_common_hour: 'The customer may be in so many time zones that there is no hour at which it is daytime in all of them.',
  time_zone_unknown: 'We do not know what time it is where the customer is; set a time zone for the shop.',
  redacted: 'The customer\'s data were erased, as asked for; nothing is sent.',
  sold_out: 'The product has sold out again; the customer goes on waiting.',
  bought_since: 'The customer has bought the product since.',
  unsubscribed: 'The customer does not wait for the product any more.',
  no_consent: 'The customer signed up without agreeing to be texted.',
  wave_stopped: 'Sending was stopped by hand; the customer goes on waiting.',

  // expired
  expired: 'Waiting took too long for this kind of message.',
  expired_rate_limited: '{provider} rate limit exceeded: waiting took too long.',
  expired_quiet_hours: 'It was a quiet hour where the customer is until it was too late for this kind of message.',
  expired_opt_in_pending: 'The customer did not answer {provider}\'s opt-in in time.',

  // of a set-up step
  unexpected_account: 'These credentials belong to something else than a shop\'s account at {provider}.',
  selection_gone: 'What was chosen is not there any more at {provider}; choose again.',
  task_failed: 'The automatic set-up of {provider} could not be finished.',
  not_verified: 'Not everything is as it must be at {provider} yet.',
  not_arrived: '{provider} accepted the test event, but it is not found there.',
  answer_too_large: '{provider} answered with more than is read; the operator must ask for less of it.',

  // of what a provider is to tell us by itself
  no_public_url: '{provider} cannot reach this gateway: the operator must set server.public_url.',
  subscription_not_kept: '{provider} did not keep our subscription, or has one of somebody else\'s for it; it is tried again.',

  // delivered, with a remark
  no_sms_consent: '{provider} accepted the message, but the customer has given no SMS consent there, so no text goes out.',
  answer_unreadable: '{provider} accepted the message, but its answer could not be read.',
  accepted_elsewhere: '{provider} already had this message.',
  nothing_to_tell: '{provider} need not be told of this; nothing was sent.',
  already_on_list: '{provider} knows the customer already; nothing was sent.'
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
