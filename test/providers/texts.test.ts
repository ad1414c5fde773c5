import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Fault, Provider, Row } from '../../gateway/contract.ts'
import { head, headOf, stored } from '../../gateway/delivery/flight.ts'
import { loadAll } from '../../gateway/load.ts'
import { caseScope } from '../../gateway/providers/cases.ts'
import { within } from '../cli/cli.ts'
import { CONFIG, startApp } from '../helpers/app.ts'
import { request } from '../helpers/make.ts'
import { entry, load, loadOne, writeFolder } from '../helpers/providers.ts'
import { tempDir } from '../helpers/tmp.ts'

const ALERT = 'back_in_stock.alert'
const REMINDER = 'back_in_stock.reminder'

/** A provider made of YAML alone that sends the merchant's own words. */
const CRIER = {
  'provider.yaml': `contract: 1
id: crier
title: Crier
channels: [sms]
base_url: https://api.crier.example
auth:
  api_key: { headers: { authorization: "Bearer {{ secret.api_key }}" } }
limits:
  messages: { match: [POST /messages, GET /me], windows: [] }
requests:
  me: { method: GET, path: /me }
  message: { method: POST, path: /messages, body: { to: "{{ data.customer.phone }}", body: "{{ map.text }}", reference: "{{ delivery.key }}" } }
settings:
  text_alert: { description: Text of the alert., type: string, default: "{{ product_title }} is back at {{ shop_name }}: {{ link }}" }
  text_reminder: { description: Text of the reminder., type: string, default: "Still there: {{ link }}" }
  limit: { description: A number., type: integer, default: 1 }
events:
  back_in_stock.alert: { request: message, map: { values: mapping/values.yaml, name: Alert }, text: { setting: text_alert, reads: values } }
  back_in_stock.reminder: { request: message, map: { values: mapping/values.yaml }, text: { setting: text_reminder, reads: values } }
setup:
  - { id: key, kind: api_key, title: Key, text: Paste it., fields: { api_key: { label: Key } }, check: { request: me, expect: { status: 200 } } }
stand_in:
  message: { key: /reference }
`,
  'mapping/values.yaml': `product_title: "{{ data.product.title }}"
variant_title: "{{ data.variant.title | default: '' }}"
shop_name: "{{ shop.name }}"
link: "{{ data.variant.url }}"
more: { deep: "{{ data.product.id }}" }
`,
  'setup.md': '# Send through Crier\n\nPaste the key.\n'
}
const MANIFEST = CRIER['provider.yaml']
const DATA = {
  customer: { name: 'Ada', phone: '+12015550123', country: 'US' },
  product: { id: '7001', title: 'Ada’s Mug – blue', vendor: 'Acme', url: 'https://acme.example/mug' },
  variant: { id: '8001', price: { amount: '49.90', currency: 'USD' }, url: 'https://acme.example/mug?v=1' }
}

const crier = await loadOne(entry('crier', writeFolder(t.testdir(), CRIER)))

function prepare (settings: Record<string, unknown> = {}, { type = ALERT, data = DATA as object, provider = crier }: { type?: string, data?: object, provider?: Provider } = {}): ReturnType<Provider['prepare']> {
  return provider.prepare(type, caseScope({ type, settings, data: data as Record<string, unknown> }))
}

/** The text within a prepared request. */
function textIn (prepared: ReturnType<Provider['prepare']>): unknown {
  return prepared.ok ? (JSON.parse(prepared.request.body ?? '') as { body: string }).body : prepared
}

t.test('the text of a setting is rendered over the values of the map, and its segments go with the request', async t => {
  const prepared = prepare()
  t.equal(textIn(prepared), 'Ada\'s Mug - blue is back at Acme: https://acme.example/mug?v=1')
  t.match(prepared, { ok: true, request: { segments: { encoding: 'GSM-7', segments: 1 } } })
  t.equal(textIn(prepare({ text_alert: '{{ product_title | upcase }}{% if variant_title %} ({{ variant_title }}){% endif %} ✓' })), 'ADA\'S MUG - BLUE ✓')
  t.match(prepare({ text_alert: '✓'.repeat(71) }), { ok: true, request: { segments: { encoding: 'UCS-2', segments: 2 } } })
  t.equal(textIn(prepare({ text_alert: 'not this one' }, { type: REMINDER, data: { ...DATA, stage: 1 } })), 'Still there: https://acme.example/mug?v=1')
})

t.test('data that holds Liquid is sent as it is', async t => {
  const data = { ...DATA, product: { ...DATA.product, title: '{{ link }}{% if %}' } }
  t.equal(textIn(prepare({ text_alert: '{{ product_title }}' }, { data })), '{{ link }}{% if %}')
})

t.test('a text that cannot be made is a reason with the setting\'s name, and nothing of the data', async t => {
  const long = { ...DATA, product: { ...DATA.product, title: 'q'.repeat(300) } }
  for (const [template, says] of [
    ['{{ product_title }}'.repeat(10), /settings\.text_alert: .*3000 /],
    ['{{ variant_title }}', /settings\.text_alert: .*empty/],
    ['{{ prodct_title }}', /settings\.text_alert: character 4: .*"product_title"/]
  ] as const) {
    const prepared = prepare({ text_alert: template }, { data: long })
    t.match(prepared, { ok: false, reason: 'mapping_failed', detail: says }, template)
    t.notMatch(prepared.ok ? '' : prepared.detail, /qqq/, template)
  }
  t.match(prepare({ text_alert: 7 }), { ok: false, reason: 'mapping_failed' })
})

t.test('a merchant\'s settings are told every fault of their texts, by setting and character', async t => {
  t.strictSame(crier.settingsFaults({}), [])
  t.strictSame(crier.settingsFaults({ text_alert: 'Hi {{ link }}', text_reminder: '{{ shop_name }}', limit: 5 }), [])
  t.strictSame(crier.settingsFaults({ text_alert: 7, unknown: '{{ x }}', limit: '{{ x }}' }), [], 'what is no text is the schema\'s to say')
  t.match(crier.settingsFaults({ text_alert: '{{ prodct_title }} {{ more }}', text_reminder: '{% for x in link %}' }), [
    { path: '/settings/text_alert', rule: 'template', message: /^character 4: .*"product_title"/, got: 'prodct_title }} {{ more }}' },
    { path: '/settings/text_alert', rule: 'template', message: /^character 23: / },
    { path: '/settings/text_reminder', rule: 'template', message: /^character 1: / }
  ])
})

t.test('two events that share a setting tell its fault once', async t => {
  const provider = await loadOne(entry('crier', writeFolder(t.testdir(), { ...CRIER, 'provider.yaml': MANIFEST.replace('setting: text_reminder', 'setting: text_alert') })))
  t.equal(provider.settingsFaults({ text_alert: '{{ nobody }}' }).length, 1)
})

/** What is wrong, what is replaced by what, the code, and the text whose line the fault must name. */
const BROKEN: Array<[string, string, string, Fault['code'], string]> = [
  ['a setting that is not there', 'setting: text_alert', 'setting: text_alarm', 'GW_CONFIG_REFERENCE', 'text_alarm'],
  ['a setting that is no text', 'setting: text_alert', 'setting: limit', 'GW_CONFIG_VALUE', 'setting: limit'],
  ['an entry of the map that is not there', 'reads: values } }\n  back', 'reads: value } }\n  back', 'GW_CONFIG_REFERENCE', 'reads: value }'],
  ['an entry of the map that is one value', 'reads: values } }\n  back', 'reads: name } }\n  back', 'GW_CONFIG_REFERENCE', 'reads: name'],
  ['an entry of the map in the text\'s own place', 'name: Alert', 'text: Alert', 'GW_CONFIG_DUPLICATE', 'text: Alert'],
  ['a key that does not exist', 'reads: values } }\n  back', 'reads: values, raeds: a } }\n  back', 'GW_CONFIG_UNKNOWN_KEY', 'raeds'],
  ['a default with a name that is not there', '{{ product_title }} is', '{{ prodct_title }} is', 'GW_MAPPING_SYNTAX', 'prodct_title'],
  ['a default that reads a tree', '{{ product_title }} is', '{{ more }} is', 'GW_MAPPING_SYNTAX', '{{ more }}'],
  ['a default that is no Liquid', '{{ product_title }} is', '{{ product_title is', 'GW_MAPPING_SYNTAX', 'product_title is'],
  ['a default that loops', '{{ product_title }} is', '{% for x in link %}{% endfor %} is', 'GW_MAPPING_SYNTAX', 'for x'],
  ['a request that reads a text no event makes', ', text: { setting: text_reminder, reads: values }', '', 'GW_MAPPING_FIELD', 'map.text'],
  ['a mapping file that is not there', 'values: mapping/values.yaml, name', 'values: mapping/valus.yaml, name', 'GW_FILE_MISSING', 'valus.yaml']
]

t.test('each fault of a text is named by code and place, and told once', async t => {
  const root = t.testdir()
  for (const [i, [name, from, to, code, at]] of BROKEN.entries()) {
    t.ok(MANIFEST.includes(from), `${name}: the text to break is there`)
    const text = MANIFEST.replace(from, to)
    const { providers, faults } = await load([entry('crier', writeFolder(join(root, String(i)), { ...CRIER, 'provider.yaml': text }))])
    t.equal(providers.size, 0, name)
    const line = text.slice(0, text.indexOf(at)).split('\n').length
    t.strictSame(faults.map(fault => [fault.code, fault.place.line]), [[code, line]], `${name}: ${faults.map(({ message }) => message).join('; ')}`)
  }
})

t.test('the fault of a default stands at its column', async t => {
  const { faults } = await load([entry('crier', writeFolder(t.testdir(), { ...CRIER, 'provider.yaml': MANIFEST.replace('{{ product_title }} is', '{{ prodct_title }} is') }))])
  const line = MANIFEST.split('\n').find(one => one.includes('text_alert:')) as string
  t.equal(faults[0]?.place.column, line.indexOf('product_title') + 1)
  t.match(faults[0]?.fix, /"product_title"/)
})

t.test('what a text costs is kept with the request, and requests kept without it are read as before', async t => {
  const plain = request({ path: '/a b?c=1', headers: { 'x-a': 'b\nc' } })
  const full = { ...plain, segments: { encoding: 'UCS-2' as const, segments: 3 } }
  for (const one of [plain, full]) {
    t.strictSame(stored({ request_head: head(one), request_body: one.body } as Row), one)
    t.equal(headOf(head(one)).path, '/a b?c=1')
  }
  t.strictSame(headOf('POST /events\ncreate\nevents\n{}'), { name: 'create', group: 'events', method: 'POST', path: '/events', headers: {} })
})

// ── through the gateway ────────────────────────────────────────────────────────────────────────

const CONNECTION = 'provider: courier, secrets: { api_key: { env: ACME_KEY } }, ready: [back_in_stock, preorder]'
const SECRETS = Object.fromEntries(['KEY_ONE', 'PERSON', 'KEY_ALL', 'KEY_ACME', 'KEY_GLOBEX', 'KEY_EVENTS', 'KEY_READER', 'ACME_KEY'].map(name => [name, randomBytes(32).toString('base64url')]))
const WITH_CRIER = CONFIG
  .replace('providers:\n', 'providers:\n  crier: { path: crier }\n')
  .replace('channels: { sms: courier }', 'channels: { sms: crier }')
  .replace(CONNECTION, CONNECTION.replace('courier', 'crier'))

/** The same without the other providers and the shops. */
const CRIER_ALONE = WITH_CRIER.replace(/ {2}(courier|herald): \{ path.*\n/g, '').replace('default_provider: courier', 'default_provider: crier').replace(/shops:\n {2}- id[\s\S]*$/, '')

t.test('a merchant\'s text is refused over the API where it cannot be used; one that can is sent, and its segments are shown', async t => {
  const dir = tempDir(t)
  writeFolder(join(dir, 'crier'), CRIER)
  const app = await startApp(t, { dir, config: WITH_CRIER })
  const connect = (settings: object): ReturnType<typeof app.ask> => app.ask('PUT', '/v1/shops/acme.example/providers/crier/connection', { body: { secrets: { api_key: 'crier_0123456789' }, settings, ready: ['back_in_stock'] } })

  const refused = await connect({ text_alert: '{{ prodct_title }}', limit: 'x' })
  t.equal(refused.status, 422)
  t.match(refused.body.error, { code: 'GW_REQUEST_INVALID' })
  t.strictSame(refused.body.error?.details.map(({ path, rule }) => [path, rule]), [['/settings/limit', 'type'], ['/settings/text_alert', 'template']])

  t.equal((await connect({ text_alert: '{{ product_title }} ✓' })).status, 200)
  const posted = await app.post({ specversion: '1.0', id: 'text-1', source: 'test', type: ALERT, shop: 'acme.example', time: new Date().toISOString(), data: DATA })
  t.equal(posted.status, 202)
  await app.delivered(posted)
  t.match(await app.received('crier'), [{ body: { to: '+12015550123', body: 'Ada\'s Mug - blue ✓' } }])
  const { id } = await app.delivery('text-1')
  const { body } = await app.ask('GET', `/v1/deliveries/${String(id)}`)
  t.match((body.calls as object[])[0], { request: { name: 'message', encoding: 'UCS-2', segments: 1 } })
})

t.test('a text that the config gives a shop is checked at load, at its line', async t => {
  const dir = tempDir(t)
  writeFolder(join(dir, 'crier'), CRIER)
  const config = (text: string): string => `${CRIER_ALONE}shops:
  - id: acme.example
    name: Acme
    domain: acme.example
    plan: pro
    connections:
      - { provider: crier, secrets: { api_key: { env: ACME_KEY } }, settings: { limit: 2, text_alert: "${text}" } }
`
  const faultsOf = async (text: string): Promise<Array<[string, number]>> => {
    writeFileSync(join(dir, 'gateway.config.yaml'), config(text))
    const { faults } = await loadAll({ file: 'gateway.config.yaml', cwd: dir, env: SECRETS, createSecrets: false, sandboxUrl: null })
    return faults.map(({ code, place }) => [code, place.line])
  }
  const line = config('x').split('\n').findIndex(one => one.includes('text_alert')) + 1
  t.strictSame(await faultsOf('{{ link }}'), [])
  t.strictSame(await faultsOf('{{ lnk }}'), [['GW_MAPPING_SYNTAX', line]])
})

t.test('gateway map shows the text and what it costs', async t => {
  const dir = tempDir(t)
  writeFolder(join(dir, 'crier'), CRIER)
  writeFileSync(join(dir, 'gateway.config.yaml'), CRIER_ALONE)
  const shown = await within(['map', ALERT, '--provider', 'crier', '--json'], { cwd: dir, env: SECRETS })
  t.equal(shown.code, 0, shown.err)
  t.match(JSON.parse(shown.out), { request: { name: 'message', encoding: 'GSM-7', segments: 1 } })
  t.match((await within(['map', ALERT, '--provider', 'crier'], { cwd: dir, env: SECRETS })).err, /1 segment in GSM-7/)
})
