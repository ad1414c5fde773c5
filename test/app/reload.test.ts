// The config read again while the gateway runs, and what a provider's folder brings and takes along.

import { rmSync } from 'node:fs'
import t from 'tap'
import { anEvent, CONFIG, deliveryOf, halfway, makeApp, ROOT, startApp, until, type Answered } from '../helpers/app.ts'
import { MADE } from '../helpers/made-providers.ts'
import { writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'
import { tempDir } from '../helpers/tmp.ts'
import { configWith, HOOK, TOKENS, writeSource } from '../sources/hook.ts'

/** A source that tells the address it was given. */
const PUBLIC = `
import { defineSource } from '${ROOT}/gateway/define.ts'
export default defineSource({ id: 'hook', secrets: ['token'], events: [], routes (app, { publicUrl }) { app.get('/', async () => ({ url: publicUrl })) }, translate: () => ({ is: 'recorded', reason: 'noted', detail: 'Kept.' }) })
`

t.test('a reload takes new event types, plans, shops and limits, and keeps what is there', async t => {
  const app = await startApp(t, { config: CONFIG.replace('providers/courier }', 'providers/courier, limits: { events: [{ max: 1, per: 60s }] } }') })
  await app.attempted(await app.post(anEvent('reload-1')))
  const waiting = await app.post(anEvent('reload-2'))
  t.equal((await app.delivery('reload-2')).state, 'waiting', 'the window is full')
  t.match((await app.post({ ...anEvent('reload-3'), type: 'restock.soon' })).body.error, { code: 'GW_EVENT_TYPE_UNKNOWN' })

  const type = CONFIG.split('\n').find(line => line.startsWith('  back_in_stock.alert:')) as string
  app.write(CONFIG
    .replace(type, `${type}\n${type.replace('back_in_stock.alert:', 'restock.soon:')}`)
    .replace('pro: [external_sms]', 'pro: [external_sms]\n  gold: [external_sms]')
    .replace('providers/courier }', 'providers/courier, limits: { events: [{ max: 2, per: 60s }] } }') +
    '  - { id: late.example, name: Late, domain: late.example, plan: gold }\n')
  t.equal(await app.reload(), true)
  await app.delivered(waiting)
  t.equal((await app.ask('GET', '/v1/shops/late.example')).status, 200)
  t.match(await app.ask('PUT', '/v1/shops/new.example', { body: { name: 'New', domain: 'new.example', plan: 'gold' } }), { status: 200 })
  t.match((await app.post({ ...anEvent('reload-4'), type: 'restock.soon' })).body, { status: 'accepted' })
  t.match((await app.post(anEvent('reload-1'))).body, { status: 'duplicate', deliveries: [{ state: 'delivered' }] })
})

t.test('what changed of server is not taken by a reload, and that is said', async t => {
  const app = makeApp(t, { config: configWith(HOOK).replace('port: 0 }', 'port: 0, public_url: https://one.example }'), env: TOKENS })
  writeSource(app.dir, 'hook', PUBLIC)
  await app.start()
  const told = async () => (await app.ask('GET', '/webhooks/hook', { key: null })).body
  t.strictSame(await told(), { url: 'https://one.example' })
  app.write(configWith(HOOK).replace('port: 0 }', 'port: 0, public_url: https://two.example, trust_proxy: [loopback] }'))
  t.equal(await app.reload(), true)
  t.strictSame(await told(), { url: 'https://one.example' })
  t.match(await app.logged(entry => Array.isArray(entry.changed)), { level: 40, changed: ['trust_proxy', 'public_url'] })
  await app.restart()
  t.strictSame(await told(), { url: 'https://two.example' })
})

t.test('a reload of a config with faults changes nothing, and is seen', async t => {
  const app = await startApp(t)
  const success = async () => /^gateway_config_reload_success (\d)$/m.exec(String((await app.ask('GET', '/metrics')).body.text))?.[1]
  app.write(CONFIG.replace('plan: pro', 'plan: platinum'))
  t.equal(await app.reload(), false)
  t.equal(await success(), '0')
  t.match(await app.logged(entry => entry.level === 50), { faults: [{ code: 'GW_CONFIG_REFERENCE', place: { line: CONFIG.split('\n').findIndex(line => line.includes('plan: pro')) + 1 } }] })
  t.match(await app.delivered(await app.post(anEvent('bad-1'))), { status: 202 })
  app.write(CONFIG)
  t.equal(await app.reload(), true)
  t.equal(await success(), '1')
})

t.test('a request in flight ends as it began, and no request falls between two generations', async t => {
  const app = await startApp(t)
  const going = await halfway(app, anEvent('swap-1'))
  const posts: Array<Promise<Answered>> = []
  for (let i = 0; i < 3; i++) {
    const reloaded = app.reload()
    for (let n = 0; n < 10; n++) posts.push(app.post(anEvent(`swap-${i}-${n}`)))
    t.equal(await reloaded, true)
  }
  t.strictSame([...new Set((await Promise.all(posts)).map(({ status }) => status))], [202])
  t.equal(await going.finish(), 202)
})

t.test('reloads at the same time are done one after the other', async t => {
  const app = await startApp(t)
  const both = [app.reload(), app.reload()]
  app.write(CONFIG.replace('plan: pro', 'plan: platinum'))
  t.strictSame(await Promise.all([...both, app.reload()]), [false, false, false], 'each reads what is there when its turn comes')
  app.write(CONFIG)
  t.equal(await app.reload(), true)
})

t.test('a provider made of YAML alone works from the event to its API, dropped in while the gateway runs', async t => {
  const folder = writeFolder(tempDir(t), THIRD)
  const config = CONFIG.replace('providers:\n', `providers:\n  ${THIRD_ID}: { path: ${folder} }\n`)
  const app = await startApp(t)
  app.write(config)
  t.equal(await app.reload(), true)
  await app.ask('PUT', '/v1/shops/acme.example/providers/parcel-sms/connection', { body: { secrets: { token: 'parcel-0123456789' }, account_id: 'ACCT01', settings: { sender: 'Acme' }, ready: ['back_in_stock'] } })
  t.match(await app.ask('PUT', '/v1/shops/acme.example/channels/sms', { body: { provider: THIRD_ID } }), { status: 200, body: { provider: THIRD_ID } })
  const posted = await app.post(anEvent('third-1'))
  t.match(await app.attempted(posted), { provider: THIRD_ID, outcome: 'delivered', status: 200 })
  t.match(await app.delivery('third-1'), { sentence: 'Accepted by Parcel SMS.', calls: [{ request: { path: '/v2/ACCT01/messages', headers: { 'x-country': 'US' } } }] })
  const [received] = await app.received(THIRD_ID)
  t.match(received, { status: 200, body: { to: '+12015550123', from: 'Acme', reference: deliveryOf(posted).id } })
  t.match((await app.post(anEvent('third-2', { type: 'preorder.confirmed' }))).body, { deliveries: [{ state: 'held' }] }, 'it has no such message, and is not set up for it')
})

t.test('without a provider\'s folder and its line all else works, and its shops see why they wait', async t => {
  const folder = writeFolder(tempDir(t), MADE.herald)
  const withIt = CONFIG.replace('providers/herald', folder)
  const without = withIt.replace(/^ {2}herald: .*\n/m, '').replace(/ {2}- id: globex[\s\S]*$/, '')
  const app = await startApp(t, { config: withIt })
  await app.delivered(await app.post(anEvent('leave-1', { shop: 'globex.example' })))
  rmSync(folder, { recursive: true })
  app.write(without)
  t.equal(await app.reload(), true)
  for (const again of [false, true]) {
    if (again) await app.restart()
    const id = `leave-2-${again}`
    t.match((await app.post(anEvent(id, { shop: 'globex.example' }))).body, { status: 'accepted', deliveries: [{ state: 'held', reason: 'provider_unknown', provider: 'herald' }] })
    t.match(await app.delivery('leave-1'), { state: 'delivered', provider: 'herald' })
    t.match((await app.ask('GET', '/v1/shops/globex.example')).body, { channels: { sms: { provider: 'herald', queues: [{ held_reason: 'provider_unknown' }] } }, connections: [{ provider: 'herald' }] })
    t.match(await app.delivered(await app.post(anEvent(`leave-3-${again}`))), { provider: 'courier' })
  }
  await app.ask('PUT', '/v1/shops/globex.example/providers/courier/connection', { body: { secrets: { api_key: 'key_globex_0123456789' }, ready: ['back_in_stock'] } })
  await app.ask('PUT', '/v1/shops/globex.example/channels/sms', { body: { provider: 'courier' } })
  await until(async () => (await app.delivery('leave-2-true')).state === 'delivered')
  t.match(await app.delivery('leave-2-false'), { provider: 'courier' }, 'another provider takes what waits')
})
