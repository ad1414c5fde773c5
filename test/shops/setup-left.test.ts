// What becomes of ids, reasons and phones at the edges: credentials that look like other things, and a provider that is out of the
// config for a while.

import t, { type Test } from 'tap'
import { CONFIG, movable, until, type App } from '../helpers/app.ts'
import { order, startLanternApp } from '../helpers/lantern.ts'
import { act, itemOf, KEY, KEY_OTHER, pathOf, setupConfig, shown, startSetupApp, world } from '../helpers/setup.ts'
import { withArrival } from '../helpers/setup-arrival.ts'

const ALERT = 'back_in_stock.alert'
const PHONE = '+12015550123'
const DAY_MS = 24 * 3_600_000

t.test('an id of an account that is one of its credentials stays what it is: two merchants have two accounts', async t => {
  const app = await startSetupApp(t, { manifest: text => text.replace('check: { request: lists, expect: { status: 200 } }', 'check: { request: me, expect: { status: 200 }, save: { account_id: /id, account_name: /name } }') })
  for (const [shop, account] of [['acme.example', 'firstaccount'], ['globex.example', 'otheraccount']] as const) {
    t.match(await act(app, 'pair/connect', { secrets: { api_key: `bea_${account}_0123456789`, token: `ID-${account}` } }, pathOf('beacon', shop)), { status: 200, body: { connected: true } })
  }
  const rows = await app.query('select account_id, account_key from connections where provider = \'beacon\' order by account_id')
  t.match(rows.map(row => row.account_id), ['ID-firstaccount', 'ID-otheraccount'])
  t.not(rows[0]?.account_key, rows[1]?.account_key)
})

t.test('a key that is a word of ours is refused as any other, and the set-up can still be read', async t => {
  const app = await startLanternApp(t)
  await order(app, { meDown: 401 })
  t.match(await act(app, 'key/connect', { secrets: { api_key: 'credentials' } }, pathOf('lantern')), { status: 200, body: { connected: false } })
  t.match(itemOf(await shown(app, pathOf('lantern')), 'key'), { state: 'failed', reason: 'credentials_refused' })
})

interface Left { app: App, advance (ms: number): void, out (): Promise<void>, back (): Promise<void> }

/** A connected shop at a provider that can be taken out of the config, and put back. */
async function leaving (t: Test): Promise<Left> {
  const { runtime, advance } = movable()
  const app = await startSetupApp(t, { runtime, manifest: text => withArrival(text, '4s') })
  const config = async (text: string): Promise<void> => {
    app.write(text)
    t.ok(await app.reload())
  }
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  return { app, advance, out: () => config(CONFIG), back: () => config(setupConfig()) }
}

const kept = async (app: App): Promise<number> => (await app.query('select given from setup')).filter(row => String(row.given).includes('5550123')).length
const arrival = async (app: App) => itemOf(await shown(app), 'test', ALERT)['arrival'] as { state: string, reason: string | null }
const dueAt = async (app: App, kind: string): Promise<number> => Number((await app.query(`select due_at from jobs where kind = '${kind}'`))[0]?.due_at)

t.test('a provider that is out of the config for a moment is asked about a test event when it is back', async t => {
  const { app, advance, out, back } = await leaving(t)
  await world(app, { lost: true })
  await act(app, 'test/send', { subject: ALERT, phone: PHONE })
  t.match(await app.query('select background from jobs where kind = \'setup_arrival\''), [{ background: 1 }], 'no merchant\'s job waits for it')
  const before = await dueAt(app, 'setup_arrival')
  await out()
  await until(async () => await dueAt(app, 'setup_arrival') > before + 10_000)
  await back()
  t.match(await arrival(app), { state: 'awaited' })
  advance(61_000)
  await until(async () => (await arrival(app)).state === 'not_found')
  t.equal(await kept(app), 0)
})

t.test('of a provider that stays out of the config nothing is kept that names or authorizes anybody, a day later', async t => {
  const { app, advance, out, back } = await leaving(t)
  await world(app, { lost: true })
  await act(app, 'test/send', { subject: ALERT, phone: PHONE })
  await app.fault('beacon', { kind: 'delay', delay_ms: 60_000, match: { path: '/me' } })
  const connecting = act(app, 'key/connect', { secrets: { api_key: KEY_OTHER } })
  await until(async () => (await app.query('select field from setup_secrets')).length === 1)
  await out()
  await connecting
  t.equal(await kept(app), 1)
  await until(async () => {
    advance(DAY_MS)
    return (await app.query('select kind from jobs where kind in (\'setup\', \'setup_arrival\')')).length === 0
  })
  t.equal(await kept(app), 0)
  t.strictSame(await app.query('select field from setup_secrets'), [])
  await back()
  await app.heal('beacon')
  t.match(await arrival(app), { state: 'not_looked', reason: 'provider_unknown' })
  t.match(itemOf(await shown(app), 'key'), { state: 'done' }, 'the connection that was good is as it was')
})
