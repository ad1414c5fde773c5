// What others may try on a merchant's way to a provider and back.

import t from 'tap'
import { movable } from '../helpers/app.ts'
import { allowed, Browser, connect, connectionOf, LANTERN_ENTRY, lanternConfig, link, makeLanternApp, refused, seen, startLanternApp } from '../helpers/lantern.ts'

const EXPIRED = /This link has expired\. Start again from your app\./

t.test('#41: a callback without state, with a foreign, used or late one, or with another shop\'s, is refused and changes nothing', async t => {
  const { runtime, advance } = movable()
  const app = await startLanternApp(t, { runtime })
  const callback = `${app.url}/oauth/lantern/callback`
  const browser = new Browser()
  const good = await allowed(browser, (await link(app)).body.authorize.url)
  const code = new URL(good).searchParams.get('code')
  const state = new URL(good).searchParams.get('state') as string
  refused(t, await fork(browser).get(`${callback}?code=${code}`), EXPIRED, 'no state')
  refused(t, await fork(browser).get(`${callback}?code=${code}&state=`), EXPIRED, 'an empty one')
  refused(t, await fork(browser).get(`${callback}?code=${code}&state=${'A'.repeat(43)}`), EXPIRED, 'a foreign one')
  refused(t, await fork(browser).get(`${callback}?code=${code}&state=${state}&state=${state}`), EXPIRED, 'two')
  const theirs = new Browser()
  const other = await allowed(theirs, (await link(app, { shop: 'globex.example' })).body.authorize.url)
  const mixed = new URL(other)
  mixed.searchParams.set('state', state)
  refused(t, await fork(theirs).get(mixed.href), EXPIRED, 'that of another shop')
  t.equal(await connectionOf(app), null)
  t.equal((await seen(app)).exchanges, 0, 'and no code was used')
  t.equal((await browser.get(good)).status, 200, 'the right one is good still')
  refused(t, await fork(browser, { state, verifier: 'v'.repeat(43) }).get(good), EXPIRED, 'once')
  t.equal((await seen(app)).exchanges, 1)
  advance(601_000)
  refused(t, await theirs.get(other), EXPIRED, 'later than ten minutes')
  t.equal(await connectionOf(app, 'globex.example'), null)
})

t.test('a ticket is good once, for ten minutes, for its provider', async t => {
  const { runtime, advance } = movable()
  const app = await startLanternApp(t, { runtime })
  const { url } = (await link(app)).body.authorize
  for (const bad of ['', '?ticket=', `?ticket=${'A'.repeat(43)}`, `?ticket=${'A'.repeat(5000)}`, '?ticket=a&ticket=b']) refused(t, await new Browser().get(`${app.url}/oauth/lantern/start${bad}`), EXPIRED, bad.slice(0, 30))
  const both = await Promise.all([new Browser().leave(url), new Browser().leave(url)])
  t.strictSame(both.map(({ status }) => status).toSorted(), [303, 400], 'of two at once one')
  refused(t, await new Browser().get(url), EXPIRED, 'again')
  refused(t, await new Browser().post(url), EXPIRED, 'nor without its page')
  const late = (await link(app)).body.authorize.url
  advance(600_001)
  refused(t, await new Browser().get(late), EXPIRED, 'late')
  refused(t, await new Browser().post(late), EXPIRED, 'nor its button')
})

t.test('R60: a clock that is set back or on ends what is under way, and lengthens nothing', async t => {
  const { runtime, advance } = movable()
  const app = await startLanternApp(t, { runtime })
  const early = (await link(app)).body.authorize.url
  advance(-3_600_000)
  refused(t, await new Browser().get(early), EXPIRED, 'made later than now')
  advance(3_600_000)
  t.equal((await connect(app)).status, 200)
})

t.test('#42: a code of somebody else\'s in a browser that began nothing, or began something else, connects nothing', async t => {
  const app = await startLanternApp(t)
  const attacker = new Browser()
  const theirs = await allowed(attacker, (await link(app, { shop: 'globex.example' })).body.authorize.url)
  refused(t, await new Browser().get(theirs), EXPIRED, 'a browser without cookies')
  const victim = new Browser()
  await victim.leave((await link(app)).body.authorize.url)
  refused(t, await victim.get(theirs), EXPIRED, 'a browser that is on its own way')
  t.equal(await connectionOf(app), null)
  t.equal(await connectionOf(app, 'globex.example'), null)
  t.equal((await seen(app)).exchanges, 0)
})

t.test('#43: a state that a request brings along is not taken', async t => {
  const app = await startLanternApp(t)
  const { url } = (await link(app)).body.authorize
  const browser = new Browser()
  browser.cookies.set('oauth2-redirect-state', 'B'.repeat(43))
  const { location } = await browser.leave(`${url}&state=${'A'.repeat(43)}`)
  const state = new URL(location).searchParams.get('state') as string
  t.notMatch(state, /^(A+|B+)$/)
  t.equal(browser.cookies.get('oauth2-redirect-state'), state, 'and what was planted is overwritten')
  const fixed = new Browser()
  for (const [name, value] of [['oauth2-redirect-state', 'C'.repeat(43)], ['oauth2-code-verifier', 'v'.repeat(43)]] as const) fixed.cookies.set(name, value)
  refused(t, await fixed.get(`${app.url}/oauth/lantern/callback?code=x&state=${'C'.repeat(43)}`), EXPIRED, 'equal to a planted cookie, and not ours')
})

t.test('#44: a fresh S256 challenge each time, and no exchange without its verifier', async t => {
  const app = await startLanternApp(t)
  const [one, other] = [new Browser(), new Browser()]
  const first = await allowed(one, (await link(app)).body.authorize.url)
  const second = await allowed(other, (await link(app)).body.authorize.url)
  const { asked } = await seen(app)
  t.ok(asked.every(query => query['code_challenge_method'] === 'S256'))
  t.not(asked[0]?.['code_challenge'], asked[1]?.['code_challenge'])
  const verifier = one.cookies.get('oauth2-code-verifier') as string
  one.cookies.delete('oauth2-code-verifier')
  refused(t, await one.get(first), EXPIRED, 'none')
  other.cookies.set('oauth2-code-verifier', verifier)
  refused(t, await other.get(second), /Lantern gave no access/, 'that of another way')
  t.equal(await connectionOf(app), null)
})

t.test('#45: of two callbacks with one code one wins, and the other is refused', async t => {
  const app = await startLanternApp(t)
  const browser = new Browser()
  const url = await allowed(browser, (await link(app)).body.authorize.url)
  const pages = await Promise.all([fork(browser).get(url), fork(browser).get(url)])
  t.strictSame(pages.map(({ status }) => status).toSorted(), [200, 400])
  t.match(await seen(app), { exchanges: 1, second_codes: 0 })
  t.match(await connectionOf(app), { status: 'connected' })
})

t.test('#46: what one provider sends back is nothing to another, and an issuer that is not its own is refused', async t => {
  const twin = LANTERN_ENTRY.replaceAll('lantern:', 'lantern2:').replace('providers/lantern', 'providers/lantern2')
  const app = makeLanternApp(t, { config: lanternConfig(config => config.replace('providers:\n', `providers:\n${twin}`)) })
  const { cpSync, readFileSync, writeFileSync } = await import('node:fs')
  cpSync(`${app.dir}/providers/lantern`, `${app.dir}/providers/lantern2`, { recursive: true })
  const file = `${app.dir}/providers/lantern2/provider.yaml`
  writeFileSync(file, readFileSync(file, 'utf8').replace('id: lantern', 'id: lantern2'))
  await app.start()
  const browser = new Browser()
  const url = await allowed(browser, (await link(app)).body.authorize.url)
  refused(t, await fork(browser).get(url.replace('/oauth/lantern/', '/oauth/lantern2/')), EXPIRED, 'at the other\'s address')
  t.equal((await seen(app)).exchanges, 0)
  t.equal((await fork(browser).get(url)).status, 200, 'it is good still at its own')
  const again = await allowed(browser, (await link(app)).body.authorize.url)
  refused(t, await browser.get(`${again}&iss=${encodeURIComponent('https://evil.example')}`), /gave no access.*iss/, 'another issuer')
  t.equal((await seen(app)).exchanges, 1)
})

t.test('#47: the address to come back to is one, whatever a request says of its host', async t => {
  const app = await startLanternApp(t, { config: lanternConfig(config => config.replace('port: 0 }', 'port: 0, public_url: "https://gw.example" }')) })
  const { url } = (await link(app)).body.authorize
  t.match(url, /^https:\/\/gw\.example\/oauth\/lantern\/start\?ticket=/)
  const evil = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' }
  t.equal((await new Browser().post(url.replace('https://gw.example', app.url), { ...evil, origin: 'http://evil.example' })).status, 403, 'nor is a page of that host ours')
  const sent = await new Browser().post(url.replace('https://gw.example', app.url), { ...evil, origin: 'https://gw.example', 'sec-fetch-site': 'same-origin' })
  t.equal(new URL(sent.location).searchParams.get('redirect_uri'), 'https://gw.example/oauth/lantern/callback')
  for (const cookie of sent.headers['set-cookie'] as string[]) t.match(cookie, /^__Host-oauth2-.*; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
  for (const path of ['/oauth/lantern/callback/x', '/oauth/lantern/callback%2f', '/oauth/nobody/callback', '/oauth/courier/start']) t.equal((await new Browser().get(app.url + path)).status, 404, path)
})

t.test('#48: what a provider says of an error is shown escaped and cut, and nothing is exchanged', async t => {
  const app = await startLanternApp(t)
  const browser = new Browser()
  const state = new URL(await allowed(browser, (await link(app)).body.authorize.url)).searchParams.get('state')
  const html = '<script>alert(1)</script>"&'
  const page = await fork(browser).get(`${app.url}/oauth/lantern/callback?error=access_denied&state=${state}&error_description=${encodeURIComponent(html + 'x'.repeat(9000))}&code=abc`)
  refused(t, page, /Lantern answered: &#60;script&#62;/, 'escaped')
  t.notMatch(page.text, /<script/)
  t.ok(page.text.length < 1500, 'cut')
  refused(t, await fork(browser).get(`${app.url}/oauth/lantern/callback?error=access_denied&state=${state}`), /This link has expired/, 'said once')
  refused(t, await new Browser().get(`${app.url}/oauth/lantern/callback?error=access_denied&error_description=words+of+a+stranger`), /This link has expired/, 'nobody asked for')
  for (const [error, shown] of [['error=access_denied', /Lantern answered: access_denied\. Start again/], ['error=a&error=<b>', /Lantern answered: /]] as const) {
    const another = new Browser()
    const given = new URL(await allowed(another, (await link(app)).body.authorize.url)).searchParams.get('state')
    refused(t, await another.get(`${app.url}/oauth/lantern/callback?${error}&state=${given}`), shown, error)
  }
  t.equal((await seen(app)).exchanges, 0)
  t.equal(await connectionOf(app), null)
})

/** The same cookies, or those given, in a browser of its own. */
function fork (browser: Browser, given?: { state: string, verifier: string }): Browser {
  const copy = new Browser()
  for (const [name, value] of browser.cookies) copy.cookies.set(name, value)
  if (given) copy.cookies.set('oauth2-redirect-state', given.state).set('oauth2-code-verifier', given.verifier)
  return copy
}
