// A message whose answer was lost, looked for in Twilio's list.

import t from 'tap'
import { HiddenSecret } from '../../gateway/config/secret.ts'
import type { Answer, FoundAnswer, MappingScope, PreparedRequest, Reconciled } from '../../gateway/contract.ts'
import { caseScope } from '../../gateway/providers/cases.ts'
import { answer } from '../../test/helpers/answer.ts'
import { entry, loadOne } from '../../test/helpers/providers.ts'
import { find, NEAR_MS, SKEW_MS } from './find.ts'

const RESERVED_AT = Date.parse('2026-11-21T19:20:00.400Z')
/** It waited for its turn, and then its deadline passed. */
const GIVEN_UP_MS = 170_000
const ASKED_AT = RESERVED_AT + 240_000
const TEXT = 'Acme: Mug is back! https://acme.example/products/mug + 1 & 2'
const TO = '+12015550123'
const REQUEST: PreparedRequest = {
  name: 'message', group: 'create', method: 'POST', path: '/2010-04-01/Accounts/AC1/Messages.json', headers: {}, body: new URLSearchParams({ To: TO, Body: TEXT }).toString()
}
const SCOPE = caseScope({ type: 'back_in_stock.alert', data: {} }) as MappingScope

const message = (afterMs: number, more: object = {}): object => ({
  sid: 'SM00000000000000000000000000000001', to: TO, body: TEXT, direction: 'outbound-api', date_created: new Date(RESERVED_AT + afterMs).toUTCString().replace('GMT', '+0000'), ...more
})
const page = (messages: object[], next: string | null = null): Answer => answer(200, { 'content-type': 'application/json' }, { messages, next_page_uri: next })
const next = (n: number): string => `/2010-04-01/Accounts/AC1/Messages.json?To=%2B12015550123&PageSize=20&Page=${n}&PageToken=PASM${n}`

/** The same, with the time it is there when it is asked for; `aheadMs` before ours. */
const at = (aheadMs: number, given: Answer): Answer => given.kind === 'answer' ? { ...given, headers: { ...given.headers, date: new Date(ASKED_AT + aheadMs).toUTCString() } } : given

async function asked (answers: Answer[], request = REQUEST): Promise<{ found: Reconciled, questions: unknown[] }> {
  const questions: unknown[] = []
  const found = await find(SCOPE, request, { reservedAt: RESERVED_AT, givenUpAt: RESERVED_AT + GIVEN_UP_MS, now: () => ASKED_AT }, async (name, map) => {
    questions.push([name, map])
    return answers[questions.length - 1] ?? page([])
  })
  return { found, questions }
}

const sidOf = ({ status, body }: FoundAnswer): unknown => [status, (JSON.parse(body) as { sid: string }).sid]
const sids = (found: Reconciled): unknown => found.is === 'found' ? found.answers.map(sidOf) : found.is
/** As the core takes it while no other delivery has the message. */
const taken = (found: Reconciled): string => found.is === 'not_found' && (found.doubtful ?? []).length > 0 ? 'doubtful' : found.is

t.test('a message is ours by number, text, direction and time', async t => {
  const table: Array<[string, object, 'found' | 'doubtful' | 'not_found']> = [
    ['made at once', message(0), 'found'],
    ['made as late as the request was given up', message(GIVEN_UP_MS + SKEW_MS - 1000), 'found'],
    ['made a moment before, by another clock', message(-SKEW_MS + 1000), 'found'],
    ['sent from an account on trial', message(0, { body: `Sent from your Twilio trial account - ${TEXT}` }), 'found'],
    ['failed since', message(0, { status: 'undelivered', error_code: 30003 }), 'found'],
    ['made too early, but not by much', message(-SKEW_MS - 1000), 'doubtful'],
    ['made too late, but not by much', message(GIVEN_UP_MS + SKEW_MS + 1000), 'doubtful'],
    ['made an hour before', message(-NEAR_MS + 1000), 'doubtful'],
    ['made an hour later', message(GIVEN_UP_MS + NEAR_MS - 1000), 'doubtful'],
    ['a text that was erased', message(0, { body: '' }), 'doubtful'],
    ['no text', message(0, { body: null }), 'doubtful'],
    ['made much too early', message(-NEAR_MS - 1000), 'not_found'],
    ['made much too late', message(GIVEN_UP_MS + NEAR_MS + 1000), 'not_found'],
    ['another text that was erased', message(-NEAR_MS / 2, { body: '' }), 'not_found'],
    ['another text', message(0, { body: `${TEXT}.` }), 'not_found'],
    ['a part of the text', message(0, { body: TEXT.slice(0, -1) }), 'not_found'],
    ['another number', message(0, { to: '+12015550124' }), 'not_found'],
    ['an erased text to another number', message(0, { to: '+12015550124', body: '' }), 'not_found'],
    ['one that came in', message(0, { direction: 'inbound' }), 'not_found'],
    ['a reply', message(0, { direction: 'outbound-reply' }), 'not_found']
  ]
  for (const [name, one, expected] of table) t.equal(taken((await asked([page([one])])).found), expected, name)
})

t.test('what may be ours is told beside what is, for that may be another\'s', async t => {
  const { found } = await asked([page([message(0, { sid: 'SM2', body: '' }), message(0, { sid: 'SM1' }), message(-60_000, { sid: 'SM0' })])])
  t.strictSame([sids(found), found.is === 'found' && found.doubtful?.map(sidOf)], [[[201, 'SM1']], [[201, 'SM0'], [201, 'SM2']]])
})

t.test('the time it was made at is Twilio\'s, and is held to what its clock says when it is asked', async t => {
  const table: Array<[string, number, number, 'found' | 'doubtful' | 'not_found']> = [
    ['a clock that is a minute ahead', 60_000, 60_000, 'found'],
    ['a clock that is a minute behind', -60_000, -60_000, 'found'],
    ['a clock that is a day ahead', 86_400_000, 86_400_000, 'found'],
    ['a clock that was put right since', -60_000, 0, 'doubtful'],
    ['a clock that has gone wrong since', 0, 7_200_000, 'doubtful']
  ]
  for (const [name, madeMs, aheadMs, expected] of table) t.equal(taken((await asked([at(aheadMs, page([message(madeMs)]))])).found), expected, name)
  t.equal(taken((await asked([at(0, page([message(0)], next(1))), at(7_200_000, page([]))])).found), 'found', 'it is asked once')
  t.equal(taken((await asked([{ ...(page([message(0)]) as Answer & { kind: 'answer' }), headers: { date: 'today' } }])).found), 'found', 'what is no time is none')
})

t.test('it is found as the request itself would have been answered; several come oldest first', async t => {
  const { found, questions } = await asked([page([message(2000, { sid: 'SM3' }), message(1000, { sid: 'SM2' }), message(1000, { sid: 'SM1' }), message(1000, { sid: 'SM0', body: 'Another' })])])
  t.strictSame(sids(found), [[201, 'SM1'], [201, 'SM2'], [201, 'SM3']])
  t.strictSame(questions, [['find_messages', { to: TO, page: null, page_token: null }]])
})

t.test('it is looked for on every page, as far as the list is of use', async t => {
  const other = message(60_000_000, { body: 'Another' })
  const { found, questions } = await asked([page([other], next(1)), page([other], next(2)), page([message(0)])])
  t.equal(found.is, 'found')
  t.strictSame(questions.slice(1), [['find_messages', { to: TO, page: '1', page_token: 'PASM1' }], ['find_messages', { to: TO, page: '2', page_token: 'PASM2' }]])

  const old = message(-25 * 3_600_000)
  const stopped = await asked([page([other], next(1)), page([old, old], next(2))])
  t.strictSame([stopped.found.is, stopped.questions.length], ['not_found', 2], 'what is a day older ends it')

  const across = await asked([page([message(1000, { sid: 'SM2' })], next(1)), page([message(0, { sid: 'SM1' })])])
  t.strictSame(sids(across.found), [[201, 'SM1'], [201, 'SM2']])
})

t.test('a list that cannot be read to its end proves nothing', async t => {
  const table: Array<[string, Answer[]]> = [
    ['no answer', [{ kind: 'no_answer', code: 'DEADLINE', message: 'no full answer' }]],
    ['not sent', [{ kind: 'not_sent', code: 'NO_ROOM', message: 'no room' }]],
    ['refused', [answer(401, {}, { code: 20003 })]],
    ['limited', [answer(429, {}, { code: 20429 })]],
    ['failing', [answer(503, {}, '')]],
    ['cut', [{ ...(page([message(0)]) as Answer & { kind: 'answer' }), cut: true }]],
    ['no JSON', [answer(200, {}, '<html>')]],
    ['another form', [answer(200, {}, { messages: {} })]],
    ['no list', [answer(200, {}, { next_page_uri: null })]],
    ['no word of a next page', [answer(200, {}, { messages: [] })]],
    ['a date that is none', [page([message(0, { date_created: 'today' })])]],
    ['a next page without its place', [page([], '/2010-04-01/Accounts/AC1/Messages.json?Page=1')]],
    ['the second page fails', [page([message(0)], next(1)), answer(500, {}, '')]],
    ['a list without end', Array.from({ length: 20 }, (_, i) => page([message(60_000)], next(i + 1)))]
  ]
  for (const [name, answers] of table) {
    const { found, questions } = await asked(answers)
    t.match(found, { is: 'unclear', detail: String }, name)
    t.ok(questions.length <= 10, name)
  }
  t.match((await asked([], { ...REQUEST, body: null })).found, { is: 'unclear' }, 'the text is gone')
})

t.test('only the place in the list is taken from an answer, never an address', async t => {
  const { questions } = await asked([page([message(60_000)], 'https://evil.example/2010-04-01/Accounts/AC2/Messages.json?To=%2B12015550124&Page=7&PageToken=PA7')])
  t.strictSame(questions[1], ['find_messages', { to: TO, page: '7', page_token: 'PA7' }])
})

t.test('it is what the manifest asks for', async t => {
  const secret = new HiddenSecret('secret-0123456789', null)
  const twilio = await loadOne(entry('stoq-native', import.meta.dirname, { options: { from: '+12015550100' }, connection: { auth: null, accountId: 'AC1', secrets: { api_key_sid: secret, api_key_secret: secret } }, secrets: { callback_token: [secret] } }))
  t.equal(twilio.code.reconcile, find)
  t.equal(twilio.uncertain, 'reconcile')
})
