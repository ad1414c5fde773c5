import t from 'tap'
import type { Answer, Outcome, Uncertain } from '../../gateway/contract.ts'
import { judge } from '../../gateway/delivery/judge.ts'
import { answer } from '../helpers/make.ts'

const NOW = Date.parse('2026-10-21T07:28:00Z')

function judged (given: Answer, uncertain: Uncertain = 'repeat', rule: Outcome | null = null): Outcome {
  return judge(given, { uncertain, judge: () => rule }, {}, NOW)
}

function without<T extends object> (value: T): Omit<T, 'detail'> {
  const { detail: _, ...rest } = value as T & { detail?: unknown }
  return rest
}

t.test('R43: each status has its outcome where the provider has no rule of its own', async t => {
  const cases: Array<[statuses: number[], outcome: Outcome]> = [
    [[200, 201, 202, 204, 207, 299], { is: 'delivered' }],
    [[300, 301, 302, 303, 304, 307, 308, 399], { is: 'rejected', reason: 'redirect_refused' }],
    [[400, 402, 406, 409, 411, 414, 418, 422, 423, 431, 451, 499], { is: 'rejected', reason: 'payload_refused' }],
    [[401], { is: 'hold', reason: 'credentials_refused' }],
    [[403], { is: 'hold', reason: 'scope_missing' }],
    [[404, 410], { is: 'rejected', reason: 'target_gone' }],
    [[405, 413, 415], { is: 'rejected', reason: 'request_refused' }],
    [[408, 425], { is: 'retry', reason: 'provider_failing' }],
    [[429], { is: 'retry', reason: 'rate_limited', free: true, pause: 'lane' }]
  ]
  for (const [statuses, outcome] of cases) {
    for (const status of statuses) {
      for (const uncertain of ['repeat', 'repeat_once', 'reconcile', 'park'] as const) t.strictSame(without(judged(answer({ status }), uncertain)), outcome, `${status}, ${uncertain}`)
    }
  }
})

t.test('what we did not send for our own sake costs the delivery no attempt and no time (R20, R25)', async t => {
  for (const code of ['STOPPED', 'HELD', 'ELSEWHERE']) t.strictSame(judged({ kind: 'not_sent', code, message: 'no' }), { is: 'retry', reason: 'deferred', free: true, afterMs: 0 }, code)
})

t.test('the detail of an outcome says the status and nothing of the answer\'s text', async t => {
  const outcome = judged(answer({ status: 422, body: 'Ada +12015550123' })) as Outcome & { detail?: string }
  t.equal(outcome.detail, 'HTTP 422')
})

t.test('R42: an answer of failure is repeated only where the provider tells repeats apart', async t => {
  for (const status of [500, 501, 502, 503, 504, 520, 599]) {
    t.strictSame(without(judged(answer({ status }), 'repeat')), { is: 'retry', reason: 'provider_failing' }, `${status}, repeat`)
    for (const uncertain of ['repeat_once', 'reconcile', 'park'] as const) t.strictSame(without(judged(answer({ status }), uncertain)), { is: 'unknown', reason: 'provider_failing' }, `${status}, ${uncertain}`)
  }
})

t.test('R44: a page in the place of a 403 is a guard in front of the provider, and pauses the account', async t => {
  const page = judged(answer({ status: 403, headers: { 'content-type': 'text/html; charset=utf-8' }, body: '<html>' }))
  t.strictSame(without(page), { is: 'retry', reason: 'blocked_by_provider', free: true, pause: 'account', afterMs: 900_000 })
  const data = judged(answer({ status: 403, headers: { 'content-type': 'application/json' }, body: '{}' }))
  t.strictSame(without(data), { is: 'hold', reason: 'scope_missing' })
})

t.test('R47: what was accepted stays delivered, with a remark where the answer cannot be read', async t => {
  const json = { 'content-type': 'application/vnd.api+json' }
  const remark: Outcome = { is: 'delivered', warning: 'answer_unreadable' }
  const cases: Array<[what: string, given: Partial<Answer & { kind: 'answer' }>, outcome: Outcome]> = [
    ['empty', { status: 202 }, { is: 'delivered' }],
    ['empty, said to be JSON', { status: 202, headers: json }, { is: 'delivered' }],
    ['JSON', { headers: json, body: '{"id":1}' }, { is: 'delivered' }],
    ['text', { headers: { 'content-type': 'text/plain' }, body: 'ok' }, { is: 'delivered' }],
    ['no type', { body: '{' }, { is: 'delivered' }],
    ['errors in JSON, which only the provider\'s rules can know', { headers: json, body: '{"errors":[{}]}' }, { is: 'delivered' }],
    ['broken JSON', { headers: json, body: '{"id":' }, remark],
    ['a page', { headers: { 'content-type': 'text/html' }, body: '<html>' }, remark],
    ['a page said to be JSON', { headers: json, body: '<html>' }, remark],
    ['more than is read', { cut: true, body: 'x' }, remark]
  ]
  for (const [what, given, outcome] of cases) t.strictSame(judged(answer(given)), outcome, what)
})

t.test('R40: the wait of a 429 is what Retry-After says', async t => {
  const wait = (headers: Record<string, string>) => (judged(answer({ status: 429, headers })) as Outcome & { is: 'retry' }).afterMs
  t.equal(wait({}), undefined, 'none: the lane\'s own backoff')
  t.equal(wait({ 'retry-after': '7' }), 7000)
  t.equal(wait({ 'retry-after': 'Wed, 21 Oct 2026 07:29:00 GMT' }), 60_000)
  t.equal(wait({ 'retry-after': '0' }), 1000)
  t.equal(wait({ 'retry-after': 'abc' }), 60_000)
  t.equal(wait({ 'retry-after': '67608' }), 67_608_000)
})

t.test('the provider\'s own rule goes before the defaults, and a time it names before the header', async t => {
  const busy: Outcome = { is: 'retry', reason: 'rate_limited', free: true, pause: 'lane' }
  t.strictSame(judged(answer({ status: 400 }), 'park', { is: 'delivered', warning: 'accepted_elsewhere' }), { is: 'delivered', warning: 'accepted_elsewhere' })
  t.strictSame(judged(answer({ status: 200, headers: { 'retry-after': '9' } }), 'park', busy), { ...busy, afterMs: 9000 })
  t.strictSame(judged(answer({ status: 200, headers: { 'retry-after': '9' } }), 'park', { ...busy, afterMs: 5 }), { ...busy, afterMs: 5 })
  t.strictSame(judged(answer({ status: 200, headers: { 'retry-after': '9' } }), 'park', { is: 'rejected', reason: 'phone_refused' }), { is: 'rejected', reason: 'phone_refused' }, 'only a retry waits')
})

t.test('R46: what was not sent is tried again, what got no answer is unknown, and neither asks the provider\'s rules', async t => {
  const bad = () => { throw new Error('there is no answer to judge') }
  t.match(judge({ kind: 'not_sent', code: 'ECONNREFUSED', message: 'no' }, { uncertain: 'park', judge: bad }, {}, NOW), { is: 'retry', reason: 'not_connected_to_provider', detail: /ECONNREFUSED/ })
  for (const uncertain of ['repeat', 'park'] as const) t.match(judge({ kind: 'no_answer', code: 'DEADLINE', message: 'no' }, { uncertain, judge: bad }, {}, NOW), { is: 'unknown', reason: 'no_answer', detail: /DEADLINE/ })
})

t.test('the provider\'s rules are asked with the settings the request was made with', async t => {
  const asked: unknown[] = []
  judge(answer({ status: 400 }), { uncertain: 'park', judge: (_answer, settings) => { asked.push(settings); return null } }, { short: true }, NOW)
  t.strictSame(asked, [{ short: true }])
})
