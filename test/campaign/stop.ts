// R67 and R68: SIGTERM again and again, under load and while a provider does not answer. What was asked is answered,
// what is in flight ends or is recorded as unknown, the process ends in time with 0, and nothing is lost or sent twice.

import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { API_KEY, type onPostgres, targetOf, type World } from '../e2e/world.ts'
import type { Exit } from '../helpers/gateway-process.ts'
import { eventOf, Load, post } from '../helpers/load.ts'
import { drained, type Finding, judge, listDeliveries, readAccepted, readArrivals } from '../helpers/oracle.ts'
import { onWorld } from './on-world.ts'
import { between, seeded } from './seed.ts'
import { some } from './trial.ts'

export interface StopOptions {
  /** An empty folder. */
  dir: string
  seed: number
  stops: number
  /** Another store than a SQLite file. */
  on?: ReturnType<typeof onPostgres> | undefined
}

export interface StopReport {
  seed: number
  stops: number
  finding: Finding
  listed: number
  slowestMs: number
  /** Ends other than by itself with 0. */
  wrongEnds: Exit[]
}

const SHOP = 'shop.example'
const RATE = 200
const SECOND_SIGNAL_MS = 20

/** Two signals each time: the second one cuts nothing short. */
export async function stopUnderLoad ({ dir, seed, stops, on }: StopOptions): Promise<StopReport> {
  const random = seeded(seed)
  const files = { accepted: join(dir, 'accepted.txt'), received: join(dir, 'received.txt') }
  const world: Omit<World, 'standIn'> = {
    dir,
    providers: [{ id: 'park', uncertain: 'park', concurrency: 32, windows: [{ max: 100_000, perMs: 1000 }] }],
    shops: [{ id: SHOP, provider: 'park', account: 'account' }],
    ...on
  }
  return await onWorld(world, { file: files.received, latencyMs: between(random, 20, 400) }, async gateway => {
    const load = new Load({ target: () => targetOf(gateway), rate: RATE, event: n => eventOf({ id: `e${seed}-${n}`, shop: SHOP }), file: files.accepted })
    try {
      const untilStop = between(random, 300, 1200)
      const wrongEnds: Exit[] = []
      let slowestMs = 0
      for (let i = 0; i < stops; i++) {
        await wait(untilStop())
        const startedAt = performance.now()
        const ended = gateway.kill('SIGTERM')
        await wait(SECOND_SIGNAL_MS)
        const exit = await Promise.race([gateway.kill('SIGTERM'), ended])
        slowestMs = Math.max(slowestMs, performance.now() - startedAt)
        if (exit.code !== 0 || exit.signal !== null) wrongEnds.push(exit)
        await gateway.restart()
      }
      await load.stop()
      await drained(targetOf(gateway), 60_000)
      const listed = await listDeliveries(targetOf(gateway))
      return { seed, stops, finding: judge(readAccepted(files.accepted), readArrivals(files.received), listed), listed: listed.length, slowestMs, wrongEnds }
    } finally {
      await load.abandon()
    }
  })
}

export function judgeStops ({ seed, stops, finding, listed, slowestMs, wrongEnds }: StopReport): { ok: boolean, line: string } {
  const { accepted, received, lost, unknown, waiting, repeatedKeys, doubled, claimedOnly, unexplained } = finding
  const sets = { lost, unknown, waiting, 'sent twice': repeatedKeys, doubled, 'delivered but never received': claimedOnly, unexplained }
  const ok = Object.values(sets).every(ids => ids.length === 0) && received === accepted && listed === accepted && slowestMs < 25_000 && wrongEnds.length === 0
  return { ok, line: `seed ${seed}, ${stops} stops with two signals each, accepted ${accepted}, received ${received}; ${Object.entries(sets).map(([name, ids]) => some(name, ids)).join(', ')}; slowest ${Math.round(slowestMs)} ms, ended otherwise than with 0: ${wrongEnds.length}` }
}

export interface StuckReport {
  seed: number
  stops: number
  sent: number
  /** By the gateway's word after the next start. */
  states: Record<string, number>
  repeated: number
  slowestMs: number
  wrongEnds: Exit[]
}

const STUCK = 5
const NEVER_MS = 3_600_000

/** A provider that takes requests and never answers, within a deadline that is longer than the patience of a stop. */
export async function stopWhileStuck ({ dir, seed, stops, on }: StopOptions): Promise<StuckReport> {
  const world: Omit<World, 'standIn'> = {
    dir,
    providers: [{ id: 'park', uncertain: 'park', concurrency: 32, windows: [{ max: 100_000, perMs: 1000 }] }],
    shops: [{ id: SHOP, provider: 'park', account: 'account' }],
    more: { config: { delivery: { request_deadline: '60s' } }, types: {}, env: { TEST_API_KEY: API_KEY } },
    ...(on && { ...on, store: { ...on.store, lease: '120s' } })
  }
  return await onWorld(world, { latencyMs: () => NEVER_MS }, async (gateway, standIn) => {
    const wrongEnds: Exit[] = []
    let slowestMs = 0
    for (let i = 0; i < stops; i++) {
      const answer = await post(targetOf(gateway), Array.from({ length: STUCK }, (_, n) => eventOf({ id: `s${seed}-${i}-${n}`, shop: SHOP })))
      if (answer?.status !== 202) throw new Error(`not accepted: ${JSON.stringify(answer)}`)
      await standIn.until(() => standIn.arrivals.length >= (i + 1) * STUCK)
      const startedAt = performance.now()
      const exit = await gateway.kill('SIGTERM')
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
      if (exit.code !== 0 || exit.signal !== null) wrongEnds.push(exit)
      await gateway.restart()
    }
    const listed = await listDeliveries(targetOf(gateway))
    await gateway.kill('SIGTERM')
    const states = Object.fromEntries([...Map.groupBy(listed, ({ state }) => state)].map(([state, some]) => [state, some.length]))
    return { seed, stops, sent: stops * STUCK, states, repeated: standIn.arrivals.length - new Set(standIn.arrivals.map(({ key }) => key)).size, slowestMs, wrongEnds }
  })
}

export function judgeStuck ({ seed, stops, sent, states, repeated, slowestMs, wrongEnds }: StuckReport): { ok: boolean, line: string } {
  const ok = states['unknown'] === sent && Object.keys(states).length === 1 && repeated === 0 && slowestMs < 30_000 && wrongEnds.length === 0
  return { ok, line: `seed ${seed}, ${stops} stops with ${STUCK} stuck sends each, recorded as unknown ${states['unknown'] ?? 0} of ${sent}, in other states ${JSON.stringify({ ...states, unknown: undefined })}, sent twice ${repeated}; slowest ${Math.round(slowestMs)} ms, ended otherwise than with 0: ${wrongEnds.length}` }
}
