// R1 and R2 in short on PostgreSQL: the next process takes over when the lease of the one that died has passed.

import t from 'tap'
import { killAtPoints } from '../campaign/failpoints.ts'
import { killAgainAndAgain } from '../campaign/kill.ts'
import { lineOf } from '../campaign/trial.ts'
import type { LoadPoint } from '../failpoints/points.ts'
import { database, haveNoPostgres } from '../helpers/postgres.ts'
import { tempDir } from '../helpers/tmp.ts'
import { onPostgres } from './world.ts'

/** Inside a transaction, which is made in another way here, and before the row that says how a send ended. The campaign takes all. */
const MINE: LoadPoint[] = ['in_group', 'before_outcome']

t.test('R1: kill -9 under load loses nothing on PostgreSQL', { skip: haveNoPostgres }, async t => {
  const { finding, listed, worstKill, allowedPerKill } = await killAgainAndAgain({ dir: tempDir(t), seed: 1, kills: 1, uncertain: 'repeat', on: onPostgres(await database(t)) })
  const { accepted, received, lost, waiting, unknown, doubled, claimedOnly, unexplained } = finding
  t.comment(JSON.stringify({ accepted, received, worstKill }))
  t.ok(accepted > 200, 'there was load')
  t.strictSame({ lost, waiting, unknown, doubled, claimedOnly, unexplained }, { lost: [], waiting: [], unknown: [], doubled: [], claimedOnly: [], unexplained: [] })
  t.strictSame([received, listed], [accepted, accepted])
  t.ok(worstKill <= allowedPerKill, 'no more were sent again than were in flight')
})

t.test('R2: a gateway that dies inside a transaction, or before an outcome is written, loses nothing on PostgreSQL', { skip: haveNoPostgres }, async t => {
  const { allowed, ...verdict } = await killAtPoints({ dir: tempDir(t), seed: 2, points: MINE, kills: 1, rate: 100, on: onPostgres(await database(t)) })
  t.comment(lineOf(verdict))
  t.strictSame(verdict.wrong, [])
  t.ok(verdict.accepted > 50, 'there was load')
  t.ok(verdict.uncertain <= allowed, 'no more are uncertain than were in flight')
})
