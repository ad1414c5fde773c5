// Two instances on one PostgreSQL, at a provider that texts its own members only: one of them asks about the people of an account,
// whichever is told of them; and when it ends the other one goes on.

import t, { type Test } from 'tap'
import type { App } from '../helpers/app.ts'
import '../helpers/on-postgres.ts' // before what asks for the kind of store
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { haveNoPostgres } from '../helpers/postgres.ts'

const { makeApp, until } = await import('../helpers/app.ts')
const { arrived, atGuild, eventFor, GUILD, guildConfig } = await import('../helpers/guild.ts')
const { entry, loadOne, writeFolder } = await import('../helpers/providers.ts')
const { tempDir } = await import('../helpers/tmp.ts')

const PEOPLE = '/v1/shops/acme.example/providers/guild/subscribers'
const PHONES = Array.from({ length: 20 }, (_, i) => `+1201555${2000 + i}`)

/** Two that share a database and the provider, which outlives them. */
async function pair (t: Test): Promise<[App, App]> {
  const folder = writeFolder(tempDir(t), GUILD)
  const sandbox = await startSandbox({ providers: [await loadOne(entry('guild', folder))], port: 0 })
  t.teardown(() => sandbox.close())
  const config = guildConfig(folder).replace('sandbox: { enabled: true, port: 0 }', `sandbox: { enabled: true, url: "${sandbox.url}" }`)
  const one = makeApp(t, { config })
  await one.start()
  const other = makeApp(t, { config, env: one.env })
  await other.start()
  await until(async () => (await one.query('select distinct owner from slots where owner <> 0')).length === 2)
  return [one, other]
}

const states = async (app: App, type: string): Promise<Record<string, number>> => {
  const rows = await app.query(`select case when d.state = 3 then 'delivered' else coalesce(d.reason, 'none') end as so, count(*)::int as n from deliveries d join events e on e.event_key = d.event_key where e.type = '${type}' group by 1`)
  return Object.fromEntries(rows.map(({ so, n }) => [String(so), Number(n)]))
}

t.test('sign-ups and alerts at both: each customer is added once, whoever is told of the opt-in, and texted once', { skip: haveNoPostgres }, async t => {
  const [one, other] = await pair(t)
  await Promise.all([
    one.post(PHONES.map((phone, i) => eventFor(`sign-${i}`, phone, 'waitlist.joined'))),
    other.post(PHONES.map((phone, i) => eventFor(`alert-${i}`, phone)))
  ])
  await until(async () => (await states(one, 'back_in_stock.alert')).opt_in_pending === PHONES.length && (await arrived(one))['POST /v1/members'] === PHONES.length)
  for (const phone of PHONES) await atGuild(one, 'members', { phone, mail: 'all' })
  for (const [i, app] of [one, other].entries()) t.match(await app.ask('POST', `${PEOPLE}/check`, { body: { phone: PHONES[i] } }), { status: 200, body: { state: 'subscribed' } }, 'whichever is asked')
  await until(async () => (await states(other, 'back_in_stock.alert')).delivered === 2)
  const [{ owner }] = await one.query('select owner from slots where slot = (select account_key % 256 from accounts where provider = \'guild\')') as [{ owner: number }]
  const [first] = await one.query('select min(owner) as owner from instances') as [{ owner: number }]
  const [ending, going] = Number(owner) === Number(first.owner) ? [one, other] : [other, one]
  await ending.close()
  await going.query('update subscribers set due_at = 0 where standing = \'pending\'')
  await going.query('update jobs set due_at = 0 where kind = \'subscribers\'')
  await going.query(`update subscribers set asked_at = asked_at - 3600000, checked_at = null, since = since - 3600000 where standing = 'pending'`)
  await until(async () => (await states(going, 'back_in_stock.alert')).delivered === PHONES.length)
  t.match((await going.ask('GET', PEOPLE)).body.counts, { subscribed: PHONES.length, pending: 0 })
  const counts = await arrived(going)
  t.strictSame([counts['POST /v1/members'], counts['POST /v1/messages']], [PHONES.length, PHONES.length])
})
