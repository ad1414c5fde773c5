// Looks, a few times a second, for what nobody was woken for: deferred deliveries that came due, accounts that were
// not open, what an earlier process left.

import type { Runtime, Store } from '../contract.ts'
import { heldUntil } from './account.ts'

const POLL_MS = 250
const ACCOUNTS = 256
const QUEUES = 1000

export interface PollOptions {
  store: Store
  runtime: Runtime
  wake (accountKey: number): void
  /** Called before each look. */
  look (): Promise<void>
  onError (error: unknown): void
}

export class Poll {
  #o: PollOptions
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> = Promise.resolve()
  /** Accounts are gone through in turn, so that no number of them hides another. */
  #cursor = 0
  #stopped = false

  constructor (options: PollOptions) { this.#o = options }

  start (): void {
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().catch(error => { this.#o.onError(error) }).finally(() => { if (!this.#stopped) this.start() })
    }, POLL_MS)
  }

  /** Resolves when nothing of it is under way. */
  async stop (): Promise<void> {
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#looking
  }

  async #look (): Promise<void> {
    const { store, runtime, wake, look } = this.#o
    const now = runtime.now()
    await look()
    const slots = JSON.stringify(store.slots.mine)
    if ((await store.read('due_queues', { now, slots })).length > 0) await store.commit([{ name: 'wake_due_queues', params: { now, slots, limit: QUEUES } }])
    const ready = await store.read('ready_accounts', { after: this.#cursor, limit: ACCOUNTS })
    // An account that is held has its probe at a time of its own; till then it would only take another one's place.
    for (const row of ready) if (heldUntil(row, now) <= now) wake(row.account_key as number)
    this.#cursor = ready.length < ACCOUNTS ? 0 : ready.at(-1)?.account_key as number
  }
}
