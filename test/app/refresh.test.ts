// Tokens are renewed in time, once, whoever asks; and what becomes of messages where that is not possible.

import t from 'tap'
import { anEvent, until, type App } from '../helpers/app.ts'
import { connect, connectionOf, order, seen } from '../helpers/lantern.ts'
import { sending } from '../helpers/lantern-sending.ts'
import { SHOP, shown, stepOf } from '../helpers/setup.ts'

const PATH = `/v1/shops/${SHOP}/providers/lantern/setup`
const HOUR_MS = 3_600_000

const statuses = async (app: App): Promise<unknown[]> => (await app.received('lantern')).filter(({ path }) => path === '/messages').map(({ status }) => status)

t.test('a token is renewed while it is good still, and nobody waits for it', async t => {
  const { app, advance, grant } = await sending(t)
  advance(HOUR_MS - 361_000)
  await app.delivered(await app.post(anEvent('early')))
  t.match(await seen(app), { refreshes: 0 })
  advance(2000) // 359 s are left: less than a tenth
  await app.delivered(await app.post(anEvent('due')))
  await until(async () => (await grant()).version === 2)
  await app.delivered(await app.post(anEvent('after')))
  t.match(await seen(app), { refreshes: 1, second_uses: 0 })
  t.strictSame(await statuses(app), [202, 202, 202, 202], 'and no message met an old one')
})

t.test('a token that has ended is renewed before the message goes, and the message goes once', async t => {
  const { app, advance } = await sending(t)
  advance(2 * HOUR_MS)
  await app.delivered(await app.post(anEvent('idle')))
  t.match(await seen(app), { refreshes: 1 })
  t.strictSame(await statuses(app), [202, 202])
  t.match(await app.delivery('idle'), { attempts: 1 })
})

t.test('R44: a token refused before its end is renewed once, the call is made again once, and then the account is held', async t => {
  const { app } = await sending(t)
  await order(app, { expire: true })
  await app.delivered(await app.post(anEvent('refused')))
  t.match(await seen(app), { refreshes: 1, second_uses: 0 })
  t.strictSame(await statuses(app), [202, 401, 202])
  t.match(await app.delivery('refused'), { attempts: 1, state: 'delivered' })

  // The daily look at connections asks too, and each change of a shop lets what is held try again: not within this test.
  await until(async () => Number((await app.query("select due_at from jobs where kind = 'setup_daily'"))[0]?.due_at ?? 0) > Date.now() + HOUR_MS)
  await app.query("delete from jobs where kind = 'setup_recheck'")
  await order(app, { refuseTokens: true })
  const held = await app.post(anEvent('hot'))
  await until(async () => (await app.delivery('hot')).state === 'held')
  t.match(await app.delivery('hot'), { reason: 'credentials_refused', attempts: 0 })
  t.match(await connectionOf(app), { status: 'refused', reason: 'credentials_refused' })
  t.match((await app.post(anEvent('hot-2'))).body, { deliveries: [{ state: 'held' }] })
  await new Promise(resolve => { setTimeout(resolve, 1500) }) // nothing is to happen
  t.match(await seen(app), { refreshes: 2 })
  t.equal((await statuses(app)).length, 5, 'two calls, and no hot loop')
  await order(app, { refuseTokens: false })
  t.equal((await app.ask('POST', `${PATH}/allow/check`, { body: {} })).status, 200)
  await app.delivered(held)
  t.match(await connectionOf(app), { status: 'connected' }, 'no token was thrown away')
})

t.test('many callers at the moment a token is refused share one refresh', async t => {
  const { app } = await sending(t)
  await order(app, { expire: true })
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => app.post(anEvent(`many-${i}`))))
  await Promise.all([...answers.map(answer => app.delivered(answer)), app.ask('POST', `${PATH}/allow/check`, { body: {} })])
  t.match(await seen(app), { refreshes: 1, second_uses: 0 })
})

t.test('#51: a grant that has ended is found out at the refresh: the merchant is to connect again, what waits is held, and goes then', async t => {
  const { app, advance, grant } = await sending(t)
  await order(app, { uninstall: true })
  advance(2 * HOUR_MS)
  await app.post(anEvent('dead'))
  await until(async () => (await app.delivery('dead')).state === 'held')
  t.match(await app.delivery('dead'), { reason: 'credentials_refused', attempts: 0 })
  t.match((await app.post(anEvent('dead-2'))).body, { deliveries: [{ state: 'held', reason: 'credentials_refused' }] })
  t.equal((await seen(app)).refreshes, 1, 'it was asked once')
  t.ok((await grant()).brokenAt)
  t.match(await connectionOf(app), { status: 'refused', reason: 'credentials_refused' })
  t.match(stepOf(await shown(app, PATH), 'allow'), { state: 'failed' })
  t.match((await shown(app, PATH)).warnings[0], { code: 'credentials_refused', text: /connect again/ })
  t.match((await app.ask('POST', `${PATH}/allow/check`, { body: {} })).status, 200)
  t.equal((await seen(app)).refreshes, 1, 'nor is it asked again by a check')
  await app.restart()
  t.match(await connectionOf(app), { status: 'refused' }, 'a restart forgets it not')
  await connect(app, { ready: false })
  for (const id of ['dead', 'dead-2']) await until(async () => (await app.delivery(id)).state === 'delivered')
  t.match(await connectionOf(app), { status: 'connected', reason: null })
})

t.test('an app that is refused is the operator\'s affair: the token is used to its end, then messages wait without asking the merchant', async t => {
  const { app, advance, skip } = await sending(t)
  await order(app, { refuseApp: true })
  advance(HOUR_MS - 100_000)
  await app.delivered(await app.post(anEvent('still')))
  await app.logged(({ level, msg }) => level === 50 && /refuses the platform's app/.test(String(msg)))
  t.match(await connectionOf(app), { status: 'connected' })
  advance(200_000)
  skip(10_000)
  await app.post(anEvent('ours'))
  await until(async () => (await app.delivery('ours')).state === 'held')
  t.match(await app.delivery('ours'), { reason: 'platform_account_refused', attempts: 0, sentence: /our own account/ })
  await order(app, { refuseApp: false })
  // By itself it is looked at once in five minutes; a check looks now, but for ten seconds after the last try.
  await until(async () => {
    await app.ask('POST', `${PATH}/allow/check`, { body: {} })
    return (await app.delivery('ours')).state === 'delivered'
  })
})

t.test('an answer without a refresh token keeps the one before', async t => {
  const { app, advance, grant } = await sending(t)
  await order(app, { rotate: false })
  for (const version of [2, 3]) {
    advance(2 * HOUR_MS)
    await app.delivered(await app.post(anEvent(`keeps-${version}`)))
    t.equal((await grant()).version, version)
  }
  t.match(await seen(app), { refreshes: 2, second_uses: 0 })
})

t.test('R60: a clock set on costs one refresh, one set back none, and a token that was refused is not used again', async t => {
  const { app, advance, grant } = await sending(t)
  for (const hours of [24, -1]) {
    advance(hours * HOUR_MS)
    await app.delivered(await app.post(anEvent(`on-${hours}`)))
  }
  t.match(await seen(app), { refreshes: 1 })
  advance(-24 * HOUR_MS)
  await app.delivered(await app.post(anEvent('back')))
  t.match(await seen(app), { refreshes: 1 }, 'it looks good for a day')
  await order(app, { expire: true, down: 503 })
  await app.post(anEvent('refused'))
  await app.logged(({ msg }) => /gave no new token/.test(String(msg)))
  await new Promise(resolve => { setTimeout(resolve, 300) }) // nothing is to happen
  t.equal((await statuses(app)).filter(status => status === 401).length, 1)
  t.equal((await grant()).version, 2)
})

t.test('what is disconnected while its token is renewed does not come back, and what was given for it is ended', async t => {
  const { app, advance } = await sending(t)
  await order(app, { down: 'slow', slowMs: 700 })
  advance(2 * HOUR_MS)
  await app.post(anEvent('between'))
  await until(async () => (await seen(app)).refreshes === 1)
  await app.ask('DELETE', `/v1/shops/${SHOP}/providers/lantern/connection`)
  await until(async () => (await app.query('select 1 from oauth_revocations')).length + (await seen(app)).revoke_calls >= 2) // the first may be ended by then
  t.equal(await connectionOf(app), null)
  t.equal((await app.query("select 1 from secrets where field = 'access_token'")).length, 0)
})

t.test('a connection without OAuth is asked nothing', async t => {
  const { app } = await sending(t)
  await app.ask('PUT', `/v1/shops/${SHOP}/channels/sms`, { body: { provider: 'courier' } })
  await app.delivered(await app.post(anEvent('key')))
  t.match(await seen(app), { refreshes: 0 })
})
