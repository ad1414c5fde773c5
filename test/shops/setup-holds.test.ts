// What a set-up, a reset, a switch and a later look at the provider do to messages: held with the reason, and sent once they may go.

import t from 'tap'
import { anEvent, movable, startApp, until, type App, type Body } from '../helpers/app.ts'
import { act, choose, flowsFor, itemOf, KEY, KEY_AGAIN, KEY_OTHER, pathOf, setUpAll, SHOP, shown, startSetupApp, stateOf, stepOf, world } from '../helpers/setup.ts'

const ALERT = 'back_in_stock.alert'
const REMINDER = 'back_in_stock.reminder'
const PREORDER = 'preorder.confirmed'
const DAY_MS = 24 * 3_600_000

const held = async (app: App, id: string, reason: string) => { await until(async () => { const { state, reason: why } = await app.delivery(id); return state === 'held' && why === reason }) }
const sent = async (app: App, id: string) => { await until(async () => (await app.delivery(id)).state === 'delivered') }

/** Until each connection was looked after once more. */
async function nextDay (app: App, clock: ReturnType<typeof movable>): Promise<void> {
  const dailyAt = async () => Number((await app.query('select due_at from jobs where kind = \'setup_daily\''))[0]?.due_at)
  const before = await dailyAt()
  clock.advance(DAY_MS)
  await until(async () => await dailyAt() > before)
  await until(async () => {
    clock.advance(2000)
    return (await app.query('select * from jobs where kind = \'setup_recheck\'')).length === 0
  })
}

/** Connected, a list selected, and each group done by a person's word. */
async function trusted (app: App, groups = ['back_in_stock', 'preorder']): Promise<void> {
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  await act(app, 'list/refresh')
  await act(app, 'list/select', { value: 'l1' })
  for (const group of groups) {
    await act(app, 'method/choose', { subject: group, value: 'trusted' })
    for (const subject of group === 'preorder' ? [PREORDER] : [ALERT, REMINDER]) await act(app, 'built/confirm', { subject })
  }
}

t.test('what waits for a step goes when the last one is done, group by group (B2)', async t => {
  const app = await startSetupApp(t)
  await choose(app)
  await app.post([anEvent('early-1'), anEvent('early-2', { type: PREORDER })])
  await held(app, 'early-1', 'not_connected')
  await trusted(app, ['preorder'])
  await sent(app, 'early-2')
  t.match(await app.delivery('early-1'), { state: 'held', reason: 'setup_open', sentence: 'The set-up of Beacon is not finished for this kind of message.' })
  t.match((await shown(app)).warnings, [{ code: 'setup_incomplete', setup_groups: ['back_in_stock'], step: 'method', waiting: 1 }])
  await act(app, 'method/choose', { subject: 'back_in_stock', value: 'trusted' })
  await act(app, 'built/confirm', { subject: ALERT })
  t.match(await app.delivery('early-1'), { state: 'held' }, 'the reminder of its group is open')
  await act(app, 'built/confirm', { subject: REMINDER })
  await sent(app, 'early-1')
  t.match((await app.received('beacon')).filter(({ method }) => method === 'POST').map(({ body }) => (body as Body)['topic']), [`topic ${PREORDER}`, `topic ${ALERT}`])
})

t.test('the first event of another kind of message tries nothing at an account that is held', async t => {
  const app = await startSetupApp(t)
  await trusted(app)
  await choose(app)
  await app.delivered(await app.post(anEvent('before-1')))
  await world(app, { refused: ['one'] })
  await app.post(anEvent('revoked-1'))
  await held(app, 'revoked-1', 'credentials_refused')
  const asked = (await app.received('beacon')).length
  await app.post(anEvent('revoked-2', { type: PREORDER }))
  await held(app, 'revoked-2', 'credentials_refused')
  t.equal((await app.received('beacon')).length, asked, 'its queue was made, and nobody gave other credentials')
})

t.test('after a reset messages are held again, what waits too, and what stays is said; set up anew they go (C9)', async t => {
  const app = await startSetupApp(t)
  await trusted(app)
  await choose(app)
  await app.delivered(await app.post(anEvent('before-1')))
  await app.ask('POST', `${pathOf()}/reset`, { body: { setup_group: 'back_in_stock' } })
  await app.post([anEvent('reset-1'), anEvent('reset-2', { type: PREORDER })])
  await held(app, 'reset-1', 'setup_open')
  await sent(app, 'reset-2')
  t.match(await shown(app), { reset: { text: 'Flows at Beacon stay. What was verified is forgotten here, and new messages are held until it is set up again; so are the 1 that wait now, until they expire.' }, setup_groups: [{ waiting: 1, ready: false }, { waiting: 0, ready: true }] })
  t.strictSame((await app.query('select action, subject from audit where action = \'setup.reset\'')).map(row => ({ ...row })), [{ action: 'setup.reset', subject: 'beacon back_in_stock' }])
  await act(app, 'method/choose', { subject: 'back_in_stock', value: 'trusted' })
  for (const subject of [ALERT, REMINDER]) await act(app, 'built/confirm', { subject })
  await sent(app, 'reset-1')
})

t.test('a reset while something is looked up: its answer sets nothing up again', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await app.fault('beacon', { kind: 'delay', delay_ms: 400, match: { path: '/flows' } })
  const verifying = act(app, 'flow/verify', { subject: PREORDER, input: { flow_name: `Flow ${PREORDER}` } })
  await until(async () => await stateOf(app, 'flow', PREORDER) === 'running')
  t.match(await shown(app), { setup_groups: [{ ready: true }, { ready: true }] }, 'what is looked up once more is as it was until then')
  await app.ask('POST', `${pathOf()}/reset`, { body: { setup_group: 'preorder' } })
  await verifying
  await until(async () => (await app.query('select * from jobs where kind = \'setup\'')).length === 0)
  t.match(await shown(app), { setup_groups: [{ ready: true }, { ready: false }] })
  t.equal(await stateOf(app, 'method', 'preorder'), 'open')
  t.strictSame(await app.query(`select * from setup where subject = '${PREORDER}'`), [])
})

t.test('another account: what was set up at the old one is forgotten, and messages are held; a new key of the same account changes nothing', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await choose(app)
  await act(app, 'key/connect', { secrets: { api_key: KEY_AGAIN } })
  await app.delivered(await app.post(anEvent('same-1')))
  t.match((await act(app, 'key/connect', { secrets: { api_key: KEY_OTHER } })).body, { account_name: 'Shop two', summary: '0 of 3 ready' })
  const view = await shown(app)
  t.match([stepOf(view, 'key').state, itemOf(view, 'list')['selected'], stepOf(view, 'method').state, stepOf(view, 'flow').state], ['done', null, 'open', 'blocked'])
  await app.post(anEvent('other-1'))
  await held(app, 'other-1', 'setup_open')
  await setUpAll(app, KEY_OTHER)
  await sent(app, 'other-1')
})

t.test('disconnected: held, the steps are kept; the same account once more needs nothing anew, another one everything (B5)', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await choose(app)
  const away = () => app.ask('DELETE', `/v1/shops/${SHOP}/providers/beacon/connection`)
  await away()
  const view = await shown(app)
  t.match(view, { connected: false, summary: '0 of 3 ready', warnings: [{ code: 'not_connected', text: 'Connect your Beacon account.' }, { code: 'setup_incomplete', step: 'key' }] })
  t.match([stepOf(view, 'key').state, itemOf(view, 'flow', ALERT).state, itemOf(view, 'flow', ALERT).actions], ['open', 'done', [{ allowed: false, why: 'Connect your Beacon account.' }]])
  t.match(await act(app, 'test/send', { subject: ALERT, phone: '+12015550123' }), { status: 409, body: { error: { message: 'First: "Connect Beacon".' } } })
  await app.post(anEvent('away-1'))
  await held(app, 'away-1', 'not_connected')
  t.match((await act(app, 'key/connect', { secrets: { api_key: KEY_AGAIN } })).body, { connected: true, summary: '3 of 3 ready' })
  await sent(app, 'away-1')
  t.equal(itemOf(await shown(app), 'list')['selected'], 'l1', 'and what was selected holds')
  await away()
  t.match((await act(app, 'key/connect', { secrets: { api_key: KEY_OTHER } })).body, { connected: true, account_name: 'Shop two', summary: '0 of 3 ready' })
})

t.test('switching keeps what was set up; what waits goes to the provider chosen, and only there (B1, B3)', async t => {
  const app = await startSetupApp(t)
  await trusted(app)
  t.match(await shown(app), { active: [], summary: '3 of 3 ready', warnings: [] })
  await app.delivered(await app.post(anEvent('first-1')))
  t.strictSame((await app.received('beacon')).filter(({ method }) => method === 'POST'), [], 'set up, and not chosen')
  await choose(app)
  t.match(await shown(app), { active: ['sms'] })
  await app.delivered(await app.post(anEvent('second-1')))
  await choose(app, 'courier')
  t.match(await shown(app), { active: [], connected: true, summary: '3 of 3 ready' })
  await app.ask('POST', `${pathOf()}/reset`, {})
  await choose(app)
  await app.post(anEvent('third-1'))
  await held(app, 'third-1', 'setup_open')
  await choose(app, 'courier')
  await sent(app, 'third-1')
  t.equal((await app.received('beacon')).filter(({ method }) => method === 'POST').length, 1)
  t.equal((await app.received('courier')).length, 2)
})

t.test('a plan that falls holds what is set up; when it returns it goes, and nothing is to be set up anew (B4)', async t => {
  const app = await startSetupApp(t)
  await trusted(app)
  await choose(app)
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: { name: 'Acme', domain: SHOP, plan: 'free' } })
  await app.post(anEvent('free-1'))
  await held(app, 'free-1', 'plan_too_low')
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: { name: 'Acme', domain: SHOP, plan: 'pro' } })
  await sent(app, 'free-1')
  t.match(await shown(app), { summary: '3 of 3 ready' })
})

t.test('a connection that was declared ready counts as set up, until it is reset (B2)', async t => {
  const app = await startApp(t)
  const path = pathOf('courier')
  const view = await shown(app, path)
  t.match(view, { connected: true, setup_groups: [{ ready: true, declared: true }, { ready: true, declared: true }], summary: '3 of 3 ready', warnings: [] })
  await app.ask('POST', `${path}/reset`, { body: { setup_group: 'preorder' } })
  t.match(await shown(app, path), { setup_groups: [{ ready: true, declared: true }, { ready: false, declared: false }] })
  await app.post(anEvent('declared-1', { type: PREORDER }))
  await held(app, 'declared-1', 'setup_open')
  await app.delivered(await app.post(anEvent('declared-2')))
})

t.test('a key that is revoked is found out the next day: the account is held and shown; when it works again it is freed, and what waits goes (B5)', async t => {
  const clock = movable()
  const app = await startSetupApp(t, { runtime: clock.runtime })
  await trusted(app)
  await choose(app)
  await world(app, { refused: ['one'] })
  await nextDay(app, clock)
  t.equal(await stateOf(app, 'key'), 'failed')
  t.match(await shown(app), { warnings: [{ code: 'credentials_refused' }], connected: true })
  t.match((await app.ask('GET', `/v1/shops/${SHOP}/providers/beacon`)).body['connection'], { status: 'refused', reason: 'credentials_refused' })
  t.match((await app.ask('GET', '/metrics')).body['text'], /credentials_refused/)
  await app.post(anEvent('revoked-1', { type: PREORDER }))
  await held(app, 'revoked-1', 'credentials_refused')
  await world(app, { refused: [] })
  await nextDay(app, clock)
  await sent(app, 'revoked-1')
  t.strictSame((await shown(app)).warnings, [])
})

t.test('a key that is revoked and replaced: what waits goes at once', async t => {
  const app = await startSetupApp(t, { manifest: text => text.replace(/ {2}- id: list\n[^]*?(?= {2}- id: method)/, '') }) // nothing is asked of the provider but about the key
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  await act(app, 'method/choose', { subject: 'back_in_stock', value: 'trusted' })
  for (const subject of [ALERT, REMINDER]) await act(app, 'built/confirm', { subject })
  await choose(app)
  await world(app, { refused: ['one'] })
  await app.post(anEvent('replaced-1'))
  await held(app, 'replaced-1', 'credentials_refused')
  t.match(await stateOf(app, 'key'), 'failed')
  await world(app, { refused: [] })
  await act(app, 'key/connect', { secrets: { api_key: KEY_AGAIN } })
  await sent(app, 'replaced-1')
})

t.test('what does not work for now at a check undoes nothing (429, 5xx)', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  for (const [path, status] of [['/me', 503], ['/flows', 503], ['/lists', 429]] as const) {
    await app.fault('beacon', { kind: 'status', status, match: { path }, headers: { 'retry-after': '600' } })
    t.match((await act(app, 'key/check')).body, { summary: '3 of 3 ready', connected: true }, `${path} ${status}`)
    await app.heal('beacon')
  }
})

t.test('a flow that is undone at the provider holds its group at the next check, and frees it when it is put right', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await choose(app)
  await world(app, { flows: flowsFor().map(flow => flow.id.includes('preorder') ? { ...flow, status: 'draft' } : flow) })
  const { body } = await act(app, 'key/check')
  t.match(body, { summary: '2 of 3 ready', warnings: [{ code: 'setup_incomplete', setup_groups: ['preorder'], step: 'flow' }] })
  t.match(itemOf(body, 'flow', PREORDER), { state: 'failed', reason: 'not_verified', detail: 'It is not live yet.', done_at: String })
  await app.post([anEvent('undone-1', { type: PREORDER }), anEvent('undone-2')])
  await held(app, 'undone-1', 'setup_open')
  await sent(app, 'undone-2')
  await world(app, { flows: flowsFor() })
  await act(app, 'key/check')
  await sent(app, 'undone-1')
})

t.test('a step whose later check only warns: the list that was selected is gone, messages go on', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await choose(app)
  await world(app, { lists: [{ id: 'l7', name: 'New' }] })
  const { body } = await act(app, 'key/check')
  t.match(body, { summary: '3 of 3 ready', warnings: [{ code: 'selection_gone', text: 'What was chosen is not there any more at Beacon; choose again.', step: 'list' }] })
  t.match(itemOf(body, 'list'), { state: 'failed', reason: 'selection_gone', selected: 'l1', options: [{ value: 'l7' }], actions: [{ action: 'select', allowed: true }, {}] })
  await app.delivered(await app.post(anEvent('gone-1')))
  t.match((await act(app, 'list/select', { value: 'l7' })).body, { warnings: [] })
})

t.test('a list that was never selected, or gone before it was, is an open step and no warning', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  await act(app, 'list/refresh')
  await world(app, { lists: [] })
  const { body } = await act(app, 'key/check')
  t.match(itemOf(body, 'list'), { state: 'open', reason: null })
})
