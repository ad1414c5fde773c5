// The platform's own account: every shop sends over it, gives settings only, and takes turns.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { anEvent, CONFIG, makeApp, movable, until, type Answered, type App, type Body } from '../helpers/app.ts'
import { HOUSE, HOUSE_ENTRY, HOUSE_ID } from '../helpers/house-provider.ts'
import { writeFolder } from '../helpers/providers.ts'
import { onlySqlite } from '../helpers/only-sqlite.ts'
import type { Teardown } from '../helpers/tmp.ts'

const WITH_HOUSE = CONFIG.replace('providers:\n', `providers:\n${HOUSE_ENTRY}`).replace('default_provider: courier', 'default_provider: house')
const KEYS = { HOUSE_USER: 'SK1', HOUSE_PASSWORD: 'house-password-7f3a9c2e5b81' }
const SHOPS = ['one.example', 'two.example']

/** A gateway whose shops send through the house, without anything connected. */
async function houseApp (t: Teardown, options: { config?: string, env?: Record<string, string>, shops?: string[], runtime?: ReturnType<typeof movable>['runtime'] } = {}): Promise<App> {
  const { config = WITH_HOUSE, env = KEYS, shops = SHOPS, runtime } = options
  const app = makeApp(t, { config, env, ...(runtime && { runtime }) })
  writeFolder(join(app.dir, 'providers/house'), HOUSE)
  await app.start()
  for (const id of shops) await app.ask('PUT', `/v1/shops/${id}`, { body: { name: id, domain: id, plan: 'free' } })
  return app
}

const put = (app: App, shop: string, body: object): Promise<Answered> => app.ask('PUT', `/v1/shops/${shop}/providers/house/connection`, { body })
const view = (app: App, shop: string, path = '/providers/house'): Promise<Answered> => app.ask('GET', `/v1/shops/${shop}${path}`)
const textsOf = async (app: App): Promise<unknown[]> => (await app.received(HOUSE_ID)).map(({ body }) => (body as Body).text)
const event = (id: string, shop = 'one.example') => anEvent(id, { shop })

t.test('a shop sends over the platform\'s account with nothing connected, and sees nothing of it', async t => {
  const app = await houseApp(t)
  t.match(await app.delivered(await app.post(event('first-1'))), { provider: HOUSE_ID, status: 201 })
  t.match(await app.delivery('first-1'), { provider: HOUSE_ID, sentence: 'Accepted by House.', calls: [{ request: { path: '/accounts/AC1/messages', body: { from: '+12015550100', hours: 4 } } }] })
  const connection = { id: null, provider: HOUSE_ID, connection: 'gateway', status: 'connected', reason: null, settings: { greeting: 'Back in stock' } }
  t.strictSame((await view(app, 'one.example')).body, { id: HOUSE_ID, title: 'House', available: true, reason: null, connection })
  t.strictSame((await view(app, 'one.example', '')).body.connections, [connection])
  t.match((await app.ask('GET', '/v1/providers')).body.items?.find(({ id }) => id === HOUSE_ID), { connection: 'gateway' })
  for (const secret of Object.values(KEYS)) t.notMatch(JSON.stringify([await view(app, 'one.example', ''), await app.delivery('first-1'), app.lines]), secret)
})

t.test('a shop may give settings, and is told that there is nothing else to give', async t => {
  const app = await houseApp(t)
  t.match(await put(app, 'one.example', { settings: { greeting: 'Hello' } }), { status: 200, body: { connection: { settings: { greeting: 'Hello' } } } })
  t.match(await put(app, 'one.example', { secrets: {}, settings: { greeting: 'Hi' } }), { status: 200, body: { connection: { settings: { greeting: 'Hi' } } } })
  for (const [body, path, rule] of [
    [{ secrets: { user: 'SK2' } }, '/secrets/user', 'gateway'],
    [{ auth: 'basic' }, '/auth', 'gateway'],
    [{ account_id: 'AC2' }, '/account_id', 'gateway'],
    [{ ready: ['back_in_stock'] }, '/ready', 'gateway'],
    [{ settings: { greeting: '' } }, '/settings/greeting', 'minLength'],
    [{ settings: { greting: 'x' } }, '/settings', 'additionalProperties']
  ] as const) {
    const refused = await put(app, 'one.example', body)
    t.match(refused, { status: 422, body: { error: { code: 'GW_REQUEST_INVALID', details: [{ path: new RegExp(`^${path}`), rule }] } } }, JSON.stringify(body))
    t.notMatch(JSON.stringify(refused.body), /SK2/)
  }
  t.match((await view(app, 'one.example')).body, { connection: { settings: { greeting: 'Hi' } } }, 'what was refused changed nothing')
  t.match((await view(app, 'two.example')).body, { connection: { settings: { greeting: 'Back in stock' } } }, 'nor did it touch another shop')
  await app.delivered(await app.post(event('set-1')))
  await app.delivered(await app.post(event('set-2', 'two.example')))
  t.match(await textsOf(app), [/^Hi: /, /^Back in stock: /])
  for (const times of [1, 2]) t.match(await app.ask('DELETE', '/v1/shops/one.example/providers/house/connection'), { status: 200, body: { connection: { id: null, settings: { greeting: 'Back in stock' } } } }, `back to its settings, ${times}`)
})

t.test('settings outlive a switch to another provider and back, and a restart', async t => {
  const app = await houseApp(t)
  await app.ask('PUT', '/v1/shops/one.example', { body: { name: 'One', domain: 'one.example', plan: 'pro' } })
  await put(app, 'one.example', { settings: { greeting: 'Hello' } })
  await app.delivered(await app.post(event('switch-1')))
  await app.ask('PUT', '/v1/shops/one.example/channels/sms', { body: { provider: 'courier' } })
  t.match((await app.post(event('switch-2'))).body, { deliveries: [{ state: 'held', reason: 'not_connected', provider: 'courier' }] })
  await app.restart()
  await app.ask('PUT', '/v1/shops/one.example/channels/sms', { body: { provider: HOUSE_ID } })
  await until(async () => (await app.delivery('switch-2')).state === 'delivered')
  t.match(await app.delivery('switch-2'), { provider: HOUSE_ID })
  t.ok((await textsOf(app)).every(text => String(text).startsWith('Hello: ')))
  t.match((await view(app, 'one.example')).body, { connection: { id: /^con_/, settings: { greeting: 'Hello' } } })
})

t.test('shops on the platform\'s account share its windows and take turns', async t => {
  const app = await houseApp(t, { config: WITH_HOUSE.replace('providers/house,', 'providers/house, limits: { messages: [{ max: 4, per: 60s }] },') })
  const shops = [...Array.from({ length: 6 }, () => 'one.example'), 'two.example', 'two.example']
  await app.post(shops.map((shop, i) => event(`turn-${i}`, shop)))
  await app.logged(() => app.lines.filter(line => (JSON.parse(line) as Body).msg === 'attempt').length === 4)
  const { body } = await app.ask('GET', '/v1/deliveries?state=waiting')
  t.strictSame(body.items?.map(({ shop }) => shop), Array.from({ length: 4 }, () => 'one.example'), 'the small shop did not wait for the large one')
  await app.restart()
  t.match(await app.post(event('turn-8', 'two.example')), { status: 202 })
  t.equal((await app.ask('GET', '/v1/deliveries?state=waiting')).body.items?.length, 5, 'a restart forgets no window')
})

t.test('a platform key that is refused holds every shop, says so without asking the merchant, and a new one frees all', async t => {
  const app = await houseApp(t)
  await app.fault(HOUSE_ID, { kind: 'status', status: 401, body: {} })
  t.match(await app.attempted(await app.post(event('key-1'))), { outcome: 'hold', reason: 'platform_account_refused', status: 401 })
  const other = await app.post(event('key-2', 'two.example'))
  t.match(other.body, { status: 'accepted', deliveries: [{ state: 'held', reason: 'platform_account_refused' }] })
  for (const [id, shop] of [['key-1', 'one.example'], ['key-2', 'two.example']] as const) {
    t.match(await app.delivery(id), { state: 'held', reason: 'platform_account_refused', attempts: 0, sentence: /^House refuses our own account/ })
    t.match((await view(app, shop)).body, { connection: { status: 'refused', reason: 'platform_account_refused' } })
    t.match((await view(app, shop, '/channels/sms')).body, { queues: [{ held_reason: 'platform_account_refused' }] })
  }
  await put(app, 'two.example', { settings: { greeting: 'Hello' } })
  await app.ask('PUT', '/v1/shops/three.example', { body: { name: 'Three', domain: 'three.example', plan: 'free' } })
  await app.post(event('key-3', 'three.example'))
  t.equal(await app.reload(), true)
  t.equal(await app.heal(HOUSE_ID), 1, 'no shop and no reload had it tried with that key again')
  await app.restart()
  await app.post(event('key-4', 'three.example'))
  t.match((await view(app, 'one.example')).body, { connection: { status: 'refused' } }, 'nor does a restart')
  t.equal((await app.received(HOUSE_ID)).length, 0)

  app.env.HOUSE_PASSWORD = 'house-password-0123456789ab'
  t.equal(await app.reload(), true)
  await until(async () => (await Promise.all(['key-1', 'key-2', 'key-3', 'key-4'].map(id => app.delivery(id)))).every(({ state }) => state === 'delivered'))
  t.match((await view(app, 'one.example')).body, { connection: { status: 'connected', reason: null } })
})

t.test('a new key given while the gateway was down frees what the old one held', async t => {
  const app = await houseApp(t)
  await app.fault(HOUSE_ID, { kind: 'status', status: 403, body: {} })
  t.match(await app.attempted(await app.post(event('down-1'))), { outcome: 'hold', reason: 'platform_account_refused' })
  await app.close()
  app.env.HOUSE_PASSWORD = 'house-password-0123456789ab'
  await app.start()
  await until(async () => (await app.delivery('down-1')).state === 'delivered')
  t.pass('it went out')
})

t.test('what holds the account is lifted by whatever the platform changes of it: options, its address, ours', async t => {
  const app = await houseApp(t)
  const held = async (id: string): Promise<void> => {
    await app.fault(HOUSE_ID, { kind: 'status', status: 403, body: {}, times: 1 })
    t.match(await app.attempted(await app.post(event(id))), { outcome: 'hold', reason: 'platform_account_refused' }, id)
    t.equal(await app.reload(), true)
    t.match(await app.delivery(id), { state: 'held' }, `${id}: a reload without a change lifts nothing`)
  }
  const lifted = async (config: string, again: () => Promise<unknown>, id: string | null): Promise<void> => {
    app.write(config)
    t.not(await again(), false)
    t.match((await view(app, 'one.example')).body, { connection: { status: 'connected', reason: null } })
    if (id !== null) await until(async () => (await app.delivery(id)).state === 'delivered')
  }
  await held('option-1')
  const other = WITH_HOUSE.replace('sender: "+12015550100"', 'sender: "+12015550199"')
  await lifted(other, () => app.reload(), 'option-1')
  await held('url-1')
  const reached = other.replace('port: 0 }\nlog', 'port: 0, public_url: "https://sms.example.com" }\nlog')
  await lifted(reached, () => app.restart(), 'url-1')
  await held('base-1')
  t.match(await app.received(HOUSE_ID), [{ body: { from: '+12015550199', callback: 'https://sms.example.com/webhooks/house' } }], 'since the restart')
  await lifted(reached.replace('providers/house,', 'providers/house, base_url: "https://127.0.0.1:9",'), () => app.reload(), null)
})

t.test('an account whose id is given or changed later keeps what waits, and its windows', async t => {
  const limited = WITH_HOUSE.replace('providers/house,', 'providers/house, limits: { messages: [{ max: 1, per: 60s }] },')
  const app = await houseApp(t, { config: limited })
  await app.delivered(await app.post(event('id-1')))
  const waiting = await app.post(event('id-2', 'two.example'))
  app.write(limited.replace('account_id: AC1', 'account_id: AC2'))
  t.equal(await app.reload(), true)
  t.match(await app.query(`select a.account, b.account as inherits from accounts a left join accounts b on b.account_key = a.inherits where a.provider = '${HOUSE_ID}' order by a.account_key`), [{ account: 'AC1', inherits: null }, { account: 'AC2', inherits: 'AC1' }])
  t.match(await app.delivery('id-2'), { state: 'waiting' }, 'the provider may still count them as one')
  app.write(limited.replace('account_id: AC1', 'account_id: AC2').replace('max: 1', 'max: 2'))
  t.equal(await app.reload(), true)
  await app.delivered(waiting)
  t.match(await app.delivery('id-2'), { calls: [{ request: { path: '/accounts/AC2/messages' } }] })
})

t.test('a reload that takes the provider away holds its shops, and one that brings it back lets them go', async t => {
  const app = await houseApp(t)
  await put(app, 'one.example', { settings: { greeting: 'Hello' } })
  await app.delivered(await app.post(event('gone-1')))
  app.write(WITH_HOUSE.replace(HOUSE_ENTRY, '').replace('default_provider: house', 'default_provider: courier'))
  t.equal(await app.reload(), true)
  t.match((await app.post(event('gone-2'))).body, { deliveries: [{ state: 'held', provider: 'courier' }] })
  app.write(WITH_HOUSE)
  t.equal(await app.reload(), true)
  await until(async () => (await app.delivery('gone-2')).state === 'delivered')
  t.match(await textsOf(app).then(texts => texts.at(-1)), /^Hello: /)
})

t.test('announced only, the provider needs no account and is refused', async t => {
  const soon = WITH_HOUSE.replace(HOUSE_ENTRY, '  house: { path: providers/house, coming_soon: true }\n')
  const app = await houseApp(t, { config: soon, env: {} })
  t.match(await view(app, 'one.example'), { body: { available: false, reason: 'coming_soon', connection: null } })
  t.match(await put(app, 'one.example', {}), { status: 403, body: { error: { code: 'GW_COMING_SOON' } } })
  t.match((await app.post(event('soon-1'))).body, { deliveries: [{ state: 'held', reason: 'coming_soon' }] })
  app.write(WITH_HOUSE)
  Object.assign(app.env, KEYS)
  t.equal(await app.reload(), true)
  await until(async () => (await app.delivery('soon-1')).state === 'delivered')
  t.pass('it is there now')
})

t.test('live, with an account that is the sandbox\'s only, the provider is announced; what shops chose waits for it', async t => {
  const declared = '  - { id: late.example, name: Late, domain: late.example, plan: free, connections: [{ provider: house, settings: { greeting: Ahoy } }] }\n'
  const sandbox = WITH_HOUSE.replace('connection: { account_id', 'connection: { sandbox: true, account_id')
  const app = await houseApp(t, { config: sandbox })
  await put(app, 'one.example', { settings: { greeting: 'Hello' } })
  await app.delivered(await app.post(event('live-1')))
  app.write(sandbox.replace('sandbox: { enabled: true', 'sandbox: { enabled: false') + declared)
  await app.restart()
  for (const [i, shop] of ['one.example', 'two.example', 'late.example'].entries()) {
    t.strictSame((await view(app, shop)).body, { id: HOUSE_ID, title: 'House', available: false, reason: 'coming_soon', connection: null }, shop)
    t.strictSame((await view(app, shop, '')).body.connections, [], shop)
    t.match((await app.post(event(`live-2${i}`, shop))).body, { deliveries: [{ state: 'held', reason: 'coming_soon' }] }, shop)
    t.match((await view(app, shop, '/channels/sms')).body, { provider: HOUSE_ID, queues: [{ held_reason: 'coming_soon' }] }, shop)
  }
  t.equal((await app.ask('DELETE', '/v1/shops/one.example/providers/house/connection')).status, 404)
  t.strictSame((await app.query(`select account from accounts where provider = '${HOUSE_ID}' order by account`)).map(({ account }) => account), ['AC1', 'gateway'], 'no account was made up for a shop')
  app.write(sandbox + declared)
  await app.restart()
  await until(async () => (await Promise.all(['live-20', 'live-21', 'live-22'].map(id => app.delivery(id)))).every(({ state }) => state === 'delivered'))
  t.match((await textsOf(app)).toSorted(), [/^Ahoy: /, /^Back in stock: /, /^Hello: /])
})

t.test('a shop of the config gives settings too, and nothing else', async t => {
  const declared = (more: string): string => `${WITH_HOUSE}  - { id: late.example, name: Late, domain: late.example, plan: free, connections: [{ provider: house${more} }] }\n`
  const app = await houseApp(t, { config: declared(', settings: { greeting: Ahoy }') })
  await app.delivered(await app.post(event('late-1', 'late.example')))
  t.match(await textsOf(app), [/^Ahoy: /])
  for (const more of [', ready: [back_in_stock]', ', account_id: AC9', ', auth: basic', ', secrets: { user: { env: HOUSE_USER } }']) {
    app.write(declared(more))
    t.equal(await app.reload(), false, more)
  }
  const found = app.lines.map(line => JSON.parse(line) as { faults?: Array<{ code: string, message: string }> }).flatMap(({ faults = [] }) => faults)
  t.strictSame(found.map(({ code }) => code), Array.from({ length: 4 }, () => 'GW_CONFIG_VALUE'))
})

t.test('who starts it is offered a shop at the platform\'s account to try', async t => {
  const config = WITH_HOUSE.replace('id: all, env: KEY_ALL', 'id: all, file: all.key, generate: true').replace(/ {2}- id: acme[\s\S]*$/, '  - { id: late.example, name: Late, domain: late.example, plan: free, channels: { sms: house } }\n')
  const app = await houseApp(t, { config, shops: [] })
  t.match(app.out.join('\n'), /curl .*\/v1\/events[\s\S]*"shop":"late\.example"/)
})

onlySqlite('no file holds the platform\'s key', 'it reads the files', async t => {
  const app = await houseApp(t)
  await put(app, 'one.example', { settings: { greeting: 'planted-text' } })
  await app.delivered(await app.post(event('files-1')))
  const basic = Buffer.from(`${KEYS.HOUSE_USER}:${KEYS.HOUSE_PASSWORD}`).toString('base64')
  await app.fault(HOUSE_ID, { kind: 'status', status: 400, body: { error: `not with "Basic ${basic}", a-word-that-is-no-secret` } })
  await app.attempted(await app.post(event('files-2')))
  t.match((await app.delivery('files-2')).calls, [{ answer: /not with .*Basic \*\*\*.*, a-word-that-is-no-secret/ }])
  await app.close()
  const files = readdirSync(join(app.dir, 'data')).map(name => readFileSync(join(app.dir, 'data', name)))
  t.ok(files.some(bytes => bytes.includes('planted-text')), 'looked at the right files')
  for (const secret of [KEYS.HOUSE_PASSWORD, basic]) t.notOk(files.some(bytes => bytes.includes(secret)))
})
