// A short run of the campaign's overload: R65 and R66 of the fault list. Times are the campaign's to judge.

import t from 'tap'
import { overload } from '../campaign/overload.ts'
import { storeOfProcess } from '../helpers/stores.ts'
import { tempDir } from '../helpers/tmp.ts'

t.test('R65, R66: more than can be taken: every post is answered, refusals name a time, webhooks are all taken, nothing is lost, and it recovers', async t => {
  const { flood, after, webhooks, finding, listed, ...run } = await overload({ dir: tempDir(t), seed: 1, seconds: 3, connections: 100, marks: { requests: 24, loop_delay: '60s' }, on: await storeOfProcess(t) })
  t.comment(JSON.stringify({ ...run, flood, webhooks, accepted: finding.accepted }))
  t.strictSame(Object.keys(flood.statuses).filter(status => !['202', '429', '503'].includes(status)), [])
  t.ok((flood.statuses['429'] ?? 0) + (flood.statuses['503'] ?? 0) > 0, 'there was more than could be taken')
  t.ok((flood.statuses['202'] ?? 0) > 0, 'and what could be taken was')
  t.equal(flood.without_retry_after, 0)
  t.ok(webhooks.sent > 10)
  t.equal(webhooks.refused, 0)
  t.strictSame(Object.keys(after.statuses), ['202'])
  const { lost, doubled, claimedOnly, unexplained } = finding
  t.strictSame({ lost, doubled, claimedOnly, unexplained }, { lost: [], doubled: [], claimedOnly: [], unexplained: [] })
  t.equal(listed, finding.accepted)
})
