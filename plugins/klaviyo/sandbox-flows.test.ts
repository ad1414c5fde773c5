// Klaviyo's flows and metrics as the sandbox plays them: what is refused, and how flows come and change.

import t from 'tap'
import type { Test } from 'tap'
import { FLOW_TEXTS } from './flow-texts.ts'
import { entry, loadOne } from '../../test/helpers/providers.ts'
import { sandboxClient } from '../../test/helpers/sandbox-client.ts'
import type { SandboxClient, Sent } from '../../test/helpers/sandbox-client.ts'

const klaviyo = await loadOne(entry('klaviyo', import.meta.dirname))
const HEADERS = { authorization: 'Klaviyo-API-Key pk_contract_0123456789', revision: '2026-07-15', accept: 'application/vnd.api+json', 'content-type': 'application/vnd.api+json' }
const METRIC = 'Back in stock SMS alert (STOQ)'
const OTHER = { authorization: 'Klaviyo-API-Key pk_another_0123456789' }

interface Flow { id: string, attributes: { name: string, status: string, archived: boolean, trigger_type: string, definition?: Definition } }
interface Definition { entry_action_id: string, actions: Array<{ id: string, temporary_id?: string, links: { next: string | null }, data: { status: string, message: object } }> }

/** A sandbox of one account that has our metric, listed at once. */
async function api (t: Test, now?: () => number): Promise<SandboxClient & { metricId: string, create (changes?: object): Promise<Sent> }> {
  const client = await sandboxClient(klaviyo, HEADERS, now === undefined ? {} : { now })
  t.teardown(client.close)
  await client.order('listing_delay', { ms: 0 })
  await client.send('POST', '/api/events', { value: request('seed_metric', { unique_id: 'seed', metric: METRIC, properties: {} }) })
  const metricId = dataOf<{ id: string, attributes: { name: string } }[]>(await client.send('GET', '/api/metrics')).find(({ attributes }) => attributes.name === METRIC)?.id as string
  return { ...client, metricId, create: (changes = {}) => client.send('POST', '/api/flows', { value: flowBody(metricId, changes) }) }
}

function flowBody (metricId: string, changes: object = {}): object {
  return request('create_flow', { ...FLOW_TEXTS['back_in_stock.alert'], metric_id: metricId, ...changes })
}

function request (name: string, map: object): object {
  const prepared = klaviyo.request(name, { connection: { account_id: 'ABC123', settings: {} }, map })
  if (!prepared.ok) throw new Error(prepared.detail)
  return JSON.parse(prepared.request.body as string) as object
}

function sms (id: string, next: string | null): object {
  return { temporary_id: id, type: 'send-sms', links: { next }, data: { message: { body: 'Hi' } } }
}

function pathOf (name: string, map: object): string {
  const prepared = klaviyo.request(name, { connection: { account_id: 'ABC123', settings: {} }, map })
  if (!prepared.ok) throw new Error(prepared.detail)
  return prepared.request.path
}

function dataOf<T> ({ json }: Sent): T { return (json as { data: T }).data }

function errorOf ({ json }: Sent): { code: string, detail: string, source: { pointer?: string, parameter?: string } } | undefined {
  return (json as { errors?: Array<{ code: string, detail: string, source: object }> } | null)?.errors?.[0]
}

t.test('the sandbox refuses what Klaviyo refuses of flows, metrics and lists, with its status and its error body', async t => {
  const { send, metricId, create } = await api(t)
  const { id } = dataOf<Flow>(await create())
  const at = '/data/attributes/definition'
  const definition = (change: object): object => edited(flowBody(metricId), change, 'data', 'attributes', 'definition')
  const action = (change: object, ...way: string[]): object => edited(flowBody(metricId), change, 'data', 'attributes', 'definition', 'actions', '0', ...way)
  const status = (value: unknown, of = id): object => ({ data: { type: 'flow', id: of, attributes: value } })
  const table: Array<[string, string, string, object | null, number, string, { pointer?: string, parameter?: string }?]> = [
    ['a metric that is not there', 'POST', '/api/flows', definition({ triggers: [{ type: 'metric', id: 'NOSUCH' }] }), 400, 'invalid', { pointer: `${at}/triggers/0/id` }],
    ['no trigger', 'POST', '/api/flows', definition({ triggers: [] }), 400, 'invalid', { pointer: `${at}/triggers` }],
    ['two triggers', 'POST', '/api/flows', definition({ triggers: [{ type: 'metric', id: metricId }, { type: 'metric', id: metricId }] }), 400, 'invalid', { pointer: `${at}/triggers` }],
    ['an entry that is no action', 'POST', '/api/flows', definition({ entry_action_id: 'other' }), 400, 'invalid', { pointer: `${at}/entry_action_id` }],
    ['no entry', 'POST', '/api/flows', definition({ entry_action_id: undefined }), 400, 'invalid', { pointer: at }],
    ['no action', 'POST', '/api/flows', definition({ actions: [] }), 400, 'invalid', { pointer: `${at}/actions` }],
    ['a re-entry of none', 'POST', '/api/flows', definition({ reentry_criteria: { duration: 2, unit: 'alltime' } }), 400, 'invalid', { pointer: `${at}/reentry_criteria/duration` }],
    ['a message without a body', 'POST', '/api/flows', action({ body: undefined }, 'data', 'message'), 400, 'invalid', { pointer: `${at}/actions/0/data/message` }],
    ['a flag as text', 'POST', '/api/flows', action({ transactional: 'true' }, 'data', 'message'), 400, 'invalid', { pointer: `${at}/actions/0/data/message/transactional` }],
    ['a flag that is none', 'POST', '/api/flows', action({ quiet_hours: true }, 'data', 'message'), 400, 'invalid', { pointer: `${at}/actions/0/data/message` }],
    ['a new action with an id', 'POST', '/api/flows', action({ id: '1' }), 400, 'invalid', { pointer: `${at}/actions/0` }],
    ['an action that leads nowhere', 'POST', '/api/flows', action({ links: { next: 'other' } }), 400, 'invalid', { pointer: `${at}/actions/0/links/next` }],
    ['an action that leads back', 'POST', '/api/flows', action({ links: { next: 'sms' } }), 400, 'invalid', { pointer: `${at}/actions/0/links/next` }],
    ['an action that is never reached', 'POST', '/api/flows', definition({ actions: [sms('sms', null), sms('lost', null)] }), 400, 'invalid', { pointer: `${at}/actions` }],
    ['two actions of one name', 'POST', '/api/flows', definition({ actions: [sms('sms', null), sms('sms', null)] }), 400, 'invalid', { pointer: `${at}/actions` }],
    ['an action that is no SMS', 'POST', '/api/flows', action({ type: 'send-email' }), 400, 'invalid', { pointer: `${at}/actions/0/type` }],
    ['a trigger that is no metric', 'POST', '/api/flows', definition({ triggers: [{ type: 'list', id: metricId }] }), 400, 'invalid', { pointer: `${at}/triggers/0/type` }],
    ['no name', 'POST', '/api/flows', edited(flowBody(metricId), { name: undefined }, 'data', 'attributes'), 400, 'invalid', { pointer: '/data/attributes' }],
    ['an unknown additional field', 'POST', '/api/flows?additional-fields[flow]=actions', flowBody(metricId), 400, 'invalid', { parameter: 'additional-fields[flow]' }],
    ['a status that is none', 'PATCH', `/api/flows/${id}`, status({ status: 'active' }), 400, 'invalid', { pointer: '/data/attributes/status' }],
    ['a new name', 'PATCH', `/api/flows/${id}`, status({ status: 'live', name: 'B' }), 400, 'invalid', { pointer: '/data/attributes' }],
    ['another id than the path', 'PATCH', `/api/flows/${id}`, status({ status: 'live' }, 'OTHER1'), 400, 'invalid', { pointer: '/data/id' }],
    ['a flow that is not there', 'PATCH', '/api/flows/NOSUCH', status({ status: 'live' }, 'NOSUCH'), 404, 'not_found'],
    ['a flow that is not there, asked for', 'GET', '/api/flows/NOSUCH', null, 404, 'not_found'],
    ['a flow that is not there, deleted', 'DELETE', '/api/flows/NOSUCH', null, 404, 'not_found'],
    ['a method of none', 'PUT', `/api/flows/${id}`, {}, 405, 'method_not_allowed'],
    ['a filter of no field', 'GET', '/api/flows?filter=equals(title,"A")', null, 400, 'invalid', { parameter: 'filter' }],
    ['a filter by another way', 'GET', '/api/flows?filter=contains(status,"live")', null, 400, 'invalid', { parameter: 'filter' }],
    ['a filter without quotes', 'GET', '/api/flows?filter=equals(name,A)', null, 400, 'invalid', { parameter: 'filter' }],
    ['a filter that ends early', 'GET', '/api/flows?filter=equals(name,"A"', null, 400, 'invalid', { parameter: 'filter' }],
    ['a quote that was not escaped', 'GET', `/api/flows?filter=${encodeURIComponent('equals(name,"a "b" c")')}`, null, 400, 'invalid', { parameter: 'filter' }],
    ['a flag in quotes', 'GET', '/api/flows?filter=equals(archived,"false")', null, 400, 'invalid', { parameter: 'filter' }],
    ['a page of 51 flows', 'GET', '/api/flows?page[size]=51', null, 400, 'invalid', { parameter: 'page[size]' }],
    ['a cursor that was never given', 'GET', '/api/flows?page[cursor]=abc', null, 400, 'invalid', { parameter: 'page[cursor]' }],
    ['an order of no field', 'GET', '/api/flows?sort=age', null, 400, 'invalid', { parameter: 'sort' }],
    ['a field of no flow', 'GET', '/api/flows?fields[flow]=name,color', null, 400, 'invalid', { parameter: 'fields[flow]' }],
    ['a parameter that is none', 'GET', '/api/flows?limit=10', null, 400, 'invalid', { parameter: 'limit' }],
    ['metrics by name', 'GET', '/api/metrics?filter=equals(name,"A")', null, 400, 'invalid', { parameter: 'filter' }],
    ['metrics by a part of the integration', 'GET', '/api/metrics?filter=contains(integration.name,"S")', null, 400, 'invalid', { parameter: 'filter' }],
    ['the size of a page of metrics', 'GET', '/api/metrics?page[size]=10', null, 400, 'invalid', { parameter: 'page[size]' }],
    ['a metric that is not there, asked for', 'GET', '/api/metrics/NOSUCH', null, 404, 'not_found'],
    ['pages of flow triggers', 'GET', `/api/metrics/${metricId}/flow-triggers?page[cursor]=abc`, null, 400, 'invalid', { parameter: 'page[cursor]' }],
    ['flow triggers of no metric', 'GET', '/api/metrics/NOSUCH/flow-triggers', null, 404, 'not_found'],
    ['events by a time in quotes', 'GET', '/api/events?filter=greater-or-equal(datetime,"2026-11-21T19:20:00Z")', null, 400, 'invalid', { parameter: 'filter' }],
    ['events by an equal time', 'GET', '/api/events?filter=equals(datetime,2026-11-21T19:20:00Z)', null, 400, 'invalid', { parameter: 'filter' }]
  ]
  for (const [name, method, path, value, code, says, source] of table) {
    const answer = await send(method, path, value === null ? {} : { value })
    t.equal(answer.status, code, name)
    t.equal(answer.type, 'application/vnd.api+json', name)
    t.match(errorOf(answer), { code: says, detail: String, ...(source !== undefined && { source }) }, name)
  }
  t.equal((await send('POST', '/api/flows', { value: flowBody(metricId), headers: { 'content-type': 'application/json' } })).status, 415)
  t.equal((await send('POST', '/api/flows', { body: '{' })).status, 400)
  t.equal(dataOf<Flow[]>(await send('GET', '/api/flows')).length, 1, 'nothing refused was made')
  t.equal((await send('GET', `/api/flows/${id}`, { headers: OTHER })).status, 404, 'another account has none of it')
  t.equal((await send('POST', '/api/flows', { value: flowBody(metricId), headers: OTHER })).status, 400, 'nor its metric')
})

t.test('a flow is made as a draft, its actions get ids, and set live with all of them', async t => {
  const { send, create } = await api(t)
  const answer = await create()
  t.equal(answer.status, 201)
  const made = dataOf<Flow>(answer)
  t.match(made, { type: 'flow', id: /^[0-9A-Z]{6}$/, attributes: { name: FLOW_TEXTS['back_in_stock.alert']?.name, status: 'draft', archived: false, trigger_type: 'Metric' } })
  t.notOk('definition' in made.attributes, 'it is shown where it is asked for')
  const definition = async (): Promise<Definition> => dataOf<Flow>(await send('GET', pathOf('flow', { flow_id: made.id }))).attributes.definition as Definition
  const { entry_action_id: entryId, actions } = await definition()
  t.match(actions, [{ id: entryId, type: 'send-sms', links: { next: null }, data: { status: 'draft', message: { id: String, smart_sending_enabled: false } } }])
  t.notOk('temporary_id' in (actions[0] as object))
  const live = await send('PATCH', pathOf('activate_flow', { flow_id: made.id }), { value: request('activate_flow', { flow_id: made.id }) })
  t.equal(live.status, 200)
  t.equal(dataOf<Flow>(live).attributes.status, 'live')
  t.equal((await definition()).actions[0]?.data.status, 'live')
  t.equal((await send('DELETE', `/api/flows/${made.id}`)).status, 204)
  t.equal((await send('GET', `/api/flows/${made.id}`)).status, 404)
})

t.test('actions are made in a row, each leading to the next', async t => {
  const { send, metricId } = await api(t)
  const value = edited(flowBody(metricId), { entry_action_id: 'a', actions: [sms('b', null), sms('a', 'b')] }, 'data', 'attributes', 'definition')
  const { attributes: { definition } } = dataOf<Flow>(await send('POST', '/api/flows?additional-fields[flow]=definition', { value }))
  const [b, a] = definition?.actions ?? []
  t.match(definition, { entry_action_id: a?.id, actions: [{ links: { next: null } }, { links: { next: b?.id } }] })
})

t.test('two flows may have one name and one metric: a create is never safe to repeat', async t => {
  const { send, create, metricId } = await api(t)
  const name = 'A "quoted" \\ name, (with) ümlauts'
  await create({ name })
  await create({ name })
  await create({ name: name.toUpperCase() })
  const found = dataOf<Flow[]>(await send('GET', pathOf('find_flows', { flow_name: name })))
  t.strictSame(found.map(({ attributes }) => attributes.name), [name, name, name.toUpperCase()], 'capitals do not count: whoever asks compares again')
  t.strictSame(Object.keys(found[0]?.attributes ?? {}).toSorted(), ['archived', 'name', 'status', 'trigger_type'], 'the fields that were asked for')
  t.equal(dataOf<Flow[]>(await send('GET', pathOf('metric_flows', { metric_id: metricId }))).length, 3)
  t.equal(dataOf<Flow[]>(await send('GET', pathOf('find_flows', { flow_name: 'A' }))).length, 0)
})

t.test('flows come in pages of fifty, by filter and in order', async t => {
  const { send, order, metricId } = await api(t)
  const { account } = await addressed(send)
  for (let n = 0; n < 53; n++) await order('flows', { account, name: `Flow ${String(n).padStart(2, '0')}`, metric_id: n < 50 ? metricId : null, status: n === 7 ? 'live' : 'draft', archived: n === 8 })
  const first = await send('GET', '/api/flows?sort=-name')
  t.equal(dataOf<Flow[]>(first).length, 50)
  t.equal(dataOf<Flow[]>(first)[0]?.attributes.name, 'Flow 52')
  const { next } = (first.json as { links: { next: string } }).links
  t.match(next, /^https:\/\/a\.klaviyo\.com\/api\/flows\?/, 'links name Klaviyo, not the sandbox')
  const second = await send('GET', new URL(next).pathname + new URL(next).search)
  t.strictSame(dataOf<Flow[]>(second).map(({ attributes }) => attributes.name), ['Flow 02', 'Flow 01', 'Flow 00'])
  t.notOk('next' in (second.json as { links: object }).links)
  const names = async (filter: string): Promise<string[]> => dataOf<Flow[]>(await send('GET', `/api/flows?filter=${encodeURIComponent(filter)}`)).map(({ attributes }) => attributes.name)
  t.strictSame(await names('equals(status,"live")'), ['Flow 07'])
  t.strictSame(await names('equals(archived,true),starts-with(name,"Flow")'), ['Flow 08'])
  t.strictSame(await names('ends-with(name,"11"),contains(name,"ow")'), ['Flow 11'])
  t.strictSame(await names('equals(trigger_type,"Added to List")'), ['Flow 50', 'Flow 51', 'Flow 52'])
  t.strictSame(await names('greater-than(created,2999-01-01T00:00:00Z)'), [])
  const { id } = dataOf<Flow[]>(first)[0] as Flow
  t.strictSame(await names(`any(id,["${id}","NOSUCH"])`), ['Flow 52'])
})

t.test('a merchant changes flows without the API: status, name, archive, another one, none', async t => {
  const { send, order, inspect, create, metricId } = await api(t)
  const { account } = await addressed(send)
  const { id } = dataOf<Flow>(await create())
  await order(`flows/${id}`, { status: 'manual', name: 'Renamed' }, 'PATCH')
  t.match(dataOf<Flow>(await send('GET', `/api/flows/${id}`)), { attributes: { status: 'manual', name: 'Renamed' } })
  await order(`flows/${id}`, { archived: true }, 'PATCH')
  t.equal((await send('PATCH', `/api/flows/${id}`, { value: { data: { type: 'flow', id, attributes: { status: 'live' } } } })).status, 400, 'an archived flow is not set live')
  await order('flows', { account, name: 'Second', metric_id: metricId, status: 'live' })
  t.match(await inspect(`flows?account=${account}`), { items: [{ id, name: 'Renamed', archived: true, metric_id: metricId }, { name: 'Second', status: 'live', metric_id: metricId }] })
  t.equal((await send('DELETE', `/_sandbox/flows/${id}`)).status, 204)
  t.strictSame(dataOf<Flow[]>(await send('GET', `/api/metrics/${metricId}/flow-triggers`)).map(({ attributes }) => attributes.name), ['Second'])
  t.equal((await order('flows/NOSUCH', { status: 'live' }, 'PATCH')).status, 404)
  t.equal((await order('flows', { account, name: 'X', metricid: metricId })).status, 400, 'a misspelt key is no order')
  t.equal((await order('flows', { account, name: 'X', metric: 'Nothing of this name' })).status, 404, 'nor is a metric that nobody has seen')
})

t.test('flows are made once a second, fifteen a minute, a hundred a day: 429 says for how long', async t => {
  let clock = 0
  const { create } = await api(t, () => clock)
  let made = 0
  let waited = 0
  for (let n = 0; n < 400 && waited < 80_000; n++) {
    const { status, headers } = await create()
    if (status === 201) {
      made++
      t.notOk(Object.hasOwn(headers, 'retry-after'))
      if (made === 1) t.match(headers, { 'ratelimit-limit': '1, 1;w=1, 15;w=60, 100;w=86400', 'ratelimit-remaining': '0' })
      clock += 1000
    } else {
      t.equal(status, 429)
      t.notOk(Object.hasOwn(headers, 'ratelimit-limit'))
      waited = Number(headers['retry-after'])
      t.ok(waited >= 1)
      if (waited < 80_000) clock += waited * 1000
    }
  }
  t.equal(made, 100)
  t.ok(waited > 80_000, `the day is not over for ${waited} s`)
  clock += waited * 1000
  t.equal((await create()).status, 201, 'and then it is')
})

async function addressed (send: SandboxClient['send']): Promise<{ account: string }> {
  return { account: dataOf<{ id: string }[]>(await send('GET', '/api/accounts'))[0]?.id as string }
}

/** A copy with some keys changed at a way into it. */
function edited (body: object, change: object, ...way: string[]): object {
  const copy = structuredClone(body) as Record<string, unknown>
  let at = copy
  for (const key of way) at = at[key] as Record<string, unknown>
  Object.assign(at, change)
  return copy
}
