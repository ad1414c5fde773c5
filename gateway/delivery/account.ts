// An account with work: its gates, one per limit group, and what keeps it from sending just now.

import type { LimitGroup, Row } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import { Gate } from './gate.ts'

export class OpenAccount {
  readonly key: number
  readonly provider: string
  /** Refused credentials: nothing passes before `heldUntil`, then one at a time until one gets through. */
  held: Reason | null
  heldUntil: number
  pausedUntil = 0
  /** Claimed or in flight. */
  working = 0
  pumping = false
  again = false
  timer: NodeJS.Timeout | null = null
  idleSince = 0
  #gates = new Map<string, Gate>()
  #pauses: Record<string, number>
  /** Claimed, and no place taken yet, by group. */
  #promised = new Map<string, number>()
  #limited = new Map<string, { times: number, at: number }>()

  constructor (row: Row) {
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

  nextRoomAt (mono: number): number {
    let at = Infinity
    for (const gate of this.#gates.values()) at = Math.min(at, gate.nextRoomAt(mono))
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

  resize (groups: Record<string, LimitGroup>): void {
    for (const [name, gate] of this.#gates) {
      const group = groups[name]
      if (group) gate.resize(group.windows)
    }
  }

  /** Nothing in the windows but what the store holds anyway. */
  quiet (): boolean { return this.working === 0 && !this.pumping && this.timer === null }
}
