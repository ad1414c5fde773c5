// What a delivery may go through, in memory: nothing of the store and nothing of SQL. One account, two gateways.

import { STATE } from '../../gateway/contract.ts'

export const LEASE_MS = 6000
export const DEADLINE_MS = 2000
export const WINDOW = { max: 4, perMs: 20_000 }
/** The third time a claim ends with its gateway, it is the delivery. */
const CLAIMS_ALLOWED = 3

export type Policy = 'repeat' | 'park'
/** What becomes of a request: accepted, refused for good, asked to wait, failed by the provider, no answer, not sent at all. */
export type Fate = 'accepted' | 'refused' | 'limited' | 'failed' | 'unanswered' | 'not_sent'

export interface Delivery {
  state: number
  attempts: number
  calls: number
  claims: number
  /** Who has claimed it, and under which epoch. */
  owner: number | null
  epoch: number | null
  due: boolean
  ended: boolean
  /** Its person asked to be erased: nothing is sent any more. */
  redacted: boolean
  /** Ended by that: nobody tries it again. */
  barred: boolean
}

export interface Gateway { owner: number, /** Of the account's slot, as it believes. */ epoch: number | null, /** Until then it certainly has it. */ until: number, claimed: number[], inFlight: number[] }

export class Model {
  readonly policy: Policy
  now = 0
  held = false
  readonly deliveries = new Map<number, Delivery>()
  readonly gateways: Array<Gateway | null> = [null, null]
  slot = { owner: 0, epoch: 0, until: 0 }
  /** What is to be erased, the oldest first; and of what nothing may be left. */
  asked: number[] = []
  readonly erased = new Set<number>()
  /** Nobody is known by their events any more; what is on the wire is looked at until it has ended. */
  readonly blank = new Set<number>()
  /** True times at which requests reached the provider. */
  arrivals: number[] = []

  constructor (policy: Policy) { this.policy = policy }

  accept (key: number): void {
    this.deliveries.set(key, { state: STATE.waiting, attempts: 0, calls: 0, claims: 0, owner: null, epoch: null, due: true, ended: false, redacted: false, barred: false })
  }

  join (at: number, owner: number): void { this.gateways[at] = { owner, epoch: null, until: -Infinity, claimed: [], inFlight: [] } }

  crash (at: number): void { this.gateways[at] = null }

  /** A lease that ran out is as good as new while nobody has taken the slot. */
  renew (gateway: Gateway): void {
    if (this.slot.owner === gateway.owner) {
      this.slot.until = this.now + LEASE_MS
      if (gateway.epoch === this.slot.epoch) gateway.until = this.slot.until
    }
    if (gateway.epoch !== this.slot.epoch || this.slot.owner !== gateway.owner) this.lose(gateway)
  }

  /** What was claimed is settled under the old epoch, or not at all. */
  lose (gateway: Gateway): void { gateway.epoch = null }

  /** Whether it may be taken: its lease has run out, and it is another's. */
  mayTake (gateway: Gateway): boolean { return this.slot.until <= this.now && this.slot.owner !== gateway.owner }

  take (gateway: Gateway): void {
    this.slot = { owner: gateway.owner, epoch: this.slot.epoch + 1, until: this.now + LEASE_MS }
    gateway.epoch = this.slot.epoch
    gateway.until = this.slot.until
    for (const delivery of this.deliveries.values()) if (delivery.owner !== null) this.#adopt(delivery)
  }

  #adopt (delivery: Delivery): void {
    delivery.owner = null
    if (delivery.state === STATE.sending) {
      Object.assign(delivery, { state: STATE.unknown, attempts: delivery.attempts + 1, claims: 0 })
      this.#rest(delivery, this.#repeats())
      return
    }
    const crashed = delivery.claims >= CLAIMS_ALLOWED
    if (crashed && delivery.state === STATE.waiting) Object.assign(delivery, { state: STATE.rejected, claims: 0 })
    this.#rest(delivery, !crashed)
  }

  /** Nobody else may claim, and nothing of a held queue. */
  mayClaim (gateway: Gateway): boolean {
    return !this.held && gateway.epoch !== null && this.slot.owner === gateway.owner && this.slot.epoch === gateway.epoch
  }

  isSure (gateway: Gateway): boolean { return gateway.epoch !== null && gateway.until - this.now >= DEADLINE_MS }

  claim (gateway: Gateway, key: number): void {
    const delivery = this.#of(key)
    Object.assign(delivery, { owner: gateway.owner, epoch: gateway.epoch, due: false, claims: delivery.claims + 1 })
    gateway.claimed.push(key)
  }

  isMine (gateway: Gateway, key: number, epoch: number): boolean {
    const { owner, epoch: claimed } = this.#of(key)
    return owner === gateway.owner && claimed === epoch
  }

  giveBack (key: number): void {
    const delivery = this.#of(key)
    Object.assign(delivery, { owner: null, claims: 0 })
    this.#rest(delivery, true)
  }

  start (key: number): void {
    const delivery = this.#of(key)
    if (delivery.redacted) throw new Error(`${key} is sent, and its person was erased`)
    delivery.state = STATE.sending
    delivery.calls++
  }

  arrive (): void { this.arrivals.push(this.now) }

  /** What one that may have arrived before is never said to be refused for having expired, or to wait as if it were new. */
  settle (key: number, fate: Fate, mayHaveArrived: boolean): void {
    const delivery = this.#of(key)
    const waits = mayHaveArrived ? STATE.unknown : STATE.waiting
    Object.assign(delivery, { owner: null, claims: 0 })
    switch (fate) {
      case 'accepted': this.#end(delivery, STATE.delivered, 1); break
      case 'refused': this.#end(delivery, mayHaveArrived ? STATE.unknown : STATE.rejected, 1); break
      case 'limited': this.#again(delivery, waits, 0); break
      case 'not_sent': this.#again(delivery, waits, 0); break
      case 'failed':
      case 'unanswered':
        if (this.#repeats()) this.#again(delivery, STATE.unknown, 1)
        else this.#end(delivery, STATE.unknown, 1)
    }
  }

  mayRetry (key: number, unknown: boolean): boolean {
    const { owner, state, barred } = this.#of(key)
    return !barred && !this.blank.has(key) && owner === null && (state === STATE.waiting || state === STATE.rejected || (state === STATE.unknown && unknown))
  }

  retry (key: number): void {
    const delivery = this.#of(key)
    Object.assign(delivery, { state: STATE.waiting, claims: 0 })
    this.#rest(delivery, true)
  }

  /** `applies`: it happened before it was asked for. */
  redact (key: number, applies: boolean): void {
    if (!applies) return
    this.asked.push(key)
    this.#of(key).redacted = true
    if (!this.blank.has(key)) this.refuse(key)
  }

  /** What is on the wire is waited for, and so is whoever asked later. */
  erase (): void {
    for (let key = this.asked[0]; key !== undefined; key = this.asked[0]) {
      this.blank.add(key)
      this.refuse(key)
      if (this.#of(key).state === STATE.sending) return
      this.erased.add(key)
      this.asked.shift()
    }
  }

  /** What waits is refused, what is doubtful stays so; a claim on either is gone. */
  refuse (key: number): void {
    const delivery = this.#of(key)
    if (delivery.ended || delivery.state === STATE.sending) return
    if (delivery.state === STATE.waiting) delivery.state = STATE.rejected
    Object.assign(delivery, { owner: null, claims: 0, barred: true })
    this.#rest(delivery, false)
  }

  /** Most requests that reached the provider within one window. */
  most (): number {
    return Math.max(0, ...this.arrivals.map(last => this.arrivals.filter(at => at <= last && at > last - WINDOW.perMs).length))
  }

  #of (key: number): Delivery { return this.deliveries.get(key) as Delivery }

  #repeats (): boolean { return this.policy === 'repeat' }

  #end (delivery: Delivery, state: number, paid: number): void {
    Object.assign(delivery, { state, attempts: delivery.attempts + paid })
    this.#rest(delivery, false)
  }

  #again (delivery: Delivery, state: number, paid: number): void {
    Object.assign(delivery, { state, attempts: delivery.attempts + paid })
    this.#rest(delivery, true)
  }

  #rest (delivery: Delivery, due: boolean): void { Object.assign(delivery, { due, ended: !due }) }
}
