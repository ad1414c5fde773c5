// Two instances on one PostgreSQL behind one address: a browser may come to either of them at every step of its way.

import t, { type Test } from 'tap'
import type { App } from '../helpers/app.ts'
import '../helpers/on-postgres.ts' // before what asks for the kind of store
import { haveNoPostgres } from '../helpers/postgres.ts'

const { anEvent, until } = await import('../helpers/app.ts')
const { Browser, choose, connectionOf, lanternConfig, link, makeLanternApp, refused, seen, startLanternApp } = await import('../helpers/lantern.ts')
const { act, shown, SHOP } = await import('../helpers/setup.ts')

const PUBLIC = 'https://gw.example'
const PATH = `/v1/shops/${SHOP}/providers/lantern/setup`
const EXPIRED = /This link has expired\. Start again from your app\./

/** Two that share a database, the provider and the address that browsers know. */
async function pair (t: Test): Promise<[App, App]> {
  const config = (sandbox: string): string => lanternConfig(text => text.replace('port: 0 }', `port: 0, public_url: "${PUBLIC}" }`).replace('sandbox: { enabled: true, port: 0 }', sandbox))
  const one = await startLanternApp(t, { config: config('sandbox: { enabled: true, port: 0 }') })
  const other = makeLanternApp(t, { env: one.env, config: config(`sandbox: { enabled: true, url: "${one.sandboxUrl}" }`) })
  await other.start()
  await until(async () => (await one.query('select distinct owner from slots where owner <> 0')).length === 2)
  return [one, other]
}

/** The same address at one of them. */
const at = (app: App, url: string): string => url.replace(PUBLIC, app.url)
const OURS = { origin: PUBLIC, 'sec-fetch-site': 'same-origin' }

t.test('a link made at one gateway, looked at and pressed at the other, come back from at the first: connected, and both send', { skip: haveNoPostgres }, async t => {
  const both = await pair(t)
  for (const [one, other] of [both, both.toReversed()] as Array<[App, App]>) {
    const { url } = (await link(one)).body.authorize
    const browser = new Browser()
    t.match(await browser.get(at(other, url)), { status: 200, text: /Connect Acme to Lantern/ })
    t.match(await browser.get(at(one, url)), { status: 200 })
    const sent = await browser.post(at(other, url), OURS)
    t.equal(sent.status, 303)
    refused(t, await new Browser().get(at(one, url)), EXPIRED, 'used up at one is used up at the other')
    const { location } = await new Browser().get(sent.location)
    t.match(location, new RegExp(`^${PUBLIC}/oauth/lantern/callback\\?`))
    const copy = new Browser()
    for (const [name, value] of browser.cookies) copy.cookies.set(name, value)
    t.match(await browser.get(at(one, location)), { status: 200, text: /Connected as Shop one/ })
    refused(t, await copy.get(at(other, location)), EXPIRED, 'come back from once')
    for (const app of both) t.match(await connectionOf(app), { account_id: 'ID-one', status: 'connected' })
  }
  const [one, other] = both
  t.match(await seen(one), { exchanges: 2, second_codes: 0 })
  await act(one, 'ready/confirm', {}, PATH)
  await choose(other)
  for (const app of both) await until(async () => (await shown(app, PATH)).active.includes('sms')) // the other's news takes a moment
  for (const [i, app] of both.entries()) {
    await app.post(anEvent(`two-${i}`))
    await until(async () => (await other.delivery(`two-${i}`)).state === 'delivered')
  }
})

t.test('of two presses of a link at two gateways at once one goes on, and of two who come back with one state one is connected', { skip: haveNoPostgres }, async t => {
  const both = await pair(t)
  const [one] = both
  for (let round = 0; round < 3; round++) {
    const { url } = (await link(one)).body.authorize
    const browsers = both.map(() => new Browser())
    const pressed = await Promise.all(both.map((app, i) => (browsers[i] as InstanceType<typeof Browser>).post(at(app, url), OURS)))
    t.strictSame(pressed.map(({ status }) => status).toSorted(), [303, 400])
    const first = pressed.findIndex(({ status }) => status === 303)
    const { location } = await new Browser().get((pressed[first] as { location: string }).location)
    const copies = both.map(() => new Browser())
    for (const copy of copies) for (const [name, value] of (browsers[first] as InstanceType<typeof Browser>).cookies) copy.cookies.set(name, value)
    const back = await Promise.all(both.map((app, i) => (copies[i] as InstanceType<typeof Browser>).get(at(app, location))))
    t.strictSame(back.map(({ status }) => status).toSorted(), [200, 400])
  }
  t.match(await seen(one), { exchanges: 3, second_codes: 0 })
})
