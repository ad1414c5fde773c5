// What befalls a database under the gateways that use it: restarts, a fail-over, silence, connections that are cut or go
// dead. Whatever was answered 202 is sent, intake says 503 meanwhile, and works again soon after.

import { setTimeout as wait } from 'node:timers/promises'
import { targetOf } from '../e2e/world.ts'
import { eventOf, post } from '../helpers/load.ts'
import { type Cluster, startCluster } from '../helpers/postgres.ts'
import { type TcpProxy, tcpProxy } from '../helpers/tcp-proxy.ts'
import { type Group, onGroup } from './group.ts'
import { between, seeded } from './seed.ts'
import { lineOf, type Verdict } from './trial.ts'

export const RATE = 50
/** From the database's being back to the next 202. */
export const BACK_WITHIN_MS = 5000
/** Whoever posts while the database is silent hears so within this. */
export const TOLD_WITHIN_MS = 3000
const SHOPS = 4
const PROBES_EVERY_MS = 100
const RUN_AFTER_MS = 1000

export interface DatabaseOptions {
  /** An empty folder. */
  dir: string
  seed: number
  /** How often it is done. */
  times: number
  /** False: what the gateway says is waiting in the end need not be waited for. */
  drain?: boolean
}

export interface DatabaseReport {
  seed: number
  times: number
  verdict: Verdict & { repeatedPosts: number }
  /** From the database's being back to the next 202; one per time. */
  backMs: number[]
  /** Of answers while it was away and until the next 202: the slowest, and how often each status came; 0 for none. */
  away: { slowestMs: number, statuses: Record<number, number> }
  /** Gateways that ended by themselves. */
  ended: number
}

/** R20: stopped and started again, by turns in both ways that cut sessions off. */
export async function restartDatabase (options: DatabaseOptions): Promise<DatabaseReport> {
  return await onCluster(options, async ({ cluster, random, faulty }) => {
    const awayMs = between(random, 0, 1500)
    const upMs = between(random, 300, 2000)
    for (let i = 0; i < options.times; i++) {
      await wait(upMs())
      await faulty(async () => {
        await cluster.stop(i % 2 === 0 ? 'fast' : 'immediate')
        await wait(awayMs())
        await cluster.start()
      })
    }
  })
}

/** R21: killed, and its synchronous standby takes its place behind the same address; that one gets a standby of its own. */
export async function failOver (options: DatabaseOptions): Promise<DatabaseReport> {
  return await onCluster(options, async ({ cluster, proxy, random, faulty }) => {
    const upMs = between(random, 300, 1500)
    let primary = cluster
    for (let i = 0; i < options.times; i++) {
      const standby = await primary.standby() // stops the primary for a cold copy
      await wait(upMs())
      await faulty(async () => {
        await primary.killHard()
        await standby.promote()
        proxy.target = standby.port
      })
      primary = standby
    }
  })
}

/** R22: it takes connections and answers nobody, for so long. */
export async function silenceDatabase (options: DatabaseOptions & { forMs: number }): Promise<DatabaseReport> {
  return await onCluster(options, async ({ cluster, faulty }) => {
    for (let i = 0; i < options.times; i++) {
      await wait(RUN_AFTER_MS)
      await faulty(async () => {
        cluster.pause()
        await wait(options.forMs)
        cluster.resume()
      })
    }
  })
}

/** R22, M13: a standby that was promoted waits for one of its own that never comes, so that no commit is answered. */
export async function promoteHalfway (options: DatabaseOptions & { forMs: number }): Promise<DatabaseReport> {
  return await onCluster(options, async ({ cluster, proxy, faulty }) => {
    let primary = cluster
    for (let i = 0; i < options.times; i++) {
      const standby = await primary.standby({ synchronous_standby_names: 'standby' })
      await wait(RUN_AFTER_MS)
      await faulty(async () => {
        await primary.killHard()
        await standby.promote()
        proxy.target = standby.port
        await wait(options.forMs)
        await standby.query('alter system reset synchronous_standby_names')
        await standby.query('select pg_reload_conf()')
      })
      primary = standby
    }
  })
}

/** R23: connections are cut, one after the other; each tenth time all that are open go dead instead, and nobody is told. */
export async function cutConnections (options: DatabaseOptions & { everyMs: number }): Promise<DatabaseReport> {
  return await onCluster(options, async ({ cluster, proxy, faulty }) => {
    for (let i = 1; i <= options.times; i++) {
      await wait(options.everyMs)
      if (i % 10 !== 0) await cluster.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name like \'gateway%\' order by random() limit 1')
      else {
        await faulty(async () => {
          for (const direction of ['up', 'down'] as const) proxy.spoil(direction, { timeout: {} })
          await wait(options.everyMs)
          proxy.heal() // for connections made from now on
        })
      }
    }
  })
}

interface Scene {
  cluster: Cluster
  proxy: TcpProxy
  random: () => number
  /** Does what takes the database away and brings it back, and measures intake meanwhile and after. */
  faulty (act: () => Promise<void>): Promise<void>
}

async function onCluster (options: DatabaseOptions, act: (scene: Scene) => Promise<void>): Promise<DatabaseReport> {
  const { dir, seed, times, drain = true } = options
  const report: Omit<DatabaseReport, 'verdict'> = { seed, times, backMs: [], away: { slowestMs: 0, statuses: {} }, ended: 0 }
  const undo: Array<() => unknown> = []
  try {
    const cluster = await startCluster()
    undo.push(() => cluster.close())
    const random = seeded(seed)
    const proxy = await tcpProxy({ teardown: task => { undo.push(task) } }, cluster.port, random)
    const url = new URL(cluster.url())
    url.port = String(proxy.port)
    const verdict = await onGroup({ dir, seed, url: url.href, size: 1, rate: RATE, shops: SHOPS, drain }, async group => {
      for (const { gateway } of group.members) void gateway.exited.then(() => { report.ended++ })
      const faulty = (take: () => Promise<void>): Promise<void> => measured(take, group, report)
      await act({ cluster, proxy, random, faulty })
      await wait(RUN_AFTER_MS)
    })
    report.ended -= 1 // the end of the campaign itself
    return { ...report, verdict }
  } finally {
    for (const step of undo.toReversed()) await step()
  }
}

async function measured (take: () => Promise<void>, { members, load }: Group, report: Omit<DatabaseReport, 'verdict'>): Promise<void> {
  const { away } = report
  const target = targetOf((members[0] as Group['members'][number]).gateway)
  const probes: Array<Promise<void>> = []
  const probing = setInterval(() => { probes.push(probe()) }, PROBES_EVERY_MS)
  load.onAnswer = told
  await take()
  clearInterval(probing)
  const backAt = performance.now()
  const before = load.accepted.length
  while (load.accepted.length === before) await wait(10)
  report.backMs.push(Math.round(performance.now() - backAt))
  await Promise.all(probes)
  load.onAnswer = null

  /** Of no shop that there is: the database is asked for it, and no event is made. */
  async function probe (): Promise<void> {
    const askedAt = performance.now()
    const answer = await post(target, eventOf({ id: `probe-${askedAt}`, shop: 'nobody.example' }))
    told(answer?.status ?? null, performance.now() - askedAt)
  }

  function told (status: number | null, ms: number): void {
    away.slowestMs = Math.max(away.slowestMs, Math.round(ms))
    away.statuses[status ?? 0] = (away.statuses[status ?? 0] ?? 0) + 1
  }
}

/** What is wrong with a run, in words; empty is good. */
export function faultsOf ({ verdict, backMs, away, ended }: DatabaseReport): string[] {
  const slow = backMs.filter(ms => ms > BACK_WITHIN_MS)
  return [
    ...verdict.wrong,
    ...(ended > 0 ? [`${ended} gateways ended`] : []),
    ...(slow.length > 0 ? [`${slow.length} times no 202 within ${BACK_WITHIN_MS} ms: ${slow.join(' ')}`] : []),
    ...(away.slowestMs > TOLD_WITHIN_MS ? [`the slowest answer took ${away.slowestMs} ms`] : []),
    ...(away.statuses[500] !== undefined ? ['500 was answered'] : [])
  ]
}

export function databaseLine (report: DatabaseReport): string {
  const { seed, times, verdict, backMs, away } = report
  const wrong = faultsOf(report)
  return `seed ${seed}, ${times} times, ${lineOf(verdict)}; posts repeated ${verdict.repeatedPosts}; 202 again after at most ${Math.max(0, ...backMs)} ms; answers meanwhile ${JSON.stringify(away.statuses)}, the slowest after ${away.slowestMs} ms${wrong.length > verdict.wrong.length ? `; WRONG: ${wrong.join('; ')}` : ''}`
}
