// Sliding windows as a provider counts them: by arrival, per account and limit group.

import type { LimitGroup, Window } from '../contract.ts'

/** Accounts × groups kept at once; the one longest unused goes first. */
const LANES_MAX = 20_000

interface Lane { times: number[], from: number[], worst: number[] }

/** What the windows of an account saw, by group. */
export type Usage = Record<string, Record<string, Array<{ max: number, per_ms: number, worst: number }>>>

/** Milliseconds of a monotonic clock throughout. */
export class ArrivalWindows {
  readonly #groups: Record<string, LimitGroup>
  readonly #lanes = new Map<string, Lane>()

  constructor (groups: Record<string, LimitGroup>) { this.#groups = groups }

  /** Counts an arrival in all windows of the group; null when taken, else milliseconds until there is room. */
  take (group: string, account: string, now: number): number | null {
    const windows = this.#windows(group)
    const lane = this.#lane(group, account, windows)
    this.#advance(lane, windows, now)
    let waitMs = 0
    windows.forEach((window, i) => {
      if (counted(lane, i) >= window.max) waitMs = Math.max(waitMs, lane.times[lane.times.length - window.max] as number + window.perMs - now)
    })
    if (waitMs > 0) return waitMs
    if (windows.length > 0) lane.times.push(now)
    windows.forEach((_, i) => { lane.worst[i] = Math.max(lane.worst[i] as number, counted(lane, i)) })
    return null
  }

  /** What is left in each window, and when its oldest arrival leaves it. */
  left (group: string, account: string, now: number): Array<Window & { left: number, resetMs: number }> {
    const windows = this.#windows(group)
    const lane = this.#lane(group, account, windows)
    this.#advance(lane, windows, now)
    return windows.map((window, i) => {
      const oldest = lane.times[lane.from[i] as number]
      return { max: window.max, perMs: window.perMs, left: window.max - counted(lane, i), resetMs: oldest === undefined ? 0 : oldest + window.perMs - now }
    })
  }

  /** The most that any position of each window ever held, by account and group. */
  usage (): Usage {
    const usage: Usage = {}
    for (const [key, lane] of this.#lanes) {
      const [group, account] = split(key)
      usage[account] ??= {}
      usage[account][group] = this.#windows(group).map(({ max, perMs }, i) => ({ max, per_ms: perMs, worst: lane.worst[i] as number }))
    }
    return usage
  }

  #windows (group: string): Window[] {
    if (!Object.hasOwn(this.#groups, group)) throw new RangeError(`no limit group "${group}"`)
    return (this.#groups[group] as LimitGroup).windows
  }

  #lane (group: string, account: string, windows: readonly Window[]): Lane {
    const key = `${group}\n${account}`
    const lane = this.#lanes.get(key) ?? { times: [], from: windows.map(() => 0), worst: windows.map(() => 0) }
    this.#lanes.delete(key)
    this.#lanes.set(key, lane)
    if (this.#lanes.size > LANES_MAX) this.#lanes.delete(this.#lanes.keys().next().value as string)
    return lane
  }

  /** Moves each window to end now, and forgets what none of them holds any more. */
  #advance (lane: Lane, windows: readonly Window[], now: number): void {
    windows.forEach(({ perMs }, i) => {
      let from = lane.from[i] as number
      while (from < lane.times.length && lane.times[from] as number <= now - perMs) from++
      lane.from[i] = from
    })
    const past = Math.min(...lane.from)
    if (past < 64 || past < lane.times.length / 2) return
    lane.times.splice(0, past)
    lane.from = lane.from.map(from => from - past)
  }
}

function counted (lane: Lane, window: number): number {
  return lane.times.length - (lane.from[window] as number)
}

function split (key: string): [string, string] {
  const at = key.indexOf('\n')
  return [key.slice(0, at), key.slice(at + 1)]
}
