// What leads to one provider: the provider itself, its limiter, its connections, and who waits for a place.

import type { Config, Provider, Runtime } from '../contract.ts'
import type { OpenAccount } from './account.ts'
import { Limiter } from './limiter.ts'
import { createSender, type Sender } from './send.ts'

/** Questions take no more of the places than one of so many, and one at least. */
const QUESTIONS_SHARE = 4

export interface ChannelOptions {
  config: Config
  runtime: Runtime
  sandboxOrigin: string | null
  /** Instead of the one that speaks HTTP. */
  createSender?: typeof createSender
}

export class Channel {
  provider: Provider
  readonly limiter: Limiter
  sender: Sender
  /** Claimed, and not handed to the limiter yet. */
  promised = 0
  /** Questions that have a place or are to get one; those that are to get one. */
  #questions = 0
  #wanting = 0
  #waiting = new Set<OpenAccount>()

  constructor (provider: Provider, options: ChannelOptions) {
    this.provider = provider
    this.limiter = new Limiter(provider.concurrency)
    this.sender = senderOf(provider, options)
  }

  /** How many more may be claimed for it: the limiter never holds more than it runs. */
  get free (): number { return this.limiter.free() - this.promised - this.#wanting }

  /** A question wants a place: the next that comes free is for it. False while enough of them have one, or want one. */
  want (): boolean {
    if (this.#questions >= Math.max(1, Math.floor(this.provider.concurrency / QUESTIONS_SHARE))) return false
    this.#questions++
    this.#wanting++
    return true
  }

  /** Whether a question that wants a place may take one now. */
  get vacant (): boolean { return this.limiter.free() - this.promised > 0 }

  /** It has its place: promised, until it is handed to the limiter. */
  take (): true {
    this.#wanting--
    this.promised++
    return true
  }

  /** It wants none any more. */
  giveUp (): false {
    this.#wanting--
    this.#questions--
    return false
  }

  /** It had its place, and is answered. */
  answered (): void { this.#questions-- }

  /** The provider as a new generation has it. What is in flight ends over the connections it began on. */
  use (provider: Provider, options: ChannelOptions): void {
    const before = this.provider
    this.provider = provider
    this.limiter.concurrency = provider.concurrency
    if (before.baseUrl === provider.baseUrl && before.deadlineMs === provider.deadlineMs && before.concurrency === provider.concurrency) return
    const old = this.sender
    this.sender = senderOf(provider, options)
    void this.limiter.idle().then(() => old.close())
  }

  wait (account: OpenAccount): void { this.#waiting.add(account) }

  /** Who has waited longest for a place, and waits no more. */
  next (): OpenAccount | null {
    for (const account of this.#waiting) {
      this.#waiting.delete(account)
      return account
    }
    return null
  }
}

function senderOf (provider: Provider, { config, runtime, sandboxOrigin, createSender: create = createSender }: ChannelOptions): Sender {
  return create(provider.baseUrl, {
    deadlineMs: provider.deadlineMs ?? config.delivery.requestDeadlineMs,
    connections: provider.concurrency,
    sandboxOrigin,
    now: runtime.mono
  })
}
