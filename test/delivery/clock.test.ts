// R60: the wall clock is set while the gateway works. True time is the monotonic clock's.

import t, { type Test } from 'tap'
import type { Window } from '../../gateway/contract.ts'
import { FAILING, PROBE_MS } from '../../gateway/delivery/health.ts'
import { HOLD_MS } from '../../gateway/delivery/settle.ts'
import { retention } from '../../gateway/jobs/retention.ts'
import { inTurn, reset, status } from '../helpers/fault-server.ts'
import { until } from '../helpers/fake-runtime.ts'
import { DAY_MS, eventType, group, HOUR_MS } from '../helpers/make.ts'
import { most } from '../campaign/windows.ts'
import { world, type World } from './world.ts'

const MINUTE_MS = 60_000
const STEPS = { 'one hour back': -HOUR_MS, 'one hour on': HOUR_MS, 'a day back': -DAY_MS, 'a day on': DAY_MS }
const within = (...windows: Window[]) => [{ groups: { events: group('events', windows) } }]

/** Long enough for the next look at what is due: nothing more comes. */
async function quiet (): Promise<void> {
  const from = performance.now()
  await until('two looks are over', () => performance.now() - from > 600)
}

/** Sets the clock now and then until all is delivered; no window was over its limit then, by the server's own time. */
async function allWithin (t: Test, w: World, ids: string[], window: Window, tick: { everyMs: number, ms: (n: number) => number }): Promise<void> {
  let n = 0
  const timer = setInterval(() => { w.runtime.setClock(tick.ms(n++)) }, tick.everyMs)
  try {
    await w.all(ids, 'delivered')
  } finally {
    clearInterval(timer)
  }
  t.ok(n > 1, `the clock was set ${n} times`)
  const arrivals = w.server.received.map(({ at }) => ({ at, status: 202, provider: '', key: '', ref: '', shop: '' }))
  t.equal(arrivals.length, ids.length, 'each was sent once')
  t.ok(most(arrivals, window.perMs) <= window.max, `at most ${most(arrivals, window.perMs)} of ${window.max} arrived in one window`)
}

for (const [name, ms] of Object.entries(STEPS)) {
  t.test(`R60: a clock that is set ${name} neither stops what waits nor opens a window`, async t => {
    const w = await world(t, { providers: within({ max: 3, perMs: HOUR_MS }), config: { eventTypes: { 'thing.happened': eventType({ type: 'thing.happened', expiresAfterMs: 3 * DAY_MS }) } } })
    const ids = await w.accept('a', 5)
    await until('three are sent', () => w.attempts.length === 3)
    w.runtime.setClock(ms)
    w.runtime.skip(11_000) // an account that has rested that long may be closed
    await quiet()
    const [later] = await w.accept('a') as [string]
    await quiet()
    t.equal(w.server.received.length, 3, 'the hour has not passed')
    w.runtime.skip(HOUR_MS)
    await w.all([...ids, later], 'delivered')
    t.strictSame(w.errors, [])
  })
}

t.test('R60: a clock that goes a second on and a second back all the time changes nothing', async t => {
  const window = { max: 4, perMs: 300 }
  const w = await world(t, { providers: within(window) })
  await allWithin(t, w, await w.accept('a', 30), window, { everyMs: 100, ms: n => n % 2 === 0 ? 1000 : -1000 })
})

t.test('R60: a clock that goes half as fast changes nothing', async t => {
  const window = { max: 4, perMs: 300 }
  const w = await world(t, { providers: within(window) })
  await allWithin(t, w, await w.accept('a', 30), window, { everyMs: 20, ms: () => -10 })
})

t.test('R60: what was put off does not wait a day longer for a clock that is set back a day', async t => {
  const w = await world(t, { reply: inTurn(status(503), status(202)) })
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'unknown', 'provider_failing')
  w.runtime.setClock(-DAY_MS)
  await quiet()
  t.equal(w.server.received.length, 1, 'what may have been acted on is not repeated at once')
  w.runtime.skip(MINUTE_MS)
  await w.becomes(id, 'delivered')
})

t.test('R60: more than a slice waits, in several queues, and all of it goes on', async t => {
  const w = await world(t, { start: false })
  const ids = [...await w.accept('a', 600), ...await w.accept('a', 5, 'thing.urgent')]
  await w.query("update deliveries set reason = 'deferred'")
  w.runtime.setClock(-DAY_MS)
  await w.start()
  await until('all is sent', () => w.server.received.length === ids.length)
  await w.all(ids.slice(-5), 'delivered')
})

t.test('R60: a clock that is set back while nothing runs stops nothing either, and no window opens', async t => {
  const providers = within({ max: 3, perMs: HOUR_MS })
  const w = await world(t, { providers })
  const ids = await w.accept('a', 5)
  await until('three are settled', () => w.attempts.length === 3)
  await w.stop()
  await w.store.close()
  const next = await world(t, { providers, place: w.place, like: w, start: false })
  next.runtime.setClock(-DAY_MS)
  await next.start()
  await quiet()
  t.equal(next.server.received.length, 0, 'what was sent counts as just now')
  next.runtime.skip(HOUR_MS)
  await next.all(ids, 'delivered')
})

t.test('R60: a hold lasts as long as it was to, whatever the clock says, also when the gateway is started anew', async t => {
  const w = await world(t, { reply: status(401) })
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'held', 'credentials_refused')
  w.runtime.setClock(-HOUR_MS)
  await quiet()
  t.equal(w.server.received.length, 1, 'it is not tried at once')
  w.runtime.skip(HOLD_MS)
  await until('the probe', () => w.server.received.length === 2)
  await w.stop()
  await w.store.close()
  const next = await world(t, { place: w.place, like: w, start: false })
  next.runtime.setClock(-DAY_MS)
  await next.start()
  await next.all([id], 'delivered')
})

t.test('R60: a provider that failed is probed in time, though the clock was set back', async t => {
  const w = await world(t, { reply: reset })
  const ids = await w.accept('a', 12)
  await until('it is held', () => w.held.at(-1)?.reason === FAILING)
  await until('nothing is on the wire', () => w.deliver.working === 0)
  w.server.reply = status(202)
  w.runtime.setClock(-DAY_MS)
  await quiet()
  w.runtime.skip(Math.max(PROBE_MS, MINUTE_MS))
  await w.all(ids, 'delivered')
})

t.test('R60: an event of the last seven days is told from a repeat, though the clock was set on by a day', async t => {
  const w = await world(t)
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'delivered')
  w.runtime.skip(7 * DAY_MS)
  w.runtime.setClock(DAY_MS)
  const { payloadMs, identityMs } = w.config.retention
  const run = retention({ store: w.store, runtime: w.runtime, payloadMs, identityMs, digest: () => new Uint8Array(32) })
  await run({ key: 1, kind: 'retention', uniqueKey: 'retention', accountKey: null, deliveryKey: null, attempts: 1, cursor: null })
  t.equal((await w.query('select count(*) as n from events'))[0]?.n, 1)
  const { source, source_id } = await w.delivery(id)
  const { shop } = await w.state('a')
  t.equal((await w.store.read('event_by_identity', { shop_key: shop.key, source: source as string, source_id: source_id as string })).length, 1)
})
