// Credentials that come in past the set-up or at the same moment, and what providers say of them.

import t from 'tap'
import { anEvent, until, type App, type Body } from '../helpers/app.ts'
import { act, choose, itemOf, KEY, KEY_AGAIN, KEY_OTHER, pathOf, setUpAll, SHOP, shown, startSetupApp, stateOf, world } from '../helpers/setup.ts'

t.jobs = 4 // each mostly waits

const ALERT = 'back_in_stock.alert'
const CONNECTION = `/v1/shops/${SHOP}/providers/beacon/connection`

const connect = (app: App, key: string) => act(app, 'key/connect', { secrets: { api_key: key } })
const put = (app: App, key: string, more: object = {}) => app.ask('PUT', CONNECTION, { body: { secrets: { api_key: key }, ...more } })
const connection = async (app: App): Promise<Body> => (await app.ask('GET', `/v1/shops/${SHOP}/providers/beacon`)).body['connection'] as Body
const wrong = (n: number): string => `bea_none_${n}23456789`

t.test('#39: credentials that are put and then checked count together with those that are checked first: five a minute', async t => {
  const app = await startSetupApp(t)
  const statuses: number[] = []
  for (let n = 0; n < 8; n++) {
    const { status } = n % 2 === 0 ? await put(app, wrong(n)) : await connect(app, wrong(n))
    statuses.push(status)
    if (n % 2 === 0 && status === 200) t.match(itemOf((await act(app, 'key/check')).body, 'key'), { state: 'failed', reason: 'credentials_refused' })
  }
  t.strictSame(statuses, [200, 200, 200, 200, 200, 429, 429, 429])
  t.match(await put(app, wrong(9)), { status: 429, headers: { 'retry-after': '60' }, body: { error: { code: 'GW_TOO_OFTEN', fix: /five times a minute/ } } })
  t.match(await put(app, wrong(4), { settings: { list_id: 'l2' } }), { status: 200, body: { connection: { settings: { list_id: 'l2' } } } }, 'the credentials that are there already tell nobody anything')
  t.match(await put(app, wrong(0)), { status: 429 }, 'those that were there before do')
  await app.query('update audit set at = at - 61000')
  t.match(await put(app, KEY), { status: 200 })
  t.match(await connect(app, KEY), { status: 200, body: { account_name: 'Shop one' } })
})

t.test('#39: of many that are put and tried at the same moment, no more than five get through', async t => {
  const app = await startSetupApp(t)
  const all = await Promise.all(Array.from({ length: 12 }, (_, n) => n % 2 === 0 ? put(app, wrong(n)) : connect(app, wrong(n))))
  t.strictSame(all.map(({ status }) => status < 300).filter(Boolean).length, 5)
})

t.test('a check and other credentials at once do not undo each other, whichever is answered first', async t => {
  for (const slow of ['check', 'connect']) {
    const app = await startSetupApp(t)
    await setUpAll(app)
    await app.fault('beacon', { kind: 'delay', delay_ms: 600, times: 1, match: { path: slow === 'check' ? '/me' : '/flows' } })
    const checking = act(app, 'key/check')
    await until(async () => (await app.query('select 1 as asked from calls where outcome is null')).length > 0)
    if (slow === 'connect') await app.fault('beacon', { kind: 'delay', delay_ms: 1200, times: 1, match: { path: '/me' } })
    const connecting = connect(app, KEY_OTHER)
    const answers = await Promise.all([checking, connecting])
    t.strictSame(answers.map(({ status }) => status), [200, 200])
    await until(async () => (await app.query('select 1 as there from jobs where kind = \'setup\'')).length === 0)
    const view = await shown(app)
    t.match(view, { connected: true, account_name: 'Shop two', summary: '0 of 3 ready' }, slow)
    t.match(itemOf(view, 'key'), { state: 'done', reason: null, action: null })
    t.match(await connection(app), { account_id: 'ID-two', secrets: { api_key: `…${KEY_OTHER.slice(-4)}` } })
    t.strictSame(await app.query('select * from setup_secrets'), [])
    t.strictSame(await app.query('select * from setup where step in (\'flow\', \'method\')'), [], 'nothing that was looked at over there is left')
    await app.close()
  }
})

t.test('a daily look that the old account answers late undoes nothing of the new one', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  const [{ shop_key: shopKey, account_key: accountKey } = {}] = await app.query('select shop_key, account_key from connections where provider = \'beacon\'')
  await app.fault('beacon', { kind: 'delay', delay_ms: 3000, times: 1, match: { path: '/me' } })
  await app.query(`insert into jobs (job_key, id, kind, unique_key, account_key, due_at, created_at, background) values (999999999, 'job_late', 'setup_recheck', '${shopKey}/beacon', ${accountKey}, 0, 0, 1)`)
  const isAsked = async () => (await app.query('select 1 as asked from calls where outcome is null and request_head = \'GET /me\'')).length > 0
  await until(isAsked)
  t.match((await connect(app, KEY_OTHER)).body, { account_name: 'Shop two' })
  t.ok(await isAsked(), 'it is not answered yet')
  await act(app, 'method/choose', { subject: 'preorder', value: 'trusted' })
  await until(async () => (await app.query('select 1 as there from jobs where kind = \'setup_recheck\'')).length === 0)
  const view = await shown(app)
  t.match(view, { connected: true, account_name: 'Shop two', summary: '0 of 3 ready' })
  t.match([itemOf(view, 'key').state, itemOf(view, 'method', 'preorder')['selected']], ['done', 'trusted'])
  t.match(JSON.parse(String((await app.query('select given from setup where step = \'key\''))[0]?.given)), { account_id: 'ID-two' })
})

t.test('a provider\'s words that repeat a credential are without it in every answer and row, be it a refusal, a name or a list (#84)', async t => {
  const app = await startSetupApp(t)
  const basic = Buffer.from(`${KEY}:`).toString('base64')
  const told: string[] = []
  const look = async () => {
    told.push(JSON.stringify(await shown(app)), JSON.stringify(await app.ask('GET', `/v1/shops/${SHOP}`)), app.lines.join('\n'))
    for (const table of ['setup', 'setup_tasks', 'connections', 'accounts', 'jobs', 'audit', 'calls']) told.push(JSON.stringify(await app.query(`select * from ${table}`)))
  }
  await app.fault('beacon', { kind: 'status', status: 401, body: { error: `who is ${KEY}, or ${basic}?` }, match: { path: '/me' } })
  const refused = await connect(app, KEY)
  t.match(itemOf(refused.body, 'key'), { state: 'failed', detail: 'who is ***, or ***?' })
  await look()
  await app.heal('beacon')
  await app.fault('beacon', { kind: 'status', status: 200, body: { id: 'ID-one', name: `Shop of ${KEY}`, kind: 'shop' }, match: { path: '/me' } })
  t.match((await connect(app, KEY)).body, { connected: true, account_name: 'Shop of ***' })
  await world(app, { kind: `a ${KEY}`, lists: [{ id: 'l1', name: `List of ${KEY}` }], flows: [{ id: 'f', name: `Flow ${KEY}`, status: 'live', topic: null }] })
  t.match(itemOf((await act(app, 'list/refresh')).body, 'list')['options'], [{ value: 'l1', label: 'List of ***' }])
  await act(app, 'method/choose', { subject: 'back_in_stock', value: 'checked' })
  t.match(itemOf((await act(app, 'flow/verify', { subject: ALERT, input: { flow_name: `flow ${KEY.slice(0, -1)}` } })).body, 'flow', ALERT), { near: ['Flow ***'] })
  await look()
  await app.heal('beacon')
  t.match(itemOf((await act(app, 'key/check')).body, 'key'), { state: 'done', reason: 'unexpected_account', detail: '/kind is "a ***"' })
  await look()
  for (const form of [KEY, basic]) t.notOk(told.some(text => text.includes(form)), form.slice(0, 8))
})

t.test('credentials of another account that are put unproven: messages are held, nothing done here counts there, and a check forgets it', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await choose(app)
  await app.delivered(await app.post(anEvent('before-1')))
  t.match(await put(app, KEY_OTHER, { settings: { list_id: 'l1' } }), { status: 200, body: { connection: { account_id: null } } })
  const isHeld = async (id: string) => {
    await app.post(anEvent(id))
    await until(async () => { const { state, reason } = await app.delivery(id); return state === 'held' && reason === 'setup_open' })
  }
  await isHeld('unproven-1')
  t.match(await shown(app), { summary: '0 of 3 ready', setup_groups: [{ ready: false }, { ready: false }], warnings: [{ code: 'setup_incomplete', step: 'key' }] })
  t.equal(await stateOf(app, 'key'), 'open', 'it is to be checked first')
  t.match(await act(app, 'list/select', { value: 'l1' }), { status: 409, body: { error: { message: 'First: "Connect Beacon".' } } })
  await isHeld('unproven-2')
  const { body } = await act(app, 'key/check')
  t.match(itemOf(body, 'key'), { state: 'done', reason: null })
  t.match([await stateOf(app, 'method', 'preorder'), await stateOf(app, 'flow', ALERT)], ['open', 'blocked'])
  t.strictSame((await app.query('select distinct step from setup where step <> \'list\'')).map(({ step }) => step), ['key'])
  await isHeld('unproven-3')
})

t.test('nor does it count there when they are connected by the step afterwards, or when the check finds something else than a shop', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await put(app, KEY_OTHER, { settings: { list_id: 'l1' } })
  await world(app, { kind: 'agency' })
  t.match((await act(app, 'key/check')).body, { summary: '0 of 3 ready', steps: [{ id: 'key', state: 'open', items: [{ reason: 'unexpected_account', checked_at: null }] }] })
  await world(app, { kind: 'shop' })
  t.match((await connect(app, KEY_OTHER)).body, { account_name: 'Shop two', summary: '0 of 3 ready' })
  t.strictSame(await app.query('select * from setup where step in (\'flow\', \'method\')'), [])
})

t.test('an account that the platform names in its own way is no other one, once it was checked', async t => {
  const app = await startSetupApp(t)
  await put(app, KEY, { account_id: 'OURS-1' })
  await setUpAll(app, KEY)
  await app.ask('DELETE', CONNECTION)
  await put(app, KEY, { account_id: 'OURS-1', settings: { list_id: 'l1' } })
  t.match(await shown(app), { summary: '0 of 3 ready' })
  t.match((await act(app, 'key/check')).body, { summary: '3 of 3 ready' })
  t.match((await act(app, 'list/refresh')).body, { summary: '3 of 3 ready' })
})

t.test('a new key of the same account that is put unproven: held until a check says so, and then nothing is to be set up anew', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await choose(app)
  await put(app, KEY_AGAIN, { settings: { list_id: 'l1' } })
  await app.post(anEvent('same-1'))
  await until(async () => (await app.delivery('same-1')).reason === 'setup_open')
  await app.fault('beacon', { kind: 'status', status: 503, match: { path: '/me' } })
  t.match((await act(app, 'key/check')).body, { summary: '0 of 3 ready' }, 'no answer proves nothing')
  await app.heal('beacon')
  t.match((await act(app, 'key/check')).body, { summary: '3 of 3 ready' })
  await until(async () => (await app.delivery('same-1')).state === 'delivered')
})

t.test('with a plan that is too low a merchant can still start over and disconnect', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await choose(app)
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: { name: 'Acme', domain: SHOP, plan: 'free' } })
  t.match(await connect(app, KEY), { status: 403 })
  t.match(await app.ask('POST', `${pathOf()}/reset`, { body: { setup_group: 'preorder' } }), { status: 200, body: { available: false, reason: 'plan_too_low', setup_groups: [{ ready: true }, { ready: false }] } })
  t.match(await app.ask('POST', `${pathOf()}/reset`, { body: {} }), { status: 200, body: { setup_groups: [{ ready: false }, { ready: false }] } })
  t.match(await app.ask('DELETE', CONNECTION), { status: 200, body: { available: false, connection: null } })
  t.strictSame([await app.query('select * from secrets where connection_key in (select connection_key from connections where provider = \'beacon\')'), await app.query('select * from connections where provider = \'beacon\'')], [[], []])
  await app.post(anEvent('free-1'))
  await until(async () => (await app.delivery('free-1')).reason === 'plan_too_low')
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: { name: 'Acme', domain: SHOP, plan: 'pro' } })
  await until(async () => (await app.delivery('free-1')).reason === 'not_connected')
})
