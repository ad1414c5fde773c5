// Postscript tells who opts in and out: the gateway registers for it, and takes what the sandbox sends.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t, { type Test } from 'tap'
import { request } from 'undici'
import type { ProviderWebhooks } from '../../gateway/contract.ts'
import { readNotice } from '../../gateway/shops/webhooks/notice.ts'
import { CONFIG, startApp, until, type App, type Body } from '../../test/helpers/app.ts'
import { inboxOf, standing } from '../../test/helpers/buoy.ts'
import { entry, loadOne, ROOT } from '../../test/helpers/providers.ts'
import { act, pathOf, SHOP } from '../../test/helpers/setup.ts'

const PATH = pathOf('postscript')
const KEY = 'sk_0123456789abcdef'
const PARTNER = 'sk_partner_0123456789'
const PHONE = '+12015550188'
const OPT_IN = 'shop.subscriber.opt_in'
const OPT_OUT = 'shop.subscriber.opt_out'
const DESCRIPTION = join(ROOT, '../shared/reference/postscript.schema.json')

async function started (t: Test): Promise<App> {
  return await startApp(t, { config: CONFIG.replace('providers:\n', `providers:\n  postscript: { path: ${import.meta.dirname} }\n`) })
}

async function sandbox (app: App, method: 'GET' | 'POST' | 'PUT', path: string, value?: object): Promise<Body> {
  const response = await request(`${app.sandboxUrl}/postscript${path}`, { method, headers: { authorization: `Bearer ${KEY}`, ...(value !== undefined && { 'content-type': 'application/json' }) }, ...(value !== undefined && { body: JSON.stringify(value) }) })
  return await response.body.json() as Body
}

const subscriptions = async (app: App): Promise<Body[]> => (await sandbox(app, 'GET', '/api/v2/webhooks'))['webhook_subscriptions'] as Body[]
/** How many subscriptions were made or taken back; to ask the API over and over would use the shop's windows up. */
const done = async (app: App, method: 'POST' | 'DELETE'): Promise<number> => (await app.received('postscript')).filter(one => one.method === method && one.status === 200 && String(one.path).startsWith('/api/v2/webhooks')).length
const eventsOf = async (app: App): Promise<unknown[]> => (await subscriptions(app)).map(({ event }) => event).toSorted()
const isOn = (app: App): Promise<void> => until(async () => (await standing(app, SHOP, 'postscript'))?.['state'] === 'on')

async function connect (app: App): Promise<void> {
  t.match((await act(app, 'key/connect', { secrets: { shop_key: KEY } }, PATH)).body, { connected: true })
  await isOn(app)
}

/** Somebody who is asked, and answers Y. */
async function optIn (app: App): Promise<void> {
  const { keywords } = await sandbox(app, 'GET', '/api/v2/keywords') as { keywords: Array<{ id: string }> } & Body
  await sandbox(app, 'POST', '/api/v2/subscribers', { phone_number: PHONE, keyword_id: keywords[0]?.id, origin: 'website' })
  t.strictSame(await sandbox(app, 'POST', '/_sandbox/opt_ins', { phone_number: PHONE }), { opted_in: 1 })
}

t.test('connected, a shop hears who opts in and out: two subscriptions, each notice kept once, also where it is sent again (D5)', async t => {
  const app = await started(t)
  await connect(app)
  t.strictSame(await eventsOf(app), [OPT_IN, OPT_OUT])
  await optIn(app)
  await until(async () => (await inboxOf(app, 'postscript')).length === 1)
  const [row] = await inboxOf(app, 'postscript') as [Body]
  t.match(row, { topic: OPT_IN, shop: SHOP, subject: /^s_/, state: 'recorded', reason: 'noticed', detail: 'Postscript tells that a customer may be texted from now on.' })
  const [delivery] = (await sandbox(app, 'GET', '/_sandbox/webhook_deliveries')).items as [Body]
  t.match(delivery, { state: 'delivered', answers: [{ status: 200 }] })
  await sandbox(app, 'POST', `/_sandbox/webhook_deliveries/${String(delivery['id'])}/repeat`)
  await sandbox(app, 'POST', '/_sandbox/opt_outs', { phone_number: PHONE })
  await until(async () => (await inboxOf(app, 'postscript')).length === 2)
  t.match(await inboxOf(app, 'postscript'), [{ topic: OPT_IN }, { topic: OPT_OUT, reason: 'noticed' }])
  await app.ask('DELETE', `/v1/shops/${SHOP}/providers/postscript/connection`)
  await until(async () => await done(app, 'DELETE') === 2)
  t.strictSame(await subscriptions(app), [])
})

t.test('what is sent before the token is known is sent again, and then taken (#98)', async t => {
  const app = await started(t)
  await sandbox(app, 'PUT', '/_sandbox/webhook_spacing', { spacing_ms: 300 })
  await app.fault('postscript', { kind: 'status', status: 503, match: { path: '/api/v2/webhooks/token' }, times: 1 })
  await act(app, 'key/connect', { secrets: { shop_key: KEY } }, PATH)
  await until(async () => await done(app, 'POST') === 2)
  await optIn(app)
  await until(async () => (await inboxOf(app, 'postscript')).length === 1)
  const [delivery] = (await sandbox(app, 'GET', '/_sandbox/webhook_deliveries')).items as [Body]
  const answers = (delivery['answers'] as Body[]).map(({ status }) => status)
  t.strictSame([answers[0], answers.at(-1)], [401, 200])
})

t.test('through a partner it is the shop\'s subscriptions; another key of the shop makes no second ones', async t => {
  const app = await started(t)
  await act(app, 'partner_key/connect', { secrets: { partner_key: PARTNER, shop_key: KEY } }, PATH)
  await isOn(app)
  const [first] = await subscriptions(app) as [Body]
  await connect(app)
  await until(async () => await done(app, 'DELETE') === 2 && await done(app, 'POST') === 4)
  t.strictSame(await eventsOf(app), [OPT_IN, OPT_OUT])
  t.notOk((await subscriptions(app)).some(one => one['callback_url'] === first['callback_url']), 'those of the partner\'s account were taken back')
})

t.test('of a person each name is looked for that event_data may have', async t => {
  const { webhooks } = await loadOne(entry('postscript', import.meta.dirname)) as { webhooks: ProviderWebhooks }
  const at = Date.parse('2026-11-21T19:20:00.025Z')
  const read = (data: object, event = OPT_IN) => readNotice({ event, event_time: '2026-11-21T19:20:00.025455', event_data: data }, webhooks, at + 1000)
  for (const data of [{ id: 's_1', phone_number: '12015550188' }, { subscriber_id: 's_1', phone: PHONE }, { subscriber_id: 's_1', id: 'x', from_number: '+12015550188' }]) {
    t.strictSame(read(data), { is: 'notice', notice: { phone: PHONE, ref: 's_1', state: 'subscribed', at } })
  }
  t.match(read({ id: 's_1' }, OPT_OUT), { notice: { phone: null, ref: 's_1', state: 'opted_out' } })
  t.match(read({}, OPT_OUT), { is: 'nobody' })
  t.match(read({ id: 'im_1' }, 'shop.incoming_message'), { is: 'other' })
})

if (existsSync(DESCRIPTION)) {
  t.test('what is asked, and what is answered, are those of the description', async t => {
    const description = JSON.parse(readFileSync(DESCRIPTION, 'utf8')) as { $id: string, $defs: { endpointIndex: { const: { endpoints: Array<{ method: string, path: string }> } } } }
    const ajv = new Ajv2020({ strict: false, logger: false })
    ajv.addSchema(description)
    const fits = (name: string) => ajv.compile({ $ref: `${description.$id}#/$defs/${name}` })
    const app = await started(t)
    await connect(app)
    const made = (await app.received('postscript')).filter(({ path }) => String(path).startsWith('/api/v2/webhooks'))
    t.ok(made.length >= 4)
    const create = fits('webhookCreateRequest')
    for (const { method, path, body } of made) {
      t.ok(description.$defs.endpointIndex.const.endpoints.some(one => one.method === method && one.path === path), `${String(method)} ${String(path)}`)
      const secure = body === null ? null : { ...body as object, callback_url: String((body as Body)['callback_url']).replace(/^http:\/\/127\.0\.0\.1:\d+/, 'https://gateway.example') }
      if (method === 'POST') t.ok(create(secure), JSON.stringify(create.errors))
    }
    t.ok(fits('webhookSubscriptionList')(await sandbox(app, 'GET', '/api/v2/webhooks')))
    t.ok(fits('webhookToken')(await sandbox(app, 'GET', '/api/v2/webhooks/token')))
  })
} else t.comment(`${DESCRIPTION} is not here: the description of Postscript's API is not compared`)
