// What is done with a delivery whose provider texts only people on a list of its own, by how its person stands there.

import type { Kind } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import { isStale, nextLookAt, type Standing } from './standing.ts'

export type Decision =
  /** `adds`: its request adds the person. */
  | { is: 'go', adds: boolean }
  /** It rests until the provider was asked; `doubt`: whatever is known. */
  | { is: 'look', doubt: boolean }
  /** It rests; `lookAt`: when the provider is asked about the person, null where somebody else sees to it. */
  | { is: 'wait', reason: Reason, lookAt: number | null }
  /** The person is added first. */
  | { is: 'add' }
  | { is: 'end', reason: Reason }
  | { is: 'refuse', reason: Reason, because?: Reason }

export interface DecisionFacts {
  now: number
  standing: Standing | null
  kind: Kind
  delivery: { key: number, /** When its last call was given up, of which nobody knows whether it was acted on. */ lostAt: number | null }
  /** Whoever adds the person just now still does. */
  adderAlive: boolean
}

/** For an event that adds its person. */
export function decideAdd ({ now, standing, delivery, adderAlive }: DecisionFacts): Decision {
  const mine = standing?.adding === delivery.key
  if (delivery.lostAt !== null) {
    // It may have been acted on: who is on the list by now is not added again.
    if (standing === null || (standing.checkedAt ?? 0) < delivery.lostAt) return { is: 'look', doubt: true }
    return mine && (standing.standing === 'pending' || standing.standing === 'not_found') ? { is: 'go', adds: true } : { is: 'end', reason: 'already_on_list' }
  }
  if (standing === null || isStale(standing, now)) return { is: 'look', doubt: false }
  if (!mine && standing.adding !== null && adderAlive) return { is: 'wait', reason: 'looking_up', lookAt: null }
  switch (standing.standing) {
    case 'opted_out': return { is: 'refuse', reason: 'opted_out' }
    case 'not_found': return { is: 'go', adds: true }
    case 'pending': return mine ? { is: 'go', adds: true } : { is: 'end', reason: 'already_on_list' } // nothing of it was sent
    default: return { is: 'end', reason: 'already_on_list' }
  }
}

/** For a message to people on the list; `addFor`: its person may be added for it. */
export function decideMessage ({ now, standing, kind, delivery, adderAlive }: DecisionFacts, addFor: boolean): Decision {
  if (standing === null || isStale(standing, now)) return { is: 'look', doubt: false }
  switch (standing.standing) {
    case 'subscribed': return { is: 'go', adds: false }
    case 'transactional_only': return kind === 'marketing' ? { is: 'refuse', reason: 'not_subscribed' } : { is: 'go', adds: false }
    case 'opted_out': return { is: 'refuse', reason: 'opted_out' }
    case 'pending': return { is: 'wait', reason: 'opt_in_pending', lookAt: Math.max(nextLookAt(standing), now) }
    // Nobody is added for a message that may have gone out already.
    default: return addFor && delivery.lostAt === null ? decideToAdd(standing, adderAlive) : { is: 'refuse', reason: 'not_subscribed' }
  }
}

function decideToAdd ({ adding, refused }: Standing, adderAlive: boolean): Decision {
  if (adding !== null && adderAlive) return { is: 'wait', reason: refused ?? 'opt_in_pending', lookAt: null }
  return refused === null ? { is: 'add' } : { is: 'refuse', reason: 'not_subscribed', because: refused }
}
