// A clock that is set while the gateway runs, or between two starts. Windows and deadlines go by the monotonic clock and
// notice nothing; what waits for a time of day would wait too long when the clock is set back.

import type { Row, Runtime, Store } from '../contract.ts'
import type { Accounts } from './accounts.ts'
import { MIN_AFTER_UNKNOWN_MS } from './next.ts'

/** Smaller ones put nothing off by more than this, and cannot be told from a look that came late. */
export const STEP_MS = 10_000
const QUEUES = 50
const SLICE = 500
const PRIORITIES = [0, 1, 2]

export interface StepsOptions {
  store: Store
  runtime: Runtime
  accounts: Accounts
  /** Something may be due on this account. */
  wake (accountKey: number): void
  stopping (): boolean
}

export class ClockSteps {
  #o: StepsOptions
  /** A clock that runs too fast or too slow is followed. */
  #ahead: number
  #setBack = false

  constructor (options: StepsOptions) {
    this.#o = options
    this.#ahead = aheadOf(options.runtime)
  }

  /** To be called again and again: finds out that the clock was set, and puts right what that spoilt. Throws GW_STORE_FAILED, and goes on the next time. */
  async look (): Promise<void> {
    const ahead = aheadOf(this.#o.runtime)
    const ms = ahead - this.#ahead
    this.#ahead = ahead
    if (Math.abs(ms) >= STEP_MS) {
      this.#setBack ||= ms < 0
      for (const account of this.#o.accounts.values()) account.clockSet(ms)
    }
    if (!this.#setBack) return
    await this.#hasten(this.#o.store.slots.mine)
    this.#setBack = false
  }

  /** Before these slots are worked on: whether the clock was set back since the last event came in. */
  async begin (slots: readonly number[]): Promise<void> {
    const { store, runtime } = this.#o
    const [latest] = await store.read('latest_event', {})
    if (latest !== undefined && (latest.received_at as number) - runtime.now() >= STEP_MS) await this.#hasten(slots)
  }

  /** All that waits is due again; what that makes too early is put off anew by its checks. May be run again at any point. */
  async #hasten (slots: readonly number[]): Promise<void> {
    const { store, runtime, stopping } = this.#o
    const now = runtime.now()
    const mine = JSON.stringify(slots)
    await store.commit([
      { name: 'hasten_turns', params: { served_at: now * 1000, slots: mine } },
      { name: 'hasten_jobs', params: { now, apart_ms: MIN_AFTER_UNKNOWN_MS } },
      { name: 'hasten_inbox', params: { now } }
    ])
    for (let after = -1; !stopping();) {
      const queues = await store.read('queues_of_slots', { after, slots: mine, limit: QUEUES })
      await this.#hastenQueues(queues, now)
      if (queues.length < QUEUES) return
      after = queues.at(-1)?.queue_key as number
    }
  }

  /** In slices, so that others have their turn between. */
  async #hastenQueues (queues: readonly Row[], now: number): Promise<void> {
    const { store, wake, stopping } = this.#o
    let left = queues.flatMap(({ queue_key, account_key }) => PRIORITIES.map(priority => ({ queue_key: queue_key as number, account_key, priority })))
    while (left.length > 0 && !stopping()) {
      const results = await store.commit(left.map(({ queue_key, priority }) =>
        ({ name: 'hasten_deliveries', params: { queue_key, priority, now, apart_ms: MIN_AFTER_UNKNOWN_MS, limit: SLICE } })))
      const changed = left.filter((_, i) => (results[i]?.changes ?? 0) > 0)
      if (changed.length > 0) await store.commit(changed.map(({ queue_key, priority }) => ({ name: 'queue_due', params: { queue_key, priority, due_at: now, now } })))
      for (const { account_key } of changed) if (account_key !== null) wake(account_key as number)
      left = left.filter((_, i) => results[i]?.changes === SLICE)
    }
  }
}

/** The wall clock less the monotonic one. */
function aheadOf (runtime: Runtime): number { return runtime.now() - runtime.mono() }
