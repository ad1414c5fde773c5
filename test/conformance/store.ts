// What every store must keep, whatever database is under it. Nothing here knows one.

import type { Test } from 'tap'
import { STATE, type Step, type Store, type Value } from '../../gateway/contract.ts'
import { STATEMENTS } from '../../gateway/store/statements.ts'
import { again } from './store-again.ts'
import { audit } from './store-audit.ts'
import { carrier } from './store-carrier.ts'
import { clock } from './store-clock.ts'
import { health } from './store-health.ts'
import { inbox } from './store-inbox.ts'
import { oauth } from './store-oauth.ts'
import { privacy } from './store-privacy.ts'
import { optOuts } from './store-opt-outs.ts'
import { setup } from './store-setup.ts'
import { tasks } from './store-tasks.ts'
import { slots } from './store-slots.ts'
import { sources } from './store-sources.ts'
import { subscribers } from './store-subscribers.ts'
import { usage } from './store-usage.ts'
import { webhooks } from './store-webhooks.ts'
import { ALL, archiveStep, claim, deliveryOf, eventOf, HERE, NOW, one, place, put, queueOf, sent, settleStep, startStep, type EventFacts, type Place, type Put } from './store-rows.ts'

export interface Opened {
  store: Store
  /** Closes it and opens the same data again, as the next process would. */
  reopen (): Promise<Store>
  /** Opens the same data a second time while it is open, where only one may have it; else null. */
  again: (() => Promise<Store>) | null
}

/** Opens a new, empty store; it is closed when the test ends. */
export type Open = (t: Test) => Promise<Opened>

/** Runs the suite as a child of `t`. */
export async function storeSuite (t: Test, name: string, open: Open): Promise<void> {
  const run = new Set<string>()
  const recorded = async (t: Test): Promise<Opened> => {
    const opened = await open(t)
    return { ...opened, store: recording(opened.store, run), reopen: async () => recording(await opened.reopen(), run) }
  }
  await t.test(`store ${name}`, async t => {
    await t.test('units of work', async t => { await units(t, recorded) })
    await t.test('claims', async t => { await claims(t, recorded) })
    await t.test('queues and accounts', async t => { await queues(t, recorded) })
    await t.test('calls', async t => { await calls(t, recorded) })
    await t.test('after a crash', async t => { await crashes(t, recorded) })
    await t.test('receipts', async t => { await receipts(t, recorded) })
    await t.test('ends without a call', async t => { await ends(t, recorded) })
    await t.test('lists', async t => { await lists(t, recorded) })
    await t.test('shops', async t => { await shops(t, recorded) })
    await t.test('jobs and retention', async t => { await jobs(t, recorded) })
    await t.test('sent again', async t => { await again(t, recorded) })
    await t.test('audit', async t => { await audit(t, recorded) })
    await t.test('health and backlogs', async t => { await health(t, recorded) })
    await t.test('a clock that was set back', async t => { await clock(t, recorded) })
    await t.test('inbox', async t => { await inbox(t, recorded) })
    await t.test('set-ups', async t => { await setup(t, recorded) })
    await t.test('tasks of set-ups', async t => { await tasks(t, recorded) })
    await t.test('connections by OAuth', async t => { await oauth(t, recorded) })
    await t.test('lists of people', async t => { await subscribers(t, recorded) })
    await t.test('what providers tell by themselves', async t => { await webhooks(t, recorded) })
    await t.test('messages of sources', async t => { await sources(t, recorded) })
    await t.test('what messages cost', async t => { await usage(t, recorded) })
    await t.test('people\'s data, and a shop\'s life', async t => { await privacy(t, recorded) })
    await t.test('words of the carrier', async t => { await carrier(t, recorded) })
    await t.test('people who want no more messages', async t => { await optOuts(t, recorded) })
    await t.test('slots', async t => { await slots(t, recorded) })
    await t.test('opening and closing', async t => { await life(t, recorded) })
    t.strictSame(Object.keys(STATEMENTS).filter(statement => !run.has(statement)), [], 'every statement was run')
  })
}

/** The same store; the names of what it runs are noted. */
function recording (store: Store, run: Set<string>): Store {
  return {
    owner: store.owner,
    epoch: store.epoch,
    commit: unit => {
      for (const { name } of unit) run.add(name)
      return store.commit(unit)
    },
    read: (name, params) => {
      run.add(name)
      return store.read(name, params)
    },
    nextKey: table => store.nextKey(table),
    slots: store.slots,
    listen: events => store.listen(events),
    tell: news => { store.tell(news) },
    healthy: () => store.healthy(),
    close: () => {
      return store.close()
    }
  }
}

const FAILED = { code: 'GW_STORE_FAILED' }

async function units (t: Test, open: Open): Promise<void> {
  await t.test('one step that fails leaves nothing of its unit, and the others of its group are kept', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const first = eventOf(store, at)
    const bad = eventOf(store, at)
    const last = eventOf(store, at)
    const broken = { name: 'insert_event', params: { ...bad.steps[0]?.params, data: null, id: null } }
    const results = await Promise.allSettled([first.steps, [...bad.steps, broken as never], last.steps].map(unit => store.commit(unit)))
    t.strictSame(results.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled'])
    t.match((results[1] as PromiseRejectedResult).reason, FAILED)
    const kept = await store.read('list_deliveries', ALL)
    t.strictSame(kept.map(row => row.id), [last.id, first.id])
    t.strictSame(await store.read('deliveries_of_event', { event_key: bad.eventKey }), [])
  })

  await t.test('a statement that is not known, or lacks a parameter, is refused, and the store works on', async t => {
    const { store } = await open(t)
    await t.rejects(store.commit([{ name: 'no_such_statement', params: {} }]), FAILED)
    await t.rejects(store.commit([{ name: 'wake_queue', params: { queue_key: 1 } }]), FAILED)
    t.equal(store.healthy(), true, 'a fault of the caller is none of the disk')
    const at = await place(store)
    t.ok((await put(store, at)).id)
  })

  await t.test('a hundred units given at once are all answered, in their order', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const events = Array.from({ length: 100 }, () => eventOf(store, at))
    const order: number[] = []
    const results = await Promise.all(events.map((event, i) => store.commit(event.steps).then(result => { order.push(i); return result })))
    t.ok(results.every(([inserted, made]) => inserted?.changes === 1 && made?.changes === 1))
    t.strictSame(order, events.map((_, i) => i))
    t.strictSame((await store.read('list_deliveries', ALL)).map(row => row.id), events.map(({ id }) => id).toReversed())
  })

  await t.test('an identity that was seen makes no second event and no second delivery', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const first = await put(store, at, { sourceId: 'same' })
    const repeat = eventOf(store, at, { sourceId: 'same', data: '{"a":2}' })
    const [inserted, made] = await store.commit(repeat.steps)
    t.strictSame([inserted?.changes, made?.changes], [0, 0])
    const [known] = await store.read('event_by_identity', { shop_key: at.shopKey, source: '/test', source_id: 'same' })
    t.match(known, { event_key: first.eventKey, data: '{"a":1}', digest: null })
    t.strictSame((await store.read('known_identities', { shop_key: at.shopKey, source: '/test', source_ids: '["same","new"]' })).map(row => row.source_id), ['same'])
    const elsewhere = eventOf(store, at, { sourceId: 'same', source: '/other' })
    t.equal((await store.commit(elsewhere.steps))[0]?.changes, 1, 'the same id of another source is another event')
    await claim(store, at)
    const asked = ({ steps }: Put, delivery: Put): Step[] => steps.map(step => step.name === 'insert_event' ? { name: 'insert_event_for', params: { ...step.params, delivery_key: delivery.deliveryKey, owner: store.owner, epoch: store.epoch } } : step)
    const changes = async (event: Put, delivery: Put) => (await store.commit(asked(event, delivery))).slice(0, 2).map(({ changes }) => changes)
    const [wished, repeated, late] = [eventOf(store, at, { sourceId: 'asked' }), eventOf(store, at, { sourceId: 'asked' }), eventOf(store, at)]
    t.strictSame([await changes(wished, first), await changes(repeated, first)], [[1, 1], [0, 0]], 'one that a delivery asks for')
    await one(store, 'redact_waiting', { event_key: first.eventKey, now: NOW })
    t.strictSame(await changes(late, first), [0, 0], 'that was taken from whoever asks')
  })

  await t.test('only the owner of a claim, in its epoch, settles it', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const event = await put(store, at)
    await claim(store, at)
    const other = { owner: store.owner + 1 }
    const older = { epoch: store.epoch - 1 }
    const start = startStep(store, event.deliveryKey)
    for (const mine of [other, older]) t.equal((await one(store, 'start_call', { ...start.params, ...mine })).changes, 0)
    t.equal((await one(store, 'start_call', start.params)).changes, 1)
    const settle = settleStep(store, event.deliveryKey).params
    for (const mine of [other, older]) t.equal((await one(store, 'settle_call', { ...settle, ...mine })).changes, 0)
    t.equal((await deliveryOf(store, event)).state, STATE.sending)
    t.equal((await one(store, 'settle_call', settle)).changes, 1)
    t.equal((await one(store, 'settle_call', settle)).changes, 0, 'and once only')
    t.match(await deliveryOf(store, event), { state: STATE.delivered, owner: null, attempts: 1, status: 202 })
  })
}

async function claims (t: Test, open: Open): Promise<void> {
  await t.test('takes what is due, urgent before old, old before new, and no more than asked for', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const old = await put(store, at, { dueAt: NOW - 2000 })
    const later = await put(store, at, { dueAt: NOW + 1 })
    const urgent = await put(store, at, { dueAt: NOW, priority: 0 })
    const plain = await put(store, at, { dueAt: NOW - 1000, priority: 1 })
    t.strictSame(await claim(store, at, { limit: 1 }), [urgent.deliveryKey])
    t.strictSame(await claim(store, at, { limit: 1 }), [plain.deliveryKey])
    t.strictSame(await claim(store, at, { limit: 10 }), [old.deliveryKey])
    t.strictSame(await claim(store, at, { limit: 10 }), [], 'the other is not due')
    t.strictSame(await claim(store, at, { now: NOW + 1 }), [later.deliveryKey])
  })

  await t.test('two claims never share a row', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const events = await Promise.all(Array.from({ length: 50 }, () => put(store, at)))
    const taken = (await Promise.all(Array.from({ length: 12 }, () => claim(store, at, { limit: 7 })))).flat()
    t.equal(new Set(taken).size, taken.length)
    t.strictSame(taken.toSorted((a, b) => a - b), events.map(({ deliveryKey }) => deliveryKey).toSorted((a, b) => a - b))
  })

  await t.test('gives nothing of a held queue, nor to an account that is not the queue\'s any more', async t => {
    const { store } = await open(t)
    const at = await place(store, { held: 'plan_too_low' })
    const event = await put(store, at)
    t.strictSame(await claim(store, at), [])
    await place(store)
    t.strictSame(await claim(store, at, { accountKey: at.accountKey + 1 }), [])
    t.strictSame(await claim(store, at), [event.deliveryKey])
    const [row] = await store.read('claimed', { keys: JSON.stringify([event.deliveryKey]) })
    t.match(row, { delivery_key: event.deliveryKey, account_key: null, claims: 1, provider: 'alpha', shop_key: at.shopKey, data: '{"a":1}', state: STATE.waiting })
  })

  await t.test('a message that may have been sent keeps the account it went over', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const event = await put(store, at)
    await claim(store, at)
    await store.commit([startStep(store, event.deliveryKey), settleStep(store, event.deliveryKey, { state: STATE.unknown, reason: 'no_answer', due_at: NOW, finished_at: null })])
    const moved = await place(store, { provider: 'beta', account: 'B1' })
    t.equal(moved.queueKey, at.queueKey)
    t.strictSame(await claim(store, moved), [event.deliveryKey])
    t.equal((await deliveryOf(store, event)).account_key, at.accountKey)
  })
}

async function queues (t: Test, open: Open): Promise<void> {
  await t.test('a claim leaves its queue knowing whether more is due, how urgent it is, and when the next comes', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const ready = async () => (await store.read('ready_queues', { account_key: at.accountKey, groups: '["things"]', limit: 10 }))[0]
    t.equal(await ready(), undefined)
    await put(store, at, { priority: 1 })
    await put(store, at, { priority: 2 })
    await put(store, at, { dueAt: NOW + 5000 })
    t.match(await ready(), { queue_key: at.queueKey, priority: 1 })
    await claim(store, at, { limit: 1 })
    t.match(await ready(), { priority: 2 }, 'the urgent one is out')
    await claim(store, at, { limit: 1 })
    t.equal(await ready(), undefined, 'nothing is due')
    t.strictSame(await store.read('due_queues', { slots: HERE, now: NOW + 4999 }), [])
    t.equal((await store.read('due_queues', { slots: HERE, now: NOW + 5000 })).length, 1)
    const woken = await one(store, 'wake_due_queues', { slots: HERE, now: NOW + 5000, limit: 10 })
    t.strictSame(woken.rows.map(row => row.account_key), [at.accountKey])
    t.strictSame(await store.read('due_queues', { slots: HERE, now: NOW + 5000 }), [])
    t.ok(await ready())
  })

  await t.test('a deferral moves the queue\'s next time forward, never back', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const due = (dueAt: number, priority = 2) => one(store, 'queue_due', { queue_key: at.queueKey, priority, due_at: dueAt, now: NOW })
    await due(NOW + 9000)
    await due(NOW + 3000)
    await due(NOW + 6000)
    t.strictSame(await store.read('due_queues', { slots: HERE, now: NOW + 2999 }), [])
    t.equal((await store.read('due_queues', { slots: HERE, now: NOW + 3000 })).length, 1)
    await due(NOW, 0)
    t.match((await store.read('ready_queues', { account_key: at.accountKey, groups: '["things"]', limit: 1 }))[0], { priority: 0 })
    t.match(await store.read('account_of_queue', { queue_key: at.queueKey }), [{ account_key: at.accountKey }])
  })

  await t.test('accounts with work are found once each, from a cursor on, held ones left out', async t => {
    const { store } = await open(t)
    const places = []
    for (const [shop, account, group] of [['a.example', 'A1', 'x'], ['a.example', 'A1', 'y'], ['b.example', 'B1', 'x'], ['c.example', 'C1', 'x'], ['d.example', 'A1', 'x']] as const) {
      const at = await place(store, { shop, account, group })
      await put(store, at)
      places.push(at)
    }
    await place(store, { shop: 'c.example', account: 'C1', group: 'x', held: 'not_connected' })
    const keys = [...new Set(places.filter(at => at.account !== 'C1').map(at => at.accountKey))].toSorted((a, b) => a - b)
    const found = async (after: number, limit: number) => (await store.read('ready_accounts', { after, limit })).map(row => row.account_key)
    t.strictSame(await found(0, 100), keys)
    t.strictSame(await found(0, 1), keys.slice(0, 1))
    t.strictSame(await found(keys[0] as number, 100), keys.slice(1))
  })

  await t.test('the queue that was served longest ago stands in front', async t => {
    const { store } = await open(t)
    const first = await place(store, { group: 'first' })
    const second = await place(store, { group: 'second' })
    for (const at of [first, second]) { await put(store, at); await put(store, at) }
    const turn = async (groups = ['first', 'second']) => (await store.read('ready_queues', { account_key: first.accountKey, groups: JSON.stringify(groups), limit: 10 })).map(row => row.setup_group)
    await claim(store, first, { limit: 1 })
    t.strictSame(await turn(), ['second', 'first'])
    await claim(store, second, { limit: 1, now: NOW + 1 })
    t.strictSame(await turn(), ['first', 'second'])
    t.strictSame(await turn(['second']), ['second'], 'of the groups that have room')
  })

  await t.test('one message tries a held account: of the queue served longest ago, however urgent others are, and none refused for its account before others', async t => {
    const { store } = await open(t)
    const first = await place(store, { group: 'first' })
    const second = await place(store, { group: 'second' })
    const urgent = await put(store, first, { priority: 0 })
    const other = await put(store, first, { priority: 2, at: NOW + 1, dueAt: NOW + 1 })
    const later = await put(store, first, { priority: 1, at: NOW + 2, dueAt: NOW + 2 })
    await put(store, second)
    const turn = async (groups = ['first', 'second']) => (await store.read('probe_queues', { account_key: first.accountKey, groups: JSON.stringify(groups), limit: 1 })).map(row => row.setup_group)
    const probe = async (now: number) => {
      const [claimed] = await store.commit([
        { name: 'claim_probe', params: { queue_key: first.queueKey, account_key: first.accountKey, owner: store.owner, epoch: store.epoch, now } },
        { name: 'refresh_queue', params: { queue_key: first.queueKey, served_at: now, now, limit: 1 } }
      ])
      const keys = claimed?.rows.map(row => row.delivery_key as number) ?? []
      for (const key of keys) await store.commit([startStep(store, key, { at: now, accountKey: first.accountKey }), settleStep(store, key, { state: STATE.waiting, due_at: now, finished_at: null, settled_at: now, outcome: 'hold' }), { name: 'queue_due', params: { queue_key: first.queueKey, priority: 2, due_at: now, now } }])
      return keys
    }
    t.strictSame(await turn(['first']), ['first'])
    t.strictSame(await probe(NOW + 10), [urgent.deliveryKey], 'the oldest')
    t.strictSame(await turn(), ['second'], 'the other queue is next, though this one has what is more urgent')
    t.strictSame([await probe(NOW + 20), await probe(NOW + 30)], [[other.deliveryKey], [later.deliveryKey]])
    t.strictSame(await probe(NOW + 40), [urgent.deliveryKey], 'when all were refused, the one that waits longest')
    t.strictSame(await probe(NOW - 1), [], 'only what is due')
    await one(store, 'ensure_queue', { shop_key: first.shopKey, channel: 'sms', setup_group: 'first', provider: 'alpha', account: 'A1', held_reason: 'plan_too_low' })
    t.strictSame(await probe(NOW + 50), [], 'and not of a queue that is held')

    const accepted = async (since: number) => (await store.read('accepted_since', { account_key: first.accountKey, since })).length
    t.equal(await accepted(NOW), 0, 'none of these was accepted')
    await claim(store, second)
    const [row] = await store.read('list_deliveries', { ...ALL, state: STATE.waiting, limit: 1 })
    t.ok(row)
    await store.commit([startStep(store, row?.delivery_key as number, { at: NOW + 60, accountKey: first.accountKey }), settleStep(store, row?.delivery_key as number, { settled_at: NOW + 70 })])
    t.strictSame([await accepted(NOW + 59), await accepted(NOW + 60), await accepted(NOW + 70)], [1, 0, 0], 'it must have left after that as well')
  })

  await t.test('an account keeps why it rests and until when its lanes pause', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const account = async () => (await store.read('account', { account_key: at.accountKey }))[0]
    await one(store, 'hold_account', { owner: store.owner, account_key: at.accountKey, held_reason: 'credentials_refused', held_until: NOW + 1 })
    await one(store, 'pause_lane', { account_key: at.accountKey, lane: 'messages', until: NOW + 2 })
    await one(store, 'pause_lane', { account_key: at.accountKey, lane: 'other.lane', until: NOW + 3 })
    await one(store, 'pause_lane', { account_key: at.accountKey, lane: 'messages', until: NOW + 1 })
    t.match(await account(), { provider: 'alpha', account: 'A1', slot: 7, held_reason: 'credentials_refused', held_until: NOW + 1 })
    t.strictSame(JSON.parse((await account())?.pauses as string), { messages: NOW + 2, 'other.lane': NOW + 3 })
    await one(store, 'release_account', { provider: 'alpha', account: 'A1' })
    t.match(await account(), { held_reason: null, held_until: null })
  })
}

async function calls (t: Test, open: Open): Promise<void> {
  await t.test('the row has the latest call, the table the earlier ones', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const event = await put(store, at)
    for (const attempt of [1, 2, 3]) {
      await claim(store, at, { now: NOW + attempt })
      await store.commit([archiveStep(store, event.deliveryKey), startStep(store, event.deliveryKey, { at: NOW + attempt, body: `${attempt}` })])
      await store.commit([settleStep(store, event.deliveryKey, { state: STATE.waiting, reason: 'provider_failing', due_at: NOW, finished_at: null, settled_at: NOW + attempt, status: 500 + attempt, outcome: 'retry' })])
    }
    t.match(await deliveryOf(store, event), { call_no: 3, attempts: 3, request_body: '3', status: 503, claims: 0 })
    const earlier = await store.read('calls_of_delivery', { delivery_key: event.deliveryKey })
    t.strictSame(earlier.map(row => [row.call_no, row.request_body, row.status, row.reserved_at, row.settled_at]), [[1, '1', 501, NOW + 1, NOW + 1], [2, '2', 502, NOW + 2, NOW + 2]])
    t.match(await store.read('delivery_by_key', { delivery_key: event.deliveryKey }), [{ id: event.id, request_body: '3', account_provider: 'alpha' }])
  })

  await t.test('a lane remembers what was settled within a window, in both tables, and no other lane', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const other = await place(store, { shop: 'b.example', account: 'B1' })
    const event = await put(store, at)
    for (const settledAt of [NOW + 10, NOW + 20]) {
      await claim(store, at)
      await store.commit([archiveStep(store, event.deliveryKey), startStep(store, event.deliveryKey)])
      await store.commit([settleStep(store, event.deliveryKey, { state: STATE.waiting, due_at: NOW, finished_at: null, settled_at: settledAt })])
    }
    await claim(store, at)
    await sent(store, at, { settledAt: NOW + 5 })
    await sent(store, at, { settledAt: NOW + 15, lane: 'slow' })
    await sent(store, other, { settledAt: NOW + 12 })
    const history = async (lane: string, since: number) => (await store.read('lane_history', { account_key: at.accountKey, lane, since })).map(row => row.settled_at)
    t.strictSame(await history('messages', NOW), [NOW + 5, NOW + 10, NOW + 20])
    t.strictSame(await history('messages', NOW + 10), [NOW + 20])
    t.strictSame(await history('slow', NOW), [NOW + 15])
    await one(store, 'inherit_account', { provider: 'alpha', account: 'A1', before: 'B1' })
    t.strictSame(await history('messages', NOW), [NOW + 5, NOW + 10, NOW + 12, NOW + 20], 'an account whose identity changed goes on with the calls of the one before')
  })

  await t.test('a call that belongs to no delivery counts in its lane; one that was left open, as now', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const [closed, left] = [store.nextKey('calls'), store.nextKey('calls')]
    for (const key of [closed, left]) await one(store, 'open_call', { call_key: key, account_key: at.accountKey, lane: 'messages', reserved_at: NOW, request_head: 'GET /me' })
    t.equal((await one(store, 'close_call', { call_key: closed, settled_at: NOW + 1, status: 200, outcome: 'answered' })).changes, 1)
    t.equal((await one(store, 'adopt_calls', { slots: HERE, now: NOW + 9 })).changes, 1)
    t.strictSame((await store.read('lane_history', { account_key: at.accountKey, lane: 'messages', since: NOW })).map(row => row.settled_at), [NOW + 1, NOW + 9])
    t.equal((await one(store, 'adopt_calls', { slots: HERE, now: NOW + 9 })).changes, 0)
    const forget = async (before: number) => (await one(store, 'forget_calls', { before, limit: 10 })).changes
    t.strictSame([await forget(NOW), await forget(NOW + 1), await forget(NOW + 1), await forget(NOW + 9)], [0, 1, 0, 1], 'and is forgotten by the time it was settled')
  })

  await t.test('an earlier call that is put away and one that belongs to no delivery never have one key', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const event = await put(store, at)
    for (let i = 0; i < 3; i++) {
      await claim(store, at)
      await store.commit([archiveStep(store, event.deliveryKey), startStep(store, event.deliveryKey)])
      await store.commit([settleStep(store, event.deliveryKey, { state: STATE.waiting, due_at: NOW, finished_at: null })])
      t.equal((await one(store, 'open_call', { call_key: store.nextKey('calls'), account_key: at.accountKey, lane: 'messages', reserved_at: NOW, request_head: 'GET /me' })).changes, 1)
    }
    t.equal((await store.read('calls_of_delivery', { delivery_key: event.deliveryKey })).length, 2)
  })
}

async function crashes (t: Test, open: Open): Promise<void> {
  await t.test('what was claimed waits again; the third time it is set aside', async t => {
    const opened = await open(t)
    let store = opened.store
    const at = await place(store)
    const event = await put(store, at)
    for (const times of [1, 2, 3]) {
      t.strictSame(await claim(store, at), [event.deliveryKey])
      t.strictSame(await store.read('orphans', { slots: HERE, owner: store.owner, limit: 10 }), [], 'its own are no orphans')
      store = await opened.reopen()
      const [orphan] = await store.read('orphans', { slots: HERE, owner: store.owner, limit: 10 })
      t.match(orphan, { delivery_key: event.deliveryKey, claims: times, state: STATE.waiting })
      const crashed = times === 3
      const params = { delivery_key: event.deliveryKey, owner: orphan?.owner as number, epoch: orphan?.epoch as number, state: crashed ? STATE.rejected : STATE.waiting, reason: crashed ? 'crashed_gateway' : null, due_at: crashed ? null : NOW, finished_at: crashed ? NOW : null }
      t.equal((await one(store, 'adopt_claimed', params)).changes, 1)
      t.equal((await one(store, 'adopt_claimed', params)).changes, 0, 'once')
    }
    t.match(await deliveryOf(store, event), { state: STATE.rejected, reason: 'crashed_gateway', claims: 0, owner: null, finished_at: NOW })
    t.strictSame(await claim(store, at), [])
  })

  await t.test('what was claimed at two crashes is found until it is claimed again, and can be put off', async t => {
    const opened = await open(t)
    let store = opened.store
    const at = await place(store)
    const [twice, once] = [await put(store, at), await put(store, at, { dueAt: NOW + 1 })]
    const found = async () => (await store.read('suspects', { slots: HERE })).map(row => row.delivery_key)
    for (const now of [NOW, NOW + 1]) {
      await claim(store, at, { now })
      t.strictSame(await found(), [], 'nothing that somebody works on')
      store = await opened.reopen()
      for (const row of await store.read('orphans', { slots: HERE, owner: store.owner, limit: 10 })) await one(store, 'adopt_claimed', { delivery_key: row.delivery_key as number, owner: row.owner as number, epoch: row.epoch as number, state: STATE.waiting, reason: null, due_at: NOW, finished_at: null })
    }
    t.strictSame(await found(), [twice.deliveryKey])
    t.match((await store.read('suspects', { slots: HERE }))[0], { queue_key: at.queueKey, priority: 2 })
    t.equal((await one(store, 'set_apart', { delivery_key: twice.deliveryKey, due_at: NOW + 5 })).changes, 1)
    t.strictSame(await claim(store, at), [once.deliveryKey])
    t.equal((await one(store, 'set_apart', { delivery_key: once.deliveryKey, due_at: NOW + 5 })).changes, 0, 'not while somebody works on it')
    t.strictSame(await found(), [twice.deliveryKey])
    t.strictSame(await claim(store, at, { now: NOW + 5 }), [twice.deliveryKey])
    t.strictSame(await found(), [])
  })

  await t.test('what was being sent is unknown, and counts in its lane until now', async t => {
    const opened = await open(t)
    const at = await place(opened.store)
    const event = await put(opened.store, at)
    await claim(opened.store, at)
    await opened.store.commit([startStep(opened.store, event.deliveryKey)])
    const late = settleStep(opened.store, event.deliveryKey)
    const store = await opened.reopen()
    t.equal((await one(store, 'adopt_sending', { delivery_key: event.deliveryKey, owner: opened.store.owner, epoch: opened.store.epoch, reason: 'interrupted', due_at: null, finished_at: NOW + 50, now: NOW + 50 })).changes, 1)
    t.match(await deliveryOf(store, event), { state: STATE.unknown, reason: 'interrupted', attempts: 1, owner: null })
    t.strictSame((await store.read('lane_history', { account_key: at.accountKey, lane: 'messages', since: NOW })).map(row => row.settled_at), [NOW + 50])
    t.equal((await store.commit([late]))[0]?.changes, 0, 'the dead owner settles nothing any more')
    t.equal((await one(store, 'resolve_unknown', { delivery_key: event.deliveryKey, call_no: 1, state: STATE.delivered, reason: 'accepted_elsewhere', detail: null, due_at: null, finished_at: NOW })).changes, 1)
    t.equal((await deliveryOf(store, event)).state, STATE.delivered)
  })

  await t.test('jobs of a dead owner are due again', async t => {
    const opened = await open(t)
    await one(opened.store, 'put_job', jobOf(opened.store, 'sweep'))
    t.equal((await one(opened.store, 'claim_jobs', { slots: HERE, now: NOW, owner: opened.store.owner, epoch: opened.store.epoch, limit: 10 })).changes, 1)
    const store = await opened.reopen()
    t.strictSame(await store.read('jobs_are_due', { slots: HERE, now: NOW }), [])
    t.equal((await one(store, 'adopt_jobs', { owner: store.owner, now: NOW })).changes, 1)
    const claimed = async () => (await one(store, 'claim_jobs', { slots: HERE, now: NOW, owner: store.owner, epoch: store.epoch, limit: 10 })).rows
    t.match(await claimed(), [{ kind: 'sweep', attempts: 2 }])
    const keys = JSON.stringify((await store.read('owned_jobs', { owner: store.owner })).map(row => row.job_key))
    const release = async (owner: number, listed: string) => (await one(store, 'release_jobs', { owner, keys: listed, now: NOW })).changes
    t.strictSame([await release(store.owner + 1, keys), await release(store.owner, '[]'), await release(store.owner, keys), await release(store.owner, keys)], [0, 0, 1, 0])
    t.match(await claimed(), [{ kind: 'sweep', attempts: 2 }], 'a claim that is given back counts for nothing')
  })
}

/** A delivery whose request got no answer; `sending`: it still may. */
async function lost (store: Store, at: Place, facts: EventFacts & { sending?: boolean } = {}): Promise<Put> {
  const event = await put(store, at, facts)
  await claim(store, at)
  await store.commit([startStep(store, event.deliveryKey, { accountKey: at.accountKey })])
  if (!facts.sending) await store.commit([settleStep(store, event.deliveryKey, { state: STATE.unknown, reason: 'no_answer', finished_at: null, outcome: 'unknown' })])
  return event
}

function adoption ({ deliveryKey }: Put, { accountKey }: Place, receipt: string | null, facts: Record<string, Value> = {}): Record<string, Value> {
  return { delivery_key: deliveryKey, account_key: accountKey, call_no: 1, receipt, state: STATE.delivered, reason: 'accepted_elsewhere', detail: null, now: NOW + 9, ...facts }
}

async function receipts (t: Test, open: Open): Promise<void> {
  await t.test('a call keeps its receipt, and the next one starts without', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const event = await put(store, at)
    await claim(store, at)
    await store.commit([startStep(store, event.deliveryKey, { accountKey: at.accountKey }), settleStep(store, event.deliveryKey, { state: STATE.waiting, due_at: NOW, receipt: 'm1', adjusted: '{"short":true}' })])
    t.match(await deliveryOf(store, event), { receipt: 'm1', adjusted: '{"short":true}' })
    await claim(store, at)
    t.match(await store.read('claimed', { keys: `[${event.deliveryKey}]` }), [{ adjusted: '{"short":true}', adjusted_by: 'alpha', outcome: 'delivered', settled_at: NOW }])
    await store.commit([archiveStep(store, event.deliveryKey), startStep(store, event.deliveryKey, { accountKey: at.accountKey, adjusted: '{"short":true}' })])
    t.match(await deliveryOf(store, event), { receipt: null })
    t.match(await store.read('calls_of_delivery', { delivery_key: event.deliveryKey }), [{ call_no: 1, receipt: 'm1' }])
    await store.commit([settleStep(store, event.deliveryKey, { receipt: 'm2' })])
    t.match(await deliveryOf(store, event), { receipt: 'm2', adjusted: '{"short":true}' }, 'what was adjusted stays so, as the call says')
    const taken = async (receipt: string, deliveryKey: number, accountKey = at.accountKey) => (await store.read('receipt_taken', { receipt, delivery_key: deliveryKey, account_key: accountKey })).length
    t.strictSame([await taken('m1', event.deliveryKey), await taken('m2', event.deliveryKey)], [1, 0], 'its own latest is free to it, its earlier one is not')
    t.strictSame([await taken('m1', 0), await taken('m2', 0), await taken('m3', 0), await taken('m2', 0, at.accountKey + 1)], [1, 1, 0, 0], 'to others neither; another account has ids of its own')
  })

  await t.test('of two that seek their answer one gets it, and only while it is unknown and still about that call', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const [first, second] = [await lost(store, at), await lost(store, at)]
    for (const facts of [{ call_no: 0 }, { call_no: 2 }]) t.equal((await one(store, 'adopt_answer', adoption(first, at, 'm1', facts))).changes, 0, 'word of another call')
    const both = await Promise.all([first, second].map(event => one(store, 'adopt_answer', adoption(event, at, 'm1'))))
    t.strictSame(both.map(({ changes }) => changes), [1, 0])
    t.match(await deliveryOf(store, first), { state: STATE.delivered, reason: 'accepted_elsewhere', receipt: 'm1', finished_at: NOW + 9, due_at: null })
    t.match(await deliveryOf(store, second), { state: STATE.unknown, receipt: null })
    t.equal((await one(store, 'adopt_answer', adoption(first, at, 'm2'))).changes, 0, 'settled is settled')
    t.equal((await one(store, 'adopt_answer', adoption(second, at, null, { state: STATE.rejected, reason: 'phone_refused' }))).changes, 1, 'where nothing can be told apart the first will do')
    t.match(await deliveryOf(store, second), { state: STATE.rejected, reason: 'phone_refused', receipt: null })
  })

  await t.test('nothing is taken while another message to the same person is on the wire', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const [ada, bob] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)]
    const mine = await lost(store, at, { person: ada })
    const theirs = await lost(store, at, { person: bob })
    const twin = await lost(store, at, { person: ada, sending: true })
    const adopted = async (event: Put) => (await one(store, 'adopt_answer', adoption(event, at, `m-${event.id}`))).changes
    t.strictSame([await adopted(mine), await adopted(theirs)], [0, 1])
    await store.commit([settleStep(store, twin.deliveryKey, { receipt: `m-${mine.id}` })])
    t.equal(await adopted(mine), 0, 'it was the other one\'s')
    t.equal((await one(store, 'adopt_answer', adoption(mine, at, 'm2'))).changes, 1)
  })

  await t.test('what is resolved by a person or a later call is not resolved by word of the one before', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const event = await lost(store, at)
    const resolve = async (callNo: number) => (await one(store, 'resolve_unknown', { delivery_key: event.deliveryKey, call_no: callNo, state: STATE.waiting, reason: null, detail: null, due_at: NOW, finished_at: null })).changes
    t.strictSame([await resolve(2), await resolve(1), await resolve(1)], [0, 1, 0])
  })
}

async function ends (t: Test, open: Open): Promise<void> {
  await t.test('a claim that is given back waits, with what it waits for', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const event = await put(store, at)
    await claim(store, at)
    const params = { delivery_key: event.deliveryKey, owner: store.owner, epoch: store.epoch, state: STATE.waiting, reason: 'deferred', detail: null, due_at: NOW + 9, finished_at: null }
    t.equal((await one(store, 'release_claim', { ...params, epoch: store.epoch + 1 })).changes, 0)
    t.equal((await one(store, 'release_claim', params)).changes, 1)
    t.match(await deliveryOf(store, event), { state: STATE.waiting, reason: 'deferred', due_at: NOW + 9, owner: null, claims: 0, attempts: 0 })
  })

  await t.test('many claims are given back at once, by their owner alone, and their queues know', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const events = [await put(store, at), await put(store, at)]
    const sending = await put(store, at)
    const keys = JSON.stringify(await claim(store, at))
    await store.commit([startStep(store, sending.deliveryKey)])
    t.strictSame(await store.read('ready_queues', { account_key: at.accountKey, groups: '["things"]', limit: 1 }), [])
    const params = { keys, owner: store.owner, epoch: store.epoch, now: NOW + 1 }
    t.equal((await one(store, 'release_claims', { ...params, epoch: store.epoch - 1 })).changes, 0)
    t.equal((await one(store, 'release_claims', params)).changes, 2, 'what is being sent is not')
    await one(store, 'release_queues', { keys })
    t.equal((await store.read('ready_queues', { account_key: at.accountKey, groups: '["things"]', limit: 1 })).length, 1)
    for (const event of events) t.match(await deliveryOf(store, event), { state: STATE.waiting, due_at: NOW + 1, owner: null, claims: 0 })
    t.strictSame(await claim(store, at, { now: NOW + 1 }), events.map(({ deliveryKey }) => deliveryKey))
  })

  await t.test('what waited too long in a held queue ends, in slices, and says what it waited for', async t => {
    const { store } = await open(t)
    const at = await place(store, { held: 'plan_too_low' })
    const free = await place(store, { shop: 'b.example', account: 'B1' })
    t.strictSame((await store.read('held_queues', { after: 0, limit: 10 })).map(row => row.queue_key), [at.queueKey])
    const expired = []
    for (let i = 0; i < 5; i++) expired.push(await put(store, at, { dueAt: NOW - 10 + i, expiresAt: NOW }))
    const lasting = await put(store, at, { expiresAt: NOW + 1 })
    const slice = () => one(store, 'expire_waiting', { queue_key: at.queueKey, now: NOW, reason: null, limit: 3 })
    t.equal((await slice()).changes, 3)
    t.equal((await slice()).changes, 2)
    t.equal((await slice()).changes, 0)
    for (const event of expired) t.match(await deliveryOf(store, event), { state: STATE.expired, reason: 'expired', due_at: null, finished_at: NOW })
    t.equal((await deliveryOf(store, lasting)).state, STATE.waiting)
    await put(store, free)
    await one(store, 'hold_account', { owner: store.owner, account_key: free.accountKey, held_reason: 'credentials_refused', held_until: NOW })
    t.strictSame((await store.read('held_queues', { after: at.queueKey, limit: 10 })).map(row => row.queue_key), [free.queueKey])
  })

  await t.test('what waited for the provider\'s limits and expired says so, and nothing that promises a send', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const waited = { rate_limited: 'expired_rate_limited', quiet_hours: 'expired_quiet_hours', provider_failing: 'expired' }
    const events = []
    for (const reason of Object.keys(waited)) {
      const event = await put(store, at, { expiresAt: NOW })
      await claim(store, at)
      await one(store, 'release_claim', { delivery_key: event.deliveryKey, owner: store.owner, epoch: store.epoch, state: STATE.waiting, reason, detail: null, due_at: NOW + 60_000, finished_at: null })
      events.push(event)
    }
    await one(store, 'expire_waiting', { queue_key: at.queueKey, now: NOW, reason: null, limit: 10 })
    const reasons = []
    for (const event of events) reasons.push((await deliveryOf(store, event)).reason)
    t.strictSame(reasons, Object.values(waited))
  })

  await t.test('only what certainly was not accepted is tried again', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const may: Record<string, number> = {}
    for (const state of [STATE.delivered, STATE.unknown, STATE.rejected, STATE.expired]) {
      const event = await put(store, at)
      await claim(store, at)
      await store.commit([startStep(store, event.deliveryKey), settleStep(store, event.deliveryKey, { state })])
      may[state] = (await one(store, 'retry_delivery', { delivery_key: event.deliveryKey, now: NOW, expires_at: NOW + 1, unknown: 0 })).changes
    }
    const unknown = await put(store, at)
    await claim(store, at)
    await store.commit([startStep(store, unknown.deliveryKey), settleStep(store, unknown.deliveryKey, { state: STATE.unknown })])
    t.equal((await one(store, 'retry_delivery', { delivery_key: unknown.deliveryKey, now: NOW, expires_at: NOW + 1, unknown: 1 })).changes, 1, 'or what a person says may be sent twice')
    t.strictSame(may, { [STATE.delivered]: 0, [STATE.unknown]: 0, [STATE.rejected]: 1, [STATE.expired]: 1 })
    const claimed = await put(store, at)
    await claim(store, at)
    t.equal((await one(store, 'retry_delivery', { delivery_key: claimed.deliveryKey, now: NOW, expires_at: NOW + 1, unknown: 0 })).changes, 0, 'nor what somebody works on')
  })
}

async function lists (t: Test, open: Open): Promise<void> {
  await t.test('filters deliveries and pages through them, newest first', async t => {
    const { store } = await open(t)
    const a = await place(store, { shop: 'a.example', account: 'A1' })
    const b = await place(store, { shop: 'b.example', provider: 'beta', account: 'B1', held: 'plan_too_low' })
    const person = Buffer.from('0123456789abcdef')
    const made = [
      await put(store, a, { person, type: 'thing.happened' }),
      await put(store, a, { type: 'thing.ended' }),
      await put(store, b, { person }),
      await sent(store, a, { sourceId: 'mine' })
    ]
    const list = async (filter: object) => (await store.read('list_deliveries', { ...ALL, ...filter })).map(row => made.findIndex(({ id }) => id === row.id))
    t.strictSame(await list({}), [3, 2, 1, 0])
    t.strictSame(await list({ shop: 'a.example' }), [3, 1, 0])
    t.strictSame(await list({ shops: '["b.example"]' }), [2])
    t.strictSame(await list({ shops: '[]' }), [])
    t.strictSame(await list({ type: 'thing.ended' }), [1])
    t.strictSame(await list({ provider: 'beta' }), [2])
    t.strictSame(await list({ state: STATE.waiting, held: 1 }), [2])
    t.strictSame(await list({ state: STATE.delivered }), [3])
    t.strictSame(await list({ person }), [2, 0])
    t.strictSame(await list({ source_id: 'mine' }), [3])
    t.strictSame(await list({ event_id: made[1]?.eventId ?? null }), [1])
    t.strictSame(await list({ limit: 2 }), [3, 2])
    t.strictSame(await list({ before: made[2]?.deliveryKey ?? null, limit: 1 }), [1])
    t.strictSame(await list({ floor: made[2]?.deliveryKey ?? null }), [3, 2])
    const by = async (name: string, filter: object) => (await store.read(name, { ...ALL, ...filter })).map(row => made.findIndex(({ id }) => id === row.id))
    t.strictSame(await by('list_of_person', { person }), [2, 0])
    t.strictSame(await by('list_of_person', { person, shops: '["a.example"]', limit: 1 }), [0])
    t.strictSame(await by('list_of_person', { person, before: made[2]?.deliveryKey }), [0])
    t.strictSame(await by('list_of_source_id', { shop: 'a.example', source_id: 'mine' }), [3])
    t.strictSame(await by('list_of_source_id', { shop: 'b.example', source_id: 'mine' }), [])
    t.strictSame(await by('list_of_source_id', { shop: 'a.example', shops: '["b.example"]', source_id: 'mine' }), [])
    t.match(await store.read('newest_delivery_before', { before: made[2]?.deliveryKey as number }), [{ delivery_key: made[1]?.deliveryKey }])
    t.match(await store.read('newest_delivery_before', { before: 0 }), [{ delivery_key: null }])
  })

  await t.test('a delivery shows why its queue or its account holds it', async t => {
    const { store } = await open(t)
    const at = await place(store, { held: 'plan_too_low' })
    const event = await put(store, at)
    await one(store, 'hold_account', { owner: store.owner, account_key: at.accountKey, held_reason: 'scope_missing', held_until: NOW })
    t.match(await deliveryOf(store, event), { shop: 'acme.example', channel: 'sms', setup_group: 'things', held_reason: 'plan_too_low', account_held: 'scope_missing', account_provider: 'alpha', source_id: `s-${event.eventKey}` })
    t.match(await store.read('deliveries_of_event', { event_key: event.eventKey }), [{ id: event.id, held_reason: 'plan_too_low', account_held: 'scope_missing' }])
  })
}

async function shops (t: Test, open: Open): Promise<void> {
  await t.test('a shop is written where it changed, and found by either of its names', async t => {
    const { store } = await open(t)
    const params = { id: 'acme.example', name: 'Acme', domain: 'acme.example', plan: 'pro', active: 1, now: NOW }
    t.equal((await one(store, 'upsert_shop', params)).changes, 1)
    t.equal((await one(store, 'upsert_shop', { ...params, now: NOW + 1 })).changes, 0, 'the same again is no change')
    t.equal((await one(store, 'upsert_shop', { ...params, plan: 'free' })).changes, 1)
    const [shop] = await store.read('shop', { id: 'acme.example' })
    t.match(shop, { plan: 'free', active: 1 })
    t.match(await store.read('shop_by_key', { shop_key: shop?.shop_key as number }), [{ id: 'acme.example' }])
    await one(store, 'upsert_shop', { ...params, id: 'b.example' })
    const list = async (after: string, shops: string | null) => (await store.read('list_shops', { after, shops, limit: 10 })).map(row => row.id)
    t.strictSame(await list('', null), ['acme.example', 'b.example'])
    t.strictSame(await list('acme.example', null), ['b.example'])
    t.strictSame(await list('', '["acme.example"]'), ['acme.example'])
  })

  await t.test('a connection keeps its secrets, and loses them with itself', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const key = { shop_key: at.shopKey, provider: 'alpha' }
    const secret = { ...key, field: 'api_key', key_id: 'k1', version: 1 }
    await one(store, 'put_secret', { ...secret, sealed: Buffer.from('one') })
    await one(store, 'put_secret', { ...secret, sealed: Buffer.from('two') })
    const [connection] = await store.read('connections', { shop_key: at.shopKey })
    const secrets = () => store.read('secrets', { connection_key: connection?.connection_key as number })
    const adjust = { ...key, id: 'con_new', auth: 'other', account_id: '', account: 'A1', ready: '[]', now: NOW + 1 }
    await one(store, 'adjust_connection', { ...adjust, settings: '{"a":1,"b":true}' })
    await one(store, 'adjust_connection', { ...adjust, settings: '{"b":false}' })
    const [adjusted] = await store.read('connections', { shop_key: at.shopKey })
    t.match({ ...adjusted, settings: JSON.parse(adjusted?.settings as string) }, { ...connection, settings: { a: 1, b: false } }, 'an adjustment changes what it names')
    t.strictSame((await secrets()).map(row => Buffer.from(row.sealed as Uint8Array).toString()), ['two'])
    await one(store, 'drop_secrets', key)
    t.strictSame(await secrets(), [])
    await one(store, 'put_secret', { ...secret, sealed: Buffer.from('three') })
    t.equal((await one(store, 'delete_connection', key)).changes, 1)
    t.strictSame(await secrets(), [])
    t.strictSame(await store.read('connections', { shop_key: at.shopKey }), [])
    await one(store, 'adjust_connection', { ...adjust, settings: '{"b":false}' })
    t.match(await store.read('connections', { shop_key: at.shopKey }), [{ id: 'con_new', account: 'A1', settings: '{"b":false}' }], 'and makes a row where there is none')
  })

  await t.test('the platform declares one account of a provider, until it names another', async t => {
    const { store } = await open(t)
    await place(store, { account: 'P1' })
    await place(store, { shop: 'own.example', account: 'OWN' })
    const declared = async () => (await store.read('declared_account', { provider: 'alpha' })).map(row => [row.account, row.declared])
    t.strictSame(await declared(), [])
    await one(store, 'declare_account', { provider: 'alpha', account: 'P1', declared: 'mark-1' })
    t.strictSame(await declared(), [['P1', 'mark-1']], 'and none of the shops\' own')
    await one(store, 'ensure_account', { provider: 'alpha', account: 'P2', slot: 1 })
    await one(store, 'declare_account', { provider: 'alpha', account: 'P2', declared: 'mark-2' })
    t.strictSame(await declared(), [['P2', 'mark-2']])
  })

  await t.test('shops at one account of a provider share it; a channel has one provider', async t => {
    const { store } = await open(t)
    const a = await place(store, { shop: 'a.example', account: 'SAME' })
    const b = await place(store, { shop: 'b.example', account: 'SAME' })
    const c = await place(store, { shop: 'c.example', account: 'SAME', provider: 'beta' })
    t.equal(a.accountKey, b.accountKey)
    t.not(a.accountKey, c.accountKey)
    for (const provider of ['alpha', 'beta']) await one(store, 'set_channel', { shop_key: a.shopKey, channel: 'sms', provider, now: NOW })
    t.strictSame((await store.read('channels', { shop_key: a.shopKey })).map(row => [row.channel, row.provider]), [['sms', 'beta']])
    const queue = { shop_key: a.shopKey, channel: 'sms', setup_group: 'things', provider: 'alpha', account: 'SAME', held_reason: null }
    t.equal((await one(store, 'ensure_queue', queue)).changes, 0, 'a queue that is as it should be is not written')
    t.equal((await one(store, 'ensure_queue', { ...queue, held_reason: 'shop_inactive' })).changes, 1)
    t.equal((await queueOf(store, a.shopKey)).held_reason, 'shop_inactive')
    t.strictSame((await store.read('declared', { id: a.shop })).map(row => row.declared), [null])
    await one(store, 'mark_declared', { id: a.shop, declared: 'mark' })
    t.strictSame((await store.read('declared', { id: a.shop })).map(row => row.declared), ['mark'])
    t.equal((await one(store, 'audit', { at: NOW, actor: 'test', action: 'tested', shop: null, subject: null })).changes, 1)
  })
}

function jobOf (store: Store, kind: string, dueAt = NOW) {
  const key = store.nextKey('jobs')
  return { job_key: key, id: `job_${key}`, kind, unique_key: kind, account_key: null, delivery_key: null, due_at: dueAt, now: NOW }
}

async function jobs (t: Test, open: Open): Promise<void> {
  await t.test('a job is there once, claimed once, and ends or comes again', async t => {
    const { store } = await open(t)
    const mine = { owner: store.owner, epoch: store.epoch }
    const first = jobOf(store, 'sweep')
    await one(store, 'put_job', first)
    await one(store, 'put_job', jobOf(store, 'sweep', NOW + 5))
    t.equal((await store.read('jobs_are_due', { slots: HERE, now: NOW })).length, 1)
    const [claimed] = (await one(store, 'claim_jobs', { slots: HERE, ...mine, now: NOW, limit: 10 })).rows
    t.match(claimed, { job_key: first.job_key, kind: 'sweep', attempts: 1, cursor: null })
    t.strictSame((await one(store, 'claim_jobs', { slots: HERE, ...mine, now: NOW + 9, limit: 10 })).rows, [])
    const settled = { ...mine, job_key: first.job_key, due_at: NOW + 9, cursor: 'c', progress: null, failed: 1 }
    t.equal((await one(store, 'settle_job', { ...settled, epoch: store.epoch - 1 })).changes, 0)
    t.equal((await one(store, 'settle_job', settled)).changes, 1)
    t.match((await one(store, 'claim_jobs', { slots: HERE, ...mine, now: NOW + 9, limit: 10 })).rows, [{ attempts: 2, cursor: 'c' }], 'a failure counts')
    await one(store, 'settle_job', { ...settled, failed: 0 })
    t.match((await one(store, 'claim_jobs', { slots: HERE, ...mine, now: NOW + 9, limit: 10 })).rows, [{ attempts: 1 }], 'a success starts over')
    await one(store, 'put_job', jobOf(store, 'sweep', NOW + 20))
    t.strictSame((await one(store, 'claim_jobs', { slots: HERE, ...mine, now: NOW + 20, limit: 10 })).rows, [], 'what runs is not run beside itself')
    t.strictSame(await store.read('jobs_are_due', { slots: HERE, now: NOW + 20 }), [])
    t.equal((await one(store, 'end_job', { ...mine, job_key: first.job_key })).changes, 0, 'asked for while it ran, it does not end')
    t.equal((await one(store, 'restart_job', { ...mine, job_key: first.job_key })).changes, 1)
    t.match((await one(store, 'claim_jobs', { slots: HERE, ...mine, now: NOW + 20, limit: 10 })).rows, [{ attempts: 1, cursor: null }], 'but starts over')
    await one(store, 'put_job', jobOf(store, 'sweep', NOW + 30))
    await one(store, 'settle_job', { ...settled, due_at: NOW + 99, failed: 0 })
    t.match(await store.read('job', { id: first.id }), [{ due_at: NOW + 30 }], 'the earlier of what it says and what was asked for')
    await one(store, 'claim_jobs', { slots: HERE, ...mine, now: NOW + 30, limit: 10 })
    t.equal((await one(store, 'end_job', { ...mine, job_key: first.job_key, owner: store.owner + 1 })).changes, 0)
    t.equal((await one(store, 'end_job', { ...mine, job_key: first.job_key })).changes, 1)
    t.strictSame(await store.read('job', { id: first.id }), [])
  })

  await t.test('jobs that nobody waits for are claimed apart from the others, the one that waits longest first', async t => {
    const { store } = await open(t)
    const sorts = async (now: number) => (await store.read('jobs_are_due', { slots: HERE, now })).map(row => row.background).toSorted()
    const claimed = async (name: string, limit = 10) => (await one(store, name, { slots: HERE, now: NOW, owner: store.owner, epoch: store.epoch, limit })).rows.map(row => row.unique_key)
    t.strictSame(await sorts(NOW), [])
    for (const [i, kind] of ['late', 'early', 'not yet'].entries()) await one(store, 'put_background_job', { ...jobOf(store, kind, NOW - [1, 2, -1][i]!), unique_key: kind })
    t.strictSame([await sorts(NOW), await sorts(NOW - 3)], [[1], []])
    t.strictSame(await claimed('claim_jobs'), [])
    await one(store, 'put_job', jobOf(store, 'awaited', NOW))
    t.strictSame(await sorts(NOW), [0, 1])
    t.strictSame([await claimed('claim_background_jobs', 1), await claimed('claim_jobs'), await claimed('claim_background_jobs')], [['early'], ['awaited'], ['late']])
    t.strictSame(await sorts(NOW), [])
    await one(store, 'put_background_job', { ...jobOf(store, 'raised', NOW + 5), unique_key: 'raised' })
    const raise = async (now: number) => (await one(store, 'raise_job', { kind: 'raised', unique_key: 'raised', now })).changes
    t.strictSame([await raise(NOW), await raise(NOW + 9), await sorts(NOW)], [1, 1, [0]], 'somebody waits for it now')
    t.strictSame([await claimed('claim_background_jobs'), await claimed('claim_jobs')], [[], ['raised']])
    t.equal(await raise(NOW), 0, 'it runs')
  })

  await t.test('the payload of what is finished goes; of what is not, stays; the identity goes last', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const done = await sent(store, at, { at: NOW - 10, settledAt: NOW - 5, sourceId: 'done' })
    const recent = await sent(store, at, { at: NOW - 10, settledAt: NOW + 5 })
    const waiting = await put(store, at, { at: NOW - 10 })
    const due = async (after: number) => (await store.read('payloads_due', { before: NOW, after, limit: 10 })).filter(row => row.data !== null).map(row => row.event_key)
    t.strictSame(await due(0), [done.eventKey])
    t.strictSame(await due(done.eventKey), [])
    const event = { event_key: done.eventKey }
    await store.commit([{ name: 'drop_payload', params: { ...event, digest: Buffer.from('digest') } }, { name: 'drop_requests', params: event }, { name: 'drop_earlier_calls', params: event }])
    t.match(await deliveryOf(store, done), { data: null, request_body: null, request_head: null, answer: null, state: STATE.delivered })
    const known = async () => store.read('event_by_identity', { shop_key: at.shopKey, source: '/test', source_id: 'done' })
    t.strictSame(Buffer.from((await known())[0]?.digest as Uint8Array).toString(), 'digest')
    const forget = { before: NOW, limit: 10 }
    t.equal((await one(store, 'forget_deliveries', forget)).changes, 1)
    t.equal((await one(store, 'forget_events', forget)).changes, 1)
    t.strictSame(await known(), [])
    t.equal((await store.read('delivery_by_id', { id: done.id })).length, 0)
    for (const kept of [recent, waiting]) t.equal((await deliveryOf(store, kept)).data, '{"a":1}')
  })
}

async function life (t: Test, open: Open): Promise<void> {
  await t.test('everything is there after it was opened again, and no key is given twice', async t => {
    const opened = await open(t)
    const at = await place(opened.store)
    const event = await put(opened.store, at)
    const keys = (['events', 'deliveries', 'calls', 'jobs'] as const).map(table => opened.store.nextKey(table))
    const { owner, epoch } = opened.store
    const store = await opened.reopen()
    t.match(await deliveryOf(store, event), { id: event.id, data: '{"a":1}', shop: 'acme.example' })
    t.ok(store.owner > owner, 'another instance')
    t.ok(store.epoch > epoch, 'in another epoch')
    const next = await put(store, at)
    t.ok(next.eventKey > event.eventKey && next.deliveryKey > event.deliveryKey)
    t.equal(keys.length, 4)
    t.equal(new Set(Array.from({ length: 10 }, () => store.nextKey('jobs'))).size, 10)
  })

  await t.test('closing waits for what was given, and takes nothing after', async t => {
    const opened = await open(t)
    const at = await place(opened.store)
    const events = Array.from({ length: 20 }, () => eventOf(opened.store, at))
    const given = events.map(({ steps }) => opened.store.commit(steps))
    await opened.store.close()
    await Promise.all(given)
    await t.rejects(opened.store.commit(eventOf(opened.store, at).steps), FAILED)
    const store = await opened.reopen()
    t.equal((await store.read('list_deliveries', ALL)).length, 20)
  })

  await t.test('where one instance has the data, a second one is refused', async t => {
    const opened = await open(t)
    if (opened.again === null) { t.comment('several instances share this store'); return }
    await t.rejects(opened.again(), { code: 'GW_STORE_LOCKED' })
    await put(opened.store, await place(opened.store))
    const store = await opened.reopen()
    t.equal((await store.read('list_deliveries', ALL)).length, 1, 'the first one was not disturbed')
  })
}
