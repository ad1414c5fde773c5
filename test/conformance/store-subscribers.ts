// What every store must keep of how people stand on a provider's list, of what is yet to be asked about them, and of who adds them.

import type { Test } from 'tap'
import { STATE, type Row, type Store, type Value } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { claim, deliveryOf, NOW, one, place, put, queueOf, settleStep, startStep, type Place } from './store-rows.ts'

const ADA = Uint8Array.of(1, 255, 0)
const BEN = Uint8Array.of(2, 0, 7)
const HOUR_MS = 3_600_000

const at = ({ accountKey }: Place, person = ADA) => ({ account_key: accountKey, person })
const standing = async (store: Store, where: Place, person = ADA): Promise<Row> => ({ ...(await store.read('subscriber', at(where, person)))[0] as Row })
const want = (store: Store, where: Place, more: Record<string, Value> = {}) =>
  one(store, 'want_subscriber', { ...at(where), seen: 'unknown', due_at: NOW, delivery_key: 1, doubt: 0, now: NOW, ...more })
const learn = (store: Store, where: Place, said: string, more: Record<string, Value> = {}) =>
  one(store, 'learn_subscriber', { ...at(where), standing: said, ref: null, wants: 1, due_at: null, now: NOW + 5, before: NOW - HOUR_MS, ...more })
const begin = (store: Store, where: Place, key: number, now = NOW) => one(store, 'begin_add', { ...at(where), delivery_key: key, now })
const end = (store: Store, where: Place, key: number, more: Record<string, Value> = {}) =>
  one(store, 'end_add', { ...at(where), delivery_key: key, standing: 'pending', adding: null, refused: null, refused_at: null, due_at: null, doubt: 0, ...more })

export async function subscribers (t: Test, open: Open): Promise<void> {
  await t.test('the newest sign-up of a person at a shop, other than our own', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const other = await place(store, { shop: 'other.example' })
    const person = Buffer.from('who')
    const newest = async () => (await store.read('newest_sign_up', { person, shop_key: where.shopKey, type: 'person.joined', except: '/own' })).map(row => row.data)
    t.strictSame(await newest(), [])
    for (const [at, facts] of [[where, { data: '{"n":1}' }], [where, { data: '{"n":2}' }], [where, { data: '{"n":3}', source: '/own' }], [where, { data: '{"n":4}', type: 'thing.happened' }], [where, { data: '{"n":5}', person: Buffer.from('else') }], [other, { data: '{"n":6}' }]] as const) {
      await put(store, at, { type: 'person.joined', person, ...facts })
    }
    t.strictSame(await newest(), ['{"n":2}'])
  })

  await t.test('whoever wants to know of a person is counted; the earliest time and the latest delivery stay', async t => {
    const { store, reopen } = await open(t)
    const where = await place(store)
    await want(store, where, { due_at: NOW + 9, delivery_key: 4 })
    t.match(await standing(store, where), { standing: 'unknown', since: NOW, asked_at: null, checked_at: null, due_at: NOW + 9, wants: 1, adding: null })
    await want(store, where, { due_at: NOW + 20, delivery_key: 5 })
    await want(store, where, { due_at: NOW + 3, delivery_key: 6, doubt: 1 })
    await want(store, where, { due_at: NOW + 8, delivery_key: 7 })
    const again = await reopen()
    t.match(await standing(again, where), { due_at: NOW + 3, wants: 4 })
    t.match(await again.read('subscribers_due', { account_key: where.accountKey, now: NOW + 2, limit: 9 }), [])
    t.match(await again.read('subscribers_due', { account_key: where.accountKey, now: NOW + 3, limit: 9 }), [{ standing: 'unknown', doubt: 1, wants: 4, data: null, shop_key: null }], 'of a delivery that is gone nothing is known')
    await learn(again, where, 'subscribed', { wants: 4 })
    await want(again, where, { due_at: NOW + HOUR_MS, now: NOW + 7, seen: 'subscribed' })
    t.match(await standing(again, where), { due_at: NOW + HOUR_MS })
    await want(again, where, { due_at: NOW + HOUR_MS, now: NOW + 8, seen: 'pending' })
    t.match(await standing(again, where), { due_at: NOW + 8 }, 'what was seen is not so any more')
  })

  await t.test('people are asked about with what their delivery says of them, the longest due first, each account by itself', async t => {
    const { store } = await open(t)
    const [where, other] = [await place(store), await place(store, { shop: 'b.example', account: 'A2' })]
    const { deliveryKey } = await put(store, where, { person: ADA, data: '{"phone":"+12015550123"}' })
    await want(store, where, { delivery_key: deliveryKey, due_at: NOW + 1 })
    await want(store, where, { ...at(where, BEN), delivery_key: deliveryKey, due_at: NOW })
    await want(store, other, { delivery_key: deliveryKey, due_at: NOW })
    const due = await store.read('subscribers_due', { account_key: where.accountKey, now: NOW + 1, limit: 9 })
    t.match(due, [{ type: 'thing.happened', data: '{"phone":"+12015550123"}', shop_key: where.shopKey }, { doubt: 0 }])
    t.strictSame(due.map(({ person }) => [...person as Uint8Array]), [[...BEN], [...ADA]])
    t.equal((await store.read('subscribers_due', { account_key: where.accountKey, now: NOW + 1, limit: 1 })).length, 1)
    await one(store, 'defer_subscriber', { ...at(where, BEN), wants: 0, due_at: null })
    t.match(await store.read('subscribers_next', { account_key: where.accountKey }), [{ due_at: NOW }], 'it was wanted anew meanwhile')
    await one(store, 'defer_subscriber', { ...at(where, BEN), wants: 1, due_at: null })
    t.match(await store.read('subscribers_next', { account_key: where.accountKey }), [{ due_at: NOW + 1 }])
  })

  await t.test('what the provider says is kept; who was asked to opt in and is not found goes on being pending', async t => {
    const { store } = await open(t)
    const where = await place(store)
    await learn(store, where, 'subscribed', { ref: 's_1', now: NOW })
    t.match(await standing(store, where), { standing: 'subscribed', since: NOW, checked_at: NOW, ref: 's_1', wants: 0, due_at: null }, 'of a person nobody waited for, too')
    await want(store, where, { seen: 'subscribed', due_at: NOW + 1, doubt: 1 })
    await learn(store, where, 'opted_out', { wants: 0, due_at: NOW + 99 })
    t.match(await standing(store, where), { standing: 'opted_out', since: NOW + 5, due_at: NOW + 1, ref: 's_1' }, 'it was wanted anew meanwhile, and the id stays')
    await learn(store, where, 'opted_out', { now: NOW + 6 })
    t.match(await standing(store, where), { since: NOW + 5, checked_at: NOW + 6, due_at: null })
    t.match(await store.read('subscribers_due', { account_key: where.accountKey, now: NOW + HOUR_MS, limit: 9 }), [])
    await begin(store, where, 7, NOW + 7)
    await learn(store, where, 'not_found', { now: NOW + 8 })
    t.match(await standing(store, where), { standing: 'pending', since: NOW + 7, asked_at: NOW + 7, checked_at: NOW + 8 })
    await learn(store, where, 'subscribed', { now: NOW + 9 })
    t.match(await standing(store, where), { standing: 'subscribed', since: NOW + 9 })
  })

  await t.test('who adds a person is known from before the request on, and only its end counts', async t => {
    const { store, reopen } = await open(t)
    const where = await place(store)
    await begin(store, where, 7)
    t.match(await standing(await reopen(), where), { standing: 'pending', since: NOW, asked_at: NOW, adding: 7 })
    const later = await reopen()
    t.equal((await end(later, where, 8)).changes, 0)
    await end(later, where, 7, { standing: 'not_found', adding: 7, refused: 'selection_gone', refused_at: NOW + 1 })
    t.match(await standing(later, where), { standing: 'not_found', adding: 7, refused: 'selection_gone', refused_at: NOW + 1, due_at: null, wants: 1 })
    await begin(later, where, 7, NOW + 2)
    t.match(await standing(later, where), { standing: 'pending', asked_at: NOW + 2, refused: null, refused_at: null })
    await begin(later, where, 7, NOW + 3)
    t.match(await standing(later, where), { since: NOW + 2, asked_at: NOW + 3 }, 'pending since the first')
    await end(later, where, 7, { due_at: NOW + 9, doubt: 1 })
    t.match(await standing(later, where), { standing: 'pending', adding: null, due_at: NOW + 9, wants: 2 })
    await begin(later, where, 9, NOW + 10)
    await learn(later, where, 'subscribed', { wants: 2 })
    await end(later, where, 9, { due_at: NOW + 20 })
    t.match(await standing(later, where), { standing: 'subscribed', adding: null, due_at: NOW + 20 }, 'what was found out meanwhile stays')
  })

  await t.test('why an add failed is forgotten when it was long ago', async t => {
    const { store } = await open(t)
    const where = await place(store)
    await begin(store, where, 7)
    await end(store, where, 7, { standing: 'not_found', refused: 'payload_refused', refused_at: NOW })
    await learn(store, where, 'not_found', { before: NOW - 1 })
    t.match(await standing(store, where), { refused: 'payload_refused' })
    await learn(store, where, 'not_found', { before: NOW })
    t.match(await standing(store, where), { refused: null })
  })

  await t.test('whether somebody who adds still does: not once it has ended, or goes elsewhere', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const event = await put(store, where)
    const adds = async (accountKey = where.accountKey) => (await store.read('adder', { delivery_key: event.deliveryKey, account_key: accountKey })).length
    t.strictSame([await adds(), await adds(where.accountKey + 1)], [1, 0])
    await claim(store, where)
    await store.commit([startStep(store, event.deliveryKey, { accountKey: where.accountKey }), settleStep(store, event.deliveryKey)])
    t.equal(await adds(), 0)
  })

  await t.test('deliveries that wait for a person are found, and are due at once; others are left alone', async t => {
    const { store } = await open(t)
    const [where, other] = [await place(store), await place(store, { shop: 'b.example', account: 'A2' })]
    const rest = async (to: Place, reason: string, person = ADA) => {
      const event = await put(store, to, { person })
      await claim(store, to)
      await one(store, 'release_claim', { delivery_key: event.deliveryKey, owner: store.owner, epoch: store.epoch, state: STATE.waiting, reason, detail: null, due_at: NOW + HOUR_MS, finished_at: null })
      return event
    }
    const [looked, pending, limited] = [await rest(where, 'looking_up'), await rest(where, 'opt_in_pending'), await rest(where, 'rate_limited')]
    await rest(where, 'looking_up', BEN)
    await rest(other, 'looking_up')
    const waiting = async (limit = 9) => (await store.read('waiting_for_person', { ...at(where), now: NOW, limit })).map(row => [row.delivery_key, row.queue_key, row.priority, row.reason])
    t.strictSame(await waiting(), [[looked.deliveryKey, where.queueKey, 2, 'looking_up'], [pending.deliveryKey, where.queueKey, 2, 'opt_in_pending']])
    t.equal((await waiting(1)).length, 1)
    for (const { deliveryKey } of [looked, looked, pending]) await one(store, 'hasten_delivery', { delivery_key: deliveryKey, now: NOW + 1 })
    t.strictSame([(await deliveryOf(store, looked)).due_at, (await deliveryOf(store, pending)).due_at, (await deliveryOf(store, limited)).due_at], [NOW + 1, NOW + 1, NOW + HOUR_MS])
    await one(store, 'queue_due', { queue_key: where.queueKey, priority: 2, due_at: NOW + 1, now: NOW + 1 })
    t.match(await queueOf(store, where.shopKey), { queue_key: where.queueKey })
    t.strictSame(await claim(store, where, { now: NOW + 1 }), [looked.deliveryKey, pending.deliveryKey])
    t.strictSame(await waiting(), [])
  })

  await t.test('a notice is kept until it was acted on; the newest one of a person counts', async t => {
    const { store, reopen } = await open(t)
    const where = await place(store)
    const notice = { id: 'n1', account_key: where.accountKey, ref: 's_1', standing: 'subscribed', at: NOW, key_id: 'k1', version: 1, sealed: Uint8Array.of(9, 0), due_at: NOW }
    const due = async (from: Store, now = NOW) => (await from.read('notices_due', { account_key: where.accountKey, now, limit: 9 })).map(({ ref, standing, at, tries, sealed }) => [ref, standing, at, tries, sealed && [...sealed as Uint8Array]])
    await one(store, 'put_notice', notice)
    await one(store, 'put_notice', { ...notice, at: NOW - 1, standing: 'opted_out' })
    const again = await reopen()
    t.strictSame(await due(again), [['s_1', 'subscribed', NOW, 0, [9, 0]]], 'word from before changes nothing')
    await one(again, 'defer_notice', { id: 'n1', at: NOW, due_at: NOW + 9, paid: 1 })
    await one(again, 'defer_notice', { id: 'n1', at: NOW - 1, due_at: NOW + 99, paid: 1 })
    await one(again, 'defer_notice', { id: 'n1', at: NOW, due_at: NOW + 9, paid: 0 })
    t.strictSame(await due(again), [])
    t.match(await again.read('notice', { id: 'n1' }), [{ tries: 1 }])
    t.match(await again.read('subscribers_next', { account_key: where.accountKey }), [{ due_at: NOW + 9 }])
    await one(again, 'put_notice', { ...notice, at: NOW + 1, standing: 'opted_out', ref: null, key_id: null, version: null, sealed: null })
    t.strictSame(await due(again), [['s_1', 'opted_out', NOW + 1, 0, null]])
    t.equal((await one(again, 'drop_notice', { id: 'n1', at: NOW })).changes, 0, 'another one came meanwhile')
    t.equal((await one(again, 'drop_notice', { id: 'n1', at: NOW + 1 })).changes, 1)
    t.match(await again.read('subscribers_next', { account_key: where.accountKey }), [{ due_at: null }])
    t.match(await again.read('connections_of_account', { account_key: where.accountKey, limit: 5 }), [{ shop_key: where.shopKey }])
  })

  await t.test('what was told is believed, unless more is known since', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const believe = (said: string, toldAt: number) => one(store, 'believe_subscriber', { ...at(where), standing: said, at: toldAt, now: NOW + 50 })
    await believe('opted_out', NOW)
    t.match(await standing(store, where), { standing: 'opted_out', since: NOW, checked_at: NOW + 50 })
    t.equal((await believe('subscribed', NOW - 1)).changes, 0)
    t.equal((await believe('subscribed', NOW)).changes, 0, 'the same once more')
    t.equal((await believe('subscribed', NOW + 1)).changes, 1)
    await learn(store, where, 'opted_out', { now: NOW + 60 })
    t.equal((await believe('subscribed', NOW + 59)).changes, 0)
    t.match(await standing(store, where), { standing: 'opted_out', since: NOW + 60 })
  })

  await t.test('people are counted and listed by how they stand, in pages, and named to the shop of their delivery alone', async t => {
    const { store } = await open(t)
    const [where, other] = [await place(store), await place(store, { shop: 'b.example', group: 'second' })]
    t.equal(where.accountKey, other.accountKey, 'two shops share the account')
    const event = await put(store, where)
    const people = [1, 2, 3, 4].map(n => Uint8Array.of(n))
    for (const person of people) {
      await want(store, where, { person, delivery_key: event.deliveryKey })
      await learn(store, where, person[0] === 2 ? 'opted_out' : 'subscribed', { person })
    }
    t.strictSame((await store.read('count_subscribers', { account_key: where.accountKey })).map(row => [row.standing, Number(row.people)]).toSorted(), [['opted_out', 1], ['subscribed', 3]])
    const list = async (after: Uint8Array, { shopKey }: Place = where, said?: string) =>
      (await store.read(said === undefined ? 'list_subscribers' : 'list_subscribers_so', { account_key: where.accountKey, shop_key: shopKey, after_person: after, limit: 2, ...(said !== undefined && { standing: said }) })).map(row => [...row.person as Uint8Array, row.delivery])
    t.strictSame(await list(new Uint8Array(0)), [[1, event.id], [2, event.id]])
    t.strictSame(await list(Uint8Array.of(2)), [[3, event.id], [4, event.id]])
    t.strictSame(await list(Uint8Array.of(1), where, 'subscribed'), [[3, event.id], [4, event.id]])
    t.strictSame(await list(new Uint8Array(0), other), [[1, null], [2, null]])
  })

  await t.test('a standing is forgotten after a time, also of who is on a list; not where something is wanted of them, nor of who wants none', async t => {
    const { store } = await open(t)
    const where = await place(store)
    await learn(store, where, 'not_found', { person: Uint8Array.of(1), now: NOW })
    await learn(store, where, 'subscribed', { person: Uint8Array.of(2), now: NOW })
    await learn(store, where, 'not_found', { person: Uint8Array.of(3), now: NOW + 9 })
    await want(store, where, { person: Uint8Array.of(4) })
    await learn(store, where, 'opted_out', { person: Uint8Array.of(5), now: NOW })
    t.equal((await one(store, 'forget_subscribers', { before: NOW + 8, limit: 10 })).changes, 2)
    t.strictSame((await store.read('count_subscribers', { account_key: where.accountKey })).map(row => [row.standing, Number(row.people)]).toSorted(), [['not_found', 1], ['opted_out', 1], ['unknown', 1]])
    t.equal((await one(store, 'forget_subscribers', { before: NOW + 9, limit: 0 })).changes, 0)
  })

  await t.test('the job of an account is due as soon as anybody wants it', async t => {
    const { store } = await open(t)
    const { accountKey } = await place(store)
    const soon = (dueAt: number) => one(store, 'put_job_soon', { job_key: store.nextKey('jobs'), id: `job_${dueAt}`, kind: 'k', unique_key: '1', account_key: accountKey, due_at: dueAt, now: NOW })
    const due = async (now: number) => (await store.read('jobs_are_due', { now, slots: JSON.stringify([accountKey % 256]) })).length
    await soon(NOW + 9)
    await soon(NOW + 3)
    await soon(NOW + 20)
    t.strictSame([await due(NOW + 2), await due(NOW + 3)], [0, 1])
  })

  await t.test('one that nobody waits for is due as soon, and takes what places the others leave', async t => {
    const { store } = await open(t)
    const put = (name: string, uniqueKey: string, dueAt: number) => one(store, name, { job_key: store.nextKey('jobs'), id: `job_${name}_${uniqueKey}_${dueAt}`, kind: 'k', unique_key: uniqueKey, account_key: null, due_at: dueAt, now: NOW })
    const due = async (now: number) => (await store.read('jobs_are_due', { now, slots: '[]' })).map(({ background }) => Number(background)).toSorted()
    await put('put_background_job_soon', '1', NOW + 9)
    await put('put_background_job_soon', '1', NOW + 3)
    await put('put_background_job_soon', '1', NOW + 20)
    t.strictSame([await due(NOW + 2), await due(NOW + 3)], [[], [1]])
    await put('put_job_soon', '2', NOW + 5)
    await put('put_background_job_soon', '2', NOW + 4)
    t.strictSame(await due(NOW + 4), [0, 1], 'what is there stays what it was')
  })
}
