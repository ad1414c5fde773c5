// What a provider tells by itself of an account: registered once, and looked after.

import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { CONFIG, makeApp, until, type App } from '../helpers/app.ts'
import { addressOf, BUOY, buoyConfig, call, connect, EVENTS, hooksOf, inboxOf, KEY, KEY_OTHER, listening, made, makeBuoyApp, settled, SHOP, standing, startBuoyApp, told, world, type Hook } from '../helpers/buoy.ts'
import { writeFolder } from '../helpers/providers.ts'
import { leftAt, storeKind } from '../helpers/stores.ts'

const STORE = 'store: { path: data/gateway.db }'

/** Another gateway, with data of its own, that uses the sandbox of one that runs. */
function besides (t: Test, app: App, { config = (text: string) => text, env = {} as Record<string, string> } = {}): App {
  const { DATABASE_URL: _, ...same } = app.env
  return makeBuoyApp(t, { env: { ...same, ...env }, config: buoyConfig(text => config(text.replace('sandbox: { enabled: true, port: 0 }', `sandbox: { enabled: true, url: "${app.sandboxUrl}" }`))) })
}

/** The gateway as it is started after a kill at this moment, at the same sandbox. */
async function afterKill (t: Test, app: App): Promise<App> {
  const left = await leftAt(t, app.place)
  const next = storeKind === 'postgres' ? besides(t, app, { env: { DATABASE_URL: left } }) : besides(t, app, { config: text => text.replace(STORE, `store: { path: ${left} }`) })
  await next.start()
  return next
}

const eventsOf = (hooks: readonly Hook[]): string[] => hooks.map(({ on }) => on).toSorted()

t.test('who connects is registered: each event once, at an address that nobody guesses, and it is shown', async t => {
  const app = await startBuoyApp(t)
  t.equal(await standing(app), undefined)
  await connect(app)
  await until(async () => (await standing(app))?.['state'] === 'on')
  t.strictSame(await standing(app), { state: 'on', reason: null, sentence: null })
  const hooks = await hooksOf(app)
  t.strictSame(eventsOf(hooks), EVENTS)
  t.equal(new Set(hooks.map(({ to }) => to)).size, 1)
  t.match(hooks[0]?.to, new RegExp(`^${app.url}/webhooks/buoy/[A-Za-z0-9_-]{43}$`))
  await until(() => settled(app))
  await app.ask('POST', `/v1/shops/${SHOP}/providers/buoy/setup/key/check`, { body: {} })
  await until(() => settled(app))
  t.equal(await made(app), 2, 'looked after, and nothing made anew')
  t.equal((await app.ask('GET', '/v1/shops/globex.example/providers/herald')).body['connection'] && await standing(app, 'globex.example', 'herald'), undefined, 'a provider that tells nothing shows nothing')
})

t.test('an answer that was lost makes no second subscription, nor does a kill in between (R24)', async t => {
  const app = await startBuoyApp(t, { config: buoyConfig(config => `${config}delivery: { request_deadline: 3s }\n`) }) // a hanging request is given up soon
  t.ok(CONFIG.includes(STORE))
  await app.fault('buoy', { kind: 'cut_after', match: { method: 'POST', path: '/hooks' }, times: 1 })
  await world(app, { several: true })
  await connect(app)
  await until(async () => (await standing(app))?.['state'] === 'on')
  t.strictSame(eventsOf(await hooksOf(app)), EVENTS)
  t.equal(await made(app), 2)
  await app.fault('buoy', { kind: 'hang', match: { path: '/secret' } })
  await connect(app, KEY_OTHER)
  await until(async () => (await hooksOf(app, 'two')).length === 2)
  const next = await afterKill(t, app)
  await app.heal('buoy')
  await until(async () => (await standing(next))?.['state'] === 'on')
  const hooks = await hooksOf(next, 'two', app.sandboxUrl)
  t.strictSame(eventsOf(hooks), EVENTS)
  t.ok(hooks.every(({ to }) => to.startsWith(next.url)), 'the one at the address of before was taken back')
})

t.test('what is not ours stays; what is doubled or leads to an old address of ours goes', async t => {
  const app = await startBuoyApp(t)
  await world(app, { several: true })
  const foreign: Hook[] = [
    { id: 'f1', account: 'one', to: 'https://other.example/webhooks/buoy/short', on: 'person.in' },
    { id: 'f2', account: 'one', to: `${app.url}/webhooks/buoy/${'x'.repeat(43)}`, on: 'person.in' },
    { id: 'f3', account: 'one', to: 'not an address', on: 'person.out' }
  ]
  await world(app, { hooks: foreign })
  await listening(app)
  const [own] = (await hooksOf(app)).filter(({ id }) => id.startsWith('h')) as [Hook]
  const doubled: Hook[] = [{ ...own, id: 'd1' }, { ...own, id: 'd2', to: `https://old.example${addressOf(own)}` }, { ...own, id: 'd3', on: 'person.other' }]
  await world(app, { hooks: [...await hooksOf(app), ...doubled] })
  await app.ask('POST', `/v1/shops/${SHOP}/providers/buoy/setup/key/check`, { body: {} })
  await until(async () => (await hooksOf(app)).length === 5)
  await until(() => settled(app))
  t.strictSame((await hooksOf(app)).filter(({ id }) => id.startsWith('f')), foreign)
  t.strictSame(eventsOf((await hooksOf(app)).filter(({ id }) => id.startsWith('h'))), EVENTS)
})

t.test('started where it is reached by another address: registered there, and no more at the old one', async t => {
  const one = await startBuoyApp(t)
  const app = besides(t, one)
  await app.start()
  const path = await listening(app)
  const before = (await hooksOf(one))[0]?.to
  await app.restart()
  await until(async () => (await hooksOf(one)).every(({ to }) => to.startsWith(app.url)) && (await hooksOf(one)).length === 2)
  const [hook] = await hooksOf(one) as [Hook]
  t.not(hook.to, before)
  t.equal(addressOf(hook), path, 'the part that is secret stays')
  t.equal((await call(app, path, told('p1'))).status, 200)
})

t.test('where nobody reaches the gateway nothing is registered, and the connection says so', async t => {
  const app = makeApp(t, { config: buoyConfig(text => text.replace('sandbox: { enabled: true, port: 0 }', 'sandbox: { enabled: false }')) })
  writeFolder(`${app.dir}/providers/buoy`, BUOY)
  await app.start()
  await app.ask('PUT', `/v1/shops/${SHOP}/providers/buoy/connection`, { body: { secrets: { api_key: KEY } } })
  await until(() => settled(app))
  t.match(await standing(app), { state: 'off', reason: 'no_public_url', sentence: 'Buoy cannot reach this gateway: the operator must set server.public_url.' })
  t.strictSame(await app.query('select id from webhooks'), [])
})

t.test('what the provider refuses is said, and tried again where that helps', async t => {
  const app = await startBuoyApp(t)
  for (const [changes, reason] of [[{ status: 403 }, 'scope_missing'], [{ status: 400 }, 'payload_refused'], [{ status: null, forgets: true }, 'subscription_not_kept']] as const) {
    await world(app, changes)
    await connect(app)
    await until(async () => (await standing(app))?.['reason'] === reason)
    t.match(await standing(app), { state: 'pending', reason, sentence: /^[A-Z].*\.$/ })
    await app.query("delete from audit where action = 'setup.connect'")
  }
  const [hook] = await app.query('select hash from webhooks')
  t.match(hook?.hash, /^[A-Za-z0-9_-]{43}$/)
  t.notMatch(app.lines.join('\n'), /webhooks\/buoy\/[A-Za-z0-9_-]{43}/, 'a provider that repeats the address does not bring it into the log')
  t.match(app.lines.join('\n'), /cannot call .*\/webhooks\/buoy\/\*\*\*/)
  await world(app, { forgets: false })
  await app.query("update jobs set due_at = 1 where kind = 'webhooks' and due_at is not null")
  await until(async () => (await standing(app))?.['state'] === 'on')
})

t.test('#81: what is sealed is sealed anew by the newer key, and the address stays', async t => {
  const config = (keys: string) => buoyConfig(text => text.replace('encryption_keys: [{ id: k1, env: KEY_ONE }]', `encryption_keys: [${keys}]`))
  const app = await startBuoyApp(t, { env: { KEY_TWO: randomBytes(32).toString('base64url') } })
  const path = await listening(app)
  app.write(config('{ id: k2, env: KEY_TWO }, { id: k1, env: KEY_ONE }'))
  await app.restart()
  await until(async () => (await app.query("select 1 from webhook_secrets where key_id = 'k2'")).length === 2)
  await until(() => settled(app))
  t.equal((await call(app, path, told('p1'))).status, 200)
  await app.query("update webhook_secrets set key_id = 'gone'")
  t.equal((await call(app, path, told('p2'))).status, 401, 'a token that cannot be opened lets nobody in')
  await until(async () => (await hooksOf(app)).every(hook => addressOf(hook) !== path) && (await hooksOf(app)).length === 2)
  await until(async () => (await standing(app))['state'] === 'on')
  t.equal((await call(app, addressOf((await hooksOf(app))[0] as Hook), told('p2'))).status, 200, 'an address that cannot be opened is made anew')
})

t.test('#77 #82 #84: the address and the token stand in no log, no answer of the API, and nowhere unsealed', async t => {
  const app = await startBuoyApp(t)
  const path = await listening(app)
  await call(app, path, told('p1'))
  await call(app, path, told('p2'), { token: 'wrong-0123456789' })
  await inboxOf(app)
  const [row] = await inboxOf(app)
  const token = path.split('/').at(-1) as string
  const answers = JSON.stringify([await app.ask('GET', `/v1/shops/${SHOP}/providers/buoy`), await app.ask('GET', `/v1/shops/${SHOP}`), await app.ask('GET', `/v1/shops/${SHOP}/providers/buoy/setup`), await app.ask('GET', `/v1/inbox/${String(row?.id)}`)])
  const rows = JSON.stringify([await app.query('select * from webhooks'), await app.query('select headers, body, subject, topic from inbox'), await app.query('select request_head, request_body, answer from calls'), await app.query('select subject from audit')])
  const sealed = (await app.query('select sealed from webhook_secrets')).map(one => Buffer.from(one.sealed as Uint8Array).toString('latin1')).join()
  t.equal((await app.query('select field from webhook_secrets')).length, 2)
  for (const secret of [token, 'secret-of-one-0123456789', KEY]) {
    for (const [where, text] of Object.entries({ log: app.lines.join('\n'), answers, rows, sealed })) t.notOk(text.includes(secret), where)
  }
})
