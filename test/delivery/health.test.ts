import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Answer } from '../../gateway/contract.ts'
import { FAILING, Health, PROBE_MS, signOf } from '../../gateway/delivery/health.ts'
import { closedPort, status, type Exchange, type Reply } from '../helpers/fault-server.ts'
import { until } from '../helpers/fake-runtime.ts'
import { answer, group, shop } from '../helpers/make.ts'
import { shopsOf, world, type World } from './world.ts'

const NOW = 1_800_000_000_000
const MINUTE_MS = 60_000

/** Long enough for the next look at what is due: nothing more comes. */
async function quiet (w: World): Promise<void> {
  const from = w.runtime.mono()
  await until('two looks are over', () => w.runtime.mono() - from > 600)
}

async function held (w: World): Promise<void> {
  await until('it is held', () => w.held.at(-1)?.reason === FAILING)
}

async function settled (w: World, calls: number): Promise<void> {
  await until(`${calls} calls are settled`, () => w.attempts.length === calls)
}

async function accountOf (w: World, shop: string) {
  const key = (await w.state(shop)).connections.get('alpha')?.accountKey as number
  return (await w.store.read('account', { account_key: key }))[0]
}

// ── the counts ─────────────────────────────────────────────────────────────────────────────────

t.test('R42: a failure is 5xx, no answer, or a provider not reached; 429 and what we ended ourselves say nothing', async t => {
  const wire = (kind: 'not_sent' | 'no_answer', code: string): Answer => ({ kind, code, message: '' })
  const signs = (answers: Answer[]) => [...new Set(answers.map(signOf))]
  t.strictSame(signs([500, 502, 503, 504, 599].map(code => answer({ status: code }))), ['fails'])
  t.strictSame(signs([200, 202, 301, 400, 401, 403, 404, 408, 422].map(code => answer({ status: code }))), ['works'])
  t.strictSame(signs([answer({ status: 429 })]), ['limited'])
  t.strictSame(signs([wire('not_sent', 'ECONNREFUSED'), wire('not_sent', 'DEADLINE'), wire('no_answer', 'DEADLINE'), wire('no_answer', 'UND_ERR_SOCKET')]), ['fails'])
  t.strictSame(signs([wire('not_sent', 'STOPPED'), wire('no_answer', 'STOPPED'), wire('not_sent', 'ELSEWHERE'), wire('not_sent', 'HELD'), wire('no_answer', 'FAILED')]), ['nothing'])
})

t.test('R42: bad is 70 % failures among ten calls or more', async t => {
  const after = (fails: number, works: number): boolean => {
    const health = new Health()
    for (let i = 0; i < works; i++) health.count('works', NOW)
    for (let i = 0; i < fails; i++) health.count('fails', NOW)
    return health.isBad(NOW)
  }
  t.strictSame([after(9, 0), after(10, 0), after(7, 3), after(6, 4), after(70, 30), after(69, 31)], [false, true, true, false, true, false])
  const health = new Health()
  for (let i = 0; i < 100; i++) t.equal(health.count('limited', NOW), false)
  t.equal(health.calls, 0)
})

t.test('what is older than five minutes counts no more, nor does what a clock that was put back counted ahead', async t => {
  const health = new Health()
  for (let i = 0; i < 10; i++) health.count('fails', NOW)
  t.equal(health.isBad(NOW + 4 * MINUTE_MS), true)
  t.equal(health.isBad(NOW + 5 * MINUTE_MS), false)
  for (let i = 0; i < 10; i++) health.count('fails', NOW)
  t.equal(health.isBad(NOW - 60 * MINUTE_MS), false)
  t.equal(health.calls, 0)
})

t.test('what is saved is what was counted, and small', async t => {
  const calls = fc.array(fc.record({ sign: fc.constantFrom('works' as const, 'fails' as const, 'limited' as const), ms: fc.nat(20_000) }), { maxLength: 200 })
  fc.assert(fc.property(calls, calls => {
    const health = new Health()
    let now = NOW
    let saved = '[]'
    for (const { sign, ms } of calls) {
      now += ms
      if (health.count(sign, now)) saved = health.text()
    }
    const again = new Health(saved)
    // Calls that worked in the last second may be missing, and no failure is.
    return health.text().length < 1200 && again.failed === health.failed && again.calls <= health.calls
  }), { numRuns: 200 })
  t.pass('it was')
})

// ── with a provider that fails ─────────────────────────────────────────────────────────────────

t.test('R42, B5: a provider that fails is asked ten times, then once every 30 seconds until it works; what waits pays nothing', async t => {
  const w = await world(t, { start: false, providers: [{ concurrency: 1 }], reply: status(503) })
  const ids = await w.accept('a', 30)
  await w.start()
  await held(w)
  await settled(w, 10)
  await quiet(w)
  t.equal(w.server.received.length, 10, 'ten, and no more')
  t.match(w.held, [{ provider: 'alpha', reason: FAILING, calls: 10, failed: 10 }])
  t.match(await accountOf(w, 'a'), { held_reason: FAILING })
  t.match(await w.shown(ids[29] as string), { state: 'held', reason: FAILING })
  for (const calls of [11, 12, 13]) {
    w.runtime.skip(PROBE_MS - 5000)
    await quiet(w)
    t.equal(w.server.received.length, calls - 1, 'not before its time')
    w.runtime.skip(5000)
    await settled(w, calls)
    await quiet(w)
    t.equal(w.server.received.length, calls, 'one probe')
  }
  t.equal(new Set(w.server.received.map(({ body }) => body)).size, 13, 'each probe is another one of those that wait')
  w.server.reply = status(202)
  w.runtime.skip(PROBE_MS)
  await until('it works again', () => w.held.at(-1)?.reason === null)
  await until('what waited is sent', () => w.attempts.filter(({ outcome }) => outcome === 'delivered').length >= 20)
  w.runtime.skip(10_000)
  await w.all(ids, 'delivered')
  const rows = await Promise.all(ids.map(id => w.delivery(id)))
  t.equal(rows.reduce((sum, row) => sum + (row.attempts as number), 0), 10 + 30, 'the three probes that failed are not among them')
  t.match(await accountOf(w, 'a'), { held_reason: null, held_until: null, health: '[]' })
  t.equal(w.held.length, 2)
})

t.test('R42: of many at once no more fail than ten and those on the wire with them', async t => {
  const waiting: Exchange[] = []
  const w = await world(t, { start: false, providers: [{ concurrency: 8 }], reply: exchange => { waiting.push(exchange) } })
  await w.accept('a', 60)
  await w.start()
  const next = async () => (await until('a request', () => waiting.shift())).response.writeHead(500).end()
  await until('all places are taken', () => waiting.length === 8)
  for (let i = 0; i < 10; i++) await next()
  await held(w)
  for (let answered = 10; answered < w.server.received.length; answered++) await next()
  await settled(w, w.server.received.length)
  await quiet(w)
  t.ok(w.server.received.length >= 10 && w.server.received.length <= 17, `${w.server.received.length} requests`)
})

t.test('R42: an account whose calls fail less often than that goes on, and 429 and refusals never count', async t => {
  let n = 0
  const reply: Reply = exchange => status([500, 422, 503, 404, 500, 202, 422, 500, 400, 502][n++ % 10] as number)(exchange) // 5 of 10
  const w = await world(t, { start: false, providers: [{ concurrency: 1, uncertain: 'park' }], reply })
  await w.accept('a', 40)
  await w.start()
  await settled(w, 40)
  t.strictSame(w.held, [])
  w.server.reply = status(429, { 'retry-after': '1' })
  await w.accept('a', 1)
  for (let i = 41; i < 55; i++) { await settled(w, i); w.runtime.skip(1100) }
  t.strictSame(w.held, [])
})

t.test('R42: one that refuses connections is held like one that answers 503', async t => {
  const w = await world(t, { start: false, origin: `http://127.0.0.1:${await closedPort()}`, providers: [{ concurrency: 1 }] })
  await w.accept('a', 20)
  await w.start()
  await held(w)
  await quiet(w)
  t.equal(w.attempts.length, 10)
})

t.test('an account of another shop at the same provider goes on', async t => {
  const reply: Reply = exchange => status(exchange.request.body.includes('"shop":"a"') ? 500 : 202)(exchange)
  const w = await world(t, { shops: [shop('a'), shop('b')], reply })
  await w.accept('a', 40)
  await held(w)
  await w.all(await w.accept('b', 20), 'delivered')
  t.strictSame(w.held.map(({ reason }) => reason), [FAILING])
  t.equal(shopsOf(w.server).filter(shop => shop === 'b').length, 20)
})

t.test('an answer to what was sent before it was held sets nothing free', async t => {
  const waiting: Exchange[] = []
  const w = await world(t, { start: false, providers: [{ concurrency: 16 }], reply: exchange => { waiting.push(exchange) } })
  await w.accept('a', 30)
  await w.start()
  await until('all places are taken', () => waiting.length === 16)
  for (const exchange of waiting.splice(0, 10)) exchange.response.writeHead(500).end()
  await held(w)
  for (const exchange of waiting.splice(0)) exchange.response.writeHead(202).end()
  await quiet(w)
  t.strictSame(w.held.map(({ reason }) => reason), [FAILING])
  t.match(await accountOf(w, 'a'), { held_reason: FAILING })
})

/** Another gateway on what the first one left. */
async function restarted (t: Test, w: World, reply: Reply): Promise<World> {
  return await world(t, { place: await w.die(), like: w, shops: [], providers: [{ concurrency: 1 }], reply })
}

t.test('R1, B5: a gateway that is killed forgets neither the failures it counted nor what it held', async t => {
  const first = await world(t, { start: false, providers: [{ concurrency: 1, groups: { events: group('events', [{ max: 6, perMs: 1000 }]) } }], reply: status(500) })
  await first.accept('a', 20)
  await first.start()
  await settled(first, 6)
  await until('they are on disk', async () => String((await accountOf(first, 'a'))?.health).includes(',6,6]'))
  const second = await restarted(t, first, status(500))
  await held(second)
  await settled(second, 4)
  await quiet(second)
  t.equal(second.server.received.length, 4, 'ten in all')
  const third = await restarted(t, second, status(202))
  await quiet(third)
  t.equal(third.server.received.length, 0)
  third.runtime.skip(PROBE_MS)
  await until('it works again', () => third.held.at(-1)?.reason === null)
})

t.test('a question is put to a failing provider only as its probe, and an answer sets the account free', async t => {
  // Each rests after its call, so that none is left to be the probe.
  const w = await world(t, { start: false, providers: [{ concurrency: 1, uncertain: 'park' }], reply: status(500) })
  await w.accept('a', 10)
  await w.start()
  await held(w)
  await until('none is in flight', () => w.deliver.working === 0)
  const { secrets, ...connection } = (await w.state('a')).connections.get('alpha') as never as { secrets: Record<string, string> }
  const ask = () => w.deliver.ask({ ...connection, secrets } as never, 'me', {})
  const refused = { kind: 'not_sent', code: 'HELD' }
  t.match(await ask(), refused)
  w.runtime.skip(PROBE_MS)
  t.match(await Promise.all([ask(), ask()]), [{ kind: 'answer', status: 500 }, refused])
  t.match(await ask(), refused, 'it failed')
  t.equal(w.server.received.length, 11)
  w.server.reply = status(200, {}, '{}')
  w.runtime.skip(PROBE_MS)
  t.match(await ask(), { kind: 'answer', status: 200 })
  t.equal(w.held.at(-1)?.reason, null)
  t.match(await ask(), { kind: 'answer', status: 200 })
})

t.test('whoever connects again need not wait for the probe', async t => {
  const w = await world(t, { start: false, providers: [{ concurrency: 1 }], reply: status(500) })
  const ids = await w.accept('a', 12)
  await w.start()
  await held(w)
  w.server.reply = status(202)
  const key = (await w.state('a')).connections.get('alpha')?.accountKey as number
  w.deliver.release([key])
  await w.becomes(ids[11] as string, 'delivered')
  t.match(await accountOf(w, 'a'), { held_reason: null, health: '[]' })
})

// ── what the provider says is left ─────────────────────────────────────────────────────────────

t.test('A6: where somebody else uses the account, no more is sent than the provider says is left', async t => {
  const windows = [{ max: 100, perMs: MINUTE_MS }]
  let left = 20
  const reply: Reply = exchange => {
    left--
    status(left < 0 ? 429 : 202, { 'ratelimit-remaining': String(Math.max(0, left)), 'ratelimit-reset': '40', 'retry-after': '40' })(exchange)
  }
  const w = await world(t, { start: false, providers: [{ concurrency: 4, groups: { events: group('events', windows) }, limitHeaders: { remaining: 'ratelimit-remaining', reset: 'ratelimit-reset' } }], reply })
  const ids = await w.accept('a', 60)
  await w.start()
  await until('what is left is used', () => w.server.received.length >= 17)
  await quiet(w)
  t.ok(w.server.received.length <= 20, 'none was refused')
  left = 60
  w.runtime.skip(40_000)
  await w.all(ids, 'delivered')
})
