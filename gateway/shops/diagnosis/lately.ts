// What waits, and what became of the newest messages.

import type { DiagnosisFacts, Recent } from './facts.ts'
import type { Reason } from '../../reasons.ts'
import { byReason, made, type FoundCause } from './found.ts'
import { codeOf, type FoundCode } from './texts.ts'

/** Less than this is no delay worth a word. */
const SOON_MS = 1000
/** Remarks on a message that was delivered to the provider, and goes no further. */
const NO_FURTHER: ReadonlySet<Reason> = new Set(['no_sms_consent'])
/** States in which a delivery's reason says what keeps it, or kept it, from the customer. What holds one is told of by itself. */
const TELLING: ReadonlySet<string> = new Set(['waiting', 'unknown', 'rejected', 'expired'])
/** Reasons of waiting that pass by themselves before anybody reads of them. */
const PASSING: ReadonlySet<FoundCode> = new Set(['deferred', 'personal_data_refused', 'looking_up'])

export function lately (facts: DiagnosisFacts): FoundCause[] {
  const { provider, backlogs, recent, ofPerson } = facts
  if (provider === null) return []
  const { title } = provider
  const limited = backlogs.filter(({ waiting, ms, limitedBy }) => waiting > 0 && limitedBy === 'window' && ms !== null && ms >= SOON_MS)
  return [
    ...limited.map(({ setupGroup, waiting, ms }) => made('rate_limit', `${title} is limiting us; ${waiting} waiting, about ${spanOf(ms as number)}.`, title, { subject: setupGroup })),
    ...ofDeliveries(limited.length > 0 ? recent.filter(({ state, reason }) => state !== 'waiting' || reason !== 'rate_limited') : recent, title),
    ...keptBack(facts, title),
    ...(ofPerson && recent.length === 0 ? [made('no_event', 'No message for this customer has come in for this shop and provider.', title)] : [])
  ]
}

/** A message that the provider took, and keeps from somebody who wants none. */
function keptBack ({ optedOutAt, recent, groups }: DiagnosisFacts, title: string): FoundCause[] {
  const messages = new Set(groups.flatMap(({ types }) => types.map(({ type }) => type)))
  const taken = recent.find(({ type, state, reason }) => state === 'delivered' && reason !== 'no_sms_consent' && messages.has(type))
  if (optedOutAt == null || taken === undefined) return []
  return [{ ...made('no_sms_consent', `The customer wants no SMS, as ${title} said when it was asked last; it takes our messages and sends none of them.`, title, { subject: taken.type, delivery: taken.id }), since: optedOutAt }]
}

/** The newest delivery of each code and kind of message. */
function ofDeliveries (recent: readonly Recent[], title: string): FoundCause[] {
  const seen = new Set<string>()
  return recent.flatMap(({ id, type, state, reason, createdAt }) => {
    if (reason === null || (!TELLING.has(state) && !NO_FURTHER.has(reason))) return []
    const cause = { ...byReason(reason, title, { subject: type, delivery: id }), since: createdAt }
    const key = `${codeOf(reason)} ${type}`
    if (seen.has(key) || PASSING.has(cause.code)) return []
    seen.add(key)
    return [cause]
  })
}

/** `4 min`, `2 h`: rounded to one unit. */
function spanOf (ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`
}
