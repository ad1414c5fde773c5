// The windows of an account hold whoever works on it: through a kill while the steady one is nearly full, and while gateways
// come and go under a load that is too much for it. The provider counts, when requests arrive.

import { setTimeout as wait } from 'node:timers/promises'
import type { Window } from '../../gateway/contract.ts'
import { startWorld, targetOf, type World } from '../e2e/world.ts'
import { eventOf, post } from '../helpers/load.ts'
import { query } from '../helpers/postgres-cluster.ts'
import { type Arrival, startStandIn } from '../helpers/stand-in.ts'
import { LEASE_MS, onGroup, REQUEST_MS, shared, slotsOf } from './group.ts'
import { between, seeded } from './seed.ts'
import { lineOf, type Verdict } from './trial.ts'
import { BURST, most } from './windows.ts'

const SHOP = 'shop.example'
/** Of the steady window. */
const KILL_AT = 0.9
/** Few in flight: each that a kill leaves open counts in the windows, whether it arrived or not. */
const CONCURRENCY = 4
/** Of the last whole window; what a take-over left has passed by then. */
export const USED_LEAST = 0.9

export interface NearlyFullOptions {
  /** An empty folder. */
  dir: string
  seed: number
  /** An empty database; null for SQLite. */
  url: string | null
  /** Who goes on: the same gateway, started again, or another that is there already. */
  by: 'itself' | 'another'
  /** Longer than a take-over takes. */
  steady: Window
}

export interface NearlyFullReport {
  seed: number
  sent: number
  /** Requests the provider answered 429. */
  limited: number
  /** The most that arrived in one window, anywhere. */
  most: { burst: number, steady: number }
  steady: Window
  /** Share of the last whole steady window that was used. */
  used: number
}

/** Kills -9 who works on an account when 90 % of its steady window is used. */
export async function killNearlyFull ({ dir, seed, url, by, steady }: NearlyFullOptions): Promise<NearlyFullReport> {
  const standIn = await startStandIn({ latencyMs: between(seeded(seed), 2, 15), windows: [BURST, steady] })
  const world: World = {
    dir,
    standIn,
    providers: [{ id: 'limited', uncertain: 'repeat', concurrency: CONCURRENCY, windows: [BURST, steady] }],
    shops: [{ id: SHOP, provider: 'limited', account: 'account' }],
    ...(url !== null && onDatabase(url))
  }
  const gateways = [await startWorld(world)]
  try {
    if (by === 'another') gateways.push(await startWorld(world))
    const [first] = gateways as [typeof gateways[0]]
    const events = Array.from({ length: 2 * steady.max + BURST.max }, (_, n) => eventOf({ id: `${seed}-${n}`, shop: SHOP }))
    const answer = await post(targetOf(first), events)
    if (answer?.status !== 202) throw new Error(`the backlog was not accepted: ${JSON.stringify(answer)}`)
    await standIn.until(() => standIn.arrivals.length >= KILL_AT * steady.max)
    if (url === null || by === 'itself') {
      await first.kill('SIGKILL')
      await first.restart()
    } else await (gateways[await indexOfOwner(url)] as typeof first).kill('SIGKILL')
    await standIn.until(() => new Set(standIn.arrivals.filter(({ status }) => status < 300).map(({ key }) => key)).size >= events.length)
    const { arrivals, limited } = standIn
    return { seed, sent: arrivals.length, limited, most: { burst: most(arrivals, BURST.perMs), steady: most(arrivals, steady.perMs) }, steady, used: usedOfLast(arrivals, steady) }
  } finally {
    for (const gateway of gateways) await gateway.kill('SIGKILL')
    await standIn.close()
  }
}

function onDatabase (url: string): Pick<World, 'store' | 'more'> {
  return {
    store: { driver: 'postgres', url: { env: 'DATABASE_URL' }, lease: `${LEASE_MS}ms` },
    more: { config: { delivery: { request_deadline: `${REQUEST_MS}ms` } }, types: {}, env: { DATABASE_URL: url } }
  }
}

/** In the order in which they joined. */
async function indexOfOwner (url: string): Promise<number> {
  const [row] = await query(url, `
    select (select count(*) from instances i where i.owner < s.owner) as before
    from queues q join slots s on s.slot = q.account_key % 256 where q.account_key is not null limit 1`)
  return Number(row?.['before'])
}

function usedOfLast (arrivals: readonly Arrival[], { max, perMs }: Window): number {
  const [from, to] = [arrivals.at(-max - 1), arrivals.at(-1)] as [Arrival, Arrival]
  return perMs / (to.at - from.at)
}

export function nearlyFullFaults ({ limited, most, steady, used }: NearlyFullReport): string[] {
  return [
    ...(limited > 0 ? [`${limited} were answered 429`] : []),
    ...(most.burst > BURST.max || most.steady > steady.max ? [`a window was overfilled: ${most.burst}/${BURST.max}, ${most.steady}/${steady.max}`] : []),
    ...(used < USED_LEAST ? [`only ${Math.round(used * 100)} % of the last window was used`] : [])
  ]
}

export function nearlyFullLine ({ seed, sent, limited, most, steady, used }: NearlyFullReport): string {
  return `seed ${seed}, sent ${sent}, 429 ${limited}, at most ${most.burst}/${BURST.max} and ${most.steady}/${steady.max}, ${Math.round(used * 100)} % of the last window used`
}

export interface OneAccountOptions {
  /** An empty folder. */
  dir: string
  seed: number
  /** An empty database. */
  url: string
  /** How often the one that has the account goes, and another comes. */
  times: number
  /** Between two of these. */
  everyMs: number
  windows: readonly [Window, Window]
}

export interface OneAccountReport {
  seed: number
  times: number
  verdict: Verdict
  limited: number
  /** The most that arrived in a window of each length, and what each allows. */
  windows: Array<Window & { most: number }>
  /** Of what the longer window allows in all that time. */
  used: number
}

/** R26: two gateways, one account, three times what it takes; who has it is killed or stopped, by turns, and another joins. */
export async function fightForOneAccount ({ dir, seed, url, times, everyMs, windows }: OneAccountOptions): Promise<OneAccountReport> {
  const [, longer] = windows
  let arrivals: readonly Arrival[] = []
  let limited = 0
  const rate = 3 * longer.max / longer.perMs * 1000
  const verdict = await onGroup({ dir, seed, url, size: 2, rate, shops: 1, windows, drain: false }, async group => {
    await shared(url, group.members)
    for (let i = 0; i < times; i++) {
      await wait(everyMs)
      const owner = await ownerOfAccount(url)
      const leaver = group.members.find(member => member.owner === owner)
      if (!leaver) throw new Error(`nobody has the account: ${JSON.stringify([...await slotsOf(url)])}`)
      await group.leave(leaver, i % 2 === 0 ? 'SIGKILL' : 'SIGTERM')
      await group.join()
    }
    await wait(everyMs)
    arrivals = [...group.standIn.arrivals]
    limited = group.standIn.limited
  })
  const [first, last] = [arrivals[0], arrivals.at(-1)] as [Arrival, Arrival]
  return {
    seed, times, verdict, limited,
    windows: windows.map(window => ({ ...window, most: most(arrivals, window.perMs) })),
    used: arrivals.length / ((last.at - first.at) / longer.perMs * longer.max)
  }
}

async function ownerOfAccount (url: string): Promise<number> {
  const [row] = await query(url, 'select s.owner from queues q join slots s on s.slot = q.account_key % 256 where q.account_key is not null limit 1')
  return Number(row?.['owner'])
}

export function oneAccountFaults ({ verdict, limited, windows }: OneAccountReport): string[] {
  return [
    ...verdict.wrong,
    ...(limited > 0 ? [`${limited} were answered 429`] : []),
    ...windows.filter(({ most, max }) => most > max).map(({ most, max, perMs }) => `${most} of ${max} in ${perMs} ms`)
  ]
}

export function oneAccountLine ({ seed, times, verdict, limited, windows, used }: OneAccountReport): string {
  return `seed ${seed}, ${times} times, ${lineOf(verdict)}; 429 ${limited}, ${windows.map(({ most, max, perMs }) => `at most ${most}/${max} in ${perMs / 1000} s`).join(', ')}, ${Math.round(used * 100)} % used`
}
