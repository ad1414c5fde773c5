// Whether what comes in is taken: R65, R66, R72 and the watch of R7, one rule at a time.

import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Capacity, type Lane, type Shed } from '../gateway/capacity.ts'
import { createHttp } from '../gateway/http.ts'
import { Pressure } from '../gateway/pressure.ts'
import { systemRuntime } from '../gateway/runtime.ts'

const MARKS = { requests: 4, bodyBytes: 1000, loopDelayMs: 100, memoryBytes: 1000 }
const calm = () => ({ loopDelayMs: 0, memoryBytes: 0, diskFreeBytes: null, intakePaused: false, sendsPaused: false })

interface Doors { app: FastifyInstance, capacity: Capacity, pressure: ReturnType<typeof calm>, connections: { open: number, max: number }, shed: Array<[Lane, Shed]>, ask (lane: Lane, options?: Asked): Promise<Got>, hold (lane: Lane, options?: Asked): Promise<() => Promise<Got>> }
interface Asked { key?: string, bytes?: number }
interface Got { status: number, code: string | undefined, headers: Record<string, unknown> }

/** Two lanes whose requests are answered when the test lets them go. */
async function doors (t: Test): Promise<Doors> {
  const pressure = calm()
  const connections = { open: 0, max: 100 }
  const shed: Array<[Lane, Shed]> = []
  const capacity = new Capacity({ marks: MARKS, pressure: pressure as unknown as Pressure, connections: () => connections, onShed: (lane, reason) => { shed.push([lane, reason]) } })
  const app = createHttp({ runtime: systemRuntime(), trustProxy: [], onError: error => { t.fail(String(error)) } })
  const held = new Map<string, () => void>()
  const answer = async (request: { headers: Record<string, unknown> }): Promise<object> => {
    const id = request.headers['x-hold']
    if (typeof id === 'string') await new Promise<void>(resolve => { held.set(id, resolve) })
    return {}
  }
  app.register(async scope => {
    capacity.guardEvents(scope, ({ headers }) => ({ id: String(headers['x-key'] ?? 'one') }))
    scope.post('/events', answer)
  })
  app.register(async scope => {
    capacity.guardWebhooks(scope)
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })
    scope.post('/webhooks', answer)
  })
  await app.ready()
  t.teardown(() => app.close())
  let serial = 0
  const ask = async (lane: Lane, { key, bytes = 10 }: Asked = {}, hold?: string): Promise<Got> => {
    const body = lane === 'events' ? JSON.stringify('x'.repeat(bytes - 2)) : 'x'.repeat(bytes)
    const headers = { 'content-type': lane === 'events' ? 'application/json' : 'text/any', ...(key && { 'x-key': key }), ...(hold && { 'x-hold': hold }), 'content-length': String(bytes) }
    const response = await app.inject({ method: 'POST', url: `/${lane}`, headers, payload: body })
    return { status: response.statusCode, code: (response.json() as { error?: { code: string } }).error?.code, headers: response.headers }
  }
  const hold = async (lane: Lane, options?: Asked): Promise<() => Promise<Got>> => {
    const id = `h${serial++}`
    const answered = ask(lane, options, id)
    while (!held.has(id)) await Promise.race([setImmediate(), answered.then(got => { throw new Error(`answered already: ${got.status} ${got.code ?? ''}`) })])
    return () => { held.get(id)?.(); return answered }
  }
  return { app, capacity, pressure, connections, shed, ask, hold }
}

t.test('R66: events are refused at the mark, webhooks at twice the mark; both are taken again when others are answered', async t => {
  const { ask, hold, shed, capacity } = await doors(t)
  const open = [await hold('events', { key: 'a' }), await hold('events', { key: 'a' }), await hold('events', { key: 'a' }), await hold('events', { key: 'b' })]
  const refused = await ask('events', { key: 'c' })
  t.match(refused, { status: 503, code: 'GW_OVERLOADED', headers: { 'retry-after': '2' } })
  for (let i = 0; i < 4; i++) open.push(await hold('webhooks'))
  t.match(await ask('webhooks'), { status: 503, code: 'GW_OVERLOADED' })
  t.strictSame(shed, [['events', 'requests'], ['webhooks', 'requests']])
  t.strictSame(capacity.inFlight, { requests: 8, bytes: 80 })
  for (const go of open.splice(4)) t.equal((await go()).status, 200)
  t.equal((await ask('webhooks')).status, 200)
  t.equal((await ask('events', { key: 'c' })).status, 503, 'webhooks have left, the events are still there')
  for (const go of open) t.equal((await go()).status, 200)
  t.equal((await ask('events', { key: 'c' })).status, 200)
  t.strictSame(capacity.inFlight, { requests: 0, bytes: 0 })
})

t.test('R65: bytes are counted before they are read; a large body is taken where nothing else is in flight', async t => {
  const { ask, hold } = await doors(t)
  t.equal((await ask('events', { bytes: 3000 })).status, 200)
  const first = await hold('events', { bytes: 600 })
  t.match(await ask('events', { bytes: 500, key: 'b' }), { status: 503, code: 'GW_OVERLOADED' })
  t.equal((await ask('events', { bytes: 300, key: 'b' })).status, 200)
  t.equal((await ask('webhooks', { bytes: 1300 })).status, 200)
  await first()
})

t.test('R65: one API key alone may take three quarters, and is told that it is its own doing', async t => {
  const { ask, hold, shed } = await doors(t)
  const open = [await hold('events', { key: 'greedy' }), await hold('events', { key: 'greedy' }), await hold('events', { key: 'greedy' })]
  t.match(await ask('events', { key: 'greedy' }), { status: 429, code: 'GW_KEY_OVERLOADED', headers: { 'retry-after': '1' } })
  t.equal((await ask('events', { key: 'modest' })).status, 200)
  t.strictSame(shed, [['events', 'share']])
  for (const go of open) await go()
  t.equal((await ask('events', { key: 'greedy' })).status, 200)
  const large = await hold('events', { key: 'greedy', bytes: 700 })
  t.match(await ask('events', { key: 'greedy', bytes: 100 }), { status: 429 }, 'in bytes as well')
  t.equal((await ask('events', { key: 'modest', bytes: 100 })).status, 200)
  await large()
})

t.test('R65: a late event loop and too much memory refuse events, and webhooks at twice as much', async t => {
  const { ask, hold, pressure, shed } = await doors(t)
  pressure.loopDelayMs = 1000
  t.equal((await ask('events')).status, 200, 'with nothing else in flight it is not their doing')
  pressure.loopDelayMs = 0
  const one = await hold('webhooks')
  for (const [key, reason] of [['loopDelayMs', 'loop_delay'], ['memoryBytes', 'memory']] as const) {
    const mark = MARKS[key]
    for (const [value, events, webhooks] of [[mark, 200, 200], [mark + 1, 503, 200], [2 * mark, 503, 200], [2 * mark + 1, 503, 503]] as const) {
      pressure[key] = value
      t.equal((await ask('events')).status, events, `${key} ${value}, events`)
      t.equal((await ask('webhooks')).status, webhooks, `${key} ${value}, webhooks`)
    }
    pressure[key] = 0
    t.ok(shed.splice(0).every(([, why]) => why === reason))
  }
  t.equal((await ask('events')).status, 200, 'and it goes on by itself')
  await one()
})

t.test('R7: with the disk nearly full neither is taken, with the reason and a time', async t => {
  const { ask, pressure, shed } = await doors(t)
  pressure.intakePaused = true
  for (const lane of ['events', 'webhooks'] as const) t.match(await ask(lane), { status: 503, code: 'GW_DISK_FULL', headers: { 'retry-after': '30' } })
  t.strictSame(shed, [['events', 'disk'], ['webhooks', 'disk']])
})

t.test('R72: with three quarters of the connections open events are refused and disconnected; webhooks are taken', async t => {
  const { ask, connections } = await doors(t)
  connections.open = 76
  t.match(await ask('events'), { status: 503, code: 'GW_OVERLOADED', headers: { connection: 'close' } })
  t.equal((await ask('webhooks')).status, 200)
  connections.open = 75
  t.equal((await ask('events')).status, 200)
})

t.test('R65: a body whose length is not announced counts as the largest; a caller who goes away gives its place back', async t => {
  const { app, capacity } = await doors(t)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const open = async (headers: string): Promise<ReturnType<typeof connect>> => {
    const before = capacity.inFlight.requests
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(`POST /events HTTP/1.1\r\nhost: a.example\r\ncontent-type: application/json\r\n${headers}\r\n`)
    while (capacity.inFlight.requests === before) await setImmediate()
    return socket
  }
  const chunked = await open('transfer-encoding: chunked\r\n')
  t.strictSame(capacity.inFlight, { requests: 1, bytes: 4 * 1024 * 1024 })
  chunked.destroy()
  while (capacity.inFlight.requests > 0) await setImmediate()
  t.strictSame(capacity.inFlight, { requests: 0, bytes: 0 })
  const held = await open('content-length: 2\r\nx-hold: here\r\n')
  for (let i = 0; i < 300; i++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    await once(socket, 'connect')
    socket.write(`POST /events HTTP/1.1\r\nhost: a.example\r\nx-key: k${i % 2}\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n${'"'.repeat(i % 20)}`)
    if (i % 3 === 0) await setImmediate()
    if (i % 2 === 0) socket.destroy()
    else socket.resetAndDestroy()
  }
  while (capacity.inFlight.requests > 1) await setImmediate()
  t.strictSame(capacity.inFlight, { requests: 1, bytes: 2 }, 'wherever they break off')
  held.write('{}')
  await new Promise(resolve => { setTimeout(resolve, 20) })
  held.destroy()
  await once(held, 'close')
  for (let i = 0; i < 20; i++) await setImmediate()
  t.equal(capacity.inFlight.requests, 1, 'what is worked on keeps its place, though nobody waits for it')
})

t.test('R7: the disk stops what comes in first, then sends, and lets both go on with some room more', async t => {
  let free = 100
  const changes: object[] = []
  const errors: unknown[] = []
  const pressure = new Pressure({ disk: { folder: '/', intakeFreeBytes: 64, sendFreeBytes: 32 }, freeBytes: async () => { if (free < 0) throw new Error('no answer'); return free }, onDisk: change => { changes.push(change) }, onError: error => { errors.push(error) } })
  const seen: Array<[number, boolean, boolean]> = []
  for (free of [100, 64, 63, 40, 31, -1, 32, 39, 40, 64, 79, 80]) {
    await pressure.look()
    seen.push([free, !pressure.intakePaused, !pressure.sendsPaused])
  }
  t.strictSame(seen, [
    [100, true, true], [64, true, true], [63, false, true], [40, false, true], [31, false, false], [-1, false, false],
    [32, false, false], [39, false, false], [40, false, true], [64, false, true], [79, false, true], [80, true, true]
  ])
  t.strictSame(changes, [{ freeBytes: 63, intake: false, sends: true }, { freeBytes: 31, intake: false, sends: false }, { freeBytes: 40, intake: false, sends: true }, { freeBytes: 80, intake: true, sends: true }], 'told once each')
  t.equal(errors.length, 1, 'a disk that does not answer changes nothing')
})

t.test('R65: the delay of the event loop is measured, and passes', async t => {
  const pressure = new Pressure({ disk: null, onDisk () {}, onError () {} })
  t.teardown(() => { pressure.stop() })
  await pressure.start()
  const until = async (when: () => boolean, act: () => void): Promise<void> => {
    while (!when()) { act(); await new Promise(resolve => { setTimeout(resolve, 5) }) }
  }
  await until(() => pressure.loopDelayMs > 50, () => { const end = performance.now() + 80; while (performance.now() < end); })
  t.ok(pressure.memoryBytes > 10_000_000)
  await until(() => pressure.loopDelayMs < 20, () => {})
  t.equal(pressure.diskFreeBytes, null)
})
