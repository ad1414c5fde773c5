// How a person stands on a provider's list, as far as is known, and when that is to be asked anew.

import type { Listed, Row } from '../contract.ts'
import type { Reason } from '../reasons.ts'

/** `unknown`: nobody has asked yet. `pending`: asked to opt in, and not on the list so far. */
export type StandingName = 'unknown' | 'not_found' | 'pending' | Listed
export const STANDINGS = ['pending', 'subscribed', 'transactional_only', 'opted_out', 'not_found'] as const

/** Times are epoch milliseconds. */
export interface Standing {
  standing: StandingName
  since: number
  /** When the person was last asked to opt in, or was about to be. */
  askedAt: number | null
  checkedAt: number | null
  /** Key of the delivery that adds the person just now. */
  adding: number | null
  /** Why adding the person failed. */
  refused: Reason | null
  /** How often something about the person was wanted. */
  wants: number
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** What is known is believed for so long. Who is pending is looked at by distances of its own. */
const BELIEVED_MS: Record<StandingName, number> = { unknown: 0, not_found: HOUR_MS, pending: Infinity, subscribed: 30 * DAY_MS, transactional_only: DAY_MS, opted_out: DAY_MS }
/** A clock that was set back by no more than this makes nothing doubtful. */
const AHEAD_MS = 10_000
/** Between two looks at a person who is pending. */
const FIRST_LOOK_MS = 15 * MINUTE_MS
const LOOKS_MS_MAX = 6 * HOUR_MS
/** An add that failed is not tried again for another message sooner. */
export const REFUSED_MS = HOUR_MS

/** Null where nothing is known. */
export function standingOf (row: Row | undefined): Standing | null {
  return row === undefined ? null : {
    standing: row.standing as StandingName,
    since: row.since as number,
    askedAt: row.asked_at as number | null,
    checkedAt: row.checked_at as number | null,
    adding: row.adding as number | null,
    refused: row.refused as Reason | null,
    wants: row.wants as number
  }
}

/** Whether the provider must be asked before anything is done by it. */
export function isStale ({ standing, checkedAt }: Standing, now: number): boolean {
  if (standing === 'pending') return false
  return checkedAt === null || now - checkedAt >= BELIEVED_MS[standing] || checkedAt - now > AHEAD_MS
}

/** When somebody who is pending is looked at again: in growing distances, as most answer at once or never. */
export function nextLookAt ({ since, askedAt, checkedAt }: Pick<Standing, 'since' | 'askedAt' | 'checkedAt'>): number {
  const from = askedAt ?? since
  const last = Math.max(checkedAt ?? from, from)
  return last + Math.min(Math.max((last - from) / 2, FIRST_LOOK_MS), LOOKS_MS_MAX)
}
