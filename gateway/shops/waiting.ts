// How much waits, as it is shown: a large number is counted to a bound only.

/** Deliveries that wait. `atLeast`: there may be more. */
export interface Waiting { waiting: number, atLeast: boolean }

/** By set-up group. */
export type WaitingByGroup = ReadonlyMap<string, Waiting>

/** Of queues, in the same order. A group may have one on each of several channels. */
export function byGroup (queues: ReadonlyArray<{ setupGroup: string }>, counts: readonly Waiting[]): WaitingByGroup {
  const all = new Map<string, Waiting>()
  for (const [i, { setupGroup }] of queues.entries()) all.set(setupGroup, sumOf([all.get(setupGroup), counts[i]]))
  return all
}

export function sumOf (all: Iterable<Waiting | undefined>): Waiting {
  const sum: Waiting = { waiting: 0, atLeast: false }
  for (const one of all) {
    sum.waiting += one?.waiting ?? 0
    sum.atLeast ||= one?.atLeast ?? false
  }
  return sum
}

export function waitingView ({ waiting, atLeast }: Waiting): { waiting: number, waiting_at_least: boolean } {
  return { waiting, waiting_at_least: atLeast }
}

/** "3", or "10000 or more". */
export function countOf ({ waiting, atLeast }: Waiting): string { return `${waiting}${atLeast ? ' or more' : ''}` }
