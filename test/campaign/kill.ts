// kill -9 under load, again and again: whatever was answered 202 is received, or rests where a person can see it.

import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { startWorld, targetOf } from '../e2e/world.ts'
import { eventOf, Load } from '../helpers/load.ts'
import { drained, type Finding, judge, listDeliveries, readAccepted, readArrivals } from '../helpers/oracle.ts'
import { startStandIn } from '../helpers/stand-in.ts'
import { between, seeded } from './seed.ts'

export interface KillOptions {
  /** An empty folder. */
  dir: string
  seed: number
  kills: number
  uncertain: 'repeat' | 'park'
}

export interface KillReport {
  seed: number
  uncertain: string
  kills: number
  rate: number
  finding: Finding
  /** Deliveries the gateway lists; one per accepted event. */
  listed: number
  /** Sends whose end no process saw: received twice, or unknown. */
  uncertainSends: number
  /** As many may have been in flight at all kills together. */
  allowed: number
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

export async function killAgainAndAgain ({ dir, seed, kills, uncertain }: KillOptions): Promise<KillReport> {
  const random = seeded(seed)
  const files = { accepted: join(dir, 'accepted.txt'), received: join(dir, 'received.txt'), kills: join(dir, 'kills.txt') }
  const standIn = await startStandIn({ file: files.received, latencyMs: between(random, 20, 80) })
  const gateway = await startWorld({
    dir,
    standIn,
    providers: [{ id: uncertain, uncertain, concurrency: CONCURRENCY, windows: [{ max: 100_000, perMs: 1000 }] }],
    shops: [{ id: SHOP, provider: uncertain, account: 'account' }]
  })
  const load = new Load({ target: () => targetOf(gateway), rate: RATE, event: n => eventOf({ id: `e${seed}-${n}`, shop: SHOP }), file: files.accepted })
  const firstStartMs = gateway.readyMs
  let slowestStartMs = 0
  const untilKill = between(random, 400, 2000)
  for (let i = 0; i < kills; i++) {
    await wait(untilKill())
    await gateway.kill('SIGKILL')
    appendFileSync(files.kills, `${performance.now()}\n`)
    await gateway.restart()
    slowestStartMs = Math.max(slowestStartMs, gateway.readyMs)
  }
  await wait(500)
  await load.stop()
  await drained(targetOf(gateway), 30_000)
  const listed = await listDeliveries(targetOf(gateway))
  await gateway.kill('SIGKILL')
  await standIn.close()
  const finding = judge(readAccepted(files.accepted), readArrivals(files.received), listed)
  const uncertainSends = finding.repeatedKeys.length + listed.filter(({ state }) => state === 'unknown').length
  return { seed, uncertain, kills, rate: RATE, finding, listed: listed.length, uncertainSends, allowed: kills * CONCURRENCY, firstStartMs, slowestStartMs, integrity: integrityOf(dir), repeatedPosts: load.repeats }
}

function integrityOf (dir: string): string {
  const db = new DatabaseSync(join(dir, 'gateway.db'))
  const row = db.prepare('pragma integrity_check').get()
  db.close()
  return String(row?.['integrity_check'])
}
