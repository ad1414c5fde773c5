// The windows of one lane. A place is taken in all of them at once and counts as *now* until its answer came:
// the provider counts a request when it arrives, which is some time between the two, so every moment is covered.

import type { Window } from '../contract.ts'

/** What comes from the store was told by another clock in whole milliseconds; nothing may be counted twice for that. */
const CLOCK_SLACK_MS = 2
/** Corrections that are kept at once; of more, those that allow most are forgotten. */
const CORRECTIONS_MAX = 16
/** A forecast plays so many requests one by one before it takes the rest for a repetition. */
const PLAYED = 20_000

/** What a forecast is made with, beside the windows. */
export interface Pace {
  /** How long an answer takes. Default: none at all. */
  answerMs?: number
  /** Requests in flight at once. Default: any number. */
  places?: number
  /** Nothing goes before that. Default: now. */
  from?: number
}

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
  /** What the provider said is left, where that is less than is counted here: so many more before `until`. */
  #corrections: Array<{ left: number, until: number }> = []

  constructor (windows: readonly Window[]) {
    this.#windows = windows.map(window => ({ ...window, from: 0 }))
  }

  /** How many places could be taken now. */
  room (now: number): number {
    if (now < this.#pausedUntil) return 0
    let room = Infinity
    for (const window of this.#windows) room = Math.min(room, window.max - this.#open - this.#counted(window, now))
    for (const { left, until } of this.#corrections) if (until > now) room = Math.min(room, left)
    return Math.max(0, room)
  }

  /** Whether a request is open, or one of before is in a window still. */
  counts (now: number): boolean { return this.#open > 0 || this.#windows.some(window => this.#counted(window, now) > 0) }

  /** Takes a place in all windows at once; false where one of them has none. */
  reserve (now: number): boolean {
    if (this.room(now) < 1) return false
    this.#open++
    for (const correction of this.#corrections) correction.left--
    return true
  }

  /** The answer has come, or none will any more: the place counts from `at` on. */
  stamp (at: number): void {
    this.#open--
    this.#push(at)
  }

  /** Nothing reached the provider: the place is given back. */
  release (): void {
    this.#open--
    for (const correction of this.#corrections) correction.left++
  }

  /** When there may be room again, Infinity while only open places stand in the way: a stamp or release tells then. */
  nextRoomAt (now: number): number {
    let at = Math.max(now, this.#pausedUntil)
    for (const { left, until } of this.#corrections) if (left < 1) at = Math.max(at, until)
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

  /**
   * The provider says that `left` more may come within `resetMs`. Where it counts less than we do somebody else uses the
   * account, and we go by its word until then; it is never taken for more than is counted here. Which of the requests in
   * flight it has counted already is not known, so none of them. Values that make no sense change nothing.
   */
  correct (left: number, resetMs: number, now: number): void {
    const until = now + Math.min(resetMs, longestMs(this.#windows))
    if (!(left >= 0 && until > now) || left >= this.room(now)) return
    const one = { left: Math.max(0, left - this.#open), until }
    const kept = this.#corrections.filter(other => other.until > now && (other.left < one.left || other.until > until))
    if (!kept.some(other => other.left <= one.left && other.until >= until)) kept.push(one)
    this.#corrections = kept.toSorted((a, b) => a.left - b.left).slice(0, CORRECTIONS_MAX)
  }

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

  /** Milliseconds until the last of `n` more requests is answered, if nothing else changes. */
  forecastMs (n: number, now: number, { answerMs = 0, places = Infinity, from = now }: Pace = {}): number {
    if (n < 1) return 0
    // A place is free again as soon as its answer is there: a window of no length.
    const windows = Number.isFinite(places) ? [...this.#windows, { max: places, perMs: 0 }] : this.#windows
    const everyMs = ({ max, perMs }: Window): number => (perMs + answerMs) / max
    const [slowest] = windows.toSorted((a, b) => everyMs(b) - everyMs(a))
    // After its first rounds the slowest window repeats itself, so these need not be played.
    const rounds = slowest ? Math.max(0, Math.min(Math.floor(n / slowest.max) - 2, Math.ceil((n - PLAYED) / slowest.max))) : 0
    const answered = Array.from({ length: this.#count }, (_, i) => this.#time(i))
    for (let i = 0; i < this.#open; i++) answered.push(now + answerMs)
    let at = Math.max(now, from, this.#pausedUntil)
    for (let sent = 0; sent < n - rounds * (slowest?.max ?? 0); sent++) {
      for (const { left, until } of this.#corrections) if (sent >= left) at = Math.max(at, until)
      for (const { max, perMs } of windows) if (answered.length >= max) at = Math.max(at, (answered[answered.length - max] as number) + perMs)
      answered.push(at + answerMs)
    }
    return at + answerMs - now + rounds * ((slowest?.perMs ?? 0) + answerMs)
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
