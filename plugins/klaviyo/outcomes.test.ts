// What Klaviyo's answers mean for a delivery.

import t from 'tap'
import type { Answer, Outcome } from '../../gateway/contract.ts'
import { answer } from '../../test/helpers/answer.ts'
import { entry, loadOne } from '../../test/helpers/providers.ts'

const klaviyo = await loadOne(entry('klaviyo', import.meta.dirname))

const SAYS = { errors: [{ id: 'x', code: 'invalid', title: 'Invalid input.', detail: 'It says no.' }] }
const JSON_API = { 'content-type': 'application/vnd.api+json' }
const HTML = { 'content-type': 'text/html; charset=utf-8' }

const TABLE: Array<[string, Answer & { kind: 'answer' }, Outcome | null]> = [
  ['accepted', answer(202), null],
  ['accepted, phone dropped', answer(202, { 'x-klaviyo-partial-failure': 'phone_number' }), { is: 'rejected', reason: 'phone_refused', detail: 'Klaviyo recorded the event and dropped the phone number.' }],
  ['refused', answer(400, JSON_API, SAYS), { is: 'rejected', reason: 'payload_refused', detail: 'It says no.' }],
  ['the phone refused', answer(400, JSON_API, { errors: [{ detail: 'No such number.', source: { pointer: '/data/attributes/profile/data/attributes/phone_number' } }] }), { is: 'rejected', reason: 'phone_refused', detail: 'No such number.' }],
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
]

t.test('each answer has its outcome', async t => {
  for (const [name, given, outcome] of TABLE) t.strictSame(klaviyo.judge(given), outcome, name)
})

t.test('the key goes into its own scheme; an account is the one the check saved', async t => {
  t.strictSame(klaviyo.authorize('api_key', { api_key: 'pk_1' }), { authorization: 'Klaviyo-API-Key pk_1' })
  t.equal(klaviyo.account({ account_id: 'ABC123', settings: {} }), 'ABC123')
})
