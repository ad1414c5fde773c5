// One run of the simulation: two gateways, one database, four providers, everything that may go wrong chosen by a seed.
// First faults for some minutes, then none: then all must come to rest within a bounded time.

import { setTimeout as wait } from 'node:timers/promises'
import type { Row } from '../../gateway/contract.ts'
import { STATE } from '../../gateway/contract.ts'
import { seeded } from '../campaign/seed.ts'
import { VirtualDatabase } from './database.ts'
import { configOf, VirtualGateway, type Surroundings } from './gateway.ts'
import { Nemesis } from './nemesis.ts'
import { POLICIES, VirtualProvider } from './provider.ts'
import { rest, VirtualTime } from './time.ts'
import { vanished } from './watch.ts'

const GATEWAYS = 2
/** Questions about a lost message, pauses that providers ask for, and clocks that were set back take their time. */
const REST_WITHIN_MS = 90 * 60_000
const LOOK_MS = 5000
/** While all only waits, most of its time is passed over. Less than a lease. */
const DOZE_MS = 2500
const DOZE_EVERY_MS = 250

export interface Report {
  seed: number
  /** Virtual minutes, and timers fired in them. */
  minutes: number
  steps: number
  accepted: number
  arrived: number
  made: number
  faults: Record<string, number>
  states: Record<string, number>
  /** What may not be, with its time; empty is good. */
  wrong: string[]
  /** Equal for equal runs. */
  trace: string
}

export interface SimulateOptions {
  seed: number
  /** How long faults last, virtual. Default: three minutes. */
  faultsForMs?: number
  /** Breaks something on purpose, so that a test sees what is found. */
  spoil? (world: World): void
  /** Told what happens, to look into a seed. */
  tell? (line: string): void
}

export interface World extends Surroundings {
  time: VirtualTime
  random: () => number
  /** Those that run, or start. A place is null while nothing runs there. */
  gateways: Array<VirtualGateway | null>
  /** Ids of events that were answered accepted, and of their deliveries. */
  accepted: Map<string, string>
  faults: Record<string, number>
  tell (line: string): void
  /** Starts one at a place; tries until it is there. */
  boot (at: number): Promise<void>
}

/** Everything runs on virtual timers: nothing else may run in this process meanwhile. */
export async function simulate ({ seed, faultsForMs = 180_000, spoil, tell }: SimulateOptions): Promise<Report> {
  const random = seeded(seed)
  const time = new VirtualTime()
  const uninstall = time.install()
  const db = new VirtualDatabase(time, random)
  try {
    const providers = POLICIES.map(policy => new VirtualProvider(policy, time, random))
    const world = worldOf({ db, providers, config: configOf(providers) }, tell ?? (() => {}))
    spoil?.(world)
    return await played(world, seed, faultsForMs)
  } finally {
    uninstall()
    db.close()
  }
}

function worldOf (around: Surroundings, tell: (line: string) => void): World {
  const { db } = around
  let ids = 0
  const world: World = {
    ...around,
    time: db.time,
    random: db.random,
    gateways: Array.from({ length: GATEWAYS }, () => null),
    accepted: new Map(),
    faults: {},
    tell: line => { tell(`${db.time.now} ${line}`) },
    async boot (at) {
      for (;;) {
        const gateway = new VirtualGateway(around, Math.floor(db.random() * 40) - 20, () => ++ids)
        world.gateways[at] = gateway
        const started = await Promise.race([gateway.start().then(() => true, () => false), wait(30_000).then(() => gateway.up)])
        if (started || world.gateways[at] !== gateway) return
        gateway.kill()
        await wait(500)
        if (world.gateways[at] !== gateway) return
      }
    }
  }
  return world
}

async function played (world: World, seed: number, faultsForMs: number): Promise<Report> {
  const { time, db } = world
  const nemesis = new Nemesis(world)
  let steps = 0
  let trace = 0
  let lookedAt = 0
  const wrong = (): string[] => [...db.wrong, ...world.providers.flatMap(provider => provider.wrong)]
  const until = async (done: () => boolean, endsAt: number): Promise<boolean> => {
    while (time.now < endsAt && wrong().length === 0) {
      if (done()) return true
      await time.step()
      steps++
      trace = (Math.imul(trace, 31) + time.now) | 0
      if (time.now - lookedAt < LOOK_MS) continue
      lookedAt = time.now
      db.wrong.push(...vanished(db), ...lost(world))
    }
    return done()
  }
  for (let at = 0; at < GATEWAYS; at++) void world.boot(at)
  await rest()
  await until(() => world.gateways.every(gateway => gateway?.up), 60_000)
  nemesis.start(time.now + faultsForMs)
  await until(() => nemesis.over, time.now + faultsForMs + 60_000)
  await nemesis.heal()
  const restsBy = time.now + REST_WITHIN_MS
  while (time.now < restsBy && wrong().length === 0 && !(nemesis.idle && open(world).length === 0)) {
    // Nor is a question under way: it would have no answer when time has passed.
    const nobodyActs = Number(db.query('select (select count(*) from deliveries where owner is not null) + (select count(*) from jobs where owner is not null) as n')[0]?.n) === 0
    if (nemesis.idle && nobodyActs) await time.doze(DOZE_MS)
    await until(() => false, time.now + DOZE_EVERY_MS)
  }
  if (wrong().length === 0) db.wrong.push(...vanished(db), ...lost(world), ...open(world).map(row => `${String(row.id)} did not come to rest: ${JSON.stringify(row)}`))
  const counts = world.providers.map(provider => provider.counts)
  return {
    seed,
    minutes: Math.round(time.now / 60_000),
    steps,
    accepted: world.accepted.size,
    arrived: counts.reduce((sum, { arrived }) => sum + arrived, 0),
    made: counts.reduce((sum, { made }) => sum + made, 0),
    faults: world.faults,
    states: Object.fromEntries(db.query('select state, count(*) as n from deliveries group by state').map(({ state, n }) => [Object.entries(STATE).find(([, number]) => number === state)?.[0], Number(n)])),
    wrong: wrong().map(what => `seed ${seed}, step ${steps}, ${time.now} ms: ${what}`),
    trace: `${trace} ${time.now} ${steps}`
  }
}

/** What was answered accepted is there, or was purged after its time. */
function lost ({ db, accepted }: World): string[] {
  const there = new Set(db.query('select id from deliveries union all select id from purged').map(({ id }) => String(id)))
  return [...accepted].filter(([, delivery]) => !there.has(delivery)).map(([event, delivery]) => `${event} was accepted as ${delivery}, which is nowhere`)
}

/** What has not come to an end, nor to a person. */
function open ({ db }: World): Row[] {
  return db.query('select id, state, reason, due_at, owner, epoch, attempts, queue_key, account_key from deliveries where finished_at is null limit 5')
}

