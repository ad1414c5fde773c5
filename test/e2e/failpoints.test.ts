// R2 in short: once at every point, on every commit. The campaign does it twenty times.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { killAtPoints } from '../campaign/failpoints.ts'
import { lineOf } from '../campaign/trial.ts'
import type { LoadPoint } from '../failpoints/points.ts'
import { sources } from '../helpers/sources.ts'
import { tempDir } from '../helpers/tmp.ts'

/** Those on the way in, and those of the process itself; failpoints-send.test.ts has the others. */
const MINE: LoadPoint[] = ['body_read', 'before_commit', 'in_group', 'before_answer', 'in_migration', 'in_reload']

t.test('R2: a gateway that dies while it takes events, migrates or reloads loses nothing, and makes no event twice', async t => {
  const { allowed, ...verdict } = await killAtPoints({ dir: tempDir(t), seed: 1, points: MINE, kills: 1, rate: 100 })
  t.comment(lineOf(verdict))
  t.equal(verdict.kills, MINE.length)
  t.ok(verdict.accepted > 50, 'there was load')
  t.strictSame(verdict.wrong, [])
  t.ok(verdict.uncertain <= allowed, 'no more are uncertain than were in flight')
})

t.test('#96: the gateway knows no failpoint, and is started without any', async t => {
  const names = /failpoint|EXTRA_MIGRATIONS|NEVER_SYNC|test\/failpoints/i
  t.strictSame(sources(['gateway', 'plugins', 'config']).filter(({ text }) => names.test(text)).map(({ path }) => path), [])
  const { scripts } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { scripts: Record<string, string> }
  t.notMatch(scripts['start'], /--import|test\//)
})
