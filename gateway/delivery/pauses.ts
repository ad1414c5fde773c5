// Who waits after the answer to a question: its lane, or the whole account, as after that to a delivery.

import type { Answer, Outcome, Provider, Runtime, Step } from '../contract.ts'
import { EVERY_LANE, type OpenAccount } from './account.ts'
import type { Gate } from './gate.ts'
import { judge } from './judge.ts'
import { correctBy } from './left.ts'
import { rateLimitBackoffMs } from './next.ts'

interface Lane { account: OpenAccount, provider: Provider, settings: Record<string, unknown>, group: string, gate: Gate, /** Epoch. */ reservedAt: number }

/** The lane and the account know at once; the steps tell the store. */
export function pausesBy (answer: Answer, { account, provider, settings, group, gate, reservedAt }: Lane, { runtime }: { runtime: Runtime }): Step[] {
  if (answer.kind !== 'answer') return []
  correctBy(answer, provider, gate, runtime.mono())
  const now = runtime.now()
  const outcome = judged(answer, provider, settings, now)
  if (outcome === null) return []
  const limited = outcome.is === 'retry' && outcome.reason === 'rate_limited'
  const times = account.limitedTimes(group, reservedAt)
  account.countLimited(group, limited, reservedAt, now)
  if (outcome.is !== 'retry' || outcome.pause === undefined) return []
  const forMs = outcome.afterMs ?? rateLimitBackoffMs(times, runtime.random())
  if (outcome.pause === 'lane') gate.pauseUntil(runtime.mono() + forMs)
  else account.pauseUntil(now + forMs)
  return [{ name: 'pause_lane', params: { account_key: account.key, lane: outcome.pause === 'lane' ? group : EVERY_LANE, until: now + forMs } }]
}

/** A rule of the provider's that fails is a bug, and whoever asked is told of it; the call is closed all the same. */
function judged (answer: Answer, provider: Provider, settings: Record<string, unknown>, now: number): Outcome | null {
  try {
    return judge(answer, provider, settings, now)
  } catch {
    return null
  }
}
