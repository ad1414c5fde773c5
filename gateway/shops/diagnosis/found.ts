// A cause as it is told, with its usual words.

import { sentence, type Reason } from '../../reasons.ts'
import { codeOf, fixOf, type FoundCode } from './texts.ts'

/** `certain` false: nobody is let see it. `since` is epoch milliseconds. */
export interface FoundCause {
  code: FoundCode
  certain: boolean
  /** What is wrong. */
  sentence: string
  /** What to do. */
  fix: string
  /** The set-up step to go to, what it is about (a set-up group or an event type), and a delivery that shows it. */
  where: { step: string | null, subject: string | null, delivery?: string }
  since?: number
}

type Where = Partial<FoundCause['where']>

export function made (code: FoundCode, says: string, title: string, where: Where = {}): FoundCause {
  return { code, certain: true, sentence: says, fix: fixOf(code, title), where: { step: null, subject: null, ...where } }
}

/** What a delivery or an account says of itself. */
export function byReason (reason: Reason, title: string, where: Where = {}): FoundCause {
  return made(codeOf(reason), sentence(reason, title), title, where)
}
