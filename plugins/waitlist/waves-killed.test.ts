// A short run of kills in the middle of waves.

import { join } from 'node:path'
import t from 'tap'
import { onPostgres } from '../../test/e2e/world.ts'
import { newPlace, query, storeKind } from '../../test/helpers/stores.ts'
import { tempDir } from '../../test/helpers/tmp.ts'
import { killWaves } from './waves-killed.test-world.ts'

t.test('F3, R1: killed at random moments of waves, the 7 oldest are told, then the next 7; everybody once, and nobody is lost', async t => {
  const dir = tempDir(t)
  const place = storeKind === 'postgres' ? await newPlace(t) : join(dir, 'gateway.db')
  const kills = storeKind === 'postgres' ? 1 : 2
  const report = await killWaves({ dir, seed: 7, kills, many: 300, batched: 60, sql: text => query(place, text), on: storeKind === 'postgres' ? onPostgres(place) : undefined })
  t.strictSame(report, { kills: 2 * kills, wrong: [] })
})
