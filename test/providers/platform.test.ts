// What a provider gets of the platform: its one account, its options, where it is reached.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createFiles } from '../../gateway/config/files.ts'
import { HiddenSecret } from '../../gateway/config/secret.ts'
import type { GatewayConnectionConfig, ProviderConfig } from '../../gateway/contract.ts'
import { caseScope } from '../../gateway/providers/cases.ts'
import { providerSuite } from '../conformance/provider.ts'
import { HOUSE, HOUSE_ID } from '../helpers/house-provider.ts'
import { entry, EVENT_TYPES, files, load, loadOne, writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'

const TYPE = 'back_in_stock.alert'
const DATA = { customer: { name: 'Ada', phone: '+12015550123', country: 'US' }, product: { id: '1', title: 'Mug', vendor: '', url: 'https://acme.example/mug' }, variant: { id: '2', price: { amount: '5', currency: 'USD' }, url: 'https://acme.example/mug' } }

function account (more: Partial<GatewayConnectionConfig> = {}): GatewayConnectionConfig {
  return { auth: null, secrets: { user: new HiddenSecret('SK1', null), password: new HiddenSecret('pässword', null) }, accountId: 'AC1', ...more }
}

const house = (dir: string, more: Partial<ProviderConfig> = {}): ProviderConfig => entry(HOUSE_ID, dir, { options: { sender: '+12015550100' }, connection: account(), ...more })

/** The config's text of an entry that is wrong; what the loader is given of it, the code, and the text whose line the fault must name. */
const BROKEN: Array<[what: string, yaml: string, given: Partial<ProviderConfig>, code: string, at: string]> = [
  ['no account', 'house:\n    options: {}', { connection: null }, 'GW_CONFIG_MISSING_KEY', 'house:'],
  ['a way to authorize that there is not', 'house:\n    connection:\n      auth: oauth2', { connection: account({ auth: 'oauth2' }) }, 'GW_CONFIG_REFERENCE', 'auth:'],
  ['a secret that is missing', 'house:\n    connection:\n      secrets: {}', { connection: account({ secrets: { user: new HiddenSecret('SK1', null) } }) }, 'GW_CONFIG_MISSING_KEY', 'secrets:'],
  ['a secret nobody reads', 'house:\n    connection:\n      secrets:\n        pin: {}', { connection: account({ secrets: { ...account().secrets, pin: new HiddenSecret('1', null) } }) }, 'GW_CONFIG_UNKNOWN_KEY', 'pin:'],
  ['no id of an account that requests name', 'house:\n    connection:\n      secrets: {}', { connection: account({ accountId: null }) }, 'GW_CONFIG_MISSING_KEY', 'connection:'],
  ['an option that there is not', 'house:\n    options:\n      sendr: x', { options: { sender: '+12015550100', sendr: 'x' } }, 'GW_CONFIG_UNKNOWN_KEY', 'sendr:'],
  ['an option of another type', 'house:\n    options:\n      hours: many', { options: { sender: '+12015550100', hours: 'many' } }, 'GW_CONFIG_TYPE', 'hours:'],
  ['an option that does not fit', 'house:\n    options:\n      hours: 0', { options: { sender: '+12015550100', hours: 0 } }, 'GW_CONFIG_VALUE', 'hours:'],
  ['none of the options of which one is needed', 'house:\n    options:\n      hours: 4', { options: { hours: 4 } }, 'GW_CONFIG_MISSING_KEY', 'options:'],
  ['an empty one of them', 'house:\n    options:\n      sender: ""', { options: { sender: '' } }, 'GW_CONFIG_MISSING_KEY', 'options:']
]

t.test('each thing that the config gives wrongly is named by code and place', async t => {
  const folder = writeFolder(join(t.testdir(), HOUSE_ID), HOUSE)
  const dir = t.testdir({})
  writeFolder(folder, HOUSE)
  for (const [what, yaml, given, code, at] of BROKEN) {
    const text = `providers:\n  ${yaml}\n`
    writeFileSync(join(dir, 'gateway.config.yaml'), text)
    const { file: from } = createFiles({ cwd: dir, env: {} }).read('gateway.config.yaml')
    const { providers, faults } = await load([house(folder, given)], from === null ? {} : { from })
    const line = text.slice(0, text.indexOf(at)).split('\n').length
    t.match(faults, [{ code, place: { file: 'gateway.config.yaml', line } }], `${what}: ${JSON.stringify(faults)}`)
    t.equal(providers.size, 0, what)
    t.ok(faults.every(({ fix }) => fix !== ''), what)
  }
})

t.test('an account for a provider that shops connect themselves is a fault of the config', async t => {
  const { faults } = await load([entry(THIRD_ID, writeFolder(t.testdir(), THIRD), { connection: account() })])
  t.match(faults, [{ code: 'GW_CONFIG_VALUE', place: { file: /gateway\.config\.yaml$/ }, path: `/providers/${THIRD_ID}/connection` }])
})

t.test('a provider that is announced only needs neither account nor options', async t => {
  const { faults } = await load([house(writeFolder(t.testdir(), HOUSE), { comingSoon: true, connection: null, options: {} })])
  t.strictSame(faults, [])
})

/** What is wrong in provider.yaml, what is replaced by what, the code, and the text whose line the fault must name. */
const MANIFESTS: Array<[string, string, string, string, string]> = [
  ['whose account it is', 'connection: gateway', 'connection: house', 'GW_CONFIG_VALUE', 'connection: house'],
  ['no steps where a shop connects', 'connection: gateway', 'connection: shop', 'GW_CONFIG_VALUE', 'setup: []'],
  ['a step that asks a shop for a key', 'setup: []', 'setup:\n  - { id: key, kind: api_key, title: Key, text: Paste it., fields: { user: { label: User }, password: { label: Password } } }', 'GW_CONFIG_VALUE', '- { id: key'],
  ['an option without a default', ', default: 4 }', ' }', 'GW_CONFIG_MISSING_KEY', 'hours:'],
  ['a default that does not fit its option', 'default: 4', 'default: 0', 'GW_CONFIG_VALUE', 'hours:'],
  ['an option that is no schema', 'type: integer, minimum', 'type: int, minimum', 'GW_CONFIG_VALUE', 'hours:'],
  ['a needed option that there is not', '[[sender, service]]', '[[sender, servce]]', 'GW_CONFIG_REFERENCE', 'needs_options'],
  ['a template with an option that there is not', 'text: "{{ connection', 'text: "{{ options.colour }}{{ connection', 'GW_MAPPING_FIELD', 'text: "{{ options.colour'],
  ['a template with what the gateway is not', 'text: "{{ connection', 'text: "{{ gateway.port }}{{ connection', 'GW_MAPPING_FIELD', 'text: "{{ gateway.port']
]

t.test('each fault of a manifest for the platform\'s account is named by code and place', async t => {
  const root = t.testdir()
  for (const [i, [what, find, put, code, at]] of MANIFESTS.entries()) {
    const text = HOUSE['provider.yaml']!.replace(find, put)
    t.not(text, HOUSE['provider.yaml'], `${what}: the text to break is there`)
    const { providers, faults } = await load([house(writeFolder(join(root, String(i)), { ...HOUSE, 'provider.yaml': text }))])
    const line = text.slice(0, text.indexOf(at)).split('\n').length
    t.equal(providers.size, 0, what)
    t.ok(faults.some(fault => fault.code === code && fault.place.line === line && fault.place.file.endsWith('provider.yaml')), `${what}: ${code} in line ${line}, got ${JSON.stringify(faults)}`)
  }
})

t.test('options are the config\'s over the manifest\'s, and a case\'s own over the manifest\'s alone', async t => {
  const provider = await loadOne(house(writeFolder(t.testdir(), HOUSE), { options: { sender: '+12015550100', hours: 5 } }))
  t.strictSame(provider.options, { sender: '+12015550100', service: '', hours: 5 })
  t.equal(provider.connection, 'gateway')
  const { options: _, gateway: _own, ...scope } = caseScope({ type: TYPE, data: DATA })
  const bodyOf = (more: object): unknown => {
    const prepared = provider.prepare(TYPE, { ...scope, ...more })
    return prepared.ok ? JSON.parse(prepared.request.body ?? '') : prepared
  }
  t.match(bodyOf({}), { from: '+12015550100', hours: 5, callback: undefined }, 'nobody reaches this gateway')
  t.match(bodyOf({ options: { service: 'S1' } }), { service: 'S1', hours: 4, from: undefined })
  t.match(provider.request('message', { ...scope, map: { text: 'x' } }), { ok: true, request: { body: /"hours":5/ } }, 'also for a request by name')
})

t.test('templates read where others reach the gateway', async t => {
  const { providers } = await load([house(writeFolder(t.testdir(), HOUSE))], { publicUrl: 'https://sms.example.com/in' })
  const { options: _, gateway: _own, ...scope } = caseScope({ type: TYPE, data: DATA })
  t.match(providers.get(HOUSE_ID)?.prepare(TYPE, scope), { ok: true, request: { body: /"callback":"https:\/\/sms\.example\.com\/in\/webhooks\/house"/ } })
})

t.test('Basic credentials are the base64 of their UTF-8', async t => {
  const provider = await loadOne(house(writeFolder(t.testdir(), HOUSE)))
  t.strictSame(provider.authorize('basic', { user: 'SK1', password: 'pässword' }), { authorization: `Basic ${Buffer.from('SK1:pässword').toString('base64')}` })
})

t.test('a provider at the platform\'s account keeps what every folder must', async t => {
  await providerSuite(t, await loadOne(house(writeFolder(t.testdir(), HOUSE))), { files: files(), eventTypes: EVENT_TYPES })
})
