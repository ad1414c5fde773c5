// Short runs of the campaign's scarcity: R71 and R72 of the fault list.

import t from 'tap'
import { callWithFewDescriptors, judgeDescriptors, judgeMemory, waitInLittleMemory } from '../campaign/scarce.ts'
import { tempDir } from '../helpers/tmp.ts'

t.test('R71: what waits takes no memory: many wait in a small heap, and others are sent beside them', async t => {
  const { ok, line } = judgeMemory(await waitInLittleMemory({ dir: tempDir(t), waiting: 5000 }))
  t.ok(ok, line)
})

t.test('R72: with few descriptors callers beyond them are refused politely; nothing is lost, and it is as before when they have gone', { skip: process.platform === 'linux' ? false : 'needs ulimit' }, async t => {
  const report = await callWithFewDescriptors({ dir: tempDir(t), connections: 300 })
  const { ok, line } = judgeDescriptors({ ...report, recoveredMs: 0 })
  t.ok(ok, line)
  t.ok((report.answers['503'] ?? 0) > 0, 'some were refused with words')
})
