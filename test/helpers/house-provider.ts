// A provider made of YAML alone that every shop sends through over the platform's one account.

import type { Folder } from './made-providers.ts'

export const HOUSE_ID = 'house'

/** Its entry in a config's `providers`; the account's id and key are the platform's. */
export const HOUSE_ENTRY = '  house: { path: providers/house, options: { sender: "+12015550100" }, connection: { account_id: AC1, secrets: { user: { env: HOUSE_USER }, password: { env: HOUSE_PASSWORD } } } }\n'

export const HOUSE: Folder = {
  'provider.yaml': `contract: 1
id: house
title: House
channels: [sms]
base_url: https://api.house.example
connection: gateway
auth:
  basic: { headers: { authorization: "Basic {{ secret.user | append: ':' | append: secret.password | base64_encode }}" } }
limits:
  messages: { match: ["POST /accounts/{account}/messages"], windows: [{ max: 100, per: 1s }] }
requests:
  message: { method: POST, path: "/accounts/{{ connection.account_id }}/messages", body: mapping/message.yaml, omit_empty: [""] }
options:
  sender: { description: Number that sends., type: string, pattern: "^(\\\\+[0-9]{7,15})?$", default: "" }
  service: { description: "Instead of a number, a service.", type: string, default: "" }
  hours: { description: How long a message may wait., type: integer, minimum: 1, default: 4 }
needs_options: [[sender, service]]
settings:
  greeting: { description: What a text begins with., type: string, minLength: 1, default: Back in stock }
events:
  back_in_stock.alert: { request: message, map: { text: "{{ connection.settings.greeting }}: {{ data.product.title }}" } }
setup: []
stand_in:
  message: { status: 201, schema: message.schema.json, key: /reference }
`,
  'mapping/message.yaml': `to: "{{ data.customer.phone }}"
from: "{{ options.sender }}"
service: "{{ options.service }}"
hours: "{{ options.hours }}"
text: "{{ map.text }}"
reference: "{{ delivery.key }}"
callback: "{% if gateway.url != '' %}{{ gateway.url }}/webhooks/house{% endif %}"
`,
  'message.schema.json': JSON.stringify({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    additionalProperties: false,
    required: ['to', 'hours', 'text', 'reference'],
    anyOf: [{ required: ['from'] }, { required: ['service'] }],
    properties: {
      to: { type: 'string', pattern: '^\\+[1-9][0-9]{6,14}$' },
      from: { type: 'string' },
      service: { type: 'string' },
      hours: { type: 'integer', minimum: 1, maximum: 6 },
      text: { type: 'string', minLength: 1 },
      reference: { type: 'string', minLength: 1 },
      callback: { type: 'string', format: 'uri' }
    }
  }, null, 2),
  'setup.md': '# Send through House\n\nNothing is to be connected. An event is a text.\n',
  'cases.yaml': `optional: [callback]
cases:
  - name: everything
    kind: full
    type: back_in_stock.alert
    settings: { greeting: Hello }
    options: { sender: "+12015550199", hours: 1 }
    data:
      customer: { name: Ada, phone: "+12015550123", country: US }
      product: { id: "1", title: Mug, vendor: "", url: https://acme.example/mug }
      variant: { id: "2", price: { amount: "5", currency: USD }, url: https://acme.example/mug }
    expect:
      method: POST
      path: /accounts/ACCT01/messages
      headers: { content-type: application/json }
      body: { to: "+12015550123", from: "+12015550199", hours: 1, text: "Hello: Mug", reference: key-1, callback: https://gateway.example/webhooks/house }
  - name: what must be there
    kind: minimal
    type: back_in_stock.alert
    options: { service: S1 }
    gateway_url: ""
    data:
      customer: { name: Ada, phone: "+12015550123", country: US }
      product: { id: "1", title: Mug, vendor: "", url: https://acme.example/mug }
      variant: { id: "2", price: { amount: "5", currency: USD }, url: https://acme.example/mug }
    expect:
      method: POST
      path: /accounts/ACCT01/messages
      headers: { content-type: application/json }
      body: { to: "+12015550123", service: S1, hours: 4, text: "Back in stock: Mug", reference: key-1 }
`
}
