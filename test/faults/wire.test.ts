// Connections that hang, drip and break: R45 and R46 of the fault list.

import t from 'tap'
import { world, type World } from '../delivery/world.ts'
import { until } from '../helpers/fake-runtime.ts'
import { drip, endless, faultServer, halfClose, hang, inTurn, type Reply, reset, status } from '../helpers/fault-server.ts'
import { config, shop } from '../helpers/make.ts'
import { type TcpProxy, tcpProxy, type Toxics } from '../helpers/tcp-proxy.ts'
import type { Teardown } from '../helpers/tmp.ts'
import { quiet, sentOf } from './watch.ts'

const DEADLINE_MS = 15_000
const TOLERANCE_MS = 500

const HANGING: Record<string, Reply> = {
  silent: hang,
  headers: drip('HTTP/1.1 202 Accepted\r\n', 'x-a: b\r\n', 100),
  body: drip('HTTP/1.1 202 Accepted\r\ncontent-length: 60000\r\n\r\n', 'x', 100),
  chunks: drip('HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n', '1\r\nx\r\n', 100),
  interim: drip('', 'HTTP/1.1 102 Processing\r\n\r\n', 100)
}

t.test('R45: whatever trickles in, a request is given up at its deadline and its outcome is unknown', async t => {
  const names = Object.keys(HANGING)
  const w = await world(t, {
    shops: names.map(name => shop(name)),
    providers: [{ uncertain: 'park', deadlineMs: DEADLINE_MS }],
    reply: exchange => HANGING[sentOf(exchange).shop]?.(exchange)
  })
  const ids = new Map<string, string>()
  const from = w.runtime.mono()
  for (const name of names) ids.set(name, (await w.accept(name))[0] as string)
  await until('all are on the wire', () => w.server.received.length === names.length)
  await quietMs(300) // something trickles in
  w.runtime.skip(Math.max(0, Math.floor(from + DEADLINE_MS - w.runtime.mono()) - 50)) // the rest of it passes by itself
  for (const [name, id] of ids) {
    const row = await w.becomes(id, 'unknown', 'no_answer')
    t.match(row.detail, /DEADLINE/, name)
    t.equal(row.due_at, null, `${name}: a person decides`)
    const ms = w.attempts.find(({ delivery }) => delivery === id)?.ms ?? 0
    t.ok(ms >= DEADLINE_MS && ms <= DEADLINE_MS + TOLERANCE_MS, `${name}: ${ms} ms`)
  }
  await until('the connections are closed', () => w.server.seen.open === 0)
  w.runtime.skip(3_600_000)
  await quiet(w)
  t.equal(w.server.received.length, names.length, 'none of them goes out again')
})

t.test('R45: of a body without end no more than 64 KiB are read; its status was the answer', async t => {
  const server = await faultServer(t, endless)
  const proxy = await tcpProxy(t, server.port)
  const w = await world(t, { origin: proxy.origin, providers: [{ uncertain: 'park' }] })
  const [id] = await w.accept('a') as [string]
  const row = await w.becomes(id, 'delivered', 'answer_unreadable')
  t.ok(String(row.answer).length <= 2000, 'and less is kept')
  await until('the connection is closed', () => server.seen.open === 0)
  t.ok(proxy.seen.down < 32 * 1024 * 1024, `${proxy.seen.down} bytes left the provider before it noticed`)
  t.equal(server.received.length, 1)
})

interface Break {
  up?: Toxics
  down?: Toxics
  reply?: Reply
  /** How often the provider gets the whole request. */
  arrives: 0 | 1
}

/** In the order of a request's life. */
const BREAKS: Record<string, Break> = {
  'in the middle of the request': { up: { limitData: { bytes: 120 } }, arrives: 0 },
  'after the request': { reply: reset, arrives: 1 },
  'politely, after the request': { reply: halfClose, arrives: 1 },
  'while the answer is awaited': { reply: hang, down: { resetPeer: { ms: 80 } }, arrives: 1 },
  'within the head of the answer': { down: { limitData: { bytes: 12 } }, arrives: 1 },
  'within its body': { reply: status(202, {}, 'x'.repeat(1000)), down: { limitData: { bytes: 600 } }, arrives: 1 }
}

interface Wire { w: World, proxy: TcpProxy, received (): number, reply (reply: Reply): void }

async function wire (t: Teardown, uncertain: 'park' | 'repeat'): Promise<Wire> {
  const server = await faultServer(t)
  const proxy = await tcpProxy(t, server.port)
  const w = await world(t, { origin: proxy.origin, providers: [{ uncertain }], config: { delivery: { ...config().delivery, requestDeadlineMs: 60_000 } } })
  return { w, proxy, received: () => server.received.length, reply (reply) { server.reply = reply } }
}

/** One delivery over a connection that breaks; everything works again afterwards, over a new one. */
async function broken ({ w, proxy, reply }: Wire, { up = {}, down = {}, reply: said = status(202) }: Break): Promise<string> {
  reply(said)
  proxy.spoil('up', up)
  proxy.spoil('down', down)
  const [id] = await w.accept('a') as [string]
  await until('its call has ended', async () => w.attempts.some(({ delivery }) => delivery === id))
  proxy.heal()
  reply(status(202))
  return id
}

t.test('R46: a connection that breaks once a byte of the request may have left makes it unknown, and nobody repeats it by himself', async t => {
  const on = await wire(t, 'park')
  for (const [what, fault] of Object.entries(BREAKS)) {
    const before = on.received()
    const id = await broken(on, fault)
    t.match(await on.w.becomes(id, 'unknown', 'no_answer'), { due_at: null, attempts: 1 }, what)
    on.w.runtime.skip(600_000)
    await quiet(on.w)
    t.equal(on.received() - before, fault.arrives, what)
  }
  await on.w.all(await on.w.accept('a', 3), 'delivered')
})

t.test('R46: where the provider tells repeats apart, the same goes out once more, a minute later and under the same key', async t => {
  const on = await wire(t, 'repeat')
  for (const [what, fault] of Object.entries(BREAKS)) {
    const before = on.received()
    const id = await broken(on, fault)
    await on.w.becomes(id, 'unknown', 'no_answer')
    on.w.runtime.skip(50_000)
    await quiet(on.w)
    t.equal(on.received() - before, fault.arrives, `${what}: not sooner`)
    on.w.runtime.skip(300_000)
    await on.w.becomes(id, 'delivered')
    t.equal(on.received() - before, fault.arrives + 1, what)
  }
})

t.test('R46: where nobody listens nothing was sent, and it goes out when somebody does, also to a provider that cannot tell', async t => {
  const on = await wire(t, 'park')
  await on.proxy.down()
  const [id] = await on.w.accept('a') as [string]
  t.match(await on.w.becomes(id, 'waiting', 'not_connected_to_provider'), { settled_at: null, detail: /ECONNREFUSED/ })
  await on.proxy.up()
  on.w.runtime.skip(6000)
  await on.w.becomes(id, 'delivered')
  t.equal(on.received(), 1)
})

t.test('R46: a connection reset as soon as it is made is never taken for an answer, and nothing arrives twice', async t => {
  const on = await wire(t, 'park')
  on.proxy.spoil('up', { resetPeer: { ms: 0 }, timeout: {} })
  const ids = await on.w.accept('a', 9) // too few for the account to be held
  await until('each has ended', () => new Set(on.w.attempts.map(({ delivery }) => delivery)).size === ids.length)
  t.strictSame([on.received(), on.w.attempts.filter(({ outcome }) => !['unknown', 'retry'].includes(outcome))], [0, []])
  on.proxy.heal()
  on.w.runtime.skip(600_000)
  await quiet(on.w)
  await until('what waits is out', async () => (await Promise.all(ids.map(id => on.w.shown(id)))).every(({ state }) => state === 'unknown' || state === 'delivered'))
  t.equal(on.received(), (await Promise.all(ids.map(id => on.w.shown(id)))).filter(({ state }) => state === 'delivered').length)
})

t.test('R46: a kept connection that the provider closes costs nothing while it rests, and makes one outcome unknown when a request is on it', async t => {
  const on = await wire(t, 'park')
  on.reply(({ response, socket }) => { response.writeHead(202).end('', () => { socket.end() }) })
  for (let i = 0; i < 10; i++) await on.w.all(await on.w.accept('a'), 'delivered')
  t.equal(on.received(), 10)
  on.reply(inTurn(status(202), reset, status(202)))
  await on.w.all(await on.w.accept('a'), 'delivered')
  const connections = on.proxy.seen.connections
  const [cut] = await on.w.accept('a') as [string]
  await on.w.becomes(cut, 'unknown', 'no_answer')
  t.equal(on.proxy.seen.connections, connections, 'it went over the one that was kept')
  await on.w.all(await on.w.accept('a'), 'delivered')
  t.strictSame([on.received(), on.w.attempts.length], [13, 13])
})

/** Time in which something might have happened. */
function quietMs (ms: number): Promise<void> { return new Promise(resolve => { setTimeout(resolve, ms) }) }
