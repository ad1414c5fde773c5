// What a set-up's view and its refusals cost: no more than is looked at, and nothing that stays.

import t from 'tap'
import type { Row, Store } from '../../gateway/contract.ts'
import { STATE } from '../../gateway/contract.ts'
import { waitingIn } from '../../gateway/delivery/forecast.ts'
import { activityOf } from '../../gateway/shops/setup/activity.ts'
import type { ShopState } from '../../gateway/shops/shops.ts'
import { anEvent, type App, type Body } from '../helpers/app.ts'
import { fakeRuntime } from '../helpers/fake-runtime.ts'
import { provider } from '../helpers/make.ts'
import { preload } from '../helpers/preload.ts'
import { act, choose, KEY, pathOf, SHOP, shown, startSetupApp } from '../helpers/setup.ts'

const CHANNEL = `/v1/shops/${SHOP}/channels/sms`

/** Answers one query as it is told to, and notes what it was asked. */
function reads (answer: (params: Record<string, unknown>) => Row[]): { store: Store, asked: Array<Record<string, unknown>> } {
  const asked: Array<Record<string, unknown>> = []
  const read: Store['read'] = async (name, params) => {
    asked.push({ name, ...params })
    return answer(params)
  }
  return { asked, store: { read } as Store }
}

async function numberOf (app: App, sql: string): Promise<number> { return Number((await app.query(sql))[0]?.n) }

t.test('how much waits is counted in the queues that are asked about, and in each to a bound', async t => {
  const small = reads(({ priority }) => priority === 1 ? [{ waiting: 2, due_at: 5, delivery_key: 7 }] : [])
  t.strictSame(await waitingIn([{ key: 11 }, { key: 12 }], small), [{ waiting: 2, atLeast: false }, { waiting: 2, atLeast: false }])
  t.strictSame([...new Set(small.asked.map(({ name, queue_key: key }) => `${String(name)} ${String(key)}`))], ['waiting_slice 11', 'waiting_slice 12'])
  let counted = 0
  const endless = reads(({ limit }) => { counted += Number(limit); return [{ waiting: Number(limit), due_at: 5, delivery_key: counted }] })
  t.strictSame(await waitingIn([{ key: 11 }], endless), [{ waiting: 10_000, atLeast: true }])
  t.equal(counted, 10_000, 'no row more was looked at')
})

t.test('a set-up and the choices of a channel say "or more" of what is too much to be counted each time', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  await choose(app)
  await app.post(anEvent('e1'))
  await app.post(anEvent('p1', { type: 'preorder.confirmed' }))
  const before = await shown(app)
  t.match(before, { setup_groups: [{ setup_group: 'back_in_stock', waiting: 1, waiting_at_least: false }, { setup_group: 'preorder', waiting: 1, waiting_at_least: false }] })
  t.match(before.warnings, [{ code: 'setup_incomplete', waiting: 2, waiting_at_least: false }])
  t.match(before.reset, { text: /; so are the 2 that wait now, until they expire\.$/ })
  await preload(app.place, { like: 'e1', prefix: 'more', count: 10_004 })
  const view = await shown(app)
  t.match(view, { setup_groups: [{ setup_group: 'back_in_stock', waiting: 10_000, waiting_at_least: true }, { setup_group: 'preorder', waiting: 1, waiting_at_least: false }] })
  t.match(view.warnings, [{ code: 'setup_incomplete', waiting: 10_001, waiting_at_least: true }])
  t.match(view.reset, { text: /; so are the 10001 or more that wait now, until they expire\.$/ })
  const { providers } = (await app.ask('GET', CHANNEL)).body as Body & { providers: Body[] }
  t.match(providers.find(({ id }) => id === 'courier'), { warnings: [{ code: 'switch', text: 'Beacon stops sending now, Courier starts. 10001 or more wait now, and move there too.', waiting: 10_001, waiting_at_least: true }] })
  t.match(providers.find(({ id }) => id === 'beacon'), { warnings: [{ code: 'setup_open', text: /until then; 10001 or more wait now\.$/, waiting: 10_001, waiting_at_least: true }] })
  t.match((await app.ask('GET', `${CHANNEL}/forecast`)).body, { waiting: 10_006, at_least: false }, 'who asks for a forecast is told all')
})

t.test('of an account whose latest messages are all of other shops nothing is said, not "none" (A9)', async t => {
  const row = (own: 0 | 1, messages: number, state: number = STATE.delivered): Row => ({ own, state, reason: null, messages, settled_at: 1_800_000_000_000 })
  const state = { shop: { key: 1 }, connections: new Map([['alpha', { accountKey: 3 }]]) } as unknown as ShopState
  const activity = (rows: Row[]) => activityOf(state, provider(), { ...reads(() => rows), runtime: fakeRuntime() })
  const none = { hours: 24, last_delivered_at: null, last_error: null }
  t.strictSame(await activity([row(0, 2000)]), { ...none, delivered: null, rejected: null, unknown: null, at_least: true })
  t.strictSame(await activity([row(0, 1999)]), { ...none, delivered: 0, rejected: 0, unknown: 0, at_least: false }, 'all of them were looked at')
  t.match(await activity([row(0, 1999), row(1, 1)]), { delivered: 1, rejected: 0, unknown: 0, at_least: true })
  t.match(await activity([row(0, 1999), row(1, 1, STATE.rejected)]), { delivered: 0, rejected: 1, unknown: 0, at_least: true })
})

t.test('what a shop did before the clock was set back is not held against it, and what it does now is', async t => {
  const app = await startSetupApp(t)
  const connect = async () => (await act(app, 'key/connect', { secrets: { api_key: KEY } })).status
  const put = async (key: string) => (await app.ask('PUT', `/v1/shops/${SHOP}/providers/beacon/connection`, { body: { secrets: { api_key: key } } })).status
  for (let i = 0; i < 5; i++) t.equal(await connect(), 200)
  t.strictSame([await connect(), await put('bea_two_0123456789')], [429, 429])
  await app.query('update audit set at = at + 3600000') // as rows stand once an hour was taken back
  for (let i = 0; i < 4; i++) t.equal(await connect(), 200)
  t.equal(await put('bea_two_0123456789'), 200)
  t.strictSame([await connect(), await put(KEY)], [429, 429])
})

t.test('a try that comes too often leaves nothing: no account, no credentials, no job (#39)', async t => {
  const app = await startSetupApp(t)
  const tables = ['accounts', 'setup', 'setup_secrets', 'jobs', 'audit', 'calls']
  const counts = () => Promise.all(tables.map(table => numberOf(app, `select count(*) as n from ${table}`)))
  const accounts = await numberOf(app, 'select count(*) as n from accounts')
  const wrong = (i: number) => act(app, 'key/connect', { secrets: { api_key: `bea_none_${i}23456789` } })
  const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => wrong(i)))
  t.strictSame([answers.filter(({ status }) => status === 200).length, answers.filter(({ status }) => status === 429).length], [5, 7])
  t.equal(await numberOf(app, 'select count(*) as n from accounts'), accounts + 5)
  const before = await counts()
  for (let i = 20; i < 25; i++) t.equal((await wrong(i)).status, 429)
  t.strictSame(await counts(), before)
  t.match(await act(app, 'key/connect', { secrets: { api_key: KEY } }, pathOf('beacon', 'globex.example')), { status: 200, body: { connected: true } }, 'another shop is none of its business')
})
