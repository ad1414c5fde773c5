// A provider that can record a message without sending it: that it is told so, and what of a manifest says it wrongly.

import { join } from 'node:path'
import t from 'tap'
import { caseScope } from '../../gateway/providers/cases.ts'
import { omitEmpty } from '../../gateway/providers/body.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { entry, load, loadOne, writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'

const MANIFEST = THIRD['provider.yaml'].replace('deadline: 5s', 'deadline: 5s\nrecord_only: true').replace('encoding: form,', 'encoding: form, omit_empty: [/quiet],')
const MAPPING = `${THIRD['mapping/message.yaml']}quiet: "{{ delivery.record_only | default: '' }}"\n`
const TYPE = 'back_in_stock.alert'
const DATA = {
  customer: { name: 'Ada', phone: '+12015550123', country: 'US' },
  product: { id: '1', title: 'Mug', vendor: '', url: 'https://acme.example/mug' },
  variant: { id: '2', price: { amount: '5', currency: 'USD' }, url: 'https://acme.example/mug' }
}

t.test('the key is there where it is true, and nowhere else; the stand-in takes both and no other body', async t => {
  const provider = await loadOne(entry(THIRD_ID, writeFolder(t.testdir(), { ...THIRD, 'provider.yaml': MANIFEST, 'mapping/message.yaml': MAPPING })))
  t.equal(provider.recordOnly, true)
  let clock = 0
  const { url, close } = await startSandbox({ providers: [provider], port: 0, now: () => { clock += 60_001; return clock } })
  t.teardown(close)
  for (const recordOnly of [true, false]) {
    const prepared = provider.prepare(TYPE, caseScope({ type: TYPE, data: DATA, settings: { sender: 'Acme' }, record_only: recordOnly }))
    if (!prepared.ok) { t.fail(prepared.detail); continue }
    const { method, path, headers, body } = prepared.request
    t.equal(new URLSearchParams(body ?? '').get('quiet'), recordOnly ? 'true' : null)
    const send = (text: string | null) => fetch(`${url}/${THIRD_ID}${path}`, { method, headers: { ...headers, 'x-token': 'token-0123456789' }, body: text })
    t.equal((await send(body)).status, 200)
    t.equal((await send(`${body}&loud=true`)).status, 400)
    t.equal((await send((body ?? '').replace('reference=key-1', ''))).status, 400)
  }
})

t.test('a pointer of omit_empty takes the key it names where that is null or "", and nothing beside it', async t => {
  const tree = { a: '', b: { c: null, d: '', e: false, f: {} }, g: '' }
  t.strictSame(omitEmpty(tree, ['/a', '/b/c', '/b/e', '/b/f', '/b/nowhere', '/nowhere/at/all']), { b: { d: '', e: false, f: {} }, g: '' })
  t.strictSame(omitEmpty(tree, ['/b']), { a: '', b: { e: false }, g: '' })
  t.strictSame(Object.keys(tree.b), ['c', 'd', 'e', 'f'], 'its argument stays as it was')
})

t.test('who would send what is only to be recorded is refused when it is loaded', async t => {
  const root = t.testdir()
  const { providers, faults } = await load([entry(THIRD_ID, writeFolder(join(root, 'silent'), { ...THIRD, 'provider.yaml': MANIFEST }))])
  t.equal(providers.size, 0)
  const line = MANIFEST.slice(0, MANIFEST.indexOf('record_only')).split('\n').length
  t.match(faults, [{ code: 'GW_CONFIG_VALUE', place: { line }, message: /back_in_stock\.alert would be sent/ }])
})

t.test('a template that asks whether it is only to be recorded needs a manifest that says it can be', async t => {
  const { faults } = await load([entry(THIRD_ID, writeFolder(t.testdir(), { ...THIRD, 'mapping/message.yaml': MAPPING }))])
  t.match(faults, [{ code: 'GW_MAPPING_FIELD', message: /record_only/ }])
})
