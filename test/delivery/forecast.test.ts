import t from 'tap'
import { forecast, type ForecastQueue, type QueueForecast } from '../../gateway/delivery/forecast.ts'
import { until } from '../helpers/fake-runtime.ts'
import { status, type Reply } from '../helpers/fault-server.ts'
import { eventType, group, shop } from '../helpers/make.ts'
import { shopsOf, world, type World } from './world.ts'

const MINUTE_MS = 60_000
const WINDOW = { groups: { events: group('events', [{ max: 20, perMs: MINUTE_MS }]) } }

/** Of each queue of a shop, by set-up group; `elsewhere`: as an instance tells it that does not work on the account. */
async function told (w: World, shop: string, elsewhere = false): Promise<Record<string, QueueForecast>> {
  const queues: ForecastQueue[] = [...(await w.state(shop)).queues.values()]
  const opened = (key: number) => elsewhere ? undefined : w.deliver.opened(key)
  const forecasts = await forecast(queues, { store: w.store, runtime: w.runtime, config: w.config, providerOf: id => w.providers.get(id), opened })
  return Object.fromEntries(forecasts.map(one => [one.setupGroup, one]))
}

function near (ms: number | null | undefined, wanted: number): boolean { return typeof ms === 'number' && Math.abs(ms - wanted) <= wanted / 10 }

/** Lets time jump from one room in the windows to the next, until so many of a shop were received; how long it took. */
async function run (w: World, shop: string, received: number): Promise<number> {
  const from = w.runtime.now()
  const key = (await w.state('a')).connections.get('alpha')?.accountKey as number
  for (;;) {
    const waitMs = await until('all that has room has gone', () => {
      if (shopsOf(w.server).filter(one => one === shop).length >= received) return -1
      const gate = w.deliver.opened(key)?.gate('events') // an account that rests is closed, and opened anew
      const mono = w.runtime.mono()
      return w.deliver.working === 0 && gate?.room(mono) === 0 ? Math.ceil(gate.nextRoomAt(mono) - mono) + 1 : 0
    })
    if (waitMs < 0) return w.runtime.now() - from
    w.runtime.skip(waitMs)
    w.deliver.wake(key)
  }
}

t.test('D8: how long a backlog takes on an account that two shops share is foretold within a tenth', async t => {
  let paused = true
  const w = await world(t, { paused: () => paused, shops: [shop('a', { account: 'X' }), shop('b', { account: 'X' })], providers: [WINDOW] })
  await w.accept('a', 70)
  await w.accept('b', 30)
  await w.accept('b', 10, 'thing.urgent')
  await until('whoever works on the account knows of all of it', async () => (await w.query('select 1 from queues where ready = 1')).length === 3)
  const [a, b] = [await told(w, 'a'), await told(w, 'b')]
  t.match(a, { things: { waiting: 70, atLeast: false, held: null, limitedBy: 'window' } })
  t.match(b, { urgent: { waiting: 10, ms: 0, limitedBy: 'nothing' }, things: { waiting: 30, limitedBy: 'window' } })
  paused = false
  // What is urgent goes first, then the shops take turns: b is through when 10 + 30 + 30 have gone.
  const tookB = await run(w, 'b', 40)
  t.ok(near(b.things?.ms, tookB), `${b.things?.ms} ms was foretold, and it took ${tookB}`)
  await until('nothing is on its way', () => w.deliver.working === 0)
  const [rest, elsewhere] = [await told(w, 'a'), await told(w, 'a', true)]
  const left = await run(w, 'a', 70)
  t.ok(near(a.things?.ms, tookB + left), `${a.things?.ms} ms was foretold, and it took ${tookB + left}`)
  t.ok(near(rest.things?.ms, left), `${rest.things?.ms} ms was foretold on the way, and it took ${left}`)
  t.ok(near(elsewhere.things?.ms, left), `${elsewhere.things?.ms} ms by an instance that does not work on the account`)
  await until('all have gone', async () => (await told(w, 'a')).things?.waiting === 0)
  t.match(await told(w, 'a'), { things: { waiting: 0, ms: 0, limitedBy: 'nothing' } })
})

t.test('D8: nor do slow answers surprise: what goes at once, and how long each took lately, bounds it', async t => {
  const reply: Reply = exchange => {
    w.runtime.skip(1000)
    status(202)(exchange)
  }
  const w = await world(t, { providers: [{ concurrency: 1 }], reply })
  await w.all(await w.accept('a', 5), 'delivered')
  let go: (() => void) | null = null
  w.server.reply = exchange => { go = () => { void reply(exchange); w.server.reply = reply } }
  await w.accept('a', 31)
  await until('the first is on its way', () => go)
  const { things } = await told(w, 'a')
  t.match(things, { waiting: 30, limitedBy: 'concurrency' })
  const from = w.runtime.now()
  ;(go as (() => void) | null)?.()
  await until('all have gone', () => w.attempts.length === 36)
  const took = w.runtime.now() - from
  t.ok(near(things?.ms, took), `${things?.ms} ms was foretold, and it took ${took}`)
})

t.test('what is deferred is through no sooner than it is due', async t => {
  const w = await world(t, { reply: status(503) })
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'unknown', 'provider_failing')
  const { things } = await told(w, 'a')
  t.match(things, { waiting: 1, limitedBy: 'nothing' })
  t.ok((things?.ms as number) > 4000 && (things?.ms as number) <= 5100, `${things?.ms}`)
})

t.test('what is held takes nobody knows how long, and says why', async t => {
  const w = await world(t, { start: false, shops: [shop('a'), shop('b', { ready: [] })], providers: [{ concurrency: 1 }], reply: status(401) })
  await w.accept('a', 3)
  await w.accept('b', 3)
  await w.start()
  await until('it is held', () => w.held.length > 0)
  await until('none is in flight', () => w.deliver.working === 0)
  t.match(await told(w, 'a'), { things: { waiting: 3, held: 'credentials_refused', ms: null, limitedBy: null } })
  t.match(await told(w, 'b'), { things: { waiting: 3, held: 'setup_open', ms: null, limitedBy: null } })
})

t.test('a pause of the lane and of the account counts, whoever tells it', async t => {
  for (const reply of [status(429, { 'retry-after': '600' }), status(403, { 'content-type': 'text/html' }, '<html>')]) {
    const w = await world(t, { reply })
    const [id] = await w.accept('a') as [string]
    await until('it was refused', () => w.attempts.length === 1)
    await until('it waits', async () => (await w.delivery(id)).due_at !== null)
    const pauseMs = ((await w.delivery(id)).due_at as number) - w.runtime.now()
    for (const elsewhere of [false, true]) t.ok(near((await told(w, 'a', elsewhere)).things?.ms, pauseMs), `${pauseMs} ms`)
  }
})

t.test('event types of other limits do not stand in each other\'s way', async t => {
  const eventTypes = { one: eventType({ type: 'one', setupGroup: 'ones' }), two: eventType({ type: 'two', setupGroup: 'twos' }) }
  const windows = [{ max: 10, perMs: MINUTE_MS }]
  const providers = [{ groups: { first: group('first', windows), second: group('second', windows) }, events: { one: { request: 'create', group: 'first' }, two: { request: 'create', group: 'second' } } }]
  const w = await world(t, { start: false, shops: [shop('a', { ready: ['ones', 'twos'] })], providers, config: { eventTypes } })
  await w.accept('a', 30, 'one')
  await w.accept('a', 20, 'two')
  const { ones, twos } = await told(w, 'a')
  t.match([ones, twos], [{ waiting: 30, ms: 2 * MINUTE_MS }, { waiting: 20, ms: MINUTE_MS }])
})

t.test('thousands are counted to the last one', async t => {
  const w = await world(t, { start: false, providers: [WINDOW] })
  for (let i = 0; i < 45; i++) await w.accept('a', 100)
  const { things } = await told(w, 'a')
  t.match(things, { waiting: 4500, atLeast: false, ms: (4500 / 20 - 1) * MINUTE_MS })
})
