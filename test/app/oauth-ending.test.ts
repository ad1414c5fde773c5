// #52: a grant that a shop gives back ends at the provider, and nobody else's with it.

import t from 'tap'
import { anEvent, until } from '../helpers/app.ts'
import { allowed, Browser, choose, connect, connectionOf, link, order, seen } from '../helpers/lantern.ts'
import { disconnect, ending, looked, SAID, said, SOON_MS, waiting } from '../helpers/lantern-ending.ts'
import { SHOP } from '../helpers/setup.ts'

const OTHER = 'globex.example'
const PATH = `/v1/shops/${SHOP}/providers/lantern/setup`

t.test('#52: what one shop disconnects stays with another at the same account, and ends with the last of them', async t => {
  const { app, advance } = await ending(t)
  await order(app, { endsAll: true })
  for (const shop of [SHOP, OTHER]) await connect(app, { shop })
  await choose(app, OTHER)
  advance(SOON_MS)
  await disconnect(app)
  await looked(app)
  t.equal(await waiting(app), 0)
  t.match(await seen(app), { live: 2, revoke_calls: 0 })
  t.equal(said(app, SAID.stays), 1)
  await app.delivered(await app.post(anEvent('still', { shop: OTHER })))
  await disconnect(app, OTHER)
  await looked(app)
  t.match(await seen(app), { live: 0, revocations: 2 })
  t.equal(said(app, SAID.ended), 1)
})

t.test('#52: a shop at another account protects nothing, nor one whose own grant has ended', async t => {
  const { app, advance } = await ending(t)
  await connect(app, { shop: OTHER })
  await order(app, { account: 'two' })
  await connect(app)
  advance(SOON_MS)
  await disconnect(app)
  await looked(app)
  t.match(await seen(app), { live: 1, revocations: 1 })
  t.match(await connectionOf(app, OTHER), { status: 'connected' })
  await order(app, { account: 'one' })
  await connect(app)
  await app.query(`update connections set oauth = replace(oauth, '"brokenAt":null', '"brokenAt":1') where provider = 'lantern' and shop_key = (select shop_key from shops where id = '${OTHER}')`)
  advance(SOON_MS)
  await disconnect(app)
  await looked(app)
  t.match(await seen(app), { revocations: 2 })
})

t.test('#52: disconnected and connected again before the provider was told, the shop works on', async t => {
  const { app, advance } = await ending(t)
  await order(app, { endsAll: true })
  await connect(app)
  await choose(app)
  advance(SOON_MS)
  await order(app, { down: 503 })
  await disconnect(app)
  await looked(app)
  t.match(await seen(app), { revoke_calls: 1 })
  await order(app, { down: null })
  await connect(app)
  await app.query('update oauth_revocations set due_at = 1')
  await looked(app)
  t.equal(await waiting(app), 0)
  t.match(await seen(app), { revoke_calls: 1, revocations: 0 })
  await app.delivered(await app.post(anEvent('again')))
})

t.test('#52: while the shop is on its way to the provider nothing of it ends there; when it does not come back it does', async t => {
  const { app, advance } = await ending(t)
  await order(app, { endsAll: true })
  await connect(app)
  advance(SOON_MS)
  const browser = new Browser()
  const back = await allowed(browser, (await link(app)).body.authorize.url)
  await disconnect(app)
  await looked(app)
  t.equal(await waiting(app), 1)
  t.equal((await app.query('select tries from oauth_revocations'))[0]?.tries?.toString(), '0', 'that was no try')
  t.equal((await browser.get(back)).status, 200)
  await app.query('update oauth_revocations set due_at = 1')
  await looked(app)
  t.match(await seen(app), { live: 2, revoke_calls: 0 })
  t.match(await connectionOf(app), { status: 'connected' })
  await allowed(new Browser(), (await link(app)).body.authorize.url)
  await disconnect(app)
  advance(11 * 60_000)
  await looked(app)
  t.match(await seen(app), { live: 0 })
})

t.test('#52: another account of the same shop: the one before ends, the new one works', async t => {
  const { app, advance } = await ending(t)
  await order(app, { endsAll: true })
  await connect(app)
  await order(app, { account: 'two' })
  await connect(app)
  advance(SOON_MS)
  await looked(app)
  t.match(await seen(app), { live: 1, revocations: 1 })
  t.equal((await app.ask('POST', `${PATH}/allow/check`, { body: {} })).status, 200)
  t.match(await connectionOf(app), { account_id: 'ID-two', status: 'connected' })
})

t.test('#52: what was renewed for a connection that is at another account by now ends; at the same account it does not', async t => {
  for (const account of ['two', 'one']) {
    const { app, advance } = await ending(t)
    await connect(app)
    await choose(app)
    await order(app, { down: 'slow', slowMs: 1500, account })
    advance(2 * 3_600_000)
    await app.post(anEvent('spent'))
    await until(async () => (await seen(app)).refreshes === 1)
    await order(app, { down: null })
    await connect(app, { ready: false })
    // At another account: what it was connected by, and what was given for that meanwhile.
    await until(async () => await waiting(app) + said(app, SAID.stays) + said(app, SAID.ended) === (account === 'two' ? 2 : 1))
    advance(SOON_MS)
    await app.query('update oauth_revocations set due_at = 1')
    await looked(app)
    t.equal(await waiting(app), 0)
    t.match(await seen(app), account === 'two' ? { live: 1, revocations: 1 } : { live: 2, revocations: 0 })
    t.match(await connectionOf(app), { account_id: `ID-${account}`, status: 'connected' })
  }
})

t.test('#52: connected in the very moment in which the provider is told: what that ended is found out at once, and said', async t => {
  for (const endsAll of [true, false]) {
    const { app, advance } = await ending(t)
    await order(app, { endsAll, revokeSlowMs: 2000 })
    await connect(app)
    await choose(app)
    advance(SOON_MS)
    await disconnect(app)
    const look = looked(app)
    await until(async () => (await seen(app)).revoke_calls === 1)
    await connect(app)
    t.match(await connectionOf(app), { status: 'connected' })
    await look
    t.equal(said(app, SAID.ended), 1)
    t.equal(said(app, SAID.meanwhile), 1)
    const jobs = async (): Promise<number> => (await app.query("select 1 from jobs where kind = 'setup_recheck'")).length
    await until(async () => await jobs() === 0)
    t.match(await connectionOf(app), endsAll ? { status: 'refused', reason: 'credentials_refused' } : { status: 'connected', reason: null })
    t.match((await app.post(anEvent('then'))).body, { deliveries: [endsAll ? { state: 'held', reason: 'credentials_refused' } : { state: 'waiting' }] })
    if (endsAll) await connect(app, { ready: false })
    await until(async () => (await app.delivery('then')).state === 'delivered')
  }
})
