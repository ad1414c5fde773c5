// From the store to the provider: claim → check → map → gate → commit the call → send → judge → settle.
// An account is worked on while it has something due and room in its windows; its backlog stays on disk.

import type { Answer, Config, PreparedRequest, Priority, Provider, Row, Runtime, Step, Store } from '../contract.ts'
import { STATE } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import type { Reason } from '../reasons.ts'
import type { Connection, Shops, ShopState } from '../shops/shops.ts'
import { OpenAccount } from './account.ts'
import { check } from './checks.ts'
import type { Gate } from './gate.ts'
import { judge } from './judge.ts'
import { head, scopeOf, scrub, stored } from './flight.ts'
import { Limiter } from './limiter.ts'
import { reconcileJob, recover } from './recover.ts'
import { createSender, type Sender } from './send.ts'
import { settle, type Settled } from './settle.ts'

/** Claimed at once at most: bounds how long one turn of the event loop maps. */
const BATCH = 64
const OPEN_ACCOUNTS = 1000
const POLL_MS = 250
/** Places come free one by one; waiting this long for more of them saves commits and costs no place. */
const GATHER_MS = 4
const IDLE_MS = 10_000
const ANSWER_KEPT = 2000
const RECONCILE_AFTER_MS = 60_000
const BROKEN_AFTER_MS = 60_000
/** A hook may hold a delivery for a reason of its own; it is asked again after this. */
const HOLD_AGAIN_MS = 60_000

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

interface Channel { provider: Provider, limiter: Limiter, sender: Sender, promised: number, waiting: Set<OpenAccount> }

/** A delivery on its way, from the claim to the settle. */
interface Flight { row: Row, state: ShopState, connection: Connection, request: PreparedRequest, group: string, gate: Gate, reservedAt: number }

export class Deliver {
  #o: DeliverOptions
  #channels = new Map<string, Channel>()
  #accounts = new Map<number, OpenAccount>()
  #opening = new Map<number, Promise<OpenAccount | null>>()
  #poll: NodeJS.Timeout | null = null
  #cursor = 0
  #served = 0
  #stopping = false
  #running = 0
  #idle: (() => void) | null = null

  constructor (options: DeliverOptions) {
    this.#o = options
    this.#useProviders()
  }

  /** Takes over what a dead instance left, then works until stopped. Returns how many were taken over. */
  async start (): Promise<number> {
    const adopted = await recover(this.#o.store, this.#o.providers, this.#o.runtime)
    this.#tick()
    return adopted
  }

  /** Another generation: what is in flight ends as it began, what follows uses the new one. */
  use (config: Config, providers: ReadonlyMap<string, Provider>): void {
    this.#o = { ...this.#o, config, providers }
    this.#useProviders()
    for (const account of this.#accounts.values()) {
      const provider = providers.get(account.provider)
      if (provider) account.resize(provider.groups)
      this.#go(account)
    }
  }

  /** Something may be due on this account. */
  wake (accountKey: number): void {
    if (this.#stopping) return
    const account = this.#accounts.get(accountKey)
    if (account) this.#go(account)
    else if (this.#accounts.size + this.#opening.size < OPEN_ACCOUNTS) void this.#open(accountKey).then(opened => { if (opened) this.#go(opened) }, error => { this.#o.onError(error) })
  }

  /** A connection was put right: what was held for it may go. */
  release (accountKeys: readonly number[]): void {
    for (const key of accountKeys) {
      const account = this.#accounts.get(key)
      if (account?.held) { account.held = null; account.heldUntil = 0 }
      this.wake(key)
    }
  }

  /** How many deliveries are claimed or in flight. */
  get working (): number { return this.#running }

  /** Claims nothing more, gives what is in flight `graceMs` to end, cuts the rest. */
  async stop (graceMs: number): Promise<void> {
    this.#stopping = true
    if (this.#poll) clearTimeout(this.#poll)
    for (const account of this.#accounts.values()) if (account.timer) clearTimeout(account.timer)
    if (this.#running > 0) {
      const cut = setTimeout(() => { for (const channel of this.#channels.values()) channel.limiter.abort() }, graceMs)
      await new Promise<void>(resolve => { this.#idle = resolve })
      clearTimeout(cut)
    }
    await Promise.all([...this.#channels.values()].map(channel => channel.sender.close()))
  }

  /** Sends one of a provider's requests on an account's lane, waiting for room; for hooks and set-up. */
  async ask (connection: Connection, requestName: string, scope: object): Promise<Answer> {
    const account = this.#accounts.get(connection.accountKey) ?? await this.#open(connection.accountKey)
    const channel = account && this.#channels.get(account.provider)
    if (!account || !channel) return { kind: 'not_sent', code: 'NO_PROVIDER', message: 'the provider is not available' }
    const prepared = channel.provider.request(requestName, scope)
    if (!prepared.ok) return { kind: 'not_sent', code: 'NOT_MAPPED', message: prepared.detail }
    const { request } = prepared
    const gate = await this.#lane(account, channel.provider, request.group)
    while (!gate.reserve(this.#o.runtime.mono())) await new Promise(resolve => { setTimeout(resolve, 20) })
    const credentials = channel.provider.authorize(connection.auth, connection.secrets)
    const answer = await channel.limiter.run(0, signal => channel.sender.send(request, credentials, signal))
    if (answer.kind === 'not_sent') gate.release()
    else gate.stamp(this.#o.runtime.mono())
    return answer
  }

  #useProviders (): void {
    for (const [id, provider] of this.#o.providers) {
      const known = this.#channels.get(id)
      if (known && known.provider.baseUrl === provider.baseUrl && known.provider.deadlineMs === provider.deadlineMs) {
        known.provider = provider
        known.limiter.concurrency = provider.concurrency
        continue
      }
      this.#channels.set(id, {
        provider,
        limiter: known?.limiter ?? new Limiter(provider.concurrency),
        sender: createSender(provider.baseUrl, { deadlineMs: provider.deadlineMs ?? this.#o.config.delivery.requestDeadlineMs, connections: provider.concurrency, sandboxOrigin: this.#o.sandboxOrigin, now: this.#o.runtime.mono }),
        promised: 0,
        waiting: new Set()
      })
      if (known) void known.limiter.idle().then(() => known.sender.close())
    }
  }

  // ── finding work ──

  #tick (): void {
    this.#poll = setTimeout(() => {
      void this.#look().catch(error => { this.#o.onError(error) }).finally(() => { if (!this.#stopping) this.#tick() })
    }, POLL_MS)
  }

  async #look (): Promise<void> {
    const { store, runtime } = this.#o
    const due = await store.read('due_queues', { now: runtime.now() })
    if (due.length > 0) {
      const [woken] = await store.commit([{ name: 'wake_due_queues', params: { now: runtime.now(), limit: 1000 } }])
      for (const row of woken?.rows ?? []) if (row.account_key !== null) this.wake(row.account_key as number)
    }
    const ready = await store.read('ready_accounts', { after: this.#cursor, limit: 256 })
    for (const row of ready) this.wake(row.account_key as number)
    this.#cursor = ready.length < 256 ? 0 : ready.at(-1)?.account_key as number
    this.#closeIdle()
  }

  #closeIdle (): void {
    const now = this.#o.runtime.mono()
    for (const [key, account] of this.#accounts) if (account.quiet() && now - account.idleSince > IDLE_MS) this.#accounts.delete(key)
  }

  #open (key: number): Promise<OpenAccount | null> {
    const opening = this.#opening.get(key)
    if (opening) return opening
    const opened = this.#load(key).finally(() => { this.#opening.delete(key) })
    this.#opening.set(key, opened)
    return opened
  }

  async #load (key: number): Promise<OpenAccount | null> {
    const [row] = await this.#o.store.read('account', { account_key: key })
    const provider = row && this.#channels.get(String(row.provider))?.provider
    if (!row || !provider) return null
    const account = new OpenAccount(row)
    account.idleSince = this.#o.runtime.mono()
    for (const group of new Set(Object.values(provider.events).map(event => event.group))) await this.#lane(account, provider, group)
    this.#accounts.set(key, account)
    return account
  }

  async #lane (account: OpenAccount, provider: Provider, name: string): Promise<Gate> {
    const open = account.gate(name)
    if (open) return open
    const group = provider.groups[name]
    if (!group) throw new Error(`${provider.id} has no limit group "${name}"`)
    const longestMs = Math.max(0, ...group.windows.map(window => window.perMs))
    const { store, runtime } = this.#o
    const rows = await store.read('lane_history', { account_key: account.key, lane: name, since: runtime.now() - longestMs })
    return account.gate(name) ?? account.open(group, rows.map(row => row.settled_at as number), runtime.now(), runtime.mono())
  }

  // ── one account ──

  #go (account: OpenAccount): void {
    account.again = true
    if (account.pumping || this.#stopping) return
    account.pumping = true
    void this.#pump(account).catch(error => {
      this.#o.onError(error)
      this.#later(account, this.#o.runtime.mono() + 1000)
    }).finally(() => { account.pumping = false })
  }

  async #pump (account: OpenAccount): Promise<void> {
    while (account.again && !this.#stopping) {
      account.again = false
      if (await this.#round(account)) account.again = true
    }
  }

  /** Claims what may go now; false when there is nothing due or no room, and then something else wakes it. */
  async #round (account: OpenAccount): Promise<boolean> {
    const channel = this.#channels.get(account.provider)
    if (!channel) return false
    const mono = this.#o.runtime.mono()
    const blockedUntil = this.#blockedUntil(account, mono)
    if (blockedUntil > mono) { this.#later(account, blockedUntil); return false }
    const room = this.#roomByGroup(account, channel.provider, mono)
    const most = Math.max(0, ...room.values())
    if (most < 1) { this.#later(account, account.nextRoomAt(mono) + GATHER_MS); return false }
    const free = channel.limiter.free() - channel.promised
    if (free < 1) { channel.waiting.add(account); return false }
    const limit = account.held ? 1 : Math.min(most, free, BATCH)
    return await this.#claim(account, channel, room, limit)
  }

  /** Monotonic time before which nothing may go: a pause, or credentials that were refused. */
  #blockedUntil (account: OpenAccount, mono: number): number {
    if (!account.held) return account.pausedUntil
    if (account.working > 0) return Infinity // the probe is out
    return Math.max(account.pausedUntil, mono + account.heldUntil - this.#o.runtime.now())
  }

  #roomByGroup (account: OpenAccount, provider: Provider, mono: number): Map<string, number> {
    const room = new Map<string, number>()
    for (const { group } of Object.values(provider.events)) if (!room.has(group)) room.set(group, account.room(group, mono))
    return room
  }

  async #claim (account: OpenAccount, channel: Channel, room: Map<string, number>, limit: number): Promise<boolean> {
    const { store, runtime } = this.#o
    const queues = await store.read('ready_queues', { account_key: account.key, limit })
    // Only the most urgent ones now; the others come in the next round, if there is still room then.
    const turn = queues.filter(queue => queue.priority === queues[0]?.priority)
    const shares = share(turn, limit, queue => this.#queueRoom(queue, channel.provider, room))
    if (shares.length === 0) {
      if (turn.length > 0) this.#later(account, account.nextRoomAt(runtime.mono()) + GATHER_MS)
      return false
    }
    this.#served = Math.max(runtime.now() * 1000, this.#served + 1)
    const now = runtime.now()
    const results = await store.commit(shares.flatMap(({ queue, n }) => {
      const key = queue.queue_key as number
      return [
        { name: 'claim_deliveries', params: { queue_key: key, account_key: account.key, owner: store.owner, epoch: store.epoch, now, limit: n } },
        { name: 'refresh_queue', params: { queue_key: key, served_at: this.#served, now, limit: 1 } }
      ]
    }))
    const keys = results.flatMap(result => result.rows.map(row => row.delivery_key as number))
    if (keys.length > 0) await this.#take(account, channel, keys)
    return true
  }

  #queueRoom (queue: Row, provider: Provider, room: Map<string, number>): number {
    let least = Infinity
    for (const type of Object.values(this.#o.config.eventTypes)) {
      const event = provider.events[type.type]
      if (event && type.setupGroup === queue.setup_group) least = Math.min(least, room.get(event.group) ?? 0)
    }
    return least === Infinity ? 1 : least
  }

  async #take (account: OpenAccount, channel: Channel, keys: number[]): Promise<void> {
    const rows = await this.#o.store.read('claimed', { keys: JSON.stringify(keys) })
    account.working += rows.length
    this.#running += rows.length
    channel.promised += rows.length
    for (const [group, n] of groupsOf(rows, channel.provider)) account.promise(group, n)
    void this.#batch(account, channel, rows).catch(error => { this.#o.onError(error) })
  }

  /** Checks, maps and reserves all of a claim, commits their calls together, then sends. */
  async #batch (account: OpenAccount, channel: Channel, rows: Row[]): Promise<void> {
    const flights: Flight[] = []
    const refusals: Step[] = []
    try {
      for (const row of rows) {
        const made = await this.#prepare(account, channel.provider, row).catch(error => this.#broken(row, channel.provider, error as Error))
        if ('steps' in made) refusals.push(...made.steps)
        else flights.push(made)
      }
    } finally {
      channel.promised -= rows.length
      for (const [group, n] of groupsOf(rows, channel.provider)) account.promise(group, -n)
    }
    this.#ended(account, rows.length - flights.length)
    try {
      await this.#commitCalls(flights, refusals)
    } catch (error) {
      for (const flight of flights) flight.gate.release()
      this.#ended(account, flights.length)
      throw error
    }
    for (const flight of flights) void this.#fly(account, channel, flight).catch(error => { this.#o.onError(error) })
    if (flights.length < rows.length) { this.#go(account); this.#woken(channel, account) }
  }

  /** A bug in a provider's code or mapping sets its delivery aside; what the gateway itself lacks just now is tried later. */
  #broken (row: Row, provider: Provider, error: Error): { steps: Step[] } {
    this.#o.onError(error)
    if (error instanceof GatewayError) return { steps: this.#rest(row, row.state as number, 'deferred', error.message, this.#o.runtime.now() + BROKEN_AFTER_MS) }
    return { steps: this.#refuse(row, provider, 'mapping_failed', `${error.name}: ${error.message}`.slice(0, 300)) }
  }

  async #commitCalls (flights: Flight[], refusals: Step[]): Promise<void> {
    const { store } = this.#o
    const steps = flights.flatMap(({ row, request, group, reservedAt }) => {
      const mine = { delivery_key: row.delivery_key as number, owner: store.owner, epoch: store.epoch }
      const call: Step = { name: 'start_call', params: { ...mine, lane: group, reserved_at: reservedAt, request_head: head(request), request_body: request.body } }
      return row.call_no === 0 ? [call] : [{ name: 'archive_call', params: mine }, call]
    })
    if (steps.length + refusals.length > 0) await store.commit([...refusals, ...steps])
  }

  /** The request and its place in the windows, or the steps that put the delivery where a check says. */
  async #prepare (account: OpenAccount, provider: Provider, row: Row): Promise<Flight | { steps: Step[] }> {
    const { runtime, shops, config } = this.#o
    const state = await shops.byKey(row.shop_key as number)
    const connection = state.connections.get(provider.id)
    if (!connection || row.provider !== provider.id) return { steps: this.#giveBack(row) } // switched since the claim
    if (row.state === STATE.unknown && row.account_key !== account.key) return { steps: this.#refuse(row, provider, 'repeat_refused', null) }
    const now = runtime.now()
    const scope = scopeOf(row, state, connection)
    const verdict = check({ now, expiresAt: row.expires_at as number, waitedFor: row.reason as string | null, eventType: config.eventTypes[row.type as string], provider, hasData: row.data !== null }, scope)
    if (verdict.is === 'defer') return { steps: this.#rest(row, row.state as number, verdict.reason, null, verdict.untilAt) }
    if (verdict.is === 'hold') return { steps: this.#rest(row, row.state as number, verdict.reason, null, now + HOLD_AGAIN_MS) }
    if (verdict.is === 'reject') return { steps: this.#refuse(row, provider, verdict.reason, verdict.detail ?? null) }
    const prepared = row.state === STATE.unknown ? { ok: true as const, request: stored(row) } : provider.prepare(row.type as string, scope)
    if (!prepared.ok) return { steps: this.#refuse(row, provider, prepared.reason, prepared.detail) }
    const gate = account.gate(prepared.request.group) ?? await this.#lane(account, provider, prepared.request.group)
    if (!gate.reserve(runtime.mono())) return { steps: this.#giveBack(row) }
    return { row, state, connection, request: prepared.request, group: prepared.request.group, gate, reservedAt: now }
  }

  async #fly (account: OpenAccount, channel: Channel, flight: Flight): Promise<void> {
    const { runtime, store } = this.#o
    const startedAt = runtime.mono()
    let answer: Answer
    try {
      const credentials = channel.provider.authorize(flight.connection.auth, flight.connection.secrets)
      answer = await channel.limiter.run(flight.row.priority as Priority, async signal =>
        store.healthy() ? channel.sender.send(flight.request, credentials, signal) : { kind: 'not_sent', code: 'STORE', message: 'the store cannot be trusted any more' })
    } catch (error) {
      answer = { kind: 'not_sent', code: 'FAILED', message: (error as Error).message }
    }
    if (answer.kind === 'not_sent') flight.gate.release()
    else flight.gate.stamp(runtime.mono())
    this.#woken(channel, account)
    try {
      await this.#settle(account, channel.provider, flight, answer, runtime.mono() - startedAt)
    } finally {
      this.#ended(account, 1)
      this.#go(account)
    }
  }

  async #settle (account: OpenAccount, provider: Provider, flight: Flight, answer: Answer, ms: number): Promise<void> {
    const { runtime, store, config } = this.#o
    const { row } = flight
    const now = runtime.now()
    const outcome = judge(answer, provider, now)
    const settled = settle(outcome, {
      now,
      random: runtime.random(),
      attempts: row.attempts as number,
      expiresAt: row.expires_at as number,
      uncertain: provider.uncertain,
      scheduleMs: config.delivery.retryScheduleMs,
      limitedTimes: account.limitedTimes(flight.group, flight.reservedAt)
    })
    this.#minded(account, flight, settled, outcome.is === 'retry' && outcome.reason === 'rate_limited', now)
    const status = answer.kind === 'answer' ? answer.status : null
    const steps: Step[] = [{
      name: 'settle_call',
      params: {
        delivery_key: row.delivery_key as number,
        owner: store.owner,
        epoch: store.epoch,
        state: settled.state,
        reason: settled.reason,
        detail: scrub(settled.detail, flight.connection),
        due_at: settled.dueAt,
        finished_at: settled.finishedAt,
        paid: settled.paid,
        settled_at: answer.kind === 'not_sent' ? null : now,
        status,
        answer: answer.kind === 'answer' ? scrub(answer.body.slice(0, ANSWER_KEPT), flight.connection) : `${answer.code}: ${answer.message}`,
        outcome: outcome.is
      }
    }]
    if (settled.dueAt !== null) steps.push(this.#due(row, settled.dueAt, now))
    steps.push(...this.#consequences(account, flight, settled, now))
    await store.commit(steps)
    this.#o.onAttempt({
      delivery: row.id as string,
      event: row.event_id as string,
      type: row.type as string,
      shop: flight.state.shop.id,
      provider: provider.id,
      attempt: (row.attempts as number) + 1,
      status,
      outcome: outcome.is,
      reason: settled.reason,
      ms: Math.round(ms)
    })
  }

  /** What an outcome means for the account and the lane, in memory. */
  #minded (account: OpenAccount, flight: Flight, settled: Settled, limited: boolean, now: number): void {
    const mono = this.#o.runtime.mono()
    account.countLimited(flight.group, limited, flight.reservedAt, now)
    if (settled.pauseLaneMs !== null) flight.gate.pauseUntil(mono + settled.pauseLaneMs)
    if (settled.pauseAccountMs !== null) account.pausedUntil = Math.max(account.pausedUntil, mono + settled.pauseAccountMs)
    if (settled.holdAccount) {
      account.held = settled.holdAccount.reason
      account.heldUntil = now + settled.holdAccount.forMs
    } else if (settled.state === STATE.delivered) account.held = null
  }

  /** The same, on disk. */
  #consequences (account: OpenAccount, flight: Flight, settled: Settled, now: number): Step[] {
    const { store, runtime } = this.#o
    const steps: Step[] = []
    const hold = (reason: Reason | null, until: number | null): Step => ({ name: 'hold_account', params: { account_key: account.key, held_reason: reason, held_until: until } })
    if (settled.pauseLaneMs !== null) steps.push({ name: 'pause_lane', params: { account_key: account.key, lane: flight.group, until: now + settled.pauseLaneMs } })
    if (settled.holdAccount) steps.push(hold(account.held, account.heldUntil))
    else if (settled.state === STATE.delivered && account.heldUntil > 0) {
      account.heldUntil = 0
      steps.push(hold(null, null))
    }
    if (settled.reconcile) steps.push(reconcileJob(store, runtime, flight.row.delivery_key as number, account.key, now + RECONCILE_AFTER_MS))
    return steps
  }

  // ── ends without a call ──

  #giveBack (row: Row): Step[] { return this.#rest(row, row.state as number, row.reason as Reason | null, null, this.#o.runtime.now()) }

  #rest (row: Row, state: number, reason: Reason | null, detail: string | null, dueAt: number): Step[] {
    return [this.#released(row, { state, reason, detail, due_at: dueAt, finished_at: null }), this.#due(row, dueAt, this.#o.runtime.now())]
  }

  /** A message that may have been sent stays unknown, whatever a check says of sending it again. */
  #refuse (row: Row, provider: Provider, reason: Reason, detail: string | null): Step[] {
    const expired = reason === 'expired' || reason === 'expired_rate_limited'
    const state = row.state === STATE.unknown ? STATE.unknown : expired ? STATE.expired : STATE.rejected
    this.#o.onRefused({ delivery: row.id as string, type: row.type as string, provider: provider.id, reason })
    return [this.#released(row, { state, reason: state === STATE.unknown && expired ? 'no_answer' : reason, detail, due_at: null, finished_at: this.#o.runtime.now() })]
  }

  #released (row: Row, to: { state: number, reason: string | null, detail: string | null, due_at: number | null, finished_at: number | null }): Step {
    const { store } = this.#o
    return { name: 'release_claim', params: { delivery_key: row.delivery_key as number, owner: store.owner, epoch: store.epoch, ...to } }
  }

  #due (row: Row, dueAt: number, now: number): Step {
    return { name: 'queue_due', params: { queue_key: row.queue_key as number, priority: row.priority as number, due_at: dueAt, now } }
  }

  // ── waking ──

  #later (account: OpenAccount, atMono: number): void {
    if (account.timer) clearTimeout(account.timer)
    account.timer = null
    if (!Number.isFinite(atMono) || this.#stopping) return // a stamp or a settle wakes it
    const ms = Math.min(Math.max(1, atMono - this.#o.runtime.mono()), 60_000)
    account.timer = setTimeout(() => { account.timer = null; this.#go(account) }, ms)
  }

  #woken (channel: Channel, self: OpenAccount): void {
    for (const account of channel.waiting) {
      channel.waiting.delete(account)
      if (account !== self) { this.#go(account); return } // one place came free
    }
  }

  #ended (account: OpenAccount, n: number): void {
    account.working -= n
    account.idleSince = this.#o.runtime.mono()
    this.#running -= n
    if (this.#running === 0 && this.#idle) this.#idle()
  }
}

/** Spreads `limit` places over queues, one each before anybody's second. */
function share (queues: Row[], limit: number, roomOf: (queue: Row) => number): Array<{ queue: Row, n: number }> {
  const shares = queues.slice(0, limit).map((queue, i) => ({ queue, n: Math.floor(limit / Math.min(queues.length, limit)) + (i < limit % Math.min(queues.length, limit) ? 1 : 0) }))
  return shares.map(({ queue, n }) => ({ queue, n: Math.min(n, roomOf(queue)) })).filter(({ n }) => n > 0)
}

function groupsOf (rows: Row[], provider: Provider): Map<string, number> {
  const groups = new Map<string, number>()
  for (const row of rows) {
    const group = provider.events[row.type as string]?.group
    if (group !== undefined) groups.set(group, (groups.get(group) ?? 0) + 1)
  }
  return groups
}
