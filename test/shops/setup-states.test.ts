// What a merchant sees of a set-up, state by state (stack.md 7.3): each answer holds what is needed to draw it, that is the
// state, what is said of it, and what can be done, or why not.

import t from 'tap'
import { anEvent, movable, until, type Body } from '../helpers/app.ts'
import { act, choose, flowsFor, itemOf, KEY, KEY_WRONG, pathOf, setUpAll, setupConfig, SHOP, shown, startSetupApp, stateOf, stepOf, world } from '../helpers/setup.ts'

const ALERT = 'back_in_stock.alert'
const PHONE = '+12015550123'
const plan = (name: string) => ({ name: 'Acme', domain: SHOP, plan: name })

t.test('a plan that is too low: listed, disabled, with the reason at every action (B4)', async t => {
  const app = await startSetupApp(t)
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: plan('free') })
  const view = await shown(app)
  t.match(view, { available: false, reason: 'plan_too_low', sentence: /plan/, connected: false })
  const { body } = await app.ask('GET', `/v1/shops/${SHOP}/channels/sms`)
  t.match((body['providers'] as Body[]).find(({ id }) => id === 'beacon'), { title: 'Beacon', available: false, reason: 'plan_too_low', sentence: view['sentence'] })
  for (const step of view.steps) for (const item of step.items) for (const { allowed, why } of item.actions) t.strictSame([allowed, why], [false, view['sentence']], step.id)
})

t.test('announced only: listed, disabled, refused (B6)', async t => {
  const app = await startSetupApp(t, { config: setupConfig(config => config.replace('providers/beacon }', 'providers/beacon, coming_soon: true }')) })
  const view = await shown(app)
  t.match(view, { available: false, reason: 'coming_soon', sentence: 'Beacon is not available yet.' })
  t.ok(view.steps.every(({ items }) => items.every(({ actions }) => actions.every(({ allowed, why }) => !allowed && why === 'Beacon is not available yet.'))))
  t.match(await act(app, 'key/connect', { secrets: { api_key: KEY } }), { status: 403, body: { error: { code: 'GW_COMING_SOON' } } })
  t.match(await choose(app), { status: 403, body: { error: { code: 'GW_COMING_SOON' } } })
})

t.test('another provider is the chosen one: nothing is warned of, all can be set up beforehand', async t => {
  const app = await startSetupApp(t)
  t.match(await shown(app), { title: 'Beacon', available: true, active: [], connected: false, warnings: [], summary: '0 of 3 ready' })
  t.match((await act(app, 'key/connect', { secrets: { api_key: KEY } })).body, { connected: true, active: [] })
})

t.test('chosen, not connected: the banner, the field with where to find it, and what comes first', async t => {
  const app = await startSetupApp(t)
  await choose(app)
  const view = await shown(app)
  t.match(view, { active: ['sms'], connected: false, account_name: null })
  t.match(view.warnings.find(({ code }) => code === 'not_connected'), { text: 'Connect your Beacon account.' })
  t.match(stepOf(view, 'key'), { kind: 'api_key', title: 'Connect Beacon', text: 'Paste the key.', state: 'open', fields: { api_key: { label: 'Key', hint: 'It begins with bea_.', example: 'bea_any_0123456789' } } })
  t.match(itemOf(view, 'key').actions, [{ action: 'connect', label: 'Verify & connect', method: 'POST', path: `${pathOf()}/key/connect`, allowed: true, why: null }, { action: 'check', allowed: false }])
  t.match(itemOf(view, 'list'), { state: 'blocked', missing: ['key'], actions: [{ action: 'select', allowed: false, why: 'First: Connect Beacon.' }, { action: 'refresh', allowed: false }] })
  t.match(stepOf(view, 'method'), { state: 'blocked', choices: [{ value: 'checked', why: null }, { value: 'trusted', allowed: true, why: null }] }, 'no way of connecting is ruled out yet')
  t.match(await act(app, 'list/refresh'), { status: 409, body: { error: { code: 'GW_CONFLICT', message: 'First: "Connect Beacon".' } } })
})

t.test('a wrong key: the provider\'s own sentence beside the field, and nothing is connected (D1)', async t => {
  const app = await startSetupApp(t)
  const { status, body } = await act(app, 'key/connect', { secrets: { api_key: KEY_WRONG } })
  t.equal(status, 200)
  t.match(body, { connected: false, account_name: null })
  t.match(itemOf(body, 'key'), { state: 'failed', reason: 'credentials_refused', sentence: 'Invalid Beacon key.', detail: 'who is that?', actions: [{ action: 'connect', allowed: true }, {}] })
  await world(app, { kind: 'partner' })
  t.match(itemOf((await act(app, 'key/connect', { secrets: { api_key: KEY } })).body, 'key'), { state: 'failed', reason: 'unexpected_account', sentence: /belong to something else than a shop's account at Beacon/ })
})

t.test('connected: a check mark, the account\'s name, and the list to choose from without another press of a button', async t => {
  const app = await startSetupApp(t)
  const { body } = await act(app, 'key/connect', { secrets: { api_key: KEY } })
  t.match(body, { connected: true, account_name: 'Shop one' })
  t.match(itemOf(body, 'key'), { state: 'done', reason: null, actions: [{ allowed: true }, { action: 'check', label: 'Check again', allowed: true }] })
  t.match(itemOf(body, 'pair'), { state: 'not_needed' })
  await until(async () => itemOf(await shown(app), 'list')['options'] !== undefined && (itemOf(await shown(app), 'list')['options'] as Body[]).length > 0)
  t.match(itemOf(await shown(app), 'list'), { state: 'open', selected: null, options: [{ value: 'l1', label: 'News' }, { value: 'l2', label: 'Alerts' }] })
})

t.test('a list: read again when asked, saved at once, and what is said of an empty one', async t => {
  const app = await startSetupApp(t)
  await world(app, { lists: [] })
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  t.match(stepOf((await act(app, 'list/refresh')).body, 'list'), { state: 'open', empty: 'No lists yet. Create one, then Refresh.', items: [{ options: [] }] })
  t.match(await act(app, 'list/select', { value: 'l1' }), { status: 422, body: { error: { details: [{ path: '/value', message: 'No lists yet. Create one, then Refresh.' }] } } })
  await world(app, { lists: [{ id: 'l9', name: 'Late' }] })
  await act(app, 'list/refresh')
  t.match(itemOf((await act(app, 'list/select', { value: 'l9' })).body, 'list'), { state: 'done', selected: 'l9' })
  t.match(await act(app, 'list/select', { value: 'l1' }), { status: 422, body: { error: { details: [{ path: '/value', message: /one of l9/ }] } } })
  t.match((await app.ask('GET', `/v1/shops/${SHOP}/providers/beacon`)).body['connection'], { settings: { list_id: 'l9' } })
})

t.test('a method: what the connection allows, with the reason, and the steps of the other one are not needed (C2)', async t => {
  const app = await startSetupApp(t)
  await act(app, 'pair/connect', { secrets: { api_key: KEY, token: 'token-0123456789' } })
  const paired = await shown(app)
  t.match(paired, { connected: true, account_name: null })
  t.match(stepOf(paired, 'method')['choices'], [{ value: 'checked', allowed: false, why: 'Not with a pair.' }, { value: 'trusted', allowed: true, why: null }])
  t.match(itemOf(paired, 'flow', ALERT), { state: 'blocked', missing: ['method'] })
  t.match(await act(app, 'method/choose', { subject: 'preorder', value: 'checked' }), { status: 409, body: { error: { code: 'GW_CONFLICT', message: 'Not with a pair.' } } })
  t.match(await act(app, 'method/choose', { subject: 'preorder', value: 'best' }), { status: 422, body: { error: { details: [{ path: '/value', message: 'one of checked, trusted' }] } } })
  const { body } = await act(app, 'method/choose', { subject: 'preorder', value: 'trusted' })
  t.match(itemOf(body, 'method', 'preorder'), { state: 'done', selected: 'trusted' })
  t.match([itemOf(body, 'flow', 'preorder.confirmed').state, itemOf(body, 'built', 'preorder.confirmed').state, itemOf(body, 'built', ALERT).state], ['not_needed', 'open', 'blocked'], 'of this group alone')
  t.match(itemOf(body, 'flow', 'preorder.confirmed').actions, [{ allowed: false, why: 'Another way was chosen, which does without this step.' }])
  t.match(await act(app, 'flow/verify', { subject: 'preorder.confirmed', input: { flow_name: 'a' } }), { status: 409 })
})

t.test('looked up: what was found apart from what was not, near names, draft, and not what could not be looked at (C5)', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  await act(app, 'method/choose', { subject: 'back_in_stock', value: 'checked' })
  const before = itemOf(await shown(app), 'flow', ALERT)
  t.match(before, { state: 'open', trigger: `topic ${ALERT}`, variables: ['product_title', 'vendor', 'shop_name'], input: { flow_name: null }, actions: [{ action: 'verify', label: 'Verify flow', allowed: true }] })
  const verify = async (name: string, subject = ALERT) => itemOf((await act(app, 'flow/verify', { subject, input: { flow_name: name } })).body, 'flow', subject)
  const told = (item: Body) => Object.fromEntries((item['findings'] as Array<{ id: string, ok: boolean | null }>).map(({ id, ok }) => [id, ok]))
  const [flow] = flowsFor([ALERT])
  if (flow === undefined) throw new Error('no flow')
  await world(app, { flows: [{ ...flow, id: 'a', name: 'Other' }, { ...flow, id: 'b', name: 'Restock alert' }, { ...flow, id: 'c', name: 'restock  Alerts', topic: null }] })
  const wrong = await verify('restock alert')
  t.match(wrong, { state: 'failed', reason: 'not_verified', sentence: 'The flow is not as it must be.', detail: 'No flow has this name.', input: { flow_name: 'restock alert' } })
  t.strictSame(wrong['near'], ['Restock alert', 'restock  Alerts'], 'capitals and spaces first, and of the second page too')
  t.strictSame(told(wrong), { name: false, topic: false, trigger: null, live: null, only: null })
  await world(app, { topics: [`topic ${ALERT}`], flows: [{ ...flow, topic: null, status: 'draft' }] })
  const draft = await verify(flow.name)
  t.strictSame(told(draft), { name: true, topic: true, trigger: false, live: false, only: true })
  t.match((draft['findings'] as Body[]).find(({ id }) => id === 'live'), { text: 'It is not live yet.' })
  await world(app, { flows: [flow, { ...flow, id: 'twin', name: 'Twin' }] })
  const twice = await verify(flow.name)
  t.match(twice, { state: 'done', reason: null })
  t.strictSame(told(twice), { name: true, topic: true, trigger: true, live: true, only: false })
  t.match((await shown(app)).warnings, [{ code: 'verified_with_warning', text: 'Another live flow listens too.', step: 'flow', subject: ALERT }], 'said, and no obstacle (C10)')
})

t.test('a test event: sent with sample data and the phone given, told when and whether it was taken; refused, with the provider\'s reason (C6, D3)', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  const { body } = await act(app, 'test/send', { subject: ALERT, phone: PHONE })
  const item = itemOf(body, 'test', ALERT)
  t.match(item, { state: 'done', reason: null, trigger: `topic ${ALERT}`, event_id: /^test-/, checked_at: String, actions: [{ action: 'send', label: 'Send test event', allowed: true }] })
  const event = (await app.received('beacon')).find(({ method }) => method === 'POST')
  t.match(event, { key: item['event_id'], body: { topic: `topic ${ALERT}`, to: { phone: PHONE }, properties: { product_title: String, vendor: String, shop_name: 'Acme' } } })
  for (const value of Object.values((event as { body: { properties: object } }).body.properties)) t.not(value, '', 'every variable has a value')
  await app.fault('beacon', { kind: 'status', status: 400, body: { error: 'no such field' }, times: 1, match: { path: '/events' } })
  t.match(itemOf((await act(app, 'test/send', { subject: 'preorder.confirmed', phone: PHONE })).body, 'test', 'preorder.confirmed'), { state: 'failed', reason: 'payload_refused', sentence: 'Beacon refused the message.' })
  await app.fault('beacon', { kind: 'status', status: 400, body: { error: 'no such field' }, times: 1, match: { path: '/events' } })
  t.match(itemOf((await act(app, 'test/send', { subject: ALERT, phone: PHONE })).body, 'test', ALERT), { state: 'done', reason: 'payload_refused' }, 'what was made known by one stays known')
  t.notMatch(JSON.stringify(await shown(app)), /5550123/, 'whose phone it was is not shown')
  t.strictSame((await app.query('select given from setup where step = \'test\'')).filter(({ given }) => String(given).includes('5550123')), [], 'nor kept')
})

t.test('a test event without an answer is not sent again by itself: it may have come', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  await app.fault('beacon', { kind: 'cut_after', match: { path: '/events' } })
  t.match(itemOf((await act(app, 'test/send', { subject: ALERT, phone: PHONE })).body, 'test', ALERT), { state: 'failed', reason: 'no_answer', sentence: /may have the message/, actions: [{ allowed: true }] })
  t.equal((await app.received('beacon')).filter(({ method }) => method === 'POST').length, 1)
})

t.test('the provider takes no names: the test finds it out, and the connection keeps it', async t => {
  const app = await startSetupApp(t)
  await world(app, { plain: true })
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  t.match(itemOf((await act(app, 'test/send', { subject: ALERT, phone: PHONE })).body, 'test', ALERT), { state: 'done' })
  const events = (await app.received('beacon')).filter(({ method }) => method === 'POST')
  t.strictSame(events.map(({ status }) => status), [400, 202])
  t.equal(new Set(events.map(({ key }) => key)).size, 1, 'the same event')
  t.match((await app.ask('GET', `/v1/shops/${SHOP}/providers/beacon`)).body['connection'], { settings: { send_name: false } })
})

t.test('each alert type and group by itself: "1 of 3 ready", the first open step, what waits (B2, D4)', async t => {
  const app = await startSetupApp(t)
  await choose(app)
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  await act(app, 'list/refresh')
  await act(app, 'list/select', { value: 'l2' })
  t.match((await shown(app)).warnings.find(({ code }) => code === 'setup_incomplete'), { text: 'Beacon setup incomplete', setup_groups: ['back_in_stock', 'preorder'], step: 'method', waiting: 0 })
  for (const subject of ['back_in_stock', 'preorder']) await act(app, 'method/choose', { subject, value: 'trusted' })
  t.match(await act(app, 'built/confirm', { subject: ALERT }), { body: { summary: '1 of 3 ready', setup_groups: [{ ready: false }, { ready: false }] } })
  const { body } = await act(app, 'built/confirm', { subject: 'preorder.confirmed' })
  t.match(body, { summary: '2 of 3 ready', event_types: [{ event_type: ALERT, ready: true }, { event_type: 'back_in_stock.reminder', ready: false }, { event_type: 'preorder.confirmed', ready: true }], setup_groups: [{ ready: false }, { ready: true }] })
  t.match(stepOf(body, 'built'), { state: 'open' })
  t.match(itemOf(body, 'built', ALERT), { state: 'done', done_at: String, actions: [{ label: 'I\'ve created it' }] })
  const all = (await act(app, 'built/confirm', { subject: 'back_in_stock.reminder' })).body
  t.match(all, { summary: '3 of 3 ready', warnings: [] }, 'live, and nothing to warn of')
  t.equal(stepOf(all, 'built').state, 'done')
})

t.test('not verified for now is not called wrong: 429, 5xx, no answer, an answer that is none', async t => {
  const app = await startSetupApp(t)
  const faults: Array<[object, string]> = [
    [{ kind: 'status', status: 429, headers: { 'retry-after': '60' } }, 'rate_limited'],
    [{ kind: 'status', status: 503 }, 'provider_failing'],
    [{ kind: 'cut_before' }, 'no_answer'],
    [{ kind: 'status', status: 204 }, 'answer_unreadable']
  ]
  for (const [i, [fault, reason]] of faults.entries()) {
    await app.fault('beacon', { ...fault, match: { path: '/me' } })
    const item = itemOf((await act(app, 'key/connect', { secrets: { api_key: `bea_one_000000000${i}` } })).body, 'key') // a key of its own: a 429 lets its account wait
    t.match(item, { state: 'open', reason, action: null, actions: [{ action: 'connect', allowed: true }, {}] }, reason)
    t.notMatch(item.sentence, /Invalid|refuses|connect again/)
    await app.heal('beacon')
    await app.query('update audit set at = 0')
  }
  t.strictSame(await app.query('select * from setup_secrets'), [], 'what was not found out is given again')
  t.match((await act(app, 'key/connect', { secrets: { api_key: KEY } })).body, { connected: true })
})

t.test('what passes within seconds is tried once more, of a new key and of one that is checked', async t => {
  const app = await startSetupApp(t)
  for (const what of ['connect', 'check']) {
    await app.fault('beacon', { kind: 'status', status: 429, headers: { 'retry-after': '1' }, match: { path: '/me' }, times: 1 })
    t.match(itemOf((await act(app, `key/${what}`, what === 'connect' ? { secrets: { api_key: KEY } } : {})).body, 'key'), { state: 'done', reason: null }, what)
    t.equal(await app.heal('beacon'), 1)
  }
})

t.test('the key was refused later: a warning until it works again, and the step says so (B5)', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await choose(app)
  await world(app, { refused: ['one'] })
  const { body } = await act(app, 'key/check')
  t.match(itemOf(body, 'key'), { state: 'failed', reason: 'credentials_refused', sentence: 'Invalid Beacon key.', actions: [{ action: 'connect', allowed: true }, { action: 'check', allowed: true }] })
  t.match(body.warnings, [{ code: 'credentials_refused', text: 'Beacon refuses the credentials; connect again.' }])
  await world(app, { refused: [] })
  const again = (await act(app, 'key/check')).body
  t.match([itemOf(again, 'key').state, itemOf(again, 'key').reason, again.warnings.length, again.summary], ['done', null, 0, '3 of 3 ready'])
})

t.test('live: what went through on the last day, and the last error in plain words', async t => {
  const app = await startSetupApp(t)
  t.equal((await shown(app))['activity'], null, 'nothing is said before there is a connection')
  await setUpAll(app)
  await choose(app)
  t.match(await shown(app), { active: ['sms'], summary: '3 of 3 ready', activity: { delivered: 0, rejected: 0, unknown: 0, at_least: false, last_delivered_at: null, last_error: null } })
  for (const id of ['e1', 'e2']) await app.post(anEvent(id))
  for (const id of ['e1', 'e2']) await until(async () => (await app.delivery(id)).state === 'delivered')
  await app.fault('beacon', { kind: 'status', status: 422, match: { path: '/events' }, times: 1 })
  await app.post(anEvent('e3'))
  await until(async () => (await app.delivery('e3')).state === 'rejected')
  const { activity } = await shown(app)
  t.match(activity, { delivered: 2, rejected: 1, unknown: 0, at_least: false, last_delivered_at: /^\d{4}-/, last_error: { reason: 'payload_refused', sentence: 'Beacon refused the message.', at: /^\d{4}-/ } })
})

t.test('reset: what is forgotten, what stays and what becomes of those that wait is said before (C9)', async t => {
  const clock = movable()
  const app = await startSetupApp(t, { runtime: clock.runtime })
  await setUpAll(app)
  t.match((await shown(app)).reset, { text: /^Flows at Beacon stay\. What was verified is forgotten here, and new messages are held until it is set up again\.$/, method: 'POST', path: `${pathOf()}/reset` })
  const { status, body } = await app.ask('POST', `${pathOf()}/reset`, { body: { setup_group: 'preorder' } })
  t.match({ status, body }, { status: 200, body: { summary: '2 of 3 ready', setup_groups: [{ ready: true }, { ready: false }] } })
  t.equal(await stateOf(app, 'method', 'preorder'), 'open', 'the other method can be chosen')
  t.equal(await stateOf(app, 'method', 'back_in_stock'), 'done')
  t.match(await app.ask('POST', `${pathOf()}/reset`, { body: { setup_group: 'nothing' } }), { status: 422, body: { error: { details: [{ path: '/setup_group', message: 'one of back_in_stock, preorder' }] } } })
  await app.ask('POST', `${pathOf()}/reset`)
  t.match(await shown(app), { connected: true, summary: '0 of 3 ready' }, 'the connection stays')
  t.equal(await stateOf(app, 'list'), 'done', 'and what was selected')
})
