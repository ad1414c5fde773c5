// What is the matter with a shop's messages at Postscript, as far as Postscript lets anybody see it.

import t, { type Test } from 'tap'
import { request } from 'undici'
import { anEvent, CONFIG, startApp, type App, type Body } from '../../test/helpers/app.ts'
import { subscribed } from './subscribers.test-world.ts'

const SHOP = 'acme.example'
const SETUP = `/v1/shops/${SHOP}/providers/postscript/setup`
const KEY = 'sk_0123456789abcdef'
const TYPES = ['back_in_stock.alert', 'back_in_stock.reminder', 'preorder.confirmed']
const POSSIBLE = ['opt_in_missing', 'trigger_mismatch', 'flow_not_live', 'sms_not_enabled']

interface Cause { code: string, certain: boolean, sentence: string, fix: string, where: { step: string | null, subject: string | null } }

async function started (t: Test): Promise<App> {
  const app = await startApp(t, { config: CONFIG.replace('providers:\n', `providers:\n  postscript: { path: ${import.meta.dirname} }\n`) })
  t.match(await app.ask('PUT', `/v1/shops/${SHOP}/channels/sms`, { body: { provider: 'postscript' } }), { status: 200 })
  await subscribed(app)
  return app
}

async function causes (app: App): Promise<Cause[]> {
  return (await app.ask('GET', `/v1/shops/${SHOP}/diagnosis`)).body.causes as Cause[]
}

const codes = async (app: App): Promise<string[]> => (await causes(app)).map(({ code, certain }) => certain ? code : `${code}?`)

async function act (app: App, what: string, body: object = {}): Promise<Body> {
  const answer = await app.ask('POST', `${SETUP}/${what}`, { body })
  if (answer.status !== 200) throw new Error(`${what} answered ${answer.status}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

/** Each step in turn, until all kinds of message are confirmed. */
async function setUp (app: App, { but = '' } = {}): Promise<void> {
  await act(app, 'key/connect', { secrets: { shop_key: KEY } })
  const { steps } = await act(app, 'keyword/refresh') as Body & { steps: Array<{ id: string, items: Array<{ options: Array<{ value: string }> }> }> }
  await act(app, 'keyword/select', { value: steps.find(({ id }) => id === 'keyword')?.items[0]?.options[0]?.value })
  for (const subject of TYPES.filter(type => type !== but)) {
    await act(app, 'test/send', { subject, phone: '+12015550123' })
    await act(app, 'flow/confirm', { subject })
  }
}

t.test('G4: no connection, a wrong key, a plan of Postscript\'s that does not allow it, no keywords, steps that were skipped', async t => {
  const app = await started(t)
  t.match(await causes(app), [{ code: 'not_connected', where: { step: 'key' } }])
  await act(app, 'key/connect', { secrets: { shop_key: 'sk_revoked_0123456789' } })
  t.match(await causes(app), [{ code: 'wrong_key', sentence: /^Invalid Postscript API key\. Copy the complete private key/, where: { step: 'key' } }])
  await act(app, 'key/connect', { secrets: { shop_key: 'sk_noplan_0123456789' } })
  t.match(await causes(app), [{ code: 'scopes_missing', sentence: /^The key is right/ }])
  await act(app, 'key/connect', { secrets: { shop_key: 'sk_nokeywords_0123456789' } })
  await act(app, 'keyword/refresh')
  t.match(await causes(app), [{ code: 'no_keywords', sentence: 'No keywords yet. Create one in Postscript, then Refresh.', where: { step: 'keyword' } }])
  await act(app, 'key/connect', { secrets: { shop_key: KEY } })
  await act(app, 'keyword/refresh')
  t.match(await causes(app), [{ code: 'steps_skipped', where: { step: 'keyword' } }])
})

t.test('G4: the preorder flow that was never made is named, and so is a keyword that is gone', async t => {
  const app = await started(t)
  await setUp(app, { but: 'preorder.confirmed' })
  t.match(await causes(app), [{ code: 'steps_skipped', where: { step: 'test', subject: 'preorder.confirmed' } }])
  await act(app, 'test/send', { subject: 'preorder.confirmed', phone: '+12015550123' })
  t.match(await causes(app), [{ code: 'flow_missing', where: { step: 'flow', subject: 'preorder.confirmed' }, fix: /Create a flow that starts with this trigger/ }])
  await act(app, 'flow/confirm', { subject: 'preorder.confirmed' })
  t.strictSame(await causes(app), [])
  await request(`${app.sandboxUrl}/postscript/_sandbox/keywords/deactivate`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ shop_key: KEY, keyword: 'BACKINSTOCK' }) }).then(({ body }) => body.dump())
  await act(app, 'keyword/refresh')
  t.match(await causes(app), [{ code: 'selection_gone', sentence: /not active in Postscript any more/, where: { step: 'keyword' } }])
})

t.test('G4: a test event that Postscript refuses is a set-up that failed, with its reason', async t => {
  const app = await started(t)
  await setUp(app, { but: 'preorder.confirmed' })
  await app.fault('postscript', { kind: 'status', match: { path: '/api/v2/events' }, status: 400, body: { errors: [{ loc: ['body', 'type'], msg: 'unknown event type', type: 'value_error' }] } })
  await act(app, 'test/send', { subject: 'preorder.confirmed', phone: '+12015550123' })
  t.match(await causes(app), [{ code: 'setup_failed', where: { step: 'test', subject: 'preorder.confirmed' }, sentence: /unknown event type/ }])
})

t.test('G4: accepted, and perhaps no SMS: what Postscript lets nobody see is named as possible, quiet hours for marketing alone', async t => {
  const app = await started(t)
  await setUp(app)
  await app.delivered(await app.post(anEvent('order-1', { type: 'preorder.confirmed' })))
  t.strictSame(await codes(app), POSSIBLE.map(code => `${code}?`))
  await app.delivered(await app.post(anEvent('alert-1')))
  t.strictSame(await codes(app), [...POSSIBLE, 'quiet_hours'].map(code => `${code}?`))
  t.match(await causes(app), [{ code: 'opt_in_missing', sentence: /may have opted out since we last looked/, fix: /Subscribers/ }])
})

t.test('G4: more than Postscript takes is a delay, with how long', async t => {
  const app = await started(t)
  await setUp(app)
  await app.fault('postscript', { kind: 'status', status: 429, match: { path: '/api/v2/events' } })
  await app.post(Array.from({ length: 60 }, (_, i) => anEvent(`many-${i}`)))
  await app.logged(entry => entry.msg === 'attempt' && entry.reason === 'rate_limited')
  t.match((await causes(app)).find(({ code }) => code === 'rate_limit'), { certain: true, sentence: /^Postscript is limiting us/ })
})
