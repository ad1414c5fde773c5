// What may be the matter though nobody is let see it: as the provider's manifest says, and only where it can apply.

import type { PossibleCause } from '../../contract.ts'
import type { Standing } from '../setup/progress.ts'
import type { DiagnosisFacts } from './facts.ts'
import type { FoundCause } from './found.ts'
import type { FoundCode } from './texts.ts'

/** `certain`: codes that were found, and need no guess. */
export function possible (facts: DiagnosisFacts, certain: ReadonlySet<FoundCode>): FoundCause[] {
  const { provider, connection } = facts
  if (provider === null || connection === null) return []
  return provider.possibleCauses.filter(({ code }) => !certain.has(code)).flatMap(cause => {
    const types = applicable(cause, facts)
    if (cause.when === 'always') return types.size > 0 ? [told(cause)] : []
    const delivered = facts.recent.find(({ type, state }) => state === 'delivered' && types.has(type))
    return delivered === undefined ? [] : [{ ...told(cause, delivered.id), since: delivered.createdAt }]
  })
}

/** Event types that it may be the matter with. */
function applicable ({ kinds, unlessDone }: PossibleCause, { groups, standings }: DiagnosisFacts): Set<string> {
  const ruledOut = standings.filter(({ step }) => unlessDone.includes(step.id))
  return new Set(groups.flatMap(({ group, types }) => types.filter(({ type, kind, supported }) => supported && kinds.includes(kind) && !ruledOut.some(standing => isDoneFor(standing, type, group))).map(({ type }) => type)))
}

function isDoneFor ({ items }: Standing, type: string, group: string): boolean {
  const mine = items.filter(({ subject }) => subject === '' || subject === type || subject === group)
  return mine.length > 0 && mine.every(({ state }) => state === 'done')
}

function told ({ code, text, fix }: PossibleCause, delivery?: string): FoundCause {
  return { code, certain: false, sentence: text, fix, where: { step: null, subject: null, ...(delivery !== undefined && { delivery }) } }
}
