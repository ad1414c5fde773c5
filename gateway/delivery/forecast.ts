// How long the backlog of some queues takes: what waits before it on the same account, the account's windows, and how fast
// the provider has answered lately. It is read from the store, so that it can be told for another instance's accounts as well.

import { setImmediate } from 'node:timers/promises'
import type { Config, Provider, Runtime, Store } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import { OpenAccount } from './account.ts'
import { historyOf } from './accounts.ts'
import type { Gate } from './gate.ts'

/** Counted between two turns of the event loop. */
const SLICE = 2000
/** Counted for one forecast; beyond it "at least" is said. */
const COUNTED_MAX = 1_000_000
/** Counted of a queue where no time is foretold: whoever shows it asks every few seconds. */
const WAITING_MAX = 10_000
const QUEUES_MAX = 1000
const PRIORITIES = [0, 1, 2]
const ANSWERS = 100
const ANSWERS_OF_MS = 5 * 60_000
/** What is over so soon is limited by nothing worth a word. */
const SOON_MS = 1000

/** A queue as its row says. */
export interface ForecastQueue { key: number, setupGroup: string, provider: string | null, accountKey: number | null, held: Reason | null }

export interface QueueForecast {
  queueKey: number
  setupGroup: string
  waiting: number
  /** There may be more than that, and it may take longer. */
  atLeast: boolean
  held: Reason | null
  /** Until the last of them is answered, if nothing else changes; null while they are held. */
  ms: number | null
  limitedBy: LimitedBy | null
}

export type LimitedBy = 'window' | 'concurrency' | 'nothing'

export interface ForecastOptions {
  store: Store
  runtime: Runtime
  config: Config
  providerOf (id: string): Provider | undefined
  /** The account as it is worked on here, undefined where it is not. */
  opened (accountKey: number): OpenAccount | undefined
}

/** What waits in a queue, by priority. */
interface Backlog { counts: number[], lastDueAt: number, atLeast: boolean }

/** How much waits in queues, whatever else waits on their accounts, in the order given. `atLeast`: there may be more. Counted up to `most` of each. */
export async function waitingIn (queues: ReadonlyArray<Pick<ForecastQueue, 'key'>>, { store }: Pick<ForecastOptions, 'store'>, most = WAITING_MAX): Promise<Array<{ waiting: number, atLeast: boolean }>> {
  const told: Array<{ waiting: number, atLeast: boolean }> = []
  for (const { key } of queues) {
    const { counts, atLeast } = await backlogOf(key, { left: most }, { store })
    told.push({ waiting: sum(counts), atLeast })
  }
  return told
}

/** In the order given. */
export async function forecast (queues: readonly ForecastQueue[], options: ForecastOptions): Promise<QueueForecast[]> {
  const budget = { left: COUNTED_MAX }
  const backlogs = new Map<number, Backlog>()
  for (const { key } of queues) backlogs.set(key, await backlogOf(key, budget, options))
  const told: QueueForecast[] = []
  for (const queue of queues) told.push(await ofQueue(queue, { backlogs, budget }, options))
  return told
}

interface Counting { backlogs: Map<number, Backlog>, budget: { left: number } }

async function ofQueue (queue: ForecastQueue, counting: Counting, options: ForecastOptions): Promise<QueueForecast> {
  const mine = counting.backlogs.get(queue.key) as Backlog
  const waiting = sum(mine.counts)
  const plain = { queueKey: queue.key, setupGroup: queue.setupGroup, waiting, atLeast: mine.atLeast }
  const [row] = queue.accountKey === null ? [] : await options.store.read('account', { account_key: queue.accountKey })
  const held = queue.held ?? row?.held_reason as Reason | null | undefined ?? null
  const provider = queue.provider === null ? undefined : options.providerOf(queue.provider)
  if (held !== null || !row || !provider) return { ...plain, held, ms: null, limitedBy: null }
  if (waiting === 0) return { ...plain, held: null, ms: 0, limitedBy: 'nothing' }
  const account = options.opened(row.account_key as number) ?? new OpenAccount(row, { now: options.runtime.now(), mono: options.runtime.mono() })
  const answerMs = await answerTime(account.key, options)
  const slowest: QueueForecast = { ...plain, held: null, ms: 0, limitedBy: 'nothing' }
  for (const lane of lanesOf(queue.setupGroup, provider, options.config)) {
    const { n, atLeast } = await before(queue, lane, { account, provider, counting }, options)
    const gate = await gateOf(account, provider, lane, options)
    const one = timeOf(n, gate, { account, answerMs, places: provider.concurrency, lastDueAt: mine.lastDueAt }, options.runtime)
    if (one.ms >= (slowest.ms as number)) Object.assign(slowest, one, { atLeast: mine.atLeast || atLeast })
  }
  return slowest
}

interface Measured { account: OpenAccount, answerMs: number, places: number, lastDueAt: number }

function timeOf (n: number, gate: Gate, { account, answerMs, places, lastDueAt }: Measured, runtime: Runtime): { ms: number, limitedBy: LimitedBy } {
  const now = runtime.now()
  const mono = runtime.mono()
  const from = account.blockedUntil(now, mono)
  const ms = Math.round(gate.forecastMs(n, mono, { answerMs, places, from }))
  const dueMs = lastDueAt - now + answerMs
  if (Math.max(ms, dueMs) < SOON_MS) return { ms, limitedBy: 'nothing' }
  if (dueMs > ms + SOON_MS) return { ms: dueMs, limitedBy: 'nothing' } // a time of its own is what the last of them waits for
  return { ms, limitedBy: gate.forecastMs(n, mono, { answerMs, from }) >= n * answerMs / places ? 'window' : 'concurrency' }
}

/**
 * How many requests of a lane go until the last of a queue has gone: all that is more urgent, wherever it waits, and of what
 * is as urgent as its own last ones as many from each queue as it has itself, since queues take turns.
 */
async function before (queue: ForecastQueue, lane: string, { account, provider, counting }: { account: OpenAccount, provider: Provider, counting: Counting }, options: ForecastOptions): Promise<{ n: number, atLeast: boolean }> {
  const { backlogs, budget } = counting
  const mine = (backlogs.get(queue.key) as Backlog).counts
  const last = mine.findLastIndex(count => count > 0)
  const groups = [...new Set(Object.values(options.config.eventTypes).map(type => type.setupGroup))].filter(group => lanesOf(group, provider, options.config).includes(lane))
  const rows = await options.store.read('ready_queues', { account_key: account.key, groups: JSON.stringify(groups), limit: QUEUES_MAX })
  let n = sum(mine)
  let atLeast = rows.length === QUEUES_MAX
  for (const row of rows) {
    const key = row.queue_key as number
    if (key === queue.key) continue
    if (!backlogs.has(key)) backlogs.set(key, await backlogOf(key, budget, options))
    const other = backlogs.get(key) as Backlog
    n += sum(other.counts.slice(0, last)) + Math.min(other.counts[last] ?? 0, mine[last] ?? 0)
    atLeast ||= other.atLeast
  }
  return { n, atLeast }
}

/** In slices, so that a million does not keep everybody else waiting. */
async function backlogOf (queueKey: number, budget: { left: number }, { store }: Pick<ForecastOptions, 'store'>): Promise<Backlog> {
  const backlog: Backlog = { counts: PRIORITIES.map(() => 0), lastDueAt: 0, atLeast: false }
  for (const priority of PRIORITIES) {
    let from = { due_at: -1, after: 0 }
    for (;;) {
      if (budget.left <= 0) return { ...backlog, atLeast: true }
      const limit = Math.min(SLICE, budget.left)
      const [slice] = await store.read('waiting_slice', { queue_key: queueKey, priority, ...from, limit })
      if (!slice) break
      const waiting = slice.waiting as number
      budget.left -= waiting
      backlog.counts[priority] = (backlog.counts[priority] as number) + waiting
      backlog.lastDueAt = Math.max(backlog.lastDueAt, slice.due_at as number)
      if (waiting < limit) break
      from = { due_at: slice.due_at as number, after: slice.delivery_key as number }
      await setImmediate()
    }
  }
  return backlog
}

/** Limit groups that a queue's messages may take a place in. */
function lanesOf (setupGroup: string, provider: Provider, config: Config): string[] {
  const types = Object.values(config.eventTypes).filter(type => type.setupGroup === setupGroup)
  return [...new Set(types.flatMap(({ type }) => provider.events[type]?.group ?? []))]
}

/** As it is worked with here; else from what the store says of it. */
async function gateOf (account: OpenAccount, provider: Provider, lane: string, { store, runtime }: ForecastOptions): Promise<Gate> {
  const open = account.gate(lane)
  const group = provider.groups[lane]
  if (open) return open
  if (!group) throw new Error(`${provider.id} has no limit group "${lane}"`)
  const settledAt = await historyOf(store, account.key, group, runtime.now())
  return account.gate(lane) ?? account.open(group, settledAt, runtime.now(), runtime.mono())
}

async function answerTime (accountKey: number, { store, runtime }: ForecastOptions): Promise<number> {
  const [row] = await store.read('answer_times', { account_key: accountKey, since: runtime.now() - ANSWERS_OF_MS, limit: ANSWERS })
  return Math.max(0, Number(row?.answer_ms ?? 0))
}

function sum (counts: readonly number[]): number { return counts.reduce((all, count) => all + count, 0) }
