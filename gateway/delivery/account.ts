// An account with work: its gates, one per limit group, and what keeps it from sending just now.

import type { LimitGroup, Row } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import { Gate } from './gate.ts'
import { FAILING, Health, PROBE_MS } from './health.ts'
import { HOLD_MS } from './settle.ts'
import { STEP_MS } from './steps.ts'

/** A pause may be shortened or lengthened meanwhile. */
const LONGEST_NAP_MS = 60_000
/** A pause of the whole account is kept among those of its lanes, under this name. */
export const EVERY_LANE = '*'

/** Each gateway tells the database's time a little off: what another one noted may be later than it looks, by so much at most. */
export const CLOCKS_APART_MS = 50

/** When a call was settled, by the monotonic clock, or a little later. `at`, `now`: epoch. */
function sinceMono (at: number, now: number, mono: number): number { return mono - Math.max(0, now - at - CLOCKS_APART_MS) }

/** How many bursts of 429s in a row a lane had, and when the last of them came, epoch. */
export type Limited = Map<string, { times: number, at: number }>

/** Of an account's row: when it is tried again. Epoch. No hold is that long: one that ends later was made before the clock was set back. */
export function heldUntil ({ held_until }: Row, now: number): number {
  const until = Number(held_until ?? 0)
  return until - now > HOLD_MS + STEP_MS ? now : until
}

export class OpenAccount {
  readonly key: number
  readonly provider: string
  /** Refused credentials, or a provider that fails: nothing passes before `heldUntil`, then one at a time until one gets through. */
  held: Reason | null
  heldUntil: number
  /** Rises with every hold: what was claimed before the last one is not sent any more. */
  holds = 0
  health: Health
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
  /** By group. */
  #limited: Limited

  /** `limited` is what `close` gave, where it was open before. */
  constructor (row: Row, { now, mono }: { now: number, mono: number }, limited: Limited = new Map()) {
    this.#limited = limited
    this.idleSince = mono
    this.key = Number(row.account_key)
    this.provider = String(row.provider)
    this.held = row.held_reason as Reason | null
    this.heldUntil = heldUntil(row, now)
    this.health = new Health(String(row.health))
    this.#pauses = JSON.parse(String(row.pauses)) as Record<string, number>
  }

  /** What the store says of it now: another instance may have put it right, or found it to be refused. */
  told (row: Row): void {
    const held = row.held_reason as Reason | null
    if (held === null && this.held !== null) this.free()
    if (held !== null && held !== this.held) this.hold(held, Number(row.held_until ?? 0))
    for (const [lane, until] of Object.entries(JSON.parse(String(row.pauses)) as Record<string, number>)) this.#pauses[lane] = Math.max(this.#pauses[lane] ?? 0, until)
  }

  gate (group: string): Gate | undefined { return this.#gates.get(group) }

  /** Opens the lane with what its earlier calls left in the windows. Times are epoch; the gate's clock is monotonic. */
  open (group: LimitGroup, settledAt: readonly number[], now: number, mono: number): Gate {
    const gate = new Gate(group.windows)
    gate.load(settledAt.map(at => sinceMono(at, now, mono)))
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
    this.#gates.get(group.name)?.resize(group.windows, settledAt.map(at => sinceMono(at, now, mono)))
  }

  /** Monotonic time before which nothing may go: credentials that were refused, or a provider that blocks us. */
  blockedUntil (now: number, mono: number): number {
    const paused = mono + (this.#pauses[EVERY_LANE] ?? 0) - now
    if (!this.held) return paused
    return this.working > 0 ? Infinity : Math.max(paused, mono + this.heldUntil - now) // while the one that probes is out, nothing goes
  }

  hold (reason: Reason, untilAt: number): void {
    this.holds++
    this.held = reason
    this.heldUntil = untilAt
  }

  /** Epoch; of two pauses the later one holds. */
  pauseUntil (at: number): void { this.#pauses[EVERY_LANE] = Math.max(this.#pauses[EVERY_LANE] ?? 0, at) }

  /** What failed before counts no more. */
  free (): void {
    this.held = null
    this.heldUntil = 0
    this.health.reset()
  }

  /** Whether a question may be asked: of a provider that fails only where it can be the probe, and then it is. */
  mayAsk (now: number): boolean {
    if (this.held !== FAILING) return true
    if (this.working > 0 || now < this.heldUntil) return false
    this.heldUntil = now + PROBE_MS
    return true
  }

  /** The wall clock was set by so much, negative for back: what is to last until a time of day lasts as long as it was to. */
  clockSet (ms: number): void {
    this.heldUntil += ms
    for (const lane of Object.keys(this.#pauses)) this.#pauses[lane] = (this.#pauses[lane] as number) + ms
    for (const limited of this.#limited.values()) limited.at += ms
  }

  /** Calls `wake` once, after `ms`; a later call takes the place of an earlier one. */
  later (ms: number, wake: () => void): void {
    this.rest()
    this.#timer = setTimeout(() => { this.#timer = null; wake() }, Math.min(Math.max(1, ms), LONGEST_NAP_MS))
  }

  /** Gives the rows of 429s that have not ended: a pause is longer than an account that rests stays open. */
  close (): Limited | null {
    this.closed = true
    this.rest()
    return [...this.#limited.values()].some(({ times }) => times > 0) ? this.#limited : null
  }

  rest (): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }

  /** It looks again by itself. */
  get waits (): boolean { return this.#timer !== null }

  /** Whether its windows count anything still. */
  counts (mono: number): boolean { return [...this.#gates.values()].some(gate => gate.counts(mono)) }

  /** Nobody works on it; what it waits for, and what its windows count, is in the store as well. */
  quiet (): boolean { return this.working === 0 && !this.pumping }
}
