// A short run of the campaign `faults`.

import t from 'tap'
import { sendThroughFaults, WINDOW } from '../campaign/faults.ts'
import { tempDir } from '../helpers/tmp.ts'

t.test('R40 to R52, all at once: nothing is lost, nothing goes twice to a provider that cannot tell, and no limit is exceeded', async t => {
  const { finding, listed, accepted, refused, rejectedAlone, sentTwice, most, struck } = await sendThroughFaults({ dir: tempDir(t), seed: 40, forMs: 6000, toTheEnd: false })
  const { lost, waiting, doubled, claimedOnly, unexplained } = finding
  t.comment(JSON.stringify({ accepted, received: finding.received, unknown: finding.unknown.length, refused: refused.count, most, struck }))
  t.ok(accepted > 100 && struck.answers > 10 && struck.network > 3, 'there was load, and there were faults')
  t.strictSame({ lost, waiting, doubled, claimedOnly, unexplained }, { lost: [], waiting: [], doubled: [], claimedOnly: [], unexplained: [] })
  t.equal(finding.received + finding.unknown.length, finding.accepted, 'each was taken, or is shown as unknown')
  t.equal(listed, accepted, 'and has one delivery')
  t.strictSame({ sentTwice, wrong: refused.wrong, rejectedAlone }, { sentTwice: [], wrong: [], rejectedAlone: [] })
  t.ok(most <= WINDOW.max, `${most} within a window of ${WINDOW.max}`)
})
