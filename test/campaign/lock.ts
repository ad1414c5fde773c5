// R8: another program holds the lock of the store's file for five seconds, again and again. The event loop turns, what
// comes in waits and is refused beyond the marks, and nothing is lost.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import { targetOf, type World } from '../e2e/world.ts'
import { eventOf, Load } from '../helpers/load.ts'
import { drained, type Finding, judge, listDeliveries, readAccepted, readArrivals } from '../helpers/oracle.ts'
import { onWorld } from './on-world.ts'
import { some } from './trial.ts'

export interface LockReport {
  rounds: number
  finding: Finding
  listed: number
  /** Posts that were refused, and posted again under their id. */
  repeats: number
  /** How late the gateway's event loop ran, by its own measure, at most over a round. */
  loopP99Ms: number
}

const SHOP = 'shop.example'
const RATE = 100
const HELD_MS = 5000
const HOLDER = `import { DatabaseSync } from 'node:sqlite'
const db = new DatabaseSync(process.argv[2], { timeout: 5000 })
process.on('message', sql => { db.exec(sql); process.send(sql) })
process.send('ready')`

export async function holdLock ({ dir, rounds }: { dir: string, rounds: number }): Promise<LockReport> {
  const files = { accepted: join(dir, 'accepted.txt'), received: join(dir, 'received.txt') }
  const world: Omit<World, 'standIn'> = {
    dir,
    providers: [{ id: 'repeat', uncertain: 'repeat', concurrency: 32, windows: [{ max: 100_000, perMs: 1000 }] }],
    shops: [{ id: SHOP, provider: 'repeat', account: 'account' }],
    more: { config: { server: { port: 0, overload: { requests: 64 } } }, types: {}, env: {} }
  }
  return await onWorld(world, { file: files.received, latencyMs: () => 20 }, async gateway => {
    const holder = join(dir, 'holder.mjs')
    writeFileSync(holder, HOLDER)
    const other = fork(holder, [join(dir, 'gateway.db')], { stdio: 'ignore' })
    await once(other, 'message')
    const tell = async (sql: string): Promise<void> => {
      const done = once(other, 'message')
      other.send(sql)
      await done
    }
    const load = new Load({ target: () => targetOf(gateway), rate: RATE, event: n => eventOf({ id: `l-${n}`, shop: SHOP }), file: files.accepted })
    try {
      let loopP99Ms = 0
      for (let i = 0; i < rounds; i++) {
        await wait(1000)
        await lag(gateway.url) // begins anew with each question
        await tell('begin immediate')
        await wait(HELD_MS)
        loopP99Ms = Math.max(loopP99Ms, await lag(gateway.url))
        await tell('commit')
      }
      other.kill()
      await load.stop()
      await drained(targetOf(gateway), 60_000)
      const listed = await listDeliveries(targetOf(gateway))
      return { rounds, finding: judge(readAccepted(files.accepted), readArrivals(files.received), listed), listed: listed.length, repeats: load.repeats, loopP99Ms }
    } finally {
      await load.abandon()
    }
  })
}

export function judgeLock ({ rounds, finding, listed, repeats, loopP99Ms }: LockReport): { ok: boolean, line: string } {
  const { accepted, received, lost, waiting, unknown, doubled, claimedOnly, unexplained } = finding
  const sets = { lost, waiting, unknown, doubled, 'delivered but never received': claimedOnly, unexplained }
  const ok = Object.values(sets).every(ids => ids.length === 0) && received === accepted && listed === accepted && loopP99Ms < 100
  return { ok, line: `${rounds} locks of ${HELD_MS} ms at ${RATE}/s, accepted ${accepted}, received ${received}, posts repeated ${repeats}; ${Object.entries(sets).map(([name, ids]) => some(name, ids)).join(', ')}; event loop p99 at most ${Math.round(loopP99Ms)} ms` }
}

async function lag (url: string): Promise<number> {
  const text = await (await request(`${url}/metrics`)).body.text()
  return Number(/^nodejs_eventloop_lag_p99_seconds (\S+)/m.exec(text)?.[1]) * 1000
}
