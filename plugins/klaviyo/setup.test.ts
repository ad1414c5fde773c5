// A merchant's whole way with a private API key, through the gateway against this folder's sandbox.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import ajvFormats from 'ajv-formats'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { anEvent, CONFIG, startApp, until, type App, type Body } from '../../test/helpers/app.ts'
import { ROOT } from '../../test/helpers/providers.ts'
import { shortId } from './sandbox-answers.ts'
import { act, choose, itemOf, pathOf, SHOP, shown, stepOf, type ItemView } from '../../test/helpers/setup.ts'

const PATH = pathOf('klaviyo')
const KEY = 'pk_0123456789abcdef'
const PHONE = '+12015550123'
const ALERT = 'back_in_stock.alert'
const METRICS = { [ALERT]: 'Back in stock SMS alert (STOQ)', 'back_in_stock.reminder': 'Back in stock SMS reminder 1 (STOQ)', 'preorder.confirmed': 'Preorder SMS confirmed (STOQ)' }
const DESCRIPTION = join(ROOT, '../shared/reference/klaviyo.openapi.json')

async function started (t: Test): Promise<App> {
  const app = await startApp(t, { config: CONFIG.replace('providers:\n', `providers:\n  klaviyo: { path: ${import.meta.dirname} }\n`) })
  await order(app, 'listing_delay', { ms: 0 })
  return app
}

/** What happens at Klaviyo itself. */
async function order (app: App, what: string, value: object, method: 'POST' | 'PATCH' = 'POST'): Promise<Body> {
  const response = await request(`${app.sandboxUrl}/klaviyo/_sandbox/${what}`, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) })
  if (response.statusCode >= 300) throw new Error(`${what} was answered ${response.statusCode}`)
  return await response.body.json() as Body
}

const connect = (app: App, key = KEY) => act(app, 'key/connect', { secrets: { api_key: key } }, PATH)
const test = async (app: App, subject: string) => itemOf((await act(app, 'test/send', { subject, phone: PHONE }, PATH)).body, 'test', subject)
const verify = async (app: App, name: string, subject = ALERT) => itemOf((await act(app, 'flow/verify', { subject, input: { flow_name: name } }, PATH)).body, 'flow', subject)
const told = (item: ItemView) => Object.fromEntries((item['findings'] as Array<{ id: string, ok: boolean | null }>).map(({ id, ok }) => [id, ok]))
const accountOf = async (app: App) => String(((await app.ask('GET', `/v1/shops/${SHOP}/providers/klaviyo`)).body['connection'] as Body)['account_id'])

/** Ids of the metrics that Klaviyo knows, by name. */
async function metricsOf (app: App): Promise<Record<string, string>> {
  const response = await request(`${app.sandboxUrl}/klaviyo/api/metrics`, { headers: { authorization: `Klaviyo-API-Key ${KEY}`, revision: '2026-07-15' } })
  const { data } = await response.body.json() as { data: Array<{ id: string, attributes: { name: string } }> }
  return Object.fromEntries(data.map(({ id, attributes }) => [attributes.name, id]))
}

/** The way without the task, for both groups. */
async function manual (app: App): Promise<void> {
  for (const subject of ['back_in_stock', 'preorder']) await act(app, 'method/choose', { subject, value: 'manual' }, PATH)
}

t.test('a wrong key, one that may not read, and one of another form: each with its own sentence', async t => {
  const app = await started(t)
  t.match(itemOf((await connect(app, 'pk_revoked_0123456789')).body, 'key'), { state: 'failed', reason: 'credentials_refused', sentence: /^Invalid Klaviyo API key/ })
  t.match(itemOf((await connect(app, 'pk_noscope_0123456789')).body, 'key'), { state: 'failed', reason: 'scope_missing', sentence: /The key is right, but may not read accounts/ })
  t.match(await connect(app, 'public'), { status: 422, body: { error: { details: [{ path: '/secrets/api_key', message: /begins with pk_/ }] } } })
  t.match(await shown(app, PATH), { connected: false, summary: '0 of 3 ready' })
})

t.test('the whole way: connected, metrics made by test events, each flow verified by its exact name, messages go out (C2, C3, C5, C6)', async t => {
  const app = await started(t)
  await choose(app, 'klaviyo')
  t.match((await shown(app, PATH)).warnings, [{ code: 'not_connected', text: 'Connect your Klaviyo account.' }, { code: 'setup_incomplete', text: 'Klaviyo setup incomplete', step: 'key' }])
  await app.post(anEvent('early-1'))
  t.match((await connect(app)).body, { connected: true, account_name: 'Sandbox' })
  t.match(await act(app, 'method/choose', { subject: 'preorder', value: 'automatic' }, PATH), { status: 409, body: { error: { message: /^Automatic setup needs access to your flows, which a private API key does not give us/ } } }, 'C2')
  await manual(app)
  const account = await accountOf(app)
  const begun = await shown(app, PATH)
  for (const [type, metric] of Object.entries(METRICS)) t.match(itemOf(begun, 'flow', type), { trigger: metric, state: 'open', actions: [{ label: 'Verify flow', allowed: true }] })
  t.match(itemOf(begun, 'flow', ALERT)['variables'], ['product_title', 'title_incl_variant', 'variant_title', 'vendor', 'price', 'purchase_link', 'image_url', 'shop_name', 'shop_domain', 'customer_name', 'customer_phone', 'customer_country_name'].toSorted().map(() => String))

  t.strictSame(told(await verify(app, 'STOQ alerts')), { name: false, metric: false, trigger: null, live: null, only: null })
  for (const type of Object.keys(METRICS)) t.match(await test(app, type), { state: 'done', event_id: /^test-/ }, type)
  const events = (await app.received('klaviyo')).filter(({ path }) => path === '/api/events')
  t.equal(events.length, 3)
  for (const { body } of events) {
    const { attributes } = (body as { data: { attributes: { backfill?: boolean, unique_id: string, properties: Record<string, unknown>, profile: { data: { attributes: { phone_number: string } } } } } }).data
    t.equal(attributes.backfill, undefined, 'it really triggers')
    t.match(attributes, { unique_id: /^test-/, profile: { data: { attributes: { phone_number: PHONE } } } })
    for (const [name, value] of Object.entries(attributes.properties)) t.ok(value !== '' && value !== null, name)
  }

  const metrics = await metricsOf(app)
  const alert = await order(app, 'flows', { account, name: 'STOQ Alerts', metric_id: null, status: 'draft' })
  t.match(await verify(app, 'STOQ alerts'), { state: 'failed', detail: 'No flow with exactly this name (capitals and spaces count).', near: ['STOQ Alerts'] })
  const draft = await verify(app, 'STOQ Alerts')
  t.strictSame(told(draft), { name: true, metric: true, trigger: false, live: false, only: true })
  t.match((draft['findings'] as Body[]).map(({ text }) => text), [/exactly this name/, /knows the metric/, /not triggered by our metric/, /Found, but not live yet/, /No other/])
  await order(app, `flows/${String(alert['id'])}`, { metric_id: metrics[METRICS[ALERT]], status: 'live' }, 'PATCH')
  t.match(await verify(app, 'STOQ Alerts'), { state: 'done', reason: null, near: [] })
  t.match(await shown(app, PATH), { summary: '1 of 3 ready' })
  for (const type of ['back_in_stock.reminder', 'preorder.confirmed'] as const) {
    await order(app, 'flows', { account, name: `Flow ${type}`, metric_id: metrics[METRICS[type]], status: 'live' })
    t.match(await verify(app, `Flow ${type}`, type), { state: 'done' })
  }
  t.match(await shown(app, PATH), { summary: '3 of 3 ready', active: ['sms'], warnings: [] })
  await until(async () => (await app.delivery('early-1'))['state'] === 'delivered')

  await order(app, 'flows', { account, name: 'Copy of STOQ Alerts', metric_id: metrics[METRICS[ALERT]], status: 'live' })
  const { body: twice } = await act(app, 'key/check', {}, PATH)
  t.match(twice, { summary: '3 of 3 ready', warnings: [{ code: 'verified_with_warning', text: /customers would be texted twice/, step: 'flow', subject: ALERT }] }, 'a second live flow warns (C10)')
  t.match(twice.reset.text, /^Flows in Klaviyo are not deleted and stay active; pause or delete them there\./)
  t.match((await app.ask('POST', `${PATH}/reset`, { body: { setup_group: 'back_in_stock' } })).body, { summary: '1 of 3 ready', connected: true })
  t.equal(stepOf(await shown(app, PATH), 'key').state, 'done')
  described(t, await app.received('klaviyo'))
})

t.test('an account with hundreds of metrics of long names: each page is larger than a delivery\'s answer, and ours is found on the second', async t => {
  const app = await started(t)
  await connect(app)
  await manual(app)
  for (let n = 0; n < 200; n++) {
    const body = { data: { type: 'event', attributes: { unique_id: `own-${n}`, properties: {}, metric: { data: { type: 'metric', attributes: { name: `${n}`.padEnd(127, 'é') } } }, profile: { data: { type: 'profile', attributes: { external_id: 'own' } } } } } }
    const response = await request(`${app.sandboxUrl}/klaviyo/api/events`, { method: 'POST', headers: { authorization: `Klaviyo-API-Key ${KEY}`, revision: '2026-07-15', 'content-type': 'application/vnd.api+json' }, body: JSON.stringify(body) })
    await response.body.dump()
    t.equal(response.statusCode, 202)
  }
  t.match(await test(app, ALERT), { state: 'done' })
  const account = await accountOf(app)
  await order(app, 'flows', { account, name: 'STOQ', metric_id: shortId(`metric ${account} API\n${METRICS[ALERT]}`), status: 'live' })
  t.match(await verify(app, 'STOQ'), { state: 'done', reason: null })
})

t.test('a flow that is turned off, or a key that loses its rights, shows at the next check', async t => {
  const app = await started(t)
  await connect(app)
  await manual(app)
  const account = await accountOf(app)
  await test(app, ALERT)
  const flow = await order(app, 'flows', { account, name: 'STOQ', metric_id: (await metricsOf(app))[METRICS[ALERT]], status: 'live' })
  t.match(await verify(app, 'STOQ'), { state: 'done' })
  await order(app, `flows/${String(flow['id'])}`, { status: 'draft' }, 'PATCH')
  t.match(itemOf((await act(app, 'key/check', {}, PATH)).body, 'flow', ALERT), { state: 'failed', detail: 'Found, but not live yet. Turn the flow on in Klaviyo.' })
  await order(app, `flows/${String(flow['id'])}`, { status: 'live', archived: true }, 'PATCH')
  t.match(itemOf((await act(app, 'key/check', {}, PATH)).body, 'flow', ALERT), { state: 'failed', detail: /No flow with exactly this name/ })
  await app.fault('klaviyo', { kind: 'status', status: 403, headers: { 'content-type': 'application/vnd.api+json' }, body: { errors: [{ detail: 'lacks flows:read' }] }, match: { path: '/api/flows' } })
  t.match(await verify(app, 'STOQ'), { state: 'failed', reason: 'scope_missing', sentence: /^The connection may not read flows or metrics\./, detail: 'lacks flows:read' })
})

/** Each request that was made is one of Klaviyo's own description, and so is each body. */
function described (t: Test, received: Body[]): void {
  if (!existsSync(DESCRIPTION)) { t.comment(`${DESCRIPTION} is not here: Klaviyo's own description is not compared`); return }
  const description = JSON.parse(readFileSync(DESCRIPTION, 'utf8')) as { paths: Record<string, Record<string, object>> }
  const ajv = new Ajv({ strict: false, allErrors: false, logger: false })
  ajvFormats.default(ajv)
  ajv.addSchema(description, 'klaviyo')
  const event = ajv.compile({ $ref: 'klaviyo#/components/schemas/EventCreateQueryV2' })
  for (const { method, path, body, status } of received) {
    const template = Object.keys(description.paths).find(one => new RegExp(`^${one.replaceAll(/\{[^}]+\}/g, '[^/]+')}/?$`).test(String(path)))
    t.ok(description.paths[template ?? '']?.[String(method).toLowerCase()], `${String(method)} ${String(path)}`)
    t.ok(Number(status) < 300, `${String(path)} is answered ${String(status)}`)
    if (method === 'POST') t.ok(event(body), JSON.stringify(event.errors))
  }
}
