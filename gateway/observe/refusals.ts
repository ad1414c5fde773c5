// What came from outside and was refused leaves a trace: counted each time, told once in a while, so that nobody fills the log.

const TOLD_EVERY_MS = 60_000

export interface Refusal { source: string, status: number }

/** Takes each refusal. `tell` hears of the first of a source and status at once, of the others at most once a minute, with their number since. */
export function createRefusals (now: () => number, tell: (refused: Refusal & { count: number }) => void): (refusal: Refusal) => void {
  const since = new Map<string, { toldAt: number, count: number }>()
  return ({ source, status }) => {
    const key = `${source} ${status}`
    const { toldAt, count } = since.get(key) ?? { toldAt: -Infinity, count: 0 }
    const due = now() - toldAt >= TOLD_EVERY_MS
    since.set(key, due ? { toldAt: now(), count: 0 } : { toldAt, count: count + 1 })
    if (due) tell({ source, status, count: count + 1 })
  }
}
