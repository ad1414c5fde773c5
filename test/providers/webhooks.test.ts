// What a manifest says of webhooks: each fault by code, place and remedy, and what a sound one becomes.

import { join } from 'node:path'
import t from 'tap'
import { BUOY, BUOY_WEBHOOKS } from '../helpers/buoy.ts'
import { entry, load, loadOne, writeFolder } from '../helpers/providers.ts'

const MANIFEST = BUOY['provider.yaml'] as string

/** What is wrong, what is replaced by what, the code, and the text whose line the fault must name. */
const BROKEN: Array<[string, string, string, string, string]> = [
  ['a list by a request that is not there', 'list: { request: hooks', 'list: { request: hoks', 'GW_CONFIG_REFERENCE', 'hoks'],
  ['a subscription by a request that is not there', 'subscribe: { request: hook }', 'subscribe: { request: hoook }', 'GW_CONFIG_REFERENCE', 'hoook'],
  ['an end by a request that is not there', 'unsubscribe: { request: unhook }', 'unsubscribe: { request: onhook }', 'GW_CONFIG_REFERENCE', 'onhook'],
  ['a token by a request that is not there', 'token: { request: secret', 'token: { request: sekret', 'GW_CONFIG_REFERENCE', 'sekret'],
  ['a subscription that says no address', 'subscribe: { request: hook }', 'subscribe: { request: me }', 'GW_CONFIG_REFERENCE', 'subscribe: { request: me }'],
  ['a subscription that says no event', 'on: "{{ map.event }}"', 'on: all', 'GW_CONFIG_REFERENCE', 'subscribe: { request: hook }'],
  ['an end that does not say of what', '/hooks/{{ map.webhook_id }}', '/hooks/all', 'GW_CONFIG_REFERENCE', 'unsubscribe: { request: unhook }'],
  ['a header with capitals', 'header: x-buoy-token', 'header: X-Buoy-Token', 'GW_CONFIG_VALUE', 'X-Buoy-Token'],
  ['a header that proves nothing', 'header: x-buoy-token', 'header: user-agent', 'GW_CONFIG_VALUE', 'user-agent'],
  ['an event that is named twice', 'event: person.out, is', 'event: person.in, is', 'GW_CONFIG_DUPLICATE', 'event: person.in, is'],
  ['a word that is none', 'is: opted_out', 'is: opted-out', 'GW_CONFIG_VALUE', 'opted-out'],
  ['a notice of nobody', 'is: opted_out, phone: [/who/phone], ref: [/who/id]', 'is: opted_out', 'GW_CONFIG_MISSING_KEY', 'is: opted_out'],
  ['a pointer that is none', 'event_at: /what', 'event_at: what', 'GW_CONFIG_VALUE', 'event_at: what'],
  ['nothing to tell repeats by', 'repeats: [/what, /who/id, /when]', 'repeats: []', 'GW_CONFIG_VALUE', 'repeats: []'],
  ['a key that is none', 'event_at: /what', 'event_at: /what\n  shared: true', 'GW_CONFIG_UNKNOWN_KEY', 'shared: true'],
  ['no token', '  token: { request: secret, at: /secret, header: x-buoy-token }\n', '', 'GW_CONFIG_MISSING_KEY', 'webhooks:']
]

t.test('each fault of webhooks is named by code, place and remedy', async t => {
  const root = t.testdir()
  for (const [i, [name, from, to, code, at]] of BROKEN.entries()) {
    t.ok(MANIFEST.includes(from), `${name}: the text to break is there`)
    const text = MANIFEST.replace(from, to)
    const { providers, faults } = await load([entry('buoy', writeFolder(join(root, String(i)), { ...BUOY, 'provider.yaml': text }))])
    t.equal(providers.size, 0, name)
    const line = text.slice(0, text.lastIndexOf(at)).split('\n').length
    t.ok(faults.some(fault => fault.code === code && fault.place.line === line && fault.place.file.endsWith('provider.yaml')), `${name}: ${code} in line ${line}, got ${JSON.stringify(faults.map(fault => [fault.code, fault.place.line, fault.message]))}`)
    for (const { fix, message } of faults) t.ok(fix !== '' && message !== '', name)
  }
})

t.test('the platform\'s account has no webhooks of its own, since nobody connects it', async t => {
  const text = MANIFEST.replace('channels: [sms]', 'channels: [sms]\nconnection: gateway').replace(/setup:\n.*\n$/s, 'setup: []\n')
  const { faults } = await load([entry('buoy', writeFolder(t.testdir(), { ...BUOY, 'provider.yaml': text }))])
  t.ok(faults.some(({ code, message }) => code === 'GW_CONFIG_VALUE' && /registered with a shop's own account/.test(message)), JSON.stringify(faults.map(({ message }) => message)))
})

t.test('a sound one, with its defaults; without one there is none', async t => {
  const root = t.testdir()
  const buoy = await loadOne(entry('buoy', writeFolder(join(root, 'with'), BUOY)))
  t.match(buoy.webhooks, { eventAt: '/what', token: { header: 'x-buoy-token' }, notices: [{ event: 'person.in', at: '/when' }, { event: 'person.out', ref: ['/who/id'], at: null }] })
  const without = await loadOne(entry('buoy', writeFolder(join(root, 'without'), { ...BUOY, 'provider.yaml': MANIFEST.replace(BUOY_WEBHOOKS, '') })))
  t.equal(without.webhooks, undefined)
  const hidden = { ...BUOY, 'mapping/hook.yaml': 'to: "{{ map.callback_url }}"\non: "{{ map.event }}"\n', 'provider.yaml': MANIFEST.replace('body: { to: "{{ map.callback_url }}", on: "{{ map.event }}" }', 'body: mapping/hook.yaml') }
  t.ok((await loadOne(entry('buoy', writeFolder(join(root, 'file'), hidden)))).webhooks)
})
