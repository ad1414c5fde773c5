// Two instances on one PostgreSQL: an account is registered once, and either of them takes what is told of it.

import t, { type Test } from 'tap'
import type { App } from '../helpers/app.ts'
import '../helpers/on-postgres.ts' // before what asks for the kind of store
import { haveNoPostgres } from '../helpers/postgres.ts'

const { until } = await import('../helpers/app.ts')
const { addressOf, buoyConfig, call, connect, disconnect, EVENTS, hooksOf, inboxOf, makeBuoyApp, standing, startBuoyApp, told, world } = await import('../helpers/buoy.ts')

/** Two that share a database, the provider and the address they are reached at, each with accounts of its own. */
async function pair (t: Test): Promise<[App, App]> {
  const server = 'server: { host: 127.0.0.1, port: 0, public_url: "https://gateway.example/in" }'
  const one = await startBuoyApp(t, { config: buoyConfig(text => text.replace('server: { host: 127.0.0.1, port: 0 }', server)) })
  const other = makeBuoyApp(t, { env: one.env, config: buoyConfig(text => text.replace('server: { host: 127.0.0.1, port: 0 }', server).replace('sandbox: { enabled: true, port: 0 }', `sandbox: { enabled: true, url: "${one.sandboxUrl}" }`)) })
  await other.start()
  await until(async () => (await one.query('select distinct owner from slots where owner <> 0')).length === 2)
  return [one, other]
}

t.test('whichever instance is asked, an account is registered once; both know the address and the token', { skip: haveNoPostgres }, async t => {
  const both = await pair(t)
  const [one, other] = both
  await world(one, { several: true })
  for (const [i, account] of ['aa', 'bb', 'cc', 'dd'].entries()) {
    const [asked, beside] = i % 2 === 0 ? [one, other] : [other, one]
    await Promise.all([connect(asked, `buo_${account}_0123456789`), connect(beside, `buo_${account}_9876543210`, 'globex.example')])
    await until(async () => (await standing(beside))?.['state'] === 'on' && (await standing(asked, 'globex.example'))?.['state'] === 'on')
    const hooks = await hooksOf(one, account)
    t.strictSame(hooks.map(({ on }) => on).toSorted(), EVENTS)
    t.match(hooks[0]?.to, /^https:\/\/gateway\.example\/in\/webhooks\/buoy\//)
    const path = addressOf(hooks[0] as typeof hooks[0] & object).slice('/in'.length)
    const token = `secret-of-${account}-0123456789`
    t.match((await call(asked, path, told(account), { token })).body, { status: 'received' })
    t.match((await call(beside, path, told(account), { token })).body, { status: 'repeat' }, 'at the other instance it is a repeat')
    t.equal((await call(beside, path, told(account), { token: 'wrong' })).status, 401)
    await Promise.all([disconnect(asked), disconnect(beside, 'globex.example')])
    await until(async () => (await hooksOf(one, account)).length === 0)
    for (const app of both) t.equal((await call(app, path, told('late'), { token })).status, 404)
    await one.query('delete from audit')
  }
  t.equal((await inboxOf(other)).length, 4)
  t.ok((await inboxOf(one)).every(({ reason }) => reason === 'noticed'))
})

t.test('a token made anew is fetched by the instance that has the account, whichever was called', { skip: haveNoPostgres }, async t => {
  const both = await pair(t)
  const [one] = both
  await connect(one)
  await until(async () => (await standing(one))?.['state'] === 'on')
  const path = addressOf((await hooksOf(one))[0] as Awaited<ReturnType<typeof hooksOf>>[0]).slice('/in'.length)
  for (const [i, app] of both.entries()) {
    const token = `new-token-${i}-0123456789`
    await world(one, { secrets: { one: token } })
    await one.query('update webhooks set refused_at = null')
    t.equal((await call(app, path, told(`p${i}`), { token })).status, 401)
    await until(async () => (await call(app, path, told(`p${i}`), { token })).status === 200)
  }
})
