// npm run test:campaign: the long versions of what test/e2e, test/faults and test/removal run in short. One line per run; the seed repeats it.
//
//   npm run test:campaign -- --seed 7      other randomness
//   npm run test:campaign -- --only kill   kill, failpoints, power, order, io, windows, fair, faults, switch, disk, lock, overload, stop, scarce, database, instances, account, consumers, refresh, takeover, backlog, clock, setup, brought (what plugins bring along), simulation or removal (each provider removed in turn, with the whole suite)
//   npm run test:campaign -- --kills 200   the longest version of kill; 20 without it
//   npm run test:campaign -- --store postgres   kill, failpoints, switch, backlog, clock, setup and brought on PostgreSQL

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { onPostgres } from '../e2e/world.ts'
import { hasLibfiu } from '../helpers/libfiu.ts'
import { startCluster } from '../helpers/postgres.ts'
import { whyNoPowerDisk } from '../helpers/power-disk.ts'
import { shipped } from '../helpers/shipped.ts'
import { hasStrace } from '../helpers/strace.ts'
import { removeEach } from '../removal/run.ts'
import { LOAD_POINTS } from '../failpoints/points.ts'
import { judgeNeighbours, judgeOutage, judgeSwitch, neighbours, outage, switchQueues } from './backlog.ts'
import { broughtAlong } from './brought.ts'
import { hasFaketime, judgeClock, setTheClock } from './clock.ts'
import { shareAnAccount } from './fair.ts'
import { killAtPoints } from './failpoints.ts'
import { type DiskFault, failDisk } from './io.ts'
import { canMount, fillDisk, judgeDisk } from './disk.ts'
import { type FaultsReport, sendThroughFaults, WINDOW } from './faults.ts'
import { killAgainAndAgain, type KillReport } from './kill.ts'
import { orderOfCalls } from './order.ts'
import { holdLock, judgeLock } from './lock.ts'
import { judgeOverload, overload } from './overload.ts'
import { cutPower } from './power.ts'
import { callWithFewDescriptors, judgeDescriptors, judgeMemory, waitInLittleMemory } from './scarce.ts'
import { between, seeded } from './seed.ts'
import { everyKill, judgeSetup, setupKills } from './setup.ts'
import { runSeveral } from './several.ts'
import { judgeModel, judgeSimulation, simulateMany } from './simulation.ts'
import { judgeStops, judgeStuck, stopUnderLoad, stopWhileStuck } from './stop.ts'
import { switchFaults, switchLine, switchToAndFro } from './switch.ts'
import { lineOf, some, type Verdict } from './trial.ts'
import { BURST, fillWindows, STEADY, type WindowsReport } from './windows.ts'

const { values: flags } = parseArgs({ options: { seed: { type: 'string', default: '1' }, only: { type: 'string', default: 'kill,failpoints,power,order,io,windows,fair,faults,switch,disk,lock,overload,stop,scarce,database,instances,account,consumers,refresh,takeover,backlog,clock,setup,brought,simulation,removal' }, kills: { type: 'string', default: '20' }, store: { type: 'string', default: 'sqlite' } } })
const SEED = Number(flags.seed)
const KILLS = Number(flags.kills)
const WINDOW_RUNS = 5
const KILLS_PER_POINT = 20
const CUTS = 50
const TRACED_REQUESTS = 1000
const NTH_CALLS = 12
const DISK_ROUNDS = 20
const LOCKS = 20
const OVERLOAD_S = 60
const STOPS = 50
const STUCK_STOPS = 10
const SEEDS = 1000
const WAITING = 100_000
const CONNECTIONS = 400
const CLOCK_MS = 60_000
const SWITCH_MS = 120_000

let failed = 0

/** A database of its own for each run, where the campaign is to be on PostgreSQL. */
const cluster = flags.store === 'postgres' ? await startCluster() : null
let databases = 0
async function place (): Promise<{ on?: ReturnType<typeof onPostgres> }> {
  if (cluster === null) return {}
  const name = `campaign_${++databases}`
  await cluster.query(`create database ${name}`)
  return { on: onPostgres(cluster.url(name)) }
}

async function run (name: string, measure: (dir: string) => Promise<{ ok: boolean, line: string }>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'gateway-campaign-'))
  const startedAt = performance.now()
  const { ok, line } = await measure(dir).catch((error: Error) => ({ ok: false, line: error.stack ?? error.message }))
  rmSync(dir, { recursive: true, force: true })
  if (!ok) failed++
  console.log(`${ok ? 'ok    ' : 'NOT OK'} ${name}: ${line} (${Math.round((performance.now() - startedAt) / 1000)} s)`)
}

function judgeKills ({ seed, uncertain, kills, finding, listed, uncertainSends, allowed, worstKill, allowedPerKill, slowestStartMs, repeatedPosts, rate, perS, integrity }: KillReport): { ok: boolean, line: string } {
  const { accepted, received, lost, setAside, unknown, waiting, repeatedKeys, doubled, claimedOnly, unexplained } = finding
  const wrong = [lost, waiting, doubled, claimedOnly, unexplained, uncertain === 'park' ? repeatedKeys : unknown]
  const ok = wrong.every(ids => ids.length === 0) && received + unknown.length + setAside.length === accepted && setAside.length <= kills && listed === accepted && uncertainSends <= allowed && worstKill <= allowedPerKill && slowestStartMs < 5000 && integrity === 'ok'
  const sets = [some('lost', lost), some('waiting', waiting), some('doubled', doubled), some('delivered but never received', claimedOnly), some('unexplained', unexplained)].join(', ')
  const speed = `posted ${rate}/s, accepted ${Math.round(perS.up)}/s while up and ${Math.round(perS.overall)}/s with all starts`
  return { ok, line: `seed ${seed}, ${kills} kills, ${speed}, accepted ${accepted}, received ${received}, unknown ${unknown.length}, set aside ${setAside.length}, sent again ${repeatedKeys.length}, uncertain ${uncertainSends} of ${allowed} allowed, at most ${worstKill} of ${allowedPerKill} by one kill; ${sets}; integrity ${integrity}; posts repeated ${repeatedPosts}; slowest start ${Math.round(slowestStartMs)} ms` }
}

function judgeTrial (verdict: Verdict & { seed: number, allowed: number }, what: string): { ok: boolean, line: string } {
  return { ok: verdict.wrong.length === 0 && verdict.uncertain <= verdict.allowed, line: `seed ${verdict.seed}, ${what}, ${lineOf(verdict)}, of ${verdict.allowed} allowed to be uncertain` }
}

/** Calls 1 to 200 since the start, of which the first ones belong to the start itself. */
function nthCalls (call: DiskFault['call']): DiskFault[] {
  const nth = between(seeded(SEED), 1, 201)
  return [{ call, nth: 1 }, ...Array.from({ length: NTH_CALLS - 1 }, () => ({ call, nth: Math.floor(nth()) }))]
}

function percent (share: number): string { return `${(share * 100).toFixed(1)} %` }

function judgeWindows ({ seed, sent, limited, used, most }: WindowsReport): { ok: boolean, line: string } {
  const ok = limited === 0 && used.before >= 0.95 && used.after >= 0.95 && most.burst <= BURST.max && most.steady <= STEADY.max
  return { ok, line: `seed ${seed}, sent ${sent}, 429 ${limited}, steady window used ${percent(used.before)} and ${percent(used.after)}, at most ${most.burst}/${BURST.max} and ${most.steady}/${STEADY.max}` }
}

function judgeFaults ({ seed, finding, listed, accepted, refused, rejectedAlone, sentTwice, open, most, struck }: FaultsReport): { ok: boolean, line: string } {
  const { received, lost, unknown, waiting, doubled, claimedOnly, unexplained } = finding
  const sets = { lost, waiting, doubled, 'delivered but never received': claimedOnly, unexplained, 'sent twice to a provider that cannot tell': sentTwice, 'still unknown at one that can': open, 'refused and not shown so': refused.wrong, 'rejected by nobody': rejectedAlone }
  const ok = Object.values(sets).every(ids => ids.length === 0) && received + unknown.length === finding.accepted && listed === accepted && most <= WINDOW.max
  const counts = `${struck.answers} answers wrong in ${struck.kinds} ways, the network spoilt ${struck.network} times, accepted ${accepted}, received ${received}, unknown ${unknown.length}, refused ${refused.count}, at most ${most}/${WINDOW.max}`
  return { ok, line: `seed ${seed}, ${counts}; ${Object.entries(sets).map(([name, ids]) => some(name, ids)).join(', ')}` }
}

const wanted = flags.only.split(',')
if (wanted.includes('kill')) {
  await run('kill, the provider tells repeats apart', async dir => judgeKills(await killAgainAndAgain({ dir, seed: SEED, kills: KILLS, uncertain: 'repeat', ...await place() })))
  await run('kill, a person decides', async dir => judgeKills(await killAgainAndAgain({ dir, seed: SEED + 1, kills: KILLS, uncertain: 'park', ...await place() })))
}
if (wanted.includes('failpoints')) {
  for (const [i, point] of LOAD_POINTS.entries()) await run(`failpoint ${point}`, async dir => judgeTrial(await killAtPoints({ dir, seed: SEED + i, points: [point], kills: KILLS_PER_POINT, ...await place() }), `${KILLS_PER_POINT} kills`))
}
const noPower = wanted.includes('power') ? whyNoPowerDisk() : null
if (noPower !== null) console.log(`skipped power: ${noPower}`)
else if (wanted.includes('power')) await run('power', async dir => judgeTrial(await cutPower({ dir, seed: SEED, cuts: CUTS }), `${CUTS} power cuts`))
const traced = ['order', 'io'].filter(name => wanted.includes(name))
if (traced.length > 0 && !(hasStrace && hasLibfiu)) console.log(`skipped ${traced.join(', ')}: strace and fiu-utils are needed`)
else if (wanted.includes('order')) {
  await run('order of calls', async dir => {
    const { requests, answers, fsyncs, early } = await orderOfCalls({ dir, requests: TRACED_REQUESTS })
    return { ok: answers === requests && early.length === 0, line: `${requests} requests, ${answers} answers seen, ${fsyncs} fsyncs of the log; ${some('answered before the fsync had returned', early)}` }
  })
}
if (wanted.includes('io') && hasStrace && hasLibfiu) {
  for (const call of ['fsync', 'pwrite'] as const) {
    for (const [name, faults] of Object.entries({ '1 %, 5 %, 100 %': [0.01, 0.05, 1].map(share => ({ call, share })), 'the nth call': nthCalls(call) })) {
      await run(`failing ${call}, ${name}`, async dir => {
        const report = await failDisk({ dir, seed: SEED, faults })
        const { stopped, refused, untold } = report.seen
        return judgeTrial(report, `${report.faults} faults (${stopped} stopped it, ${refused} ended its start, ${untold} not told by SQLite)`)
      })
    }
  }
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
if (wanted.includes('faults')) await run('faults', async dir => judgeFaults(await sendThroughFaults({ dir, seed: SEED, forMs: 60_000, toTheEnd: true })))
if (wanted.includes('switch')) {
  for (const how of [{ cutShare: 0, uncertain: 'park' }, { cutShare: 0.05, uncertain: 'park' }, { cutShare: 0.05, uncertain: 'repeat' }] as const) {
    await run(`switch to and fro, ${how.cutShare * 100} % cut, ${how.uncertain}`, async dir => {
      const report = await switchToAndFro({ dir, seed: SEED, forMs: SWITCH_MS, ...how, ...await place() })
      const faults = switchFaults(report, how)
      return { ok: faults.length === 0, line: `${switchLine(report)}${faults.length === 0 ? '' : `; WRONG: ${faults.join('; ')}`}` }
    })
  }
}
if (wanted.includes('disk')) {
  if (canMount) await run('disk full', async dir => judgeDisk(await fillDisk({ dir, seed: SEED, rounds: DISK_ROUNDS })))
  else console.log('skipped disk full: only root can mount a small disk')
}
if (wanted.includes('lock')) await run('lock held', async dir => judgeLock(await holdLock({ dir, rounds: LOCKS })))
if (wanted.includes('overload')) await run('overload', async dir => judgeOverload(await overload({ dir, seed: SEED, seconds: OVERLOAD_S })))
if (wanted.includes('stop')) {
  await run('stop under load', async dir => judgeStops(await stopUnderLoad({ dir, seed: SEED, stops: STOPS })))
  await run('stop while a provider does not answer', async dir => judgeStuck(await stopWhileStuck({ dir, seed: SEED, stops: STUCK_STOPS })))
}
if (wanted.includes('scarce')) {
  await run('little memory', async dir => judgeMemory(await waitInLittleMemory({ dir, waiting: WAITING })))
  await run('few descriptors', async dir => judgeDescriptors(await callWithFewDescriptors({ dir, connections: CONNECTIONS })))
}
await runSeveral(run, wanted, SEED)
if (wanted.includes('backlog')) {
  await run('a neighbour of a backlog', async dir => judgeNeighbours(await neighbours({ dir, waiting: 10_000, poison: 100, samples: 500, ...await place() })))
  await run('a provider that is down', async dir => judgeOutage(await outage({ dir, few: 10_000, many: 360_000, samples: 500, windows: 4, on: [(await place()).on, (await place()).on] })))
  await run('holding and switching', async dir => judgeSwitch(await switchQueues({ dir, waiting: 1_000_000, rounds: 15, ...await place() })))
}
if (wanted.includes('clock')) {
  if (hasFaketime) await run('the clock is set', async dir => judgeClock(await setTheClock({ dir, seed: SEED, forMs: CLOCK_MS, ...await place() })))
  else console.log('skipped clock: libfaketime is needed')
}
if (wanted.includes('brought')) {
  for (const { name, run: trial } of await broughtAlong()) await run(name, async dir => await trial({ dir, seed: SEED, kills: KILLS, ...await place() }))
}
if (wanted.includes('setup')) {
  for (const { name, kills } of await setupKills()) {
    const { on } = await place()
    await run(`set-up killed, ${name}`, async dir => judgeSetup(await kills.killAtEachRequest({ dir, seed: SEED, kills: everyKill(kills, KILLS), ...(on && { on: { store: on.store ?? {}, env: on.start?.env as Record<string, string> } }) })))
  }
}
if (wanted.includes('simulation')) {
  await run('simulation', async () => judgeSimulation(await simulateMany({ from: SEED, count: SEEDS })))
  await run('model', async () => judgeModel({ seed: SEED, runs: SEEDS }))
}
if (wanted.includes('removal')) failed += removeEach(Object.keys(shipped.providers), true)
await cluster?.close()
process.exitCode = failed === 0 ? 0 : 1
