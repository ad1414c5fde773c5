// A set-up step that is under way while the gateway is killed or stopped, and a provider that does not answer.

import t, { type Test } from 'tap'
import { CONFIG, until, type App } from '../helpers/app.ts'
import { act, itemOf, KEY, makeSetupApp, pathOf, setupConfig, SHOP, shown, startSetupApp, stateOf } from '../helpers/setup.ts'
import { leftAt, storeKind } from '../helpers/stores.ts'

const ALERT = 'back_in_stock.alert'
const PHONE = '+12015550123'

/** A hanging request is given up soon. */
const BRIEF = setupConfig(config => `${config}delivery: { request_deadline: 4s }\n`)

/** The gateway as it is started after a kill at this moment; the provider answers it. */
async function afterKill (t: Test, app: App): Promise<App> {
  const left = await leftAt(t, app.place)
  const config = storeKind === 'postgres' ? {} : { config: setupConfig(text => text.replace('store: { path: data/gateway.db }', `store: { path: ${left} }`)) }
  const next = makeSetupApp(t, { ...config, env: { ...app.env, ...(storeKind === 'postgres' && { DATABASE_URL: left }) } })
  await next.start()
  return next
}

t.test('killed between the unit that asks and the provider\'s answer: after the start the step ends by itself (R24)', async t => {
  t.ok(CONFIG.includes('store: { path: data/gateway.db }'))
  const app = await startSetupApp(t, { config: BRIEF })
  await app.fault('beacon', { kind: 'hang' })
  const connecting = act(app, 'key/connect', { secrets: { api_key: KEY } }).catch(() => null)
  await until(async () => (await app.query('select * from calls')).length > 0)
  t.equal(await stateOf(app, 'key'), 'running')
  const next = await afterKill(t, app)
  await until(async () => await stateOf(next, 'key') !== 'running')
  t.match(await shown(next), { connected: true, account_name: 'Shop one' })
  t.strictSame(await next.query('select * from setup_secrets').catch(() => []), [])
  await until(async () => (itemOf(await shown(next), 'list')['options'] as object[]).length === 2)
  await app.close()
  await connecting
})

t.test('a test event that was under way is sent once more with its own id: the provider can tell', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  await until(async () => await stateOf(app, 'list') === 'open' && itemOf(await shown(app), 'list')['checked_at'] !== null)
  await app.fault('beacon', { kind: 'delay', delay_ms: 3000, match: { path: '/events' } })
  const sending = act(app, 'test/send', { subject: ALERT, phone: PHONE }).catch(() => null)
  await until(async () => await stateOf(app, 'test', ALERT) === 'running')
  const id = itemOf(await shown(app), 'test', ALERT)['event_id']
  const next = await afterKill(t, app)
  await until(async () => await stateOf(next, 'test', ALERT) !== 'running')
  t.match(itemOf(await shown(next), 'test', ALERT), { state: 'done', event_id: id })
  t.strictSame((await next.received('beacon')).filter(({ method }) => method === 'POST').map(({ key }) => key), [id])
  t.match(await next.ask('GET', pathOf()), { status: 200 })
  await app.close()
  await sending
})

t.test('stopped in the middle: what it was asked for is there after the start, and ends', async t => {
  const app = await startSetupApp(t)
  await app.fault('beacon', { kind: 'delay', delay_ms: 500, match: { path: '/me' } })
  const connecting = act(app, 'key/connect', { secrets: { api_key: KEY } }).catch(() => null)
  await until(async () => await stateOf(app, 'key') === 'running')
  await app.restart()
  await connecting
  await until(async () => await stateOf(app, 'key') !== 'running')
  t.match(await shown(app), { connected: true })
})

t.test('a provider that hangs: 202 and where to look, the step runs, then ends with "try again"', async t => {
  const app = await startSetupApp(t, { config: BRIEF })
  await app.fault('beacon', { kind: 'hang', match: { path: '/me' } })
  const answer = await act(app, 'key/connect', { secrets: { api_key: KEY } })
  t.match(answer, { status: 202, headers: { location: pathOf() } })
  t.match(itemOf(answer.body, 'key'), { state: 'running', action: 'connect', asked_at: String, actions: [{ allowed: false, why: 'It is being worked on.' }, {}] })
  await until(async () => await stateOf(app, 'key') !== 'running')
  t.match(itemOf(await shown(app), 'key'), { state: 'open', reason: 'no_answer', actions: [{ allowed: true }, {}] })
  t.strictSame(await app.query('select * from setup_secrets'), [])
  t.match(await app.ask('GET', `/v1/shops/${SHOP}/providers/beacon`), { body: { connection: null } })
})
