// What an answer's headers say is left of a limit: somebody else may use the same account.

import type { Answer, Provider } from '../contract.ts'
import type { Gate } from './gate.ts'

/** A whole number; a list or what follows a semicolon speaks of other windows. */
const COUNT = /^\s*(\d{1,15})\s*(?:[,;]|$)/
const SECONDS = /^\s*(\d{1,15}(?:\.\d{1,9})?)\s*(?:[,;]|$)/

/** Corrects the gate down, in memory: after a restart the next answer says it again. `mono` is monotonic. */
export function correctBy (answer: Answer, { limitHeaders }: Pick<Provider, 'limitHeaders'>, gate: Gate, mono: number): void {
  if (!limitHeaders || answer.kind !== 'answer') return
  const left = COUNT.exec(answer.headers[limitHeaders.remaining] ?? '')?.[1]
  const resetS = SECONDS.exec(answer.headers[limitHeaders.reset] ?? '')?.[1]
  if (left !== undefined && resetS !== undefined) gate.correct(Number(left), Number(resetS) * 1000, mono)
}
