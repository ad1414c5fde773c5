// What is written of a person on the way of a delivery, in the delivery's own units.

import { STATE, type Outcome, type Runtime, type Step, type Store } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import type { Standing } from './standing.ts'

/** A look-up soon after the opt-in was sent: many answer at once. */
const LOOK_AFTER_MS = 15 * 60_000
export const LOOK_UP_JOB = 'subscribers'

export type At = { account_key: number, person: Uint8Array }
export interface Tools { store: Pick<Store, 'nextKey'>, runtime: Runtime }

/** The provider is asked about a person at `dueAt`, or sooner. `delivery`: whose event has the phone number; `seen`: what the decision to wait was made from. */
export function wantSteps (at: At, { delivery, seen, dueAt, doubt }: { delivery: number, seen: Standing | null, dueAt: number, doubt: boolean }, tools: Tools): Step[] {
  const now = tools.runtime.now()
  return [
    { name: 'want_subscriber', params: { ...at, delivery_key: delivery, seen: seen?.standing ?? 'unknown', due_at: dueAt, doubt: doubt ? 1 : 0, now } },
    jobStep(at.account_key, now, tools) // it finds out itself when something is due
  ]
}

/** The one job of an account that asks about people. */
export function jobStep (accountKey: number, dueAt: number, { store, runtime }: Tools): Step {
  return { name: 'put_job_soon', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), kind: LOOK_UP_JOB, unique_key: String(accountKey), account_key: accountKey, due_at: dueAt, now: runtime.now() } }
}

export function beginAdd (at: At, delivery: number, now: number): Step {
  return { name: 'begin_add', params: { ...at, delivery_key: delivery, now } }
}

/** How a call that adds a person ended, as far as the delivery's row says it. */
export interface AddEnd { outcome: Outcome, state: number, reason: Reason | null, finished: boolean }

export function endAdd (at: At, delivery: number, end: AddEnd, tools: Tools): Step[] {
  const now = tools.runtime.now()
  const after = afterAdd(end, now)
  const params = { ...at, delivery_key: delivery, standing: after.standing, adding: after.goesOn ? delivery : null, refused: after.refused, refused_at: after.refused === null ? null : now, due_at: after.lookAt, doubt: after.doubt ? 1 : 0 }
  return [{ name: 'end_add', params }, ...(after.lookAt === null ? [] : [jobStep(at.account_key, after.lookAt, tools)])]
}

/** It ended without a call: its person waits for it no longer. */
export function dropAdd (at: At, delivery: number, { state, reason }: Pick<AddEnd, 'state' | 'reason'>, tools: Tools): Step[] {
  const sent = state === STATE.unknown
  return [{ name: 'end_add', params: { ...at, delivery_key: delivery, standing: sent ? 'pending' : 'not_found', adding: null, refused: sent ? null : reason, refused_at: sent ? null : tools.runtime.now(), due_at: null, doubt: 0 } }]
}

interface After { standing: 'pending' | 'not_found', goesOn: boolean, refused: Reason | null, lookAt: number | null, doubt: boolean }

function afterAdd ({ outcome, state, reason, finished }: AddEnd, now: number): After {
  const asked: After = { standing: 'pending', goesOn: false, refused: null, lookAt: now + LOOK_AFTER_MS, doubt: false }
  // One who is known there may be subscribed, or have opted out.
  if (state === STATE.delivered) return outcome.is === 'delivered' && outcome.warning !== undefined ? { ...asked, lookAt: now, doubt: true } : asked
  // It may have been acted on: the provider is asked before anything is repeated.
  if (state === STATE.unknown) return finished ? asked : { ...asked, goesOn: true, lookAt: now, doubt: true }
  if (state === STATE.waiting) return { ...asked, standing: 'not_found', goesOn: true, refused: reason, lookAt: null }
  return { ...asked, standing: 'not_found', refused: reason, lookAt: now } // whoever waits for it is told
}
