// What is the matter with a shop's messages at Klaviyo, as far as Klaviyo lets anybody see it.

import t, { type Test } from 'tap'
import { request } from 'undici'
import { anEvent, CONFIG, startApp, type App, type Body } from '../../test/helpers/app.ts'
import { shortId } from './sandbox-answers.ts'

const SHOP = 'acme.example'
const SETUP = `/v1/shops/${SHOP}/providers/klaviyo/setup`
const KEY = 'pk_diagnosis_0123456789'
const ACCOUNT = shortId(KEY)
const TYPE = 'preorder.confirmed'
const METRIC = 'Preorder SMS confirmed (STOQ)'
const TYPES: Record<string, string> = { 'back_in_stock.alert': 'Back in stock SMS alert (STOQ)', 'back_in_stock.reminder': 'Back in stock SMS reminder 1 (STOQ)', [TYPE]: METRIC }

interface Cause { code: string, certain: boolean, sentence: string, fix: string, where: { step: string | null, subject: string | null } }

async function started (t: Test): Promise<App> {
  const app = await startApp(t, { config: CONFIG.replace('providers:\n', `providers:\n  klaviyo: { path: ${import.meta.dirname} }\n`) })
  t.match(await app.ask('PUT', `/v1/shops/${SHOP}/channels/sms`, { body: { provider: 'klaviyo' } }), { status: 200 })
  await order(app, 'POST', 'listing_delay', { ms: 0 })
  return app
}

async function order (app: App, method: 'POST' | 'PATCH', path: string, body: object): Promise<Body> {
  const response = await request(`${app.sandboxUrl}/klaviyo/_sandbox/${path}`, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return await response.body.json() as Body
}

async function causes (app: App): Promise<Cause[]> {
  return (await app.ask('GET', `/v1/shops/${SHOP}/diagnosis`)).body.causes as Cause[]
}

async function act (app: App, what: string, body: object): Promise<void> {
  const answer = await app.ask('POST', `${SETUP}/${what}`, { body })
  if (answer.status !== 200) throw new Error(`${what} answered ${answer.status}: ${JSON.stringify(answer.body)}`)
}

/** Klaviyo knows the metric once it was sent an event; where a flow listens to it, it has this state. */
async function flow (app: App, name: string, metric: string | null, status: string): Promise<string> {
  return String((await order(app, 'POST', 'flows', { account: ACCOUNT, name, metric_id: metric === null ? null : shortId(`metric ${ACCOUNT} API\n${metric}`), status })).id)
}

const verify = (app: App, name: string, subject = TYPE) => act(app, 'flow/verify', { subject, input: { flow_name: name } })

/** All kinds of message but the preorder's are verified, and that one's metric is known. */
async function nearlySetUp (t: Test): Promise<App> {
  const app = await started(t)
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  for (const subject of ['back_in_stock', 'preorder']) await act(app, 'method/choose', { subject, value: 'manual' })
  for (const [subject, metric] of Object.entries(TYPES)) {
    await act(app, 'test/send', { subject, phone: '+12015550123' })
    if (subject === TYPE) continue
    await flow(app, `Flow ${subject}`, metric, 'live')
    await verify(app, `Flow ${subject}`, subject)
  }
  return app
}

t.test('G4: no connection, a wrong key, and one without the permissions', async t => {
  const app = await started(t)
  t.match(await causes(app), [{ code: 'not_connected', sentence: 'Connect your Klaviyo account.', where: { step: 'oauth' } }])
  await act(app, 'key/connect', { secrets: { api_key: 'pk_revoked_0123456789' } })
  t.match(await causes(app), [{ code: 'wrong_key', sentence: /^Invalid Klaviyo API key/ }])
  await act(app, 'key/connect', { secrets: { api_key: 'pk_noscope_0123456789' } })
  t.match(await causes(app), [{ code: 'scopes_missing', sentence: /may not read accounts/ }])
})

t.test('G4, C5, C10: a flow that is missing, misnamed, on another trigger, a draft, or one of two is told apart', async t => {
  const app = await nearlySetUp(t)
  const where = { step: 'flow', subject: TYPE }
  t.match(await causes(app), [{ code: 'flow_missing', where }])
  const id = await flow(app, 'Preorders', null, 'live')
  await verify(app, 'preorders')
  t.match(await causes(app), [{ code: 'flow_name_mismatch', where, fix: /There is: "Preorders"/ }])
  await verify(app, 'Preorders')
  t.match(await causes(app), [{ code: 'trigger_mismatch', where, sentence: /not triggered by our metric/ }])
  await order(app, 'PATCH', `flows/${id}`, { metric_id: shortId(`metric ${ACCOUNT} API\n${METRIC}`), status: 'draft' })
  await verify(app, 'Preorders')
  t.match(await causes(app), [{ code: 'flow_not_live', where, sentence: 'Found, but not live yet. Turn the flow on in Klaviyo.' }])
  await order(app, 'PATCH', `flows/${id}`, { status: 'live' })
  await flow(app, 'Preorders again', METRIC, 'live')
  await verify(app, 'Preorders')
  t.match(await causes(app), [{ code: 'flow_doubled', where, certain: true }])
})

t.test('G4: accepted, and perhaps no SMS: what Klaviyo lets nobody see is named; what was verified is not guessed at', async t => {
  const app = await nearlySetUp(t)
  await flow(app, 'Preorders', METRIC, 'live')
  await verify(app, 'Preorders')
  t.strictSame(await causes(app), [])
  const codes = async () => (await causes(app)).map(({ code, certain }) => certain ? code : `${code}?`)
  await app.delivered(await app.post(anEvent('order-1', { type: TYPE })))
  t.strictSame(await codes(), ['no_sms_consent?', 'sms_not_enabled?', 'message_skipped?'])
  await app.delivered(await app.post(anEvent('alert-1')))
  t.strictSame(await codes(), ['no_sms_consent?', 'sms_not_enabled?', 'quiet_hours?', 'message_skipped?'])
})

t.test('G4: at a connection that is declared to be set up nobody has looked, so a flow may be a draft or listen to something else', async t => {
  const app = await started(t)
  await app.ask('PUT', `/v1/shops/${SHOP}/providers/klaviyo/connection`, { body: { secrets: { api_key: KEY }, ready: ['back_in_stock', 'preorder'] } })
  t.strictSame(await causes(app), [])
  await app.delivered(await app.post(anEvent('order-1', { type: TYPE })))
  t.match(await causes(app), [{ code: 'trigger_mismatch', certain: false }, { code: 'flow_not_live', certain: false }, { code: 'no_sms_consent' }, { code: 'sms_not_enabled' }, { code: 'message_skipped' }])
})
