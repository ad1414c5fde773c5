// Credentials that end by themselves: who sends asks here first, and tells what came of it.

import type { Answer } from '../../contract.ts'
import type { Reason } from '../../reasons.ts'
import type { Grant, OpenConnection } from '../connections.ts'

const LEAD_MS = 60_000
const LEAD_SHARE = 0.1

/** Of a connection without OAuth each of these costs a look at one member. */
export interface Fresh {
  /** Null: its credentials are good as they are. Else why it must wait. `shopKey`: whose messages wait then, where some do. */
  now (connection: OpenConnection, shopKey?: number): Reason | null
  /** Shops whose messages over the account wait for credentials, and until when, monotonic: nothing of theirs is worth claiming before. */
  waiting (accountKey: number): ReadonlyMap<number, number>
  /** With credentials as they are good now, for a question that can wait ten seconds for them; null where there are none by then. */
  open (connection: OpenConnection): Promise<OpenConnection | null>
  /** Of each answer. True where the call is to be made again: its credentials were refused, and others are there or on their way. */
  answered (connection: OpenConnection, answer: Answer): boolean
}

/** A token is renewed while it is good still: this long before its end, and never before half of its life. */
export function leadMs ({ obtainedAt, expiresAt }: Pick<Grant, 'obtainedAt' | 'expiresAt'>): number {
  const lifeMs = Math.max(0, expiresAt - obtainedAt)
  return Math.min(Math.max(LEAD_MS, lifeMs * LEAD_SHARE), lifeMs / 2)
}

/** How a grant stands: `spent` can be used no more. */
export function ageOf (grant: Grant, now: number): 'good' | 'due' | 'spent' {
  const leftMs = grant.expiresAt - now
  return leftMs <= 0 ? 'spent' : leftMs <= leadMs(grant) ? 'due' : 'good'
}
