// A short run of the campaign's full disk: R7 of the fault list. The same with an injected disk is in test/app/overload.test.ts.

import t from 'tap'
import { canMount, fillDisk } from '../campaign/disk.ts'
import { tempDir } from '../helpers/tmp.ts'

t.test('R7: a disk that fills up stops what comes in first, then sends; both go on by themselves, and nothing is lost', { skip: canMount ? false : 'only root can mount a small disk' }, async t => {
  const { finding, listed, wrong, integrity, ...run } = await fillDisk({ dir: tempDir(t), seed: 1, rounds: 1 })
  t.comment(JSON.stringify({ ...run, accepted: finding.accepted }))
  t.strictSame(wrong, [])
  const { lost, unknown, waiting, doubled, claimedOnly, unexplained } = finding
  t.strictSame({ lost, unknown, waiting, doubled, claimedOnly, unexplained }, { lost: [], unknown: [], waiting: [], doubled: [], claimedOnly: [], unexplained: [] })
  t.ok(finding.accepted > 50, 'there was load')
  t.equal(finding.received, finding.accepted)
  t.equal(listed, finding.accepted)
  t.equal(integrity, 'ok')
})
