// A short run of the campaign on gateways that join and leave in order, on every commit.

import t from 'tap'
import { instancesLine, joinAndLeave } from '../campaign/instances.ts'
import { database, haveNoPostgres } from '../helpers/postgres.ts'
import { tempDir } from '../helpers/tmp.ts'

t.test('a third gateway gets its share of the accounts, one that is told to stop hands its own over, and nothing is sent twice', { skip: haveNoPostgres }, async t => {
  const report = await joinAndLeave({ dir: tempDir(t), seed: 26, url: await database(t), times: 1, drain: false })
  t.comment(instancesLine(report))
  t.strictSame(report.wrong, [])
  t.equal(report.verdict.sentAgain, 0)
  t.equal(report.elsewhereMs.length, 1, 'another one went on with its accounts')
})
