// Gateways that share a database: one dies and the others go on with its accounts, one is stopped and wakes up too late, some
// come and go, and an account's windows hold whoever works on it.

import { setTimeout as wait } from 'node:timers/promises'
import { query } from '../helpers/postgres-cluster.ts'
import type { Arrival } from '../helpers/stand-in.ts'
import { CONCURRENCY, type Group, LEASE_MS, type Member, onGroup, REQUEST_MS, shared } from './group.ts'
import { between } from './seed.ts'
import { lineOf, POLICIES, some, type Verdict } from './trial.ts'

/** A lease that has just been renewed runs out, and is looked for every sixth of its time; half of it again, as 45 s are to 30. */
export const TAKEN_OVER_WITHIN_MS = LEASE_MS * 1.5
export const HANDED_OVER_WITHIN_MS = 2000
const RATE = 50
/** As many that each gateway has some of them, whatever slots it has. */
const SHOPS = 12
/** What was on the wire arrives within this. */
const WIRE_MS = 500
const STARTED_WITHIN_MS = 30_000

export interface InstancesOptions {
  /** An empty folder. */
  dir: string
  seed: number
  /** An empty database. */
  url: string
  times: number
  /** False: what the gateway says is waiting in the end need not be waited for. */
  drain?: boolean
}

export interface InstancesReport {
  seed: number
  times: number
  verdict: Verdict & { repeatedPosts: number }
  /** Until a message of the one that was gone arrived from another; one per time, shortest first. */
  elsewhereMs: number[]
  /** Of one gateway at both providers: so many sends may be in doubt each time. */
  allowed: number
  /** The most sends that one time left in doubt, as far as the provider's file tells. */
  worst: number
  wrong: string[]
}

/** R24: two, killed by turns. */
export async function killByTurns (options: InstancesOptions): Promise<InstancesReport> {
  return await onPair(options, async ({ group, elsewhere }) => {
    const [victim] = group.members as [Member, Member]
    await elsewhere(victim, () => group.leave(victim, 'SIGKILL'))
    await group.join()
  })
}

/** A third one joins, and the first is told to stop: the slots are shared each time, and the others go on at once. */
export async function joinAndLeave (options: InstancesOptions): Promise<InstancesReport> {
  return await onPair(options, async ({ group, elsewhere }) => {
    await group.join()
    await shared(options.url, group.members)
    const [leaver] = group.members as [Member, Member]
    await elsewhere(leaver, () => group.leave(leaver, 'SIGTERM'), { fromItsEnd: true })
  })
}

/** R25: one is stopped for two leases and goes on. What it does then is not to be seen, but for what was on its way. */
export async function sleepThrough (options: InstancesOptions): Promise<InstancesReport> {
  const { url } = options
  let watched = false
  const report = await onPair(options, async ({ group, elsewhere }) => {
    if (!watched) await watchSettles(url)
    watched = true
    const [sleeper] = group.members as [Member, Member]
    const { pid } = sleeper.gateway
    await elsewhere(sleeper, async () => {
      group.members.shift() // it is posted nothing meanwhile
      process.kill(pid, 'SIGSTOP')
      await wait(2 * LEASE_MS)
      process.kill(pid, 'SIGCONT')
    })
    group.members.push(sleeper)
  })
  const stale = await query(url, 'select id from stale_settles')
  if (stale.length > 0) report.wrong.push(some('settled by who had lost them', stale.map(({ id }) => String(id))))
  return report
}

/**
 * Keeps each outcome that is written under an owner and an epoch that do not have the slot of the account any more, and each that
 * is written over another one of the same call.
 */
async function watchSettles (url: string): Promise<void> {
  await query(url, `
    create table stale_settles (id text, owner bigint, epoch bigint);
    create function watch_settle () returns trigger language plpgsql as $$
    begin
      if old.state = 2 and new.state <> 2 and new.outcome is distinct from 'unknown'
          and not exists (select 1 from slots s where s.slot = old.account_key % 256 and s.owner = old.owner and s.epoch = old.epoch)
        or old.state <> 2 and new.call_no = old.call_no and new.settled_at is distinct from old.settled_at
      then insert into stale_settles values (old.id, old.owner, old.epoch); end if;
      return new;
    end $$;
    create trigger watch_settle before update on deliveries for each row execute function watch_settle()`)
}

interface Turn {
  group: Group
  /** Measures how long it takes until a message of an account that it has comes from another. */
  elsewhere (member: Member, gone: () => Promise<void>, from?: { fromItsEnd: boolean }): Promise<void>
}

async function onPair (options: InstancesOptions, act: (turn: Turn) => Promise<void>): Promise<InstancesReport> {
  const { url, times, seed } = options
  const elsewhereMs: number[] = []
  const goneAt: number[] = []
  let arrivals: readonly Arrival[] = []
  const verdict = await onGroup({ ...options, size: 2, rate: RATE, shops: SHOPS }, async group => {
    arrivals = group.standIn.arrivals
    await group.standIn.until(() => new Set(arrivals.map(({ shop }) => shop)).size === SHOPS)
    const upMs = between(group.random, 200, 1000)
    for (let i = 0; i < times; i++) {
      await shared(url, group.members)
      await wait(upMs())
      await act({
        group,
        async elsewhere (member, gone, { fromItsEnd } = { fromItsEnd: false }) {
          const shops = await shopsOf(url, member)
          if (shops.size === 0) throw new Error('it has no account of those that are written to')
          goneAt.push(performance.now())
          const going = gone()
          if (fromItsEnd) await going
          const [ms] = await Promise.all([workedOn(group, shops, fromItsEnd ? 0 : WIRE_MS), going])
          elsewhereMs.push(ms)
        }
      })
    }
  })
  const { worst, allowed } = inDoubt(arrivals, goneAt)
  return { seed, times, verdict, elsewhereMs: elsewhereMs.toSorted((a, b) => a - b), allowed, worst, wrong: verdict.wrong }
}

/** Shops on the accounts of one gateway, by the database's word. */
async function shopsOf (url: string, { owner }: Member): Promise<Set<string>> {
  const rows = await query(url, `
    select s.id from queues q join shops s on s.shop_key = q.shop_key join slots t on t.slot = q.account_key % 256 where t.owner = ${owner}`)
  return new Set(rows.map(({ id }) => String(id)))
}

async function workedOn ({ standIn }: Group, shops: ReadonlySet<string>, wireMs: number): Promise<number> {
  const goneAt = performance.now()
  const isElsewhere = ({ at, shop }: Arrival): boolean => at > goneAt + wireMs && shops.has(shop)
  const late = new AbortController()
  const arrived = standIn.until(() => isElsewhere(standIn.arrivals.at(-1) as Arrival))
  await Promise.race([arrived, wait(STARTED_WITHIN_MS, undefined, { signal: late.signal })]).finally(() => { late.abort() })
  return Math.round(performance.now() - goneAt)
}

/**
 * Sends that are made again and were open when a gateway was gone, by its number: they had arrived not long before. Others got no
 * answer within their second, as on a machine that is busy with something else.
 */
function inDoubt (arrivals: readonly Arrival[], goneAt: readonly number[]): { worst: number, allowed: number } {
  const open = goneAt.map(() => 0)
  const last = new Map<string, number>()
  for (const { at, key } of arrivals) {
    const before = last.get(key)
    const time = before === undefined ? -1 : goneAt.findIndex(gone => before > gone - REQUEST_MS - WIRE_MS && before < gone + WIRE_MS)
    if (time >= 0) open[time] = (open[time] as number) + 1
    last.set(key, at)
  }
  return { worst: Math.max(0, ...open), allowed: CONCURRENCY * POLICIES.length }
}

/** What is wrong with a run, in words; empty is good. `least`: so many of the times must have been in time. */
export function wrongOf ({ wrong, worst, allowed, elsewhereMs }: InstancesReport, { least, withinMs }: { least: number, withinMs: number }): string[] {
  const inTime = elsewhereMs.filter(ms => ms <= withinMs).length
  return [
    ...wrong,
    ...(worst > allowed ? [`${worst} were sent again at once, of ${allowed} allowed`] : []),
    ...(inTime < least ? [`only ${inTime} were taken over within ${withinMs} ms`] : [])
  ]
}

export function instancesLine ({ seed, times, verdict, elsewhereMs, worst, allowed }: InstancesReport): string {
  return `seed ${seed}, ${times} times, ${lineOf(verdict)}; posts repeated ${verdict.repeatedPosts}; sent elsewhere after p50 ${elsewhereMs[Math.floor(elsewhereMs.length / 2)]} ms, at most ${elsewhereMs.at(-1)} ms; at most ${worst} of ${allowed} sent again at once`
}
