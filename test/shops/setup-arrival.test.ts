// Whether a test event has arrived at the provider: looked for after it was accepted, and said (C6).

import t, { type Test } from 'tap'
import { anEvent, until, type App, type Body } from '../helpers/app.ts'
import { act, choose, itemOf, KEY, pathOf, setUpAll, SHOP, shown, startSetupApp, world, type ItemView } from '../helpers/setup.ts'
import { withArrival } from '../helpers/setup-arrival.ts'

const ALERT = 'back_in_stock.alert'
const PHONE = '+12015550123'

interface Arrival { state: string, text: string, event_id: string, arrived_at: string | null, reason: string | null }

/** A connected shop. */
async function connected (t: Test, within?: string): Promise<App> {
  const app = await startSetupApp(t, { manifest: text => withArrival(text, within) })
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  return app
}

const send = async (app: App): Promise<ItemView> => itemOf((await act(app, 'test/send', { subject: ALERT, phone: PHONE })).body, 'test', ALERT)
const arrival = async (app: App): Promise<Arrival> => itemOf(await shown(app), 'test', ALERT)['arrival'] as Arrival
const settled = async (app: App): Promise<Arrival> => {
  await until(async () => (await arrival(app)).state !== 'awaited')
  return await arrival(app)
}
const looks = async (app: App): Promise<number> => (await app.received('beacon')).filter(({ method, path }) => method === 'GET' && String(path).startsWith('/events')).length
/** What is kept of the phone, wherever it is. */
const kept = async (app: App): Promise<string[]> => (await app.query('select given, found from setup')).map(row => JSON.stringify(row)).filter(text => text.includes('5550123'))

t.test('accepted is done; that it arrived is said when it was seen, and the phone is dropped then (C6)', async t => {
  const app = await connected(t)
  const item = await send(app)
  t.match(item, { state: 'done', reason: null, arrival: { state: 'awaited', text: 'Sent, and not seen at Beacon yet.', event_id: item['event_id'], accepted_at: String, until: String, arrived_at: null } })
  t.equal((await kept(app)).length, 1)
  t.match(await settled(app), { state: 'arrived', text: 'Arrived at Beacon.', event_id: item['event_id'], arrived_at: String, reason: null })
  t.strictSame(await kept(app), [])
  t.equal((await app.received('beacon')).filter(({ method }) => method === 'POST').length, 1, 'sent once')
  t.strictSame(await app.query('select id from jobs where kind = \'setup_arrival\''), [])
  t.notMatch(JSON.stringify(await shown(app)), /5550123/)
})

t.test('what is not found by its time is a warning, and nothing that holds messages (C6)', async t => {
  const app = await connected(t, '4s')
  await setUpAll(app)
  await choose(app)
  await world(app, { lost: true })
  await send(app)
  t.match(await settled(app), { state: 'not_found', text: 'Beacon lost it.', reason: 'not_arrived', arrived_at: null })
  t.ok(await looks(app) >= 2, 'looked for more than once')
  t.strictSame(await kept(app), [])
  t.match(itemOf(await shown(app), 'test', ALERT), { state: 'done', reason: null })
  t.match((await shown(app)).warnings, [{ code: 'not_arrived', text: 'Beacon lost it.', step: 'test', subject: ALERT }])
  t.match((await app.ask('GET', `/v1/shops/${SHOP}/diagnosis`)).body['causes'], [{ code: 'not_arrived', sentence: 'Beacon lost it.', fix: /another test event/, where: { step: 'test', subject: ALERT } }])
  await app.delivered(await app.post(anEvent('while-lost')))
  await world(app, { lost: false })
  await send(app)
  t.match(await settled(app), { state: 'arrived' })
  t.match(await shown(app), { warnings: [] })
})

t.test('who may not look is told so, and the account goes on', async t => {
  const app = await connected(t)
  await setUpAll(app)
  await choose(app)
  await app.fault('beacon', { kind: 'status', status: 403, body: {}, match: { path: '/topics' } })
  await send(app)
  t.match(await settled(app), { state: 'not_looked', reason: 'scope_missing', text: 'Beacon accepted it; whether it arrived could not be looked up. You may not look.' })
  t.equal(await looks(app), 0)
  t.strictSame(await kept(app), [])
  t.match(await shown(app), { warnings: [] })
  await app.delivered(await app.post(anEvent('all-the-same')))
})

t.test('a provider that cannot be asked just now is asked again: nothing is missing yet (R24)', async t => {
  const app = await connected(t, '3s')
  await app.fault('beacon', { kind: 'status', status: 503, body: {}, times: 1, match: { path: '/topics' } })
  await send(app)
  t.match(await settled(app), { state: 'arrived' })
  t.equal(await app.heal('beacon'), 1, 'also past the time that a missing one is given')
})

t.test('the search goes on after a restart (R24)', async t => {
  const app = await connected(t, '30s')
  await world(app, { lost: true })
  const { event_id: id } = await send(app)
  await until(async () => await looks(app) > 0)
  await app.restart() // and what beacon has is forgotten with its sandbox
  t.match(await arrival(app), { state: 'awaited', event_id: id })
  await world(app, { topics: [`topic ${ALERT}`], events: [{ key: id, to: { phone: PHONE } }] })
  t.match(await settled(app), { state: 'arrived', event_id: id })
})

t.test('of two sent one after the other the later one is looked for', async t => {
  const app = await connected(t)
  await world(app, { lost: true })
  const first = await send(app)
  const second = await send(app)
  t.not(first['event_id'], second['event_id'])
  t.equal((await arrival(app)).event_id, second['event_id'])
  await world(app, { lost: false })
  t.match(await settled(app), { state: 'arrived', event_id: second['event_id'] })
  await until(async () => (await app.query('select id from jobs where kind = \'setup_arrival\'')).length === 0)
  t.match(await arrival(app), { state: 'arrived', event_id: second['event_id'] })
})

t.test('one that is refused later leaves what the one before became', async t => {
  const app = await connected(t)
  const first = await send(app)
  await settled(app)
  await app.fault('beacon', { kind: 'status', status: 400, body: { error: 'no such field' }, times: 1, match: { path: '/events', method: 'POST' } })
  t.match(await send(app), { state: 'done', reason: 'payload_refused', arrival: { state: 'arrived', event_id: first['event_id'] } })
})

t.test('forgotten, or disconnected, meanwhile: the search ends, and the phone is gone', async t => {
  const app = await connected(t)
  await world(app, { lost: true })
  await send(app)
  await app.ask('POST', `${pathOf()}/reset`)
  t.equal(await arrival(app), null)
  t.strictSame(await kept(app), [])
  await until(async () => (await app.query('select id from jobs where kind = \'setup_arrival\'')).length === 0)
  t.equal(await arrival(app), null)
  await send(app)
  await app.ask('DELETE', `/v1/shops/${SHOP}/providers/beacon/connection`)
  t.match(await settled(app), { state: 'not_looked', reason: 'not_connected' })
  t.strictSame(await kept(app), [])
})

t.test('a provider that lets nobody look: accepted, and nothing more is said', async t => {
  const app = await startSetupApp(t)
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  t.match(await send(app), { state: 'done', arrival: null } as Body)
  t.strictSame(await app.query('select id from jobs where kind = \'setup_arrival\''), [])
})
