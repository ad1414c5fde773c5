import t, { type Test } from 'tap'
import { STATE, type Provider, type Row, type Verdict } from '../../gateway/contract.ts'
import { HOLD_MS } from '../../gateway/delivery/settle.ts'
import { until } from '../helpers/fake-runtime.ts'
import { hang, inTurn, reset, status, type Exchange, type Reply } from '../helpers/fault-server.ts'
import { bodyOf, eventType, group, request, shop, standing, DAY_MS, HOUR_MS } from '../helpers/make.ts'
import { keysOf, shopsOf, world, type World, type WorldOptions } from './world.ts'

const MINUTE_MS = 60_000

/** Long enough for the next look at what is due: nothing more comes. */
async function quiet (w: World): Promise<void> {
  const from = w.runtime.mono()
  await until('two looks are over', () => w.runtime.mono() - from > 600)
}

/** Waits until so many attempts are paid. */
async function attempted (w: World, id: string, times: number): Promise<Row> {
  await until(`${times} attempts`, async () => (await w.delivery(id)).attempts === times)
  return await w.delivery(id)
}

// ── one send ───────────────────────────────────────────────────────────────────────────────────

t.test('a delivery is sent once, with its key and credentials, and is delivered', async t => {
  const w = await world(t, { reply: status(202, { 'content-type': 'application/json' }, '{"id":"p1"}') })
  const [id] = await w.accept('a') as [string]
  const row = await w.becomes(id, 'delivered', null)
  t.strictSame(standing(row), { state: STATE.delivered, reason: null, attempts: 1, owner: null, dueAt: null, callNo: 1 })
  t.match(row, { status: 202, outcome: 'delivered', answer: '{"id":"p1"}', lane: 'events', claims: 0 })
  t.ok(row.finished_at as number >= (row.reserved_at as number))
  t.ok(row.settled_at as number >= (row.reserved_at as number))
  const [received] = w.server.received
  t.match(received, { method: 'POST', url: '/alpha/events', headers: { authorization: 'Key secret-of-a', 'content-type': 'application/json' } })
  t.match(JSON.parse(received?.body as string), { key: id, shop: 'a', attempt: 1 })
  t.match(w.attempts, [{ delivery: id, shop: 'a', provider: 'alpha', type: 'thing.happened', attempt: 1, status: 202, outcome: 'delivered', reason: null }])
  t.equal(w.server.received.length, 1)
})

t.test('the call is on disk, as it is sent, before the request is on the wire', async t => {
  const seen: Row[] = []
  const w = await world(t, {
    reply: async ({ request: { body }, response }) => {
      seen.push(...await w.query(`select state, call_no, lane, reserved_at, settled_at, request_body, owner from deliveries where id = '${(JSON.parse(body) as { key: string }).key}'`))
      response.writeHead(202).end()
    }
  })
  const ids = await w.accept('a', 20)
  await w.all(ids, 'delivered')
  t.equal(seen.length, 20)
  for (const row of seen) t.match(row, { state: STATE.sending, call_no: 1, lane: 'events', settled_at: null, owner: w.store.owner })
  t.strictSame(seen.map(row => row.request_body).toSorted(), w.server.received.map(({ body }) => body).toSorted())
})

t.test('neither what is kept of a request nor of its answer holds a secret', async t => {
  const w = await world(t, { reply: status(400, { 'content-type': 'text/plain' }, 'bad key secret-of-a given') })
  const [id] = await w.accept('a') as [string]
  const row = await w.becomes(id, 'rejected')
  t.equal(row.answer, 'bad key *** given')
  t.notMatch(JSON.stringify(row), /secret-of-a/)
})

t.test('R43: what the provider refuses is rejected at once', async t => {
  const w = await world(t, { reply: status(422) })
  const [id] = await w.accept('a') as [string]
  t.strictSame(standing(await w.becomes(id, 'rejected', 'payload_refused')), { state: STATE.rejected, reason: 'payload_refused', attempts: 1, owner: null, dueAt: null, callNo: 1 })
})

t.test('R42: a failing provider is asked again as the schedule says, as long as it is worth it', async t => {
  const w = await world(t, { reply: inTurn(status(503), status(500), status(202)) })
  const [id] = await w.accept('a') as [string]
  const first = await w.becomes(id, 'unknown', 'provider_failing')
  t.match(standing(first), { attempts: 1, owner: null })
  t.equal(first.due_at, first.settled_at as number + 5000)
  await quiet(w)
  t.equal(w.server.received.length, 1)
  w.runtime.skip(5000)
  const second = await attempted(w, id, 2)
  t.equal(second.due_at, second.settled_at as number + 300_000)
  w.runtime.skip(300_000)
  t.match(standing(await w.becomes(id, 'delivered')), { attempts: 3, callNo: 3 })
  t.strictSame(await w.query('select call_no, status, outcome from calls order by call_no'), [{ call_no: 1, status: 503, outcome: 'retry' }, { call_no: 2, status: 500, outcome: 'retry' }])
})

t.test('a provider that cannot be reached is tried again, and the windows do not count it', async t => {
  const w = await world(t, { start: false })
  w.providers.set('alpha', { ...w.providers.get('alpha') as Provider, baseUrl: 'https://127.0.0.1/alpha' })
  await w.deliver.use(w.config, w.providers)
  await w.start()
  const [id] = await w.accept('a') as [string]
  const row = await w.becomes(id, 'waiting', 'not_connected_to_provider')
  t.match(row, { settled_at: null, status: null, attempts: 1 })
  t.match(row.detail, /ADDRESS_REFUSED/)
})

// ── limits ─────────────────────────────────────────────────────────────────────────────────────

t.test('R40: a 429 pauses its account\'s lane and no other, and costs no attempt', async t => {
  const limit: { on: boolean } = { on: true }
  const reply: Reply = exchange => (limit.on && exchange.request.body.includes('"shop":"a"') ? status(429, { 'retry-after': '120' }) : status(202))(exchange)
  const w = await world(t, { shops: [shop('a'), shop('b')], reply })
  const [first] = await w.accept('a') as [string]
  t.match(standing(await w.becomes(first, 'waiting', 'rate_limited')), { attempts: 0, owner: null, callNo: 1 })
  limit.on = false
  const more = await w.accept('a', 5)
  const others = await w.accept('b', 5)
  await w.all(others, 'delivered')
  await quiet(w)
  t.equal(shopsOf(w.server).filter(shop => shop === 'a').length, 1, 'nothing during the pause')
  t.strictSame(await w.shown(more[0] as string), { state: 'waiting', reason: null })
  w.runtime.skip(120_000)
  await w.all([first, ...more], 'delivered')
  t.equal((await w.delivery(first)).attempts, 1)
})

t.test('R41: requests refused together without a time wait a minute together, not longer for each of them', async t => {
  let answered = 0
  const held: Array<() => void> = []
  const together: Reply = ({ response }) => {
    held.push(() => { response.writeHead(429).end() })
    if (held.length === 10) for (const answer of held) answer()
    answered++
  }
  const w = await world(t, { start: false, reply: together })
  const ids = await w.accept('a', 10)
  await w.start()
  for (const id of ids) await w.becomes(id, 'waiting', 'rate_limited')
  t.equal(answered, 10)
  const now = w.runtime.now()
  for (const id of ids) t.ok((await w.delivery(id)).due_at as number <= now + MINUTE_MS)
  w.server.reply = status(202)
  w.runtime.skip(MINUTE_MS)
  await w.all(ids, 'delivered')
})

t.test('a pause outlives the process', async t => {
  const w = await world(t, { reply: inTurn(status(429, { 'retry-after': '600' }), status(202)) })
  const [first] = await w.accept('a') as [string]
  await w.becomes(first, 'waiting', 'rate_limited')
  const [second] = await w.accept('a') as [string]
  await w.stop()
  await w.store.close()
  const next = await world(t, { place: w.place, like: w })
  await quiet(next)
  t.equal(next.server.received.length, 0)
  next.runtime.skip(600_000)
  await next.all([first, second], 'delivered')
})

t.test('A6: a lane that opens again counts the calls of before', async t => {
  const providers = [{ groups: { events: group('events', [{ max: 3, perMs: HOUR_MS }]) } }]
  const w = await world(t, { providers })
  const ids = await w.accept('a', 5)
  await until('three are sent', () => w.server.received.length === 3)
  await w.stop()
  await w.store.close()
  const next = await world(t, { providers, place: w.place, like: w })
  await quiet(next)
  t.equal(next.server.received.length, 0)
  next.runtime.skip(HOUR_MS)
  await next.all(ids, 'delivered')
  t.equal(next.server.received.length, 2)
})

t.test('shops on one account share its windows', async t => {
  const w = await world(t, { shops: [shop('a', { account: 'X' }), shop('b', { account: 'X' })], providers: [{ groups: { events: group('events', [{ max: 4, perMs: HOUR_MS }]) } }] })
  await w.accept('a', 5)
  await w.accept('b', 5)
  await until('four are sent', () => w.server.received.length === 4)
  await quiet(w)
  t.equal(w.server.received.length, 4)
})

t.test('a lane without room does not keep back what goes over another one', async t => {
  const reads = new Map<string, number>()
  const w = await world(t, {
    start: false,
    providers: [{
      groups: { slow: group('slow', [{ max: 1, perMs: HOUR_MS }]), events: group('events') },
      events: { 'thing.urgent': { request: 'create', group: 'slow' }, 'thing.happened': { request: 'create', group: 'events' } },
      prepare: (type, scope) => ({ ok: true, request: request({ group: type === 'thing.urgent' ? 'slow' : 'events', body: bodyOf(scope) }) })
    }],
    between: store => ({
      read (query, params) {
        reads.set(query, (reads.get(query) ?? 0) + 1)
        return store.read(query, params)
      }
    })
  })
  const urgent = await w.accept('a', 3, 'thing.urgent')
  const others = await w.accept('a', 3)
  await w.start()
  await w.all(others, 'delivered')
  await w.becomes(urgent[0] as string, 'delivered')
  const before = reads.get('ready_queues') ?? 0
  await quiet(w)
  t.ok((reads.get('ready_queues') ?? 0) - before < 20, `it does not turn in circles: ${(reads.get('ready_queues') ?? 0) - before} looks`)
  t.equal(w.server.received.length, 4)
  w.runtime.skip(HOUR_MS)
  await w.becomes(urgent[1] as string, 'delivered')
})

// ── fairness ───────────────────────────────────────────────────────────────────────────────────

const ONE_BY_ONE = { concurrency: 1, groups: { events: group('events', [{ max: 1, perMs: 10 }]) } }

t.test('the urgent goes first, and then the shops of an account take turns', async t => {
  const w = await world(t, { start: false, shops: [shop('a', { account: 'X' }), shop('b', { account: 'X' })], providers: [ONE_BY_ONE] })
  await w.accept('a', 6)
  await w.accept('b', 3)
  const urgent = await w.accept('a', 2, 'thing.urgent')
  await w.start()
  await until('all are sent', () => w.server.received.length === 11)
  t.strictSame(keysOf(w.server).slice(0, 2), urgent)
  const turns = shopsOf(w.server).slice(2).join('')
  t.match(turns, /^(ab){3}aaa$|^(ba){3}aaa$/, `neither was served before: ${turns}`)
})

t.test('a shop that comes late to a busy account does not wait for the others\' backlog', async t => {
  const w = await world(t, { shops: [shop('a', { account: 'X' }), shop('b', { account: 'X' })], providers: [ONE_BY_ONE] })
  await w.accept('a', 100)
  await until('some are sent', () => w.server.received.length >= 5)
  const [late] = await w.accept('b') as [string]
  await w.becomes(late, 'delivered')
  t.ok(w.server.received.length < 60, `${w.server.received.length} of 100 went before it`)
})

t.test('a provider never has more open requests than it takes, however many accounts there are', async t => {
  const shops = Array.from({ length: 20 }, (_, i) => shop(`s${i}`))
  // Each waits until the places are full, and then a moment for one too many: 60 go in fifteen full rounds.
  const open: Exchange[] = []
  const full: Reply = exchange => {
    if (open.push(exchange) < 4) return
    setTimeout(() => { for (const { response } of open.splice(0)) response.writeHead(202).end() }, 5)
  }
  const w = await world(t, { start: false, shops, providers: [{ concurrency: 4 }], reply: full })
  const ids = (await Promise.all(shops.map(({ id }) => w.accept(id, 3)))).flat()
  await w.start()
  await w.all(ids, 'delivered')
  t.equal(w.server.seen.most, 4)
  t.equal(w.server.received.length, 60)
})

t.test('more accounts than may be open at once are all served', async t => {
  const w = await world(t, { start: false, shops: [], providers: [{ concurrency: 64 }] })
  const names = Array.from({ length: 1050 }, (_, i) => `s${i}`)
  await Promise.all(names.map(async id => {
    const state = await w.shops.put({ id, name: id, domain: `${id}.example`, plan: 'pro', active: true }, 'test')
    await w.shops.putConnection(state.shop.id, 'alpha', { auth: null, secrets: { api_key: `secret-${id}` }, accountId: id, settings: {}, ready: ['things'] }, 'test')
  }))
  const ids = (await Promise.all(names.map(id => w.accept(id)))).flat()
  await w.start()
  await until('those at rest have made way', () => w.server.received.length === 1050, 30_000)
  await w.all(ids, 'delivered')
  t.equal(new Set(keysOf(w.server)).size, 1050)
})

t.test('A6: an account that waits long for one of the provider\'s places is not counted twice', async t => {
  const taken: Array<() => void> = []
  const w = await world(t, {
    shops: [shop('a'), shop('b')],
    providers: [{ concurrency: 1, deadlineMs: HOUR_MS, groups: { events: group('events', [{ max: 2, perMs: HOUR_MS }]) } }],
    reply: ({ request: { body }, response }) => {
      const answer = () => { response.writeHead(202).end() }
      if (body.includes('"shop":"a"')) taken.push(answer)
      else answer()
    }
  })
  await w.accept('a')
  await until('the place is taken', () => taken.length === 1)
  await w.accept('b', 6)
  await quiet(w)
  w.runtime.skip(MINUTE_MS)
  await quiet(w)
  for (const answer of taken) answer()
  await until('its turn has come', () => shopsOf(w.server).filter(shop => shop === 'b').length >= 2)
  await quiet(w)
  t.equal(shopsOf(w.server).filter(shop => shop === 'b').length, 2)
})

// ── credentials ────────────────────────────────────────────────────────────────────────────────

t.test('R44: refused credentials hold the account; one delivery probes it, and what gets through frees all', async t => {
  const w = await world(t, { reply: status(401) })
  const [first] = await w.accept('a') as [string]
  t.match(standing(await w.becomes(first, 'held', 'credentials_refused')), { attempts: 0, owner: null })
  const others = await w.accept('a', 4)
  for (const id of others) t.strictSame(await w.shown(id), { state: 'held', reason: 'credentials_refused' })
  await quiet(w)
  t.equal(w.server.received.length, 1, 'no second call while it is held')

  w.runtime.skip(HOLD_MS)
  await until('the probe', () => w.server.received.length === 2)
  await quiet(w)
  t.equal(w.server.received.length, 2, 'a probe that is refused holds it again')

  w.server.reply = status(202)
  w.runtime.skip(HOLD_MS)
  await w.all([first, ...others], 'delivered')
  t.match((await w.query('select held_reason, held_until from accounts'))[0], { held_reason: null, held_until: null })
  t.equal((await w.delivery(first)).attempts, 1)
})

/** Refuses every request that says so, as one whose account is at fault. */
const odd: Reply = exchange => status(exchange.request.body.includes('"odd"') ? 401 : 202)(exchange)
const ODD: Partial<Provider> = { prepare: (type, scope) => ({ ok: true, request: request({ body: JSON.stringify({ ...JSON.parse(bodyOf(scope)) as object, type, is: type === 'thing.urgent' ? 'odd' : 'plain' }) }) }) }
const oddOnes = (w: World) => w.server.received.filter(({ body }) => body.includes('"odd"')).length

/** Queues that are there already: making one is a change of the shop, which has a held account tried at once. */
async function oddWorld (t: Test, queues: Array<[shop: string, type: string]>, more: WorldOptions = {}): Promise<World> {
  const w = await world(t, { shops: ['a', 'b', 'c'].map(id => shop(id, { account: 'X' })), providers: [ODD], ...more })
  for (const [id, type] of queues) await w.all(await w.accept(id, 1, type), 'delivered')
  w.server.received.splice(0)
  w.server.reply = odd
  return w
}

t.test('R44: one message that is refused as if the account were, stops nobody: another probes, and then it is refused for itself', async t => {
  const w = await oddWorld(t, [['a', 'thing.urgent'], ['b', 'thing.happened']])
  const [first] = await w.accept('a', 1, 'thing.urgent') as [string]
  await w.becomes(first, 'held', 'credentials_refused')
  const others = await w.accept('b', 5)
  await quiet(w)
  t.equal(w.server.received.length, 1)
  w.runtime.skip(HOLD_MS)
  await w.all(others, 'delivered')
  t.match(standing(await w.becomes(first, 'rejected', 'credentials_refused')), { owner: null, dueAt: null, callNo: 2 })
  t.equal(oddOnes(w), 2)
  await w.all(await w.accept('b', 5), 'delivered')
  t.match(await w.query('select held_reason from accounts'), [{ held_reason: null }])
})

t.test('R44: nor those of its own queue, however urgent it is, also when the gateway is started anew', async t => {
  const config = { eventTypes: { 'thing.urgent': eventType({ type: 'thing.urgent', kind: 'transactional' }), 'thing.happened': eventType({ type: 'thing.happened' }) } }
  const w = await oddWorld(t, [['a', 'thing.happened']], { config })
  const [first] = await w.accept('a', 1, 'thing.urgent') as [string]
  await w.becomes(first, 'held', 'credentials_refused')
  const others = await w.accept('a', 3)
  await w.stop()
  await w.store.close()
  const next = await world(t, { place: w.place, like: w, shops: [], providers: [ODD], config, reply: odd })
  next.runtime.skip(HOLD_MS)
  await next.all(others, 'delivered')
  await next.becomes(first, 'rejected', 'credentials_refused')
  t.equal(oddOnes(next), 1)
})

t.test('R44: those that are refused and those that are not take turns as the probe', async t => {
  const w = await oddWorld(t, [['a', 'thing.urgent'], ['b', 'thing.urgent'], ['c', 'thing.happened']])
  const [first] = await w.accept('a', 1, 'thing.urgent') as [string]
  await w.becomes(first, 'held')
  const [second] = await w.accept('b', 1, 'thing.urgent') as [string]
  w.runtime.skip(HOLD_MS)
  await until('the other one was tried', async () => (await w.delivery(second)).outcome === 'hold')
  const [plain] = await w.accept('c') as [string]
  w.runtime.skip(HOLD_MS)
  await w.all([plain], 'delivered')
  await w.all([first, second], 'rejected')
  t.equal(oddOnes(w), 4)
})

t.test('R44: what was refused with one key and is refused with the next one waits on, for nothing was taken since', async t => {
  const w = await world(t, { start: false, reply: status(401) })
  const ids = await w.accept('a', 3)
  await w.start()
  for (const id of ids) await w.becomes(id, 'held', 'credentials_refused')
  await until('all three were tried', () => w.server.received.length === 3)
  await w.shops.putConnection('a', 'alpha', { auth: null, secrets: { api_key: 'wrong-as-well' }, accountId: 'a', settings: {}, ready: ['things'] }, 'test')
  await until('they were tried again', () => w.server.received.length === 6)
  for (const id of ids) await w.becomes(id, 'held', 'credentials_refused')
  w.server.reply = status(202)
  w.runtime.skip(HOLD_MS)
  await w.all(ids, 'delivered')
})

t.test('R44: a new connection is used at once, with what it brings', async t => {
  const w = await world(t, { reply: exchange => status(exchange.request.headers.authorization === 'Key better-secret' ? 202 : 401)(exchange) })
  const ids = await w.accept('a', 3)
  for (const id of ids) await w.becomes(id, 'held', 'credentials_refused')
  await w.shops.putConnection('a', 'alpha', { auth: null, secrets: { api_key: 'better-secret' }, accountId: 'a', settings: {}, ready: ['things'] }, 'test')
  await w.all(ids, 'delivered')
})

t.test('a change of a shop that holds nothing back leaves no account shown as held', async t => {
  const w = await world(t, { reply: inTurn(status(401), status(202)) })
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'held', 'credentials_refused')
  await w.shops.put({ id: 'a', name: 'Other', domain: 'a.example', plan: 'pro', active: true }, 'test')
  await w.becomes(id, 'delivered')
  t.equal((await w.query('select held_reason from accounts'))[0]?.held_reason, null)
})

t.test('a hold outlives the process', async t => {
  const w = await world(t, { reply: status(401) })
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'held')
  await w.stop()
  await w.store.close()
  // Declaring the shop anew would be a new connection, so it is left as it is.
  const next = await world(t, { place: w.place, like: w, shops: [] })
  await quiet(next)
  t.equal(next.server.received.length, 0)
  next.runtime.skip(HOLD_MS)
  await next.becomes(id, 'delivered')
})

t.test('a page in front of the provider pauses the account for a while', async t => {
  const w = await world(t, { shops: [shop('a'), shop('b')], reply: inTurn(status(403, { 'content-type': 'text/html' }, '<html>'), status(202)) })
  const [first] = await w.accept('a') as [string]
  t.match(standing(await w.becomes(first, 'waiting', 'blocked_by_provider')), { attempts: 0 })
  await w.accept('a')
  const other = await w.accept('b')
  await w.all(other, 'delivered')
  await quiet(w)
  t.equal(w.server.received.length, 2)
  w.runtime.skip(15 * MINUTE_MS)
  await w.becomes(first, 'delivered')
})

// ── before a send ──────────────────────────────────────────────────────────────────────────────

t.test('what could not be put together is rejected at the first try, and nothing is sent', async t => {
  const w = await world(t, { providers: [{ prepare: () => ({ ok: false, reason: 'mapping_failed', detail: 'no such field' }) }] })
  const [id] = await w.accept('a') as [string]
  const row = await w.becomes(id, 'rejected', 'mapping_failed')
  t.match(row, { attempts: 0, call_no: 0, detail: 'no such field', owner: null, due_at: null })
  t.equal(w.server.received.length, 0)
  t.match(w.refused, [{ delivery: id, reason: 'mapping_failed' }])
})

t.test('an event type without a mapping is rejected', async t => {
  const w = await world(t, { providers: [{ events: { 'thing.urgent': { request: 'create', group: 'events' } } }] })
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'rejected', 'event_not_supported')
})

t.test('what expired while it waited is not sent, and says what it waited for', async t => {
  const w = await world(t, { start: false, config: { eventTypes: { 'thing.happened': eventType({ type: 'thing.happened', expiresAfterMs: HOUR_MS }) } } })
  const [late] = await w.accept('a') as [string]
  w.runtime.skip(HOUR_MS)
  await w.start()
  t.match(standing(await w.becomes(late, 'expired', 'expired')), { attempts: 0, callNo: 0 })
  t.equal(w.server.received.length, 0)

  w.server.reply = status(429, { 'retry-after': '1800' })
  const [limited] = await w.accept('a') as [string]
  await w.becomes(limited, 'waiting', 'rate_limited')
  w.runtime.skip(2 * HOUR_MS)
  await w.becomes(limited, 'expired', 'expired_rate_limited')

  const [endless] = await w.accept('a') as [string]
  w.server.reply = status(429, { 'retry-after': '67608' })
  await w.becomes(endless, 'expired', 'expired_rate_limited')
  t.equal(w.server.received.length, 2)
})

t.test('a provider\'s own check can put off, hold, reject, or let go', async t => {
  let verdict: Verdict = { is: 'go' }
  const asked: string[] = []
  const w = await world(t, { providers: [{ code: { id: 'alpha', check: scope => { asked.push(scope.delivery.id); return verdict } } }] })

  verdict = { is: 'reject', reason: 'phone_refused', detail: 'opted out' }
  const [rejected] = await w.accept('a') as [string]
  t.match(await w.becomes(rejected, 'rejected', 'phone_refused'), { detail: 'opted out', attempts: 0 })

  verdict = { is: 'defer', untilAt: w.runtime.now() + HOUR_MS, reason: 'deferred' }
  const [deferred] = await w.accept('a') as [string]
  t.match(await w.becomes(deferred, 'waiting', 'deferred'), { due_at: verdict.untilAt, attempts: 0, owner: null })

  verdict = { is: 'hold', reason: 'blocked_by_provider' }
  const [held] = await w.accept('a') as [string]
  t.match(await w.becomes(held, 'waiting', 'blocked_by_provider'), { attempts: 0, owner: null })

  verdict = { is: 'go' }
  const [sent] = await w.accept('a') as [string]
  await w.becomes(sent, 'delivered')
  t.strictSame(keysOf(w.server), [sent], 'none of the others')
  w.runtime.skip(HOUR_MS)
  await w.all([deferred, held], 'delivered')
  t.strictSame(asked.slice(0, 4), [rejected, deferred, held, sent])
})

t.test('a provider that was changed between claim and send gets nothing', async t => {
  let switched = false
  const w = await world(t, {
    shops: [shop('a')],
    providers: [{}, { id: 'beta' }],
    between: store => ({
      async read (query, params) {
        if (query === 'claimed' && !switched) {
          switched = true
          await w.shops.setChannel('a', 'sms', 'beta', 'test')
        }
        return await store.read(query, params)
      }
    })
  })
  await w.shops.putConnection('a', 'beta', { auth: null, secrets: { api_key: 'secret-at-beta' }, accountId: 'B', settings: {}, ready: ['things', 'urgent'] }, 'test')
  const ids = await w.accept('a', 3)
  await w.all(ids, 'delivered')
  t.equal(switched, true)
  t.strictSame([...new Set(w.server.received.map(({ url }) => url))], ['/beta/events'])
  t.equal(w.server.received.length, 3)
  t.equal((await w.delivery(ids[0] as string)).attempts, 1)
})

// ── no answer ──────────────────────────────────────────────────────────────────────────────────

t.test('repeat: what got no answer is sent again, the same bytes under the same key, but not within a minute', async t => {
  let n = 0
  const w = await world(t, {
    reply: inTurn(reset, reset, status(202)),
    providers: [{ prepare: (_type, scope) => ({ ok: true, request: request({ path: `/events?n=${++n}`, headers: { 'x-n': String(n) }, body: bodyOf(scope) }) }) }]
  })
  const [id] = await w.accept('a') as [string]
  const row = await w.becomes(id, 'unknown', 'no_answer')
  t.equal(row.due_at, row.settled_at as number + MINUTE_MS)
  t.match(standing(row), { attempts: 1, owner: null })
  w.runtime.skip(MINUTE_MS - 2000)
  await quiet(w)
  t.equal(w.server.received.length, 1)
  w.runtime.skip(2000)
  await attempted(w, id, 2)
  w.runtime.skip(300_000)
  await w.becomes(id, 'delivered')
  const [first, ...again] = w.server.received
  t.equal(again.length, 2)
  for (const one of again) t.strictSame([one.url, one.headers['x-n'], one.body], [first?.url, '1', first?.body])
  t.equal(n, 1, 'it was put together once')
})

t.test('repeat_once: one more time, and then it rests', async t => {
  const w = await world(t, { reply: reset, providers: [{ uncertain: 'repeat_once' }] })
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'unknown')
  w.runtime.skip(MINUTE_MS)
  const row = await attempted(w, id, 2)
  t.match(standing(row), { state: STATE.unknown, dueAt: null, owner: null })
  t.ok(row.finished_at)
  w.runtime.skip(10 * HOUR_MS)
  await quiet(w)
  t.equal(w.server.received.length, 2)
})

t.test('park: it is never sent again, and stays unknown', async t => {
  for (const reply of [reset, status(503)]) {
    const w = await world(t, { reply, providers: [{ uncertain: 'park' }] })
    const [id] = await w.accept('a') as [string]
    t.match(standing(await w.becomes(id, 'unknown')), { attempts: 1, dueAt: null })
    w.runtime.skip(2 * DAY_MS)
    await quiet(w)
    t.equal(w.server.received.length, 1)
    t.equal((await w.shown(id)).state, 'unknown')
  }
})

t.test('an unknown whose time has passed is not repeated, and stays unknown', async t => {
  const w = await world(t, { reply: reset })
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'unknown')
  w.runtime.skip(2 * DAY_MS)
  await until('it rests', async () => (await w.delivery(id)).finished_at !== null)
  const row = await w.delivery(id)
  t.match(standing(row), { state: STATE.unknown, reason: 'no_answer', dueAt: null, owner: null })
  t.equal(w.server.received.length, 1)
})

t.test('an unknown whose repeat is refused stays unknown, with the reason: only the repeat was refused', async t => {
  for (const first of [reset, status(503)]) {
    const w = await world(t, { reply: first })
    const [id] = await w.accept('a') as [string]
    await w.becomes(id, 'unknown')
    w.server.reply = status(400)
    w.runtime.skip(10 * MINUTE_MS)
    t.match(standing(await w.becomes(id, 'unknown', 'payload_refused')), { attempts: 2, dueAt: null, owner: null })
    w.runtime.skip(2 * DAY_MS)
    await quiet(w)
    t.equal(w.server.received.length, 2)
  }
})

t.test('an unknown of another provider is not sent through the new one', async t => {
  const w = await world(t, { reply: reset, providers: [{}, { id: 'beta' }] })
  await w.shops.putConnection('a', 'beta', { auth: null, secrets: { api_key: 'secret-at-beta' }, accountId: 'B', settings: {}, ready: ['things'] }, 'test')
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'unknown')
  await w.shops.setChannel('a', 'sms', 'beta', 'test')
  w.server.reply = status(202)
  w.runtime.skip(MINUTE_MS)
  t.match(await w.becomes(id, 'unknown', 'repeat_refused'), { owner: null, due_at: null })
  t.strictSame(w.server.received.map(({ url }) => url), ['/alpha/events'])
})

t.test('R45: a provider that never answers is given up at the deadline', async t => {
  const w = await world(t, { reply: hang, providers: [{ deadlineMs: 300, uncertain: 'park' }] })
  const [id] = await w.accept('a') as [string]
  const row = await w.becomes(id, 'unknown', 'no_answer')
  t.match(row.detail, /DEADLINE/)
  const tookMs = row.settled_at as number - (row.reserved_at as number)
  t.ok(tookMs >= 295 && tookMs < 600, `${tookMs} ms`)
})
