// A merchant's whole way, by the shop's own key and through a partner, through the gateway against this folder's sandbox.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { anEvent, CONFIG, startApp, until, type App, type Body } from '../../test/helpers/app.ts'
import { ROOT } from '../../test/helpers/providers.ts'
import { act, choose, itemOf, pathOf, SHOP, shown, stepOf } from '../../test/helpers/setup.ts'
import { subscribed } from './subscribers.test-world.ts'

const PATH = pathOf('postscript')
const KEY = 'sk_0123456789abcdef'
const PHONE = '+12015550123'
const TRIGGERS = { 'back_in_stock.alert': 'back_in_stock_sms_alert', 'back_in_stock.reminder': 'back_in_stock_sms_reminder_1', 'preorder.confirmed': 'preorder_sms_confirmed' }
const DESCRIPTION = join(ROOT, '../shared/reference/postscript.schema.json')

async function started (t: Test): Promise<App> {
  const app = await startApp(t, { config: CONFIG.replace('providers:\n', `providers:\n  postscript: { path: ${import.meta.dirname} }\n`) })
  await choose(app, 'postscript')
  for (const key of [KEY, 'sk_noplan_0123456789', 'sk_nopersonal_0123456789']) await subscribed(app, [PHONE], key)
  return app
}

/** What happens at Postscript itself. */
async function order (app: App, what: string, value: object): Promise<void> {
  const response = await request(`${app.sandboxUrl}/postscript/_sandbox/${what}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) })
  await response.body.dump()
  if (response.statusCode >= 300) throw new Error(`${what} was answered ${response.statusCode}`)
}

const connect = (app: App, key = KEY) => act(app, 'key/connect', { secrets: { shop_key: key } }, PATH)
const listed = async (app: App) => itemOf((await act(app, 'keyword/refresh', {}, PATH)).body, 'keyword')['options'] as Array<{ value: string, label: string }>

/** From the keyword to the last flow. */
async function finish (app: App): Promise<void> {
  const [first] = await listed(app)
  await act(app, 'keyword/select', { value: first?.value }, PATH)
  for (const subject of Object.keys(TRIGGERS)) {
    await act(app, 'test/send', { subject, phone: PHONE }, PATH)
    await act(app, 'flow/confirm', { subject }, PATH)
  }
}

t.test('a wrong key, a public one, a partner\'s, and a plan without an API: each with what to do (D1)', async t => {
  const app = await started(t)
  t.match(itemOf((await connect(app, 'sk_revoked_0123456789')).body, 'key'), { state: 'failed', reason: 'credentials_refused', sentence: /^Invalid Postscript API key\. Copy the complete private key/ })
  t.match(itemOf((await connect(app, 'sk_noplan_0123456789')).body, 'key'), { state: 'failed', reason: 'scope_missing', sentence: /connect through a partner then/ })
  for (const key of ['pk_0123456789abcdef', 'sk_partner_0123456789']) {
    t.match(await connect(app, key), { status: 422, body: { error: { details: [{ path: '/secrets/shop_key', rule: 'pattern', message: /public key, which cannot send; one that begins with sk_partner_/ }] } } })
  }
  t.match(await shown(app, PATH), { connected: false, warnings: [{ code: 'not_connected', text: 'Connect your Postscript account.' }, {}] })
})

t.test('the whole way: keyword, test event and flow of each alert type by itself, messages go out (D2, D3, D4)', async t => {
  const app = await started(t)
  await app.post(anEvent('early-1'))
  t.match((await connect(app)).body, { connected: true, account_name: 'Sandbox' })
  await until(async () => (itemOf(await shown(app, PATH), 'keyword')['options'] as object[]).length === 2)
  t.match(itemOf(await shown(app, PATH), 'keyword'), { state: 'open', options: [{ label: 'BACKINSTOCK' }, { label: 'VIP' }] }, 'listed after connecting')
  t.match(await act(app, 'test/send', { subject: 'preorder.confirmed', phone: PHONE }, PATH), { status: 409, body: { error: { message: 'First: "Select a keyword".' } } })
  await order(app, 'keywords', { shop_key: KEY, keyword: 'RESTOCK' })
  const options = await listed(app)
  t.strictSame(options.map(({ label }) => label), ['BACKINSTOCK', 'VIP', 'RESTOCK'])
  const chosen = options.find(({ label }) => label === 'RESTOCK')
  t.match(itemOf((await act(app, 'keyword/select', { value: chosen?.value }, PATH)).body, 'keyword'), { state: 'done', selected: chosen?.value }, 'saved at once')
  t.match(((await app.ask('GET', `/v1/shops/${SHOP}/providers/postscript`)).body['connection'] as Body)['settings'], { keyword_id: chosen?.value })

  for (const [type, trigger] of Object.entries(TRIGGERS)) {
    const before = await shown(app, PATH)
    t.match(itemOf(before, 'test', type), { state: 'open', trigger })
    t.match(itemOf(before, 'flow', type), { state: 'blocked', missing: ['test'], trigger })
    t.match(itemOf((await act(app, 'test/send', { subject: type, phone: PHONE }, PATH)).body, 'test', type), { state: 'done' })
    const { body: event } = (await app.received('postscript')).findLast(({ method, body }) => method === 'POST' && (body as Body)['type'] === trigger) as { body: { type: string, phone: string, properties: Record<string, unknown> } }
    t.match(event, { type: trigger, phone: PHONE })
    t.strictSame(Object.keys(event.properties).toSorted(), (itemOf(before, 'test', type)['variables'] as string[]).toSorted(), 'with every property')
    t.match(stepOf(before, 'flow')['text'], /name of your shop \(or of the partner/)
    const { body } = await act(app, 'flow/confirm', { subject: type }, PATH)
    t.match(itemOf(body, 'flow', type), { state: 'done', actions: [{ label: 'I\'ve created the Flow' }] })
  }
  t.match(await shown(app, PATH), { summary: '3 of 3 ready', warnings: [] })
  await until(async () => (await app.delivery('early-1'))['state'] === 'delivered')
  t.match((await shown(app, PATH)).reset.text, /^Flows in Postscript are not deleted and stay active/)
  described(t, await app.received('postscript'))
})

t.test('no keywords: where to create one; one that is gone later warns, and messages go on (D2)', async t => {
  const app = await started(t)
  await connect(app, 'sk_nokeywords_0123456789')
  await listed(app)
  t.match(stepOf(await shown(app, PATH), 'keyword'), { state: 'open', empty: 'No keywords yet. Create one in Postscript, then Refresh.', items: [{ options: [] }] })
  await connect(app)
  await finish(app)
  t.match(await shown(app, PATH), { summary: '3 of 3 ready' })
  await order(app, 'keywords/deactivate', { shop_key: KEY })
  const { body } = await act(app, 'key/check', {}, PATH)
  t.match(body, { summary: '3 of 3 ready', warnings: [{ code: 'selection_gone', text: /New customers cannot be added until you choose another one/, step: 'keyword' }] })
  await app.delivered(await app.post(anEvent('gone-1')))
})

t.test('through a partner, where the shop\'s plan allows no key of its own (D1)', async t => {
  const app = await started(t)
  t.match(itemOf((await connect(app, 'sk_noplan_0123456789')).body, 'key'), { state: 'failed' })
  const { body } = await act(app, 'partner_key/connect', { secrets: { partner_key: 'sk_partner_0123456789', shop_key: 'sk_noplan_0123456789' } }, PATH)
  t.match(body, { connected: true, account_name: null })
  t.match([itemOf(body, 'key').state, itemOf(body, 'partner_key').state], ['not_needed', 'done'])
  await finish(app)
  t.match(await shown(app, PATH), { summary: '3 of 3 ready' })
  await app.delivered(await app.post(anEvent('partner-1')))
})

t.test('where personal data is refused the test finds it out: nothing is lost of the first message', async t => {
  const app = await started(t)
  await connect(app, 'sk_nopersonal_0123456789')
  await finish(app)
  t.match(((await app.ask('GET', `/v1/shops/${SHOP}/providers/postscript`)).body['connection'] as Body)['settings'], { send_customer_name: false, send_customer_phone: false })
  await app.delivered(await app.post(anEvent('first-1')))
  t.match(await app.delivery('first-1'), { attempts: 1 })
})

/** Each request that was made is one of the description, and so is each body. */
function described (t: Test, received: Body[]): void {
  if (!existsSync(DESCRIPTION)) { t.comment(`${DESCRIPTION} is not here: the description of Postscript's API is not compared`); return }
  const description = JSON.parse(readFileSync(DESCRIPTION, 'utf8')) as { $id: string, $defs: { endpointIndex: { const: { endpoints: Array<{ method: string, path: string }> } } } }
  const ajv = new Ajv2020({ strict: false, logger: false })
  ajv.addSchema(description)
  const event = ajv.compile({ $ref: `${description.$id}#/$defs/createEventRequest` })
  const { endpoints } = description.$defs.endpointIndex.const
  for (const { method, path, body, status } of received) {
    t.ok(endpoints.some(one => one.method === method && String(path).endsWith(one.path)), `${String(method)} ${String(path)}`)
    t.ok(Number(status) < 300, `${String(path)} is answered ${String(status)}`)
    if (path === '/api/v2/events') t.ok(event(body), JSON.stringify(event.errors))
  }
}
