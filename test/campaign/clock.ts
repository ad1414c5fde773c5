// R60 with a real process whose clock is set: libfaketime gives it the time of day, and leaves the monotonic clock alone.
// Judged by the provider's own time, and by what the client was promised.

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import { type onPostgres, targetOf, type World } from '../e2e/world.ts'
import { eventOf, Load } from '../helpers/load.ts'
import { drained, judge, listDeliveries, readAccepted, readArrivals } from '../helpers/oracle.ts'
import { onWorld } from './on-world.ts'
import { between, seeded } from './seed.ts'
import { some } from './trial.ts'
import { most } from './windows.ts'

const LIBRARIES = ['/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1', '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1']
const LIBRARY = LIBRARIES.find(existsSync)
/** Whether libfaketime is here. */
export const hasFaketime = LIBRARY !== undefined

const SHOP = 'shop.example'
const WINDOW = { max: 20, perMs: 1000 }
/** More than the window takes, so that there is always something to send. */
const RATE = 24
const DRAINED_WITHIN_MS = 300_000

/** Longer than any step: what a clock says to be over expires, and that is right. */
const LASTING = { schema: join(import.meta.dirname, '../../schemas/events/back_in_stock.alert.schema.json'), channel: 'sms', setup_group: 'back_in_stock', kind: 'marketing', expires_after: '7d', person: '/customer/phone' }

/** What the clock does, each for a while: what libfaketime is told, once or again and again. */
export const COURSES = {
  'one hour back': () => '-3600',
  'as it was': () => '+0',
  'one hour on': () => '+3600',
  'a day back': () => '-86400',
  'nearly a day on': () => '+72000',
  'a second to and fro': (n: number) => n % 2 === 0 ? '+1' : '-1',
  'half as fast': () => '+0 x0.5'
} as const

export interface ClockReport {
  seed: number
  accepted: number
  received: number
  lost: string[]
  doubled: string[]
  /** Not at rest in the end, or in a state that nothing called for. */
  wrong: string[]
  most: number
  /** The farthest that the process's clock was from the true one, back and on: that it was set at all. */
  apartMs: [number, number]
  /** By course: the longest time between two arrivals while there was always something to send. */
  stallMs: Record<string, number>
}

export interface ClockOptions { dir: string, seed: number, forMs: number, courses?: ReadonlyArray<keyof typeof COURSES>, on?: ReturnType<typeof onPostgres> }

export async function setTheClock ({ dir, seed, forMs, courses = Object.keys(COURSES) as Array<keyof typeof COURSES>, on }: ClockOptions): Promise<ClockReport> {
  const files = { accepted: join(dir, 'accepted.txt'), received: join(dir, 'received.txt'), time: join(dir, 'time') }
  writeFileSync(files.time, '+0\n')
  const env = { ...on?.start?.env, LD_PRELOAD: LIBRARY as string, FAKETIME_TIMESTAMP_FILE: files.time, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' }
  const world: Omit<World, 'standIn'> = {
    dir,
    providers: [{ id: 'limited', uncertain: 'repeat', concurrency: 4, windows: [WINDOW] }],
    shops: [{ id: SHOP, provider: 'limited', account: 'account' }],
    more: { config: {}, env: {}, types: { 'back_in_stock.alert': LASTING } },
    ...on,
    start: { env }
  }
  return await onWorld(world, { file: files.received, latencyMs: between(seeded(seed), 2, 15) }, async (gateway, standIn) => {
    const load = new Load({ target: () => targetOf(gateway), rate: RATE, file: files.accepted, event: n => eventOf({ id: `clock-${seed}-${n}`, shop: SHOP }) })
    const stallMs: Record<string, number> = {}
    const apart: number[] = []
    try {
      for (const course of courses) {
        const from = standIn.arrivals.length
        const startedAt = performance.now()
        for (let n = 0; performance.now() - startedAt < forMs; n++) {
          writeFileSync(files.time, `${COURSES[course](n)}\n`)
          await wait(1000)
        }
        const { headers, body } = await request(`${gateway.url}/healthz`)
        await body.dump()
        apart.push(Date.parse(String(headers.date)) - Date.now())
        stallMs[course] = longestGap([startedAt, ...standIn.arrivals.slice(from).map(({ at }) => at), performance.now()])
      }
      await load.stop()
      await drained(targetOf(gateway), DRAINED_WITHIN_MS)
    } finally {
      await load.abandon()
    }
    const listed = await listDeliveries(targetOf(gateway))
    const { accepted, received, lost, unknown, waiting, doubled, claimedOnly, unexplained } = judge(readAccepted(files.accepted), readArrivals(files.received), listed)
    const refused = load.refused.map(({ id, status }) => `${id} ${status}`)
    const expired = listed.filter(({ state }) => state === 'expired' || state === 'rejected').map(({ sourceId, state }) => `${sourceId} ${state}`)
    const wrong = Object.entries({ unknown, waiting, 'delivered but never received': claimedOnly, unexplained, refused, expired }).filter(([, ids]) => ids.length > 0).map(([name, ids]) => some(name, ids))
    return { seed, accepted, received, lost, doubled, wrong, most: most(standIn.arrivals, WINDOW.perMs), apartMs: [Math.min(...apart), Math.max(...apart)], stallMs }
  })
}

function longestGap (times: readonly number[]): number {
  return times.reduce((longest, at, i) => Math.max(longest, at - (times[i - 1] ?? at)), 0)
}

const SET_MS = 3_000_000
/** Two intervals of the window, and what a look and a busy machine take. */
const STALL_MS = 2 * WINDOW.perMs + 500

export function judgeClock ({ seed, accepted, received, lost, doubled, wrong, most: highest, apartMs, stallMs }: ClockReport): { ok: boolean, line: string } {
  const ok = apartMs[0] < -SET_MS && apartMs[1] > SET_MS && lost.length === 0 && doubled.length === 0 && wrong.length === 0 && highest <= WINDOW.max && Object.values(stallMs).every(ms => ms <= STALL_MS)
  const stalls = Object.entries(stallMs).map(([name, ms]) => `${name} ${Math.round(ms)}`).join(', ')
  return { ok, line: `seed ${seed}, accepted ${accepted}, received ${received}, ${some('lost', lost)}, ${some('doubled', doubled)}; at most ${highest}/${WINDOW.max} in a true window; clock ${apartMs.map(ms => `${Math.round(ms / 1000)} s`).join(' to ')} from the true one; longest stall in ms (aim <= ${STALL_MS}): ${stalls}${wrong.length === 0 ? '' : `; WRONG: ${wrong.join('; ')}`}` }
}
