// Klaviyo by OAuth, through the gateway: the consent page, tokens that rotate, and what a merchant sees when the app is removed.

import t, { type Test } from 'tap'
import { request } from 'undici'
import { anEvent, CONFIG, movable, startApp, until, type App, type Body } from '../../test/helpers/app.ts'
import { Browser, link, type Page } from '../../test/helpers/lantern.ts'
import { act, itemOf, SHOP, shown, stepOf } from '../../test/helpers/setup.ts'
import { shortId } from './sandbox-answers.ts'

const PATH = `/v1/shops/${SHOP}/providers/klaviyo/setup`
const ENV = { CLIENT: '6a9ae4be-0123-4567-89ab-0123456789ab', SECRET: 'secret-of_the.app-0123456789' }
const HOUR_MS = 3_600_000
const TYPE = 'back_in_stock.alert'

interface Grants { grants: number, refreshes: number, second_uses: number, second_codes: number, revocations: number, items: Array<{ client_id: string, account: string, scope: string, revoked: string | null }> }

async function started (t: Test, options = ''): Promise<{ app: App, advance (ms: number): void }> {
  const { runtime, advance } = movable()
  const app = await startApp(t, { runtime, env: ENV, config: CONFIG.replace('providers:\n', `providers:\n  klaviyo: { path: ${import.meta.dirname}, secrets: { client_id: { env: CLIENT }, client_secret: { env: SECRET } }${options} }\n`) })
  await app.ask('PUT', `/v1/shops/${SHOP}/channels/sms`, { body: { provider: 'klaviyo' } })
  return { app, advance }
}

/** What is ordered of the sandbox, or asked of it. */
async function sandbox (app: App, path: string, body?: object): Promise<Body> {
  const response = await request(`${app.sandboxUrl}/klaviyo/_sandbox/${path}`, body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return await response.body.json() as Body
}
const grants = async (app: App): Promise<Grants> => await sandbox(app, 'grants') as unknown as Grants

/** The merchant reads the consent page and decides. */
async function decided (app: App, form: Record<string, string>): Promise<Page> {
  const browser = new Browser()
  const { location } = await browser.leave((await link(app, { provider: 'klaviyo', step: 'oauth' })).body.authorize.url)
  const consent = await new Browser().get(location)
  t.equal(consent.status, 200, consent.text)
  t.match(consent.text, /flows:write/)
  const answer = await request(location, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams(form).toString() })
  await answer.body.dump()
  return await browser.get(String(answer.headers['location']))
}

const connection = async (app: App): Promise<Body> => (await app.ask('GET', `/v1/shops/${SHOP}/providers/klaviyo`)).body.connection as Body

t.test('C1: Allow connects with every scope; the tokens send events, and rotate without a second use', async t => {
  const { app, advance } = await started(t)
  t.match(await decided(app, { decision: 'allow', account: 'AbC123' }), { status: 200, text: /Connected as Sandbox/ })
  const { items } = await grants(app)
  t.match(items, [{ client_id: ENV.CLIENT, account: 'AbC123', revoked: null }])
  for (const scope of ['accounts:read', 'events:read', 'events:write', 'profiles:read', 'profiles:write', 'lists:write', 'subscriptions:write', 'metrics:read', 'flows:read', 'flows:write']) t.ok(items[0]?.scope.split(' ').includes(scope), scope)
  t.match(await connection(app), { auth: 'oauth', account_id: 'AbC123', account_name: 'Sandbox', status: 'connected', missing_scopes: [] })
  t.match(await act(app, 'test/send', { subject: TYPE, phone: '+12015550123' }, PATH), { status: 200 })
  t.equal(itemOf(await shown(app, PATH), 'test', TYPE).state, 'done')
  for (let n = 0; n < 3; n++) {
    advance(2 * HOUR_MS)
    t.match(await act(app, 'oauth/check', {}, PATH), { status: 200 })
    t.match(await connection(app), { status: 'connected' })
  }
  t.match(await grants(app), { refreshes: 3, second_uses: 0 })
  await sandbox(app, 'expiries', {})
  t.match(await act(app, 'oauth/check', {}, PATH), { status: 200 })
  t.match(await grants(app), { refreshes: 4, second_uses: 0 })
})

t.test('C2, C4: by OAuth the flows are made and turned on', async t => {
  const { app } = await started(t)
  await sandbox(app, 'listing_delay', { ms: 0 })
  await decided(app, { decision: 'allow', account: 'AbC123' })
  for (const subject of ['back_in_stock', 'preorder']) {
    t.match(await act(app, 'method/choose', { subject, value: 'automatic' }, PATH), { status: 200 })
    t.match(await act(app, 'automatic/start', { subject }, PATH), { status: 202 })
  }
  await until(async () => (await shown(app, PATH)).summary === '3 of 3 ready')
  const flows = (await sandbox(app, 'flows?account=AbC123')).items as Body[]
  t.strictSame(flows.map(({ name, status }) => [name, status]).toSorted(), [['STOQ - Back in stock SMS alert (STOQ)', 'live'], ['STOQ - Back in stock SMS reminder 1 (STOQ)', 'live'], ['STOQ - Preorder SMS confirmed (STOQ)', 'live']])
})

t.test('C4: an app that is called otherwise at Klaviyo has metrics of its own, which the option names', async t => {
  for (const [named, ends] of [[', options: { app_name: "Acme Texts" }', 'done'], ['', 'waits']] as const) {
    const { app } = await started(t, named)
    await sandbox(app, 'app', { name: 'Acme Texts' })
    await sandbox(app, 'listing_delay', { ms: 0 })
    await decided(app, { decision: 'allow', account: 'AbC123' })
    await act(app, 'method/choose', { subject: 'preorder', value: 'automatic' }, PATH)
    t.match(await act(app, 'automatic/start', { subject: 'preorder' }, PATH), { status: 202 })
    const task = async () => itemOf(await shown(app, PATH), 'automatic', 'preorder') as unknown as { state: string, progress: { waiting: { text: string } | null } | null }
    if (ends === 'waits') await until(async () => (await task()).progress?.waiting?.text === 'Waiting until Klaviyo lists the metric "Preorder SMS confirmed (STOQ)".')
    else await until(async () => (await task()).state === 'done')
    const [flow, ...more] = (await sandbox(app, 'flows?account=AbC123')).items as Body[]
    t.strictSame([flow?.['metric_id'], more], [ends === 'done' ? shortId('metric AbC123 Acme Texts\nPreorder SMS confirmed (STOQ)') : undefined, []])
    await app.close()
  }
})

t.test('Deny connects nothing, and says what Klaviyo said', async t => {
  const { app } = await started(t)
  t.match(await decided(app, { decision: 'deny' }), { status: 400, text: /Klaviyo answered: access_denied/ })
  t.equal(await connection(app), null)
  t.match(stepOf(await shown(app, PATH), 'oauth'), { state: 'open' })
})

t.test('C2: a merchant who allows less is told what is missing', async t => {
  const { app } = await started(t)
  await decided(app, { decision: 'allow', scope: 'accounts:read events:read events:write profiles:read profiles:write lists:write subscriptions:write metrics:read flows:read' })
  t.match(await connection(app), { missing_scopes: ['flows:write'] })
  t.match((await shown(app, PATH)).warnings.find(({ code }) => code === 'scope_missing'), { text: /Disconnect and reconnect/ })
})

t.test('a flow is verified at the metric of the app, and at that of the API with a key', async t => {
  const { app, advance } = await started(t)
  const verified = async (account: string, integration: string): Promise<unknown> => {
    await sandbox(app, 'listing_delay', { ms: 0 })
    t.match(await act(app, 'test/send', { subject: TYPE, phone: '+12015550123' }, PATH), { status: 200 })
    await sandbox(app, 'flows', { account, name: `Flow by ${integration}`, metric_id: shortId(`metric ${account} ${integration}\nBack in stock SMS alert (STOQ)`), status: 'live' })
    t.match(await act(app, 'flow/verify', { subject: TYPE, input: { flow_name: `Flow by ${integration}` } }, PATH), { status: 200 })
    return itemOf(await shown(app, PATH), 'flow', TYPE)
  }
  const key = 'pk_another_0123456789'
  const id = shortId(key)
  await decided(app, { decision: 'allow', account: id })
  t.match(await act(app, 'method/choose', { subject: 'back_in_stock', value: 'manual' }, PATH), { status: 200 })
  t.match(await verified(id, 'STOQ'), { state: 'done' })
  advance(61_000)
  t.match(await act(app, 'key/connect', { secrets: { api_key: key } }, PATH), { status: 200 })
  t.match(await connection(app), { auth: 'api_key', account_id: id })
  t.equal(itemOf(await shown(app, PATH), 'flow', TYPE).state, 'open', 'the flow listens to the metric of the other way')
  t.match(await verified(id, 'API'), { state: 'done' })
})

t.test('an app that is removed in Klaviyo is learnt at the next refresh: reconnect, and what waits goes then', async t => {
  const { app, advance } = await started(t)
  await decided(app, { decision: 'allow', account: 'AbC123' })
  await sandbox(app, 'uninstalls', { account: 'AbC123' })
  advance(2 * HOUR_MS)
  t.match(await act(app, 'oauth/check', {}, PATH), { status: 200 })
  t.match(await connection(app), { status: 'refused', reason: 'credentials_refused' })
  t.match(itemOf(await shown(app, PATH), 'oauth'), { state: 'failed', sentence: /Connect again/ })
  t.match((await app.post(anEvent('waits-1'))).body, { deliveries: [{ state: 'held', reason: 'credentials_refused' }] })
  await decided(app, { decision: 'allow', account: 'AbC123' })
  t.match(await connection(app), { status: 'connected', reason: null })
  t.match(await app.delivery('waits-1'), { state: 'held', reason: 'setup_open' }, 'held for the set-up alone')
  t.match(await grants(app), { second_uses: 0 })
})

t.test('disconnecting revokes at Klaviyo', async t => {
  const { app, advance } = await started(t)
  await decided(app, { decision: 'allow', account: 'AbC123' })
  advance(16_000) // just after a merchant came back nothing is ended
  t.equal((await app.ask('DELETE', `/v1/shops/${SHOP}/providers/klaviyo/connection`)).status, 200)
  await app.query("update jobs set due_at = 1 where kind = 'oauth_revoke'")
  await until(async () => (await grants(app)).items[0]?.revoked === 'revoked by the app')
})
