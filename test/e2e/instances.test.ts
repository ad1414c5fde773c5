// Short runs of the campaign on gateways that share a database: R24 and R25 of the fault list, on every commit.

import t, { type Test } from 'tap'
import { instancesLine, type InstancesOptions, type InstancesReport, killByTurns, sleepThrough } from '../campaign/instances.ts'
import { database, haveNoPostgres } from '../helpers/postgres.ts'
import { tempDir } from '../helpers/tmp.ts'

async function once (t: Test, seed: number, campaign: (options: InstancesOptions) => Promise<InstancesReport>): Promise<void> {
  const report = await campaign({ dir: tempDir(t), seed, url: await database(t), times: 1, drain: false })
  t.comment(instancesLine(report))
  t.strictSame(report.wrong, [], 'what was accepted was received, or rests where a person sees it, and no message was doubled')
  t.ok(report.worst <= report.allowed, 'no more were sent again than one had in flight')
  t.equal(report.elsewhereMs.length, 1, 'another one went on with its accounts')
}

t.test('the accounts of a gateway that is killed are worked on by another (R24)', { skip: haveNoPostgres }, async t => {
  await once(t, 24, killByTurns)
})

t.test('a gateway that sleeps through its lease settles nothing that is another one\'s by then (R25)', { skip: haveNoPostgres }, async t => {
  await once(t, 25, sleepThrough)
})
