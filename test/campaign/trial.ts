// A gateway under load with two shops: one at a provider that tells repeats apart, one at a provider that cannot, where a
// person decides. Whatever is done to the process meanwhile, both are judged in the end from outside.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { startWorld, targetOf, type World } from '../e2e/world.ts'
import type { GatewayProcess } from '../helpers/gateway-process.ts'
import { eventOf, Load, type SentEvent } from '../helpers/load.ts'
import { drained, judge, listDeliveries, type Listed, readAccepted, readArrivals } from '../helpers/oracle.ts'
import { type Arrival, type StandIn, startStandIn } from '../helpers/stand-in.ts'
import { between, seeded } from './seed.ts'

export const POLICIES = ['repeat', 'park'] as const
export type Policy = typeof POLICIES[number]
/** Requests in flight at both providers together. */
export const IN_FLIGHT = 32
/** A long run leaves a backlog. */
const DRAINED_WITHIN_MS = 300_000

export interface TrialOptions extends Pick<World, 'store' | 'dataDir' | 'start' | 'requestDeadline'> {
  /** An empty folder. */
  dir: string
  seed: number
  /** Events per second. */
  rate: number
}

export interface Trial {
  gateway: GatewayProcess
  standIn: StandIn
  load: Load
  world: World
  random: () => number
  /** The shops that events are for, in turns. */
  addressed: Array<{ id: string, policy: Policy }>
}

export interface Verdict {
  accepted: number
  received: number
  unknown: number
  /** Three processes ended while they had it in hand; a person may send it. */
  setAside: number
  /** Keys that the provider which tells them apart got more than once. */
  sentAgain: number
  /** Sends whose end no process saw: sent again, or unknown. */
  uncertain: number
  lost: string[]
  /** What may not be, in words, with the first ids; empty is good. */
  wrong: string[]
}

/** Starts it, does to it what is to be done, waits until all that was accepted is at rest, ends it and judges. */
export async function onTrial (options: TrialOptions, act: (trial: Trial) => Promise<void>): Promise<Verdict> {
  const files = { accepted: join(options.dir, 'accepted.txt'), received: join(options.dir, 'received.txt') }
  const random = seeded(options.seed)
  const standIn = await startStandIn({ file: files.received, latencyMs: between(random, 20, 80) })
  let trial: Trial | null = null
  try {
    trial = await start(options, standIn, random, files.accepted)
    await act(trial)
    const { gateway, load } = trial
    await load.stop()
    await drained(targetOf(gateway), DRAINED_WITHIN_MS)
    const listed = await listDeliveries(targetOf(gateway))
    await gateway.kill('SIGKILL')
    const verdict = verdictOf(readAccepted(files.accepted), readArrivals(files.received), listed)
    const integrity = integrityOf(options.dataDir ?? options.dir)
    if (integrity !== 'ok') verdict.wrong.push(`integrity: ${integrity}`)
    if (load.refused.length > 0) verdict.wrong.push(some('refused', load.refused.map(({ id, status }) => `${id} ${status}`)))
    return verdict
  } finally {
    await trial?.gateway.kill('SIGKILL')
    await trial?.load.abandon()
    await standIn.close()
  }
}

async function start ({ dir, seed, rate, ...how }: TrialOptions, standIn: StandIn, random: () => number, accepted: string): Promise<Trial> {
  const addressed = POLICIES.map(policy => ({ id: `${policy}.example`, policy }))
  const world: World = {
    dir,
    standIn,
    providers: POLICIES.map(id => ({ id, uncertain: id, concurrency: IN_FLIGHT / POLICIES.length, windows: [{ max: 100_000, perMs: 1000 }] })),
    shops: addressed.map(({ id, policy }) => ({ id, provider: policy, account: policy })),
    ...how
  }
  const gateway = await startWorld(world)
  const event = (n: number): SentEvent => {
    const { id, policy } = addressed[n % addressed.length] as typeof addressed[number]
    return eventOf({ id: `${policy}-${seed}-${n}`, shop: id })
  }
  const load = new Load({ target: () => targetOf(gateway), rate, file: accepted, event })
  return { gateway, standIn, load, world, random, addressed }
}

/** `drain` false: what waits still may do so, and what is unknown may yet be sent again. */
export function verdictOf (promised: ReadonlySet<string>, arrivals: readonly Arrival[], listed: readonly Listed[], { drain } = { drain: true }): Verdict {
  const { accepted, received, lost, setAside, unknown, waiting, repeatedKeys, doubled, claimedOnly, unexplained } = judge(promised, arrivals, listed)
  const cannotTell = new Set(arrivals.filter(({ provider }) => provider !== 'repeat').map(({ key }) => key))
  const wrong = Object.entries({
    lost, doubled, unexplained,
    'delivered but never received': claimedOnly,
    'sent twice to a provider that cannot tell': repeatedKeys.filter(key => cannotTell.has(key)),
    ...(drain && { waiting, 'given up at a provider that can tell': unknown.filter(id => id.startsWith('repeat-')) })
  }).filter(([, ids]) => ids.length > 0).map(([name, ids]) => some(name, ids))
  const resting = unknown.length + setAside.length + (drain ? 0 : waiting.length)
  if (received + resting !== accepted) wrong.push(`received ${received} and ${resting} at rest are not the ${accepted} accepted`)
  if (listed.length !== accepted) wrong.push(`${listed.length} deliveries of ${accepted} events`)
  const uncertain = repeatedKeys.length + listed.filter(({ state }) => state === 'unknown').length
  return { accepted, received, unknown: unknown.length, setAside: setAside.length, sentAgain: repeatedKeys.length, uncertain, lost, wrong }
}

/** What SQLite says of its file after all; `ok` where there is none. */
export function integrityOf (dataDir: string): string {
  const file = join(dataDir, 'gateway.db')
  if (!existsSync(file)) return 'ok'
  const db = new DatabaseSync(file)
  const row = db.prepare('pragma integrity_check').get()
  db.close()
  return String(row?.['integrity_check'])
}

const SHOWN = 5

/** How many, and the first of them. */
export function some (name: string, ids: readonly string[]): string {
  return ids.length === 0 ? `${name} 0` : `${name} ${ids.length} [${ids.slice(0, SHOWN).join(' ')}${ids.length > SHOWN ? ' …' : ''}]`
}

/** What every campaign on a trial says: the counts, and the oracle's set difference. */
export function lineOf ({ accepted, received, unknown, setAside, sentAgain, uncertain, lost, wrong }: Verdict): string {
  return `accepted ${accepted}, received ${received}, unknown ${unknown}, set aside ${setAside}, sent again ${sentAgain}, uncertain ${uncertain}; lost ${lost.length}${wrong.length === 0 ? ', nothing wrong' : `; WRONG: ${wrong.join('; ')}`}`
}
