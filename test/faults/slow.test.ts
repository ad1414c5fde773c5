// A network that is slow and uneven, though nothing is wrong: R52 of the fault list.

import t from 'tap'
import { seeded } from '../campaign/seed.ts'
import { world, type World } from '../delivery/world.ts'
import { until } from '../helpers/fake-runtime.ts'
import { faultServer, type FaultServer, status } from '../helpers/fault-server.ts'
import { bodyOf, request, shop } from '../helpers/make.ts'
import { tcpProxy, type TcpProxy, type Toxics } from '../helpers/tcp-proxy.ts'
import type { Teardown } from '../helpers/tmp.ts'
import { sentOf } from './watch.ts'

const ANSWER = JSON.stringify({ text: 'x'.repeat(20_000) })

interface Slow { w: World, server: FaultServer, proxy: TcpProxy }

/** A provider that cannot tell repeats apart: a false failure would stay an unknown. */
async function slow (t: Teardown, concurrency: number, body = ANSWER): Promise<Slow> {
  const server = await faultServer(t, status(200, { 'content-type': 'application/json' }, body))
  const proxy = await tcpProxy(t, server.port, seeded(52))
  const w = await world(t, {
    origin: proxy.origin,
    shops: [shop('a')],
    providers: [{
      uncertain: 'park', concurrency, deadlineMs: 15_000,
      prepare: (_type, scope) => ({ ok: true, request: request({ body: JSON.stringify({ ...JSON.parse(bodyOf(scope)) as object, text: 'y'.repeat(200) }) }) })
    }]
  })
  return { w, server, proxy }
}

async function allOnce ({ w, server }: Slow, ids: readonly string[]): Promise<unknown[]> {
  await until('all have ended', () => w.attempts.length === ids.length, 60_000)
  const shown = await Promise.all(ids.map(async id => ({ ...await w.shown(id), attempts: (await w.delivery(id)).attempts })))
  const times = Map.groupBy(server.received, one => sentOf({ request: one }).key)
  return [shown.filter(({ state, reason, attempts }) => state !== 'delivered' || reason !== null || attempts !== 1), [...times.values()].filter(all => all.length !== 1), times.size]
}

const SPOILT: Record<string, { count: number, up?: Toxics, down?: Toxics }> = {
  'up to five seconds, each time others': { count: 24, up: { latency: { ms: 1250, jitterMs: 1250 } }, down: { latency: { ms: 1250, jitterMs: 1250 } } },
  '10 kB a second each way': { count: 8, up: { bandwidth: { bytesPerSecond: 10_000 } }, down: { bandwidth: { bytesPerSecond: 10_000 } } }
}

t.test('R52: whatever comes within the deadline is no failure, however late and however slowly', async t => {
  for (const [what, { count, up = {}, down = {} }] of Object.entries(SPOILT)) {
    const on = await slow(t, count)
    on.proxy.spoil('up', up)
    on.proxy.spoil('down', down)
    const ids = await on.w.accept('a', count)
    t.strictSame(await allOnce(on, ids), [[], [], count], what)
  }
})

t.test('R52: nor is what comes byte by byte', async t => {
  const on = await slow(t, 4, '{"ok":true}')
  on.proxy.spoil('up', { slicer: { bytes: 1 } })
  on.proxy.spoil('down', { slicer: { bytes: 1 } })
  const ids = await on.w.accept('a', 8)
  t.strictSame(await allOnce(on, ids), [[], [], 8])
})

t.test('R52: accounts at another provider go on as if nothing were', async t => {
  const w = await world(t, {
    shops: [shop('a', { provider: 'alpha' }), shop('b', { provider: 'beta' })],
    providers: [{ id: 'alpha', uncertain: 'park', deadlineMs: 15_000 }, { id: 'beta' }],
    reply: exchange => {
      if (exchange.request.url.startsWith('/beta')) status(202)(exchange)
    }
  })
  await w.accept('a', 100)
  await until('all places of the slow one are taken', () => w.server.received.length === 16)
  await w.all(await w.accept('b', 300), 'delivered')
  t.equal(w.server.received.filter(({ url }) => url.startsWith('/alpha')).length, 16, 'while not one of the slow one\'s came to an end')
  t.strictSame(w.attempts.filter(({ provider }) => provider === 'alpha'), [])
})

t.test('R52: accounts at the same provider take turns with the slow one, and do not wait for its backlog', async t => {
  const w = await world(t, {
    shops: [shop('slow'), shop('quick')],
    providers: [{ concurrency: 8, deadlineMs: 15_000 }],
    reply: exchange => { setTimeout(() => { void status(202)(exchange) }, sentOf(exchange).shop === 'slow' ? 100 : 0) }
  })
  await w.accept('slow', 400)
  await until('all places are taken', () => w.server.received.length >= 8)
  await w.all(await w.accept('quick', 40), 'delivered')
  const shops = w.server.received.map(one => sentOf({ request: one }).shop)
  const before = shops.slice(0, shops.lastIndexOf('quick')).filter(shop => shop === 'slow').length
  t.ok(before < 200, `${before} of 400 of the slow one's went before the last of the other's`)
})
