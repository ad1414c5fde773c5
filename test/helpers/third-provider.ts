// A provider made of YAML alone, as a platform team would drop it in: form-encoded, with a value in the path.

export const THIRD_ID = 'parcel-sms'

export const THIRD = {
  'provider.yaml': `contract: 1
id: parcel-sms
title: Parcel SMS
channels: [sms]
base_url: https://api.parcel-sms.example
auth:
  token: { headers: { x-token: "{{ secret.token }}" } }
headers: { accept: application/json }
deadline: 5s
limits:
  messages: { match: ["POST /v2/{account}/messages"], windows: [{ max: 2, per: 1s }] }
  me: { match: [GET /v2/me], windows: [] }
requests:
  me: { method: GET, path: /v2/me, query: { verbose: 1 } }
  message: { method: POST, path: "/v2/{{ connection.account_id }}/messages", body: mapping/message.yaml, encoding: form, headers: { x-country: "{{ data.customer.country }}" } }
settings:
  sender: { description: Name shown as the sender., type: string, default: Shop }
outcomes:
  - { status: 422, body_at: { pointer: /error/code, equals: no_number }, is: rejected, reason: phone_refused, detail: "{{ response.body.error.text }}" }
events:
  back_in_stock.alert: { request: message, map: { text: "{{ data.product.title }} is back: {{ data.variant.url }}" } }
setup:
  - { id: key, kind: api_key, title: Token, text: Paste the token., fields: { token: { label: Token } }, check: { request: me, expect: { status: 200 } } }
`,
  'mapping/message.yaml': `to: "{{ data.customer.phone }}"
from: "{{ connection.settings.sender }}"
text: "{{ map.text }}"
reference: "{{ delivery.key }}"
`,
  'setup.md': '# Send through Parcel SMS\n\nPaste the token. An event is a text.\n',
  'cases.yaml': `cases:
  - name: everything
    kind: full
    type: back_in_stock.alert
    settings: { sender: Acme }
    data:
      customer: { name: Ada, phone: "+12015550123", country: US }
      product: { id: "1", title: Mug & Co, vendor: "", url: https://acme.example/mug }
      variant: { id: "2", price: { amount: "5", currency: USD }, url: "https://acme.example/mug?v=2" }
    expect:
      method: POST
      path: /v2/ACCT01/messages
      headers: { accept: application/json, x-country: US, content-type: application/x-www-form-urlencoded }
      body: to=%2B12015550123&from=Acme&text=Mug+%26+Co+is+back%3A+https%3A%2F%2Facme.example%2Fmug%3Fv%3D2&reference=key-1
  - name: what must be there
    kind: minimal
    type: back_in_stock.alert
    data:
      customer: { name: "", phone: "+12015550124", country: US }
      product: { id: "1", title: Mug, vendor: "", url: https://acme.example/mug }
      variant: { id: "2", price: { amount: "5", currency: USD }, url: https://acme.example/mug }
    expect:
      method: POST
      path: /v2/ACCT01/messages
      headers: { accept: application/json, x-country: US, content-type: application/x-www-form-urlencoded }
      body: to=%2B12015550124&from=Shop&text=Mug+is+back%3A+https%3A%2F%2Facme.example%2Fmug&reference=key-1
`
}
