// A shop that changes how it is connected to an account: what was set up by one way is not set up by another.

import t from 'tap'
import { anEvent, until } from '../helpers/app.ts'
import { choose, connect, connectionOf, order, seen } from '../helpers/lantern.ts'
import { sending } from '../helpers/lantern-sending.ts'
import { act, itemOf, SHOP, shown } from '../helpers/setup.ts'

const PATH = `/v1/shops/${SHOP}/providers/lantern/setup`
const HOUR_MS = 3_600_000
/** The account that every key belongs to. */
const ACCOUNT = 'keyed'

t.test('another way to the same account begins the set-up anew, and messages wait for it', async t => {
  const { app } = await sending(t)
  await order(app, { account: ACCOUNT })
  await connect(app)
  await choose(app)
  t.match(await shown(app, PATH), { summary: '3 of 3 ready' })
  t.match(await act(app, 'key/connect', { secrets: { api_key: 'key-0123456789' } }, PATH), { status: 200, body: { connected: true, summary: '0 of 3 ready' } })
  t.match(itemOf(await shown(app, PATH), 'ready'), { state: 'open' })
  t.match((await app.post(anEvent('by-key'))).body, { deliveries: [{ state: 'held', reason: 'setup_open' }] })
})

t.test('R44: tokens of a connection that was made anew are told from those before it: refused they hold the account, and there is no hot loop', async t => {
  const { app, advance, grant } = await sending(t)
  await order(app, { account: ACCOUNT })
  await connect(app)
  for (let n = 0; n < 3; n++) {
    advance(2 * HOUR_MS)
    await app.delivered(await app.post(anEvent(`renewed-${n}`)))
  }
  t.ok(Number((await grant()).version) > 3)
  await act(app, 'key/connect', { secrets: { api_key: 'key-0123456789' } }, PATH)
  await connect(app)
  t.equal((await grant()).version, 1)
  await app.delivered(await app.post(anEvent('anew')))
  const before = { refreshes: (await seen(app)).refreshes, calls: (await app.received('lantern')).length }
  await order(app, { refuseTokens: true })
  await app.post(anEvent('refused'))
  await until(async () => (await app.delivery('refused')).state === 'held')
  t.match(await connectionOf(app), { status: 'refused', reason: 'credentials_refused' })
  await new Promise(resolve => { setTimeout(resolve, 1500) }) // nothing is to happen
  t.equal((await seen(app)).refreshes, before.refreshes + 1)
  t.ok((await app.received('lantern')).length <= before.calls + 4, 'two calls, and what renewed the token')
})

t.test('R61: a connection that is made anew while its token is renewed has its own tokens renewed later', async t => {
  const { app, advance, grant } = await sending(t)
  await order(app, { account: ACCOUNT })
  await connect(app)
  for (let n = 0; n < 3; n++) {
    advance(2 * HOUR_MS)
    await app.delivered(await app.post(anEvent(`renewed-${n}`)))
  }
  const { refreshes } = await seen(app)
  await order(app, { down: 'slow', slowMs: 3000 })
  advance(2 * HOUR_MS)
  await app.post(anEvent('between'))
  await until(async () => (await seen(app)).refreshes === refreshes + 1)
  await order(app, { down: null })
  await act(app, 'key/connect', { secrets: { api_key: 'key-0123456789' } }, PATH)
  await connect(app)
  t.equal((await grant()).version, 1)
  t.equal((await act(app, 'allow/check', {}, PATH)).status, 200)
  await until(async () => (await app.delivery('between')).state === 'delivered')
  await until(async () => (await app.query("select 1 from jobs where kind = 'oauth_revoke' and owner is null")).length === 1 && (await app.query('select 1 from oauth_revocations')).length > 0) // what the refresh brought came too late
  advance(2 * HOUR_MS)
  await app.delivered(await app.post(anEvent('renewed-anew')))
  t.equal((await grant()).version, 2)
})
