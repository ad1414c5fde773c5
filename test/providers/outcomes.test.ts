import t from 'tap'
import type { Answer, Outcome } from '../../gateway/contract.ts'
import { answer } from '../helpers/answer.ts'
import { MADE } from '../helpers/made-providers.ts'
import { entry, loadOne, writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'

const folders = t.testdir()
const courier = await loadOne(entry('courier', writeFolder(`${folders}/courier`, MADE.courier)))
const herald = await loadOne(entry('herald', writeFolder(`${folders}/herald`, MADE.herald)))

const SAYS = { errors: [{ code: 'invalid', detail: 'It says no.' }] }
const JSON_TYPE = { 'content-type': 'application/json' }
const HTML = { 'content-type': 'text/html; charset=utf-8' }
const GUARDED: Outcome = { is: 'retry', reason: 'blocked_by_provider', free: true, afterMs: 1_800_000, pause: 'account' }

type Row = [string, Answer & { kind: 'answer' }, Outcome | null]

t.test('what answers mean where a manifest says it', async t => {
  const table: Row[] = [
    ['accepted', answer(202), null],
    ['accepted, with a remark in a header', answer(202, { 'x-courier-dropped': 'email, PHONE' }), { is: 'rejected', reason: 'phone_refused', detail: 'The phone was dropped.' }],
    ['accepted, with another remark', answer(202, { 'x-courier-dropped': 'email' }), null],
    ['refused', answer(400, JSON_TYPE, SAYS), { is: 'rejected', reason: 'payload_refused', detail: 'It says no.' }],
    ['refused, in another shape', answer(400, {}, { errors: 'no' }), { is: 'rejected', reason: 'payload_refused' }],
    ['refused, no JSON', answer(400, {}, '<b>no</b>'), { is: 'rejected', reason: 'payload_refused' }],
    ['refused at length', answer(400, {}, { errors: [{ detail: 'x'.repeat(900) }] }), { is: 'rejected', reason: 'payload_refused', detail: 'x'.repeat(500) }],
    ['wrong key', answer(401, JSON_TYPE, SAYS), { is: 'hold', reason: 'credentials_refused', detail: 'It says no.' }],
    ['scope missing', answer(403, JSON_TYPE, SAYS), { is: 'hold', reason: 'scope_missing', detail: 'It says no.' }],
    ['a page of a guard', answer(403, HTML, '<html>'), GUARDED],
    ['a guard by its header', answer(403, { ...JSON_TYPE, 'x-guard': 'any' }), GUARDED],
    ['gone', answer(404, JSON_TYPE, SAYS), { is: 'rejected', reason: 'target_gone', detail: 'It says no.' }],
    ['one of several', answer(410), { is: 'rejected', reason: 'request_refused' }],
    ['throttled: the core waits as it is told', answer(429, { 'retry-after': '7' }), null],
    ['the first of a class', answer(500), { is: 'retry', reason: 'provider_failing' }],
    ['the last of a class', answer(599), { is: 'retry', reason: 'provider_failing' }]
  ]
  for (const [name, given, outcome] of table) t.strictSame(courier.judge(given), outcome, name)
})

t.test('the whole body is shown where the manifest says so, as JSON or as the words it is', async t => {
  const table: Row[] = [
    ['JSON', answer(400, {}, { message: 'no' }), { is: 'rejected', reason: 'payload_refused', detail: '{"message":"no"}' }],
    ['words', answer(400, {}, 'no'), { is: 'rejected', reason: 'payload_refused', detail: 'no' }],
    ['nothing', answer(400), { is: 'rejected', reason: 'payload_refused' }],
    ['nothing asked for', answer(401, {}, 'no'), { is: 'hold', reason: 'credentials_refused' }],
    ['failing: it may have acted', answer(500), null]
  ]
  for (const [name, given, outcome] of table) t.strictSame(herald.judge(given), outcome, name)
})

t.test('a rule holds only where all its conditions do; the first that fits counts', async t => {
  const rules = `outcomes:
  - { status: [420, 421], header: { name: x-a, equals: Yes }, body_at: { pointer: /a/0, equals: 1 }, is: delivered, reason: accepted_elsewhere }
  - { header: { name: x-a, contains: ye }, is: unknown, reason: no_answer }
  - { body_at: { pointer: /a~1b, contains: part }, is: retry, reason: deferred, pause: lane }
  - { body_at: { pointer: /errors, contains: '["to","phone"]' }, is: rejected, reason: phone_refused }
  - { body_at: { pointer: /none, equals: null }, is: delivered }
  - { status: 4xx, is: hold, reason: setup_open, detail: "{{ response.status }} {{ response.headers.x-b | default: 'none' }}" }
events:`
  const manifest = THIRD['provider.yaml'].replace(/outcomes:[^]*events:/, rules)
  const provider = await loadOne(entry(THIRD_ID, writeFolder(t.testdir(), { ...THIRD, 'provider.yaml': manifest })))
  t.strictSame(provider.judge(answer(421, { 'x-a': 'YES' }, { a: [1] })), { is: 'delivered', warning: 'accepted_elsewhere' })
  t.strictSame(provider.judge(answer(421, { 'x-a': 'yes' }, { a: [2] })), { is: 'unknown', reason: 'no_answer' })
  t.strictSame(provider.judge(answer(200, {}, { 'a/b': 'a part of it' })), { is: 'retry', reason: 'deferred', pause: 'lane' })
  t.strictSame(provider.judge(answer(200, {}, { errors: [{ at: ['to', 'phone'] }] })), { is: 'rejected', reason: 'phone_refused' }, 'a part of a list')
  t.equal(provider.judge(answer(200, {}, { errors: [{ at: ['to', 'name'] }] })), null)
  t.strictSame(provider.judge(answer(200, {}, { none: null })), { is: 'delivered' })
  t.strictSame(provider.judge(answer(499, { 'x-b': '1' })), { is: 'hold', reason: 'setup_open', detail: '499 1' })
  t.equal(provider.judge(answer(302)), null)
  t.equal(provider.judge(answer(200, {}, '{"__proto__": {"none": null}}')), null, 'own properties only')
})
