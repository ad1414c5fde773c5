// Shops, plans, providers and connections, over HTTP and down to what is sent.

import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { anEvent, CONFIG, deliveryOf, startApp, until, type Answered, type App, type Body } from '../helpers/app.ts'
import { onlySqlite } from '../helpers/only-sqlite.ts'

const shop = (plan = 'pro', more: object = {}) => ({ name: 'Initech', domain: 'initech.example', plan, ...more })
const READY = ['back_in_stock', 'preorder']
const connection = (key = 'key_initech_0123456789', more: object = {}) => ({ secrets: { api_key: key }, ready: READY, ...more })

async function put (app: App, path: string, body: object): Promise<Answered> { return app.ask('PUT', `/v1/shops/initech.example${path}`, { body }) }
const queuesOf = ({ body }: Answered) => (body.queues as Body[]).map(({ setup_group: group, held_reason: held }) => [group, held])
const event = (id: string) => anEvent(id, { shop: 'initech.example' })

t.test('a shop has the channel\'s default provider until it chooses another one of that channel', async t => {
  const app = await startApp(t)
  t.match(await put(app, '', shop()), { status: 200, body: { id: 'initech.example', active: true, channels: { sms: { provider: 'courier', chosen: false, queues: [] } }, connections: [] } })
  const chosen = await put(app, '/channels/sms', { provider: 'herald' })
  t.match(chosen, { status: 200, body: { provider: 'herald', chosen: true, providers: [{ id: 'courier', available: true }, { id: 'herald', available: true }] } })
  t.match(await app.ask('GET', '/v1/shops/initech.example'), { body: { channels: { sms: { provider: 'herald' } } } })
  t.equal((await put(app, '/channels/fax', { provider: 'herald' })).status, 404)
  t.equal((await app.ask('GET', '/v1/shops/initech.example/providers/nobody')).status, 404)
  t.match((await app.ask('GET', '/v1/providers')).body.items, [{ id: 'courier', channels: ['sms'], needs: ['external_sms'], coming_soon: false }, { id: 'herald' }])
})

t.test('a plan that is too low refuses, holds, and lets go when it is raised', async t => {
  const app = await startApp(t)
  await put(app, '', shop('pro'))
  await put(app, '/providers/courier/connection', connection())
  t.match(await put(app, '', shop('free')), { status: 200, body: { channels: { sms: { providers: [{ id: 'courier', available: false, reason: 'plan_too_low' }, { id: 'herald', available: false }] } } } })
  for (const [path, body] of [['/channels/sms', { provider: 'courier' }], ['/providers/courier/connection', connection()]] as const) {
    t.match(await put(app, path, body), { status: 403, body: { error: { code: 'GW_PLAN_TOO_LOW' } } }, path)
  }
  t.match(await app.ask('GET', '/v1/shops/initech.example/providers/courier'), { body: { available: false, reason: 'plan_too_low', connection: { status: 'connected' } } }, 'what was connected stays')
  const held = await app.post(event('plan-1'))
  t.match(held.body, { status: 'accepted', deliveries: [{ state: 'held', reason: 'plan_too_low' }] })
  t.match(await app.delivery('plan-1'), { state: 'held', reason: 'plan_too_low', sentence: 'Upgrade to a paid plan to use Courier.' })
  t.strictSame(queuesOf(await app.ask('GET', '/v1/shops/initech.example/channels/sms')), [['back_in_stock', 'plan_too_low']])
  t.match((await app.post(event('plan-1'))).body, { status: 'duplicate', deliveries: [{ state: 'held', reason: 'plan_too_low' }] })

  await put(app, '', shop('pro'))
  t.match(await app.delivered(held), { provider: 'courier', shop: 'initech.example' })
  t.match(await app.delivery('plan-1'), { state: 'delivered', attempts: 1 })
})

t.test('what is put right lets go: connection, set-up, the shop itself', async t => {
  const app = await startApp(t)
  await put(app, '', shop('pro', { active: false }))
  const reasons: unknown[] = []
  const waiting = await app.post(event('steps-1'))
  const look = async () => { reasons.push((await app.delivery('steps-1')).reason) }
  await look()
  await put(app, '', shop('pro'))
  await look()
  await put(app, '/providers/courier/connection', connection('key_initech_0123456789', { ready: ['preorder'] }))
  await look()
  t.strictSame(reasons, ['shop_inactive', 'not_connected', 'setup_open'])
  await put(app, '/providers/courier/connection', connection())
  t.ok(await app.delivered(waiting))
})

t.test('a provider that is coming soon is listed, and refused', async t => {
  const app = await startApp(t, { config: CONFIG.replace('providers/herald }', 'providers/herald, coming_soon: true }') })
  await put(app, '', shop())
  t.match((await app.ask('GET', '/v1/providers')).body.items, [{ id: 'courier', coming_soon: false }, { id: 'herald', coming_soon: true }])
  t.match(await app.ask('GET', '/v1/shops/initech.example/providers/herald'), { body: { available: false, reason: 'coming_soon' } })
  for (const [path, body] of [['/channels/sms', { provider: 'herald' }], ['/providers/herald/connection', { secrets: { api_key: 'abcdefghijklmnop' } }]] as const) {
    t.match(await put(app, path, body), { status: 403, body: { error: { code: 'GW_COMING_SOON' } } }, path)
  }
  t.match((await app.post(anEvent('soon-1', { shop: 'globex.example' }))).body, { deliveries: [{ state: 'held', reason: 'coming_soon' }] }, 'a shop that has it already waits')
})

t.test('switching the provider moves what waits, and keeps what was connected', async t => {
  const app = await startApp(t)
  await put(app, '', shop())
  const waiting = await app.post([event('move-1'), event('move-2'), anEvent('move-3', { shop: 'initech.example', type: 'preorder.confirmed' })])
  t.ok(waiting.body.items?.every(item => deliveryOf({ ...waiting, body: item }).reason === 'not_connected'))
  await put(app, '/providers/herald/connection', { secrets: { api_key: 'herald-0123456789' }, ready: READY })
  t.match(await app.delivery('move-1'), { state: 'held', provider: 'courier' }, 'connecting is not choosing')
  await put(app, '/channels/sms', { provider: 'herald' })
  for (const item of waiting.body.items ?? []) t.match(await app.delivered({ ...waiting, body: item }), { provider: 'herald' })
  t.equal((await app.received('courier')).length, 0)
  t.equal((await app.received('herald')).length, 3)

  await put(app, '/providers/courier/connection', connection())
  await put(app, '/channels/sms', { provider: 'courier' })
  t.match(await app.delivered(await app.post(event('move-4'))), { provider: 'courier' })
  await put(app, '/channels/sms', { provider: 'herald' })
  t.match(await app.delivered(await app.post(event('move-5'))), { provider: 'herald' }, 'there and back with nothing entered again')
  t.match(await app.delivery('move-4'), { provider: 'courier', sentence: 'Accepted by Courier.' }, 'what was sent shows who sent it')
})

t.test('a connection shows its secrets\' last characters, takes new ones, and is gone when it is deleted', async t => {
  const app = await startApp(t)
  await put(app, '', shop())
  const view = async () => (await app.ask('GET', '/v1/shops/initech.example/providers/courier')).body.connection as Body | null
  t.equal(await view(), null)
  await put(app, '/providers/courier/connection', connection('key_initech_first_abcd', { account_id: 'ACC1', settings: { link_to: 'checkout' } }))
  t.match(await view(), { account_id: 'ACC1', auth: 'api_key', status: 'connected', settings: { link_to: 'checkout' }, ready: READY, secrets: { api_key: '…abcd' } })
  const { id } = await view() as Body
  await put(app, '/providers/courier/connection', connection('key_short_1111'))
  t.match(await view(), { id, account_id: null, settings: { link_to: 'product' }, secrets: { api_key: '…' } }, 'of a short one nothing')
  t.match(await app.ask('DELETE', '/v1/shops/initech.example/providers/courier/connection'), { status: 200, body: { connection: null } })
  t.equal((await app.ask('DELETE', '/v1/shops/initech.example/providers/courier/connection')).status, 404)
  t.match((await app.post(event('gone-1'))).body, { deliveries: [{ state: 'held', reason: 'not_connected' }] })
})

const WITH_PIGEON = CONFIG.replace('providers:\n', 'providers:\n  pigeon: { path: providers/pigeon }\n')

t.test('a key that has not the form its set-up step says is refused at once, and never repeated', async t => {
  const app = await startApp(t, { config: WITH_PIGEON })
  await put(app, '', shop())
  const wrong = await put(app, '/providers/pigeon/connection', connection('key_0123456789'))
  t.match(wrong, { status: 422, body: { error: { code: 'GW_REQUEST_INVALID', details: [{ path: '/secrets/api_key', rule: 'pattern', message: /coo-0123456789/ }] } } })
  t.equal(wrong.body.error?.details.length, 1)
  t.notMatch(JSON.stringify(wrong.body), /key_0123456789/)
  t.match((await app.ask('GET', '/v1/shops/initech.example/providers/pigeon')).body, { connection: null }, 'nothing is kept of it')
  t.match(await put(app, '/providers/pigeon/connection', connection('coo-9876543210')), { status: 200, body: { connection: { status: 'connected' } } })
})

t.test('so is a shop of the config with such a key: the fault names the place, and not the key', async t => {
  const declared = (secret: string, more = ''): string => `${WITH_PIGEON}  - { id: late.example, name: Late, domain: late.example, plan: pro,${more} connections: [{ provider: pigeon, secrets: { api_key: ${secret} } }] }\n`
  const app = await startApp(t, { config: declared('{ env: LATE_KEY }'), env: { LATE_KEY: 'coo-0123456789' } })
  t.match((await app.ask('GET', '/v1/shops/late.example')).body, { connections: [{ provider: 'pigeon', status: 'connected' }] })
  app.env.LATE_KEY = 'planted_7f3a9c2e5b81'
  t.equal(await app.reload(), false)
  app.write(declared('{ file: late.key, generate: true, prefix: coo- }'))
  t.equal(await app.reload(), false)
  const faults = app.lines.map(line => JSON.parse(line) as { faults?: Body[] }).flatMap(({ faults = [] }) => faults)
  const line = declared('').split('\n').findIndex(text => text.includes('late.example')) + 1
  t.match(faults, [{ code: 'GW_CONFIG_SECRET', place: { line }, fix: String }, { code: 'GW_CONFIG_SECRET', place: { line }, fix: /prefix.*delete/ }])
  t.equal(faults.length, 2)
  t.notMatch(app.lines.join('\n'), /planted_7f3a9c2e5b81/)
  app.env.LATE_KEY = 'coo-1234567890'
  app.write(declared('{ env: LATE_KEY }'))
  t.equal(await app.reload(), true)
})

t.test('refused credentials hold an account; new ones let go what waits', async t => {
  const app = await startApp(t)
  await put(app, '', shop())
  await app.fault('courier', { kind: 'status', status: 401, body: { errors: [{ detail: 'The key is revoked.' }] } })
  await put(app, '/providers/courier/connection', connection('key_revoked_0123456789'))
  const refused = await app.post(event('cred-1'))
  t.match(await app.attempted(refused), { outcome: 'hold', reason: 'credentials_refused', status: 401 })
  t.match(await app.delivery('cred-1'), { state: 'held', reason: 'credentials_refused', attempts: 0 })
  t.equal(await app.heal('courier'), 1, 'it was tried once, and no more with that key')
  await put(app, '/providers/courier/connection', connection('key_working_0123456789'))
  t.match(await app.delivered(refused), { status: 202 })
  t.match(await app.delivery('cred-1'), { state: 'delivered', reason: null })
  await put(app, '/providers/courier/connection', connection('key_revoked_0123456789'))
  await app.delivered(await app.post(event('cred-2')))
  const [working, revoked] = await app.received('courier')
  t.not(working?.account, revoked?.account, 'what waited went out with the new key')
})

t.test('shops at one account of a provider are counted together', async t => {
  const config = CONFIG.replace('providers/courier }', 'providers/courier, limits: { events: [{ max: 2, per: 60s }] } }')
  const app = await startApp(t, { config })
  for (const id of ['one.example', 'two.example', 'three.example']) {
    await app.ask('PUT', `/v1/shops/${id}`, { body: shop() })
    await app.ask('PUT', `/v1/shops/${id}/providers/courier/connection`, { body: connection(`key_${id.replace('.', '_')}_0123`, { account_id: id === 'three.example' ? 'OTHER' : 'SAME' }) })
  }
  const posted = await app.post(['one.example', 'one.example', 'two.example', 'two.example', 'three.example', 'three.example'].map((shop, i) => anEvent(`same-${i}`, { shop })))
  const other = (posted.body.items ?? []).slice(4)
  for (const item of other) await app.delivered({ ...posted, body: item })
  const isAttempt = (line: string, shops: string[]): boolean => { const entry = JSON.parse(line) as Body; return entry.msg === 'attempt' && shops.includes(entry.shop as string) }
  await app.logged(() => app.lines.filter(line => isAttempt(line, ['one.example', 'two.example'])).length === 2)
  const { body } = await app.ask('GET', '/v1/deliveries?state=waiting')
  t.equal(body.items?.length, 2, 'two of the four have had the account\'s two places')
  t.strictSame(body.items?.map(({ shop }) => shop).toSorted(), ['one.example', 'two.example'], 'and the shops took turns')
})

t.test('declared shops are there once, also when the gateway starts again', async t => {
  const app = await startApp(t)
  const before = await app.ask('GET', '/v1/shops')
  const acme = await app.ask('GET', '/v1/shops/acme.example')
  await app.restart()
  t.strictSame((await app.ask('GET', '/v1/shops')).body, before.body)
  t.strictSame((await app.ask('GET', '/v1/shops/acme.example')).body, acme.body, 'with the same connection')
  t.ok(await app.delivered(await app.post(anEvent('again-1'))))
})

onlySqlite('the files hold no secret in any form', 'it reads the files', async t => {
  const app = await startApp(t)
  await put(app, '', shop())
  await put(app, '/providers/courier/connection', connection('key_planted_7f3a9c2e5b81'))
  await app.delivered(await app.post(event('files-1')))
  await app.fault('courier', { kind: 'status', status: 400, body: { errors: [{ detail: 'your key key_planted_7f3a9c2e5b81 is fine, the body is not' }] } })
  t.match(await app.attempted(await app.post(event('files-2'))), { reason: 'payload_refused' })
  const answer = await app.delivery('files-2')
  t.notMatch(JSON.stringify(answer), /planted/, 'nor does what the provider said of it')
  await app.close()
  const folder = join(app.dir, 'data')
  const files = readdirSync(folder).map(name => [name, readFileSync(join(folder, name))] as const)
  t.ok(files.some(([, bytes]) => bytes.includes('files-1')), 'looked at the right files')
  for (const secret of ['key_planted_7f3a9c2e5b81', ...Object.values(app.env)]) {
    const forms = [Buffer.from(secret), Buffer.from(Buffer.from(secret).toString('base64').replace(/=+$/, '')), Buffer.from(Buffer.from(secret).toString('hex')), Buffer.from(encodeURIComponent(secret)), Buffer.from(secret, 'base64url')]
    for (const [name, bytes] of files) t.notOk(forms.some(form => bytes.includes(form)), name)
  }
})

t.test('a shop whose stored secrets cannot be opened is held with that reason, alone, until it connects again', async t => {
  const app = await startApp(t)
  await put(app, '', shop())
  await put(app, '/providers/courier/connection', connection())
  await app.delivered(await app.post(event('before-1')))
  app.env.KEY_ONE = randomBytes(32).toString('base64url')
  await app.restart()
  t.match(await app.ask('GET', '/v1/shops/initech.example/providers/courier'), { body: { connection: { status: 'unreadable', reason: 'credentials_unreadable', secrets: null } } })
  t.match((await app.post(event('lost-1'))).body, { status: 'accepted', deliveries: [{ state: 'held', reason: 'credentials_unreadable' }] })
  await app.delivered(await app.post(anEvent('other-1')))
  await put(app, '/providers/courier/connection', connection())
  await until(async () => (await app.delivery('lost-1')).state === 'delivered')
})

t.test('a channel without a default holds what comes for a shop that has not chosen', async t => {
  const app = await startApp(t, { config: CONFIG.replace(/default_provider: \w+/, 'default_provider: null') })
  await put(app, '', shop())
  t.match((await app.post(event('none-1'))).body, { status: 'accepted', deliveries: [{ provider: null, state: 'held', reason: 'no_provider' }] })
  t.match(await app.delivery('none-1'), { state: 'held', sentence: 'No provider is chosen for this channel.' })
})
