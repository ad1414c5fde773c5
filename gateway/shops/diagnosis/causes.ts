// From facts to what is wrong, in the order in which a merchant would put it right. Nothing is asked or read here.

import { sentence, type Reason } from '../../reasons.ts'
import { connects } from '../setup/progress.ts'
import type { DiagnosisFacts } from './facts.ts'
import { byReason, type FoundCause } from './found.ts'
import { lately } from './lately.ts'
import { possible } from './possible.ts'
import { refused, settingUp } from './setting-up.ts'

/** Every cause, each once for what it is about. */
export function causes (facts: DiagnosisFacts): FoundCause[] {
  const certain = distinct([...routing(facts), ...connecting(facts), ...settingUp(facts), ...lately(facts)])
  return [...certain, ...possible(facts, new Set(certain.map(({ code }) => code)))]
}

/** Of one code about one thing the first counts: what comes later follows from it. */
function distinct (found: readonly FoundCause[]): FoundCause[] {
  const seen = new Set<string>()
  return found.filter(({ code, where: { step, subject } }) => {
    const key = `${code} ${step ?? ''} ${subject ?? ''}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

/** Whether anything may be sent at all. */
function routing ({ active, uninstalled = false, chosen, provider, refusal, groups }: DiagnosisFacts): FoundCause[] {
  const title = provider?.title ?? chosen ?? ''
  const reasons: Array<Reason | null> = [uninstalled ? 'shop_uninstalled' : null, active ? null : 'shop_inactive', chosen === null ? 'no_provider' : provider === null ? 'provider_unknown' : refusal]
  const unsupported = provider === null ? [] : groups.flatMap(({ types }) => types.filter(({ supported }) => !supported))
  return [
    ...reasons.filter(reason => reason !== null).map(reason => byReason(reason, title)),
    ...unsupported.map(({ type }) => byReason('event_not_supported', title, { subject: type }))
  ]
}

/** Whether there is an account, and it works. A key that was tried and refused says more than that there is none. */
function connecting ({ provider, connection, held, standings }: DiagnosisFacts): FoundCause[] {
  if (provider === null) return []
  const { title } = provider
  const steps = standings.filter(({ step }) => connects(step))
  if (connection === null) {
    const tried = steps.flatMap(standing => standing.items.filter(({ row }) => row.state === 'failed').map(item => refused(standing, item, title)))
    return tried.length > 0 ? tried : [byReason('not_connected', title, { step: steps[0]?.step.id ?? null })]
  }
  const used = steps.find(({ items }) => items.some(({ state }) => state !== 'not_needed')) ?? steps[0]
  const where = { step: connection.platform ? null : used?.step.id ?? null }
  return [
    ...(connection.readable ? [] : [byReason('credentials_unreadable', title, where)]),
    ...(held === null ? [] : [{ ...byReason(held, title, where), sentence: used?.step.says[held] ?? sentence(held, title) }])
  ]
}
