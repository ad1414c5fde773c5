// What Postscript's answers mean for a delivery.

import t from 'tap'
import type { Answer, Outcome } from '../../gateway/contract.ts'
import { judge } from '../../gateway/delivery/judge.ts'
import { answer } from '../../test/helpers/answer.ts'
import { entry, loadOne } from '../../test/helpers/providers.ts'

const postscript = await loadOne(entry('postscript', import.meta.dirname))

const JSON_TYPE = { 'content-type': 'application/json' }
const TEXT = { 'content-type': 'text/plain; charset=utf-8' }
const HTML = { 'content-type': 'text/html; charset=utf-8' }
const HINT = 'The key is right, but Postscript does not allow this: the shop\'s plan may not include API access, which a connection through a partner does not need.'
const DENIED = { error: 'You do not have permission to do that.' }
const code = (number: number, message: string): object => ({ error_code: number, error_message: message, success: false })
const list = (type: string, msg: string): object => ({ errors: [{ loc: [], msg, type }] })

/** Settings of a connection whose events carry no name and no phone. */
const BARE = { ...postscript.settingsDefaults, send_customer_name: false, send_customer_phone: false }
const WITHOUT = { send_customer_name: false, send_customer_phone: false }

const TABLE: Array<[string, Answer & { kind: 'answer' }, Outcome]> = [
  ['accepted', answer(202, JSON_TYPE, { event_ids: ['1234-abcd-5678'] }), { is: 'delivered' }],
  ['accepted, unreadable', answer(202, JSON_TYPE, '{"event_ids'), { is: 'delivered', warning: 'answer_unreadable' }],
  ['A: throttled', answer(429, JSON_TYPE, code(3002, 'Rate limit exceeded')), { is: 'retry', reason: 'rate_limited', detail: 'HTTP 429', free: true, pause: 'lane' }],
  ['A: throttled, should a header come', answer(429, { ...JSON_TYPE, 'retry-after': '7' }, code(3002, 'Rate limit exceeded')), { is: 'retry', reason: 'rate_limited', detail: 'HTTP 429', free: true, pause: 'lane', afterMs: 7000 }],
  ['A: throttled by its code alone', answer(400, JSON_TYPE, code(3002, 'Rate limit exceeded')), { is: 'retry', reason: 'rate_limited', detail: 'Rate limit exceeded', free: true, pause: 'lane' }],
  ['A: keyword gone', answer(404, JSON_TYPE, code(3001, 'Could not find keyword matching that information')), { is: 'rejected', reason: 'target_gone', detail: 'Could not find keyword matching that information' }],
  ['A: keyword gone by its code alone', answer(400, JSON_TYPE, code(3001, 'Could not find keyword matching that information')), { is: 'rejected', reason: 'target_gone', detail: 'Could not find keyword matching that information' }],
  ['A: refused', answer(400, JSON_TYPE, code(3999, 'It says no.')), { is: 'rejected', reason: 'payload_refused', detail: 'It says no.' }],
  ['A: a status goes before a code', answer(401, JSON_TYPE, code(3002, 'Rate limit exceeded')), { is: 'hold', reason: 'credentials_refused', detail: 'Rate limit exceeded' }],
  ['B: not allowed', answer(403, JSON_TYPE, list('v2.access_denied', 'Access denied')), { is: 'hold', reason: 'scope_missing', detail: `Access denied ${HINT}` }],
  ['B: not allowed by its type alone', answer(400, JSON_TYPE, list('v2.access_denied', 'Access denied')), { is: 'hold', reason: 'scope_missing', detail: 'Access denied' }],
  ['B: known already', answer(409, JSON_TYPE, list('v2.entity_conflict', 'pending subscriber already exists')), { is: 'delivered', warning: 'accepted_elsewhere' }],
  ['B: known already, whatever the status', answer(400, JSON_TYPE, list('v2.entity_conflict', 'number already exists')), { is: 'delivered', warning: 'accepted_elsewhere' }],
  ['B: known already, whatever the status', answer(422, JSON_TYPE, list('v2.entity_conflict', 'number already exists')), { is: 'delivered', warning: 'accepted_elsewhere' }],
  ['B: refused', answer(400, JSON_TYPE, { errors: [{ loc: ['type'], msg: 'It says no.', type: 'value_error', ctx: {}, log: [] }] }), { is: 'rejected', reason: 'payload_refused', detail: 'It says no.' }],
  ['B: refused, with nothing in the list', answer(400, JSON_TYPE, { errors: [] }), { is: 'rejected', reason: 'payload_refused' }],
  ['C: plan or partner', answer(403, JSON_TYPE, DENIED), { is: 'hold', reason: 'scope_missing', detail: `${DENIED.error} ${HINT}` }],
  ['C: refused', answer(422, JSON_TYPE, { error: 'It says no.' }), { is: 'rejected', reason: 'payload_refused', detail: 'It says no.' }],
  ['D: refused', answer(400, JSON_TYPE, {}), { is: 'rejected', reason: 'payload_refused', detail: 'Postscript gave no reason.' }],
  ['D: wrong key', answer(401, JSON_TYPE, {}), { is: 'hold', reason: 'credentials_refused' }],
  ['D: not allowed', answer(403, JSON_TYPE, {}), { is: 'hold', reason: 'scope_missing', detail: HINT }],
  ['E: no key', answer(401, TEXT, 'Missing Authorization header'), { is: 'hold', reason: 'credentials_refused', detail: 'Missing Authorization header' }],
  ['E: a page is not shown', answer(401, HTML, '<h1>Unauthorized</h1>'), { is: 'hold', reason: 'credentials_refused' }],
  ['E: a page of a guard', answer(403, HTML, '<h1>Forbidden</h1>'), { is: 'retry', reason: 'blocked_by_provider', free: true, afterMs: 1_800_000, pause: 'account' }],
  ['E: refused', answer(400, TEXT, 'Bad Request'), { is: 'rejected', reason: 'payload_refused' }],
  ['E: gone', answer(404, HTML, '<h1>Not Found</h1>'), { is: 'rejected', reason: 'target_gone' }],
  ['a conflict of any other kind', answer(409), { is: 'delivered', warning: 'accepted_elsewhere' }],
  ['wrong method', answer(405, HTML, '<h1>Method Not Allowed</h1>'), { is: 'rejected', reason: 'request_refused', detail: 'HTTP 405' }],
  ['failing', answer(500, JSON_TYPE, {}), { is: 'retry', reason: 'provider_failing', detail: 'HTTP 500' }],
  ['failing behind a proxy', answer(502, HTML, '<h1>Bad Gateway</h1>'), { is: 'retry', reason: 'provider_failing', detail: 'HTTP 502' }],
  ['failing, and it says when to come again', answer(503, { 'retry-after': '60' }), { is: 'retry', reason: 'provider_failing', detail: 'HTTP 503', afterMs: 60_000 }]
]

t.test('each answer has its outcome: by status, then by type, then by code', async t => {
  for (const [name, given, outcome] of TABLE) t.strictSame(judge(given, postscript, BARE, 0), outcome, `${given.status} ${name}`)
})

const { settingsDefaults } = postscript

/** A list of errors with the place each is about. */
const located = (...loc: string[]): object => ({ errors: [{ loc, msg: 'It says no.', type: 'value_error' }] })

t.test('a 400 that says nothing, or speaks of the properties, is made once more without the customer\'s name and phone', async t => {
  const again = { is: 'retry', reason: 'personal_data_refused', settings: WITHOUT }
  const bodies = [
    answer(400, JSON_TYPE, {}), answer(400, TEXT, 'Bad Request'), answer(400, HTML, '<h1>Bad Request</h1>'), answer(400, JSON_TYPE, { errors: [] }),
    answer(400, JSON_TYPE, located('properties', 'customer_phone')), answer(400, JSON_TYPE, located('body', 'properties')), answer(400, JSON_TYPE, list('value_error', 'properties must not hold personal data')),
    answer(400, JSON_TYPE, code(3999, 'Invalid property: customer_name')), answer(400, JSON_TYPE, { error: 'customer_phone looks like personal data' })
  ]
  for (const given of bodies) {
    t.strictSame(postscript.judge(given, settingsDefaults), again, given.body)
    t.strictSame(postscript.judge(given, { ...settingsDefaults, send_customer_name: false }), again, 'the phone is on')
    t.strictSame(postscript.judge(given, { ...settingsDefaults, send_customer_phone: false }), again, 'the name is on')
    t.match(postscript.judge(given, BARE), { is: 'rejected', reason: 'payload_refused' }, 'both are off, so it ends')
  }
})

t.test('a 400 about something else is not: nothing is asked twice, and no setting changed', async t => {
  const no = { is: 'rejected', reason: 'payload_refused', detail: 'It says no.' }
  for (const body of [located('type'), located('body', 'phone'), list('value_error', 'It says no.'), code(3999, 'It says no.'), { error: 'It says no.' }]) {
    t.strictSame(postscript.judge(answer(400, JSON_TYPE, body), settingsDefaults), no, JSON.stringify(body))
  }
  t.equal(postscript.judge(answer(422, JSON_TYPE, {}), settingsDefaults)?.is, 'rejected', 'another status is another matter')
  t.equal(postscript.judge(answer(400, JSON_TYPE, list('v2.entity_conflict', 'known')), settingsDefaults)?.is, 'delivered', 'so is what it names')
  t.match(postscript.judge(answer(400, JSON_TYPE, code(3002, 'Rate limit exceeded')), settingsDefaults), { reason: 'rate_limited' })
})

t.test('a request without an answer may have been acted on, and one repeat is all there is', async t => {
  t.equal(judge({ kind: 'no_answer', code: 'TIMEOUT', message: 'late' }, postscript, BARE, 0).is, 'unknown')
  t.equal(postscript.uncertain, 'repeat_once')
})

t.test('the keys go where each way wants them; an account is the one the check saved', async t => {
  t.strictSame(postscript.authorize('shop_key', { shop_key: 'sk_1' }), { authorization: 'Bearer sk_1' })
  t.strictSame(postscript.authorize('partner', { partner_key: 'sk_partner_1', shop_key: 'sk_1' }), { authorization: 'Bearer sk_partner_1', 'x-postscript-shop-token': 'sk_1' })
  t.equal(Object.keys(postscript.auth)[0], 'shop_key', 'the way taken where a connection names none')
  t.equal(postscript.account({ account_id: 'shop_1234567abcde', settings: {} }), 'shop_1234567abcde')
})

t.test('a key of another kind in a field is told by its pattern', async t => {
  interface Step { id: string, fields?: Record<string, { pattern: string }> }
  const pattern = (id: string, field: string): RegExp => new RegExp((postscript.setup as Step[]).find(step => step.id === id)?.fields?.[field]?.pattern as string)
  const keys = { private: 'sk_0123456789abcdef', public: 'pk_0123456789abcdef', partner: 'sk_partner_0123456789abcdef', cut: 'sk_0123', spaced: 'sk_01234567 89abcdef' }
  const taken = (fits: RegExp): string[] => Object.entries(keys).filter(([, key]) => fits.test(key)).map(([name]) => name)
  t.strictSame(taken(pattern('key', 'shop_key')), ['private'])
  t.strictSame(taken(pattern('partner_key', 'shop_key')), ['private'])
  t.strictSame(taken(pattern('partner_key', 'partner_key')), ['partner'])
})
