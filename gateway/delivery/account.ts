// An account with work: its gates, one per limit group, and what keeps it from sending just now.

import type { LimitGroup, Row } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import { Gate } from './gate.ts'

/** A pause may be shortened or lengthened meanwhile. */
const LONGEST_NAP_MS = 60_000
/** A pause of the whole account is kept among those of its lanes, under this name. */
export const EVERY_LANE = '*'

export class OpenAccount {
  readonly key: number
  readonly provider: string
  /** Refused credentials: nothing passes before `heldUntil`, then one at a time until one gets through. */
  held: Reason | null
  heldUntil: number
  /** Claimed or in flight. */
  working = 0
  pumping = false
  again = false
  /** Another object may stand for it now: whoever still holds this one must ask for it anew. */
  closed = false
  /** Monotonic. */
  idleSince: number
  #timer: NodeJS.Timeout | null = null
  #gates = new Map<string, Gate>()
  #pauses: Record<string, number>
  /** Claimed, and no place taken yet, by group. */
  #promised = new Map<string, number>()
  #limited = new Map<string, { times: number, at: number }>()

  constructor (row: Row, mono: number) {
    this.idleSince = mono
    this.key = Number(row.account_key)
    this.provider = String(row.provider)
    this.held = row.held_reason as Reason | null
    this.heldUntil = Number(row.held_until ?? 0)
    this.#pauses = JSON.parse(String(row.pauses)) as Record<string, number>
  }

  gate (group: string): Gate | undefined { return this.#gates.get(group) }

  /** Opens the lane with what its earlier calls left in the windows. Times are epoch; the gate's clock is monotonic. */
  open (group: LimitGroup, settledAt: readonly number[], now: number, mono: number): Gate {
    const gate = new Gate(group.windows)
    gate.load(settledAt.map(at => mono - Math.max(0, now - at)))
    const pausedUntil = this.#pauses[group.name] ?? 0
    if (pausedUntil > now) gate.pauseUntil(mono + pausedUntil - now)
    this.#gates.set(group.name, gate)
    return gate
  }

  /** Places that are free and not promised to a claimed delivery. */
  room (group: string, mono: number): number {
    const gate = this.#gates.get(group)
    return gate ? gate.room(mono) - (this.#promised.get(group) ?? 0) : 0
  }

  promise (group: string, n: number): void { this.#promised.set(group, (this.#promised.get(group) ?? 0) + n) }

  /** When the first of the lanes that have no room now has some. */
  nextRoomAt (mono: number): number {
    let at = Infinity
    for (const gate of this.#gates.values()) if (gate.room(mono) < 1) at = Math.min(at, gate.nextRoomAt(mono))
    return at
  }

  /** Bursts of 429s in a row, before the one that a request reserved at this time belongs to. */
  limitedTimes (group: string, reservedAt: number): number {
    const { times, at } = this.#limited.get(group) ?? { times: 0, at: 0 }
    return reservedAt <= at ? Math.max(0, times - 1) : times
  }

  /** What was on the wire together is refused together and counts as one; any other answer after it ends the row. */
  countLimited (group: string, limited: boolean, reservedAt: number, now: number): void {
    const { times, at } = this.#limited.get(group) ?? { times: 0, at: 0 }
    if (reservedAt > at) this.#limited.set(group, limited ? { times: times + 1, at: now } : { times: 0, at })
  }

  /** Other windows, the same history; `settledAt` is what the store remembers for the longer ones. */
  resize (group: LimitGroup, settledAt: readonly number[], now: number, mono: number): void {
    this.#gates.get(group.name)?.resize(group.windows, settledAt.map(at => mono - Math.max(0, now - at)))
  }

  /** Monotonic time before which nothing may go: credentials that were refused, or a provider that blocks us. */
  blockedUntil (now: number, mono: number): number {
    const paused = mono + (this.#pauses[EVERY_LANE] ?? 0) - now
    if (!this.held) return paused
    return this.working > 0 ? Infinity : Math.max(paused, mono + this.heldUntil - now) // while the one that probes is out, nothing goes
  }

  hold (reason: Reason, untilAt: number): void {
    this.held = reason
    this.heldUntil = untilAt
  }

  /** Epoch; of two pauses the later one holds. */
  pauseUntil (at: number): void { this.#pauses[EVERY_LANE] = Math.max(this.#pauses[EVERY_LANE] ?? 0, at) }

  free (): void {
    this.held = null
    this.heldUntil = 0
  }

  /** Calls `wake` once, after `ms`; a later call takes the place of an earlier one. */
  later (ms: number, wake: () => void): void {
    this.rest()
    this.#timer = setTimeout(() => { this.#timer = null; wake() }, Math.min(Math.max(1, ms), LONGEST_NAP_MS))
  }

  close (): void {
    this.closed = true
    this.rest()
  }

  rest (): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }

  /** Nobody works on it; what it waits for, and what its windows count, is in the store as well. */
  quiet (): boolean { return this.working === 0 && !this.pumping }
}
