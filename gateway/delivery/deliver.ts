// From the store to the provider: claim → check → map → gate → commit the call → send → judge → settle.
// An account is worked on while it has something due and room in its windows; its backlog stays on disk.

import { setTimeout as wait } from 'node:timers/promises'
import { slotOf, type Answer, type Config, type PreparedRequest, type Provider, type Row, type Step, type Store } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import type { OpenConnection } from '../shops/connections.ts'
import type { Shops } from '../shops/shops.ts'
import type { OpenAccount } from './account.ts'
import { Accounts } from './accounts.ts'
import { ask, notSent } from './ask.ts'
import { Channel, type ChannelOptions } from './channel.ts'
import { claimedRows, claimSteps, groupsOf, readyQueues, roomByQueue, share } from './claim.ts'
import { Claims } from './claims.ts'
import { concludeQuestion, type HeldAccount } from './conclude.ts'
import { judge } from './judge.ts'
import { fly, type Attempt, type FlyOptions } from './fly.ts'
import { epochOf } from './owned.ts'
import { Poll } from './poll.ts'
import { giveBack, prepare, type PrepareOptions } from './prepare.ts'
import { recover } from './recover.ts'
import { ClockSteps } from './steps.ts'

/** Claimed at once at most: bounds how long one turn of the event loop maps. */
const BATCH = 64
/** Places come free one by one; waiting this long for more of them saves commits and costs no place. */
const GATHER_MS = 4
const STORE_AGAIN_MS = 1000
const STOPPING_AGAIN_MS = 200
const HAND_OVER_MS = 20

export type { Attempt } from './fly.ts'

export interface DeliverOptions extends ChannelOptions, Pick<PrepareOptions, 'fresh' | 'redacted' | 'sources'>, Pick<FlyOptions, 'onUsage'> {
  store: Store
  shops: Shops
  providers: ReadonlyMap<string, Provider>
  /** True: nothing is claimed and nothing sent, since what comes of it could not be recorded. */
  paused (): boolean
  onAttempt (attempt: Attempt): void
  /** A delivery reached a state it stays in without an attempt: refused by a check, expired, not mappable. */
  onRefused (delivery: { delivery: string, type: string, provider: string, reason: string }): void
  /** An account is held from now on, or works again. */
  onHeld (held: HeldAccount): void
  onError (error: unknown): void
}

export class Deliver {
  #o: DeliverOptions
  #accounts: Accounts
  #channels = new Map<string, Channel>()
  #poll: Poll
  #clock: ClockSteps
  #served = 0
  #stopping = false
  /** Monotonic: until then a known answer is told to a store that does not take it. */
  #giveUpAt = 0
  /** Rounds under way, and deliveries claimed or in flight. */
  #rounds = 0
  #working = 0
  /** Keys of the deliveries that are worked on. */
  #claims = new Claims()
  /** People who are being added to providers' lists. */
  #adding = new Set<string>()
  #idle: (() => void) | null = null
  #flying: FlyOptions

  constructor (options: DeliverOptions) {
    this.#o = options
    this.#flying = this.#flyingBy(options)
    this.#accounts = new Accounts(options.store, options.runtime)
    this.#poll = new Poll({ ...options, wake: key => { this.wake(key) }, look: () => this.#look() })
    this.#clock = new ClockSteps({ ...options, accounts: this.#accounts, wake: key => { this.wake(key) }, stopping: () => this.#stopping })
    this.#useProviders()
  }

  /** Works on what is this instance's until stopped. */
  start (): void { this.#poll.start() }

  /** Takes over what the last owner of these slots left. Returns how many deliveries. */
  take (slots: readonly number[]): Promise<number> {
    return this.#clock.begin(slots).then(() => recover(slots, this.#o))
  }

  /** Resolves when nothing of these slots is worked on; the store gives no more of them out. */
  async handOver (slots: readonly number[]): Promise<void> {
    const leaving = new Set(slots)
    for (;;) {
      const left = [...this.#accounts.values()].filter(({ key }) => leaving.has(slotOf(key)))
      for (const account of left) if (account.quiet()) this.#accounts.close(account)
      if (left.every(account => account.closed)) return
      await wait(HAND_OVER_MS)
    }
  }

  /** Another instance works on these slots already: what is in flight ends, and settles nothing of its. */
  drop (slots: readonly number[]): void {
    const lost = new Set(slots)
    for (const account of this.#accounts.values()) if (lost.has(slotOf(account.key))) this.#accounts.close(account)
  }

  /** Others may have changed what the store says of these accounts; null: of any. */
  async reread (accountKeys: readonly number[] | null): Promise<void> {
    for (const key of accountKeys ?? [...this.#accounts.values()].map(account => account.key)) {
      const account = this.#accounts.get(key)
      const [row] = account ? await this.#o.store.read('account', { account_key: key }) : []
      if (!account || !row) continue
      account.told(row)
      this.#go(account)
    }
  }

  /** Another generation: what is in flight ends as it began, what follows uses the new one. */
  async use (config: Config, providers: ReadonlyMap<string, Provider>): Promise<void> {
    this.#o = { ...this.#o, config, providers }
    this.#flying = this.#flyingBy(this.#o)
    this.#useProviders()
    for (const account of this.#accounts.values()) {
      const provider = providers.get(account.provider)
      if (provider) await this.#accounts.resize(account, provider)
      this.#go(account)
    }
  }

  /** Something may be due on this account. */
  wake (accountKey: number): void {
    if (this.#stopping || this.#o.store.slots.epoch(slotOf(accountKey)) === null) return
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
        void this.#insist([{ name: 'hold_account', params: { account_key: key, owner: null, held_reason: null, held_until: null } }])
      }
      this.wake(key)
    }
  }

  /** Why nothing of an account goes just now, as far as a person must act. */
  heldReason (accountKey: number | null): Reason | null {
    return accountKey === null ? null : this.#accounts.get(accountKey)?.held ?? null
  }

  /** An account that is worked on just now, for looking at it. */
  opened (accountKey: number): OpenAccount | undefined { return this.#accounts.get(accountKey) }

  /** How many deliveries are claimed or in flight. */
  get working (): number { return this.#working }

  /** Claims nothing more, gives what is in flight `graceMs` to end, cuts the rest. */
  async stop (graceMs: number): Promise<void> {
    this.#stopping = true
    this.#giveUpAt = this.#o.runtime.mono() + graceMs
    await this.#poll.stop()
    for (const account of this.#accounts.values()) account.rest()
    const cut = setTimeout(() => { for (const channel of this.#channels.values()) channel.limiter.abort() }, graceMs)
    if (this.#working + this.#rounds > 0) await new Promise<void>(resolve => { this.#idle = resolve })
    clearTimeout(cut)
    await Promise.all([...this.#channels.values()].map(channel => channel.sender.close()))
  }

  /** Sends one of a provider's requests on an account's lane; for hooks and set-up. `proven` false: credentials that are tried, and hold nothing when refused. `needed`: nothing may be sent before it is answered. */
  async ask (connection: OpenConnection, request: string | PreparedRequest, scope: object, proven = true, needed = false): Promise<Answer> {
    if (this.#o.store.slots.epoch(slotOf(connection.accountKey)) === null) return notSent('ELSEWHERE', 'another instance works on this account')
    const account = await this.#open(connection.accountKey)
    const channel = account && this.#channels.get(account.provider)
    if (!account || !channel) return notSent('NO_PROVIDER', 'the provider is not available')
    if (!account.mayAsk(this.#o.runtime.now())) return notSent('HELD', 'the provider does not answer this account properly just now', account.heldUntil - this.#o.runtime.now())
    try {
      const answer = await ask({ connection, request, scope, account, channel }, { ...this.#o, accounts: this.#accounts, stopping: () => this.#stopping })
      const outcome = judge(answer, channel.provider, connection.settings, this.#o.runtime.now())
      if (outcome.is !== 'hold') await this.#insist(concludeQuestion(account, answer, null, this.#o))
      else if (proven && (needed || outcome.reason !== 'scope_missing')) await this.#insist(concludeQuestion(account, answer, outcome.reason, this.#o)) // what may not be asked may still be sent
      return answer
    } finally {
      if (channel.free > 0) this.#next(channel)
    }
  }

  async #look (): Promise<void> {
    await this.#clock.look()
    this.#accounts.closeIdle()
    await this.#claims.look(this.#o)
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
    if (this.#o.store.slots.epoch(slotOf(account.key)) === null) {
      if (account.working === 0) this.#accounts.close(account) // else what is in flight still counts as under way
      return false
    }
    const epoch = epochOf(account, channel.provider, this.#o)
    if (epoch === null || this.#o.paused()) return this.#later(account, STORE_AGAIN_MS)
    await this.#accounts.lanes(account, channel.provider)
    const mono = runtime.mono()
    const blockedUntil = account.blockedUntil(runtime.now(), mono)
    if (blockedUntil > mono) return this.#later(account, blockedUntil - mono)
    const { holds } = account
    const room = roomByQueue(channel.provider, this.#o.config.eventTypes, group => account.room(group, mono))
    if (room.size === 0) return this.#later(account, account.nextRoomAt(mono) - mono + GATHER_MS)
    if (channel.free < 1) { channel.wait(account); return false }
    const limit = account.held ? 1 : Math.min(Math.max(...room.values()), channel.free, BATCH)
    const waiting = this.#o.fresh?.waiting(account.key) ?? new Map<number, number>()
    const againAt = Math.min(account.nextRoomAt(mono) + GATHER_MS, ...waiting.values())
    channel.promised += limit // before anything is awaited: others must not count on these places
    try {
      return await this.#claim(account, channel, { room, limit, epoch, holds, waiting }) || this.#later(account, againAt - mono)
    } finally {
      channel.promised -= limit
      if (channel.free > 0) this.#next(channel)
    }
  }

  async #claim (account: OpenAccount, channel: Channel, { room, limit, epoch, holds, waiting }: { room: Map<string, number>, limit: number, epoch: number, holds: number, waiting: ReadonlyMap<number, number> }): Promise<boolean> {
    const { store, runtime, config } = this.#o
    const queues = await readyQueues(account, { groups: [...room.keys()], limit, waiting, channels: Object.keys(config.channels).length }, store)
    if (queues.length === 0) return false
    const now = runtime.now()
    this.#served = Math.max(now * 1000, this.#served + 1)
    const results = await store.commit(claimSteps(share(queues, limit, room), account, { served: this.#served, now, owner: store.owner, epoch }))
    const keys = results.flatMap(result => result.rows.map(row => row.delivery_key as number))
    if (keys.length > 0) this.#take(account, channel, await claimedRows(keys, epoch, this.#flying), holds)
    return true
  }

  #take (account: OpenAccount, channel: Channel, rows: Row[], holds: number): void {
    account.working += rows.length
    this.#working += rows.length
    this.#claims.add(rows)
    channel.promised += rows.length
    const groups = groupsOf(rows, channel.provider)
    for (const [group, n] of groups) account.promise(group, n)
    void this.#batch(account, channel, { rows, holds }, () => { for (const [group, n] of groups) account.promise(group, -n) }).catch(error => { this.#o.onError(error) })
  }

  /** Checks, maps and reserves all of a claim; each goes out as soon as its own call is on disk. */
  async #batch (account: OpenAccount, channel: Channel, { rows, holds }: { rows: Row[], holds: number }, reserved: () => void): Promise<void> {
    const made = []
    for (const row of rows) made.push({ row, ...(this.#stopping ? giveBack(row, this.#o) : await prepare(row, account, channel.provider, this.#preparing(holds))) })
    reserved()
    await Promise.all(made.map(async one => {
      if ('steps' in one) {
        await this.#insist(one.steps)
        channel.promised--
      } else await fly(one, account, channel, this.#flying).finally(() => { one.adds?.done() })
      this.#claims.done(one.row)
      this.#ended(account, channel, 1)
    }))
  }

  #flyingBy (options: DeliverOptions): FlyOptions { return { ...options, insist: steps => this.#insist(steps) } }

  #preparing (holds: number): PrepareOptions {
    return { ...this.#o, holds, adding: this.#adding, lane: (account, provider, group) => this.#accounts.lane(account, provider, group) }
  }

  /** What is already true must reach the store; where that cannot be had, the next start finds out. */
  async #insist (steps: Step[]): Promise<void> {
    while (steps.length > 0) {
      try {
        await this.#o.store.commit(steps)
        return
      } catch (error) {
        this.#o.onError(error)
        if (this.#stopping && this.#o.runtime.mono() >= this.#giveUpAt) return
        await wait(this.#stopping ? STOPPING_AGAIN_MS : STORE_AGAIN_MS)
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
