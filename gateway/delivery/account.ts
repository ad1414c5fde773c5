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
  #limited = new Map<string, number>()

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

  /** 429s without a time in a row; any other answer ends the row. */
  limitedTimes (group: string): number { return this.#limited.get(group) ?? 0 }
  countLimited (group: string, limited: boolean): void { this.#limited.set(group, limited ? this.limitedTimes(group) + 1 : 0) }

  resize (groups: Record<string, LimitGroup>): void {
    for (const [name, gate] of this.#gates) {
      const group = groups[name]
      if (group) gate.resize(group.windows)
    }
  }

  /** Nothing in the windows but what the store holds anyway. */
  quiet (): boolean { return this.working === 0 && !this.pumping && this.timer === null }
}
