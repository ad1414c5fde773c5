// Which of the slots are this instance's, and for how long: renewed before they run out, taken from instances that are
// gone, given up to those that have joined.

import type { Row, Slots, Step, StepResult, StoreEvents, Value } from '../contract.ts'
import { SLOTS } from '../contract.ts'

/** Renewed when a third of it has passed; looked for free ones twice as often. */
const BEATS = 6
const RENEW_EVERY = 2
const AGAIN_MS = 1000

export interface LeaseOptions {
  /** How long a slot stays this instance's after it was last renewed. */
  leaseMs: number
  commit (unit: Step[]): Promise<StepResult[]>
  read (name: string, params: Record<string, Value>): Promise<Row[]>
  /** Milliseconds that never run backwards. */
  mono (): number
  /** Epoch milliseconds, for a database that has no clock of its own. */
  now (): number
  events: StoreEvents
  /** Lets other instances look for slots at once. */
  tell (): void
}

export class Lease implements Slots {
  readonly owner: number
  #o: LeaseOptions
  /** Epochs of the slots that the database says are ours. */
  #held = new Map<number, number>()
  /** Those of them that are worked on: what their last owner left is taken over. */
  #active = new Map<number, number>()
  #mine: readonly number[] = []
  /** To be given up, as soon as nothing of theirs is under way. */
  #leaving = new Set<number>()
  /** What the last owner left of these is being taken over. */
  #entering: ReadonlySet<number> = new Set()
  #activating: Promise<void> | null = null
  /** Monotonic: until then they are certainly ours. */
  #until = -Infinity
  /** The same by the database's clock, as it said itself: another renewal is another time. */
  #knownUntil = 0
  #timer: NodeJS.Timeout | null = null
  #beating: Promise<void> = Promise.resolve()
  #beats = 0
  #giving: Promise<void> | null = null
  #stopped = false
  #again = false

  private constructor (owner: number, options: LeaseOptions) {
    this.owner = owner
    this.#o = options
  }

  /** Joins the instances, with no slots yet; the others share with it when it has started. */
  static async join (options: LeaseOptions): Promise<Lease> {
    const [joined] = await options.commit([{ name: 'join_instances', params: { now: options.now() } }])
    return new Lease(Number(joined?.rows[0]?.owner), options)
  }

  get mine (): readonly number[] { return this.#mine }

  epoch (slot: number, forMs = 0): number | null {
    const epoch = this.#active.get(slot)
    return epoch !== undefined && this.#until - this.#o.mono() >= forMs ? epoch : null
  }

  /** Takes what is free; from then on it keeps what it has. Rejects where what was left there cannot be taken over. */
  async start (): Promise<void> {
    await this.#beat()
    this.#tick()
    await this.#activating
  }

  /** Another instance came or went, or gave something up. */
  look (): void {
    this.#again = true
    if (this.#timer === null) return // it looks just now, and will once more
    clearTimeout(this.#timer)
    this.#tick()
  }

  /** Gives all up at once, so that others need not wait for the lease to run out. */
  async stop (): Promise<void> {
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#beating
    await this.#giving
    await this.#activating?.catch(() => {})
    const { owner } = this
    const slots = JSON.stringify([...this.#held.keys()])
    this.#forget([...this.#held.keys()])
    const give = { name: 'give_slots', params: { owner, slots, known_until: Number.MAX_SAFE_INTEGER } } // nothing is renewed any more
    await this.#o.commit([give, { name: 'leave_instances', params: { owner } }])
    this.#o.tell()
  }

  #tick (after = this.#o.leaseMs / BEATS): void {
    if (this.#stopped) return
    const ms = this.#again ? 0 : after
    this.#again = false
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#beating = this.#beat().then(() => { this.#tick() }, error => {
        this.#o.events.onError(error)
        this.#tick(Math.min(AGAIN_MS, this.#o.leaseMs / BEATS))
      })
    }, ms)
  }

  async #beat (): Promise<void> {
    const { leaseMs, commit, mono, now, events } = this.#o
    const { owner } = this
    if (this.#beats++ % RENEW_EVERY === 0 || this.#until - mono() < leaseMs / 2) {
      const askedAt = mono()
      const [, renewed] = await commit([
        { name: 'renew_instance', params: { owner, lease_ms: leaseMs, now: now() } },
        { name: 'renew_slots', params: { owner, lease_ms: leaseMs, now: now() } },
        { name: 'forget_instances', params: { lease_ms: leaseMs, now: now() } }
      ])
      const { rows } = renewed as StepResult
      const kept = new Map(rows.map(row => [row.slot as number, row.epoch as number]))
      this.#until = askedAt + leaseMs
      this.#knownUntil = latest(rows)
      const lost = [...this.#held].filter(([slot, epoch]) => kept.get(slot) !== epoch).map(([slot]) => slot)
      if (lost.length > 0) {
        this.#forget(lost)
        events.lost(lost)
      }
      this.#held = kept
    }
    const [live] = await this.#o.read('live_instances', { now: now() })
    const share = Math.ceil(SLOTS / Math.max(1, live?.live as number))
    if (this.#held.size < share) await this.#take(share - this.#held.size)
    else if (this.#held.size > share) this.#give(this.#held.size - share)
    this.#activate()
  }

  async #take (limit: number): Promise<void> {
    const { leaseMs, commit, now } = this.#o
    const [taken] = await commit([{ name: 'take_slots', params: { owner: this.owner, lease_ms: leaseMs, limit, now: now() } }])
    const rows = taken?.rows ?? []
    for (const row of rows) this.#held.set(row.slot as number, row.epoch as number)
    this.#knownUntil = Math.max(this.#knownUntil, latest(rows))
  }

  /** Beside the beats, since it may take longer than a lease. Where it fails, the next beat tries again. */
  #activate (): void {
    if (this.#activating || this.#stopped) return
    const fresh = [...this.#held].filter(([slot, epoch]) => this.#active.get(slot) !== epoch && !this.#leaving.has(slot))
    if (fresh.length === 0) return
    this.#entering = new Set(fresh.map(([slot]) => slot))
    this.#activating = this.#takeOver(fresh).finally(() => {
      this.#activating = null
      this.#entering = new Set()
    })
    this.#activating.then(() => { this.#activate() }, this.#o.events.onError)
  }

  /** What the last owner left comes first: only then the windows are known. */
  async #takeOver (fresh: ReadonlyArray<[number, number]>): Promise<void> {
    await this.#o.events.taken(fresh.map(([slot]) => slot))
    for (const [slot, epoch] of fresh) if (this.#held.get(slot) === epoch) this.#active.set(slot, epoch)
    this.#mine = [...this.#active.keys()]
  }

  /** No new work on them; when nothing of theirs is under way any more, they are anybody's. */
  #give (count: number): void {
    if (this.#giving) return
    const slots = [...this.#held.keys()].filter(slot => !this.#entering.has(slot)).slice(0, count)
    if (slots.length === 0) return
    for (const slot of slots) {
      this.#active.delete(slot)
      this.#leaving.add(slot)
    }
    this.#mine = [...this.#active.keys()]
    this.#giving = this.#handOver(slots).catch(error => {
      this.#until = -Infinity // they may be given up: whose they are is asked before anything is done
      this.#o.events.onError(error)
    }).finally(() => {
      this.#giving = null
      this.#leaving.clear()
    })
  }

  async #handOver (slots: readonly number[]): Promise<void> {
    await this.#o.events.asked(slots)
    await this.#beating // it may renew them just now, and would keep them from being given up
    const [given] = await this.#o.commit([{ name: 'give_slots', params: { owner: this.owner, slots: JSON.stringify(slots), known_until: this.#knownUntil } }])
    this.#forget((given as StepResult).rows.map(row => row.slot as number))
    this.#o.tell()
  }

  #forget (slots: readonly number[]): void {
    for (const slot of slots) {
      this.#held.delete(slot)
      this.#active.delete(slot)
    }
    this.#mine = [...this.#active.keys()]
  }
}

function latest (rows: readonly Row[]): number { return Math.max(0, ...rows.map(row => row.expires_at as number)) }
