// What an outcome makes of its delivery: the state it goes to, when it is due again, and who waits with it.

import type { Outcome, Uncertain } from '../contract.ts'
import { STATE } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import { MIN_AFTER_UNKNOWN_MS, rateLimitBackoffMs, retryAfterMs } from './next.ts'

/** How long refused credentials rest before one delivery probes them. */
export const HOLD_MS = 5 * 60_000

export interface SettleFacts {
  now: number
  random: number
  /** Attempts paid before this one. */
  attempts: number
  expiresAt: number
  uncertain: Uncertain
  scheduleMs: readonly number[]
  /** 429s without a time in a row on this lane. */
  limitedTimes: number
  /** It was refused for the account before, and the account has taken another message since: it is this message. */
  refusedAlone: boolean
  /** An earlier call of it got no answer: whatever becomes of this one, it may have been sent. */
  mayHaveArrived: boolean
  /** The answer itself leaves open whether it was acted on. */
  mayHaveActed: boolean
  /** It tried whether a held account works again, and failed: that is no fault of its own, and it tries again when its turn comes. */
  probed: boolean
  /** Settings that answers before this one asked for. */
  adjusted: Record<string, unknown>
}

export interface Settled {
  state: number
  reason: Reason | null
  detail: string | null
  /** When a claim may take it again; null where it rests. */
  dueAt: number | null
  /** Final, or resting until a person acts. */
  finishedAt: number | null
  paid: 0 | 1
  /** Who waits with it. */
  pauseLaneMs: number | null
  pauseAccountMs: number | null
  /** A person must act; one delivery probes now and then. */
  holdAccount: { reason: Reason, forMs: number } | null
  reconcile: boolean
  /** Settings of the attempts to come, beside the connection's; null where nothing changes. */
  adjusted: Record<string, unknown> | null
}

const PLAIN = { detail: null, dueAt: null, finishedAt: null, paid: 1, pauseLaneMs: null, pauseAccountMs: null, holdAccount: null, reconcile: false, adjusted: null } as const

export function settle (outcome: Outcome, facts: SettleFacts): Settled {
  switch (outcome.is) {
    case 'delivered': return { ...PLAIN, state: STATE.delivered, reason: outcome.warning ?? null, finishedAt: facts.now }
    case 'rejected': return { ...PLAIN, state: refusedState(facts), reason: outcome.reason, detail: outcome.detail ?? null, finishedAt: facts.now }
    case 'unknown': return unknown(outcome, facts)
    case 'hold': return hold(outcome, facts)
    case 'retry': return adjust(outcome, facts) ?? retry(outcome, facts)
  }
}

/** The account waits for a person; the delivery is due at once, so that it goes when the account is put right, or goes elsewhere. */
function hold (outcome: Outcome & { is: 'hold' }, facts: SettleFacts): Settled {
  const base = { ...PLAIN, state: facts.mayHaveArrived ? STATE.unknown : STATE.waiting, reason: outcome.reason, detail: outcome.detail ?? null }
  if (!facts.refusedAlone) return { ...base, dueAt: facts.now, paid: 0, holdAccount: { reason: outcome.reason, forMs: HOLD_MS } }
  return { ...base, state: refusedState(facts), finishedAt: facts.now }
}

/** Only the repeat was refused, where an earlier call may have arrived: it is not tried again without a person who knows that. */
function refusedState ({ mayHaveArrived }: SettleFacts): number {
  return mayHaveArrived ? STATE.unknown : STATE.rejected
}

/**
 * Made again at once with other settings, each of them changed once: an answer that asks twice for the same waits its turn.
 * What is made anew is another message to the provider: where an earlier call may have arrived, a person decides.
 */
function adjust (outcome: Outcome & { is: 'retry' }, facts: SettleFacts): Settled | null {
  const { settings, reason, detail = null } = outcome
  if (settings === undefined || facts.mayHaveActed) return null
  if (facts.mayHaveArrived) return { ...PLAIN, state: STATE.unknown, reason: 'repeat_refused', detail, finishedAt: facts.now }
  if (facts.now >= facts.expiresAt) return null
  if (Object.keys(settings).every(name => Object.hasOwn(facts.adjusted, name))) return null
  return { ...PLAIN, state: STATE.waiting, reason, detail, dueAt: facts.now, adjusted: { ...facts.adjusted, ...settings } }
}

/** What it waited for, where its expiry says so. */
const LATE: Partial<Record<Reason, Reason>> = { rate_limited: 'expired_rate_limited', quiet_hours: 'expired_quiet_hours' }

function retry (outcome: Outcome & { is: 'retry' }, facts: SettleFacts): Settled {
  const paid = outcome.free === true || facts.probed ? 0 : 1
  const afterMs = facts.probed ? outcome.afterMs ?? 0 : waitMs(outcome, facts)
  const dueAt = facts.now + afterMs
  const pause = {
    pauseLaneMs: outcome.pause === 'lane' ? afterMs : null,
    pauseAccountMs: outcome.pause === 'account' ? afterMs : null
  }
  const late = dueAt > facts.expiresAt
  if (facts.mayHaveArrived || facts.mayHaveActed) return { ...PLAIN, ...pause, state: STATE.unknown, reason: outcome.reason, detail: outcome.detail ?? null, dueAt: late ? null : dueAt, finishedAt: late ? facts.now : null, paid }
  if (late) {
    const reason = LATE[outcome.reason] ?? 'expired'
    return { ...PLAIN, ...pause, state: STATE.expired, reason, detail: outcome.detail ?? null, finishedAt: facts.now, paid }
  }
  return { ...PLAIN, ...pause, state: STATE.waiting, reason: outcome.reason, detail: outcome.detail ?? null, dueAt, paid }
}

/** A wait that was named holds as it is, but a failing provider is never asked again sooner than the schedule says. */
function waitMs (outcome: Outcome & { is: 'retry' }, facts: SettleFacts): number {
  const { afterMs, free, pause } = outcome
  if (afterMs === undefined && pause === 'lane') return rateLimitBackoffMs(facts.limitedTimes, facts.random)
  if (afterMs !== undefined && (free === true || pause !== undefined)) return afterMs
  return Math.max(afterMs ?? 0, retryAfterMs(facts.scheduleMs, facts.attempts + 1, facts.random))
}

/** Resent only where the provider tells repeats apart, or where its policy allows it once. */
function unknown (outcome: Outcome & { is: 'unknown' }, facts: SettleFacts): Settled {
  const base = { ...PLAIN, state: STATE.unknown, reason: outcome.reason, detail: outcome.detail ?? null }
  if (facts.uncertain === 'reconcile') return { ...base, reconcile: true }
  if (!repeats(facts.uncertain, facts.attempts)) return { ...base, finishedAt: facts.now }
  const free = facts.probed && facts.uncertain === 'repeat'
  const dueAt = facts.now + Math.max(MIN_AFTER_UNKNOWN_MS, free ? 0 : retryAfterMs(facts.scheduleMs, facts.attempts + 1, facts.random))
  return dueAt > facts.expiresAt ? { ...base, finishedAt: facts.now } : { ...base, dueAt, paid: free ? 0 : 1 }
}

/** Whether a request that may have arrived is sent once more. */
export function repeats (uncertain: Uncertain, attempts: number): boolean {
  return uncertain === 'repeat' || (uncertain === 'repeat_once' && attempts === 0)
}
