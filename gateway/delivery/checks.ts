// Asked before each send: may it still go? The first answer other than `go` decides.

import type { EventTypeConfig, MappingScope, Provider, Verdict } from '../contract.ts'

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
}

export function check (facts: CheckFacts, scope: MappingScope): Verdict {
  if (facts.now >= facts.expiresAt) return { is: 'reject', reason: facts.waitedFor === 'rate_limited' ? 'expired_rate_limited' : 'expired' }
  if (!facts.hasData) return { is: 'reject', reason: 'mapping_failed', detail: 'the event\'s data is gone: its retention has ended' }
  if (!facts.eventType || !facts.provider.events[facts.eventType.type]) return { is: 'reject', reason: 'event_not_supported' }
  if (facts.recordOnly && !facts.provider.recordOnly) return { is: 'reject', reason: 'record_not_possible' }
  return facts.provider.code.check?.(scope, facts.now) ?? { is: 'go' }
}
