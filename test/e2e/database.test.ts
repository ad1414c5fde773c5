// Short runs of the campaign on what befalls a database: R20 to R23 of the fault list, on every commit.

import t, { type Test } from 'tap'
import { cutConnections, type DatabaseReport, databaseLine, failOver, promoteHalfway, restartDatabase, silenceDatabase } from '../campaign/database.ts'
import { haveNoCluster } from '../helpers/postgres.ts'
import { tempDir } from '../helpers/tmp.ts'


/** A post during an outage that hung for as long as that lasts would be no answer; how much less it is, the campaign judges. */
const OUTAGE_MS = 8000

function judged (t: Test, report: DatabaseReport): void {
  t.comment(databaseLine(report))
  t.strictSame(report.verdict.wrong, [], 'what was accepted was received, or rests where a person sees it, and no message was doubled')
  t.ok(report.verdict.received > 0, 'messages were sent')
  t.equal(report.ended, 0, 'the gateway went on')
  t.equal(report.backMs.length > 0, true, 'events were accepted again')
  t.strictSame(Object.keys(report.away.statuses).filter(status => !['0', '202', '422', '503'].includes(status)), [], 'who was not accepted was told to come again')
}

t.test('a database that is stopped and started again under load costs no event, and the gateway stays up (R20)', { skip: haveNoCluster }, async t => {
  judged(t, await restartDatabase({ dir: tempDir(t), seed: 20, times: 2, drain: false }))
})

t.test('a fail-over to the synchronous standby costs no event, and what was in doubt is not sent twice (R21)', { skip: haveNoCluster }, async t => {
  judged(t, await failOver({ dir: tempDir(t), seed: 21, times: 1, drain: false }))
})

t.test('a database that takes connections and never answers is a 503 at once, and intake works when it answers again (R22)', { skip: haveNoCluster }, async t => {
  const report = await silenceDatabase({ dir: tempDir(t), seed: 22, times: 1, drain: false, forMs: OUTAGE_MS })
  judged(t, report)
  t.ok((report.away.statuses[503] ?? 0) > 0, 'posts were refused meanwhile')
  t.ok(report.away.slowestMs < OUTAGE_MS, `nobody waited for its end: ${report.away.slowestMs} ms at most`)
})

t.test('a promoted database that answers no commit is a 503, and works when its setting is gone (R22, M13)', { skip: haveNoCluster }, async t => {
  const report = await promoteHalfway({ dir: tempDir(t), seed: 23, times: 1, drain: false, forMs: OUTAGE_MS })
  judged(t, report)
  t.ok((report.away.statuses[503] ?? 0) > 0, 'posts were refused meanwhile')
  t.ok(report.away.slowestMs < OUTAGE_MS, `nobody waited for its end: ${report.away.slowestMs} ms at most`)
})

t.test('connections that are cut, or go dead without a word, cost no event (R23)', { skip: haveNoCluster }, async t => {
  judged(t, await cutConnections({ dir: tempDir(t), seed: 24, times: 10, drain: false, everyMs: 200 }))
})
