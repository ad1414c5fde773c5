// What a merchant does about each cause, and which cause a delivery's reason is a sign of.

import type { Cause } from '../../contract.ts'
import type { Reason } from '../../reasons.ts'

/** A cause, or a delivery's own reason where it says all there is to say. */
export type FoundCode = Cause | Reason

/** Reasons that have a cause's name. */
const NAMES: Partial<Record<Reason, Cause>> = {
  credentials_refused: 'wrong_key',
  credentials_unreadable: 'wrong_key',
  unexpected_account: 'wrong_key',
  scope_missing: 'scopes_missing',
  rate_limited: 'rate_limit',
  queue_full: 'rate_limit',
  expired_rate_limited: 'rate_limit',
  opted_out: 'opt_in_missing',
  not_subscribed: 'opt_in_missing',
  opt_in_pending: 'opt_in_missing',
  expired_opt_in_pending: 'opt_in_missing',
  keyword_missing: 'no_keywords',
  country_not_enabled: 'sms_not_enabled',
  sender_unregistered: 'sms_not_enabled',
  setup_open: 'steps_skipped'
}

export function codeOf (reason: Reason): FoundCode { return NAMES[reason] ?? reason }

const FIXES: Partial<Record<FoundCode, string>> = {
  shop_uninstalled: 'Install the app again; what is not too old goes out then.',
  shop_inactive: 'Install the app again, or open the shop; what is not too old goes out then.',
  no_provider: 'Choose the provider that messages are sent through.',
  provider_unknown: 'Choose another provider.',
  coming_soon: 'Choose another provider until this one is there.',
  plan_too_low: 'Upgrade to a plan that includes {provider}, or choose another provider.',
  not_connected: 'Connect the {provider} account; what is not too old goes out then.',
  wrong_key: 'Connect {provider} again; where a key is pasted, take the complete one.',
  scopes_missing: 'Grant {provider}\'s missing permissions, and connect again.',
  no_keywords: 'Create one at {provider}, refresh the list and choose it.',
  answer_too_large: 'Tell the operator; the step can be taken again.',
  selection_gone: 'Refresh the list and choose again.',
  flow_missing: 'Create the flow at {provider}, turn it on, and finish this step.',
  steps_skipped: 'Finish this step of the set-up.',
  setup_failed: 'Put right what the sentence names, and take this step again.',
  flow_name_mismatch: 'Enter the flow\'s name exactly as it is at {provider}; capitals and spaces count.',
  trigger_mismatch: 'Let the flow at {provider} start with our trigger, then verify again.',
  flow_not_live: 'Turn the flow on at {provider}, then verify again.',
  flow_doubled: 'Turn all of these flows but one off at {provider}.',
  verified_with_warning: 'Put it right at {provider}, then verify again.',
  rate_limit: 'Wait: it goes out as soon as there is room. Space large restocks out. What has expired can be sent again.',
  quiet_hours: 'Wait until the quiet hours are over; nothing is lost.',
  opt_in_missing: 'The customer must answer the opt-in, or sign up anew and agree to be texted; nobody else can do it.',
  sms_not_enabled: 'Set {provider} up to text customers in that country.',
  event_not_supported: 'Choose a provider that sends this kind of message.',
  no_event: 'See that the customer signed up or ordered with this phone number, and that what calls this gateway sent the event.',
  no_phone: 'Ask for the phone number where customers sign up or order.',
  phone_refused: 'Correct the customer\'s phone number.',
  no_sms_consent: 'Open the customer at {provider}, and look at the SMS consent there. Only the customer can give it.',
  not_arrived: 'Send another test event; if that is not found either, see that the right account is connected, and that SMS is set up at {provider}.',
  provider_not_answering: 'Nothing is to be done here; see {provider}\'s status page if it lasts.',
  provider_failing: 'Nothing is to be done here; see {provider}\'s status page if it lasts.',
  expired: 'See what it waited for. It can be sent again, if it is still of use.',
  crashed_gateway: 'Tell the operator; the message can be tried again.'
}

/** What to do where nothing better is known. */
const LOOK = 'Open the delivery: it shows what was sent and what {provider} answered.'
const OPEN: ReadonlySet<FoundCode> = new Set(['no_answer', 'interrupted', 'repeat_refused'])
const LOOK_THERE = 'See at {provider} whether the customer was texted; if not, try the delivery again.'

export function fixOf (code: FoundCode, title: string): string {
  return (FIXES[code] ?? (OPEN.has(code) ? LOOK_THERE : LOOK)).replaceAll('{provider}', title)
}
