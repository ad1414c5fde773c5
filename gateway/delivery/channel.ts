// What leads to one provider: the provider itself, its limiter, its connections, and who waits for a place.

import type { Config, Provider, Runtime } from '../contract.ts'
import type { OpenAccount } from './account.ts'
import { Limiter } from './limiter.ts'
import { createSender, type Sender } from './send.ts'

export interface ChannelOptions { config: Config, runtime: Runtime, sandboxOrigin: string | null }

export class Channel {
  provider: Provider
  readonly limiter: Limiter
  sender: Sender
  /** Claimed, and not handed to the limiter yet. */
  promised = 0
  #waiting = new Set<OpenAccount>()

  constructor (provider: Provider, options: ChannelOptions) {
    this.provider = provider
    this.limiter = new Limiter(provider.concurrency)
    this.sender = senderOf(provider, options)
  }

  /** How many more may be claimed for it: the limiter never holds more than it runs. */
  get free (): number { return this.limiter.free() - this.promised }

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

function senderOf (provider: Provider, { config, runtime, sandboxOrigin }: ChannelOptions): Sender {
  return createSender(provider.baseUrl, {
    deadlineMs: provider.deadlineMs ?? config.delivery.requestDeadlineMs,
    connections: provider.concurrency,
    sandboxOrigin,
    now: runtime.mono
  })
}
