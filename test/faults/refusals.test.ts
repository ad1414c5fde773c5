// A provider that fails, refuses the message, or refuses us: R42 to R44 of the fault list.

import t from 'tap'
import { seeded } from '../campaign/seed.ts'
import { world } from '../delivery/world.ts'
import { anEvent, CONFIG, startApp } from '../helpers/app.ts'
import { until } from '../helpers/fake-runtime.ts'
import { faultServer, type Reply, status } from '../helpers/fault-server.ts'
import { eventType, HOUR_MS, shop } from '../helpers/make.ts'
import { Arrivals, inTime, quiet, sentOf } from './watch.ts'

const MINUTE_MS = 60_000
const FAILURES = [500, 502, 503, 504]
const types = { 'thing.happened': eventType({ type: 'thing.happened', expiresAfterMs: 72 * HOUR_MS }) }

/** Fails that share of the requests, and remembers which deliveries it took. */
function failing (share: number, taken: string[]): Reply {
  const random = seeded(42)
  let n = 0
  return exchange => {
    if (random() < share) return status(FAILURES[n++ % FAILURES.length] as number)(exchange)
    taken.push(sentOf(exchange).key)
    return status(202)(exchange)
  }
}

t.test('R42: of a provider that tells repeats apart every failure is asked again, however many they are, and nothing is lost', async t => {
  for (const [share, count] of [[0.01, 200], [0.1, 200], [1, 30]] as const) {
    const taken: string[] = []
    const w = await world(t, { providers: [{ uncertain: 'repeat' }], config: { eventTypes: types }, reply: failing(share, taken) })
    const ids = await w.accept('a', count)
    await until('each was tried', () => w.server.received.length >= Math.min(count, 10))
    if (share === 1) {
      await quiet(w)
      t.equal(taken.length, 0)
      w.server.reply = failing(0, taken)
    }
    await inTime(w, ids, 'delivered', 31 * MINUTE_MS)
    t.strictSame(taken.toSorted(), ids.toSorted(), `${share * 100} %: each was taken once`)
  }
})

t.test('R42: what fails at a provider that cannot tell repeats apart is shown as unknown, and never sent again', async t => {
  const taken: string[] = []
  const seen = new Arrivals(() => w)
  const reply = failing(0.1, taken)
  const w = await world(t, { providers: [{ uncertain: 'park' }], config: { eventTypes: types }, reply: exchange => { seen.note(exchange); return reply(exchange) } })
  const ids = await w.accept('a', 100)
  await until('all are out', () => w.server.received.length === 100)
  const failed = ids.filter(id => !taken.includes(id))
  t.ok(failed.length > 0 && failed.length < 30)
  for (const id of failed) await w.becomes(id, 'unknown', 'provider_failing')
  await w.all(taken, 'delivered')
  w.runtime.skip(24 * HOUR_MS)
  await quiet(w)
  t.strictSame([...seen.times().values()].filter(times => times !== 1), [])
})

t.test('R43: what a provider refuses is sent once and rejected with its reason, which the merchant reads', async t => {
  const server = await faultServer(t)
  const app = await startApp(t, { config: CONFIG.replace('sandbox: { enabled: true, port: 0 }', `sandbox: { enabled: true, url: "${server.origin}" }`) })
  const reasons = { 400: 'payload_refused', 404: 'target_gone', 410: 'request_refused', 422: 'payload_refused' } as const
  for (const [code, reason] of Object.entries(reasons)) {
    server.received.splice(0)
    server.reply = status(Number(code), { 'content-type': 'application/json' }, JSON.stringify({ errors: [{ detail: `no good: ${code}` }] }))
    await app.attempted(await app.post(anEvent(`e${code}`)))
    const delivery = await app.delivery(`e${code}`)
    // A 422 is none of the rules of its manifest, so nothing of the answer's text is repeated.
    t.match(delivery, { state: 'rejected', reason, attempts: 1, due_at: null, detail: code === '422' ? 'HTTP 422' : `no good: ${code}` }, code)
    t.match(delivery.sentence, /Courier/)
    t.equal(server.received.length, 1)
  }
  server.reply = status(202)
  server.received.splice(0)
  await app.delivered(await app.post(anEvent('next')))
  t.equal(server.received.length, 1, 'the account goes on, and none of them goes out again')
})

t.test('R44: refused credentials keep the queue, ask no more than twice a minute, and a new connection sets all of it free', async t => {
  const refused = { a: [401, 'credentials_refused'], b: [403, 'scope_missing'] } as const
  const seen = new Arrivals(() => w)
  const healed = new Set<string>()
  const w = await world(t, {
    shops: [shop('a'), shop('b')],
    providers: [{ concurrency: 2 }],
    config: { eventTypes: types },
    reply: exchange => {
      seen.note(exchange)
      const { shop } = sentOf(exchange) as { shop: keyof typeof refused }
      return status(healed.has(shop) ? 202 : refused[shop][0])(exchange)
    }
  })
  const ids = { a: await w.accept('a', 20), b: await w.accept('b', 20) }
  for (const at of ['a', 'b'] as const) await w.becomes(ids[at][0] as string, 'held', refused[at][1])
  for (let i = 0; i < 24; i++) {
    w.runtime.skip(MINUTE_MS / 4)
    await new Promise(resolve => { setTimeout(resolve, 260) }) // a look for what is due
    await until('nothing is on the wire', () => w.deliver.working === 0)
  }
  for (const at of ['a', 'b'] as const) {
    const [, reason] = refused[at]
    t.ok(seen.of(at).length >= 2, `${reason}: it looks whether it works again`)
    t.ok(seen.most(MINUTE_MS, at) <= 2, `${reason}: ${seen.most(MINUTE_MS, at)} within a minute`)
    for (const id of ids[at]) t.match(await w.shown(id), { state: 'held', reason })
    t.strictSame(await Promise.all(ids[at].map(async id => (await w.delivery(id)).attempts)), ids[at].map(() => 0), 'and none of them pays')
    healed.add(at)
    await w.shops.putConnection(at, 'alpha', { auth: null, secrets: { api_key: 'a new key' }, accountId: at, settings: {}, ready: ['things'] }, 'merchant')
    await w.all(ids[at], 'delivered')
    t.equal(w.server.received.at(-1)?.headers.authorization, 'Key a new key')
  }
})
