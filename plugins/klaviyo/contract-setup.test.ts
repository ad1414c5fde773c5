// The requests that setting up makes, against Klaviyo's own description and our sandbox. The description is not part
// of the project: where it does not lie beside it, this says so and skips.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import type { ValidateFunction } from 'ajv'
import ajvFormats from 'ajv-formats'
import t from 'tap'
import { FLOW_TEXTS } from './flow-texts.ts'
import { flowFault, statusFault } from './sandbox-flow-body.ts'
import { eventFault } from './sandbox-event.ts'
import { entry, files, loadOne, ROOT } from '../../test/helpers/providers.ts'
import { mutate, seeded } from '../../test/helpers/mutate.ts'

const MUTATIONS = 200
const SEED = 20261122
const DESCRIPTION = join(ROOT, '../shared/reference/klaviyo.openapi.json')
const MAP: Record<string, unknown> = {
  metric_id: 'UMTLbD', integration: 'STOQ', page_cursor: 'bmV4dDo6MjAw', since: '2026-11-21T19:20:00Z', flow_id: 'XVTP5Q', flow_name: 'A "quoted" \\ name, (with) commas & ümlauts', metric: 'Back in stock SMS alert (STOQ)', unique_id: 'seed-1', properties: { product_title: 'Mug' }, ...FLOW_TEXTS['back_in_stock.alert']
}
/** Requests of the set-up with the schema of their body, where they have one. */
const REQUESTS: Record<string, string | null> = {
  seed_metric: 'EventCreateQueryV2', metrics: null, metric_flows: null, events_read: null, find_flows: null, flows: null, flow: null, create_flow: 'FlowCreateQuery', activate_flow: 'FlowUpdateQuery'
}

interface Parameter { name: string, in: string, description?: string, schema: { enum?: string[], items?: { enum?: string[] } } }
interface Description { paths: Record<string, Record<string, { parameters: Parameter[] }>> }

const klaviyo = await loadOne(entry('klaviyo', import.meta.dirname))

function made (name: string, map: object = MAP): { method: string, path: string, query: URLSearchParams, body: unknown } {
  const prepared = klaviyo.request(name, { connection: { account_id: 'ABC123', settings: {} }, map })
  if (!prepared.ok) throw new Error(prepared.detail)
  const { method, path, body } = prepared.request
  const [bare = '', query = ''] = path.split('?')
  return { method, path: bare, query: new URLSearchParams(query), body: body === null ? null : JSON.parse(body) as unknown }
}

if (existsSync(DESCRIPTION)) contract(JSON.parse(readFileSync(DESCRIPTION, 'utf8')) as Description)
else {
  t.comment(`${DESCRIPTION} is not here: Klaviyo's own description is not compared`)
  t.test('Klaviyo\'s own description', { skip: 'its file is not here' }, () => {})
}

function contract (description: Description): void {
  const ajv = new Ajv({ strict: false, allErrors: false, logger: false })
  ajvFormats.default(ajv)
  ajv.addSchema(description, 'klaviyo')
  const schema = (name: string): ValidateFunction => ajv.compile({ $ref: `klaviyo#/components/schemas/${name}` })

  t.test('every request of the set-up fits Klaviyo\'s description: path, parameters, filters and body', async t => {
    for (const [name, bodySchema] of Object.entries(REQUESTS)) {
      const { method, path, query, body } = made(name)
      const template = path.replace(/UMTLbD|XVTP5Q/, '{id}')
      const operation = description.paths[template]?.[method.toLowerCase()]
      t.ok(operation, `${name}: ${method} ${template}`)
      for (const [parameter, value] of query) {
        const known = operation?.parameters.find(one => one.name === parameter && one.in === 'query')
        t.ok(known, `${name} takes ${parameter}`)
        const names = known?.schema.enum ?? known?.schema.items?.enum
        for (const one of names === undefined ? [] : value.split(',')) t.ok(names?.includes(one), `${name}: ${parameter}=${one}`)
        if (parameter === 'filter') for (const [, operator = '', field = ''] of value.matchAll(/([a-z-]+)\(([a-z_.]+),/g)) t.match(known?.description, new RegExp(`\`${field}\`:[^<]*\`${operator}\``), `${name}: ${operator} of ${field}`)
      }
      if (bodySchema === null) continue
      const fits = schema(bodySchema)
      t.ok(fits(body), `${name}: ${JSON.stringify(fits.errors)}`)
    }
  })

  for (const [type, text] of Object.entries(FLOW_TEXTS)) {
    t.test(`of ${MUTATIONS} mutations of the flow for ${type} (seed ${SEED}) the sandbox refuses every one that Klaviyo's description refuses`, async t => {
      const fits = schema('FlowCreateQuery')
      const random = seeded(SEED)
      const { body } = made('create_flow', { ...MAP, ...text })
      t.equal(flowFault(body), null)
      let refused = 0
      for (let i = 0; i < MUTATIONS; i++) {
        const mutation = mutate(body as object, random)
        if (fits(mutation.value)) continue
        refused++
        t.not(flowFault(mutation.value), null, mutation.what)
      }
      t.ok(refused > 50, `the description refused ${refused}`)
    })
  }
}

t.test('the requests of the set-up are such as the sandbox takes', async t => {
  t.equal(eventFault(made('seed_metric').body, Date.parse('2026-11-22T00:00:00Z')), null)
  t.match(made('seed_metric').body, { data: { attributes: { backfill: true } } }, 'it triggers no flow')
  t.equal(flowFault(made('create_flow').body), null)
  t.equal(statusFault(made('activate_flow').body, 'XVTP5Q'), null)
  t.strictSame(made('activate_flow').body, { data: { type: 'flow', id: 'XVTP5Q', attributes: { status: 'live' } } })
})

t.test('a filter holds whatever a merchant calls the flow, quoted and escaped as JSON: nothing breaks out of it', async t => {
  for (const name of [MAP['flow_name'] as string, '"),equals(archived,true', 'back\\slash"', 'A\nline', '{{ x }}', '😀']) {
    t.equal(made('find_flows', { flow_name: name }).query.get('filter'), `equals(name,${JSON.stringify(name)})`)
  }
  t.notOk(made('find_flows', { flow_name: 'A' }).query.has('page[cursor]'), 'no cursor, no parameter')
  t.equal(made('find_flows').query.get('page[cursor]'), MAP['page_cursor'])
  t.equal(klaviyo.request('flow', { connection: { account_id: '', settings: {} }, map: { flow_id: '..' } }).ok, false, 'a value in a path stays in its place')
})

t.test('each event type has its flow (C4): named after its metric, quiet hours on, never skipped, only the preorder one transactional', async t => {
  t.strictSame(Object.keys(FLOW_TEXTS).toSorted(), Object.keys(klaviyo.events).filter(type => klaviyo.events[type]?.request === 'create_event').toSorted())
  for (const [type, text] of Object.entries(FLOW_TEXTS)) {
    const { body } = made('create_flow', { ...MAP, ...text })
    const { name, definition } = (body as { data: { attributes: { name: string, definition: { actions: [{ data: { message: Record<string, unknown> } }] } } } }).data.attributes
    const { message } = definition.actions[0].data
    t.match(message, { sms_quiet_hours_enabled: true, smart_sending_enabled: false, transactional: type === 'preorder.confirmed', body: text.message }, type)
    t.equal(name, `STOQ - ${metricOf(type)}`)
  }
})

t.test('a flow\'s message reads properties that its event has', async t => {
  for (const [type, { message }] of Object.entries(FLOW_TEXTS)) {
    const { file } = files().read(join(import.meta.dirname, type === 'preorder.confirmed' ? 'mapping/preorder.yaml' : 'mapping/back_in_stock.yaml'))
    const properties = Object.keys(file?.value as object)
    const read = [...message.matchAll(/event\.([a-z_]+)/g)].map(([, name]) => name as string)
    t.ok(read.length > 1, type)
    for (const name of read) t.ok(properties.includes(name), `${type} has ${name}`)
  }
})

function metricOf (type: string): string | undefined {
  const manifest = files().read(join(import.meta.dirname, 'provider.yaml')).file?.value as { events: Record<string, { map: { metric: string } }> } | undefined
  return manifest?.events[type]?.map.metric
}
