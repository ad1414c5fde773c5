// R4 in short. The campaign looks at a thousand requests.

import t from 'tap'
import { orderOfCalls } from '../campaign/order.ts'
import { hasStrace } from '../helpers/strace.ts'
import { tempDir } from '../helpers/tmp.ts'

const skip = hasStrace ? false : 'strace is missing, or may not trace'

t.test('R4: the fsync that holds an event has returned before the first byte of its 202 is written', { skip }, async t => {
  const { requests, answers, fsyncs, early } = await orderOfCalls({ dir: tempDir(t), requests: 100 })
  t.equal(answers, requests, 'each answer was seen')
  t.ok(fsyncs >= requests / 10, `${fsyncs} fsyncs`)
  t.strictSame(early, [])
})

t.test('R4: answers that are too early are seen', { skip }, async t => {
  const { answers, early } = await orderOfCalls({ dir: tempDir(t), requests: 8, careless: true })
  t.equal(early.length, answers)
})
