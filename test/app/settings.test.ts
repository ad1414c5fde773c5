// E1 for any provider: texts and single settings of a connection that a shop has made itself.

import { join } from 'node:path'
import t, { type Test } from 'tap'
import { anEvent, CONFIG, makeApp, type App, type Body } from '../helpers/app.ts'
import { writeFolder } from '../helpers/providers.ts'

t.jobs = 2

const CRIER = {
  'provider.yaml': `contract: 1
id: crier
title: Crier
channels: [sms]
base_url: https://api.crier.example
account: "{{ connection.account_id }}/{{ connection.settings.branch }}"
auth:
  api_key: { headers: { authorization: "Bearer {{ secret.api_key }}" } }
limits:
  messages: { match: [POST /messages, GET /me], windows: [] }
requests:
  me: { method: GET, path: /me }
  message: { method: POST, path: /messages, body: { body: "{{ map.text }}", loud: "{{ connection.settings.loud }}", reference: "{{ delivery.key }}" } }
settings:
  text: { title: Cry, description: What., type: string, minLength: 1, default: "{{ title }} is back" }
  loud: { description: How., type: boolean, default: false }
  branch: { description: Which., type: string, default: main }
events:
  back_in_stock.alert: { request: message, map: { values: { title: "{{ data.product.title }}", shop: "{{ shop.name }}" } }, text: { setting: text, reads: values } }
setup:
  - { id: key, kind: api_key, title: Key, text: Paste it., fields: { api_key: { label: Key } }, check: { request: me, expect: { status: 200 } } }
stand_in:
  message: { key: /reference }
`,
  'setup.md': '# Cry\n'
}
const AT = '/v1/shops/acme.example/providers/crier'
const TEXT = `${AT}/texts/back_in_stock.alert`

async function started (t: Test): Promise<App> {
  const app = makeApp(t, { config: CONFIG.replace('providers:\n', 'providers:\n  crier: { path: providers/crier }\n') })
  writeFolder(join(app.dir, 'providers', 'crier'), CRIER)
  await app.start()
  return app
}
const connect = (app: App, settings: object = {}) => app.ask('PUT', `${AT}/connection`, { body: { secrets: { api_key: 'key-of-tests-0123456789' }, account_id: '1', settings, ready: ['back_in_stock'] } })
const audited = async (app: App) => (await app.query('select actor, subject from audit where action = \'settings.put\' order by at')).map(({ actor, subject }) => [actor, subject])

t.test('E1: a text of a connection is tried before there is one, and saved once there is', async t => {
  const app = await started(t)
  t.match(await app.ask('GET', `${AT}/texts`), { status: 200, body: { used: false, why: 'Courier sends this shop\'s messages now; what is set here is kept until Crier is chosen.', settings: { loud: false }, items: [{ own: false, preview: { text: 'Floral Shirt is back', segments: 1 } }] } })
  t.match(await app.ask('PUT', TEXT, { body: { text: 'Mine' } }), { status: 409, body: { error: { code: 'GW_CONFLICT' } } })
  await connect(app, { loud: true })
  t.match(await app.ask('PUT', TEXT, { body: { text: '{{ shop }}: {{ title }}!' }, key: 'acme' }), { status: 200, body: { own: true, preview: { text: 'Acme: Floral Shirt!' } } })
  await app.ask('PUT', '/v1/shops/acme.example/channels/sms', { body: { provider: 'crier' } })
  await app.delivered(await app.post(anEvent('own')))
  t.match((await app.received('crier'))[0], { body: { body: 'Acme: Floral Shirt!', loud: true } }, 'the other settings stay')
  t.match(await app.ask('DELETE', TEXT), { status: 200, body: { own: false, text: '{{ title }} is back' } })
  await app.restart()
  t.match((await app.ask('GET', `${AT}/texts`)).body, { used: true, why: null, settings: { loud: true }, items: [{ text: '{{ title }} is back' }] })
  await app.delivered(await app.post(anEvent('standard')))
  t.ok((await app.received('crier')).some(({ body }) => (body as Body)['body'] === 'Floral Shirt is back'))
  t.strictSame(await audited(app), [['acme', 'crier text'], ['all', 'crier text']])
})

t.test('E1: a setting by which the account is told is not changed beside its credentials, and what is so already is left alone', async t => {
  const app = await started(t)
  await connect(app)
  const patch = (body: object) => app.ask('PATCH', `${AT}/settings`, { body })
  t.match(await patch({ branch: 'other' }), { status: 409, body: { error: { code: 'GW_CONFLICT', message: /branch.*Connect again/ } } })
  t.match(await patch({ branch: 'main', loud: false }), { status: 200, body: { settings: { branch: 'main', loud: false } } })
  t.strictSame(await audited(app), [], 'nothing has changed')
  t.match(await patch({ loud: true }), { status: 200, body: { settings: { loud: true } } })
  t.match(await patch({ loud: 'very' }), { status: 422, body: { error: { details: [{ path: '/loud', rule: 'type' }] } } })
  t.match(await patch({ text: '{{ price }}' }), { status: 422, body: { error: { details: [{ path: '/text', rule: 'template' }] } } })
  t.equal((await app.ask('PATCH', `${AT}/settings`, { body: { loud: true }, key: 'reader' })).status, 403)
  t.equal((await app.ask('PATCH', `${AT}/settings`, { body: { loud: true }, key: 'globex' })).status, 404)
  t.strictSame(await audited(app), [['all', 'crier loud']])
})

t.test('E4: at providers that shops pay themselves nothing is counted, and none is shown', async t => {
  const app = await started(t)
  await app.delivered(await app.post(anEvent('one')))
  t.match(await app.ask('GET', '/v1/shops/acme.example/usage'), { status: 200, body: { shop: 'acme.example', providers: [] } })
  t.equal((await app.ask('GET', '/v1/shops/nobody.example/usage')).status, 404)
})
