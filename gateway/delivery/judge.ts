// What an answer means, where the provider's own rules say nothing.

import type { Answer, Outcome, Provider, Uncertain } from '../contract.ts'
import { retryAfterHeaderMs } from './next.ts'

const BLOCKED_AFTER_MS = 15 * 60_000

/** Not sent for our own sake: no attempt of the delivery's. */
const OURS = new Set(['STOPPED', 'HELD', 'ELSEWHERE'])

/** The provider's rules first, these defaults after them. `settings`: the connection's, as the request was made with them; `request`: its name. */
export function judge (answer: Answer, provider: Pick<Provider, 'judge' | 'uncertain'> & Partial<Pick<Provider, 'connection'>>, settings: Record<string, unknown>, now: number, request?: string): Outcome {
  if (answer.kind === 'not_sent' && OURS.has(answer.code)) return { is: 'retry', reason: 'deferred', free: true, afterMs: answer.afterMs ?? 0 }
  if (answer.kind === 'not_sent' && answer.code === 'NO_ROOM') return { is: 'retry', reason: 'rate_limited', free: true, afterMs: answer.afterMs ?? 0 }
  if (answer.kind === 'not_sent') return { is: 'retry', reason: 'not_connected_to_provider', detail: `${answer.code}: ${answer.message}` }
  if (answer.kind === 'no_answer') return { is: 'unknown', reason: 'no_answer', detail: `${answer.code}: ${answer.message}` }
  return toWhom(withRetryAfter(provider.judge(answer, settings, request) ?? byStatus(answer, provider.uncertain), answer, now), provider)
}

/** No merchant can put the platform's own account right, so none is told to connect again. */
function toWhom (outcome: Outcome, { connection }: Partial<Pick<Provider, 'connection'>>): Outcome {
  const connectAgain = outcome.is === 'hold' && (outcome.reason === 'credentials_refused' || outcome.reason === 'scope_missing')
  return connectAgain && connection === 'gateway' ? { ...outcome, reason: 'platform_account_refused' } : outcome
}

/** A pause that names no length takes it from the header. */
function withRetryAfter (outcome: Outcome, answer: Answer & { kind: 'answer' }, now: number): Outcome {
  if (outcome.is !== 'retry' || outcome.afterMs !== undefined) return outcome
  const afterMs = retryAfterHeaderMs(answer.headers['retry-after'], now)
  return afterMs === null ? outcome : { ...outcome, afterMs }
}

function byStatus (answer: Answer & { kind: 'answer' }, uncertain: Uncertain): Outcome {
  const { status } = answer
  const detail = `HTTP ${status}`
  if (status >= 200 && status < 300) return readable(answer) ? { is: 'delivered' } : { is: 'delivered', warning: 'answer_unreadable' }
  if (status >= 300 && status < 400) return { is: 'rejected', reason: 'redirect_refused', detail }
  if (status === 429) return { is: 'retry', reason: 'rate_limited', detail, free: true, pause: 'lane' }
  if (status === 401) return { is: 'hold', reason: 'credentials_refused', detail }
  if (status === 403) return forbidden(answer)
  if (status === 408 || status === 425) return { is: 'retry', reason: 'provider_failing', detail }
  if (status === 404 || status === 410) return { is: 'rejected', reason: 'target_gone', detail }
  if (status === 405 || status === 413 || status === 415) return { is: 'rejected', reason: 'request_refused', detail }
  if (status < 500) return { is: 'rejected', reason: 'payload_refused', detail }
  // It answered, but not whether it acted: safe to repeat only where it tells repeats apart.
  return uncertain === 'repeat' ? { is: 'retry', reason: 'provider_failing', detail } : { is: 'unknown', reason: 'provider_failing', detail }
}

/** Accepted all the same where it cannot be read: sending it again would make a second message. */
function readable ({ headers, body, cut }: Answer & { kind: 'answer' }): boolean {
  const type = headers['content-type'] ?? ''
  if (cut || type.includes('text/html')) return false
  if (body === '' || !type.includes('json')) return true
  try {
    JSON.parse(body)
    return true
  } catch {
    return false
  }
}

/** A page instead of data is a guard in front of the provider, not the provider. */
function forbidden (answer: Answer & { kind: 'answer' }): Outcome {
  const detail = 'HTTP 403'
  const page = (answer.headers['content-type'] ?? '').includes('text/html')
  if (page) return { is: 'retry', reason: 'blocked_by_provider', detail, free: true, pause: 'account', afterMs: BLOCKED_AFTER_MS }
  return { is: 'hold', reason: 'scope_missing', detail }
}
