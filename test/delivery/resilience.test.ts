import t from 'tap'
import { STATE, type Provider } from '../../gateway/contract.ts'
import { GatewayError } from '../../gateway/errors.ts'
import { until } from '../helpers/fake-runtime.ts'
import { hang, status, type Exchange } from '../helpers/fault-server.ts'
import { bodyOf, eventType, config, group, request, shop, standing } from '../helpers/make.ts'
import { query } from '../helpers/stores.ts'
import { keysOf, world, type World } from './world.ts'

const MINUTE_MS = 60_000
const poisoned = (data: Record<string, unknown>) => data.n === 3

/** Rows that somebody claimed and nobody has given back. */
const owned = async (w: World) => Number((await w.query('select count(*) as n from deliveries where owner is not null'))[0]?.n)

async function free (w: World): Promise<void> {
  await until('nothing is claimed any more', async () => w.deliver.working === 0 && await owned(w) === 0)
}

// ── R64: poison ────────────────────────────────────────────────────────────────────────────────

t.test('R64: a delivery that trips a bug in preparing is set aside where it is seen, and the others go', async t => {
  const bug = new TypeError('x is not a function')
  const bugs: Record<string, Partial<Provider>> = {
    'in the mapping': { prepare: (_type, scope) => { if (poisoned(scope.data)) throw bug; return { ok: true, request: request({ body: bodyOf(scope) }) } } },
    'in the check': { code: { id: 'alpha', check: scope => { if (poisoned(scope.data)) throw bug; return { is: 'go' } } } },
    'in the name of the limit group': { prepare: (_type, scope) => ({ ok: true, request: request({ group: poisoned(scope.data) ? 'none' : 'events', body: bodyOf(scope) }) }) }
  }
  for (const [where, more] of Object.entries(bugs)) {
    const w = await world(t, { start: false, providers: [more] })
    const ids = await w.accept('a', 6)
    const [poison] = ids.splice(2, 1) as [string]
    await w.start()
    await w.all(ids, 'delivered')
    t.match(await w.becomes(poison, 'rejected', 'mapping_failed'), { owner: null, due_at: null, call_no: 0 }, where)
    t.equal(w.errors.length, 1, `${where}: and the operator is told`)
    t.equal(w.server.received.length, 5)
    t.strictSame([w.deliver.working, await owned(w)], [0, 0])
  }
})

t.test('R64: a request that cannot be written down does not keep back those claimed with it', async t => {
  const w = await world(t, {
    start: false,
    providers: [{ prepare: (_type, scope) => ({ ok: true, request: request({ body: poisoned(scope.data) ? undefined as unknown as string : bodyOf(scope) }) }) }]
  })
  const ids = await w.accept('a', 6)
  const [poison] = ids.splice(2, 1) as [string]
  await w.start()
  await w.all(ids, 'delivered')
  await free(w)
  t.not((await w.shown(poison)).state, 'sending')
  t.equal(w.server.received.length, 5)
})

t.test('R64: a bug in reading an answer leaves its delivery unknown, not on its way for ever', async t => {
  const w = await world(t, {
    providers: [{ uncertain: 'park', judge: answer => { if (answer.status === 418) throw new TypeError('no such rule'); return null } }],
    reply: exchange => status(poisoned(JSON.parse(exchange.request.body) as Record<string, unknown>) ? 418 : 202)(exchange)
  })
  const ids = await w.accept('a', 6)
  const [poison] = ids.splice(2, 1) as [string]
  await w.all(ids, 'delivered')
  t.match(standing(await w.becomes(poison, 'unknown')), { owner: null, attempts: 1, callNo: 1 })
  await free(w)
  t.ok(w.errors.length > 0)
})

t.test('a bug in making the credentials sends nothing and is tried again', async t => {
  let broken = true
  const w = await world(t, { providers: [{ authorize: (_way, secrets) => { if (broken) throw new TypeError('no such way'); return { authorization: `Key ${secrets.api_key}` } } }] })
  const [id] = await w.accept('a') as [string]
  t.match(await w.becomes(id, 'waiting', 'not_connected_to_provider'), { settled_at: null })
  broken = false
  w.runtime.skip(5000)
  await w.becomes(id, 'delivered')
})

t.test('what the gateway itself cannot do just now is tried later', async t => {
  const w = await world(t)
  const byKey = w.shops.byKey.bind(w.shops)
  w.shops.byKey = () => Promise.reject(new GatewayError('GW_STORE_UNUSABLE', 'the key is gone'))
  const [id] = await w.accept('a') as [string]
  t.match(standing(await w.becomes(id, 'waiting', 'deferred')), { attempts: 0, owner: null })
  w.shops.byKey = byKey
  w.runtime.skip(MINUTE_MS)
  await w.becomes(id, 'delivered')
})

t.test('a store that refuses for a moment leaves nothing claimed for ever, and nothing is sent that is not written down', async t => {
  for (const step of ['start_call', 'settle_call', 'release_claim']) {
    const failing = { on: true, times: 0 }
    const refuse = step === 'release_claim'
    const w = await world(t, {
      providers: [{ prepare: (_type, scope) => refuse ? { ok: false, reason: 'mapping_failed', detail: 'no' } : { ok: true, request: request({ body: bodyOf(scope) }) } }],
      between: store => ({
        commit (unit) {
          if (!failing.on || !unit.some(({ name }) => name === step)) return store.commit(unit)
          failing.times++
          return Promise.reject(new GatewayError('GW_STORE_FAILED', 'locked'))
        }
      })
    })
    const ids = await w.accept('a', 4)
    await until(`${step} failed`, () => failing.times > 0)
    if (step !== 'settle_call') t.equal(w.server.received.length, 0)
    failing.on = false
    await free(w)
    w.runtime.skip(MINUTE_MS)
    for (const id of ids) await until(`${id} has ended`, async () => ['delivered', 'rejected', 'unknown'].includes((await w.shown(id)).state))
    t.ok(w.server.received.length <= 8, 'an answer that could not be written down may be asked for once more')
    t.ok(w.errors.length > 0)
    await free(w)
  }
})

t.test('a read that fails after the claim leaves nothing claimed for ever', async t => {
  const failing = { on: true }
  const w = await world(t, {
    between: store => ({
      read (query, params) {
        if (failing.on && query === 'claimed') { failing.on = false; return Promise.reject(new GatewayError('GW_STORE_FAILED', 'no')) }
        return store.read(query, params)
      }
    })
  })
  const ids = await w.accept('a', 4)
  await w.all(ids, 'delivered')
  t.equal(w.server.received.length, 4)
  await free(w)
})

// ── R67, R68: stopping ─────────────────────────────────────────────────────────────────────────

t.test('R67: a stop lets what is on the wire end, claims nothing more, and leaves nothing claimed', async t => {
  const waiting: Exchange[] = []
  const w = await world(t, { providers: [{ concurrency: 4 }], reply: exchange => { waiting.push(exchange) } })
  const ids = await w.accept('a', 12)
  await until('four are on the wire', () => waiting.length === 4)
  const stopped = w.stop(10_000)
  for (const { response } of waiting) response.writeHead(202).end()
  await stopped
  t.equal(w.server.received.length, 4)
  t.equal(await owned(w), 0)
  const states = await Promise.all(ids.map(async id => (await w.shown(id)).state))
  t.strictSame([states.filter(state => state === 'delivered').length, states.filter(state => state === 'waiting').length], [4, 8])
})

t.test('R68: a stop with a provider that hangs ends in time, and what was on the wire is unknown', async t => {
  const w = await world(t, { providers: [{ concurrency: 4, uncertain: 'park' }], reply: hang })
  const ids = await w.accept('a', 12)
  await until('four are on the wire', () => w.server.received.length === 4)
  const startedAt = performance.now()
  await w.stop(200)
  const ms = performance.now() - startedAt
  t.ok(ms >= 195 && ms < 1500, `${ms} ms`)
  t.equal(await owned(w), 0)
  const rows = await Promise.all(ids.map(async id => standing(await w.delivery(id))))
  t.strictSame([STATE.unknown, STATE.waiting].map(state => rows.filter(row => row.state === state).length), [4, 8])
  t.equal(w.server.received.length, 4)
})

t.test('R67: at whatever moment the stop comes, nothing is left claimed or sent afterwards', async t => {
  for (let round = 0; round < 12; round++) {
    const w = await world(t, { start: false, shops: [shop('a'), shop('b')], providers: [{ concurrency: 8 }] })
    await w.accept('a', 150)
    await w.accept('b', 150)
    await w.start()
    await until('it is under way', () => w.server.received.length >= round * 7)
    for (let i = 0; i < round; i++) await new Promise(resolve => { setImmediate(resolve) })
    await w.stop(5000)
    const received = w.server.received.length
    t.equal(await owned(w), 0, `round ${round}`)
    t.equal(Number((await w.query(`select count(*) as n from deliveries where state = ${STATE.delivered}`))[0]?.n), received, 'each that went out is written down as delivered')
    t.equal(w.errors.length, 0)
  }
})

t.test('a stop does not wait for a question that has no room', async t => {
  const w = await world(t, { providers: [{ groups: { events: group('events', [{ max: 1, perMs: 3_600_000 }]) } }] })
  await w.all(await w.accept('a'), 'delivered')
  const connection = (await w.state('a')).connections.get('alpha')
  if (!connection?.secrets) return t.fail('there is no connection')
  const asked = w.deliver.ask({ ...connection, secrets: connection.secrets }, 'status', {})
  await w.stop(100)
  t.match(await asked, { kind: 'not_sent' })
  t.equal(w.server.received.length, 1)
})

// ── after a crash ──────────────────────────────────────────────────────────────────────────────

t.test('after a crash what waited is sent, what was on the wire is unknown and follows its provider\'s policy', async t => {
  for (const [uncertain, sent, state] of [['repeat', 10, 'delivered'], ['repeat_once', 10, 'delivered'], ['park', 6, 'unknown']] as const) {
    const providers = [{ concurrency: 4, uncertain }]
    const w = await world(t, { providers, reply: hang })
    const ids = await w.accept('a', 10)
    await until('four are on the wire', () => w.server.received.length === 4)
    const wire = new Set(keysOf(w.server))
    const next = await world(t, { place: await w.die(), like: w, providers, start: false })
    t.equal(await next.start(), 4, 'taken over')
    for (const id of ids.filter(id => wire.has(id))) {
      const row = await next.becomes(id, state)
      t.equal(row.attempts, uncertain === 'park' ? 1 : 2)
      if (uncertain === 'park') t.match(row, { reason: 'interrupted', due_at: null })
      else t.equal(next.server.received.find(({ body }) => body === row.request_body)?.body, w.server.received.find(({ body }) => body.includes(id))?.body, 'the same bytes')
    }
    await next.all(ids.filter(id => !wire.has(id)), 'delivered')
    t.equal(next.server.received.length, sent, `${uncertain}: each at most once more`)
    t.equal(await owned(next), 0)
  }
})

t.test('A6: what was on the wire at a crash counts in its windows', async t => {
  const providers = [{ uncertain: 'park', groups: { events: group('events', [{ max: 3, perMs: 3_600_000 }]) } } as const]
  const w = await world(t, { providers, reply: hang })
  await w.accept('a', 5)
  await until('three are on the wire', () => w.server.received.length === 3)
  const next = await world(t, { place: await w.die(), like: w, providers })
  const from = next.runtime.mono()
  await until('two looks are over', () => next.runtime.mono() - from > 600)
  t.equal(next.server.received.length, 0)
  next.runtime.skip(3_600_000)
  await until('the others', () => next.server.received.length === 2)
})

t.test('R64: what was being prepared at the third crash in a row is set aside, and an unknown stays unknown', async t => {
  const w = await world(t, { start: false })
  const [second, third, unknown] = await w.accept('a', 3) as [string, string, string]
  const place = await w.die()
  for (const [id, claims, state] of [[second, 2, STATE.waiting], [third, 3, STATE.waiting], [unknown, 3, STATE.unknown]] as const) {
    await query(place, `update deliveries set owner = ${w.store.owner}, epoch = 1, claims = ${claims}, state = ${state}, due_at = null where id = '${id}'`)
  }
  const next = await world(t, { place, like: w })
  await next.becomes(second, 'delivered')
  t.match(standing(await next.becomes(third, 'rejected', 'crashed_gateway')), { owner: null, dueAt: null })
  t.match(standing(await next.becomes(unknown, 'unknown', 'crashed_gateway')), { owner: null, dueAt: null }, 'it may have been sent: nobody is to send it again')
  t.strictSame(keysOf(next.server), [second])
})

// ── another generation ─────────────────────────────────────────────────────────────────────────

t.test('a reload that brings an account another limit group does not stop it', async t => {
  const w = await world(t)
  await w.all(await w.accept('a', 2), 'delivered')
  const provider: Provider = {
    ...w.providers.get('alpha') as Provider,
    groups: { events: group('events'), fresh: group('fresh') },
    events: { 'thing.urgent': { request: 'create', group: 'fresh' }, 'thing.happened': { request: 'create', group: 'events' } },
    prepare: (type, scope) => ({ ok: true, request: request({ group: type === 'thing.urgent' ? 'fresh' : 'events', body: bodyOf(scope) }) })
  }
  await w.deliver.use(w.config, new Map([['alpha', provider]]))
  await w.all(await w.accept('a', 2, 'thing.urgent'), 'delivered')
  await w.all(await w.accept('a', 2), 'delivered')
})

t.test('a reload that narrows a window keeps what was counted in it', async t => {
  const windows = (max: number) => ({ groups: { events: group('events', [{ max, perMs: 3_600_000 }]) } })
  const w = await world(t, { providers: [windows(10)] })
  await w.all(await w.accept('a', 5), 'delivered')
  await w.deliver.use(w.config, new Map([['alpha', { ...w.providers.get('alpha') as Provider, ...windows(6) }]]))
  const ids = await w.accept('a', 4)
  await w.becomes(ids[0] as string, 'delivered')
  const from = w.runtime.mono()
  await until('two looks are over', () => w.runtime.mono() - from > 600)
  t.equal(w.server.received.length, 6)
})

t.test('a reload of retries and types takes hold of what waits', async t => {
  const w = await world(t, { reply: status(503) })
  const [id] = await w.accept('a') as [string]
  t.equal((await w.becomes(id, 'unknown', 'provider_failing')).due_at, (await w.delivery(id)).settled_at as number + 5000)
  const changed = config({ ...w.config, delivery: { requestDeadlineMs: 5000, retryScheduleMs: [1000, 2000] }, eventTypes: { 'thing.happened': eventType({ type: 'thing.happened' }) } })
  await w.deliver.use(changed, w.providers)
  w.runtime.skip(5000)
  await until('the second attempt', async () => (await w.delivery(id)).attempts === 2)
  const row = await w.delivery(id)
  t.equal(row.due_at, row.settled_at as number + 2000)
})
