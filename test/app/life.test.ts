// The gateway from start to stop: its data, its port, its clock.

import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { request } from 'undici'
import { checkNode } from '../../gateway/app.ts'
import { FaultsFound } from '../../gateway/load.ts'
import { anEvent, CONFIG, deliveryOf, halfway, makeApp, movable, startApp, until } from '../helpers/app.ts'
import { onlySqlite } from '../helpers/only-sqlite.ts'

const free = () => new Promise<number>((resolve, reject) => {
  const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    server.close(() => { resolve(port) })
  })
})

t.test('says where it is, what it is, and what to paste', async t => {
  const app = await startApp(t)
  const text = app.out.join('\n')
  t.match(text, `gateway listening on ${app.url}`)
  t.match(text, /SANDBOX/)
  t.match(await app.ask('GET', '/healthz', { key: null }), { status: 200, body: { status: 'ok' } })
  t.match(await app.ask('GET', '/readyz', { key: null }), { status: 200, body: { status: 'ready' } })
  t.match(await app.ask('GET', '/metrics', { key: null }), { status: 200, headers: { 'content-type': /text\/plain/ }, body: { text: /gateway_config_reload_success 1/ } })
})

t.test('stops with nothing left open, and what was accepted is there at the next start', async t => {
  const app = await startApp(t)
  await app.fault('courier', { kind: 'status', status: 503, body: {} })
  const failed = await app.post(anEvent('keep-1'))
  t.match(await app.attempted(failed), { outcome: 'retry', reason: 'provider_failing' })
  await app.post(anEvent('keep-2', { type: 'preorder.confirmed' }))
  const { url, sandboxUrl } = app
  const before = await app.delivery('keep-1')
  await app.close()
  for (const address of [url, sandboxUrl]) await t.rejects(request(address), { code: 'ECONNREFUSED' })
  await app.start()
  const after = await app.delivery('keep-1')
  t.strictSame(after, before, 'with all that was said of it')
  t.match(after, { state: 'unknown', reason: 'provider_failing', attempts: 1, calls: [{ status: 503 }] })
  t.match((await app.post(anEvent('keep-1'))).body, { status: 'duplicate' })
})

t.test('what waits is sent after a start, without being asked for', async t => {
  const app = await startApp(t)
  await app.fault('courier', { kind: 'status', status: 429, headers: { 'retry-after': '1' } })
  const limited = await app.post(anEvent('after-1'))
  t.match(await app.attempted(limited), { reason: 'rate_limited' })
  await app.restart()
  t.match(await app.delivered(limited), { attempt: 1 }, 'and the 429 has cost no attempt')
})

t.test('a send in flight is waited for when it stops', async t => {
  const app = await startApp(t)
  await app.fault('courier', { kind: 'delay', delay_ms: 300 })
  const slow = await app.post(anEvent('slow-1'))
  await until(async () => (await app.delivery('slow-1')).state === 'sending')
  await app.restart()
  t.match(await app.delivery('slow-1'), { state: 'delivered', attempts: 1 })
  t.equal(app.lines.filter(line => line.includes(String(deliveryOf(slow).id)) && line.includes('attempt')).length, 1)
})

t.test('a request in flight is answered when it stops, and its event is kept', async t => {
  const app = await startApp(t)
  const going = await halfway(app, anEvent('going-1'))
  const closed = app.close()
  t.equal(await going.finish(), 202)
  await closed
  await app.start()
  t.ok(await app.delivery('going-1'))
})

onlySqlite('a second gateway on the same data is refused, and disturbs nothing', 'instances share a database', async t => {
  const app = await startApp(t)
  const second = makeApp(t, { dir: app.dir, env: app.env })
  await t.rejects(second.start(), { code: 'GW_STORE_LOCKED' })
  t.match(await app.delivered(await app.post(anEvent('two-1'))), { status: 202 })
})

t.test('a port that is taken is said so, and nothing is left running', async t => {
  const busy = createServer()
  await new Promise<void>(resolve => { busy.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { busy.close() })
  const { port } = busy.address() as AddressInfo
  const sandboxPort = await free()
  const app = makeApp(t, { port, config: CONFIG.replace('enabled: true, port: 0', `enabled: true, port: ${sandboxPort}`) })
  await t.rejects(app.start(), { code: 'GW_LISTEN' })
  await t.rejects(request(`http://127.0.0.1:${sandboxPort}`), { code: 'ECONNREFUSED' })
  const next = makeApp(t, { dir: app.dir, env: app.env })
  await next.start()
  t.equal((await next.ask('GET', '/readyz')).status, 200, 'the store was given back')
  const third = makeApp(t, { config: CONFIG.replace('enabled: true, port: 0', `enabled: true, port: ${port}`) })
  await t.rejects(third.start(), { code: 'GW_LISTEN' }, 'the sandbox\'s port as well')
})

t.test('a config with faults does not start, and names them all', async t => {
  const app = makeApp(t, { config: CONFIG.replace('level: info', 'level: loud').replace('default_provider: courier', 'default_provider: courrier').replace('marketing', 'spam') })
  const error = await app.start().then(() => null, (error: unknown) => error)
  t.ok(error instanceof FaultsFound)
  t.strictSame((error as FaultsFound).faults.map(({ path }) => path).toSorted(), ['/channels/sms/default_provider', '/event_types/back_in_stock.alert/kind', '/log/level'])
})

t.test('held messages expire by themselves; a person may send them again', async t => {
  const clock = movable()
  const app = await startApp(t, { runtime: clock.runtime })
  await app.ask('PUT', '/v1/shops/slow.example', { body: { name: 'Slow', domain: 'slow.example', plan: 'pro' } })
  await app.post(anEvent('late-1', { shop: 'slow.example' }))
  clock.advance(24 * 3_600_000 + 60_000)
  await until(async () => (await app.delivery('late-1')).state !== 'held')
  const late = await app.delivery('late-1')
  t.match(late, { state: 'expired', reason: 'expired', calls: [] })
  t.equal((await app.ask('POST', `/v1/deliveries/${String(late.id)}/retry`)).status, 409, 'not without a word about its age')
  t.equal((await app.ask('POST', `/v1/deliveries/${String(late.id)}/retry`, { body: { expired: true } })).status, 202)
  t.match(await app.delivery('late-1'), { state: 'held', reason: 'not_connected' })
  await app.ask('PUT', '/v1/shops/slow.example/providers/courier/connection', { body: { secrets: { api_key: 'key_slow_0123456789' }, ready: ['back_in_stock'] } })
  await until(async () => (await app.delivery('late-1')).state === 'delivered')
  t.equal((await app.ask('POST', `/v1/deliveries/${String(late.id)}/retry`)).status, 409, 'once it is there, never again')
})

t.test('after thirty days a message is forgotten, and its event is a new one', async t => {
  const clock = movable()
  const app = await startApp(t, { runtime: clock.runtime })
  const event = anEvent('month-1')
  await app.delivered(await app.post(event))
  clock.advance(31 * 24 * 3_600_000)
  await until(async () => await app.delivery('month-1') === undefined)
  t.match((await app.post(event)).body, { status: 'accepted' })
})

t.test('a Node that is too old is refused by name', async t => {
  for (const version of ['20.20.2', '24.14.9']) t.throws(() => { checkNode(version) }, { code: 'GW_RUNTIME' })
  for (const version of ['24.15.0', '26.0.0']) t.doesNotThrow(() => { checkNode(version) })
})
