// A merchant allows the app in the browser: from the link to the connection, and to its end.

import t from 'tap'
import { anEvent, movable, until, type Body } from '../helpers/app.ts'
import { Browser, choose, connect, connectionOf, harmless, LANTERN_ENV, lanternConfig, link, order, refused, SCOPES, seen, startLanternApp } from '../helpers/lantern.ts'
import { itemOf, SHOP, shown, stepOf } from '../helpers/setup.ts'

const PATH = `/v1/shops/${SHOP}/providers/lantern/setup`

t.test('a merchant connects in the browser: tokens sealed, the account known, messages go out', async t => {
  const app = await startLanternApp(t)
  const before = stepOf(await shown(app, PATH), 'allow')
  t.match(before, { kind: 'oauth2', state: 'open', items: [{ actions: [{ action: 'connect', label: 'Connect', allowed: true, why: null }, { action: 'check', allowed: false }] }] })
  const started = await link(app, { body: { return_url: 'https://app.example/back?tab=1' } })
  t.equal(started.status, 200)
  const { url, expires_at: expiresAt } = started.body.authorize
  t.match(url, new RegExp(`^${app.url}/oauth/lantern/start\\?ticket=[A-Za-z0-9_-]{43}$`))
  t.ok(Math.abs(Date.parse(expiresAt) - Date.now() - 600_000) < 60_000)
  const browser = new Browser()
  const sent = await browser.leave(url)
  t.equal(sent.status, 303)
  harmless(t, sent)
  t.strictSame([...browser.cookies.keys()].toSorted(), ['oauth2-code-verifier', 'oauth2-redirect-state'])
  for (const cookie of sent.headers['set-cookie'] as string[]) t.match(cookie, /; Path=\/; HttpOnly; SameSite=Lax$/)
  const query = Object.fromEntries(new URL(sent.location).searchParams)
  t.match(query, { response_type: 'code', client_id: LANTERN_ENV.LANTERN_ID, redirect_uri: `${app.url}/oauth/lantern/callback`, scope: SCOPES.join(' '), code_challenge_method: 'S256', code_challenge: /^[A-Za-z0-9_-]{43}$/, state: /^[A-Za-z0-9_-]{43}$/ })
  const back = await browser.get((await new Browser().get(sent.location)).location)
  t.match(back, { status: 303, location: 'https://app.example/back?tab=1' })
  harmless(t, back)
  t.equal(browser.cookies.size, 0, 'nothing of it stays in the browser')
  const view = await shown(app, PATH)
  t.match(view, { connected: true, account_name: 'Shop one' })
  t.equal(stepOf(view, 'allow').state, 'done')
  t.equal(stepOf(view, 'key').state, 'not_needed')
  t.match(await connectionOf(app), { auth: 'oauth', account_id: 'ID-one', account_name: 'Shop one', status: 'connected', scopes: SCOPES, missing_scopes: [] })
  await app.ask('POST', `${PATH}/ready/confirm`, { body: {} })
  await choose(app)
  await app.delivered(await app.post(anEvent('first-1')))
  t.match(await seen(app), { exchanges: 1, refreshes: 0 })
})

t.test('without a page to return to the merchant is told whose account it is', async t => {
  const app = await startLanternApp(t)
  const page = await connect(app)
  t.equal(page.status, 200)
  t.match(page.text, /<h1>Connected as Shop one<\/h1><p>Acme \(acme\.example\) is connected to this Lantern account now\./)
  harmless(t, page)
})

t.test('#50: no token, code, ticket or state stands in a log, an answer of the API, or unsealed in the store', async t => {
  const app = await startLanternApp(t)
  const browser = new Browser()
  const { body: { authorize } } = await link(app)
  const sent = await browser.leave(authorize.url)
  const cookies = [...browser.cookies.values()]
  const { location } = await new Browser().get(sent.location)
  await browser.get(location)
  const [ticket, code, state] = [new URL(authorize.url).searchParams.get('ticket'), new URL(location).searchParams.get('code'), new URL(location).searchParams.get('state')] as [string, string, string]
  const answers = JSON.stringify([await connectionOf(app), await shown(app, PATH), await app.ask('GET', `/v1/shops/${SHOP}`)])
  const rows = JSON.stringify([await app.query('select hash, followed_by, return_url from oauth_flows'), await app.query('select given, found, detail from setup'), await app.query('select oauth from connections')])
  for (const secret of [ticket, code, state, ...cookies, LANTERN_ENV.LANTERN_SECRET]) {
    t.notOk(app.lines.join('\n').includes(secret), 'log')
    t.notOk(answers.includes(secret), 'API')
    t.notOk(rows.includes(secret), 'store')
  }
  t.notMatch(answers, /access_token|refresh_token/)
  const sealed = await app.query("select field, sealed from secrets s join connections c on c.connection_key = s.connection_key where c.provider = 'lantern' order by field")
  t.strictSame(sealed.map(({ field }) => field), ['access_token', 'refresh_token'])
  t.equal((await app.query('select * from setup_secrets')).length, 0, 'what waited for its check is gone')
})

t.test('#49: tokens of another type or form are refused, a life that is not believed is an hour, and missing scopes are said', async t => {
  const app = await startLanternApp(t)
  for (const [answer, why] of [[{ token_type: 'mac' }, 'type'], [{ token_type: 'DPoP' }, 'type'], [{ token_type: null }, 'no type'], [{ access_token: 'a b' }, 'form'], [{ access_token: null }, 'none'], [{ refresh_token: null }, 'nothing to renew it by'], [{ scope: 7 }, 'scope']] as const) {
    await order(app, { answer })
    refused(t, await connect(app, { ready: false }), /Lantern gave no access/, why)
    t.equal(await connectionOf(app), null)
    await app.query("delete from audit where action = 'setup.authorize'")
  }
  for (const life of [null, -1, 0, 59, 1e12, 3600.5, '3600']) {
    await order(app, { answer: { expires_in: life } })
    t.equal((await connect(app, { ready: false })).status, 200, `${life}`)
    const [row] = await app.query("select oauth from connections where provider = 'lantern'")
    const { obtainedAt, expiresAt } = JSON.parse(String(row?.oauth)) as { obtainedAt: number, expiresAt: number }
    t.equal(expiresAt - obtainedAt, 3_600_000, `${life}`)
    await app.query("delete from audit where action in ('setup.authorize', 'setup.connect')")
  }
  t.equal(app.lines.filter(line => /of their life; 3600 s are assumed/.test(line)).length, 7)
  await order(app, { answer: {}, granted: ['me:read', 'messages:write', 'other:read'] })
  await connect(app)
  t.match(await connectionOf(app), { scopes: ['me:read', 'messages:write', 'other:read'], missing_scopes: ['flows:write'] })
  t.match((await shown(app, PATH)).warnings, [{ code: 'scope_missing', text: /flows:write is missing\. Disconnect and reconnect/, scopes: ['flows:write'] }])
  await order(app, { granted: null })
  await app.query("delete from audit where action in ('setup.authorize', 'setup.connect')")
  await connect(app)
  t.match(await connectionOf(app), { missing_scopes: [] }, 'connected again with all of them it is over')
})

t.test('#52: who disconnects is disconnected at once, at the provider soon, and what waits is held', async t => {
  const { runtime, advance } = movable()
  const app = await startLanternApp(t, { runtime })
  await connect(app)
  await choose(app)
  await app.delivered(await app.post(anEvent('gone-1')))
  await order(app, { down: 503 })
  advance(16_000) // just after a merchant came back nothing is ended
  t.equal((await app.ask('DELETE', `/v1/shops/${SHOP}/providers/lantern/connection`)).status, 200)
  t.equal(await connectionOf(app), null)
  t.equal((await app.query("select * from secrets s join connections c on c.connection_key = s.connection_key where c.provider = 'lantern'")).length, 0)
  t.match((await app.post(anEvent('gone-2'))).body, { deliveries: [{ state: 'held', reason: 'not_connected' }] })
  await app.query("update jobs set due_at = 1 where kind = 'oauth_revoke'")
  await until(async () => (await seen(app)).revoke_calls === 1)
  await until(async () => (await app.query('select tries from oauth_revocations'))[0]?.tries?.toString() === '1')
  t.equal((await seen(app)).live, 1, 'the provider could not be told')
  await order(app, { down: null })
  await app.query('update oauth_revocations set due_at = 1')
  await app.query("update jobs set due_at = 1 where kind = 'oauth_revoke'")
  await until(async () => (await app.query('select 1 from oauth_revocations')).length === 0)
  t.match(await seen(app), { live: 0, revocations: 1 })
  t.equal((await connect(app)).status, 200)
  await until(async () => (await app.delivery('gone-2')).state === 'delivered')
})

t.test('a check that fails connects nothing, and what worked before works on', async t => {
  const app = await startLanternApp(t)
  await order(app, { refuseTokens: true })
  refused(t, await connect(app, { ready: false }), /Lantern takes our access no more/, 'in the step\'s own words')
  t.equal(await connectionOf(app), null)
  t.match(itemOf(await shown(app, PATH), 'allow'), { state: 'failed', reason: 'credentials_refused', sentence: 'Lantern takes our access no more.' })
  await order(app, { refuseTokens: false })
  await connect(app)
  await order(app, { refuseTokens: true })
  refused(t, await connect(app, { ready: false }), /Lantern takes our access no more/, 'again')
  await order(app, { refuseTokens: false })
  await choose(app)
  await app.delivered(await app.post(anEvent('still-1')))
})

t.test('tokens cannot be typed in, by nobody and for nobody', async t => {
  const app = await startLanternApp(t)
  const put = await app.ask('PUT', `/v1/shops/${SHOP}/providers/lantern/connection`, { body: { auth: 'oauth', secrets: { access_token: 'stolen-0123456789' } } })
  t.match(put, { status: 422, body: { error: { details: [{ path: '/auth', rule: 'oauth2', message: /in the browser/ }] } } })
  t.match(await app.ask('POST', `${PATH}/allow/connect`, { body: { return_url: 'http://evil.example/' } }), { status: 422, body: { error: { details: [{ path: '/return_url' }] } } })
  t.match(await app.ask('POST', `${PATH}/allow/connect`, { body: { return_url: 'javascript:alert(1)' } }), { status: 422 })
  t.match(await app.ask('POST', `${PATH}/allow/connect`, { body: {}, key: 'globex' }), { status: 404 })
  t.match(await app.ask('POST', `${PATH}/allow/connect`, { body: {}, key: 'reader' }), { status: 403 })
  for (let i = 0; i < 5; i++) t.equal((await link(app)).status, 200)
  t.match(await link(app), { status: 429, body: { error: { code: 'GW_TOO_OFTEN' } } })
})

t.test('where the platform has no app there, or no address, the step says so and the gateway starts', async t => {
  const none = await startLanternApp(t, { config: lanternConfig(config => config.replace(/, secrets: \{ client_id.*\} \} \}/, ' }')) })
  const why = 'The platform has registered no app with Lantern.'
  t.match(itemOf(await shown(none, PATH), 'allow').actions[0], { action: 'connect', allowed: false, why })
  t.match(await link(none), { status: 409, body: { error: { code: 'GW_CONFLICT', message: why } } })
  t.equal((await new Browser().get(`${none.url}/oauth/lantern/start`)).status, 404)
})

t.test('connected again at the same account the set-up stays; at another one it is forgotten, and the old grant ends', async t => {
  const app = await startLanternApp(t)
  await connect(app)
  const [before] = await app.query("select id, oauth from connections where provider = 'lantern'")
  await connect(app, { ready: false })
  const [after] = await app.query("select id, oauth from connections where provider = 'lantern'")
  t.equal(after?.id, before?.id)
  t.equal((JSON.parse(String(after?.oauth)) as Body).version, 2, 'a newer token of the same connection')
  t.equal(stepOf(await shown(app, PATH), 'ready').state, 'done')
  t.equal((await app.query('select 1 from oauth_revocations')).length, 0)
  await order(app, { account: 'two' })
  await app.query("delete from audit where action in ('setup.authorize', 'setup.connect')")
  await connect(app, { ready: false })
  t.match(await connectionOf(app), { account_id: 'ID-two' })
  t.equal(stepOf(await shown(app, PATH), 'ready').state, 'open')
  t.equal((await app.query('select 1 from oauth_revocations')).length, 1)
})
