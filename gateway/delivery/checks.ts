// Asked before each send: may it still go? The first answer other than `go` decides.

import type { EventTypeConfig, MappingScope, Provider, Verdict } from '../contract.ts'
import type { Reason } from '../reasons.ts'

export interface CheckFacts {
  now: number
  expiresAt: number
  /** Why it waited last, so that expiry can say what it waited for. */
  waitedFor: string | null
  eventType: EventTypeConfig | undefined
  provider: Provider
  hasData: boolean
  /** Only to be recorded: a provider that cannot would text somebody. */
  recordOnly: boolean
  /** Its person is on the list of those who want no more messages. */
  optedOut: boolean
}

/** What it waited for, as its expiry says it; else plainly. */
const EXPIRED: Partial<Record<string, Reason>> = { rate_limited: 'expired_rate_limited', opt_in_pending: 'expired_opt_in_pending', quiet_hours: 'expired_quiet_hours' }

export function check (facts: CheckFacts, scope: MappingScope): Verdict {
  const { eventType, provider } = facts
  if (facts.now >= facts.expiresAt) return { is: 'reject', reason: EXPIRED[facts.waitedFor ?? ''] ?? 'expired' }
  if (!facts.hasData) return { is: 'reject', reason: 'mapping_failed', detail: 'the event\'s data is gone: its retention has ended' }
  const mapped = eventType !== undefined && provider.events[eventType.type] !== undefined
  if (eventType?.kind === 'sync' && (!mapped || refusesTexts(scope.data))) return { is: 'end', reason: 'nothing_to_tell' }
  if (!mapped) return { is: 'reject', reason: 'event_not_supported' }
  if (facts.recordOnly && (!provider.recordOnly || eventType.kind === 'sync')) return { is: 'reject', reason: 'record_not_possible' }
  if (facts.optedOut) return { is: 'reject', reason: 'opted_out' }
  return provider.code.check?.(scope, facts.now) ?? { is: 'go' }
}

/** Whether the customer was asked for consent to be texted, and did not give it. */
export function refusesTexts ({ consent }: Record<string, unknown>): boolean {
  return consent !== undefined && (consent as { sms?: unknown } | null)?.sms !== true
}
