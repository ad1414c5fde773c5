// Words of a manifest for what an answer carries or asks for: the id of what was made, and settings to be changed.

import t from 'tap'
import { answer } from '../helpers/answer.ts'
import { entry, load, loadOne, writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'

const SETTINGS = `settings:
  sender: { description: Name shown as the sender., type: string, default: Shop }
  personal: { description: Whether the name is sent., type: boolean, default: true }
  tone: { description: How it is said., enum: [plain, merry], default: plain }
outcomes:
`

/** The folder with other rules; `receipt` is added to its request. */
function folder (rules: string, receipt = ''): Record<string, string> {
  const manifest = THIRD['provider.yaml'].replace(/settings:[^]*?events:/, `${SETTINGS}${rules}events:`).replace('encoding: form,', `encoding: form,${receipt}`)
  return { ...THIRD, 'provider.yaml': manifest }
}

const ADJUST = '  - { status: 400, setting: { name: personal, equals: true }, is: retry, reason: payload_refused, with: { personal: false, tone: merry } }\n  - { status: 400, is: rejected, reason: phone_refused }\n'

t.test('a rule with a setting fits while the connection has that value; a connection that says nothing has the default', async t => {
  const provider = await loadOne(entry(THIRD_ID, writeFolder(t.testdir(), folder(ADJUST))))
  const again = { is: 'retry', reason: 'payload_refused', settings: { personal: false, tone: 'merry' } } as const
  for (const settings of [undefined, {}, { personal: true }, { personal: true, tone: 'merry' }]) t.strictSame(provider.judge(answer(400), settings), again)
  for (const settings of [{ personal: false }, { personal: 'true' }, { personal: null }]) t.strictSame(provider.judge(answer(400), settings), { is: 'rejected', reason: 'phone_refused' })
  t.equal(provider.judge(answer(401), {}), null)
})

t.test('the id of what was made is read where the request says', async t => {
  const { receipt } = await loadOne(entry(THIRD_ID, writeFolder(t.testdir(), folder(ADJUST, ' receipt: /data/0/id,'))))
  const ids: Array<[string, string | null]> = [
    ['{"data":[{"id":"SM1"}]}', 'SM1'],
    ['{"data":[{"id":17}]}', '17'],
    [`{"data":[{"id":"${'x'.repeat(300)}"}]}`, 'x'.repeat(200)],
    ['{"data":[{"id":""}]}', null],
    ['{"data":[{"id":null}]}', null],
    ['{"data":[{"id":{}}]}', null],
    ['{"data":[]}', null],
    ['{"data":{"__proto__":[{"id":"x"}]}}', null],
    ['<html>', null],
    ['', null]
  ]
  for (const [body, id] of ids) t.equal(receipt('message', body), id, body.slice(0, 40))
  t.equal(receipt('me', '{"data":[{"id":"SM1"}]}'), null, 'another request has none')
  t.equal((await loadOne(entry(THIRD_ID, writeFolder(t.testdir(), THIRD)))).receipt('message', '{"id":"SM1"}'), null, 'nor one that does not say')
})

t.test('rules that change settings name such that there are, with values that fit, and end their own condition', async t => {
  const broken: Array<[string, string, string]> = [
    ['setting: { name: persnal, equals: true }, is: rejected, reason: phone_refused', 'GW_CONFIG_REFERENCE', '/outcomes/0/setting/name'],
    ['setting: { name: personal, equals: 1 }, is: rejected, reason: phone_refused', 'GW_CONFIG_VALUE', '/outcomes/0/setting/equals'],
    ['setting: { name: personal }, is: rejected, reason: phone_refused', 'GW_CONFIG_MISSING_KEY', '/outcomes/0/setting'],
    ['setting: { name: personal, equals: true }, is: rejected, reason: phone_refused, with: { personal: false }', 'GW_CONFIG_VALUE', '/outcomes/0/with'],
    ['is: retry, reason: deferred, with: { personal: false }', 'GW_CONFIG_VALUE', '/outcomes/0/with'],
    ['setting: { name: personal, equals: true }, is: retry, reason: deferred, with: { tone: merry }', 'GW_CONFIG_VALUE', '/outcomes/0/with'],
    ['setting: { name: personal, equals: true }, is: retry, reason: deferred, with: { personal: true }', 'GW_CONFIG_VALUE', '/outcomes/0/with'],
    ['setting: { name: personal, equals: true }, is: retry, reason: deferred, with: { personal: false, tune: merry }', 'GW_CONFIG_REFERENCE', '/outcomes/0/with/tune'],
    ['setting: { name: personal, equals: true }, is: retry, reason: deferred, with: { personal: false, tone: sad }', 'GW_CONFIG_VALUE', '/outcomes/0/with/tone'],
    ['setting: { name: personal, equals: true }, is: retry, reason: deferred, after: 5s, with: { personal: false }', 'GW_CONFIG_VALUE', '/outcomes/0/with'],
    ['setting: { name: personal, equals: true }, is: retry, reason: deferred, pause: lane, with: { personal: false }', 'GW_CONFIG_VALUE', '/outcomes/0/with'],
    ['setting: { name: personal, equals: true }, is: retry, reason: deferred, with: {}', 'GW_CONFIG_VALUE', '/outcomes/0/with']
  ]
  for (const [rule, code, path] of broken) {
    const { faults } = await load([entry(THIRD_ID, writeFolder(t.testdir(), folder(`  - { status: 400, ${rule} }\n`)))])
    t.strictSame(faults.map(fault => [fault.code, fault.path]), [[code, path]], rule)
    t.ok(faults[0]?.fix && faults[0].place.line > 1)
  }
  for (const receipt of [' receipt: id,', ' receipt: "",', ' receipt: 1,']) {
    const { faults } = await load([entry(THIRD_ID, writeFolder(t.testdir(), folder(ADJUST, receipt)))])
    t.match(faults, [{ path: '/requests/message/receipt' }], receipt)
  }
})
