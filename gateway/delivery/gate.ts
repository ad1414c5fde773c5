// The windows of one lane. A place is taken in all of them at once and counts as *now* until its answer came:
// the provider counts a request when it arrives, which is some time between the two, so every moment is covered.

import type { Window } from '../contract.ts'

/** What comes from the store was told by another clock in whole milliseconds; nothing may be counted twice for that. */
const CLOCK_SLACK_MS = 2

/** Milliseconds of a monotonic clock throughout. */
export class Gate {
  #windows: Array<Window & { from: number }>
  /** Times of settled places, oldest first, in a ring that grows with use up to the largest `max`. */
  #times = new Float64Array(16)
  #first = 0
  #count = 0
  /** Places taken and not yet settled. */
  #open = 0
  #pausedUntil = 0

  constructor (windows: readonly Window[]) {
    this.#windows = windows.map(window => ({ ...window, from: 0 }))
  }

  /** How many places could be taken now. */
  room (now: number): number {
    if (now < this.#pausedUntil) return 0
    let room = Infinity
    for (const window of this.#windows) room = Math.min(room, window.max - this.#open - this.#counted(window, now))
    return Math.max(0, room)
  }

  /** Takes a place in all windows at once; false where one of them has none. */
  reserve (now: number): boolean {
    if (this.room(now) < 1) return false
    this.#open++
    return true
  }

  /** The answer has come, or none will any more: the place counts from `at` on. */
  stamp (at: number): void {
    this.#open--
    this.#push(at)
  }

  /** Nothing reached the provider: the place is given back. */
  release (): void { this.#open-- }

  /** When there may be room again, Infinity while only open places stand in the way: a stamp or release tells then. */
  nextRoomAt (now: number): number {
    let at = Math.max(now, this.#pausedUntil)
    for (const window of this.#windows) {
      const counted = this.#counted(window, now)
      if (this.#open + counted < window.max) continue
      if (counted === 0) return Infinity
      at = Math.max(at, this.#time(window.from) + window.perMs)
    }
    return at
  }

  /** Nothing passes before that; the later of two pauses holds. */
  pauseUntil (at: number): void { this.#pausedUntil = Math.max(this.#pausedUntil, at) }

  /** What earlier calls left, oldest first; before the first `reserve`. */
  load (times: readonly number[]): void { for (const time of times) this.#push(time) }

  /** Other windows, the same history; `earlier` adds what was forgotten and a longer window counts. Oldest first. */
  resize (windows: readonly Window[], earlier: readonly number[] = []): void {
    const kept = Array.from({ length: this.#count }, (_, i) => this.#time(i))
    const longer = longestMs(windows) > longestMs(this.#windows)
    const forgotten = longer ? earlier.filter(at => kept[0] === undefined || at < kept[0] - CLOCK_SLACK_MS) : []
    const times = [...forgotten, ...kept]
    this.#windows = windows.map(window => ({ ...window, from: 0 }))
    this.#first = this.#count = 0
    for (const time of times) this.#push(time)
  }

  /** Milliseconds until the last of `n` more requests may go, if each is answered at once and nothing else changes. */
  forecastMs (n: number, now: number): number {
    if (n < 1) return 0
    const times = Array.from({ length: this.#count }, (_, i) => this.#time(i))
    for (let i = 0; i < this.#open; i++) times.push(now)
    const [slowest] = this.#windows.toSorted((a, b) => b.perMs / b.max - a.perMs / a.max)
    // After its first rounds the slowest window repeats itself, so these need not be played.
    const rounds = slowest ? Math.max(0, Math.floor(n / slowest.max) - 2) : 0
    for (let left = n - rounds * (slowest?.max ?? 0); left > 0; left--) times.push(this.#earliest(times, now))
    return (times.at(-1) as number) - now + rounds * (slowest?.perMs ?? 0)
  }

  #earliest (times: readonly number[], now: number): number {
    let at = Math.max(now, this.#pausedUntil, times.at(-1) ?? now)
    for (const { max, perMs } of this.#windows) if (times.length >= max) at = Math.max(at, (times[times.length - max] as number) + perMs)
    return at
  }

  /** Settled places within the window that ends now. `from` only moves forward, so this costs each place once. */
  #counted (window: { perMs: number, from: number }, now: number): number {
    while (window.from < this.#count && this.#time(window.from) <= now - window.perMs) window.from++
    return this.#count - window.from
  }

  #time (index: number): number {
    return this.#times[(this.#first + index) % this.#times.length] as number
  }

  #push (at: number): void {
    this.#trim(at)
    if (this.#count === this.#times.length) this.#grow()
    const last = this.#count === 0 ? at : Math.max(at, this.#time(this.#count - 1))
    this.#times[(this.#first + this.#count) % this.#times.length] = last
    this.#count++
  }

  /** Forgets what no window counts any more. */
  #trim (now: number): void {
    let past = this.#count
    for (const window of this.#windows) {
      this.#counted(window, now)
      past = Math.min(past, window.from)
    }
    if (past === 0) return
    this.#first = (this.#first + past) % this.#times.length
    this.#count -= past
    for (const window of this.#windows) window.from -= past
  }

  #grow (): void {
    const larger = new Float64Array(this.#times.length * 2)
    for (let i = 0; i < this.#count; i++) larger[i] = this.#time(i)
    this.#times = larger
    this.#first = 0
  }
}

function longestMs (windows: readonly Window[]): number { return Math.max(0, ...windows.map(window => window.perMs)) }
