// Requests without an answer, at a provider that can be asked about them: what arrived is found, what did not is sent, and nobody is texted twice.

import t from 'tap'
import { STATE } from '../../gateway/contract.ts'
import { reconcile } from '../../gateway/delivery/reconcile.ts'
import { detailsOf } from '../../gateway/delivery/view.ts'
import { Jobs } from '../../gateway/jobs/runner.ts'
import { until } from '../helpers/fake-runtime.ts'
import { eventType, group, HOUR_MS, request } from '../helpers/make.ts'
import type { Place } from '../helpers/stores.ts'
import { Carrier, lost, watched, type Lost, type Message } from './carrier.ts'
import { world } from './world.ts'

const MINUTE_MS = 60_000

async function one (t: Parameters<typeof lost>[0], carrier: Carrier, more: Parameters<typeof lost>[3] = {}): Promise<Lost & { id: string }> {
  const made = await lost(t, carrier, 1, more)
  const [id] = made.ids as [string]
  await made.w.becomes(id, 'unknown', 'no_answer')
  return { ...made, id }
}

const sent = ({ w }: Lost) => w.server.received.filter(({ method }) => method === 'POST').length

t.test('an unknown leaves a job, and is asked about with what was sent and when', async t => {
  const { w, carrier, id, round } = await one(t, new Carrier('lost_after'))
  const row = await w.delivery(id)
  const [job] = await w.query('select kind, due_at, delivery_key from jobs')
  t.match(job, { kind: 'reconcile', delivery_key: row.delivery_key, due_at: row.settled_at as number + MINUTE_MS })
  await round(id)
  t.strictSame(carrier.questions, [{ body: w.server.received[0]?.body, reservedAt: row.reserved_at, givenUpAt: row.settled_at }])
  t.match(w.server.received[1], { method: 'GET', url: '/alpha/messages', headers: { authorization: 'Key secret-of-a' } })
})

t.test('what is found is judged as if the request had been answered so', async t => {
  const found = await one(t, new Carrier('lost_after'))
  t.equal(await found.round(found.id), null)
  t.match(await found.w.becomes(found.id, 'delivered', 'accepted_elsewhere'), { receipt: 'm1', due_at: null, attempts: 1 })
  const [row, ...earlier] = [await found.w.delivery(found.id)]
  t.match(detailsOf(row, earlier, () => 'Alpha'), { provider_message_id: 'm1', adjusted_settings: null })

  const failed = await one(t, Object.assign(new Carrier('lost_after'), { made: { failed: true } }))
  t.equal(await failed.round(failed.id), null)
  t.match(await failed.w.becomes(failed.id, 'rejected', 'phone_refused'), { detail: 'it failed', receipt: 'm1' })

  const busy = await one(t, Object.assign(new Carrier('lost_after'), { made: { busy: true } }))
  t.ok(await busy.round(busy.id), 'an answer that settles nothing: asked again')
  t.match(await busy.w.shown(busy.id), { state: 'unknown' })
  for (const made of [found, failed, busy]) t.equal(sent(made), 1)
})

t.test('an answer that came keeps the provider\'s id, and a refusal after it was made does too', async t => {
  const { w, ids } = await lost(t, new Carrier('answered'))
  t.match(await w.becomes(ids[0] as string, 'delivered', null), { receipt: 'm1' })
  const refused = await lost(t, Object.assign(new Carrier('answered'), { made: { failed: true } }))
  t.match(await refused.w.becomes(refused.ids[0] as string, 'rejected'), { receipt: 'm1' })
})

t.test('that nothing is found is believed five minutes after the request, and then it is sent again', async t => {
  const { w, carrier, id, round, ...rest } = await one(t, new Carrier('lost_before', 'answered'))
  const { reserved_at: reservedAt } = await w.delivery(id)
  const again = await round(id)
  t.equal(again?.dueAt, reservedAt as number + 5 * MINUTE_MS)
  t.match(await w.shown(id), { state: 'unknown' })
  w.runtime.skip((again?.dueAt as number) - w.runtime.now())
  t.equal(await round(id), null)
  t.match(await w.becomes(id, 'delivered', null), { attempts: 2, call_no: 2, receipt: 'm1' })
  t.equal(sent({ w, carrier, round, ...rest }), 2)
  t.equal(carrier.messages.length, 1)
})

t.test('a clock that is set on while it is asked makes no list older than it is', async t => {
  const { w, carrier, id, round } = await one(t, new Carrier('lost_after', 'answered'))
  carrier.hidden.add('m1')
  carrier.meanwhile = async () => { w.runtime.skip(10 * MINUTE_MS) }
  t.ok(await round(id), 'asked again')
  t.match(await w.shown(id), { state: 'unknown' })
  carrier.meanwhile = async () => {}
  carrier.hidden.clear()
  t.equal(await round(id), null)
  t.match(await w.becomes(id, 'delivered', 'accepted_elsewhere'), { receipt: 'm1', call_no: 1 })
  t.equal(carrier.messages.length, 1)
})

t.test('what was certainly not sent and is too old by now has expired', async t => {
  const { w, carrier, id, round } = await one(t, new Carrier('lost_before'), { config: { eventTypes: { 'thing.happened': eventType({ type: 'thing.happened', expiresAfterMs: 5 * MINUTE_MS }) } } })
  w.runtime.skip(6 * MINUTE_MS)
  t.equal(await round(id), null)
  t.match(await w.becomes(id, 'expired', 'expired'), { due_at: null, call_no: 1 })
  t.ok((await w.delivery(id)).finished_at)
  t.equal(carrier.messages.length, 0)
})

t.test('while it is unclear it is asked again at growing distances, and then a person decides', async t => {
  const { w, carrier, id, round } = await one(t, new Carrier('lost_after'))
  carrier.word = { is: 'unclear', detail: 'secret-of-a is no word' }
  for (const ms of [MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 120 * MINUTE_MS]) {
    const again = await round(id)
    t.ok(Math.abs((again?.dueAt as number) - w.runtime.now() - ms) < 1000)
  }
  t.equal(await round(id), null)
  const row = await w.becomes(id, 'unknown', 'no_answer')
  t.match(row, { detail: '*** is no word', due_at: null })
  t.ok(row.finished_at)
})

t.test('a question that could not be put, or was not answered, is no question: it is put again for a day', async t => {
  const { w, carrier, id, round, learnt } = await one(t, new Carrier('lost_after'))
  const stopped = { ask: async () => ({ kind: 'not_sent', code: 'NO_ROOM', message: 'no room' }) as const }
  const silent = { ask: async () => ({ kind: 'no_answer', code: 'DEADLINE', message: 'no full answer' }) as const }
  const turnedAway = [401, 403, 429, 500, 503].map(status => ({ ask: async () => ({ kind: 'answer', status, headers: {}, body: '', cut: false }) as const }))
  for (const ask of [stopped, silent, ...turnedAway, ...turnedAway]) {
    const again = await round(id, ask)
    t.ok(Math.abs((again?.dueAt as number) - w.runtime.now() - 30_000) < 1000)
  }
  t.strictSame([...new Set(learnt)], ['unasked'])
  const refused = { ask: async () => ({ kind: 'answer', status: 404, headers: {}, body: '', cut: false }) as const }
  t.ok(Math.abs(((await round(id, refused))?.dueAt as number) - w.runtime.now() - MINUTE_MS) < 1000, 'any other answer is one')
  carrier.word = { is: 'unclear' }
  t.ok(Math.abs(((await round(id))?.dueAt as number) - w.runtime.now() - 5 * MINUTE_MS) < 1000, 'those before it did not count')
  carrier.word = null
  w.runtime.skip(24 * HOUR_MS)
  t.equal(await round(id, stopped), null)
  t.ok((await w.becomes(id, 'unknown', 'no_answer')).finished_at, 'a person decides')
})

t.test('an outage of hours resolves itself when it is over', async t => {
  const { w, id, round, learnt } = await one(t, new Carrier('lost_after'))
  const reply = w.server.reply
  w.server.reply = ({ response }) => { response.writeHead(503).end() }
  for (let hours = 0; hours < 20; hours++) {
    t.ok(await round(id))
    w.runtime.skip(HOUR_MS)
  }
  w.server.reply = reply
  t.equal(await round(id), null)
  await w.becomes(id, 'delivered', 'accepted_elsewhere')
  t.strictSame([...new Set(learnt)], ['unasked', 'done'])
})

t.test('what is kept of a question is its path alone: the query may name a person', async t => {
  const { w, id, round } = await one(t, new Carrier('lost_after'), { providers: [{ request: name => ({ ok: true, request: request({ name, method: 'GET', path: `/${name}?to=%2B12015550123`, body: null }) }) }] })
  await round(id)
  t.equal(w.server.received[1]?.url, '/alpha/messages?to=%2B12015550123')
  t.strictSame((await w.query('select request_head from calls')).map(({ request_head: head }) => head), ['GET /messages'])
})

t.test('nothing is believed of another account than the one it went over', async t => {
  const { w, id, round } = await one(t, new Carrier('lost_before'))
  await w.shops.putConnection('a', 'alpha', { auth: null, secrets: { api_key: 'other-secret' }, accountId: 'other', settings: {}, ready: ['things'] }, 'test')
  w.runtime.skip(6 * MINUTE_MS)
  t.ok(await round(id))
  t.match(await w.shown(id), { state: 'unknown' })
  await w.shops.deleteConnection('a', 'alpha', 'test')
  t.ok(await round(id), 'nor where there is none any more')
  t.equal(w.server.received.filter(({ method }) => method === 'POST').length, 1)
})

t.test('what is settled by now, or gone, is not asked about', async t => {
  const { carrier, id, round, w } = await one(t, new Carrier('lost_after'))
  await round(id)
  await w.becomes(id, 'delivered')
  t.equal(await round(id), null)
  t.equal(carrier.questions.length, 1)
})

// ── twins ──────────────────────────────────────────────────────────────────────────────────────

t.test('of messages that look alike each is one delivery\'s, however many ask at once; those without one are sent, once', async t => {
  const fates = ['lost_after', 'lost_before', 'lost_before', 'lost_after', 'lost_after', 'lost_before', 'lost_after', 'lost_before'] as const
  const { w, carrier, ids, round } = await lost(t, new Carrier(...fates, 'answered'), fates.length)
  await w.all(ids, 'unknown')
  t.equal(carrier.messages.length, 4)
  const first = await Promise.all(ids.map(id => round(id)))
  t.equal(first.filter(again => again === null).length, 4)
  w.runtime.skip(5 * MINUTE_MS)
  for (let rounds = 0; rounds < 5; rounds++) {
    await Promise.all(ids.map(id => round(id)))
    w.runtime.skip(MINUTE_MS)
    await until('nothing is on the wire', async () => w.deliver.working === 0 && (await w.query(`select 1 from deliveries where state in (${STATE.waiting}, ${STATE.sending})`)).length === 0)
  }
  await w.all(ids, 'delivered')
  t.equal(carrier.messages.length, ids.length, 'each got its one message')
  const receipts = await Promise.all(ids.map(async id => (await w.delivery(id)).receipt))
  t.equal(new Set(receipts).size, ids.length)
})

t.test('a message is not taken while its own delivery may be on the wire', async t => {
  const { w, carrier, ids: [mine], round } = await lost(t, new Carrier('lost_before', 'slow'))
  await w.becomes(mine as string, 'unknown')
  const [twin] = await w.accept('a') as [string]
  await until('it is made', () => carrier.slow.length === 1)
  t.ok(await round(mine as string), 'asked again')
  t.match(await w.shown(mine as string), { state: 'unknown' })
  for (const answer of carrier.slow) answer()
  t.match(await w.becomes(twin, 'delivered', null), { receipt: 'm1' })
  carrier.fates = ['answered']
  w.runtime.skip(5 * MINUTE_MS)
  t.equal(await round(mine as string), null)
  t.match(await w.becomes(mine as string, 'delivered', null), { receipt: 'm2' })
})

t.test('a message that failed is its delivery\'s all the same', async t => {
  const { w, carrier, ids, round } = await lost(t, Object.assign(new Carrier('lost_after', 'lost_before', 'answered'), { made: { failed: true } }), 2)
  await w.all(ids, 'unknown')
  const results = await Promise.all(ids.map(id => round(id)))
  t.equal(results.filter(again => again === null).length, 1)
  carrier.made = {}
  w.runtime.skip(5 * MINUTE_MS)
  await Promise.all(ids.map(id => round(id)))
  await until('the other is sent', () => carrier.messages.length === 2)
  await until('both are settled', async () => (await Promise.all(ids.map(id => w.shown(id)))).every(({ state }) => state === 'delivered' || state === 'rejected'))
  t.strictSame((await Promise.all(ids.map(async id => (await w.shown(id)).state))).toSorted(), ['delivered', 'rejected'])
})

t.test('what may be ours, made at another time, makes it unclear as long as it is nobody else\'s', async t => {
  const { w, carrier, ids: [mine, twin], round } = await lost(t, new Carrier('lost_before', 'lost_before', 'answered'), 2)
  await w.all([mine as string, twin as string], 'unknown')
  carrier.messages.push({ id: 'm1', at: w.runtime.now() - MINUTE_MS, key: '' })
  w.runtime.skip(5 * MINUTE_MS)
  const again = await round(mine as string)
  t.ok(Math.abs((again?.dueAt as number) - w.runtime.now() - MINUTE_MS) < 1000)
  t.match(await w.shown(mine as string), { state: 'unknown' })
  t.equal(carrier.messages.length, 1, 'nothing is sent')

  const { delivery_key: key, account_key: account, call_no: callNo } = await w.delivery(twin as string)
  await w.store.commit([{ name: 'adopt_answer', params: { delivery_key: key as number, account_key: account as number, call_no: callNo as number, receipt: 'm1', state: STATE.delivered, reason: 'accepted_elsewhere', detail: null, now: w.runtime.now() } }])
  t.equal(await round(mine as string), null)
  t.match(await w.becomes(mine as string, 'delivered', null), { receipt: 'm2', call_no: 2 })
})

// ── one delivery, several calls ────────────────────────────────────────────────────────────────

t.test('a message of an earlier call that shows up late ends it: it is not sent a third time', async t => {
  const { w, carrier, id, round } = await one(t, new Carrier('lost_after', 'lost_before', 'answered'))
  carrier.hidden.add('m1')
  w.runtime.skip(5 * MINUTE_MS)
  t.equal(await round(id), null, 'believed, and sent again')
  await until('the second call is lost too', async () => (await w.delivery(id)).call_no === 2 && (await w.shown(id)).state === 'unknown')
  const { reserved_at: reservedAt } = await w.delivery(id)
  carrier.hidden.clear()
  w.runtime.skip(5 * MINUTE_MS)
  t.equal(await round(id), null)
  t.strictSame(carrier.questions.slice(1).map(question => question.reservedAt === reservedAt), [true, false], 'the latest first')
  t.match(await w.becomes(id, 'delivered', 'accepted_elsewhere'), { receipt: 'm1', call_no: 2 })
  t.equal(carrier.messages.length, 1)
})

t.test('what an earlier call of its own made is not taken for the next one\'s', async t => {
  const { w, carrier, ids: [id], round } = await lost(t, Object.assign(new Carrier('answered', 'lost_before', 'answered'), { made: { failed: true } }))
  const failed = await w.becomes(id as string, 'rejected', 'phone_refused')
  t.match(failed, { receipt: 'm1' })
  carrier.made = {}
  const now = w.runtime.now()
  await w.store.commit([{ name: 'retry_delivery', params: { delivery_key: failed.delivery_key as number, now, expires_at: failed.expires_at as number, unknown: 0 } }, { name: 'queue_due', params: { queue_key: failed.queue_key as number, priority: 2, due_at: now, now } }])
  await w.becomes(id as string, 'unknown', 'no_answer')
  carrier.messages.splice(0, 1, { ...carrier.messages[0] as Message, at: (await w.delivery(id as string)).reserved_at as number })
  t.ok(await round(id as string), 'what the list shows is the first call\'s')
  t.match(await w.delivery(id as string), { state: STATE.unknown, receipt: null })
  w.runtime.skip(5 * MINUTE_MS)
  t.equal(await round(id as string), null)
  t.match(await w.becomes(id as string, 'delivered', null), { receipt: 'm2', call_no: 3 })
})

t.test('word of one call says nothing of the next', async t => {
  const { w, carrier, id, round } = await one(t, new Carrier('lost_before', 'lost_after', 'answered'))
  w.runtime.skip(5 * MINUTE_MS)
  const row = await w.delivery(id)
  carrier.word = { is: 'not_found' }
  carrier.meanwhile = async () => {
    carrier.meanwhile = async () => {}
    const now = w.runtime.now()
    await w.store.commit([{ name: 'retry_delivery', params: { delivery_key: row.delivery_key as number, now, expires_at: row.expires_at as number, unknown: 1 } }, { name: 'queue_due', params: { queue_key: row.queue_key as number, priority: 2, due_at: now, now } }])
    await until('a person had it sent again, and that is lost as well', async () => (await w.delivery(id)).call_no === 2 && (await w.shown(id)).state === 'unknown')
  }
  await round(id)
  t.match(await w.shown(id), { state: 'unknown' })
  carrier.word = null
  t.equal(await round(id), null)
  t.match(await w.becomes(id, 'delivered', 'accepted_elsewhere'), { call_no: 2, receipt: 'm1' })
  t.equal(carrier.messages.length, 1)
})

t.test('the questions about a call are counted anew for the next one', async t => {
  const { w, carrier, id, round } = await one(t, new Carrier('lost_before', 'lost_before'))
  carrier.word = { is: 'unclear' }
  for (let i = 0; i < 4; i++) await round(id)
  carrier.word = { is: 'not_found' }
  w.runtime.skip(5 * MINUTE_MS)
  await round(id)
  await until('the second call is lost too', async () => (await w.delivery(id)).call_no === 2 && (await w.shown(id)).state === 'unknown')
  carrier.word = { is: 'unclear' }
  for (let i = 0; i < 4; i++) t.ok(await round(id))
  t.equal(await round(id), null)
})

// ── crashes, and many at once ──────────────────────────────────────────────────────────────────

t.test('a crash before or after whatever it writes changes nothing about what becomes of it', async t => {
  for (const [fate, skipMs] of [['lost_after', 0], ['lost_before', 5 * MINUTE_MS]] as const) {
    for (const death of ['before', 'after'] as const) {
      const { w, carrier, id, round } = await one(t, new Carrier(fate, 'answered'))
      w.runtime.skip(skipMs)
      const left: Place[] = []
      const dying = watched(w.store, async (_unit, when) => {
        if (when !== death) return
        left.push(await w.die())
        throw new Error('the process is dead')
      })
      await t.rejects(round(id, { store: dying }), { message: 'the process is dead' })
      t.equal(left.length, 1, 'it writes once')
      await w.stop()
      const next = await world(t, { place: left[0] as Place, like: w, reply: carrier.reply, providers: [carrier.provider] })
      next.runtime.skip(skipMs)
      const { store, runtime, shops, providers, deliver } = next
      const jobs = new Jobs({ store, runtime, onError: error => { t.fail(String(error)) }, handlers: {
        reconcile: job => reconcile(job.deliveryKey as number, job.cursor, { store, runtime, shops, providers, ask: (...args) => deliver.ask(...args), onLearnt: () => {}, onError: error => { t.fail(String(error)) } })
      } })
      next.runtime.skip(MINUTE_MS)
      await jobs.start([])
      t.match(await next.becomes(id, 'delivered'), { receipt: 'm1' }, fate)
      await until('the job is gone', async () => (await next.query('select 1 from jobs')).length === 0)
      await jobs.stop()
      t.equal(carrier.messages.length, 1, 'one message, whenever it died')
    }
  }
})

t.test('what was on the wire at a crash is asked about when it is up again', async t => {
  const { w, carrier, ids: [id] } = await lost(t, new Carrier('slow'))
  await until('it is made', () => carrier.slow.length === 1)
  const next = await world(t, { place: await w.die(), like: w, reply: carrier.reply, providers: [carrier.provider], start: false })
  t.equal(await next.start(), 1)
  const { store, runtime, shops, providers, deliver } = next
  t.equal((await next.query('select due_at from jobs where kind = \'reconcile\'')).length, 1)
  t.equal(await reconcile((await next.delivery(id as string)).delivery_key as number, null, { store, runtime, shops, providers, ask: (...args) => deliver.ask(...args), onLearnt: () => {}, onError: () => {} }), null)
  t.match(await next.becomes(id as string, 'delivered', 'accepted_elsewhere'), { receipt: 'm1' })
})

t.test('two hundred are asked about, in the account\'s windows, and none is left or texted twice', async t => {
  const count = 200
  const carrier = new Carrier('answered')
  // Every second one is answered: else the account would be held as one whose provider fails.
  carrier.fates = Array.from({ length: 2 * count }, (_, i) => i % 2 === 0 ? 'answered' : i % 3 === 0 ? 'lost_before' : 'lost_after')
  carrier.fates.push('answered')
  const groups = { events: group('events', [{ max: 800, perMs: 1000 }]) }
  const { w, ids } = await lost(t, carrier, 2 * count, { providers: [{ groups }] })
  const unknown = async () => Number((await w.query(`select count(*) as n from deliveries where state = ${STATE.unknown}`))[0]?.n)
  await until('all are sent', async () => await unknown() === count, 30_000)
  const { store, runtime, shops, providers, deliver } = w
  let most = 0
  let open = 0
  let asked = 0
  const jobs = new Jobs({ store, runtime, onError: error => { t.fail(String(error)) }, handlers: {
    async reconcile (job) {
      most = Math.max(most, ++open)
      try {
        return await reconcile(job.deliveryKey as number, job.cursor, { store, runtime, shops, providers, ask: (...args) => deliver.ask(...args), onLearnt: () => { asked++ }, onError: error => { t.fail(String(error)) } })
      } finally {
        open--
      }
    }
  } })
  runtime.skip(MINUTE_MS + 1000)
  await jobs.start([])
  await until('all are asked about', () => asked >= count, 60_000)
  await until('those that are there are found', async () => await unknown() === Math.ceil(count / 3))
  while (await unknown() > 0) {
    const [next] = await w.query('select min(due_at) as at from jobs where due_at is not null')
    if (typeof next?.at === 'number' && next.at > runtime.now()) runtime.skip(next.at - runtime.now())
    await new Promise(resolve => { setTimeout(resolve, 20) })
  }
  await w.all(ids, 'delivered')
  await jobs.stop()
  t.ok(most > 1 && most <= 20, `${most} at one time`)
  t.equal(carrier.messages.length, 2 * count)
  t.equal(new Set((await w.query('select receipt from deliveries')).map(({ receipt }) => receipt)).size, 2 * count)
})
