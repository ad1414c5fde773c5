// Short runs of the campaign's stops: R67 and R68 of the fault list.

import t from 'tap'
import { stopUnderLoad, stopWhileStuck } from '../campaign/stop.ts'
import { storeOfProcess } from '../helpers/stores.ts'
import { tempDir } from '../helpers/tmp.ts'

t.test('R67: SIGTERM under load, twice: what was asked is answered, what is in flight ends, the process with 0; nothing lost, nothing twice', async t => {
  const { finding, listed, wrongEnds, ...run } = await stopUnderLoad({ dir: tempDir(t), seed: 1, stops: 2, on: await storeOfProcess(t) })
  t.comment(JSON.stringify({ ...run, accepted: finding.accepted }))
  t.ok(finding.accepted > 50, 'there was load')
  const { lost, unknown, waiting, repeatedKeys, doubled, claimedOnly, unexplained } = finding
  t.strictSame({ lost, unknown, waiting, repeatedKeys, doubled, claimedOnly, unexplained }, { lost: [], unknown: [], waiting: [], repeatedKeys: [], doubled: [], claimedOnly: [], unexplained: [] })
  t.equal(finding.received, finding.accepted)
  t.equal(listed, finding.accepted)
  t.strictSame(wrongEnds, [])
})

t.test('R68: SIGTERM while a provider does not answer: the sends are cut and recorded as unknown, within 30 seconds', async t => {
  const { sent, states, repeated, slowestMs, wrongEnds } = await stopWhileStuck({ dir: tempDir(t), seed: 1, stops: 1, on: await storeOfProcess(t) })
  t.strictSame(states, { unknown: sent })
  t.equal(repeated, 0)
  t.strictSame(wrongEnds, [])
  t.ok(slowestMs < 30_000, `${Math.round(slowestMs)} ms`)
})
