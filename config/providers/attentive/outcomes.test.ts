// What Attentive's answers mean for a delivery.

import t from 'tap'
import type { Answer, Outcome } from '../../../gateway/contract.ts'
import { answer } from '../../../test/helpers/answer.ts'
import { entry, loadOne } from '../../../test/helpers/providers.ts'

const attentive = await loadOne(entry('attentive', import.meta.dirname))

const HTML = { 'content-type': 'text/html; charset=utf-8' }

const TABLE: Array<[string, Answer & { kind: 'answer' }, Outcome | null]> = [
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

t.test('each answer has its outcome', async t => {
  for (const [name, given, outcome] of TABLE) t.strictSame(attentive.judge(given), outcome, name)
})
