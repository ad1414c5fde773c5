// The end of a call: what the answer means for the delivery, the lane and the account, in memory and on disk.

import type { Answer, Config, Outcome, Provider, Runtime, Step, Store } from '../contract.ts'
import { STATE } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import { EVERY_LANE, type OpenAccount } from './account.ts'
import { scrub } from './flight.ts'
import { followUp } from './follow-up.ts'
import { FAILING, PROBE_MS, signOf, type Sign } from './health.ts'
import { correctBy } from './left.ts'
import { judge } from './judge.ts'
import { usageSteps } from './metering.ts'
import { dueStep, mineOf, type Flight } from './prepare.ts'
import { reconcileJob } from './recover.ts'
import { HOLD_MS, settle, type Settled } from './settle.ts'

const ANSWER_KEPT = 2000
const RECONCILE_AFTER_MS = 60_000
const NOTHING = {}

export interface ConcludeOptions extends HealthOptions { config: Config, onError (error: unknown): void }

export interface HealthOptions {
  store: Store
  runtime: Runtime
  /** An account is held from now on, or works again. */
  onHeld (held: HeldAccount): void
}

/** As the log sees it. `reason` null: it works again. Calls and failures of the last five minutes. */
export interface HeldAccount { provider: string, account: number, reason: Reason | null, calls: number, failed: number }

export interface Conclusion { outcome: Outcome, settled: Settled, steps: Step[] }

/** Judges an answer. The lane and the account know at once; the steps tell the store. */
export function conclude (flight: Flight, answer: Answer, account: OpenAccount, provider: Provider, options: ConcludeOptions): Conclusion {
  const { runtime, config } = options
  const { row, request, reservedAt } = flight
  const now = runtime.now()
  const outcome = judged(answer, provider, flight, options, now)
  const sign = signOf(answer)
  const probed = account.held !== null && flight.holds === account.holds
  correctBy(answer, provider, flight.gate, runtime.mono())
  const settled = settle(outcome, {
    now,
    random: runtime.random(),
    attempts: row.attempts as number,
    expiresAt: row.expires_at as number,
    uncertain: provider.uncertain,
    scheduleMs: config.delivery.retryScheduleMs,
    limitedTimes: account.limitedTimes(request.group, reservedAt),
    refusedAlone: flight.othersPass && account.held === null,
    mayHaveArrived: row.state === STATE.unknown,
    mayHaveActed: mayHaveActed(answer, outcome),
    probed: probed && sign === 'fails',
    adjusted: row.adjusted === null ? NOTHING : JSON.parse(row.adjusted as string) as Record<string, unknown>
  })
  account.countLimited(request.group, outcome.is === 'retry' && outcome.reason === 'rate_limited', reservedAt, now)
  const steps = [settleStep(flight, answer, { outcome, settled, receipt: receiptOf(answer, outcome, request.name, provider, options) }, now)]
  steps.push(...usageSteps(provider, row.delivery_key as number))
  steps.push(...followUp(row.delivery_key as number, settled, provider, now))
  if (settled.dueAt !== null) steps.push(dueStep(row, settled.dueAt, now))
  if (settled.pauseLaneMs !== null) {
    flight.gate.pauseUntil(runtime.mono() + settled.pauseLaneMs)
    steps.push({ name: 'pause_lane', params: { account_key: account.key, lane: request.group, until: now + settled.pauseLaneMs } })
  }
  if (settled.pauseAccountMs !== null) {
    account.pauseUntil(now + settled.pauseAccountMs)
    steps.push({ name: 'pause_lane', params: { account_key: account.key, lane: EVERY_LANE, until: now + settled.pauseAccountMs } })
  }
  steps.push(...healthSteps(account, { sign, probed, holdAccount: settled.holdAccount }, now, options))
  if (flight.adds) steps.push(...flight.adds.ended({ outcome, state: settled.state, reason: settled.reason, finished: settled.finishedAt !== null }))
  if (settled.reconcile) steps.push(reconcileJob(options.store, runtime, row.delivery_key as number, account.key, now + RECONCILE_AFTER_MS))
  return { outcome, settled, steps }
}

/** A failing provider answers without saying whether it acted: the repeat goes to the same account, with the same bytes. */
function mayHaveActed (answer: Answer, outcome: Outcome): boolean {
  return answer.kind === 'answer' && answer.status >= 500 && outcome.is === 'retry' && outcome.free !== true
}

/** A rule of the provider's that fails is a bug, and what the answer meant is not known. */
function judged (answer: Answer, provider: Provider, { connection, request, again = false }: Flight, { onError }: ConcludeOptions, now: number): Outcome {
  try {
    const outcome = judge(answer, provider, connection.settings, now, request.name)
    return again && outcome.is === 'hold' ? { is: 'retry', reason: 'deferred', free: true, afterMs: 0 } : outcome
  } catch (error) {
    onError(error)
    return { is: 'unknown', reason: 'no_answer', detail: `the answer could not be judged: ${(error as Error).message}`.slice(0, 300) }
  }
}

/** What it made at the provider, also where that is refused afterwards: no other delivery may take it for its own. A bug in finding it loses no more than it. */
function receiptOf (answer: Answer, outcome: Outcome, request: string, provider: Provider, { onError }: ConcludeOptions): string | null {
  if (answer.kind !== 'answer') return null
  if (outcome.is !== 'delivered' && !(outcome.is === 'rejected' && answer.status < 300)) return null
  try {
    return provider.receipt(request, answer.body)
  } catch (error) {
    onError(error)
    return null
  }
}

function settleStep ({ row, connection }: Flight, answer: Answer, { outcome, settled, receipt }: { outcome: Outcome, settled: Settled, receipt: string | null }, now: number): Step {
  return {
    name: 'settle_call',
    params: {
      ...mineOf(row),
      call_no: (row.call_no as number) + 1,
      state: settled.state,
      reason: settled.reason,
      detail: scrub(settled.detail, connection),
      due_at: settled.dueAt,
      finished_at: settled.finishedAt,
      paid: settled.paid,
      settled_at: answer.kind === 'not_sent' ? null : now,
      status: answer.kind === 'answer' ? answer.status : null,
      answer: scrub(answer.kind === 'answer' ? answer.body.slice(0, ANSWER_KEPT) : `${answer.code}: ${answer.message}`, connection),
      outcome: outcome.is,
      receipt,
      adjusted: settled.adjusted === null ? null : JSON.stringify(settled.adjusted)
    }
  }
}

/** The same for a question, which is asked of a failing provider only as its probe. `refused`: what the account is refused for by it. */
export function concludeQuestion (account: OpenAccount, answer: Answer, refused: Reason | null, options: HealthOptions): Step[] {
  return healthSteps(account, { sign: signOf(answer), probed: true, holdAccount: refused && { reason: refused, forMs: HOLD_MS } }, options.runtime.now(), options)
}

interface Told { sign: Sign, probed: boolean, holdAccount: Settled['holdAccount'] }

/** What an answer says of the account as such: held, held on, free again; and the counts that go with it. */
function healthSteps (account: OpenAccount, told: Told, now: number, { store, onHeld }: HealthOptions): Step[] {
  const { key, health, held: before } = account
  const { owner } = store
  const save = health.count(told.sign, now)
  const { calls, failed } = health
  const changed = hold(account, told, now)
  if (account.held !== before) onHeld({ provider: account.provider, account: account.key, reason: account.held, calls, failed })
  return [
    ...(changed ? [{ name: 'hold_account', params: { account_key: key, owner, held_reason: account.held, held_until: account.held === null ? null : account.heldUntil } }] : []),
    ...(save && health.calls > 0 ? [{ name: 'note_health', params: { account_key: key, owner, health: health.text() } }] : [])
  ]
}

/**
 * Refused credentials hold it at once, and any answer that is none of a failing provider says that they are good again.
 * A failing provider is believed to work again only by what was sent after it was found to fail: the probe. True where it changed.
 */
function hold (account: OpenAccount, { sign, probed, holdAccount }: Told, now: number): boolean {
  const { held, health } = account
  if (holdAccount) account.hold(holdAccount.reason, now + holdAccount.forMs)
  else if (held === null && sign === 'fails' && health.isBad(now)) account.hold(FAILING, now + PROBE_MS)
  else if (held !== null && sign === 'fails' && probed) account.hold(held, now + (held === FAILING ? PROBE_MS : HOLD_MS))
  else if (held !== null && (sign === 'works' || sign === 'limited') && (probed || held !== FAILING)) account.free()
  else return false
  return true
}
