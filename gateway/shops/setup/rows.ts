// A step that was tried: its row, and how it is written.

import type { Row, Step } from '../../contract.ts'
import type { Reason } from '../../reasons.ts'

export interface StepRow {
  step: string
  /** The set-up group or event type it was done for; '' where it is done once. */
  subject: string
  state: 'open' | 'done' | 'failed'
  reason: Reason | null
  detail: string | null
  /** What the merchant gave; no secrets. */
  given: Record<string, unknown>
  /** What the provider answered, as far as it is shown. */
  found: Record<string, unknown>
  /** What was asked for and is not answered yet. */
  action: string | null
  askedAt: number | null
  /** When it was done; stays where a later check fails. */
  doneAt: number | null
  checkedAt: number | null
}

/** By step and subject. */
export type StepRows = ReadonlyMap<string, StepRow>

export type At = { shop_key: number, provider: string }

export function keyOf (step: string, subject: string): string { return `${step}/${subject}` }

export function rowsOf (rows: readonly Row[]): Map<string, StepRow> {
  return new Map(rows.map(row => [keyOf(String(row.step), String(row.subject)), {
    step: String(row.step),
    subject: String(row.subject),
    state: row.state as StepRow['state'],
    reason: row.reason as Reason | null,
    detail: row.detail as string | null,
    given: JSON.parse(String(row.given)) as Record<string, unknown>,
    found: JSON.parse(String(row.found)) as Record<string, unknown>,
    action: row.action as string | null,
    askedAt: row.asked_at as number | null,
    doneAt: row.done_at as number | null,
    checkedAt: row.checked_at as number | null
  }]))
}

/** As it stands, or as one that was never tried. */
export function rowAt (rows: StepRows, step: string, subject: string): StepRow {
  return rows.get(keyOf(step, subject)) ?? { step, subject, state: 'open', reason: null, detail: null, given: {}, found: {}, action: null, askedAt: null, doneAt: null, checkedAt: null }
}

export function putStep (at: At, row: StepRow): Step {
  const { step, subject, state, reason, detail, given, found, action, askedAt, doneAt, checkedAt } = row
  return { name: 'put_setup', params: { ...at, step, subject, state, reason, detail, given: JSON.stringify(given), found: JSON.stringify(found), action, asked_at: askedAt, done_at: doneAt, checked_at: checkedAt } }
}

export function forgetStep (at: At, { step, subject }: StepRow): Step {
  return { name: 'forget_setup', params: { ...at, step, subject } }
}
