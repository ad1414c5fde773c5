// npm run test:campaign: the long versions of what test/e2e and test/removal run in short. One line per run; the seed repeats it.
//
//   npm run test:campaign -- --seed 7      other randomness
//   npm run test:campaign -- --only kill   kill, windows, fair or removal (each provider removed in turn, with the whole suite)

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { shipped } from '../helpers/shipped.ts'
import { removeEach } from '../removal/run.ts'
import { shareAnAccount } from './fair.ts'
import { killAgainAndAgain, type KillReport } from './kill.ts'
import { BURST, fillWindows, STEADY, type WindowsReport } from './windows.ts'

const { values: flags } = parseArgs({ options: { seed: { type: 'string', default: '1' }, only: { type: 'string', default: 'kill,windows,fair,removal' }, kills: { type: 'string', default: '20' } } })
const SEED = Number(flags.seed)
const KILLS = Number(flags.kills)
const WINDOW_RUNS = 5
const SHOWN = 5

let failed = 0

async function run (name: string, measure: (dir: string) => Promise<{ ok: boolean, line: string }>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'gateway-campaign-'))
  const startedAt = performance.now()
  const { ok, line } = await measure(dir).catch((error: Error) => ({ ok: false, line: error.stack ?? error.message }))
  rmSync(dir, { recursive: true, force: true })
  if (!ok) failed++
  console.log(`${ok ? 'ok    ' : 'NOT OK'} ${name}: ${line} (${Math.round((performance.now() - startedAt) / 1000)} s)`)
}

function some (name: string, ids: readonly string[]): string {
  return ids.length === 0 ? `${name} 0` : `${name} ${ids.length} [${ids.slice(0, SHOWN).join(' ')}${ids.length > SHOWN ? ' …' : ''}]`
}

function judgeKills ({ seed, uncertain, kills, finding, listed, uncertainSends, allowed, slowestStartMs, repeatedPosts, rate, integrity }: KillReport): { ok: boolean, line: string } {
  const { accepted, received, lost, unknown, waiting, repeatedKeys, doubled, claimedOnly, unexplained } = finding
  const wrong = [lost, waiting, doubled, claimedOnly, unexplained, uncertain === 'park' ? repeatedKeys : unknown]
  const ok = wrong.every(ids => ids.length === 0) && received + unknown.length === accepted && listed === accepted && uncertainSends <= allowed && slowestStartMs < 5000 && integrity === 'ok'
  const sets = [some('lost', lost), some('waiting', waiting), some('doubled', doubled), some('delivered but never received', claimedOnly), some('unexplained', unexplained)].join(', ')
  return { ok, line: `seed ${seed}, ${kills} kills at ${rate}/s, accepted ${accepted}, received ${received}, unknown ${unknown.length}, sent again ${repeatedKeys.length}, uncertain ${uncertainSends} of ${allowed} allowed; ${sets}; integrity ${integrity}; posts repeated ${repeatedPosts}; slowest start ${Math.round(slowestStartMs)} ms` }
}

function percent (share: number): string { return `${(share * 100).toFixed(1)} %` }

function judgeWindows ({ seed, sent, limited, used, most }: WindowsReport): { ok: boolean, line: string } {
  const ok = limited === 0 && used.before >= 0.95 && used.after >= 0.95 && most.burst <= BURST.max && most.steady <= STEADY.max
  return { ok, line: `seed ${seed}, sent ${sent}, 429 ${limited}, steady window used ${percent(used.before)} and ${percent(used.after)}, at most ${most.burst}/${BURST.max} and ${most.steady}/${STEADY.max}` }
}

const wanted = flags.only.split(',')
if (wanted.includes('kill')) {
  await run('kill, the provider tells repeats apart', async dir => judgeKills(await killAgainAndAgain({ dir, seed: SEED, kills: KILLS, uncertain: 'repeat' })))
  await run('kill, a person decides', async dir => judgeKills(await killAgainAndAgain({ dir, seed: SEED + 1, kills: KILLS, uncertain: 'park' })))
}
if (wanted.includes('windows')) {
  for (let i = 0; i < WINDOW_RUNS; i++) await run(`windows ${i + 1} of ${WINDOW_RUNS}`, async dir => judgeWindows(await fillWindows({ dir, seed: SEED + i, before: 2, after: 2 })))
}
if (wanted.includes('fair')) {
  await run('fair', async dir => {
    const { cAfter, bAfter, sent } = await shareAnAccount(dir)
    return { ok: cAfter <= 2 && bAfter <= 250, line: `transactional after ${cAfter}, the small shop's 100 within ${bAfter} of ${sent}` }
  })
}
if (wanted.includes('removal')) failed += removeEach(Object.keys(shipped.providers), true)
process.exitCode = failed === 0 ? 0 : 1
