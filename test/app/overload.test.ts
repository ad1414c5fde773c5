// The whole gateway when the disk fills up, when another program holds its file, when too much comes in, and when its writes are unsafe.

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FaultsFound } from '../../gateway/load.ts'
import { anEvent, CONFIG, deliveryOf, halfway, makeApp, startApp, until, type App } from '../helpers/app.ts'
import { onlySqlite } from '../helpers/only-sqlite.ts'
import { configWith, HOOK, hooked, TOKENS, writeSource } from '../sources/hook.ts'

const MIB = 1024 * 1024
const HELD_MS = 1000

async function metric (app: App, name: string): Promise<number> {
  const { body } = await app.ask('GET', '/metrics', { key: null })
  const line = String(body.text).split('\n').find(line => line.startsWith(name))
  return Number(line?.split(' ').at(-1))
}

async function withHook (t: Test, options: Parameters<typeof makeApp>[1] = {}): Promise<App> {
  const app = makeApp(t, { ...options, config: options.config ?? configWith(HOOK), env: TOKENS })
  writeSource(app.dir, 'hook')
  await app.start()
  return app
}

onlySqlite('R7: below 64 MiB free nothing is taken in, below 32 nothing is sent; both go on by themselves and nothing is lost', 'the disk of a database is its own', async t => {
  let free = 100 * MIB
  const app = await withHook(t, { freeBytes: async () => free })
  await app.fault('courier', { kind: 'status', status: 429, headers: { 'retry-after': '1' }, times: 1 })
  const first = await app.post(anEvent('before-1'))
  t.match(await app.attempted(first), { reason: 'rate_limited' })
  free = 20 * MIB
  await until(async () => (await app.ask('GET', '/readyz', { key: null })).status === 503)
  t.match(await app.ask('GET', '/readyz', { key: null }), { body: { status: 'the disk of the store is nearly full' } })
  t.match(await app.post(anEvent('refused-1')), { status: 503, headers: { 'retry-after': '30' }, body: { error: { code: 'GW_DISK_FULL' } } })
  t.match(await hooked(app, { is: 'recorded', reason: 'noted', detail: 'Kept.' }), { status: 503, body: { error: { code: 'GW_DISK_FULL' } } })
  t.equal((await app.ask('GET', '/v1/deliveries')).status, 200, 'what is kept can be read')
  t.match([await metric(app, 'gateway_disk_intake_open'), await metric(app, 'gateway_disk_sends_open'), await metric(app, 'gateway_disk_free_bytes')], [0, 0, 20 * MIB])
  t.match([await metric(app, 'gateway_shed_total{lane="events",reason="disk"}'), await metric(app, 'gateway_shed_total{lane="webhooks",reason="disk"}')], [1, 1])
  t.match(await app.logged(({ msg }) => String(msg).includes('nothing is taken in and nothing sent')), { level: 50, freeBytes: 20 * MIB })
  await new Promise(resolve => { setTimeout(resolve, 1500) }) // the pause of the 429 is over by then
  t.match(await app.delivery('before-1'), { state: 'waiting', reason: 'rate_limited' })
  t.equal((await app.received('courier')).length, 0, 'nothing was sent')
  free = 50 * MIB
  t.match(await app.delivered(first), { attempt: 1 }, 'sends go on first')
  t.equal((await app.post(anEvent('refused-1'))).status, 503)
  free = 100 * MIB
  await until(async () => (await app.post(anEvent('refused-1'))).status === 202)
  t.equal((await app.ask('GET', '/readyz', { key: null })).status, 200)
  t.match(await app.logged(({ msg }) => String(msg).includes('there is room on the disk again')), { intake: true, sends: true })
})

t.test('R65, R66: what is more than may be in flight is refused with Retry-After; webhooks still come in, readiness stays, and it recovers', async t => {
  const app = await withHook(t, { config: configWith(HOOK).replace('server: { host: 127.0.0.1, port: 0 }', 'server: { host: 127.0.0.1, port: 0, overload: { requests: 4 } }') })
  const open = [await halfway(app, anEvent('open-1')), await halfway(app, anEvent('open-2')), await halfway(app, anEvent('open-3'))]
  t.match(await app.post(anEvent('more-1')), { status: 429, headers: { 'retry-after': '1' }, body: { error: { code: 'GW_KEY_OVERLOADED', details: [] } } })
  const other = await app.post(anEvent('more-2'), { key: 'acme' })
  t.equal(other.status, 202, 'another key has its place')
  for (const one of open) t.equal(await one.finish(), 202)
  const four = [await halfway(app, anEvent('four-1')), await halfway(app, anEvent('four-2')), await halfway(app, anEvent('four-3')), await halfway(app, anEvent('four-4'), 'acme')]
  t.match(await app.post(anEvent('more-3'), { key: 'events' }), { status: 503, headers: { 'retry-after': '2' }, body: { error: { code: 'GW_OVERLOADED' } } })
  t.equal((await hooked(app, { is: 'recorded', reason: 'noted', detail: 'Kept.' })).status, 200)
  t.equal((await app.ask('GET', '/readyz', { key: null })).status, 200)
  t.equal(await metric(app, 'gateway_in_flight_requests'), 4)
  t.equal(await metric(app, 'gateway_shed_total{lane="events",reason="requests"}'), 1)
  t.match(await app.logged(({ msg }) => String(msg).startsWith('overloaded')), { lane: 'events', count: 1 })
  for (const one of four) t.equal(await one.finish(), 202)
  t.equal((await app.post(anEvent('more-3'), { key: 'events' })).status, 202)
  t.equal(await metric(app, 'gateway_in_flight_requests'), 0)
})

/** Another program that holds the file's lock when it is told to. */
async function other (t: Test, dir: string, path: string): Promise<ChildProcess> {
  const file = join(dir, 'holder.mjs')
  writeFileSync(file, `import { DatabaseSync } from 'node:sqlite'
    const db = new DatabaseSync(process.argv[2], { timeout: 5000 })
    process.on('message', sql => { db.exec(sql); process.send(sql) })
    process.send('ready')`)
  const child = fork(file, [path], { stdio: 'ignore' })
  t.teardown(() => { child.kill('SIGKILL') })
  await once(child, 'message')
  return child
}

onlySqlite('R8: while another program holds the lock intake waits, then refuses; reading goes on, and nothing is lost', 'it locks the file', async t => {
  const app = await startApp(t, { config: CONFIG.replace('server: { host: 127.0.0.1, port: 0 }', 'server: { host: 127.0.0.1, port: 0, overload: { requests: 40 } }') })
  await app.delivered(await app.post(anEvent('first')))
  const holder = await other(t, app.dir, app.place)
  const held = once(holder, 'message')
  holder.send('begin immediate')
  await held
  let answered = 0
  const posts = Array.from({ length: 60 }, async (_, i) => { const { status } = await app.post(anEvent(`locked-${i}`)); answered++; return status })
  await until(async () => answered >= 30)
  t.equal((await app.ask('GET', '/readyz', { key: null })).status, 200)
  await new Promise(resolve => { setTimeout(resolve, HELD_MS) })
  t.equal(answered, 30, 'those beyond the mark are refused at once, the others wait')
  t.equal((await app.ask('GET', '/v1/deliveries')).status, 200, 'reading goes on')
  holder.send('commit')
  const statuses = await Promise.all(posts)
  t.equal(statuses.filter(status => status === 202).length, 30)
  t.equal(statuses.filter(status => status === 429).length, 30)
  for (const [i, status] of statuses.entries()) if (status === 202) await until(async () => (await app.delivery(`locked-${i}`))?.state === 'delivered')
})

onlySqlite('R5: durability that may lose what was accepted is taken only where that is allowed, and said aloud', 'it sets how the file is written', async t => {
  const unsafe = (more: string) => CONFIG.replace('store: { path: data/gateway.db }', `store: { path: data/gateway.db, synchronous: normal${more} }`)
  const app = makeApp(t, { config: unsafe('') })
  const error = await app.start().then(() => null, (error: unknown) => error)
  t.ok(error instanceof FaultsFound)
  t.match((error as FaultsFound).faults, [{ code: 'GW_CONFIG_VALUE', path: '/store/synchronous' }])
  app.write(unsafe(', allow_data_loss: true'))
  await app.start()
  t.match(await app.logged(({ msg }) => String(msg).includes('power cut')), { level: 40 })
  const id = deliveryOf(await app.post(anEvent('unsafe-1'))).id
  t.type(id, 'string')
})
