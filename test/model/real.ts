// What the model is compared with: the statements and the rules of the gateway, on a database in memory, driven one by one.

import type { Answer, Row, Runtime, Store } from '../../gateway/contract.ts'
import { STATE } from '../../gateway/contract.ts'
import { Gate } from '../../gateway/delivery/gate.ts'
import { historyOf } from '../../gateway/delivery/accounts.ts'
import { claimSteps } from '../../gateway/delivery/claim.ts'
import type { OpenAccount } from '../../gateway/delivery/account.ts'
import { judge } from '../../gateway/delivery/judge.ts'
import { callSteps, dueStep, giveBack, mineOf, type Flight } from '../../gateway/delivery/prepare.ts'
import { recover } from '../../gateway/delivery/recover.ts'
import { settle } from '../../gateway/delivery/settle.ts'
import { digest } from '../../gateway/events/accept.ts'
import { redactSteps } from '../../gateway/privacy/ask.ts'
import { eraseSteps } from '../../gateway/privacy/erase.ts'
import { privacyJob } from '../../gateway/privacy/job.ts'
import { createVault } from '../../gateway/shops/vault.ts'
import { seeded } from '../campaign/seed.ts'
import { eventOf, place, queueOf, type Place, type Put } from '../conformance/store-rows.ts'
import { answer, DAY_MS, group, key32, provider, request } from '../helpers/make.ts'
import { VirtualDatabase } from '../simulation/database.ts'
import { VirtualTime } from '../simulation/time.ts'
import { vanished } from '../simulation/watch.ts'
import { LEASE_MS, WINDOW, type Fate, type Policy } from './model.ts'

const GROUP = group('events', [WINDOW])
const WORD: Record<Fate, Answer> = {
  accepted: answer({ status: 202 }),
  refused: answer({ status: 400 }),
  limited: answer({ status: 429, headers: { 'retry-after': '3' } }),
  failed: answer({ status: 503 }),
  unanswered: { kind: 'no_answer', code: 'DEADLINE', message: '' },
  not_sent: { kind: 'not_sent', code: 'STOPPED', message: '' }
}

/** A gateway's memory. */
export interface RealGateway { store: Store, epoch: number | null, gate: Gate | null, claimed: Row[], inFlight: Flight[] }

export class Real {
  readonly time = new VirtualTime()
  readonly db = new VirtualDatabase(this.time, seeded(1))
  readonly gateways: Array<RealGateway | null> = [null, null]
  readonly posted: Put[] = []
  at!: Place
  #policy: Policy
  #door: Store
  #vault = createVault([{ id: 'k1', key: key32() }], key32())
  #cursor: string | null = null

  constructor (policy: Policy) {
    this.#policy = policy
    this.#door = this.#storeOf(0)
  }

  async open (): Promise<void> { this.at = await place(this.#door) }

  close (): void { this.db.close() }

  /** As much of a store as the deliveries ask for. */
  #storeOf (owner: number): Store {
    const members: Partial<Store> = {
      owner,
      epoch: owner,
      commit: async unit => this.db.run(unit, owner),
      read: async (name, params) => this.db.read(name, params),
      nextKey: table => this.db.nextKey(table)
    }
    return members as Store
  }

  #runtime (): Runtime {
    return { now: () => this.db.now(), mono: () => this.time.now, random: () => 0.5, id: prefix => `${prefix}${this.db.nextKey('jobs')}` }
  }

  async accept (): Promise<number> {
    const now = this.db.now()
    const phone = this.#phoneOf(this.posted.length)
    const event = eventOf(this.#door, this.at, { at: now, dueAt: now, expiresAt: now + 30 * DAY_MS, person: this.#vault.fingerprint('person', phone), data: JSON.stringify({ phone }) })
    this.posted.push(event)
    await this.#door.commit(event.steps)
    return event.deliveryKey
  }

  /** The same event once more, as the door would write it. */
  async acceptAgain (n: number): Promise<boolean> {
    const before = this.posted[n % this.posted.length] as Put
    const [insert] = before.steps
    const again = eventOf(this.#door, this.at, { sourceId: insert?.params.source_id as string })
    const [inserted, delivery] = await this.#door.commit(again.steps)
    return inserted?.changes === 1 || delivery?.changes === 1
  }

  /** Everybody has a number of their own. */
  #phoneOf (n: number): string { return `+120155501${String(n).padStart(2, '0')}` }

  /** True where the event happened until then: what comes after is another life. */
  async redact (key: number): Promise<boolean> {
    const n = this.posted.findIndex(({ deliveryKey }) => deliveryKey === key)
    const at = this.db.now()
    const asked = { shop: { key: this.at.shopKey, id: this.at.shop }, at, eventKey: null, actor: 'x' }
    const { steps } = redactSteps({ customer: { phone: this.#phoneOf(n) }, orders: [] }, asked, { store: this.#door, runtime: this.#runtime(), vault: this.#vault })
    await this.#door.commit(steps)
    return Number(this.posted[n]?.steps[0]?.params.time_at) <= at
  }

  /** As long as the job goes on by itself. */
  async erase (): Promise<void> {
    for (;;) {
      const now = this.db.now()
      const tools = { store: this.#door, runtime: this.#runtime(), vault: this.#vault, digest, hooks: () => [], noticeId: () => '', disconnect: async () => {}, changed () {} }
      const result = await privacyJob({ uniqueKey: String(this.at.shopKey), cursor: this.#cursor }, tools)
      this.#cursor = result?.cursor ?? null
      if (result === null || result.dueAt > now) return
    }
  }

  /** Deliveries of these that still say something of a person. */
  leftOf (keys: readonly number[]): Row[] {
    return this.db.query(`select d.delivery_key from deliveries d join events e on e.event_key = d.event_key
      where d.delivery_key in (${keys.join(', ')}) and (e.data is not null or e.person is not null or d.request_body is not null or d.answer is not null or d.finished_at is null)
      union all select delivery_key from calls where delivery_key in (${keys.join(', ')})`)
  }

  async join (at: number): Promise<number> {
    const [joined] = await this.#door.commit([{ name: 'join_instances', params: { lease_ms: LEASE_MS, now: 0 } }])
    const owner = joined?.rows[0]?.owner as number
    this.gateways[at] = { store: this.#storeOf(owner), epoch: null, gate: null, claimed: [], inFlight: [] }
    return owner
  }

  /** The epoch the database says the slot has, where it is this gateway's. */
  async renew ({ store }: RealGateway): Promise<number | null> {
    const [, renewed] = await store.commit([
      { name: 'renew_instance', params: { owner: store.owner, lease_ms: LEASE_MS, now: 0 } },
      { name: 'renew_slots', params: { owner: store.owner, lease_ms: LEASE_MS, now: 0 } }
    ])
    return (renewed?.rows.find(({ slot }) => slot === this.at.accountKey)?.epoch ?? null) as number | null
  }

  async take (gateway: RealGateway): Promise<boolean> {
    const { store } = gateway
    const [taken] = await store.commit([{ name: 'take_slots', params: { owner: store.owner, lease_ms: LEASE_MS, limit: 256, now: 0 } }])
    const mine = taken?.rows.find(({ slot }) => slot === this.at.accountKey)
    if (!mine) return false
    const known = new Map([['alpha', provider({ uncertain: this.#policy })]])
    await recover([this.at.accountKey], { store, providers: known, runtime: this.#runtime() })
    gateway.epoch = mine.epoch as number
    gateway.gate = new Gate(GROUP.windows)
    gateway.gate.load(await this.#history(gateway))
    return true
  }

  async reload (gateway: RealGateway): Promise<void> { gateway.gate?.resize(GROUP.windows, await this.#history(gateway)) }

  async #history ({ store }: RealGateway): Promise<number[]> {
    const now = this.db.now()
    return (await historyOf(store, this.at.accountKey, GROUP, now)).map(at => this.time.now - Math.max(0, now - at))
  }

  async poll ({ store }: RealGateway): Promise<void> {
    await store.commit([{ name: 'wake_due_queues', params: { now: this.db.now(), slots: JSON.stringify([this.at.accountKey]), limit: 10 } }])
  }

  /** How many are due just now, as the queue's statement counts them. */
  due (): number { return Number(this.db.query(`select count(*) as n from deliveries where due_at <= ${this.db.now()}`)[0]?.n) }

  room ({ gate }: RealGateway): number { return gate?.room(this.time.now) ?? 0 }

  async claim ({ store, epoch, claimed }: RealGateway, n: number): Promise<number[]> {
    const account = { key: this.at.accountKey, held: null } as OpenAccount
    const results = await store.commit(claimSteps([{ queueKey: this.at.queueKey, n }], account, { served: this.db.now(), now: this.db.now(), owner: store.owner, epoch: epoch as number }))
    const keys = results.flatMap(({ rows }) => rows.map(row => row.delivery_key as number))
    claimed.push(...await store.read('claimed', { keys: JSON.stringify(keys) }))
    return keys
  }

  /** Puts the call of the first claimed one on disk. `full`: there was no room, and it was given back. */
  async start (gateway: RealGateway): Promise<{ key: number, row: Row, is: 'started' | 'gone' | 'full' | 'redacted', changes: number }> {
    const { store, gate, claimed, inFlight } = gateway
    const row = claimed.shift() as Row
    const key = row.delivery_key as number
    if (row.redacted === 1) {
      const now = this.db.now()
      const to = { state: row.state === STATE.unknown ? STATE.unknown : STATE.rejected, reason: 'redacted', detail: null, due_at: null, finished_at: now }
      const [refused] = await store.commit([{ name: 'release_claim', params: { ...mineOf(row), ...to } }, ...eraseSteps({ key: row.event_key as number, data: row.data as string | null, person: row.person as Uint8Array | null }, { key: this.at.shopKey, id: this.at.shop }, { digest, now })])
      return { key, row, is: 'redacted', changes: refused?.changes ?? 0 }
    }
    if (!gate?.reserve(this.time.now)) {
      const [released] = await store.commit(giveBack(row, { runtime: this.#runtime() }).steps)
      return { key, row, is: 'full', changes: released?.changes ?? 0 }
    }
    const flight = { row, request: request({ group: 'events' }), connection: { accountKey: this.at.accountKey, secrets: {} }, reservedAt: this.db.now(), gate } as unknown as Flight
    const changes = (await store.commit(callSteps(flight, store))).at(-1)?.changes ?? 0
    if (changes === 1) inFlight.push(flight)
    else gate.release()
    return { key, row, is: changes === 1 ? 'started' : 'gone', changes }
  }

  /** Settles the first one in flight by the gateway's own rules. */
  async answer ({ store, inFlight }: RealGateway, fate: Fate): Promise<{ key: number, row: Row, changes: number }> {
    const { row, gate } = inFlight.shift() as Flight
    const word = WORD[fate]
    const now = this.db.now()
    if (word.kind === 'not_sent') gate.release()
    else gate.stamp(this.time.now)
    const outcome = judge(word, provider({ uncertain: this.#policy }), {}, now)
    const settled = settle(outcome, {
      now, random: 0.5, attempts: row.attempts as number, expiresAt: row.expires_at as number, uncertain: this.#policy, scheduleMs: [1000, 4000], limitedTimes: 0,
      refusedAlone: false, mayHaveArrived: row.state === STATE.unknown, mayHaveActed: fate === 'failed' && this.#policy === 'repeat', probed: false, adjusted: {}
    })
    const { state, reason, detail, dueAt, finishedAt, paid } = settled
    const [written] = await store.commit([
      { name: 'settle_call', params: { ...mineOf(row), call_no: (row.call_no as number) + 1, state, reason, detail, due_at: dueAt, finished_at: finishedAt, paid, settled_at: word.kind === 'not_sent' ? null : now, status: null, answer: null, outcome: outcome.is, receipt: null, adjusted: null } },
      ...(dueAt === null ? [] : [dueStep(row, dueAt, now)])
    ])
    return { key: row.delivery_key as number, row, changes: written?.changes ?? 0 }
  }

  async hold (held: boolean): Promise<void> {
    const { shopKey, provider: id, account } = this.at
    await this.#door.commit([{ name: 'ensure_queue', params: { shop_key: shopKey, channel: 'sms', setup_group: 'things', provider: id, account, held_reason: held ? 'shop_inactive' : null } }])
  }

  async retry (key: number, unknown: boolean): Promise<boolean> {
    const now = this.db.now()
    const [row] = await this.#door.read('delivery_by_key', { delivery_key: key })
    if (row?.data === null) return false
    const [retried] = await this.#door.commit([
      { name: 'retry_delivery', params: { delivery_key: key, now, expires_at: now + 30 * DAY_MS, unknown: unknown ? 1 : 0 } },
      { name: 'queue_due', params: { queue_key: this.at.queueKey, priority: 2, due_at: now, now } }
    ])
    return retried?.changes === 1
  }

  /** What no row may be, whatever the model says. */
  async wrong (): Promise<string[]> {
    const audited = await this.#door.read('audit_deliveries', { after: 0, until_key: Number.MAX_SAFE_INTEGER, now: this.db.now() })
    return [...this.db.wrong, ...vanished(this.db), ...audited.map(({ id, fault }) => `${String(id)} ${String(fault)}`)]
  }

  rows (): Row[] { return this.db.query('select * from deliveries order by delivery_key') }

  async queue (): Promise<Row> { return await queueOf(this.#door, this.at.shopKey) }
}
