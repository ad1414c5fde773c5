// kill -9 under load, again and again: whatever was answered 202 is received, or rests where a person can see it.

import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type onPostgres, startWorld, targetOf } from '../e2e/world.ts'
import { eventOf, Load } from '../helpers/load.ts'
import { drained, type Finding, judge, listDeliveries, readAccepted, readArrivals } from '../helpers/oracle.ts'
import { type Arrival, startStandIn } from '../helpers/stand-in.ts'
import { between, seeded } from './seed.ts'
import { integrityOf } from './trial.ts'

export interface KillOptions {
  /** An empty folder. */
  dir: string
  seed: number
  kills: number
  uncertain: 'repeat' | 'park'
  /** Another store than a SQLite file, where a process must live longer than a lease to deliver anything. */
  on?: ReturnType<typeof onPostgres>
}

export interface KillReport {
  seed: number
  uncertain: string
  kills: number
  /** Events posted per second. */
  rate: number
  /** Accepted per second while it was up, and over the whole time, all starts included. */
  perS: { up: number, overall: number }
  finding: Finding
  /** Deliveries the gateway lists; one per accepted event. */
  listed: number
  /** Sends whose end no process saw: received twice, or unknown. */
  uncertainSends: number
  /** As many may have been in flight at all kills together. */
  allowed: number
  /** The most such sends that one kill left, as far as the provider's file tells, and how many it may. */
  worstKill: number
  allowedPerKill: number
  /** From the start of the process to its address: on an empty folder, and the slowest after a kill. */
  firstStartMs: number
  slowestStartMs: number
  /** What SQLite says of its file after all. */
  integrity: string
  /** Posts that got no answer and were repeated under their id. */
  repeatedPosts: number
}

const RATE = 320
const CONCURRENCY = 32
const SHOP = 'shop.example'
const LEASE_MS = 3000
/** A long run leaves a backlog, and what two kills found in hand is taken one by one, a second apart. */
const DRAINED_WITHIN_MS = 300_000
/** Answers may wait so long for the transaction they are written in. */
const COMMIT_WINDOW_MS = 10
const ALLOWED_PER_KILL = CONCURRENCY + Math.ceil(RATE * COMMIT_WINDOW_MS / 1000)

export async function killAgainAndAgain ({ dir, seed, kills, uncertain, on }: KillOptions): Promise<KillReport> {
  const random = seeded(seed)
  const files = { accepted: join(dir, 'accepted.txt'), received: join(dir, 'received.txt'), kills: join(dir, 'kills.txt') }
  const standIn = await startStandIn({ file: files.received, latencyMs: between(random, 20, 80) })
  const gateway = await startWorld({
    dir,
    standIn,
    providers: [{ id: uncertain, uncertain, concurrency: CONCURRENCY, windows: [{ max: 100_000, perMs: 1000 }] }],
    shops: [{ id: SHOP, provider: uncertain, account: 'account' }],
    ...on
  })
  const load = new Load({ target: () => targetOf(gateway), rate: RATE, event: n => eventOf({ id: `e${seed}-${n}`, shop: SHOP }), file: files.accepted })
  const firstStartMs = gateway.readyMs
  let slowestStartMs = 0
  const untilKill = on ? between(random, LEASE_MS, LEASE_MS + 2000) : between(random, 100, 2000)
  const killedAt: number[] = []
  const startedAt = performance.now()
  let upMs = 0
  for (let i = 0; i < kills; i++) {
    const upAt = performance.now()
    await wait(untilKill())
    await gateway.kill('SIGKILL')
    killedAt.push(performance.now())
    upMs += performance.now() - upAt
    appendFileSync(files.kills, `${killedAt.at(-1)}\n`)
    await gateway.restart()
    slowestStartMs = Math.max(slowestStartMs, gateway.readyMs)
  }
  const perS = { up: load.accepted.length / upMs * 1000, overall: load.accepted.length / (performance.now() - startedAt) * 1000 }
  await wait(500)
  await load.stop()
  await drained(targetOf(gateway), DRAINED_WITHIN_MS)
  const listed = await listDeliveries(targetOf(gateway))
  await gateway.kill('SIGKILL')
  await standIn.close()
  const arrivals = readArrivals(files.received)
  const finding = judge(readAccepted(files.accepted), arrivals, listed)
  const unknown = new Set(listed.filter(({ state }) => state === 'unknown').map(({ sourceId }) => sourceId))
  const worstKill = mostAfterOneKill(killedAt, arrivals, new Set(finding.repeatedKeys), unknown)
  return {
    seed, uncertain, kills, rate: RATE, perS, finding, listed: listed.length, firstStartMs, slowestStartMs, worstKill, allowedPerKill: ALLOWED_PER_KILL,
    uncertainSends: finding.repeatedKeys.length + unknown.size, allowed: kills * ALLOWED_PER_KILL, integrity: integrityOf(dir), repeatedPosts: load.repeats
  }
}

/** A send that is made again, or is unknown, was open at the first kill after it arrived. */
function mostAfterOneKill (killedAt: readonly number[], arrivals: readonly Arrival[], repeated: ReadonlySet<string>, unknown: ReadonlySet<string>): number {
  const open = new Map<number, number>()
  const last = new Map<string, number>()
  const count = (arrivedAt: number): void => {
    const kill = killedAt.findIndex(at => at > arrivedAt)
    open.set(kill, (open.get(kill) ?? 0) + 1)
  }
  for (const { at, key, ref } of arrivals) {
    const before = last.get(key)
    if (repeated.has(key) && before !== undefined) count(before)
    if (unknown.has(ref)) count(at)
    last.set(key, at)
  }
  return Math.max(0, ...open.values())
}
