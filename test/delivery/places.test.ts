// How much of a provider's work is claimed at once: no more than it has places for, so that one that hangs keeps
// nobody's deliveries but those on its wire.

import t from 'tap'
import type { Answer } from '../../gateway/contract.ts'
import { until } from '../helpers/fake-runtime.ts'
import { hang, type Exchange } from '../helpers/fault-server.ts'
import { group, HOUR_MS, request, shop } from '../helpers/make.ts'
import { world, type World, type WorldOptions } from './world.ts'

const PLACES = 4
const MINUTE_MS = 60_000
const SHOPS = 10

/** Two looks of the poll: whoever may claim has done so. */
async function quiet (w: World): Promise<void> {
  const from = w.runtime.mono()
  await until('two looks are over', () => w.runtime.mono() - from > 600)
}

const claimed = async (w: World, provider: string) =>
  Number((await w.query(`select count(*) as n from deliveries d join queues q on q.queue_key = d.queue_key where q.provider = '${provider}' and d.owner is not null`))[0]?.n)

/** Between the deliveries and their store: counts what is claimed together at most, and keeps calls back while told to. */
function watch (provider: string): { seen: { most: number }, to: { w: World | null }, release (): void, between: NonNullable<WorldOptions['between']> } {
  const seen = { most: 0 }
  const to: { w: World | null } = { w: null }
  let release = (): void => {}
  const released = new Promise<void>(resolve => { release = resolve })
  return {
    seen,
    to,
    release,
    between: store => ({
      async commit (unit) {
        if (unit.some(({ name }) => name === 'start_call')) await released
        const results = await store.commit(unit)
        if (to.w && unit.some(({ name }) => name === 'claim_deliveries')) seen.most = Math.max(seen.most, await claimed(to.w, provider))
        return results
      }
    })
  }
}

t.test('however many accounts want to, no more is claimed of a provider than it has places, before the calls are written and while it hangs', async t => {
  const shops = Array.from({ length: SHOPS }, (_, i) => shop(`s${i}`))
  const { seen, to, release, between } = watch('alpha')
  const waiting: Exchange[] = []
  const w = to.w = await world(t, { start: false, shops, providers: [{ concurrency: PLACES, deadlineMs: HOUR_MS }], reply: exchange => { waiting.push(exchange) }, between })
  const ids = (await Promise.all(shops.map(({ id }) => w.accept(id, 5)))).flat()
  await w.start()
  await until('the places are taken', async () => await claimed(w, 'alpha') >= PLACES)
  await quiet(w)
  t.strictSame([await claimed(w, 'alpha'), seen.most, w.server.received.length], [PLACES, PLACES, 0], 'claimed, and not on the wire yet')

  release()
  await until('the wire is full', () => waiting.length === PLACES)
  await Promise.all(shops.map(({ id }) => w.accept(id)))
  await quiet(w)
  t.strictSame([await claimed(w, 'alpha'), seen.most, w.server.received.length], [PLACES, PLACES, PLACES], 'on the wire, and everybody was woken')

  w.server.reply = ({ response }) => { response.writeHead(202).end() }
  for (const { response } of waiting) response.writeHead(202).end()
  await w.all(ids, 'delivered')
  t.equal(seen.most, PLACES, 'and no place was lost or given twice on the way')
  t.equal(w.server.seen.most, PLACES)
})

t.test('what goes to other providers passes one that hangs', async t => {
  const w = await world(t, {
    start: false,
    shops: [...Array.from({ length: SHOPS }, (_, i) => shop(`s${i}`)), shop('other', { provider: 'beta' })],
    providers: [{ concurrency: PLACES, deadlineMs: HOUR_MS }, { id: 'beta', concurrency: PLACES }],
    reply: exchange => { if (exchange.request.url.startsWith('/alpha/')) return hang(exchange); exchange.response.writeHead(202).end() }
  })
  await Promise.all(Array.from({ length: SHOPS }, (_, i) => w.accept(`s${i}`, 5)))
  await w.start()
  await until('it hangs', () => w.server.received.length === PLACES)
  await w.all(await w.accept('other', 20), 'delivered')
  t.equal(await claimed(w, 'alpha'), PLACES)
})

t.test('a place is given back by what ends without a call', async t => {
  const w = await world(t, {
    shops: Array.from({ length: SHOPS }, (_, i) => shop(`s${i}`)),
    providers: [{ concurrency: 1, prepare: (_type, scope) => ({ ok: false, reason: 'mapping_failed', detail: scope.shop.id }) }]
  })
  const ids = (await Promise.all(Array.from({ length: SHOPS }, (_, i) => w.accept(`s${i}`, 3)))).flat()
  await w.all(ids, 'rejected')
  t.equal(await claimed(w, 'alpha'), 0)
})

// ── questions ──────────────────────────────────────────────────────────────────────────────────

const QUESTIONS = 12
const isQuestion = ({ request }: Exchange): boolean => request.method === 'GET'

/** Asks the provider something over a shop's account. */
async function ask (w: World, shop: string): Promise<Answer> {
  const connection = (await w.state(shop)).connections.get('alpha')
  if (!connection?.secrets) throw new Error(`${shop} is not connected`)
  return await w.deliver.ask({ ...connection, secrets: connection.secrets }, 'messages', {})
}

t.test('questions that hang take a quarter of the places, and deliveries go by them', async t => {
  const hanging: Exchange[] = []
  const w = await world(t, {
    shops: [shop('a'), shop('b')],
    providers: [{ concurrency: 8, deadlineMs: HOUR_MS }],
    reply: exchange => { if (isQuestion(exchange)) hanging.push(exchange); else exchange.response.writeHead(202).end() }
  })
  const asked = Array.from({ length: QUESTIONS }, () => ask(w, 'a'))
  await until('they hang', () => hanging.length === 2)
  await w.all([...await w.accept('a', 20), ...await w.accept('b', 20)], 'delivered')
  t.equal(hanging.length, 2)
  w.server.reply = ({ response }) => { response.writeHead(200).end('[]') }
  for (const { response } of hanging) response.writeHead(200).end('[]')
  t.strictSame([...new Set((await Promise.all(asked)).map(({ kind }) => kind))], ['answer'], 'and each has its turn')
  t.equal(w.server.received.filter(({ method }) => method === 'GET').length, QUESTIONS)
})

t.test('a question takes no place that was promised to a delivery, and gets the next one that comes free', async t => {
  const { release, between } = watch('alpha')
  const waiting: Exchange[] = []
  const w = await world(t, { start: false, providers: [{ concurrency: PLACES, deadlineMs: HOUR_MS }], reply: exchange => { waiting.push(exchange) }, between })
  await w.accept('a', 20)
  await w.start()
  await until('the places are promised', async () => await claimed(w, 'alpha') === PLACES)
  const asked = ask(w, 'a')
  await quiet(w)
  t.equal(w.server.received.length, 0, 'the calls are not on disk yet, and the question waits behind them')
  release()
  await until('the wire is full', () => waiting.length === PLACES)
  t.notOk(waiting.some(isQuestion))
  waiting[0]?.response.writeHead(202).end()
  await until('the next one is there', () => waiting.length === PLACES + 1)
  t.ok(isQuestion(waiting[PLACES] as Exchange), 'and it is the question, though deliveries are due')
  w.server.reply = ({ response }) => { response.writeHead(202).end() }
  for (const { response } of waiting.slice(1)) response.writeHead(202).end('[]')
  t.match(await asked, { kind: 'answer' })
  await until('all are sent', () => w.server.received.length === 21)
  t.equal(w.server.seen.most, PLACES)
})

t.test('a question whose windows are full keeps no place from deliveries', async t => {
  const w = await world(t, {
    providers: [{
      concurrency: 1,
      groups: { events: group('events'), reads: group('reads', [{ max: 1, perMs: HOUR_MS }]) },
      request: name => ({ ok: true, request: request({ name, group: 'reads', method: 'GET', path: `/${name}`, body: null }) })
    }]
  })
  t.match(await ask(w, 'a'), { kind: 'answer' })
  let answered = false
  const asked = ask(w, 'a').finally(() => { answered = true })
  await w.all(await w.accept('a', 20), 'delivered')
  t.notOk(answered)
  w.runtime.skip(MINUTE_MS)
  t.match(await asked, { kind: 'not_sent', code: 'NO_ROOM' })
})

t.test('a question that finds no room in time gives its place back', async t => {
  const waiting: Exchange[] = []
  const w = await world(t, { providers: [{ concurrency: 1, deadlineMs: HOUR_MS }], reply: exchange => { waiting.push(exchange) } })
  const ids = await w.accept('a', 2)
  await until('the place is taken', () => waiting.length === 1)
  const asked = ask(w, 'a')
  w.runtime.skip(MINUTE_MS)
  t.match(await asked, { kind: 'not_sent', code: 'NO_ROOM' })
  w.server.reply = ({ response }) => { response.writeHead(202).end() }
  waiting[0]?.response.writeHead(202).end()
  await w.all(ids, 'delivered')
  t.match(await ask(w, 'a'), { kind: 'answer' }, 'and the next one may ask')
})
