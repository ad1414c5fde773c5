// Metrics and events as the sandbox plays them: taken at once, seen later.

import t from 'tap'
import type { Test } from 'tap'
import { entry, loadOne } from '../../test/helpers/providers.ts'
import { sandboxClient } from '../../test/helpers/sandbox-client.ts'
import type { SandboxClient, Sent } from '../../test/helpers/sandbox-client.ts'

const klaviyo = await loadOne(entry('klaviyo', import.meta.dirname))
const HEADERS = { authorization: 'Klaviyo-API-Key pk_contract_0123456789', revision: '2026-07-15', accept: 'application/vnd.api+json', 'content-type': 'application/vnd.api+json' }
const METRIC = 'Back in stock SMS alert (STOQ)'
const START = Date.parse('2026-11-21T19:20:00.500Z')

interface Metric { id: string, attributes: { name: string, integration: { name: string, category: string } } }
interface Event { id: string, attributes: { datetime: string, timestamp: number, event_properties: object }, relationships: { metric: { data: { id: string } } } }

/** A sandbox whose wall clock is moved by hand. */
async function api (t: Test): Promise<{ client: SandboxClient, clock: { now: number } }> {
  const clock = { now: START }
  const client = await sandboxClient(klaviyo, HEADERS, { wallNow: () => clock.now })
  t.teardown(client.close)
  return { client, clock }
}

function event (changes: object = {}, metric = METRIC): object {
  return { data: { type: 'event', attributes: { unique_id: 'key-1', properties: { product_title: 'Mug' }, metric: { data: { type: 'metric', attributes: { name: metric } } }, profile: { data: { type: 'profile', attributes: { phone_number: '+12015550123' } } }, ...changes } } }
}

function pathOf (name: string, map: object): string {
  const prepared = klaviyo.request(name, { connection: { account_id: 'ABC123', settings: {} }, map })
  if (!prepared.ok) throw new Error(prepared.detail)
  return prepared.request.path
}

function dataOf<T> ({ json }: Sent): T { return (json as { data: T }).data }

t.test('the first event of a name makes its metric, which is listed two seconds later', async t => {
  const { client: { send, order }, clock } = await api(t)
  const ours = async (): Promise<Metric[]> => dataOf<Metric[]>(await send('GET', pathOf('metrics', { integration: 'API' })))
  t.equal((await send('POST', '/api/events', { value: event({ backfill: true }) })).status, 202)
  clock.now += 1999
  t.strictSame(await ours(), [])
  clock.now += 1
  const [metric, ...more] = await ours()
  t.match(metric, { id: /^[0-9A-Z]{6}$/, attributes: { name: METRIC, integration: { name: 'API' } } })
  t.strictSame(more, [])
  t.equal((await send('GET', `/api/metrics/${metric?.id}`)).status, 200)
  await send('POST', '/api/events', { value: event({ unique_id: 'key-2' }) })
  t.equal((await ours()).length, 1, 'the next event makes no other')
  await order('listing_delay', { ms: 60_000 })
  t.strictSame(await ours(), [], 'the delay can be set')
  t.equal((await send('GET', `/api/metrics/${metric?.id}`)).status, 404)
  t.equal((await send('GET', '/api/metrics', { headers: { authorization: 'Klaviyo-API-Key pk_another_0123456789' } })).status, 200)
})

t.test('an account has metrics of Klaviyo\'s own, which no event of ours is of', async t => {
  const { client: { send }, clock } = await api(t)
  await send('POST', '/api/events', { value: event({}, 'Received SMS') })
  clock.now += 2000
  const named = dataOf<Metric[]>(await send('GET', '/api/metrics')).filter(({ attributes }) => attributes.name === 'Received SMS')
  t.strictSame(named.map(({ attributes }) => attributes.integration.name), ['Klaviyo', 'API'], 'one name, two metrics')
  t.equal(dataOf<Metric[]>(await send('GET', '/api/metrics?filter=equals(integration.category,"Internal")')).length, 12)
})

t.test('metrics come two hundred a page, and the next page by its cursor', async t => {
  const { client: { send }, clock } = await api(t)
  for (let n = 0; n < 205; n++) await send('POST', '/api/events', { value: event({ unique_id: `key-${n}` }, `Metric ${n}`) })
  clock.now += 2000
  const first = await send('GET', pathOf('metrics', { integration: 'API' }))
  t.equal(dataOf<Metric[]>(first).length, 200)
  const cursor = new URL((first.json as { links: { next: string } }).links.next).searchParams.get('page[cursor]')
  const second = await send('GET', pathOf('metrics', { integration: 'API', page_cursor: cursor }))
  t.strictSame(dataOf<Metric[]>(second).map(({ attributes }) => attributes.name), [200, 201, 202, 203, 204].map(n => `Metric ${n}`))
  t.notOk('next' in (second.json as { links: object }).links)
})

t.test('the arrival of an event is seen in the list of its metric, once it was processed (C6)', async t => {
  const { client: { send }, clock } = await api(t)
  await send('POST', '/api/events', { value: event({ time: '2026-11-21T19:20:00.9Z' }) })
  await send('POST', '/api/events', { value: event({ unique_id: 'key-2', properties: { n: 2 }, time: '2026-11-21T19:20:03Z' }) })
  await send('POST', '/api/events', { value: event({ unique_id: 'key-2', properties: { n: 3 } }) })
  await send('POST', '/api/events', { value: event({ unique_id: 'key-3' }, 'Another') })
  clock.now += 2000
  const { id = '' } = dataOf<Metric[]>(await send('GET', '/api/metrics')).find(({ attributes }) => attributes.name === METRIC) ?? {}
  const since = async (time: string): Promise<Event[]> => dataOf<Event[]>(await send('GET', pathOf('events_read', { metric_id: id, since: time })))
  const all = await since('2026-11-21T19:20:00Z')
  t.strictSame(all.map(({ attributes }) => attributes.event_properties), [{ n: 2 }, { product_title: 'Mug' }], 'newest first; of one unique_id the first')
  t.match(all[1], { id: String, attributes: { datetime: '2026-11-21T19:20:00.000Z', timestamp: 1_795_288_800 }, relationships: { metric: { data: { id } }, profile: { data: { id: /^01[0-9A-F]{24}$/ } } } }, 'to the second')
  t.strictSame((await since('2026-11-21T19:20:01Z')).length, 1)
  await send('POST', '/api/events', { value: event({ unique_id: 'key-4' }) })
  t.equal((await since('2026-11-21T19:20:00Z')).length, 2, 'not yet')
  clock.now += 2000
  t.equal((await since('2026-11-21T19:20:00Z')).length, 3)
  const [oldest] = dataOf<Event[]>(await send('GET', `/api/events?filter=equals(metric_id,"${id}")&sort=datetime&page[size]=1&fields[event]=datetime`))
  t.strictSame(oldest?.attributes, { datetime: '2026-11-21T19:20:00.000Z' })
  t.equal(dataOf<Event[]>(await send('GET', '/api/events', { headers: { authorization: 'Klaviyo-API-Key pk_another_0123456789' } })).length, 0)
})
