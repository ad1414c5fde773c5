// The long versions of what befalls a database and the gateways that share it: R20 to R27, and windows through take-overs.

import { haveNoCluster, startCluster } from '../helpers/postgres.ts'
import { consumersFaults, consumersLine, produceAndConsume } from './consumers.ts'
import { cutConnections, type DatabaseReport, databaseLine, failOver, faultsOf, promoteHalfway, restartDatabase, silenceDatabase } from './database.ts'
import { HANDED_OVER_WITHIN_MS, instancesLine, joinAndLeave, killByTurns, sleepThrough, TAKEN_OVER_WITHIN_MS, wrongOf } from './instances.ts'
import { dieMidRefresh, endAgainAndAgain, refreshFaults, refreshLine } from './refresh.ts'
import { fightForOneAccount, killNearlyFull, nearlyFullFaults, nearlyFullLine, oneAccountFaults, oneAccountLine } from './takeover.ts'
import type { Teardown } from '../helpers/tmp.ts'
import { STEADY } from './windows.ts'

const RESTARTS = 20
const FAIL_OVERS = 10
const SILENCES = { times: 10, forMs: 30_000 }
const HALFWAY = { times: 3, forMs: 15_000 }
const CUTS = { times: 150, everyMs: 2000 }
const KILLS = { times: 50, least: 45 }
const SLEEPS = { times: 20, least: 18 }
const JOINS = 10
const CHANGES = { times: 29, everyMs: 20_000 }
const CAPS = [{ max: 20, perMs: 1000 }, { max: 600, perMs: 60_000 }] as const
const CONSUMER_SEEDS = 20
const JOBS = 4000
const TAKE_OVERS = 5
const MID_REFRESH = 50
const EXPIRIES = { expiries: 1000, callers: 50 }

export type Run = (name: string, measure: (dir: string) => Promise<{ ok: boolean, line: string }>) => Promise<void>

function told (line: string, faults: readonly string[]): { ok: boolean, line: string } {
  return { ok: faults.length === 0, line: faults.length === 0 ? line : `${line}; WRONG: ${faults.join('; ')}` }
}

/** What is made along the way is undone in the end, the last first. */
async function undone<T> (act: (t: Teardown) => Promise<T>): Promise<T> {
  const undo: Array<() => unknown> = []
  try {
    return await act({ teardown (end) { undo.push(end) } })
  } finally {
    for (const end of undo.toReversed()) await end()
  }
}

/** What `wanted` names of database, instances, account, consumers, refresh and takeover. */
export async function runSeveral (run: Run, wanted: readonly string[], seed: number): Promise<void> {
  if (!['database', 'instances', 'account', 'consumers', 'refresh', 'takeover'].some(name => wanted.includes(name))) return
  if (haveNoCluster !== false) { console.log(`skipped several: ${haveNoCluster}`); return }
  const cluster = await startCluster()
  let databases = 0
  const url = async (): Promise<string> => {
    const name = `several_${++databases}`
    await cluster.query(`create database ${name}`)
    return cluster.url(name)
  }
  const onDatabase = (report: DatabaseReport): { ok: boolean, line: string } => told(databaseLine(report), faultsOf(report))

  if (wanted.includes('database')) {
    await run('database restarted', async dir => onDatabase(await restartDatabase({ dir, seed, times: RESTARTS })))
    await run('database failed over', async dir => onDatabase(await failOver({ dir, seed, times: FAIL_OVERS })))
    await run('database silent', async dir => onDatabase(await silenceDatabase({ dir, seed, ...SILENCES })))
    await run('database promoted halfway', async dir => onDatabase(await promoteHalfway({ dir, seed, ...HALFWAY })))
    await run('connections cut', async dir => onDatabase(await cutConnections({ dir, seed, ...CUTS })))
  }
  if (wanted.includes('instances')) {
    await run('gateways killed by turns', async dir => {
      const report = await killByTurns({ dir, seed, url: await url(), times: KILLS.times })
      return told(instancesLine(report), wrongOf(report, { least: KILLS.least, withinMs: TAKEN_OVER_WITHIN_MS }))
    })
    await run('gateways asleep for two leases', async dir => {
      const report = await sleepThrough({ dir, seed, url: await url(), times: SLEEPS.times })
      return told(instancesLine(report), wrongOf(report, { least: SLEEPS.least, withinMs: TAKEN_OVER_WITHIN_MS }))
    })
    await run('gateways that join and leave', async dir => {
      const report = await joinAndLeave({ dir, seed, url: await url(), times: JOINS })
      return told(instancesLine(report), wrongOf(report, { least: JOINS, withinMs: HANDED_OVER_WITHIN_MS }))
    })
  }
  if (wanted.includes('account')) {
    await run('two gateways, one account', async dir => {
      const report = await fightForOneAccount({ dir, seed, url: await url(), ...CHANGES, windows: CAPS })
      return told(oneAccountLine(report), oneAccountFaults(report))
    })
  }
  if (wanted.includes('consumers')) {
    for (let i = 0; i < CONSUMER_SEEDS; i++) {
      await run(`consumers ${i + 1} of ${CONSUMER_SEEDS}`, async () => {
        const report = await produceAndConsume({ url: await url(), seed: seed + i, jobs: JOBS })
        return told(consumersLine(report), consumersFaults(report))
      })
    }
  }
  if (wanted.includes('refresh')) {
    await run('a token that ends, two gateways', async () => await undone(async t => {
      const report = await endAgainAndAgain({ t, url: await url(), ...EXPIRIES })
      return told(refreshLine(report), refreshFaults(report))
    }))
    await run('gateways that die with a new token', async () => await undone(async t => told(`${MID_REFRESH} kills`, await dieMidRefresh({ t, kills: MID_REFRESH }))))
  }
  if (wanted.includes('takeover')) {
    for (let i = 0; i < TAKE_OVERS; i++) {
      for (const [name, postgres, by] of [['SQLite, itself', false, 'itself'], ['PostgreSQL, itself', true, 'itself'], ['PostgreSQL, another', true, 'another']] as const) {
        await run(`killed at 90 % of the steady window: ${name}`, async dir => {
          const report = await killNearlyFull({ dir, seed: seed + i, url: postgres ? await url() : null, by, steady: STEADY })
          return told(nearlyFullLine(report), nearlyFullFaults(report))
        })
      }
    }
  }
  await cluster.close()
}
