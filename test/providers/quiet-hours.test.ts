// What a manifest says of quiet hours (E3), of messages that are counted (E4) and of texts (E1): what comes of it, and what of it is refused.

import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Fault, Provider } from '../../gateway/contract.ts'
import { caseScope } from '../../gateway/providers/cases.ts'
import { entry, load, loadOne, writeFolder } from '../helpers/providers.ts'

const TYPE = 'back_in_stock.alert'
const QUIET = `quiet_hours:
  kinds: [marketing]
  every_kind: all_kinds
  hours: { option: hours, setting: hours }
  zone: { option: zone, setting: zone }
  stop_before: 10m
  stricter: stricter.yaml
`
const METERED = 'metered: { by_plan: plans, by_shop: shops, cap: cap, at: { phone: /customer/phone } }\n'
/** Cries at day only. */
const CRIER = {
  'provider.yaml': `contract: 1
id: crier
title: Crier
channels: [sms]
base_url: https://api.crier.example
auth:
  api_key: { headers: { authorization: "Bearer {{ secret.api_key }}" } }
limits:
  messages: { match: [POST /messages], windows: [] }
requests:
  message: { method: POST, path: /messages, body: { body: "{{ map.text }}", within: "{{ delivery.open_for_s }}" } }
options:
  hours: { description: When., type: string, default: "08:00-21:00" }
  zone: { description: Where., type: string, default: "" }
  plans: { description: How much., type: object, default: {} }
  shops: { description: How much., type: object, default: {} }
settings:
  text: { title: Cry, description: What., type: string, default: "{{ title }} is back" }
  hours: { description: When., type: string, default: "" }
  zone: { description: Where., type: string, default: "" }
  all_kinds: { description: All., type: boolean, default: false }
  cap: { description: How much., type: [integer, "null"], default: null }
${QUIET}${METERED}events:
  back_in_stock.alert: { request: message, map: { values: { title: "{{ data.product.title }}", link: "{{ data.variant.url }}" } }, text: { setting: text, reads: values } }
setup:
  - { id: test, kind: test_event, per: alert_type, title: Test, text: Send it. }
`,
  'stricter.yaml': `- { name: Far, country: NZ, open: "09:00-24:00" }
- { name: Near, calling: ["+1201"], days: [sat, sun], open: closed }
`,
  'setup.md': '# Cry\n'
}
const DATA = { customer: { name: 'Ada', phone: '+12015550123', country: 'US' }, product: { id: '1', title: 'Mug', vendor: '', url: 'https://acme.example/mug' }, variant: { id: '2', price: { amount: '5', currency: 'USD' }, url: 'https://acme.example/mug' } }

let folders = 0
const folder = (t: Test, changes: Record<string, string> = {}): string => writeFolder(join(t.testdirName, String(++folders)), { ...CRIER, ...changes })
const crier = (t: Test, options: Record<string, unknown> = {}): Promise<Provider> => loadOne(entry('crier', folder(t), { options }))
async function faultsOf (t: Test, from: string, to: string, { file = 'provider.yaml', options = {} }: { file?: keyof typeof CRIER, options?: Record<string, unknown> } = {}): Promise<Fault[]> {
  t.ok(CRIER[file].includes(from))
  return (await load([entry('crier', folder(t, { [file]: CRIER[file].replace(from, to) }), { options })])).faults
}

t.before(() => { t.testdir() })

t.test('E3: hours, zone and kinds are those of the options and of the shop, and the stricter places are read', async t => {
  const { quietHours: quiet } = await crier(t)
  if (!quiet) throw new Error('it keeps no quiet hours')
  t.strictSame(quiet.hours({}), [{ from: 480, until: 1260 }])
  t.strictSame(quiet.hours({ hours: '10:30-24:00' }), [{ from: 480, until: 1260 }, { from: 630, until: 1440 }])
  t.strictSame([quiet.kinds({}), quiet.kinds({ all_kinds: true }), quiet.kinds({ all_kinds: false })], [['marketing'], ['marketing', 'transactional'], ['marketing']])
  t.strictSame([quiet.zone({}), quiet.zone({ zone: 'Asia/Tokyo' }), quiet.zone({ zone: 'Nowhere' })], [null, 'Asia/Tokyo', null])
  t.equal(quiet.stopBeforeMs, 600_000)
  t.strictSame(quiet.at, { timeZone: '/customer/time_zone', phone: '/customer/phone', country: '/customer/country' })
  t.strictSame(quiet.stricter, [
    { name: 'Far', country: 'NZ', calling: [], days: [1, 2, 3, 4, 5, 6, 7], hours: { from: 540, until: 1440 } },
    { name: 'Near', country: null, calling: ['+1201'], days: [6, 7], hours: null }
  ])
  const off = (await crier(t, { hours: 'off', zone: 'Europe/Paris' })).quietHours
  t.equal(off?.hours({}), null, 'at any time')
  t.strictSame(off?.hours({ hours: '10:00-12:00' }), [{ from: 600, until: 720 }], 'a shop may keep some all the same')
  t.equal(off?.zone({}), 'Europe/Paris')
})

t.test('E3: the request reads how long it is open; where nobody says it, a day', async t => {
  const provider = await crier(t)
  const scope = caseScope({ type: TYPE, data: DATA })
  const within = (openForS?: number): unknown => {
    const prepared = provider.prepare(TYPE, { ...scope, delivery: { ...scope.delivery, ...(openForS !== undefined && { open_for_s: openForS }) } })
    return prepared.ok ? (JSON.parse(prepared.request.body ?? '') as { within: number }).within : prepared
  }
  t.strictSame([within(), within(1800)], [86_400, 1800])
  t.match(await faultsOf(t, QUIET, ''), [{ code: 'GW_MAPPING_FIELD', message: /open_for_s/ }], 'who keeps no quiet hours cannot read it')
})

t.test('E4: a limit is that of the shop, else of its plan, and a shop may have a lower one', async t => {
  const { metered } = await crier(t, { plans: { lite: 10, pro: null }, shops: { 'big.example': 100, 'free.example': null } })
  const limit = (id: string, plan: string, cap: number | null = null) => metered?.limit({ id, plan }, { cap })
  t.strictSame([limit('a', 'lite'), limit('a', 'pro'), limit('a', 'none'), limit('a', 'constructor')], [10, null, null, null])
  t.strictSame([limit('big.example', 'lite'), limit('free.example', 'lite'), limit('big.example', 'lite', 20), limit('a', 'lite', 20), limit('a', 'pro', 0)], [100, null, 20, 10, 0])
  t.strictSame(metered?.at, { phone: '/customer/phone', country: '/customer/country' })
})

t.test('E1: a text is previewed over the same values, and says what it costs or where it is wrong', async t => {
  const text = (await crier(t)).texts?.[TYPE]
  t.match(text, { setting: 'text', title: 'Cry', standard: '{{ title }} is back', names: ['title', 'link'] })
  const preview = (template?: string, data: object = DATA) => text?.preview(caseScope({ type: TYPE, data: data as Record<string, unknown>, ...(template !== undefined && { settings: { text: template } }) }))
  t.strictSame(preview(), { text: 'Mug is back', encoding: 'GSM-7', segments: 1, nonGsm: [] })
  t.strictSame(preview('{{ title }} ✓ 花✓'), { text: 'Mug ✓ 花✓', encoding: 'UCS-2', segments: 1, nonGsm: ['✓', '花'] })
  t.match(preview('{{ titel }}'), { faults: [{ offset: 3, message: 'there is no titel', fix: 'Did you mean "title"?' }] })
  t.match(preview('{% if title == "" %}x{% endif %}'), { faults: [{ offset: 0, message: 'gives an empty text' }] })
  t.match(preview('x', { ...DATA, product: { ...DATA.product, title: 'y'.repeat(70_000) } }), { text: 'x' })
})

t.test('settings that no schema can judge are refused', async t => {
  const { settingsFaults } = await crier(t)
  for (const hours of ['off', '21:00-08:00', '08:00-08:00', '8-9', '24:00-24:30', '08:60-09:00']) t.match(settingsFaults({ hours }), [{ path: '/settings/hours', rule: 'hours', got: hours }], hours)
  for (const zone of ['Nowhere/City', '+02:00', '\u221202:00', 'x'.repeat(99)]) t.match(settingsFaults({ zone }), [{ path: '/settings/zone', rule: 'time_zone' }], zone)
  t.strictSame(settingsFaults({ hours: '', zone: '', text: '{{ title }}' }), [])
  t.strictSame(settingsFaults({ hours: '00:00-24:00', zone: 'US/Eastern' }), [])
  t.strictSame((await loadOne(entry('crier', folder(t, { 'provider.yaml': CRIER['provider.yaml'].replace(QUIET, '').replace('"{{ delivery.open_for_s }}"', '1') })))).settingsFaults({ hours: 'never' }), [])
})

t.test('what a manifest, its file of places or the options say wrongly is told with its place', async t => {
  const table: Array<[name: string, from: string, to: string, fault: Partial<Fault>, more?: Parameters<typeof faultsOf>[3]]> = [
    ['no such option', 'hours: { option: hours,', 'hours: { option: houers,', { code: 'GW_CONFIG_REFERENCE', path: '/quiet_hours/hours/option' }],
    ['no such setting', 'option: zone, setting: zone', 'option: zone, setting: zones', { code: 'GW_CONFIG_REFERENCE', path: '/quiet_hours/zone/setting' }],
    ['no such setting for every kind', 'every_kind: all_kinds', 'every_kind: every', { code: 'GW_CONFIG_REFERENCE', path: '/quiet_hours/every_kind' }],
    ['no file', 'stricter: stricter.yaml', 'stricter: strict.yaml', { code: 'GW_FILE_MISSING', path: '/quiet_hours/stricter' }],
    ['a kind that is none', 'kinds: [marketing]', 'kinds: [sync]', { code: 'GW_CONFIG_VALUE', path: '/quiet_hours/kinds/0' }],
    ['no option for plans', 'by_plan: plans', 'by_plan: plan', { code: 'GW_CONFIG_REFERENCE', path: '/metered/by_plan' }],
    ['no option for shops', 'by_shop: shops', 'by_shop: shop', { code: 'GW_CONFIG_REFERENCE', path: '/metered/by_shop' }],
    ['no setting for the cap', 'cap: cap', 'cap: hat', { code: 'GW_CONFIG_REFERENCE', path: '/metered/cap' }],
    ['hours the wrong way round', '09:00-24:00', '09:00-08:00', { code: 'GW_CONFIG_VALUE', path: '/0/open' }, { file: 'stricter.yaml' }],
    ['hours that are none', '09:00-24:00', '9 to 5', { code: 'GW_CONFIG_VALUE', path: '/0/open' }, { file: 'stricter.yaml' }],
    ['a day that is none', '[sat, sun]', '[sat, son]', { path: '/1/days/1' }, { file: 'stricter.yaml' }],
    ['a place of no kind', ', calling: ["+1201"]', '', { path: '/1' }, { file: 'stricter.yaml' }]
  ]
  for (const [name, from, to, fault, more] of table) t.match((await faultsOf(t, from, to, more)).find(({ path }) => path === fault.path), fault, name)
  t.match(await faultsOf(t, 'contract', 'contract', { options: { hours: 'noon' } }), [{ code: 'GW_CONFIG_VALUE', path: '/providers/crier/options/hours' }])
  t.match(await faultsOf(t, 'contract', 'contract', { options: { zone: 'Moon' } }), [{ code: 'GW_CONFIG_VALUE', path: '/providers/crier/options/zone' }])
})
