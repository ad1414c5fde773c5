// Set-up steps of a manifest: each fault by code, place and remedy, and what a sound one becomes.

import { join } from 'node:path'
import t from 'tap'
import { entry, load, loadOne, writeFolder } from '../helpers/providers.ts'
import { BEACON, BEACON_SETUP } from '../helpers/setup.ts'
import { withArrival } from '../helpers/setup-arrival.ts'

const MANIFEST = BEACON['provider.yaml'] as string
const KEY_STEP = BEACON_SETUP.slice(BEACON_SETUP.indexOf('  - id: key'), BEACON_SETUP.indexOf('  - id: pair'))

/** What is wrong, what is replaced by what, the code, and the text whose line the fault must name. */
const BROKEN: Array<[string, string, string, string, string]> = [
  ['two steps of one id', 'id: pair', 'id: key', 'GW_CONFIG_DUPLICATE', 'id: key\n    kind: api_key\n    title: Connect Beacon by a pair'],
  ['a step that needs one that is not there', 'needs: [method]\n    when: { step: method, is: checked }', 'needs: [methd]\n    when: { step: method, is: checked }', 'GW_CONFIG_REFERENCE', 'methd'],
  ['a step that needs a later one', '    needs: [key]\n    title: Select', '    needs: [flow]\n    title: Select', 'GW_CONFIG_REFERENCE', 'needs: [flow]'],
  ['a kind that is none', 'kind: confirm', 'kind: confrim', 'GW_CONFIG_VALUE', 'confrim'],
  ['credentials without fields', '    fields: { api_key: { label: Key, hint: It begins with bea_., example: bea_any_0123456789, pattern: "^bea_[!-~]{6,}$" } }\n', '', 'GW_CONFIG_MISSING_KEY', '- id: key'],
  ['a list without options', '    options: { request: lists, items: /lists, value: /id, label: /name }\n', '', 'GW_CONFIG_MISSING_KEY', '- id: list'],
  ['a choice without choices', '    choices:\n      - { value: checked, title: Checked, text: We look it up., ways: [api_key], otherwise: Not with a pair. }\n      - { value: trusted, title: Trusted, text: We believe you. }\n', '', 'GW_CONFIG_MISSING_KEY', '- id: method'],
  ['a key of another kind', 'setting: list_id', 'setting: list_id\n    choices: [{ value: a, title: A, text: A }, { value: b, title: B, text: B }]', 'GW_CONFIG_VALUE', 'choices: [{ value: a'],
  ['a list that is done for each group', 'setting: list_id', 'setting: list_id\n    per: setup_group', 'GW_CONFIG_VALUE', 'setting: list_id\n    per'],
  ['a test that is not for each kind of message', 'kind: test_event\n    per: alert_type', 'kind: test_event\n    per: setup_group', 'GW_CONFIG_VALUE', '- id: test'],
  ['a choice that is none', 'when: { step: method, is: checked }', 'when: { step: list, is: checked }', 'GW_CONFIG_REFERENCE', 'when: { step: list'],
  ['a choice that it has not', 'when: { step: method, is: trusted }', 'when: { step: method, is: trustd }', 'GW_CONFIG_REFERENCE', 'trustd'],
  ['a way to connect that is not there', 'ways: [api_key]', 'ways: [api_kee]', 'GW_CONFIG_REFERENCE', 'api_kee'],
  ['a way to authorize that is not there', 'auth: pair', 'auth: pear', 'GW_CONFIG_REFERENCE', 'auth: pear'],
  ['a check by a request that is not there', 'check: { request: lists', 'check: { request: lizts', 'GW_CONFIG_REFERENCE', 'lizts'],
  ['a list by a request that is not there', 'options: { request: lists', 'options: { request: lizts', 'GW_CONFIG_REFERENCE', 'options: { request: lizts'],
  ['a look-up by a request that is not there', 'topic: { request: topics', 'topic: { request: topix', 'GW_CONFIG_REFERENCE', 'topix'],
  ['a setting that is not there', 'setting: list_id', 'setting: list_ids', 'GW_CONFIG_REFERENCE', 'list_ids'],
  ['a setting that is no text', 'setting: list_id', 'setting: send_name', 'GW_CONFIG_REFERENCE', 'setting: send_name'],
  ['a finding about nothing', 'trigger: { of: listening', 'trigger: { of: listning', 'GW_CONFIG_REFERENCE', 'listning'],
  ['near names of what is not compared', 'near: /name', 'near: /title', 'GW_CONFIG_REFERENCE', 'near: /title'],
  ['a reason that does not exist', 'says: { not_verified', 'says: { not_verifyed', 'GW_CONFIG_REFERENCE', 'not_verifyed'],
  ['a field that the way does not read', 'token: { label: Token, example: token-any }', 'token: { label: Token, example: token-any }, extra: { label: Extra }', 'GW_CONFIG_REFERENCE', 'extra: { label'],
  ['a template that reads what is not entered', '{{ input.flow_name }}', '{{ input.flow }}', 'GW_MAPPING_FIELD', '{{ input.flow }}'],
  ['a trigger that reads what is no setting', 'trigger: "topic preorder.confirmed"', 'trigger: "{{ connection.settings.topic }}"', 'GW_MAPPING_FIELD', 'settings.topic'],
]

t.test('each fault of a set-up is named by code, place and remedy', async t => {
  const root = t.testdir()
  const sound = await load([entry('beacon', writeFolder(join(root, 'sound'), BEACON))])
  t.strictSame(sound.faults.map(({ message }) => message), [])
  for (const [i, [name, from, to, code, at]] of BROKEN.entries()) {
    t.ok(MANIFEST.includes(from), `${name}: the text to break is there`)
    const text = MANIFEST.replace(from, to)
    const { providers, faults } = await load([entry('beacon', writeFolder(join(root, String(i)), { ...BEACON, 'provider.yaml': text }))])
    t.equal(providers.size, 0, name)
    const line = text.slice(0, text.lastIndexOf(at)).split('\n').length
    t.ok(faults.some(fault => fault.code === code && Math.abs(fault.place.line - line) <= (at.includes('\n') ? 1 : 0) && fault.place.file.endsWith('provider.yaml')), `${name}: ${code} in line ${line}, got ${JSON.stringify(faults.map(fault => [fault.code, fault.place.line, fault.message]))}`)
    for (const { fix, message } of faults) t.ok(fix !== '' && message !== '', name)
  }
})

const NO_ARRIVAL: Array<[string, string, string, string, string]> = [
  ['an arrival at a step of another kind', 'kind: test_event\n    per: alert_type\n    needs: [key]\n    optional: true', 'kind: task\n    per: setup_group\n    needs: [key]\n    optional: true', 'GW_CONFIG_VALUE', '    arrival:'],
  ['an arrival that is looked for without end', '      within: 6s\n', '', 'GW_CONFIG_MISSING_KEY', '    arrival:'],
  ['an arrival that nobody looks up', 'look_up:\n        topic: { request: topics, items: /topics, match: { /name: "{{ trigger }}" } }\n        event: { request: sent_events, with: { topic: "{{ found.topic.id }}", since: "{{ sent.time }}" }, items: /events, match: { /key: "{{ sent.id }}", /to/phone: "{{ sent.phone }}" } }', 'look_up: {}', 'GW_CONFIG_VALUE', 'look_up: {}'],
  ['an arrival by a request that is not there', 'request: sent_events', 'request: sent_event', 'GW_CONFIG_REFERENCE', 'request: sent_event,'],
  ['an arrival that reads what a merchant enters', '/key: "{{ sent.id }}"', '/key: "{{ input.flow_name }}"', 'GW_MAPPING_FIELD', '/key: "{{ input'],
  ['an arrival that reads what was not sent', '/key: "{{ sent.id }}"', '/key: "{{ sent.key }}"', 'GW_MAPPING_FIELD', '/key: "{{ sent.key'],
  ['an arrival with near names of what is not compared', 'items: /events, match', 'items: /events, near: /name, match', 'GW_CONFIG_REFERENCE', 'near: /name, match']
]

t.test('C6: each fault of an arrival is named by code, place and remedy; a sound one is compiled', async t => {
  const root = t.testdir()
  const manifest = withArrival(MANIFEST)
  const beacon = await loadOne(entry('beacon', writeFolder(join(root, 'sound'), { ...BEACON, 'provider.yaml': manifest })))
  t.match(beacon.setup.find(({ id }) => id === 'test'), { arrival: { withinMs: 6000, lookUps: [{ id: 'topic' }, { id: 'event', request: 'sent_events' }] } })
  t.ok(beacon.setup.filter(({ id }) => id !== 'test').every(({ arrival }) => arrival === undefined))
  for (const [i, [name, from, to, code, at]] of NO_ARRIVAL.entries()) {
    t.ok(manifest.includes(from), `${name}: the text to break is there`)
    const text = manifest.replace(from, to)
    const { faults } = await load([entry('beacon', writeFolder(join(root, String(i)), { ...BEACON, 'provider.yaml': text }))])
    const line = text.slice(0, text.lastIndexOf(at)).split('\n').length
    t.ok(faults.some(fault => fault.code === code && fault.place.line === line && fault.fix !== ''), `${name}: ${code} in line ${line}, got ${JSON.stringify(faults.map(fault => [fault.code, fault.place.line, fault.message]))}`)
  }
})

t.test('the platform\'s account is none that a shop gives credentials for', async t => {
  const text = MANIFEST.replace('channels: [sms]', 'channels: [sms]\nconnection: gateway').replace(BEACON_SETUP, `setup:\n${KEY_STEP}`)
  const { faults } = await load([entry('beacon', writeFolder(t.testdir(), { ...BEACON, 'provider.yaml': text }))])
  t.ok(faults.some(({ code, message, fix }) => code === 'GW_CONFIG_VALUE' && /the account is the platform's/.test(message) && /Remove the step/.test(fix)), JSON.stringify(faults.map(({ message }) => message)))
})

t.test('a sound set-up: defaults filled in, names and variables of each kind of message', async t => {
  const beacon = await loadOne(entry('beacon', writeFolder(t.testdir(), BEACON)))
  t.strictSame(beacon.setup.map(({ id, kind }) => `${id} ${kind}`), ['key api_key', 'pair api_key', 'list select', 'method choice', 'test test_event', 'flow verify', 'built confirm'])
  t.match(beacon.setup[0], { needs: [], optional: false, when: null, recheck: 'hold', auth: 'api_key', lookUps: [], findings: [] })
  t.match(beacon.setup[2], { auth: null, recheck: 'warn', setting: 'list_id' })
  t.match(beacon.setup[5], { action: 'Verify flow', when: { step: 'method', is: 'checked' }, lookUps: [{ id: 'flow', near: '/name' }, { id: 'topic' }, { id: 'listening' }, { id: 'second' }] })
  const connection = { account_id: 'A', settings: beacon.settingsDefaults }
  t.equal(beacon.trigger('preorder.confirmed', connection), 'topic preorder.confirmed')
  t.equal(beacon.trigger('nothing', connection), null)
  t.strictSame(beacon.variables['preorder.confirmed'], ['order_name', 'shop_name'])
  t.equal(beacon.resetText, 'Flows at Beacon stay.')
})
