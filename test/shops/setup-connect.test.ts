// Credentials and who may do what with a set-up: what is refused, what never replaces what works, and what is left nowhere.

import { readFileSync } from 'node:fs'
import t from 'tap'
import { until, type Asked, type Body } from '../helpers/app.ts'
import { act, itemOf, KEY, KEY_AGAIN, KEY_OTHER, KEY_WRONG, pathOf, setUpAll, SHOP, shown, startSetupApp, stateOf } from '../helpers/setup.ts'
import { storeKind } from '../helpers/stores.ts'

const ALERT = 'back_in_stock.alert'
const PHONE = '+12015550123'
const connect = (key: string) => ({ secrets: { api_key: key } })
const plan = (name: string) => ({ name: 'Acme', domain: SHOP, plan: name })

t.test('a wrong key never replaces one that works, and leaves nothing behind (D1)', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', connect(KEY))
  const connection = async () => (await app.ask('GET', `/v1/shops/${SHOP}/providers/beacon`)).body['connection'] as Body
  const before = await connection()
  const { body } = await act(app, 'key/connect', connect(KEY_WRONG))
  t.match(body, { connected: true, account_name: 'Shop one' })
  t.match(itemOf(body, 'key'), { state: 'done', reason: 'credentials_refused', sentence: 'Invalid Beacon key.' }, 'what was tried last is told all the same')
  t.strictSame(await connection(), before)
  t.strictSame(await app.query('select * from setup_secrets'), [])
  t.notMatch((await app.ask('GET', '/metrics')).body['text'], /gateway_accounts_held\{[^}]*beacon[^}]*\} [1-9]/)
  t.strictSame(await app.query('select * from accounts where held_reason is not null'), [], 'no account is held for it')
  t.match(itemOf((await act(app, 'key/check')).body, 'key'), { state: 'done', reason: null })
})

t.test('a key of another form is refused before it is asked about, field by field, and not repeated', async t => {
  const app = await startSetupApp(t)
  const refused: Array<[string, object, string]> = [
    ['key/connect', {}, '/secrets/api_key'],
    ['key/connect', connect('abc_0123456789'), '/secrets/api_key'],
    ['key/connect', { secrets: { api_key: KEY, token: 'x' } }, '/secrets/token'],
    ['pair/connect', connect(KEY), '/secrets/token']
  ]
  for (const [what, body, path] of refused) {
    const answer = await act(app, what, body)
    t.match(answer, { status: 422, body: { error: { code: 'GW_REQUEST_INVALID', details: [{ path }] } } }, `${what} ${path}`)
    t.notMatch(JSON.stringify(answer.body), /0123456789/)
  }
  t.match((await act(app, 'key/connect', connect('abc_0123456789'))).body.error?.details, [{ message: /begins with bea_/ }])
  t.strictSame(await app.received('beacon'), [])
})

t.test('a key\'s check is no oracle: five a minute for a shop, however many come at once, and each leaves a trace (#39)', async t => {
  const app = await startSetupApp(t)
  const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => act(app, 'key/connect', connect(`bea_none_${i}23456789`))))
  t.equal(answers.filter(({ status }) => status < 300).length, 5)
  const sixth = answers.find(({ status }) => status === 429)
  t.match(sixth, { status: 429, headers: { 'retry-after': '60' }, body: { error: { code: 'GW_TOO_OFTEN', fix: /a minute/ } } })
  t.equal((await app.received('beacon')).filter(({ status }) => status === 401).length <= 5, true, 'and no more than these were asked about')
  const rows = await app.query('select actor, shop, subject from audit where action = \'setup.connect\'')
  t.strictSame(rows.map(row => ({ ...row })), Array.from({ length: 5 }, () => ({ actor: 'all', shop: SHOP, subject: 'beacon key' })))
  t.match(await act(app, 'key/connect', connect(KEY), pathOf('beacon', 'globex.example')), { status: 200, body: { connected: true } }, 'another shop has its own')
  await app.query('update audit set at = at - 61000')
  t.match(await act(app, 'key/connect', connect(KEY)), { status: 200, body: { connected: true } })
})

t.test('no test goes to other people\'s phones: five a minute for a shop (#39)', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', connect(KEY))
  for (let i = 0; i < 5; i++) t.equal((await act(app, 'test/send', { subject: ALERT, phone: PHONE })).status, 200)
  t.match(await act(app, 'test/send', { subject: 'preorder.confirmed', phone: '+12015550124' }), { status: 429, headers: { 'retry-after': '60' } })
  t.equal((await app.received('beacon')).filter(({ method }) => method === 'POST').length, 5)
  t.notMatch(JSON.stringify(await app.query('select * from audit')), /5550123/)
  for (const phone of ['12015550123', '+1201555012a', '+0201555012', 'me', '']) t.match(await act(app, 'test/send', { subject: ALERT, phone }), { status: 422, body: { error: { details: [{ path: '/phone' }] } } })
  t.match(await act(app, 'test/send', { subject: ALERT }), { status: 422, body: { error: { details: [{ path: '/phone', rule: 'required' }] } } })
})

t.test('no answer, log line or row in clear holds a key, before its check, after it, and when it was refused (#77, #84)', async t => {
  const app = await startSetupApp(t)
  const told: string[] = []
  const keys = [KEY, KEY_OTHER, KEY_WRONG, 'token-0123456789']
  await app.fault('beacon', { kind: 'delay', delay_ms: 300, match: { path: '/me' } })
  const connecting = act(app, 'key/connect', connect(KEY_WRONG))
  await until(async () => (await app.query('select * from setup_secrets')).length > 0)
  const asleep = async () => JSON.stringify(await Promise.all(['setup', 'setup_secrets', 'secrets', 'jobs', 'audit', 'accounts', 'connections', 'calls'].map(table => app.query(`select * from ${table}`))),
    (_, value: unknown) => value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value)
  told.push(await asleep(), JSON.stringify((await act(app, 'key/check')).body), JSON.stringify(await shown(app)))
  told.push(JSON.stringify(await connecting))
  await app.heal('beacon')
  for (const key of [KEY, KEY_OTHER]) told.push(JSON.stringify(await act(app, 'key/connect', connect(key))))
  told.push(JSON.stringify(await act(app, 'pair/connect', { secrets: { api_key: KEY, token: 'token-0123456789' } })))
  for (const path of [pathOf(), `/v1/shops/${SHOP}`, `/v1/shops/${SHOP}/providers/beacon`, '/metrics']) told.push(JSON.stringify(await app.ask('GET', path)))
  told.push(await asleep(), app.lines.join('\n'))
  const { place } = app
  await app.close()
  if (storeKind === 'sqlite') told.push(readFileSync(place, 'latin1'))
  t.ok(told.some(text => text.includes('setup.connect')), 'the rows are among what is searched')
  for (const key of keys) {
    for (const form of [key, Buffer.from(key).toString('base64').replace(/=+$/, ''), Buffer.from(key).toString('hex')]) t.notOk(told.some(text => text.includes(form)), form.slice(0, 8))
  }
})

t.test('credentials of one shop and step open nowhere else (#78)', async t => {
  const app = await startSetupApp(t)
  await app.fault('beacon', { kind: 'delay', delay_ms: 1500, match: { path: '/me' } })
  const connecting = act(app, 'key/connect', connect(KEY))
  await until(async () => (await app.query('select * from setup_secrets')).length > 0)
  const [{ shop_key: shopKey } = {}] = await app.query('select shop_key from shops where id = \'globex.example\'')
  await app.query(`update setup_secrets set shop_key = ${shopKey}`)
  await connecting
  t.match(await shown(app), { connected: false }, 'what was checked is not there to be kept')
  await app.query('update audit set at = 0')
  await app.heal('beacon')
  t.match((await act(app, 'key/connect', connect(KEY))).body, { connected: true })
})

t.test('what is asked for twice is done once, and both are told', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', connect(KEY))
  await app.fault('beacon', { kind: 'delay', delay_ms: 400, match: { path: '/events' } })
  const first = act(app, 'test/send', { subject: ALERT, phone: PHONE })
  await until(async () => await stateOf(app, 'test', ALERT) === 'running')
  t.match(itemOf(await shown(app), 'test', ALERT), { action: 'send', asked_at: String, actions: [{ allowed: false, why: 'It is being worked on.' }] })
  const both = await Promise.all([first, act(app, 'test/send', { subject: ALERT, phone: PHONE })])
  t.strictSame(both.map(({ status, body }) => [status, itemOf(body, 'test', ALERT).state]), [[200, 'done'], [200, 'done']])
  t.equal((await app.received('beacon')).filter(({ method }) => method === 'POST').length, 1)
})

t.test('other credentials while some are checked: the last ones count', async t => {
  const app = await startSetupApp(t)
  await app.fault('beacon', { kind: 'delay', delay_ms: 400, match: { path: '/me' }, times: 1 })
  const first = act(app, 'key/connect', connect(KEY))
  await until(async () => await stateOf(app, 'key') === 'running')
  const both = await Promise.all([first, act(app, 'key/connect', connect(KEY_OTHER))])
  t.strictSame(both.map(({ status }) => status), [200, 200])
  t.match(await shown(app), { connected: true, account_name: 'Shop two' })
  t.match((await app.ask('GET', `/v1/shops/${SHOP}/providers/beacon`)).body['connection'], { account_id: 'ID-two', secrets: { api_key: '…6789' } })
})

t.test('a new key of the same account, and one after its end: nothing is to be set up anew', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  t.match((await act(app, 'key/connect', connect(KEY_AGAIN))).body, { summary: '3 of 3 ready', connected: true })
  t.match((await app.ask('GET', `/v1/shops/${SHOP}/providers/beacon`)).body['connection'], { secrets: { api_key: '…3210' } })
})

t.test('what is no step, no action, no subject, or done otherwise, is named', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', connect(KEY))
  const wrong: Array<[string, object, number, RegExp]> = [
    ['nothing/connect', {}, 404, /key, pair, list, method, test, flow, built/],
    ['key/confirm', {}, 404, /connect, check/],
    ['pair/check', {}, 409, /made another way/],
    ['test/send', { subject: 'preorder', phone: PHONE }, 422, /one of back_in_stock.alert, back_in_stock.reminder, preorder.confirmed/],
    ['test/send', { phone: PHONE }, 422, /one of/],
    ['key/check', { subject: ALERT }, 422, /leave the subject out/],
    ['flow/verify', { subject: ALERT, input: { flow_name: 'a' } }, 409, /First: \\"Choose a method\\"/]
  ]
  for (const [what, body, status, says] of wrong) {
    const answer = await act(app, what, body)
    t.equal(answer.status, status, what)
    t.match(JSON.stringify(answer.body.error), says)
  }
  t.match(await app.ask('GET', pathOf('nobody')), { status: 404, body: { error: { message: /there are .*beacon/ } } })
})

t.test('a body holds what the action takes, of its type, and nothing else: refused, not dropped (#23)', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  const before = await shown(app)
  const refused: Array<[string, unknown, string]> = [
    ['key/connect', { secrets: { api_key: KEY_OTHER }, account_id: 'ID-two' }, '/account_id'],
    ['key/connect', { secrets: { api_key: 5 } }, '/secrets/api_key'],
    ['key/connect', { secrets: [KEY_OTHER] }, '/secrets'],
    ['key/connect', { secrets: { api_key: KEY_OTHER }, value: 'x' }, '/value'],
    ['key/check', { secrets: { api_key: KEY_OTHER } }, '/secrets'],
    ['list/select', { value: 1 }, '/value'],
    ['list/select', { value: 'l2', state: 'done' }, '/state'],
    ['method/choose', { subject: 'preorder', value: 'trusted', phone: PHONE }, '/phone'],
    ['flow/verify', { subject: ALERT, input: {} }, '/input/flow_name'],
    ['flow/verify', { subject: ALERT, input: { flow_name: 'a', shop_key: '1' } }, '/input/shop_key'],
    ['flow/verify', { subject: ALERT, input: { flow_name: { $ne: '' } } }, '/input/flow_name'],
    ['flow/verify', { subject: ALERT, input: 'a' }, '/input'],
    ['flow/verify', { subject: [ALERT], input: { flow_name: 'a' } }, '/subject'],
    ['test/send', { subject: ALERT, phone: PHONE, input: { flow_name: 'a' } }, '/input'],
    ['reset', { setup_group: 'preorder', shop: 'globex.example' }, '/shop'],
    ['reset', { setup_group: 7 }, '/setup_group']
  ]
  for (const [what, body, path] of refused) {
    const answer = await act(app, what, body as object)
    t.match(answer, { status: 422, body: { error: { code: 'GW_REQUEST_INVALID' } } }, `${what} ${path}`)
    t.ok(answer.body.error?.details.some(detail => detail['path'] === path), `${what} ${path}: ${JSON.stringify(answer.body.error?.details)}`)
  }
  for (const raw of ['[]', '"a"', '7', '{']) t.ok([400, 422].includes((await app.ask('POST', `${pathOf()}/key/check`, { raw })).status), raw)
  t.strictSame(await shown(app), before)
})

t.test('whoever has not the shop is told of nothing; who reads does nothing', async t => {
  const app = await startSetupApp(t)
  const asked: Array<[string, string, object | undefined]> = [['GET', pathOf(), undefined], ['POST', `${pathOf()}/key/connect`, connect(KEY)], ['POST', `${pathOf()}/reset`, {}]]
  for (const [method, path, body] of asked) {
    const asking = (key: Asked['key'], at = path) => app.ask(method, at, { key, ...(body !== undefined && { body }) } as Asked)
    const [theirs, none] = [await asking('globex'), await asking('globex', path.replace(SHOP, 'nobody.example'))]
    t.match(theirs, { status: 404, body: { error: { code: 'GW_NOT_FOUND' } } }, `${method} ${path}`)
    t.strictSame({ ...theirs.body.error, request_id: '' }, { ...none.body.error, request_id: '' })
    t.equal((await asking('acme')).status, 200)
    t.equal((await asking('reader')).status, method === 'GET' ? 200 : 403)
    t.equal((await asking('events')).status, 403)
    t.equal((await asking(null)).status, 401)
  }
})

t.test('a plan that is too low refuses every action with the reason, and what was set up is there when it returns (B4)', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: plan('free') })
  for (const [what, body] of [['key/connect', connect(KEY)], ['key/check', {}], ['list/refresh', {}], ['list/select', { value: 'l1' }], ['method/choose', { subject: 'preorder', value: 'trusted' }], ['test/send', { subject: ALERT, phone: PHONE }], ['flow/verify', { subject: ALERT, input: { flow_name: 'a' } }], ['built/confirm', { subject: ALERT }]] as const) {
    t.match(await act(app, what, body), { status: 403, body: { error: { code: 'GW_PLAN_TOO_LOW', message: 'The plan "free" does not include Beacon: it needs external_sms.' } } }, what)
  }
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: plan('pro') })
  t.match(await shown(app), { available: true, summary: '3 of 3 ready' })
})

t.test('a check that comes to a connection that is gone ends, and says why', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', connect(KEY))
  const [{ shop_key: shopKey, account_key: accountKey } = {}] = await app.query('select shop_key, account_key from connections where provider = \'beacon\'')
  await app.ask('DELETE', `/v1/shops/${SHOP}/providers/beacon/connection`)
  await app.query('update setup set action = \'check\', asked_at = 1 where step = \'key\'')
  await app.query(`insert into jobs (job_key, id, kind, unique_key, account_key, due_at, created_at) values (999999999, 'job_late', 'setup', '${shopKey}/beacon/key/', ${accountKey}, 0, 0)`)
  await until(async () => await stateOf(app, 'key') !== 'running')
  t.match(itemOf(await shown(app), 'key'), { state: 'open', reason: 'not_connected', sentence: 'Connect your Beacon account.', action: null })
})
