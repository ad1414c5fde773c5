// The arrival of a test event at Klaviyo, through the gateway against this folder's sandbox (C6).

import t, { type Test } from 'tap'
import { request } from 'undici'
import { CONFIG, movable, startApp, until, type App, type Body } from '../../test/helpers/app.ts'
import { Browser, link } from '../../test/helpers/lantern.ts'
import { act, itemOf, pathOf, shown } from '../../test/helpers/setup.ts'

const PATH = pathOf('klaviyo')
const PHONE = '+12015550123'
const ENV = { CLIENT: '6a9ae4be-0123-4567-89ab-0123456789ab', SECRET: 'secret-of_the.app-0123456789' }
const TYPES = ['back_in_stock.alert', 'back_in_stock.reminder', 'preorder.confirmed']

async function started (t: Test): Promise<{ app: App, advance (ms: number): void }> {
  const { runtime, advance } = movable()
  const app = await startApp(t, { runtime, env: ENV, config: CONFIG.replace('providers:\n', `providers:\n  klaviyo: { path: ${import.meta.dirname}, secrets: { client_id: { env: CLIENT }, client_secret: { env: SECRET } } }\n`) })
  return { app, advance }
}

const byKey = async (app: App): Promise<void> => { await act(app, 'key/connect', { secrets: { api_key: 'pk_0123456789abcdef' } }, PATH) }
const send = async (app: App, subject: string): Promise<Body> => itemOf((await act(app, 'test/send', { subject, phone: PHONE }, PATH)).body, 'test', subject)
const arrival = async (app: App, subject: string): Promise<Body> => itemOf(await shown(app, PATH), 'test', subject)['arrival'] as Body

async function settled (app: App, subject: string): Promise<Body> {
  await until(async () => (await arrival(app, subject))['state'] !== 'awaited')
  return await arrival(app, subject)
}

/** Until Klaviyo lists what it accepted. */
async function listing (app: App, ms: number): Promise<void> {
  await (await request(`${app.sandboxUrl}/klaviyo/_sandbox/listing_delay`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ms }) })).body.dump()
}

t.test('C6: each kind of test event is seen at Klaviyo', async t => {
  const { app } = await started(t)
  await byKey(app)
  for (const type of TYPES) t.match(await send(app, type), { state: 'done', arrival: { state: 'awaited', text: 'Sent, and not seen at Klaviyo yet.' } }, type)
  for (const type of TYPES) t.match(await settled(app, type), { state: 'arrived', text: 'Arrived at Klaviyo.', arrived_at: String }, type)
  const sent = (await app.received('klaviyo')).filter(({ method, path }) => method === 'POST' && path === '/api/events')
  t.equal(sent.length, 3, 'each was sent once')
  for (const { body } of sent) {
    const { attributes } = (body as { data: { attributes: Body } }).data
    t.match(attributes, { unique_id: /^test-/, time: /T\d\d:\d\d:\d\d\.000Z$/ })
    t.notOk('backfill' in attributes, 'it really triggers')
  }
})

t.test('C6: what Klaviyo accepts and never shows is said after five minutes, and holds nothing', async t => {
  const { app, advance } = await started(t)
  await byKey(app)
  await listing(app, 3_600_000)
  await send(app, TYPES[0] as string)
  advance(290_000)
  await until(async () => (await app.received('klaviyo')).some(({ path }) => path === '/api/metrics'))
  t.match(await arrival(app, TYPES[0] as string), { state: 'awaited' })
  advance(15_000)
  t.match(await settled(app, TYPES[0] as string), { state: 'not_found', reason: 'not_arrived', text: /^Klaviyo accepted the test event, but it is not found there\. .*SMS is set up/ })
  t.match(itemOf(await shown(app, PATH), 'test', TYPES[0]), { state: 'done' })
})

t.test('C6: by OAuth without the right to read events it is said, and not looked for', async t => {
  const { app } = await started(t)
  await consent(app, 'accounts:read events:write metrics:read')
  await send(app, TYPES[0] as string)
  await listing(app, 0)
  t.match(await settled(app, TYPES[0] as string), { state: 'not_looked', reason: 'scope_missing', text: /could not be looked up\. The connection may not send or read events/, detail: /lacks events:read/ })
})

/** The merchant allows a part of what is asked for. */
async function consent (app: App, scope: string): Promise<void> {
  const browser = new Browser()
  const { location } = await browser.leave((await link(app, { provider: 'klaviyo', step: 'oauth' })).body.authorize.url)
  const answer = await request(location, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams({ decision: 'allow', account: 'AbC123', scope }).toString() })
  await answer.body.dump()
  await browser.get(String(answer.headers['location']))
}
