// Shops that share an account take turns, and what is urgent goes before them.

import { type onPostgres, startWorld, targetOf } from '../e2e/world.ts'
import { type EventType, eventOf, post } from '../helpers/load.ts'
import { type Arrival, startStandIn } from '../helpers/stand-in.ts'

export interface FairReport {
  /** Of how many requests that arrived after C's event was accepted it was: 1 is the next one. */
  cAfter: number
  /** How many arrived, from the moment B's events were accepted to the last of them. */
  bAfter: number
  sent: number
}

/** Long enough for an event to come in between two fillings, also on a busy machine. */
const WINDOW = { max: 10, perMs: 1000 }
const A_EVENTS = 10_000
const B_EVENTS = 100
const BATCH = 1000
const QUIET_MS = 150

export async function shareAnAccount (dir: string, on?: ReturnType<typeof onPostgres>): Promise<FairReport> {
  const standIn = await startStandIn({ latencyMs: () => 2 })
  const shops = ['a', 'b', 'c'].map(name => ({ id: `${name}.example`, provider: 'shared', account: 'one' }))
  const gateway = await startWorld({ dir, standIn, shops, providers: [{ id: 'shared', uncertain: 'repeat', concurrency: 16, windows: [WINDOW] }], ...on })
  const accept = async (shop: string, count: number, type: EventType): Promise<void> => {
    const answer = await post(targetOf(gateway), Array.from({ length: count }, (_, n) => eventOf({ id: `${type}-${serial++}-${n}`, shop, type })))
    if (answer?.status !== 202) throw new Error(`${shop}: not accepted: ${JSON.stringify(answer)}`)
  }
  let serial = 0

  for (let i = 0; i < A_EVENTS / BATCH; i++) await accept('a.example', BATCH, 'back_in_stock.alert')
  await accept('b.example', B_EVENTS, 'back_in_stock.alert')
  const bFrom = standIn.arrivals.length
  await quiet(standIn.arrivals)
  await accept('c.example', 1, 'preorder.confirmed')
  const cFrom = standIn.arrivals.length
  const of = (shop: string): Arrival[] => standIn.arrivals.filter(arrival => arrival.shop === shop)
  await standIn.until(() => of('b.example').length >= B_EVENTS && of('c.example').length > 0)
  await gateway.kill('SIGKILL')
  await standIn.close()
  const lastB = standIn.arrivals.findLastIndex(({ shop }) => shop === 'b.example')
  const c = standIn.arrivals.findIndex(({ shop }) => shop === 'c.example')
  return { cAfter: c - cFrom + 1, bAfter: lastB - bFrom + 1, sent: standIn.arrivals.length }
}

/** Resolves between two fillings of the window, when nothing is claimed already. */
async function quiet (arrivals: readonly Arrival[]): Promise<void> {
  let seen = -1
  while (seen !== arrivals.length) {
    seen = arrivals.length
    await new Promise(resolve => { setTimeout(resolve, QUIET_MS) })
  }
}
