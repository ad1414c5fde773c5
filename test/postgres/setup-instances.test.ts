// Two instances on one PostgreSQL: whoever is asked answers, and none undoes what the other has done.

import t, { type Test } from 'tap'
import type { App } from '../helpers/app.ts'
import '../helpers/on-postgres.ts' // before what asks for the kind of store
import { haveNoPostgres } from '../helpers/postgres.ts'

const { anEvent, until } = await import('../helpers/app.ts')
const { act, choose, itemOf, KEY, KEY_WRONG, makeSetupApp, setUpAll, setupConfig, shown, startSetupApp, world } = await import('../helpers/setup.ts')

/** Two that share a database and the providers, each with accounts of its own. */
async function pair (t: Test): Promise<[App, App]> {
  const one = await startSetupApp(t)
  const config = setupConfig(text => text.replace('sandbox: { enabled: true, port: 0 }', `sandbox: { enabled: true, url: "${one.sandboxUrl}" }`))
  const other = makeSetupApp(t, { env: one.env, config })
  await other.start()
  await until(async () => (await one.query('select distinct owner from slots where owner <> 0')).length === 2)
  return [one, other]
}

t.test('whichever instance is asked, the one that has the account asks the provider, and the answer is the result', { skip: haveNoPostgres }, async t => {
  const both = await pair(t) // for each account one of them is not the one that has it
  for (const app of both) t.match(itemOf((await act(app, 'key/connect', { secrets: { api_key: KEY_WRONG } })).body, 'key'), { state: 'failed', reason: 'credentials_refused' })
  for (const app of both) t.match((await act(app, 'key/connect', { secrets: { api_key: KEY } })).body, { connected: true, account_name: 'Shop one' })
  const [one, other] = both
  await one.query('update audit set at = 0')
  await setUpAll(other)
  for (const app of both) {
    t.match(await shown(app), { summary: '3 of 3 ready' })
    const wrong = await act(app, 'flow/verify', { subject: 'preorder.confirmed', input: { flow_name: 'None' } })
    t.match(itemOf(wrong.body, 'flow', 'preorder.confirmed'), { state: 'failed', reason: 'not_verified', input: { flow_name: 'None' } })
    t.match((await act(app, 'flow/verify', { subject: 'preorder.confirmed', input: { flow_name: 'Flow preorder.confirmed' } })).body, { summary: '3 of 3 ready' })
  }
  await choose(other)
  for (const [i, app] of both.entries()) {
    await app.post(anEvent(`two-${i}`))
    await until(async () => (await other.delivery(`two-${i}`)).state === 'delivered')
  }
  for (const app of both) {
    await world(one, { refused: ['one'] })
    t.match((await act(app, 'key/check')).body, { warnings: [{ code: 'credentials_refused' }] })
    await world(one, { refused: [] })
    t.match((await act(app, 'key/check')).body.warnings, [])
  }
})

t.test('both instances change a shop at once: each step that was confirmed is done, and the group is set up', { skip: haveNoPostgres }, async t => {
  const [one, other] = await pair(t)
  await act(one, 'key/connect', { secrets: { api_key: KEY } })
  await act(one, 'list/refresh')
  await act(one, 'list/select', { value: 'l1' })
  for (let round = 0; round < 10; round++) {
    await act(round % 2 === 0 ? one : other, 'reset')
    await act(one, 'method/choose', { subject: 'back_in_stock', value: 'trusted' })
    const confirmed = await Promise.all([act(one, 'built/confirm', { subject: 'back_in_stock.alert' }), act(other, 'built/confirm', { subject: 'back_in_stock.reminder' })])
    t.strictSame(confirmed.map(({ status }) => status), [200, 200])
    for (const app of [one, other]) await until(async () => (await shown(app)).setup_groups[0]?.ready === true) // the other's news takes a moment
    t.match(await shown(one), { summary: '2 of 3 ready', setup_groups: [{ ready: true }, { ready: false }] })
  }
})
