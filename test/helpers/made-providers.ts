// Providers that the tests bring along, so that no shipped folder is needed to try the core. Two are made of YAML alone:
// "courier" drops repeats by the delivery key, "herald" does not say whether it does. "pigeon" has code besides.

import { join } from 'node:path'
import { stringify } from 'yaml'
import { ROOT } from './sources.ts'

/** Files of a provider's folder: name to text. */
export type Folder = Record<string, string>

const LINK = '{% if connection.settings.link_to == \'checkout\' %}{{ data.variant.checkout_url | default: data.variant.url }}{% else %}{{ data.variant.url }}{% endif %}'
const SETTINGS = `settings:
  link_to: { title: Link, description: Where purchase_link leads., enum: [product, checkout], default: product }
`
const MAPPINGS = {
  'mapping/back_in_stock.yaml': `product_title: "{{ data.product.title }}"
vendor: "{{ data.product.vendor }}"
purchase_link: "${LINK}"
shop_name: "{{ shop.name }}"
shop_domain: "{{ shop.domain }}"
`,
  'mapping/preorder.yaml': `order_name: "{{ data.order.name }}"
shipping_timeline: "{{ data.shipping_timeline | default: '' }}"
shop_name: "{{ shop.name }}"
`
}

function events (request: string): string {
  const types = [['back_in_stock.alert', 'Alert', 'back_in_stock'], ['back_in_stock.reminder', 'Reminder', 'back_in_stock'], ['preorder.confirmed', 'Preorder', 'preorder']]
  const entries = types.map(([type, name, mapping]) => `  ${type}: { request: ${request}, requires: [{ at: /customer/phone, reason: no_phone }], map: { name: ${name}, properties: mapping/${mapping}.yaml } }\n`)
  return `events:\n${entries.join('')}`
}

function setup (id: string): string {
  return `setup:
  - { id: key, kind: api_key, title: Key, text: Paste the key., auth: api_key, fields: { api_key: { label: Key, example: ${id}-0123456789 } }, check: { request: me, expect: { status: 200 }, save: { account_id: /id } } }
  - { id: test, kind: test_event, per: alert_type, needs: [key], title: Test, text: Send one to your own phone. }
`
}

const COURIER = {
  'provider.yaml': `contract: 1
id: courier
title: Courier
channels: [sms]
needs: [external_sms]
base_url: https://api.courier.example
account: "{{ connection.account_id }}"
auth:
  api_key: { headers: { authorization: "Courier-Key {{ secret.api_key }}" } }
headers: { revision: "3", accept: application/json, content-type: application/json }
concurrency: 64
limits:
  accounts: { match: [GET /api/accounts], windows: [{ max: 1, per: 1s }, { max: 15, per: 60s }] }
  events: { match: [POST /api/events], windows: [{ max: 350, per: 1s }, { max: 3500, per: 60s }] }
requests:
  me: { method: GET, path: /api/accounts }
  create_event: { method: POST, path: /api/events, body: mapping/create_event.yaml, omit_empty: [/data/recipient] }
${SETTINGS}uncertain: repeat
outcomes:
  - { status: 202, header: { name: x-courier-dropped, contains: phone }, is: rejected, reason: phone_refused, detail: The phone was dropped. }
  - { status: 400, is: rejected, reason: payload_refused, detail: "{{ response.body.errors[0].detail }}" }
  - { status: 401, is: hold, reason: credentials_refused, detail: "{{ response.body.errors[0].detail }}" }
  - { status: 403, header: { name: x-guard }, is: retry, reason: blocked_by_provider, free: true, after: 30m, pause: account }
  - { status: 403, header: { name: content-type, contains: html }, is: retry, reason: blocked_by_provider, free: true, after: 30m, pause: account }
  - { status: 403, is: hold, reason: scope_missing, detail: "{{ response.body.errors[0].detail }}" }
  - { status: 404, is: rejected, reason: target_gone, detail: "{{ response.body.errors[0].detail }}" }
  - { status: [405, 410, 415], is: rejected, reason: request_refused, detail: "{{ response.body.errors[0].detail }}" }
  - { status: 5xx, is: retry, reason: provider_failing, detail: "{{ response.body.errors[0].detail }}" }
${events('create_event')}${setup('courier')}stand_in:
  me: { body: { id: COURIER1 } }
  create_event: { status: 202, key: /data/key }
`,
  'mapping/create_event.yaml': `data:
  type: event
  key: "{{ delivery.key }}"
  name: "{{ map.name }}"
  properties: "{{ map.properties }}"
  recipient: { phone: "{{ data.customer.phone | default: '' }}", name: "{{ data.customer.name }}" }
`,
  ...MAPPINGS,
  'setup.md': '# Send through Courier\n\nPaste the key.\n',
  'cases.yaml': casesOf('/api/events', { revision: '3', accept: 'application/json', 'content-type': 'application/json' }, ({ name, phone, customer, properties }) =>
    ({ data: { type: 'event', key: 'key-1', name, properties, recipient: { phone, ...(customer !== '' && { name: customer }) } } }))
}

const HERALD = {
  'provider.yaml': `contract: 1
id: herald
title: Herald
channels: [sms]
needs: [external_sms]
base_url: https://api.herald.example
auth:
  api_key: { headers: { authorization: "Bearer {{ secret.api_key }}" } }
headers: { accept: application/json }
concurrency: 32
limits:
  messages: { match: [POST /v1/messages], windows: [{ max: 150, per: 1s }] }
  me: { match: [GET /v1/me], windows: [] }
requests:
  me: { method: GET, path: /v1/me }
  message: { method: POST, path: /v1/messages, body: mapping/message.yaml }
${SETTINGS}uncertain: park
outcomes:
  - { status: 400, is: rejected, reason: payload_refused, detail: "{{ response.body }}" }
  - { status: 401, is: hold, reason: credentials_refused }
${events('message')}${setup('herald')}stand_in:
  me: { body: { id: HERALD1 } }
  message: { schema: message.schema.json, key: /reference }
`,
  'mapping/message.yaml': `name: "{{ map.name }}"
properties: "{{ map.properties }}"
reference: "{{ delivery.key }}"
to: { phone: "{{ data.customer.phone | default: '' }}" }
`,
  'message.schema.json': JSON.stringify({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    additionalProperties: false,
    required: ['name', 'properties', 'reference', 'to'],
    properties: {
      name: { type: 'string' },
      properties: { type: 'object', additionalProperties: { type: 'string' } },
      reference: { type: 'string', minLength: 1 },
      to: { type: 'object', additionalProperties: false, required: ['phone'], properties: { phone: { type: 'string', pattern: '^\\+[1-9][0-9]{6,14}$' } } }
    }
  }, null, 2),
  ...MAPPINGS,
  'setup.md': '# Send through Herald\n\nPaste the key.\n',
  'cases.yaml': casesOf('/v1/messages', { accept: 'application/json', 'content-type': 'application/json' }, ({ name, phone, properties }) => ({ name, properties, reference: 'key-1', to: { phone } }))
}

/** Hooks by defineProvider, and an API of its own in the sandbox that wants keys of a certain form. */
const PIGEON = {
  ...HERALD,
  'provider.yaml': HERALD['provider.yaml'].replaceAll('Herald', 'Pigeon').replaceAll('herald', 'pigeon').replace('example: pigeon-0123456789', 'example: coo-0123456789, pattern: "^coo-[0-9]{10}$"'),
  'index.ts': `import { defineProvider } from '${join(ROOT, 'gateway/define.ts')}'
export default defineProvider({ id: 'pigeon', check: () => ({ is: 'go' }) })
`,
  'sandbox.ts': `const right = body => typeof body?.name === 'string' && typeof body.reference === 'string' && typeof body.properties === 'object' && typeof body.to === 'object' && Object.keys(body).length === 4

function read (body) {
  try { return JSON.parse(String(body)) } catch { return undefined }
}

export default function pigeon (app, context) {
  const isKnown = request => /^Bearer coo-[0-9]{10}$/.test(request.headers.authorization ?? '')
  app.get('/v1/me', async (request, reply) => isKnown(request) ? { id: 'PIGEON1' } : reply.code(401).send({ error: 'who is that?' }))
  app.post('/v1/messages', async (request, reply) => {
    const body = read(request.body)
    const status = !isKnown(request) ? 401 : request.headers['content-type'] !== 'application/json' ? 415 : right(body) ? 200 : 400
    context.record({ account: 'one', method: 'POST', path: '/v1/messages', body, status, key: body?.reference })
    return reply.code(status).send({ status })
  })
}
`
}

/** By id. */
export const MADE = { courier: COURIER, herald: HERALD, pigeon: PIGEON }

/** All their files below one folder: `<id>/<name>` to text. */
export const MADE_FILES: Folder = Object.fromEntries(Object.entries(MADE).flatMap(([id, folder]) => Object.entries(folder).map(([name, text]) => [`${id}/${name}`, text])))

interface Given { name: string, phone: string, customer: string, properties: Record<string, string> }

/** A full and a minimal case of each event. */
function casesOf (path: string, headers: Record<string, string>, bodyOf: (given: Given) => object): string {
  const expect = (given: Given): object => ({ method: 'POST', path, headers, body: bodyOf(given) })
  const shop = { shop_name: 'Acme', shop_domain: 'acme.example' }
  const full = {
    customer: { name: 'Ada Example', phone: '+12015550123', email: 'ada@example.com', country: 'US' },
    product: { id: '7001', title: 'Floral Shirt', vendor: 'Acme', url: 'https://acme.example/shirt' },
    variant: { id: '8001', title: 'Medium', price: { amount: '49.90', currency: 'USD' }, url: 'https://acme.example/shirt?v=1', checkout_url: 'https://acme.example/cart/1' }
  }
  const minimal = {
    customer: { name: '', phone: '+12015550124', country: 'US' },
    product: { id: '7002', title: 'Mug', vendor: '', url: 'https://acme.example/mug' },
    variant: { id: '8002', price: { amount: '5', currency: 'EUR' }, url: 'https://acme.example/mug?v=2' }
  }
  const stock = [['back_in_stock.alert', 'Alert', {}], ['back_in_stock.reminder', 'Reminder', { stage: 1 }]] as const
  const cases = stock.flatMap(([type, name, stage]) => [
    { name: `${name}, everything`, kind: 'full', type, settings: { link_to: 'checkout' }, data: { ...stage, ...full }, expect: expect({ name, phone: '+12015550123', customer: 'Ada Example', properties: { product_title: 'Floral Shirt', vendor: 'Acme', purchase_link: 'https://acme.example/cart/1', ...shop } }) },
    { name: `${name}, what must be there`, kind: 'minimal', type, data: { ...stage, ...minimal }, expect: expect({ name, phone: '+12015550124', customer: '', properties: { product_title: 'Mug', vendor: '', purchase_link: 'https://acme.example/mug?v=2', ...shop } }) }
  ])
  const order = { order: { id: '9001', name: '#1001', number: 1001 }, products: [{ title: 'Mug', quantity: 1 }] }
  const preorder = { type: 'preorder.confirmed', expect: (timeline: string) => expect({ name: 'Preorder', phone: '+12015550123', customer: 'Ada', properties: { order_name: '#1001', shipping_timeline: timeline, shop_name: 'Acme' } }) }
  const customer = { name: 'Ada', phone: '+12015550123', country: 'US' }
  const all = [
    ...cases,
    { name: 'a preorder', kind: 'full', type: preorder.type, data: { customer, ...order, shipping_timeline: 'Soon' }, expect: preorder.expect('Soon') },
    { name: 'a preorder, what must be there', kind: 'minimal', type: preorder.type, data: { customer, ...order }, expect: preorder.expect('') },
    { name: 'a preorder without a phone number is not sent', kind: 'awkward', type: preorder.type, data: { ...order, customer: { name: 'Ada', country: 'US' } }, expect: { refused: 'no_phone' } }
  ]
  return stringify({ cases: all }, { lineWidth: 0, aliasDuplicateObjects: false })
}
