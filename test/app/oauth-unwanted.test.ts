// #52: tokens that nobody is to have, since nothing was connected by them, and grants that cannot be ended just now.

import t from 'tap'
import { anEvent, until } from '../helpers/app.ts'
import { allowed, Browser, choose, connect, connectionOf, lanternConfig, link, order, refused, seen } from '../helpers/lantern.ts'
import { disconnect, ending, looked, SAID, said, SOON_MS, waiting } from '../helpers/lantern-ending.ts'
import { act, SHOP } from '../helpers/setup.ts'

const OTHER = 'globex.example'
const PATH = `/v1/shops/${SHOP}/providers/lantern/setup`
const DAY_MS = 24 * 3_600_000
const NO_APP = (config: string): string => config.replace(/, secrets: \{ client_id.*\} \} \}/, ' }')
const ONE_ONLY = (text: string): string => text.replace('expect: { status: 200 }, save: { account_id: /id, account_name', 'expect: { status: 200, body_at: { pointer: /id, equals: ID-one } }, save: { account_id: /id, account_name')

t.test('#52: tokens of an account that is refused end, and those of another shop at that account do not', async t => {
  const { app, advance } = await ending(t, { manifest: ONE_ONLY })
  await order(app, { account: 'two', endsAll: true })
  refused(t, await connect(app, { ready: false }), /is not connected/, 'another account than may be')
  t.equal(await connectionOf(app), null)
  t.equal(await waiting(app), 1)
  advance(SOON_MS)
  await looked(app)
  t.match(await seen(app), { live: 0, revocations: 1 })
  await order(app, { account: 'one' })
  await connect(app, { shop: OTHER })
  await app.query("update connections set account_id = 'ID-two' where provider = 'lantern'")
  await order(app, { account: 'two' })
  await connect(app, { ready: false })
  advance(SOON_MS)
  await looked(app)
  t.equal(await waiting(app), 0)
  t.match(await seen(app), { live: 2, revocations: 1 })
})

t.test('#52: tokens whose check was refused, or not answered, end; not where the shop is connected, since its account may be the same', async t => {
  const { app, advance } = await ending(t)
  for (const [n, world] of [{ refuseTokens: true }, { meDown: 503 }].entries()) {
    await order(app, world)
    await connect(app, { ready: false })
    t.equal(await connectionOf(app), null)
    await order(app, { refuseTokens: false, meDown: null })
    advance(SOON_MS)
    await looked(app)
    t.match(await seen(app), { live: 0, revocations: n + 1 })
  }
  await order(app, { endsAll: true })
  await connect(app)
  await order(app, { refuseTokens: true })
  refused(t, await connect(app, { ready: false }), /Lantern takes our access no more/, 'refused')
  await order(app, { refuseTokens: false })
  advance(SOON_MS)
  await looked(app)
  t.equal(await waiting(app), 0)
  t.match(await seen(app), { live: 2, revocations: 2 })
  await choose(app)
  await app.delivered(await app.post(anEvent('works-on')))
})

t.test('#52: tokens that came too often, or for a plan that is too low by now, end', async t => {
  const { app, advance } = await ending(t)
  const browser = new Browser()
  const back = await allowed(browser, (await link(app)).body.authorize.url)
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: { name: 'Acme', domain: SHOP, plan: 'free' } })
  refused(t, await browser.get(back), /The plan .* does not include Lantern/, 'plan')
  t.match(await seen(app), { exchanges: 1, live: 1 })
  t.equal(await waiting(app), 1)
  advance(SOON_MS)
  await looked(app)
  t.match(await seen(app), { live: 0 })
})

t.test('#52: without an app in the config a grant stays to be ended, aloud, and is ended when there is one', async t => {
  const { app, advance } = await ending(t)
  await connect(app)
  advance(SOON_MS)
  app.write(lanternConfig(NO_APP))
  t.equal(await app.reload(), true)
  await disconnect(app)
  await looked(app)
  t.equal(await waiting(app), 1)
  t.equal(said(app, SAID.ended), 0)
  t.match(await app.logged(({ msg }) => msg === SAID.waits), { level: 40, shop: SHOP, provider: 'lantern', detail: /the config has no app at the provider: give client_id and client_secret/ })
  t.match(await seen(app), { live: 1, revoke_calls: 0 })
  const toEnd = async (): Promise<unknown> => (await app.ask('GET', '/metrics')).body['text']
  t.match(await toEnd(), /^gateway_grants_to_end\{provider="lantern"\} 1$/m)
  app.write(lanternConfig())
  t.equal(await app.reload(), true)
  advance(5 * 60_000)
  await looked(app)
  t.equal(await waiting(app), 0)
  t.match(await seen(app), { live: 0, revocations: 1 })
  t.notMatch(await toEnd(), /^gateway_grants_to_end\{/m)
})

t.test('#52, R60: what cannot be ended is given up after four days, aloud; a clock that is set on gives up nothing', async t => {
  const { app, advance } = await ending(t, { config: lanternConfig() })
  await connect(app)
  advance(SOON_MS)
  app.write(lanternConfig(NO_APP))
  await app.reload()
  await disconnect(app)
  advance(5 * DAY_MS)
  await looked(app)
  t.equal(await waiting(app), 1, 'it was tried once')
  await app.query('update oauth_revocations set tries = 9, due_at = 1')
  await looked(app)
  t.equal(await waiting(app), 0)
  t.match(await app.logged(({ msg }) => msg === SAID.givenUp), { level: 50, shop: SHOP, provider: 'lantern' })
})

t.test('a provider that ends no grants is not said to have ended one', async t => {
  const { app, advance } = await ending(t, { manifest: text => text.replace(/ *revoke_url: .*\n/, '') })
  await connect(app)
  advance(SOON_MS)
  await disconnect(app)
  await looked(app)
  t.equal(await waiting(app), 0)
  t.equal(said(app, SAID.ended), 0)
  t.equal(said(app, SAID.noWay), 1)
})

t.test('#52: tokens that wait for their check are put aside by newer ones, and end', async t => {
  const { app, advance } = await ending(t)
  await order(app, { meSlowMs: 1500 })
  const [first, second] = [new Browser(), new Browser()]
  const backs = await Promise.all([first, second].map(async browser => await allowed(browser, (await link(app)).body.authorize.url)))
  await Promise.all([first.get(backs[0] as string), (async () => {
    await until(async () => (await app.query('select 1 from setup_secrets')).length > 0)
    await order(app, { account: 'two' })
    await second.get(backs[1] as string)
  })()])
  await order(app, { meSlowMs: 0 })
  await until(async () => await connectionOf(app) !== null)
  t.ok(await waiting(app) >= 1, 'the tokens of the first')
  advance(SOON_MS)
  await app.query('update oauth_revocations set due_at = 1')
  await looked(app)
  t.equal(await waiting(app), 0)
  t.match(await connectionOf(app), { status: 'connected' })
  t.match(await act(app, 'allow/check', {}, PATH), { status: 200 })
})
