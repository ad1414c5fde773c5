// The list of people of a provider, as its manifest tells of it: each fault by code and place, and how people in an answer are read.

import { join } from 'node:path'
import t from 'tap'
import type { Subscribers } from '../../gateway/contract.ts'
import { personFaults } from '../../gateway/providers/subscribers.ts'
import { GUILD } from '../helpers/guild.ts'
import { eventType } from '../helpers/make.ts'
import { EVENT_TYPES, entry, load, loadOne, shippedConfig, writeFolder } from '../helpers/providers.ts'

const MANIFEST = GUILD['provider.yaml']
const LIST = MANIFEST.slice(MANIFEST.indexOf('subscribers:'), MANIFEST.indexOf('setup:'))

/** What is wrong, what is replaced by what, the code, and the text whose line the fault must name. */
const BROKEN: Array<[string, string, string, string, string]> = [
  ['a look-up by a request that is not there', 'find: { request: members', 'find: { request: membrs', 'GW_CONFIG_REFERENCE', 'membrs'],
  ['a look-up by id by a request that is not there', 'find_by_ref: { request: member,', 'find_by_ref: { request: membr,', 'GW_CONFIG_REFERENCE', 'membr,'],
  ['a template that reads what no person has', '{{ person.digits }}', '{{ person.name }}', 'GW_MAPPING_FIELD', 'person.name'],
  ['an event that adds, without a mapping', 'add: [waitlist.joined]', 'add: [order.placed]', 'GW_CONFIG_REFERENCE', 'order.placed'],
  ['an event that goes to people, without a mapping', 'preorder.confirmed]', 'back_in_stock.reminder]', 'GW_CONFIG_REFERENCE', 'back_in_stock.reminder]'],
  ['an event that adds and goes to people on the list', 'gate: [back_in_stock.alert', 'gate: [waitlist.joined, back_in_stock.alert', 'GW_CONFIG_VALUE', 'gate: [waitlist.joined'],
  ['people added for a message that goes to anybody', 'gate: [back_in_stock.alert, preorder.confirmed]', 'gate: [preorder.confirmed]', 'GW_CONFIG_REFERENCE', 'add_for'],
  ['people added for a message without what adding needs', 'add_for: [back_in_stock.alert]', 'add_for: [preorder.confirmed]', 'GW_CONFIG_VALUE', 'add_for: [preorder'],
  ['a state that is none', 'is: opted_out', 'is: left', 'GW_CONFIG_VALUE', 'is: left'],
  ['no states', 'states:\n    - { at: /mail, equals: all, is: subscribed }\n    - { at: /mail, equals: orders, is: transactional_only }\n    - { at: /mail, equals: none, is: opted_out }', 'states: []', 'GW_CONFIG_VALUE', 'states: []'],
  ['a key that is none', 'find_by_ref:', 'find_by_id:', 'GW_CONFIG_UNKNOWN_KEY', 'find_by_id'],
  ['a setting that is not there', 'needs_settings: [{ name: room', 'needs_settings: [{ name: rooms', 'GW_CONFIG_REFERENCE', 'rooms'],
  ['a reason that does not exist', 'reason: keyword_missing', 'reason: keyword_mising', 'GW_CONFIG_REFERENCE', 'keyword_mising'],
  ['a rule about a request that is not there', '{ request: invite, status: 400', '{ request: invit, status: 400', 'GW_CONFIG_REFERENCE', 'request: invit,']
]

t.test('each fault of a list of people is named by code, place and remedy', async t => {
  const dir = t.testdir()
  for (const [i, [what, from, to, code, named]] of BROKEN.entries()) {
    t.equal(MANIFEST.split(from).length, 2, `${what}: replaced once`)
    const text = MANIFEST.replace(from, to)
    const { faults } = await load([entry('guild', writeFolder(join(dir, String(i)), { ...GUILD, 'provider.yaml': text }))])
    const [fault] = faults
    t.equal(faults.length, 1, `${what}: ${JSON.stringify(faults)}`)
    t.equal(fault?.code, code, what)
    t.equal(text.split('\n')[(fault?.place.line ?? 0) - 1]?.includes(named.split('\n')[0] as string), true, `${what}: line ${fault?.place.line}`)
    t.match(fault?.fix, /\S/, what)
  }
})

t.test('people in an answer are read as the manifest says, and a body that is none of its answers says nothing', async t => {
  const guild = await loadOne(entry('guild', writeFolder(t.testdir(), GUILD)))
  const { find, findByRef, add, gate, addFor } = guild.subscribers as Subscribers
  t.strictSame([add, gate, addFor], [['waitlist.joined'], ['back_in_stock.alert', 'preorder.confirmed'], ['back_in_stock.alert']])
  const person = (mail: unknown, more: object = {}) => ({ id: 'm1', phone: '1 (201) 555-0123', mail, ...more })
  t.strictSame(find.read(JSON.stringify({ members: [person('all'), person('orders', { id: 7 }), person('none', { id: null }), person('who knows'), {}] })), [
    { digits: '12015550123', ref: 'm1', state: 'subscribed' },
    { digits: '12015550123', ref: '7', state: 'transactional_only' },
    { digits: '12015550123', ref: null, state: 'opted_out' },
    { digits: '12015550123', ref: 'm1', state: null },
    { digits: '', ref: null, state: null }
  ])
  t.strictSame(find.read('{"members":[]}'), [])
  for (const body of ['', 'gone', '[]', '{}', '{"members":{}}', 'null', '7']) t.equal(find.read(body), null, body)
  t.match(findByRef?.read(JSON.stringify(person('all'))), [{ state: 'subscribed' }])
  const scope = { connection: { account_id: 'A', settings: {} }, person: { phone: '+12015550123', digits: '12015550123', ref: 'm1' } }
  t.strictSame([find.map.render(scope), findByRef?.map.render(scope)], [{ digits: '12015550123' }, { id: 'm1' }])
})

t.test('the event that adds the person of a message has of its data what a sign-up has, and the consent', async t => {
  const dir = t.testdir()
  const guild = await loadOne(entry('guild', writeFolder(join(dir, 'whole'), GUILD)))
  const [data] = (EVENT_TYPES['back_in_stock.alert'] as { examples: Array<Record<string, unknown>> }).examples
  const made = guild.subscribers?.addData({ ...data, stage: 1 })
  t.strictSame(made, { ...data, consent: { sms: true } })
  t.equal((await loadOne(entry('guild', writeFolder(join(dir, 'plain'), { ...GUILD, 'provider.yaml': MANIFEST.replace(LIST, '') })))).subscribers, null, 'a provider that texts anybody has none')
})

t.test('a setting that must be chosen first lets the event wait; a rule of one request is about no other', async t => {
  const guild = await loadOne(entry('guild', writeFolder(t.testdir(), GUILD)))
  const [data] = (EVENT_TYPES['waitlist.joined'] as { examples: Array<Record<string, unknown>> }).examples as [Record<string, unknown>]
  const scope = (settings: object) => ({ data, shop: { id: 'a', name: 'A', domain: 'a.example' }, connection: { account_id: 'A', settings }, event: { id: 'e', source: 's', type: 'waitlist.joined', time: '2026-11-22T00:00:00Z' }, delivery: { id: 'd', key: 'd', attempt: 1, record_only: false } }) as Parameters<typeof guild.prepare>[1]
  t.strictSame(guild.prepare('waitlist.joined', scope({})), { ok: false, reason: 'keyword_missing', detail: 'the setting room is empty', waits: true })
  t.match(guild.prepare('waitlist.joined', scope({ room: 'hall' })), { ok: true, request: { body: '{"phone":"+12015550123","room":"hall"}' } })
  const answer = { kind: 'answer', status: 400, headers: {}, body: '{"why":"no"}', cut: false } as const
  t.match(guild.judge(answer, {}, 'invite'), { reason: 'phone_refused', detail: 'no' })
  for (const name of ['message', undefined]) t.match(guild.judge(answer, {}, name), { reason: 'payload_refused' })
})

t.test('where a config does not say whose phone number an event has, nobody could be looked up: that is a fault', async t => {
  const guild = await loadOne(entry('guild', writeFolder(t.testdir(), GUILD)))
  const types = (person: string | null) => ({ eventTypes: Object.fromEntries(['waitlist.joined', 'back_in_stock.alert', 'preorder.confirmed'].map(type => [type, eventType({ type, person })])) })
  t.strictSame(personFaults(shippedConfig(), [guild], types('/customer/phone')), [])
  t.match(personFaults(shippedConfig(), [guild], types(null)), [{ code: 'GW_CONFIG_MISSING_KEY', path: '/event_types/waitlist.joined', message: /guild sends waitlist.joined to its own subscribers only/ }, {}, {}])
})
