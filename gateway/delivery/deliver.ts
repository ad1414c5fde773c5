// From the store to the provider: claim → check → map → gate → commit the call → send → judge → settle.
// An account is worked on while it has something due and room in its windows; its backlog stays on disk.

import type { Answer, Config, Priority, Provider, Row, Runtime, Step, Store } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import type { OpenConnection } from '../shops/connections.ts'
import type { Shops } from '../shops/shops.ts'
import type { OpenAccount } from './account.ts'
import { Accounts } from './accounts.ts'
import { ask, notSent } from './ask.ts'
import { Channel } from './channel.ts'
import { keepAdjusted } from './adjusted.ts'
import { claimSteps, groupsOf, roomByQueue, share } from './claim.ts'
import { conclude } from './conclude.ts'
import { Poll } from './poll.ts'
import { callSteps, giveBack, notWritten, prepare, type Flight, type PrepareOptions } from './prepare.ts'
import { recover } from './recover.ts'

/** Claimed at once at most: bounds how long one turn of the event loop maps. */
const BATCH = 64
/** Places come free one by one; waiting this long for more of them saves commits and costs no place. */
const GATHER_MS = 4
const STORE_AGAIN_MS = 1000

/** One attempt, as the log and the metrics see it. No phone number and no secret. */
export interface Attempt {
  delivery: string
  event: string
  type: string
  shop: string
  provider: string
  attempt: number
  status: number | null
  outcome: string
  reason: string | null
  ms: number
}

export interface DeliverOptions {
  store: Store
  runtime: Runtime
  shops: Shops
  config: Config
  providers: ReadonlyMap<string, Provider>
  sandboxOrigin: string | null
  onAttempt (attempt: Attempt): void
  /** A delivery reached a state it stays in without an attempt: refused by a check, expired, not mappable. */
  onRefused (delivery: { delivery: string, type: string, provider: string, reason: string }): void
  onError (error: unknown): void
}

export class Deliver {
  #o: DeliverOptions
  #accounts: Accounts
  #channels = new Map<string, Channel>()
  #poll: Poll
  #served = 0
  #stopping = false
  /** Rounds under way, and deliveries claimed or in flight. */
  #rounds = 0
  #working = 0
  #idle: (() => void) | null = null

  constructor (options: DeliverOptions) {
    this.#o = options
    this.#accounts = new Accounts(options.store, options.runtime)
    this.#poll = new Poll({ ...options, wake: key => { this.wake(key) }, look: () => { this.#accounts.closeIdle() } })
    this.#useProviders()
  }

  /** Takes over what a dead instance left, then works until stopped. Returns how many were taken over. */
  async start (): Promise<number> {
    const adopted = await recover(this.#o.store, this.#o.providers, this.#o.runtime)
    this.#poll.start()
    return adopted
  }

  /** Another generation: what is in flight ends as it began, what follows uses the new one. */
  async use (config: Config, providers: ReadonlyMap<string, Provider>): Promise<void> {
    this.#o = { ...this.#o, config, providers }
    this.#useProviders()
    for (const account of this.#accounts.values()) {
      const provider = providers.get(account.provider)
      if (provider) await this.#accounts.resize(account, provider)
      this.#go(account)
    }
  }

  /** Something may be due on this account. */
  wake (accountKey: number): void {
    if (this.#stopping) return
    const account = this.#accounts.get(accountKey)
    if (account) this.#go(account)
    else if (this.#accounts.makeRoom()) void this.#open(accountKey).then(opened => { if (opened) this.#go(opened) }, error => { this.#o.onError(error) })
  }

  /** A connection was put right: what was held for it may go. */
  release (accountKeys: readonly number[]): void {
    for (const key of accountKeys) {
      const account = this.#accounts.get(key)
      if (account?.held) {
        account.free()
        void this.#insist([{ name: 'hold_account', params: { account_key: key, held_reason: null, held_until: null } }])
      }
      this.wake(key)
    }
  }

  /** Why nothing of an account goes just now, as far as a person must act. */
  heldReason (accountKey: number | null): Reason | null {
    return accountKey === null ? null : this.#accounts.get(accountKey)?.held ?? null
  }

  /** How many deliveries are claimed or in flight. */
  get working (): number { return this.#working }

  /** Claims nothing more, gives what is in flight `graceMs` to end, cuts the rest. */
  async stop (graceMs: number): Promise<void> {
    this.#stopping = true
    await this.#poll.stop()
    for (const account of this.#accounts.values()) account.rest()
    const cut = setTimeout(() => { for (const channel of this.#channels.values()) channel.limiter.abort() }, graceMs)
    if (this.#working + this.#rounds > 0) await new Promise<void>(resolve => { this.#idle = resolve })
    clearTimeout(cut)
    await Promise.all([...this.#channels.values()].map(channel => channel.sender.close()))
  }

  /** Sends one of a provider's requests on an account's lane; for hooks and set-up. */
  async ask (connection: OpenConnection, request: string, scope: object): Promise<Answer> {
    const account = await this.#open(connection.accountKey)
    const channel = account && this.#channels.get(account.provider)
    if (!account || !channel) return notSent('NO_PROVIDER', 'the provider is not available')
    try {
      return await ask({ connection, request, scope, account, channel }, { ...this.#o, accounts: this.#accounts, stopping: () => this.#stopping })
    } finally {
      if (channel.free > 0) this.#next(channel)
    }
  }

  #useProviders (): void {
    for (const [id, provider] of this.#o.providers) {
      const known = this.#channels.get(id)
      if (known) known.use(provider, this.#o)
      else this.#channels.set(id, new Channel(provider, this.#o))
    }
  }

  #open (key: number): Promise<OpenAccount | null> {
    return this.#accounts.open(key, id => this.#o.providers.get(id))
  }

  // ── one account ──

  #go (account: OpenAccount): void {
    // Closed while it waited for a place: a second one of it may be open by now, and each would count for itself.
    if (this.#accounts.get(account.key) !== account) { this.wake(account.key); return }
    account.again = true
    if (account.pumping || this.#stopping) return
    account.pumping = true
    this.#rounds++
    void this.#pump(account).catch(error => {
      this.#o.onError(error)
      account.again = false
      account.later(STORE_AGAIN_MS, () => { this.#go(account) })
    }).finally(() => {
      account.pumping = false
      this.#rounds--
      if (account.again && !this.#stopping) this.#go(account)
      this.#rested()
    })
  }

  async #pump (account: OpenAccount): Promise<void> {
    while (account.again && !this.#stopping) {
      account.again = false
      if (await this.#round(account)) account.again = true
    }
  }

  /** Claims what may go now; false when there is nothing due or no room, and then something else wakes it. */
  async #round (account: OpenAccount): Promise<boolean> {
    const { runtime } = this.#o
    const channel = this.#channels.get(account.provider)
    if (!channel) return false
    await this.#accounts.lanes(account, channel.provider)
    const mono = runtime.mono()
    const blockedUntil = account.blockedUntil(runtime.now(), mono)
    if (blockedUntil > mono) return this.#later(account, blockedUntil - mono)
    const room = roomByQueue(channel.provider, this.#o.config.eventTypes, group => account.room(group, mono))
    if (room.size === 0) return this.#later(account, account.nextRoomAt(mono) - mono + GATHER_MS)
    if (channel.free < 1) { channel.wait(account); return false }
    const limit = account.held ? 1 : Math.min(Math.max(...room.values()), channel.free, BATCH)
    channel.promised += limit // before anything is awaited: others must not count on these places
    try {
      return await this.#claim(account, channel, room, limit) || this.#later(account, account.nextRoomAt(mono) - mono + GATHER_MS)
    } finally {
      channel.promised -= limit
      if (channel.free > 0) this.#next(channel)
    }
  }

  async #claim (account: OpenAccount, channel: Channel, room: Map<string, number>, limit: number): Promise<boolean> {
    const { store, runtime } = this.#o
    const queues = await store.read(account.held ? 'probe_queues' : 'ready_queues', { account_key: account.key, groups: JSON.stringify([...room.keys()]), limit })
    if (queues.length === 0) return false
    const now = runtime.now()
    this.#served = Math.max(now * 1000, this.#served + 1)
    const results = await store.commit(claimSteps(share(queues, limit, room), account, { served: this.#served, now }, store))
    const keys = results.flatMap(result => result.rows.map(row => row.delivery_key as number))
    if (keys.length > 0) this.#take(account, channel, await this.#claimed(keys))
    return true
  }

  /** The claimed deliveries with their events; a read that fails gives the claim back. */
  async #claimed (keys: number[]): Promise<Row[]> {
    const { store, runtime } = this.#o
    const list = JSON.stringify(keys)
    try {
      return await store.read('claimed', { keys: list })
    } catch (error) {
      const mine = { keys: list, owner: store.owner, epoch: store.epoch, now: runtime.now() }
      await this.#insist([{ name: 'release_queues', params: { keys: list } }, { name: 'release_claims', params: mine }])
      throw error
    }
  }

  #take (account: OpenAccount, channel: Channel, rows: Row[]): void {
    account.working += rows.length
    this.#working += rows.length
    channel.promised += rows.length
    const groups = groupsOf(rows, channel.provider)
    for (const [group, n] of groups) account.promise(group, n)
    void this.#batch(account, channel, rows, () => { for (const [group, n] of groups) account.promise(group, -n) }).catch(error => { this.#o.onError(error) })
  }

  /** Checks, maps and reserves all of a claim; each goes out as soon as its own call is on disk. */
  async #batch (account: OpenAccount, channel: Channel, rows: Row[], reserved: () => void): Promise<void> {
    const made = []
    for (const row of rows) made.push({ row, ...(this.#stopping ? giveBack(row, this.#o) : await prepare(row, account, channel.provider, this.#preparing())) })
    reserved()
    await Promise.all(made.map(async one => {
      if ('steps' in one) {
        await this.#insist(one.steps)
        channel.promised--
        this.#ended(account, channel, 1)
      } else await this.#fly(account, channel, one)
    }))
  }

  #preparing (): PrepareOptions {
    return { ...this.#o, lane: (account, provider, group) => this.#accounts.lane(account, provider, group) }
  }

  async #fly (account: OpenAccount, channel: Channel, flight: Flight): Promise<void> {
    const { runtime, store } = this.#o
    const { row, state, gate } = flight
    const { provider } = channel
    try {
      await store.commit(callSteps(flight, store))
    } catch (error) {
      this.#o.onError(error)
      gate.release()
      await this.#insist(notWritten(row, this.#o))
      channel.promised--
      this.#ended(account, channel, 1)
      return
    }
    const startedAt = runtime.mono()
    const answer = await this.#send(channel, flight)
    if (answer.kind === 'not_sent') gate.release()
    else gate.stamp(runtime.mono())
    const { outcome, settled, steps } = conclude(flight, answer, account, provider, this.#o)
    await this.#insist(steps)
    if (outcome.is === 'delivered' && row.adjusted !== null) await keepAdjusted(row, state.shop.id, provider.id, this.#o)
    this.#o.onAttempt({
      delivery: row.id as string,
      event: row.event_id as string,
      type: row.type as string,
      shop: state.shop.id,
      provider: provider.id,
      attempt: (row.attempts as number) + 1,
      status: answer.kind === 'answer' ? answer.status : null,
      outcome: outcome.is,
      reason: settled.reason,
      ms: Math.round(runtime.mono() - startedAt)
    })
    this.#ended(account, channel, 1)
  }

  /** The call is on disk. Never throws: what fails before the limiter is not sent, what fails after it may have been. */
  async #send (channel: Channel, { row, request, connection }: Flight): Promise<Answer> {
    const { provider, sender, limiter } = channel
    let running: Promise<Answer>
    try {
      const credentials = provider.authorize(connection.auth, connection.secrets)
      running = limiter.run(row.priority as Priority, async signal => this.#o.store.healthy() && !signal.aborted
        ? await sender.send(request, credentials, signal)
        : notSent('STOPPED', 'the gateway stopped, or its store cannot be trusted'))
    } catch (error) {
      return notSent('FAILED', (error as Error).message)
    } finally {
      channel.promised--
    }
    return await running.catch((error: Error) => ({ kind: 'no_answer', code: 'FAILED', message: error.message }))
  }

  /** What is already true must reach the store; where that cannot be had, the next start finds out. */
  async #insist (steps: Step[]): Promise<void> {
    for (;;) {
      try {
        await this.#o.store.commit(steps)
        return
      } catch (error) {
        this.#o.onError(error)
        if (this.#stopping) return
        await new Promise(resolve => { setTimeout(resolve, STORE_AGAIN_MS) })
      }
    }
  }

  // ── waking ──

  #later (account: OpenAccount, ms: number): false {
    if (Number.isFinite(ms) && !this.#stopping) account.later(ms, () => { this.#go(account) })
    return false
  }

  /** Deliveries came to an end: their account may go on, and so may one that waited for a place. */
  #ended (account: OpenAccount, channel: Channel, n: number): void {
    account.working -= n
    account.idleSince = this.#o.runtime.mono()
    this.#working -= n
    if (n > 0) {
      this.#go(account)
      this.#next(channel)
    }
    this.#rested()
  }

  /** A place came free: who has waited longest for one may look. */
  #next (channel: Channel): void {
    const next = channel.next()
    if (next) this.#go(next)
  }

  #rested (): void {
    if (this.#stopping && this.#working + this.#rounds === 0) this.#idle?.()
  }
}
