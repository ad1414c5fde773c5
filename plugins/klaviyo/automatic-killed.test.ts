// A short run of the campaign's kills, on both stores.

import t from 'tap'
import { database, haveNoPostgres } from '../../test/helpers/postgres.ts'
import { onPostgres } from '../../test/e2e/world.ts'
import { tempDir } from '../../test/helpers/tmp.ts'
import { killAtEachRequest, type Kill } from './automatic.test-kill.ts'

/** At the create, and at what is before and after it. */
const KILLS: Kill[] = [{ at: 6, mode: 'before' }, { at: 6, mode: 'unanswered' }, { at: 2, mode: 'unanswered' }, { at: 8, mode: 'answered' }]

t.test('R1: killed at a request, the automatic set-up goes on, and each metric has one flow', async t => {
  const { kills, tasks, created, wrong } = await killAtEachRequest({ dir: tempDir(t), seed: 1, kills: KILLS })
  t.strictSame(wrong, [])
  t.strictSame({ kills, created }, { kills: KILLS.length, created: tasks })
})

t.test('the same on PostgreSQL', { skip: haveNoPostgres }, async t => {
  const { store = {}, start } = onPostgres(await database(t))
  const few = KILLS.slice(0, 2)
  const { kills, tasks, created, wrong } = await killAtEachRequest({ dir: tempDir(t), seed: 2, kills: few, on: { store, env: start?.env as Record<string, string> } })
  t.strictSame(wrong, [])
  t.strictSame({ kills, created }, { kills: few.length, created: tasks })
})
