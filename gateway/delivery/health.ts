// Whether a provider answers an account properly: what became of its calls of the last five minutes, and when that is too
// bad to go on. The counts are in the account's row as well, so that neither a restart nor another instance begins at nothing.

import type { Answer } from '../contract.ts'
import type { Reason } from '../reasons.ts'

/** Why an account is held whose calls fail, though nothing says that its credentials are wrong. */
export const FAILING = 'provider_not_answering' satisfies Reason
/** How long one that is held for that rests before one delivery probes it. */
export const PROBE_MS = 30_000

const SPAN_MS = 5 * 60_000
/** Calls are counted in steps of this length: what is looked at is the last 4:50 to 5:00 minutes. */
const STEP_MS = 10_000
const CALLS_MIN = 10
const FAILED_SHARE = 0.7
const SAVE_MS = 1000

/** What a call says of the provider. `limited` says that it answers, and counts for nothing. */
export type Sign = 'works' | 'fails' | 'limited' | 'nothing'

/** Ends that we made ourselves. */
const OURS = new Set(['STOPPED', 'ELSEWHERE', 'FAILED', 'HELD', 'NO_ROOM', 'NOT_MAPPED'])

export function signOf (answer: Answer): Sign {
  if (answer.kind !== 'answer') return OURS.has(answer.code) ? 'nothing' : 'fails'
  if (answer.status === 429) return 'limited'
  return answer.status >= 500 ? 'fails' : 'works'
}

interface Counted { at: number, calls: number, failed: number }

/** Times are epoch milliseconds. */
export class Health {
  /** Oldest first. */
  #steps: Counted[]
  #savedAt = -Infinity

  /** `saved` is what `text` gave. */
  constructor (saved = '[]') {
    this.#steps = (JSON.parse(saved) as Array<[number, number, number]>).map(([at, calls, failed]) => ({ at, calls, failed }))
  }

  /** Returns whether it is to be saved: each failure, and what works at most once a second, while a failure is remembered. */
  count (sign: Sign, now: number): boolean {
    if (sign === 'limited' || sign === 'nothing') return false
    this.#forget(now)
    const at = now - now % STEP_MS
    if (this.#steps.at(-1)?.at !== at) this.#steps.push({ at, calls: 0, failed: 0 })
    const step = this.#steps.at(-1) as Counted
    step.calls++
    if (sign === 'fails') step.failed++
    else if (this.#sum('failed') === 0 || Math.abs(now - this.#savedAt) < SAVE_MS) return false
    this.#savedAt = now
    return true
  }

  /** Whether too many of the calls failed for the next ones to be tried like any others. */
  isBad (now: number): boolean {
    this.#forget(now)
    const calls = this.#sum('calls')
    return calls >= CALLS_MIN && this.#sum('failed') >= FAILED_SHARE * calls
  }

  get calls (): number { return this.#sum('calls') }
  get failed (): number { return this.#sum('failed') }

  reset (): void { this.#steps = [] }

  /** At most thirty steps, as JSON. */
  text (): string { return JSON.stringify(this.#steps.map(({ at, calls, failed }) => [at, calls, failed])) }

  /** A clock that was put back must not keep what it counted ahead. */
  #forget (now: number): void { this.#steps = this.#steps.filter(({ at }) => at > now - SPAN_MS && at <= now) }

  #sum (of: 'calls' | 'failed'): number { return this.#steps.reduce((sum, step) => sum + step[of], 0) }
}
