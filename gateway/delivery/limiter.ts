// What runs at a provider at one time: concurrency, priority, and the abort of what is in flight.
// The windows are not here: a delivery comes here only when its gate has room.

import PQueue from 'p-queue'
import { PRIORITY, type Priority } from '../contract.ts'

/** After every delivery: the delivery's call is on disk, and says when it left. */
export const LAST = PRIORITY.marketing + 1

export class Limiter {
  #queue: PQueue
  #abort = new AbortController()

  constructor (concurrency: number) {
    this.#queue = new PQueue({ concurrency })
  }

  /** How many more may be handed over without any of them waiting long. */
  free (): number { return this.#queue.concurrency - this.#queue.pending - this.#queue.size }

  get running (): number { return this.#queue.pending }

  set concurrency (concurrency: number) { this.#queue.concurrency = concurrency }

  /** p-queue takes the larger number first; ours is the other way round. */
  run<T> (priority: Priority | typeof LAST, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#queue.add(() => task(this.#abort.signal), { priority: -priority })
  }

  /** Resolves when nothing is in flight any more. */
  idle (): Promise<void> { return this.#queue.onIdle() }

  /** Cuts what is in flight; each ends with no answer. */
  abort (): void { this.#abort.abort() }
}
