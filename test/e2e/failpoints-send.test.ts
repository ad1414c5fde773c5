// R2 in short: once at every point on the way to a provider.

import t from 'tap'
import { killAtPoints } from '../campaign/failpoints.ts'
import { lineOf } from '../campaign/trial.ts'
import type { LoadPoint } from '../failpoints/points.ts'
import { tempDir } from '../helpers/tmp.ts'

const MINE: LoadPoint[] = ['after_claim', 'before_send', 'before_outcome']

t.test('R2: a gateway that dies between claim and outcome loses nothing, and sends twice only where the provider can tell', async t => {
  const { allowed, ...verdict } = await killAtPoints({ dir: tempDir(t), seed: 2, points: MINE, kills: 1, rate: 100 })
  t.comment(lineOf(verdict))
  t.equal(verdict.kills, MINE.length)
  t.ok(verdict.accepted > 50, 'there was load')
  t.strictSame(verdict.wrong, [])
  t.ok(verdict.uncertain <= allowed, 'no more are uncertain than were in flight')
})
