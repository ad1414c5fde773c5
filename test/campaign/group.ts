// Several gateways on one database, under load at all of them. What is done to them or to the database is the campaign's own;
// in the end all are judged together, from outside.

import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Window } from '../../gateway/contract.ts'
import { startWorld, targetOf, type World } from '../e2e/world.ts'
import type { GatewayProcess } from '../helpers/gateway-process.ts'
import { eventOf, Load } from '../helpers/load.ts'
import { drained, listDeliveries, readAccepted, readArrivals } from '../helpers/oracle.ts'
import { query } from '../helpers/postgres-cluster.ts'
import { type StandIn, startStandIn } from '../helpers/stand-in.ts'
import { between, seeded } from './seed.ts'
import { POLICIES, type Policy, type Verdict, verdictOf } from './trial.ts'

/** Twice what it must be beside such requests. */
export const LEASE_MS = 3000
/** What a request may take in all. */
export const REQUEST_MS = 1000
/** Of one gateway at one provider. */
export const CONCURRENCY = 8
/** What was not written, or is in doubt, is taken up again after a minute at most, and after another one where that was in doubt as well. */
const DRAINED_WITHIN_MS = 180_000
const SHARED_WITHIN_MS = 20_000

export interface GroupOptions {
  /** An empty folder. */
  dir: string
  seed: number
  /** The database as the gateways reach it. */
  url: string
  /** Gateways at the start. */
  size: number
  /** Events per second, for each shop in turn. */
  rate: number
  /** At providers that tell repeats apart and at such that cannot, in turn; each on an account of its own. */
  shops: number
  windows?: readonly Window[]
  /** False: what the gateway says is waiting still may do so. */
  drain?: boolean
}

export interface Member {
  gateway: GatewayProcess
  /** By this number the database knows it. */
  owner: number
}

export interface Group {
  members: Member[]
  standIn: StandIn
  load: Load
  random: () => number
  /** Starts one more, with the same files. */
  join (): Promise<Member>
  /** It gets no more posts, and is killed. */
  leave (member: Member, signal: NodeJS.Signals): Promise<void>
}

/** Starts them, does to them what is to be done, waits until all that was accepted is at rest, ends them and judges. */
export async function onGroup (options: GroupOptions, act: (group: Group) => Promise<void>): Promise<Verdict & { repeatedPosts: number }> {
  const { dir, seed, drain = true } = options
  const files = { accepted: join(dir, 'accepted.txt'), received: join(dir, 'received.txt') }
  const random = seeded(seed)
  const standIn = await startStandIn({ file: files.received, latencyMs: between(random, 20, 80), ...(options.windows && { windows: options.windows }) })
  const group = await assemble(options, standIn, random, files.accepted)
  try {
    await act(group)
    await group.load.stop()
    const target = targetOf((group.members[0] as Member).gateway)
    if (drain) await drained(target, DRAINED_WITHIN_MS)
    const listed = await listDeliveries(target)
    for (const { gateway } of group.members) await gateway.kill('SIGKILL')
    const { refused, repeats: repeatedPosts } = group.load
    const verdict = verdictOf(readAccepted(files.accepted), readArrivals(files.received), listed, { drain })
    if (refused.length > 0) verdict.wrong.push(`refused ${refused.length} [${refused[0]?.id} ${refused[0]?.status} …]`)
    return { ...verdict, repeatedPosts }
  } finally {
    for (const { gateway } of group.members) await gateway.kill('SIGKILL')
    await group.load.abandon()
    await standIn.close()
  }
}

async function assemble ({ dir, seed, url, size, rate, shops, windows = [{ max: 100_000, perMs: 1000 }] }: GroupOptions, standIn: StandIn, random: () => number, accepted: string): Promise<Group> {
  const addressed = Array.from({ length: shops }, (_, n) => ({ id: `shop-${n}.example`, policy: POLICIES[n % POLICIES.length] as Policy }))
  const world: World = {
    dir,
    standIn,
    providers: POLICIES.map(id => ({ id, uncertain: id, concurrency: CONCURRENCY, windows })),
    shops: addressed.map(({ id, policy }) => ({ id, provider: policy, account: `account of ${id}` })),
    store: { driver: 'postgres', url: { env: 'DATABASE_URL' }, lease: `${LEASE_MS}ms` },
    more: { config: { delivery: { request_deadline: `${REQUEST_MS}ms` } }, types: {}, env: { DATABASE_URL: url } }
  }
  const members: Member[] = []
  const start = async (): Promise<Member> => {
    const gateway = await startWorld(world)
    const [newest] = await query(url, 'select max(owner) as owner from instances')
    const member = { gateway, owner: Number(newest?.['owner']) }
    members.push(member)
    return member
  }
  for (let i = 0; i < size; i++) await start()
  let turn = 0
  const target = (): { url: string, apiKey: string } => targetOf((members[turn++ % members.length] as Member).gateway)
  const load = new Load({
    target, rate, file: accepted,
    event: n => {
      const { id, policy } = addressed[n % addressed.length] as typeof addressed[number]
      return eventOf({ id: `${policy}-${seed}-${n}`, shop: id })
    }
  })
  return {
    members, standIn, load, random, join: start,
    async leave (member, signal) {
      members.splice(members.indexOf(member), 1)
      await member.gateway.kill(signal)
    }
  }
}

/** How many slots each has, by the database's word. */
export async function slotsOf (url: string): Promise<Map<number, number>> {
  const rows = await query(url, 'select owner, count(*) as slots from slots group by owner')
  return new Map(rows.map(({ owner, slots }) => [Number(owner), Number(slots)]))
}

/** Resolves when each of them has its share of the slots, and nobody else has any. */
export async function shared (url: string, members: readonly Member[]): Promise<void> {
  const most = Math.ceil(256 / members.length)
  const endsAt = performance.now() + SHARED_WITHIN_MS
  for (;;) {
    const slots = await slotsOf(url)
    if (slots.size === members.length && members.every(({ owner }) => (slots.get(owner) ?? Infinity) <= most)) return
    if (performance.now() > endsAt) throw new Error(`after ${SHARED_WITHIN_MS} ms the slots are not shared: ${JSON.stringify([...slots])}`)
    await wait(50)
  }
}
