import t from 'tap'
import type { Answer, Outcome } from '../../gateway/contract.ts'
import { declared, entry, load, loadOne, writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'

const { providers } = await load(declared())

function answer (status: number, headers: Record<string, string> = {}, body: unknown = ''): Answer & { kind: 'answer' } {
  return { kind: 'answer', status, headers, body: typeof body === 'string' ? body : JSON.stringify(body), cut: false }
}

const SAYS = { errors: [{ id: 'x', code: 'invalid', title: 'Invalid input.', detail: 'It says no.' }] }
const JSON_API = { 'content-type': 'application/vnd.api+json' }
const HTML = { 'content-type': 'text/html; charset=utf-8' }

const TABLE: Record<string, Array<[string, Answer & { kind: 'answer' }, Outcome | null]>> = {
  klaviyo: [
    ['accepted', answer(202), null],
    ['accepted, phone dropped', answer(202, { 'x-klaviyo-partial-failure': 'phone_number' }), { is: 'rejected', reason: 'phone_refused', detail: 'Klaviyo recorded the event and dropped the phone number.' }],
    ['refused', answer(400, JSON_API, SAYS), { is: 'rejected', reason: 'payload_refused', detail: 'It says no.' }],
    ['refused, in another shape', answer(400, {}, { errors: 'no' }), { is: 'rejected', reason: 'payload_refused' }],
    ['refused, no JSON', answer(400, {}, '<b>no</b>'), { is: 'rejected', reason: 'payload_refused' }],
    ['refused at length', answer(400, {}, { errors: [{ detail: 'x'.repeat(900) }] }), { is: 'rejected', reason: 'payload_refused', detail: 'x'.repeat(500) }],
    ['wrong key', answer(401, JSON_API, SAYS), { is: 'hold', reason: 'credentials_refused', detail: 'It says no.' }],
    ['scope missing', answer(403, JSON_API, SAYS), { is: 'hold', reason: 'scope_missing', detail: 'It says no.' }],
    ['a page of a guard', answer(403, HTML, '<html>'), { is: 'retry', reason: 'blocked_by_provider', free: true, afterMs: 1_800_000, pause: 'account' }],
    ['a guard by its header', answer(403, { ...JSON_API, 'cf-mitigated': 'challenge' }), { is: 'retry', reason: 'blocked_by_provider', free: true, afterMs: 1_800_000, pause: 'account' }],
    ['gone', answer(404, JSON_API, SAYS), { is: 'rejected', reason: 'target_gone', detail: 'It says no.' }],
    ['wrong method', answer(405, JSON_API, SAYS), { is: 'rejected', reason: 'request_refused', detail: 'It says no.' }],
    ['two profiles', answer(409, JSON_API, SAYS), { is: 'rejected', reason: 'payload_refused', detail: 'It says no.' }],
    ['revision retired', answer(410), { is: 'rejected', reason: 'request_refused' }],
    ['wrong media type', answer(415), { is: 'rejected', reason: 'request_refused' }],
    ['throttled: the core waits as it is told', answer(429, { 'retry-after': '7' }), null],
    ['failing', answer(500), { is: 'retry', reason: 'provider_failing' }],
    ['failing behind its guard', answer(524), { is: 'retry', reason: 'provider_failing' }]
  ],
  attentive: [
    ['accepted', answer(200), null],
    ['refused', answer(400, {}, { message: 'no' }), { is: 'rejected', reason: 'payload_refused', detail: '{"message":"no"}' }],
    ['refused in words', answer(400, {}, 'no'), { is: 'rejected', reason: 'payload_refused', detail: 'no' }],
    ['wrong key', answer(401), { is: 'hold', reason: 'credentials_refused' }],
    ['not granted', answer(403, {}, 'Access Denied'), { is: 'hold', reason: 'scope_missing', detail: 'Access Denied' }],
    ['a page', answer(403, HTML, '<html>'), { is: 'retry', reason: 'blocked_by_provider', free: true, afterMs: 1_800_000, pause: 'account' }],
    ['gone', answer(404), { is: 'rejected', reason: 'target_gone' }],
    ['throttled', answer(429), null],
    ['failing: it may have acted', answer(500), null]
  ]
}

for (const [id, table] of Object.entries(TABLE)) {
  t.test(`what ${id}'s answers mean`, async t => {
    const provider = providers.get(id)
    for (const [name, given, outcome] of table) t.strictSame(provider?.judge(given), outcome, name)
  })
}

t.test('a rule holds only where all its conditions do; the first that fits counts', async t => {
  const rules = `outcomes:
  - { status: [420, 421], header: { name: x-a, equals: Yes }, body_at: { pointer: /a/0, equals: 1 }, is: delivered, reason: accepted_elsewhere }
  - { header: { name: x-a, contains: ye }, is: unknown, reason: no_answer }
  - { body_at: { pointer: /a~1b, contains: part }, is: retry, reason: deferred, pause: lane }
  - { body_at: { pointer: /none, equals: null }, is: delivered }
  - { status: 4xx, is: hold, reason: setup_open, detail: "{{ response.status }} {{ response.headers.x-b | default: 'none' }}" }
events:`
  const manifest = THIRD['provider.yaml'].replace(/outcomes:[^]*events:/, rules)
  const provider = await loadOne(entry(THIRD_ID, writeFolder(t.testdir(), { ...THIRD, 'provider.yaml': manifest })))
  t.strictSame(provider.judge(answer(421, { 'x-a': 'YES' }, { a: [1] })), { is: 'delivered', warning: 'accepted_elsewhere' })
  t.strictSame(provider.judge(answer(421, { 'x-a': 'yes' }, { a: [2] })), { is: 'unknown', reason: 'no_answer' })
  t.strictSame(provider.judge(answer(200, {}, { 'a/b': 'a part of it' })), { is: 'retry', reason: 'deferred', pause: 'lane' })
  t.strictSame(provider.judge(answer(200, {}, { none: null })), { is: 'delivered' })
  t.strictSame(provider.judge(answer(499, { 'x-b': '1' })), { is: 'hold', reason: 'setup_open', detail: '499 1' })
  t.equal(provider.judge(answer(302)), null)
  t.equal(provider.judge(answer(200, {}, '{"__proto__": {"none": null}}')), null, 'own properties only')
})
