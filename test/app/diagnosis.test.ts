// What is the matter with a shop's messages, as the API tells it: each cause provoked at a provider made for the tests, which
// stand-ins of its API play.

import t, { type Test } from 'tap'
import { anEvent, movable, until, type App, type Body } from '../helpers/app.ts'
import { act, choose, flowsFor, KEY, KEY_AGAIN, KEY_WRONG, setupConfig, setUpAll, SHOP, startSetupApp, world } from '../helpers/setup.ts'

const TYPE = 'preorder.confirmed'
const CAUSES = { name: 'flow_name_mismatch', topic: 'trigger_mismatch', trigger: 'trigger_mismatch', live: 'flow_not_live', only: 'flow_doubled' }
const POSSIBLE = `possible_causes:
  - { code: sms_not_enabled, when: delivered, text: SMS may be off at Beacon., fix: Turn it on there. }
  - { code: quiet_hours, when: delivered, kinds: [marketing], text: It may be night there., fix: Wait until the morning. }
  - { code: trigger_mismatch, when: delivered, unless_done: [flow], text: Nobody looked at the flow's topic., fix: Verify it. }
  - { code: opt_in_missing, when: delivered, text: The customer may not have agreed., fix: Look the customer up. }
`

function manifest (text: string): string {
  const named = Object.entries(CAUSES).reduce((all, [id, cause]) => all.replace(new RegExp(`^( {6}${id}: \\{ of: \\w+,)`, 'm'), `$1 cause: ${cause},`), text)
  return named.replace('reset: Flows', `${POSSIBLE}reset: Flows`)
}

interface Cause { code: string, certain: boolean, sentence: string, fix: string, where: { step: string | null, subject: string | null, delivery?: string }, since?: string }

async function diagnosis (app: App, query = '', shop = SHOP): Promise<Body & { healthy: boolean, causes: Cause[] }> {
  const { status, body } = await app.ask('GET', `/v1/shops/${shop}/diagnosis${query}`)
  if (status !== 200) throw new Error(`answered ${status}`)
  return body as Body & { healthy: boolean, causes: Cause[] }
}

const codes = ({ causes }: { causes: Cause[] }) => causes.map(({ code, certain }) => certain ? code : `${code}?`)

/** A shop that sends through beacon, and is not connected to it yet. */
async function started (t: Test, options: Parameters<typeof startSetupApp>[1] = {}): Promise<App> {
  const app = await startSetupApp(t, { manifest, ...options })
  await choose(app)
  return app
}

/** Handed over; the id of its delivery. */
async function delivered (app: App, id: string, type: 'back_in_stock.alert' | 'preorder.confirmed' = TYPE): Promise<string> {
  await app.delivered(await app.post(anEvent(id, { type })))
  return String((await app.delivery(id)).id)
}

t.test('G4: from nothing to all set up, what is missing is named step by step, and then nothing is', async t => {
  const app = await started(t)
  t.match(await diagnosis(app), { shop: SHOP, channel: 'sms', provider: 'beacon', healthy: false, causes: [{ code: 'not_connected', certain: true, sentence: 'Connect your Beacon account.', where: { step: 'key', subject: null } }] })
  await act(app, 'key/connect', { secrets: { api_key: KEY_WRONG } })
  t.match((await diagnosis(app)).causes, [{ code: 'wrong_key', sentence: 'Invalid Beacon key.', where: { step: 'key' }, since: /Z$/ }])
  await world(app, { lists: [] })
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  await act(app, 'list/refresh')
  const unset = await diagnosis(app)
  t.match(unset.causes, [{ code: 'no_keywords', sentence: 'No lists yet. Create one, then Refresh.', where: { step: 'list', subject: null } }, { code: 'steps_skipped', where: { step: 'method', subject: 'back_in_stock' } }, { code: 'steps_skipped', where: { step: 'method', subject: 'preorder' } }])
  t.equal(unset.causes.length, 3)
  await world(app, { lists: [{ id: 'l1', name: 'News' }] })
  await setUpAll(app)
  t.strictSame(await diagnosis(app), { shop: SHOP, channel: 'sms', provider: 'beacon', healthy: true, causes: [] })
})

t.test('G4: a flow that is missing, misnamed, on another trigger, not live or doubled is told apart, for its kind of message', async t => {
  const app = await started(t)
  await setUpAll(app)
  const verified = async (name: string, flows: ReturnType<typeof flowsFor>) => {
    await world(app, { flows })
    await act(app, 'flow/verify', { subject: TYPE, input: { flow_name: name } })
    return (await diagnosis(app)).causes
  }
  const [alert, reminder, order] = flowsFor() as [Flow, Flow, Flow]
  const where = { step: 'flow', subject: TYPE }
  t.match(await verified('flow preorder.confirmed', flowsFor()), [{ code: 'flow_name_mismatch', where, sentence: 'No flow has this name.', fix: /There is: "Flow preorder\.confirmed"/ }])
  t.match(await verified(order.name, [alert, reminder, { ...order, topic: alert.topic }]), [{ code: 'trigger_mismatch', where, sentence: 'It does not listen to our topic.' }])
  t.match(await verified(order.name, [alert, reminder, { ...order, status: 'draft' }]), [{ code: 'flow_not_live', where, sentence: 'It is not live yet.' }])
  t.match(await verified(order.name, [alert, reminder, order, { ...order, id: 'twin', name: 'Twin' }]), [{ code: 'flow_doubled', where, certain: true }])
  t.strictSame(await verified(order.name, flowsFor()), [])
  await app.ask('POST', `/v1/shops/${SHOP}/providers/beacon/setup/reset`, { body: { setup_group: 'preorder' } })
  await act(app, 'method/choose', { subject: 'preorder', value: 'checked' })
  t.match((await diagnosis(app)).causes, [{ code: 'flow_missing', where }])
})

type Flow = ReturnType<typeof flowsFor>[number]

t.test('G4, B5: a key that is refused later, a scope that is gone, and a plan that falls are told as such, and as over when they are', async t => {
  const app = await started(t)
  await setUpAll(app)
  await world(app, { refused: ['one'] })
  await app.attempted(await app.post(anEvent('e1', { type: TYPE })))
  t.match((await diagnosis(app)).causes, [{ code: 'wrong_key', sentence: 'Invalid Beacon key.', where: { step: 'key' } }])
  await world(app, { refused: [] })
  await act(app, 'key/connect', { secrets: { api_key: KEY_AGAIN } })
  await until(async () => (await app.delivery('e1')).state === 'delivered')
  const certain = async () => codes(await diagnosis(app)).filter(code => !code.endsWith('?'))
  t.strictSame(await certain(), [])
  const put = (plan: string) => app.ask('PUT', `/v1/shops/${SHOP}`, { body: { name: 'Acme', domain: SHOP, plan } })
  await put('free')
  t.match((await diagnosis(app)).causes[0], { code: 'plan_too_low', fix: /^Upgrade/ })
  await put('pro')
  t.strictSame(await certain(), [])
})

t.test('G4: a permission that is missing is told from what holds the account', async t => {
  const app = await started(t, { manifest: text => manifest(text).replace('  - { status: 401,', '  - { status: 403, is: hold, reason: scope_missing, detail: no }\n  - { status: 401,') })
  await setUpAll(app)
  await app.fault('beacon', { kind: 'status', status: 403, match: { path: '/events' } })
  await app.attempted(await app.post(anEvent('e1', { type: TYPE })))
  t.match((await diagnosis(app)).causes, [{ code: 'scopes_missing', sentence: 'The key may not be used here.', where: { step: 'key' } }])
})

t.test('G4: a test event that the provider refuses has failed, with the provider\'s reason', async t => {
  const app = await started(t, { manifest: text => manifest(text).replace('  - { status: 401,', '  - { status: 422, is: rejected, reason: payload_refused, detail: "{{ response.body }}" }\n  - { status: 401,') })
  await setUpAll(app)
  await app.fault('beacon', { kind: 'status', status: 422, body: 'not now', match: { path: '/events' } })
  await act(app, 'test/send', { subject: TYPE, phone: '+12015550123' })
  t.match((await diagnosis(app)).causes, [{ code: 'setup_failed', where: { step: 'test', subject: TYPE }, sentence: /^Beacon refused the message\./ }])
})

t.test('G4: what nobody is let see is named as possible, and only once something was delivered that it can apply to', async t => {
  const app = await started(t)
  await setUpAll(app)
  const id = await delivered(app, 'order-1')
  const order = await diagnosis(app)
  t.strictSame(codes(order), ['sms_not_enabled?', 'opt_in_missing?'], 'the flow was looked at, and a preorder knows no quiet hours')
  t.equal(order.healthy, true, 'a guess makes nobody ill')
  t.match(order.causes[0], { certain: false, sentence: 'SMS may be off at Beacon.', fix: 'Turn it on there.', where: { step: null, subject: null, delivery: id }, since: /Z$/ })
  await delivered(app, 'alert-1', 'back_in_stock.alert')
  t.strictSame(codes(await diagnosis(app)), ['sms_not_enabled?', 'quiet_hours?', 'opt_in_missing?'])
})

t.test('G4: what became of a customer\'s messages is told of this customer alone', async t => {
  const app = await started(t, { manifest: text => manifest(text).replace('  - { status: 401,', '  - { status: 409, is: rejected, reason: opted_out }\n  - { status: 401,') })
  await setUpAll(app)
  await app.fault('beacon', { kind: 'status', status: 409, match: { path: '/events' }, times: 1 })
  await app.attempted(await app.post(anEvent('e1', { type: TYPE })))
  const { id } = await app.delivery('e1')
  const person = (phone: string) => `?person=${encodeURIComponent(phone)}`
  t.match(await diagnosis(app, person('+12015550123')), { healthy: false, causes: [{ code: 'opt_in_missing', certain: true, where: { subject: TYPE, delivery: id } }] })
  t.match(await diagnosis(app, person('+12015550199')), { causes: [{ code: 'no_event', certain: true }] })
  t.strictSame(codes(await diagnosis(app)), ['opt_in_missing'])
  const notAllowed = await app.ask('GET', `/v1/shops/${SHOP}/diagnosis${person('5550123')}`)
  t.match(notAllowed, { status: 422, body: { error: { code: 'GW_REQUEST_INVALID' } } })
})

t.test('C11: where the provider says that nobody is texted without consent, the delivery and the diagnosis say it for certain', async t => {
  const guess = (text: string) => manifest(text).replace('code: opt_in_missing', 'code: no_sms_consent')
  const app = await started(t, { manifest: text => guess(text).replace('  - { status: 401,', '  - { status: 202, header: { name: x-consent, equals: none }, is: delivered, reason: no_sms_consent }\n  - { status: 401,') })
  await setUpAll(app)
  await delivered(app, 'order-1')
  t.ok(codes(await diagnosis(app)).includes('no_sms_consent?'), 'a guess')
  await app.fault('beacon', { kind: 'status', status: 202, headers: { 'x-consent': 'none' }, match: { path: '/events' }, times: 1 })
  const id = await delivered(app, 'order-2')
  t.match(await app.delivery('order-2'), { state: 'delivered', reason: 'no_sms_consent', sentence: /^Beacon accepted the message, but the customer has given no SMS consent there/ })
  const { healthy, causes } = await diagnosis(app)
  t.equal(healthy, false)
  t.match(causes[0], { code: 'no_sms_consent', certain: true, fix: /Only the customer can give it/, where: { subject: TYPE, delivery: id } })
  t.equal(causes.filter(({ code }) => code === 'no_sms_consent').length, 1, 'what is known is not guessed at besides')
})

t.test('of a shop only the last day counts, of a customer all there is', async t => {
  const clock = movable()
  const app = await started(t, { runtime: clock.runtime })
  await setUpAll(app)
  await delivered(app, 'order-1')
  t.strictSame(codes(await diagnosis(app)).length, 2)
  clock.advance(24 * 3_600_000 + 1000)
  t.strictSame(codes(await diagnosis(app)), [])
  t.strictSame(codes(await diagnosis(app, `?person=${encodeURIComponent('+12015550123')}`)).length, 2)
})

t.test('G4, D8: a provider that limits us is named with how much waits and how long', async t => {
  const app = await started(t)
  await setUpAll(app)
  await app.fault('beacon', { kind: 'status', status: 429, headers: { 'retry-after': '600' }, match: { path: '/events' } })
  for (let i = 0; i < 3; i++) await app.post(anEvent(`e${i}`))
  await app.logged(entry => entry.msg === 'attempt' && entry.reason === 'rate_limited')
  await until(async () => codes(await diagnosis(app)).includes('rate_limit'))
  t.match((await diagnosis(app)).causes, [{ code: 'rate_limit', certain: true, where: { subject: 'back_in_stock' }, sentence: /^Beacon is limiting us; 3 waiting, about 10 min\.$/ }])
})

t.test('nobody is told of a shop, a channel or a customer that is not there, or not theirs', async t => {
  const app = await started(t)
  const path = `/v1/shops/${SHOP}/diagnosis`
  const answers = await Promise.all([
    app.ask('GET', path, { key: null }), app.ask('GET', path, { key: 'events' }), app.ask('GET', path, { key: 'globex' }), app.ask('GET', path.replace('acme', 'nobody')), app.ask('GET', `${path}?channel=pigeon`), app.ask('GET', `${path}?colour=red`)
  ])
  t.strictSame(answers.map(({ status }) => status), [401, 403, 404, 404, 404, 422])
  t.equal((await app.ask('GET', path, { key: 'reader' })).status, 200)
})

t.test('who may read shops, and no deliveries, is told nothing of a customer', async t => {
  const app = await started(t, { config: setupConfig(text => text.replace('scopes: [deliveries:read, shops:read]', 'scopes: [shops:read]')) })
  const path = `/v1/shops/${SHOP}/diagnosis`
  t.equal((await app.ask('GET', path, { key: 'reader' })).status, 200)
  t.match(await app.ask('GET', `${path}?person=%2B12015550123`, { key: 'reader' }), { status: 403, body: { error: { code: 'GW_FORBIDDEN' } } })
})
