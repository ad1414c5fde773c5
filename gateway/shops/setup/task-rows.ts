// How far the tasks of an account are, as rows.

import type { Row, Step } from '../../contract.ts'
import type { Reason } from '../../reasons.ts'

/** What a merchant sees of a task that goes on: of its phase, `done` of `of` things; and what it waits for. */
export interface Shown { phase?: string, done?: number, of?: number, waiting?: { reason: Reason, why: string | null, until: number } }

export interface TaskPlace { accountKey: number, step: string, subject: string }

/** `id`: the same for every run. `run`: who works on it. */
export interface TaskRow { id: string, run: string | null, done: unknown, shown: Shown }

/** By step and subject, as the rows of steps are. */
export function tasksOf (rows: readonly Row[]): Map<string, TaskRow> {
  return new Map(rows.map(row => [`${String(row.step)}/${String(row.subject)}`, {
    id: String(row.id),
    run: row.run as string | null,
    done: JSON.parse(String(row.done)) as unknown,
    shown: JSON.parse(String(row.shown)) as Shown
  }]))
}

export function paramsOf ({ accountKey, step, subject }: TaskPlace): Step['params'] {
  return { account_key: accountKey, step, subject }
}

/** Whoever works on it is too late from now on. */
export function stopTask (place: TaskPlace): Step { return { name: 'stop_task', params: paramsOf(place) } }
