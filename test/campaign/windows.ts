// A burst and a steady window at once, counted by the provider when requests arrive: nothing is refused and nothing
// is left unused, through a pause and through a kill late in the steady window.

import { type onPostgres, startWorld, targetOf } from '../e2e/world.ts'
import { eventOf, post } from '../helpers/load.ts'
import { type Arrival, startStandIn } from '../helpers/stand-in.ts'
import { between, seeded } from './seed.ts'

export interface WindowsOptions {
  /** An empty folder. */
  dir: string
  seed: number
  /** Full steady windows of backlog before the pause, and after it. */
  before: number
  after: number
  /** Another store than a SQLite file. */
  on?: ReturnType<typeof onPostgres> | undefined
}

export interface WindowsReport {
  seed: number
  sent: number
  /** Requests the provider answered 429. */
  limited: number
  /** Shares of the steady window that were used while there was backlog, before and after the pause. */
  used: { before: number, after: number }
  /** The most that arrived in one window, anywhere. */
  most: { burst: number, steady: number }
}

export const BURST = { max: 20, perMs: 1000 }
export const STEADY = { max: 100, perMs: 10_000 }
const SHOP = 'shop.example'
const KILL_AT = STEADY.max * 0.9
/** Few in flight: each that a kill leaves open counts in the windows, whether it arrived or not. */
const CONCURRENCY = 4

export async function fillWindows ({ dir, seed, before, after, on }: WindowsOptions): Promise<WindowsReport> {
  const standIn = await startStandIn({ latencyMs: between(seeded(seed), 2, 15), windows: [BURST, STEADY] })
  const gateway = await startWorld({
    dir,
    standIn,
    providers: [{ id: 'limited', uncertain: 'repeat', concurrency: CONCURRENCY, windows: [BURST, STEADY] }],
    shops: [{ id: SHOP, provider: 'limited', account: 'account' }],
    ...on
  })
  const postBacklog = async (name: string, windows: number): Promise<number> => {
    const events = Array.from({ length: windows * STEADY.max + 1 }, (_, n) => eventOf({ id: `${name}-${n}`, shop: SHOP }))
    const answer = await post(targetOf(gateway), events)
    if (answer?.status !== 202) throw new Error(`the backlog was not accepted: ${JSON.stringify(answer)}`)
    return events.length
  }

  const first = await postBacklog('first', before)
  await standIn.until(() => standIn.arrivals.length >= KILL_AT)
  await gateway.kill('SIGKILL')
  await gateway.restart()
  await standIn.until(() => distinct(standIn.arrivals) >= first)
  const pausedAt = standIn.arrivals.length
  // The pause lasts as long as what was sent still fills part of the steady window.
  await new Promise(resolve => { setTimeout(resolve, STEADY.perMs / 4) })
  const second = await postBacklog('second', after)
  await standIn.until(() => distinct(standIn.arrivals) >= first + second)

  await gateway.kill('SIGTERM')
  await standIn.close()
  const { arrivals, limited } = standIn
  return {
    seed,
    sent: arrivals.length,
    limited,
    used: { before: used(arrivals.slice(0, pausedAt), before), after: used(arrivals.slice(pausedAt), after) },
    most: { burst: most(arrivals, BURST.perMs), steady: most(arrivals, STEADY.perMs) }
  }
}

function distinct (arrivals: readonly Arrival[]): number { return new Set(arrivals.filter(({ status }) => status < 300).map(({ key }) => key)).size }

/** 1 when full windows follow one another without a gap: the first place of each is used as soon as it is free. */
function used (arrivals: readonly Arrival[], windows: number): number {
  const from = arrivals[0] as Arrival
  const to = arrivals[windows * STEADY.max] as Arrival
  return windows * STEADY.perMs / (to.at - from.at)
}

/** The most that arrived in one window of this length, wherever it lies. */
export function most (arrivals: readonly Arrival[], perMs: number): number {
  let first = 0
  let highest = 0
  for (const [i, { at }] of arrivals.entries()) {
    while ((arrivals[first] as Arrival).at <= at - perMs) first++
    highest = Math.max(highest, i - first + 1)
  }
  return highest
}
