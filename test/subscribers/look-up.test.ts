// The job that asks a provider about the people of an account: whoever waits goes on, nobody is asked about in vain or too often (D5).

import t, { type Test } from 'tap'
import { STATE, type Answer, type Outcome, type Row, type Runtime, type Store } from '../../gateway/contract.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import type { Way } from '../../gateway/subscribers/asking.ts'
import { lookUp, type LookUpOptions } from '../../gateway/subscribers/look-up.ts'
import { noticed, noticeId, type Notice } from '../../gateway/subscribers/notices.ts'
import { createVault } from '../../gateway/shops/vault.ts'
import { claim, deliveryOf, NOW, one, place, put, type Place, type Put } from '../conformance/store-rows.ts'
import { answer, eventType, key32, provider } from '../helpers/make.ts'
import { newPlace, openAlone } from '../helpers/stores.ts'

const MINUTE_MS = 60_000
const ADA = '+12015550123'
const BEN = '+12015550124'

type Said = { answer: Answer, outcome: Outcome }

const ok = (body: unknown): Said => ({ answer: answer({ body: JSON.stringify(body) }), outcome: { is: 'delivered' } })
const busy: Said = { answer: answer({ status: 503 }), outcome: { is: 'retry', reason: 'provider_failing' } }
const limited: Said = { answer: answer({ status: 429 }), outcome: { is: 'retry', reason: 'rate_limited', free: true, afterMs: 90_000 } }
const noRoom: Said = { answer: { kind: 'not_sent', code: 'NO_ROOM', message: 'none' }, outcome: { is: 'retry', reason: 'rate_limited', free: true, afterMs: 40 } }
const refused: Said = { answer: answer({ status: 401 }), outcome: { is: 'hold', reason: 'credentials_refused' } }
const unfit: Said = { answer: answer({ status: 400 }), outcome: { is: 'rejected', reason: 'payload_refused' } }

interface World {
  store: Store
  where: Place
  options: LookUpOptions
  /** What was asked: request and the number or id. */
  asked: string[]
  woken: number[]
  at (ms: number): void
  /** What the provider says of a number or an id; else nobody has it. */
  says (who: string, said: Said | object): void
  /** A delivery about somebody that rests. */
  rests (phone: string, reason?: string, person?: boolean): Promise<Put>
  standing (phone: string): Promise<Row | undefined>
  run (cursor?: string | null): ReturnType<typeof lookUp>
  notice (more: Partial<Notice>): Promise<void>
}

async function world (t: Test, { connected = true } = {}): Promise<World> {
  let now = NOW
  const store = await openAlone(t, await newPlace(t), () => now)
  const where = await place(store)
  const runtime: Runtime = { ...systemRuntime(), now: () => now }
  const vault = createVault([{ id: 'k1', key: key32() }], key32())
  const person = (phone: string) => vault.fingerprint('person', phone)
  const answers = new Map<string, Said>()
  const asked: string[] = []
  const woken: number[] = []
  const way: Way = {
    accountKey: where.accountKey,
    about: { account_id: 'A1', settings: {} },
    async ask (request, map) {
      asked.push(`${request} ${String(map['who'])}`)
      return answers.get(String(map['who'])) ?? (request === 'find' ? ok([]) : unfit)
    }
  }
  const look = (request: string, field: 'phone' | 'ref') => ({ request, map: { render: (scope: object) => ({ who: (scope as { person: Record<string, string> }).person[field] }) }, read: (body: string) => JSON.parse(body) })
  const alpha = provider({ subscribers: { find: look('find', 'phone'), findByRef: look('by_ref', 'ref'), add: ['thing.joined'], gate: ['thing.happened'], addFor: [], addData: data => data } })
  const options: LookUpOptions = {
    store, runtime, vault, person,
    config: () => ({ eventTypes: { 'thing.happened': eventType({ type: 'thing.happened', person: '/phone' }) } }),
    provider: () => alpha,
    way: async () => connected ? way : null,
    waitMs: failures => failures * MINUTE_MS,
    wake: key => { woken.push(key) }
  }
  const at = (phone: string) => ({ account_key: where.accountKey, person: person(phone) })
  return {
    store, where, options, asked, woken,
    at (ms) { now = NOW + ms },
    says (who, said) { answers.set(who, 'answer' in said ? said as Said : ok([{ digits: who.slice(1), ref: `s${who.slice(-2)}`, state: 'subscribed', ...said }])) },
    async rests (phone, reason = 'looking_up') {
      const event = await put(store, where, { person: person(phone), data: JSON.stringify({ phone }), expiresAt: NOW + 30 * 86_400_000 })
      await claim(store, where, { now })
      await store.commit([
        { name: 'want_subscriber', params: { ...at(phone), seen: 'unknown', due_at: now, delivery_key: event.deliveryKey, doubt: 0, now } },
        { name: 'release_claim', params: { delivery_key: event.deliveryKey, owner: store.owner, epoch: store.epoch, state: STATE.waiting, reason, detail: null, due_at: now + 15 * MINUTE_MS, finished_at: null } }
      ])
      return event
    },
    standing: async phone => (await store.read('subscriber', at(phone)))[0],
    run: (cursor = null) => lookUp(where.accountKey, cursor, options),
    async notice (more) { await store.commit(noticed({ accountKey: where.accountKey, phone: null, ref: null, state: null, at: now, ...more }, { store, runtime, vault })) }
  }
}

const dueAt = async ({ store }: World, event: Put): Promise<unknown> => (await deliveryOf(store, event)).due_at

t.test('whoever waits for a person is due as soon as the provider has said how they stand', async t => {
  const w = await world(t)
  const [ada, again, ben] = [await w.rests(ADA), await w.rests(ADA, 'opt_in_pending'), await w.rests(BEN)]
  w.says(ADA, {})
  w.at(1000)
  t.equal(await w.run(), null, 'nothing is wanted any more')
  t.strictSame(w.asked.toSorted(), [`find ${ADA}`, `find ${BEN}`], 'each once')
  t.strictSame([await dueAt(w, ada), await dueAt(w, again), await dueAt(w, ben)], [NOW + 1000, NOW + 1000, NOW + 1000])
  t.match([await w.standing(ADA), await w.standing(BEN)], [{ standing: 'subscribed', ref: 's23', due_at: null }, { standing: 'not_found', ref: null }])
  t.ok(w.woken.includes(w.where.accountKey))
  t.strictSame(await claim(w.store, w.where, { now: NOW + 1000 }), [ada.deliveryKey, again.deliveryKey, ben.deliveryKey], 'the queue knows')
})

t.test('a person of another number, or of a state that cannot be read, is not taken for the one looked for', async t => {
  const w = await world(t)
  await w.rests(ADA)
  await w.rests(BEN)
  w.says(ADA, { digits: '12015550199' })
  w.says(BEN, { state: null })
  t.match(await w.run(), { dueAt: NOW + MINUTE_MS, cursor: '1' })
  t.match([await w.standing(ADA), await w.standing(BEN)], [{ standing: 'not_found' }, { standing: 'unknown', due_at: NOW + MINUTE_MS }])
})

t.test('who is known well enough is not asked about, and what waits goes on', async t => {
  const w = await world(t)
  await w.rests(ADA)
  w.says(ADA, {})
  await w.run()
  const second = await w.rests(ADA)
  w.at(5000)
  await w.run()
  t.strictSame(w.asked, [`find ${ADA}`])
  t.equal(await dueAt(w, second), NOW + 5000)
})

t.test('who is pending and still not found stays so, and is looked at again only while somebody waits', async t => {
  const w = await world(t)
  const waiting = await w.rests(ADA, 'opt_in_pending')
  const looking = await w.rests(ADA)
  await one(w.store, 'begin_add', { account_key: w.where.accountKey, person: w.options.person(ADA), delivery_key: 99, now: NOW })
  await w.store.commit([{ name: 'want_subscriber', params: { account_key: w.where.accountKey, person: w.options.person(ADA), seen: 'pending', due_at: NOW, delivery_key: looking.deliveryKey, doubt: 1, now: NOW } }])
  w.at(1000)
  t.match(await w.run(), { dueAt: NOW + 1000 + 15 * MINUTE_MS })
  t.match(await w.standing(ADA), { standing: 'pending', checked_at: NOW + 1000 })
  t.strictSame([await dueAt(w, waiting), await dueAt(w, looking)], [NOW + 15 * MINUTE_MS, NOW + 1000], 'only who wanted to know is told')
  w.says(ADA, {})
  w.at(16 * MINUTE_MS)
  t.equal(await w.run(), null)
  t.match(await w.standing(ADA), { standing: 'subscribed' })
})

t.test('an answer that says nothing is asked for again, later each time; one person\'s does not keep others back', async t => {
  const w = await world(t)
  await w.rests(ADA)
  w.says(ADA, busy)
  t.match(await w.run(), { dueAt: NOW + MINUTE_MS, cursor: '1' })
  await w.rests(BEN)
  w.says(BEN, {})
  t.match(await w.run('1'), { dueAt: NOW + MINUTE_MS, cursor: null }, 'others are asked about meanwhile')
  t.match(await w.standing(BEN), { standing: 'subscribed' })
  w.at(MINUTE_MS)
  t.match(await w.run('1'), { dueAt: NOW + 3 * MINUTE_MS, cursor: '2' })
  w.says(ADA, limited)
  w.at(3 * MINUTE_MS)
  t.match(await w.run(null), { dueAt: NOW + 3 * MINUTE_MS + 90_000, cursor: '1' }, 'no sooner than it says')
  w.says(ADA, noRoom)
  w.at(10 * MINUTE_MS)
  t.match(await w.run('1'), { dueAt: NOW + 10 * MINUTE_MS + 1000, cursor: '1' }, 'a full window of our own is no failure')
})

t.test('what waits for an account that must be put right is due, so that it goes then, or elsewhere', async t => {
  const w = await world(t)
  const event = await w.rests(ADA)
  w.says(ADA, refused)
  w.at(2000)
  t.match(await w.run(), { cursor: '1' })
  t.equal(await dueAt(w, event), NOW + 2000)
  t.match(await w.standing(ADA), { standing: 'unknown', due_at: NOW + 2000 + MINUTE_MS })
})

t.test('what cannot be asked is not asked about: a number that makes no request, an event that is gone, a shop that is not connected', async t => {
  const w = await world(t)
  await w.rests(ADA)
  w.says(ADA, unfit)
  t.equal(await w.run(), null)
  t.match(await w.standing(ADA), { standing: 'not_found' })
  await w.store.commit([{ name: 'want_subscriber', params: { account_key: w.where.accountKey, person: w.options.person(BEN), seen: 'unknown', due_at: NOW, delivery_key: 987, doubt: 0, now: NOW } }])
  t.equal(await w.run(), null)
  t.match(await w.standing(BEN), { standing: 'unknown', due_at: null })
  t.strictSame(w.asked, [`find ${ADA}`])
  const alone = await world(t, { connected: false })
  await alone.rests(ADA)
  t.equal(await alone.run(), null)
  t.match([alone.asked.length, await alone.standing(ADA)], [0, { standing: 'unknown', due_at: null }])
})

/** The list says the opposite of what was told: it is asked twice more, a minute apart, before it is taken. */
async function contradicted (w: World, from: number): Promise<void> {
  for (const minutes of [0, 1, 2]) {
    w.at(from + minutes * MINUTE_MS)
    await w.run()
  }
}

t.test('a list that lags behind what was told is asked again, and nobody\'s message is refused meanwhile', async t => {
  const w = await world(t)
  const event = await w.rests(ADA, 'opt_in_pending')
  await one(w.store, 'begin_add', { account_key: w.where.accountKey, person: w.options.person(ADA), delivery_key: 99, now: NOW - 5 })
  w.says(ADA, { state: 'opted_out' })
  w.at(1000)
  await w.notice({ phone: ADA, state: 'subscribed' })
  t.match(await w.run(), { dueAt: NOW + 1000 + MINUTE_MS })
  t.match(await w.standing(ADA), { standing: 'pending' })
  t.ok(await dueAt(w, event) as number > NOW + MINUTE_MS, 'it waits')
  w.says(ADA, {})
  w.at(1000 + MINUTE_MS)
  await w.run()
  t.match([await w.standing(ADA), await dueAt(w, event)], [{ standing: 'subscribed' }, NOW + 1000 + MINUTE_MS])
})

t.test('what the provider told is looked up: by number, by its own id, and believed only where the list shows nobody', async t => {
  const w = await world(t)
  const event = await w.rests(ADA, 'opt_in_pending')
  await one(w.store, 'begin_add', { account_key: w.where.accountKey, person: w.options.person(ADA), delivery_key: 99, now: NOW - 5 })
  w.says(ADA, {})
  w.at(1000)
  await w.notice({ phone: '1 (201) 555-0123', state: 'opted_out' })
  await contradicted(w, 1000)
  t.match(await w.standing(ADA), { standing: 'subscribed' }, 'the provider\'s list is what counts in the end')
  t.equal(await dueAt(w, event), NOW + 1000 + 2 * MINUTE_MS)
  w.says('s77', { digits: BEN.slice(1), state: 'opted_out' })
  w.at(1000)
  await w.notice({ ref: 's77', state: 'subscribed' })
  await contradicted(w, 1000)
  t.match(await w.standing(BEN), { standing: 'opted_out' })
  await w.notice({ ref: 's78', phone: '+12015550125', state: 'subscribed', at: NOW + 500 })
  await w.run()
  t.match(await w.standing('+12015550125'), { standing: 'subscribed', since: NOW + 500 }, 'nobody is found by either')
  await w.notice({ ref: 's79', state: 'subscribed' })
  t.equal(await w.run(), null, 'and without a number nobody can be meant')
  t.strictSame(w.asked.slice(-3), ['by_ref s78', 'find +12015550125', 'by_ref s79'])
})

t.test('word from before what is known changes nothing; a person who is looked at without word is taken as found', async t => {
  const w = await world(t)
  await w.notice({ phone: ADA, state: 'opted_out', at: NOW + 50 })
  await w.run()
  t.match(await w.standing(ADA), { standing: 'opted_out', since: NOW + 50 })
  await w.notice({ phone: ADA, state: 'subscribed', at: NOW + 40 })
  await w.run()
  t.match(await w.standing(ADA), { standing: 'opted_out' })
  await w.notice({ phone: ADA, state: 'subscribed', at: NOW + 60 })
  await w.run()
  t.match(await w.standing(ADA), { standing: 'subscribed', since: NOW + 60 })
  w.at(100)
  await w.notice({ phone: ADA })
  await w.run()
  t.match(await w.standing(ADA), { standing: 'not_found' })
})

t.test('a notice that the provider does not answer is tried a dozen times, then taken at its word', async t => {
  const w = await world(t)
  w.says(ADA, busy)
  await w.notice({ phone: ADA, state: 'subscribed' })
  await w.notice({ phone: null, ref: null, state: 'subscribed' })
  let cursor: string | null = null
  let times = 0
  for (let again = await w.run(cursor); again !== null; again = await w.run(cursor)) {
    cursor = again.cursor
    times++
    w.at(again.dueAt - NOW)
  }
  t.equal(times, 11)
  t.match(await w.standing(ADA), { standing: 'subscribed' })
})

t.test('a round ends in time, however many wait: others have their turn', async t => {
  const w = await world(t)
  for (let i = 0; i < 40; i++) await w.rests(`+1201555${String(100 + i).padStart(4, '0')}`)
  let mono = 0
  const slow = { ...w.options, runtime: { ...w.options.runtime, mono: () => { mono += 1000; return mono } } }
  const again = await lookUp(w.where.accountKey, '3', slow)
  t.match(again, { dueAt: NOW, cursor: null })
  t.ok(w.asked.length < 40 && w.asked.length >= 4, `asked ${w.asked.length}`)
  await w.run()
  t.equal(new Set(w.asked).size, 40)
  t.equal(w.asked.length, 40, 'each once')
})

t.test('no phone number is kept in clear text', async t => {
  const w = await world(t)
  await w.rests(ADA)
  await w.notice({ phone: ADA, ref: 's1', state: 'subscribed' })
  const vault = createVault([{ id: 'k1', key: key32() }], key32())
  t.notMatch(noticeId({ accountKey: 1, phone: ADA, ref: null }, vault), '2015550123')
  const rows = [...await w.store.read('notices_due', { account_key: w.where.accountKey, now: NOW, limit: 9 }), await w.standing(ADA)]
  for (const row of rows) for (const value of Object.values(row as Row)) t.notMatch(Buffer.from(value instanceof Uint8Array ? value : String(value)).toString('latin1'), '2015550123')
})
