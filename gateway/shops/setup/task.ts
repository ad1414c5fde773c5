// Steps of kind `task`: the provider's own code does them, from what it saved last, for as long as it takes.

import type { Provider, SetupStep, Store, TaskResult } from '../../contract.ts'
import type { Reason } from '../../reasons.ts'
import type { OpenConnection } from '../connections.ts'
import type { ShopState } from '../shops.ts'
import { scrubbed } from './asking.ts'
import { factsOf, groupsOf, type SetupOptions } from './facts.ts'
import { rowAt, type StepRow } from './rows.ts'
import { checkContext, Run, RunOver } from './run.ts'
import type { Learnt } from './steps.ts'
import { tasksOf } from './task-rows.ts'
import { changed } from './writing.ts'

/** A task that gets nothing done for so long has failed, whatever it waits for. */
const LONGEST_MS = 24 * 3_600_000
const FIRST_MS = 2000
const MOST_MS = 60_000
const LEAST_MS = 1000
const TEXT_MAX = 500

/** Two shops may share an account: one after the other. */
const working = new WeakMap<Store, Set<string>>()

export interface TaskStep { state: ShopState, provider: Provider, step: SetupStep, row: StepRow }

/** Goes on with it. `cursor`: how often in a row it waited for an unknown time. */
export async function runTask (at: TaskStep, cursor: string | null, options: SetupOptions): Promise<{ dueAt: number, cursor: string } | null> {
  const { state, provider, step, row } = at
  const connection = state.connections.get(provider.id)
  const task = provider.code.tasks?.[step.id]
  if (connection === undefined || connection.secrets === null || task === undefined) {
    const reason = connection === undefined ? 'not_connected' : connection.secrets === null ? 'credentials_unreadable' : 'task_failed'
    await keep(at, { state: 'failed', reason, detail: null, found: {} }, options)
    return null
  }
  const { runtime, store } = options
  const key = `${connection.accountKey}/${step.id}/${row.subject}`
  const here = working.get(store) ?? new Set()
  working.set(store, here)
  if (here.has(key)) return { dueAt: runtime.now() + FIRST_MS, cursor: cursor ?? '0' }
  here.add(key)
  try {
    const run = await Run.claim({ ...at, connection: connection as OpenConnection, types: typesOf(at, options) }, options)
    if (!await isWanted(at, options)) return null
    const result = await task.run(run.context).catch((error: unknown) => {
      if (error instanceof RunOver || runtime.now() - begunAt(row, run) < LONGEST_MS) throw error
      return { is: 'failed', reason: 'task_failed', text: '', made: [] } satisfies TaskResult // a bug, which has been told often enough
    })
    return await after(at, result, { run, cursor, connection: connection as OpenConnection }, options)
  } catch (error) {
    if (!(error instanceof RunOver)) throw error
    return await isWanted(at, options) ? { dueAt: runtime.now() + FIRST_MS, cursor: cursor ?? '0' } : null
  } finally {
    here.delete(key)
  }
}

/** Looks whether what it made is still as it must be. */
export async function checkTask (at: TaskStep, connection: OpenConnection, options: SetupOptions): Promise<Learnt> {
  const { provider, step, row } = at
  const check = provider.code.tasks?.[step.id]?.check
  const rows = await options.store.read('setup_tasks', { account_key: connection.accountKey })
  const found = tasksOf(rows).get(`${step.id}/${row.subject}`)
  const asItWas: Learnt = { is: 'known', state: row.state, reason: row.reason, detail: row.detail, found: row.found }
  if (check === undefined || found === undefined) return asItWas
  const result = await check(checkContext({ ...at, connection, types: typesOf(at, options) }, found, options))
  if (result.is === 'later') return { is: 'later', reason: result.reason, detail: null, afterMs: result.afterMs }
  return { is: 'known', ...known(result, connection, options) }
}

async function after (at: TaskStep, result: TaskResult, { run, cursor, connection }: { run: Run, cursor: string | null, connection: OpenConnection }, options: SetupOptions): Promise<{ dueAt: number, cursor: string } | null> {
  const now = options.runtime.now()
  if (result.is !== 'later') {
    await keep(at, known(result, connection, options), options)
    return null
  }
  const { reason, why, made = [] } = scrubbed(result, connection, options)
  const text = why === undefined ? null : why.slice(0, TEXT_MAX)
  if (now - begunAt(at.row, run) >= LONGEST_MS) {
    await keep(at, { state: 'failed', reason, detail: text, found: { made } }, options)
    return null
  }
  const times = result.afterMs > 0 ? 0 : Number(cursor ?? 0)
  const dueAt = now + (result.afterMs > 0 ? Math.max(result.afterMs, LEAST_MS) : Math.min(FIRST_MS * 2 ** times, MOST_MS))
  await run.waits({ reason, why: text, until: dueAt })
  return { dueAt, cursor: String(result.afterMs > 0 ? 0 : times + 1) }
}

type Known = Pick<StepRow, 'state' | 'reason' | 'detail' | 'found'>

function known (told: Exclude<TaskResult, { is: 'later' }>, connection: OpenConnection, options: SetupOptions): Known {
  const result = scrubbed(told, connection, options)
  if (result.is === 'failed') return { state: 'failed', reason: result.reason, detail: result.text.slice(0, TEXT_MAX) || null, found: { made: result.made } }
  const { links, text = null, warnings = [] } = result
  return { state: 'done', reason: null as Reason | null, detail: null, found: { links, text, warnings } }
}

/** When it was asked for, or got something done since. */
function begunAt ({ askedAt }: StepRow, { savedAt }: Run): number { return Math.max(askedAt ?? 0, savedAt) }

function typesOf ({ provider, row }: TaskStep, { config }: SetupOptions): string[] {
  return groupsOf(provider, config()).get(row.subject) ?? []
}

async function isWanted ({ state, provider, step, row }: TaskStep, options: SetupOptions): Promise<boolean> {
  const now = rowAt((await factsOf(state, provider, options)).rows, step.id, row.subject)
  return now.action !== null && now.askedAt === row.askedAt
}

/** How it ended, with all that follows from it; nothing where it is not wanted any more. */
async function keep ({ state: { shop: { id } }, provider, step, row: asked }: TaskStep, learnt: Known, options: SetupOptions): Promise<void> {
  const { runtime, shops } = options
  await shops.alter(id, async state => {
    const facts = await factsOf(state, provider, options)
    const before = rowAt(facts.rows, step.id, asked.subject)
    if (before.action === null || before.askedAt !== asked.askedAt) return null
    const now = runtime.now()
    const row: StepRow = { ...before, ...learnt, action: null, checkedAt: now, doneAt: learnt.state === 'done' ? before.doneAt ?? now : before.doneAt }
    return changed({ state, provider, facts }, row, {}, [], runtime)
  })
}
