// Reports of the carrier may be lost: who has said no last word an hour and a day after a message was accepted is asked. One job per
// account, a few at a time, over the account's own lane.

import type { Answer, Provider, Row, Runtime, Step, Store } from '../contract.ts'
import { wordSteps } from './word.ts'

const ACCOUNTS = 200
const LOOK_MS = 60_000
const AT_ONCE = 4
/** Then others have their turn. */
const ROUND_MS = 5000
/** The account has no room just now, is held, or the provider does not answer. */
const AGAIN_MS = 60_000
export const POLL_JOB = 'status_poll'

export interface PollOptions {
  store: Store
  runtime: Runtime
  providers (): ReadonlyMap<string, Provider>
  /** Asks over a shop's connection; null where it has none that can be used. */
  ask (shopKey: number, provider: Provider, accountKey: number, request: string, map: Record<string, unknown>): Promise<Answer | null>
}

type Again = { dueAt: number, cursor: string | null } | null

/** The recurring job: puts one for each account that has something due. */
export async function pollsDue (cursor: string | null, { store, runtime, providers }: PollOptions): Promise<NonNullable<Again>> {
  const now = runtime.now()
  const polled = [...providers().values()].filter(({ statusPoll }) => statusPoll != null).map(({ id }) => id)
  const rows = polled.length === 0 ? [] : await store.read('accounts_to_poll', { after: Number(cursor ?? 0), providers: JSON.stringify(polled), now, limit: ACCOUNTS })
  const steps: Step[] = rows.map(({ account_key: key }) => ({ name: 'put_background_job', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), kind: POLL_JOB, unique_key: String(key), account_key: key as number, delivery_key: null, due_at: now, now } }))
  if (steps.length > 0) await store.commit(steps)
  return { dueAt: now + LOOK_MS, cursor: rows.length === ACCOUNTS ? String(rows.at(-1)?.account_key) : null }
}

/** Asks about what is due at an account. May be run again at any point. */
export async function poll (accountKey: number, options: PollOptions): Promise<Again> {
  const { store, runtime } = options
  const [account] = await store.read('account', { account_key: accountKey })
  const provider = options.providers().get(String(account?.provider))
  if (!provider?.statusPoll) return null
  const until = runtime.mono() + ROUND_MS
  do {
    const rows = await store.read('carrier_due', { account_key: accountKey, now: runtime.now(), limit: AT_ONCE })
    if (rows.length === 0) return null
    const asked = await Promise.all(rows.map(row => about(row, provider, accountKey, options)))
    if (asked.includes(false)) return { dueAt: runtime.now() + AGAIN_MS, cursor: null }
  } while (runtime.mono() < until)
  return { dueAt: runtime.now(), cursor: null }
}

/** False where nothing was learnt, and it must be asked again. */
async function about (row: Row, provider: Provider, accountKey: number, { store, runtime, ask }: PollOptions): Promise<boolean> {
  const { request, afterMs } = provider.statusPoll as NonNullable<Provider['statusPoll']>
  const receipt = row.receipt as string
  const answer = await ask(row.shop_key as number, provider, accountKey, request, { receipt })
  if (answer !== null && !isWord(answer)) return false
  const now = runtime.now()
  const report = answer?.kind === 'answer' && answer.status === 200 ? provider.code.reported?.(answer.body) ?? null : null
  const next = afterMs.map(ms => (row.settled_at as number) + ms).find(at => at > now) ?? null
  await store.commit([
    ...(report === null ? [] : wordSteps(row, { ...report, receipt, at: now }, provider, now)),
    { name: 'carrier_asked', params: { delivery_key: row.delivery_key as number, before: row.carrier_due_at as number, due_at: next } }
  ])
  return true
}

/** An outage, a limit, or credentials that are refused say nothing about the message, and pass. */
function isWord (answer: Answer): boolean {
  return answer.kind === 'answer' ? answer.status < 500 && ![401, 403, 429].includes(answer.status) : answer.kind === 'not_sent' && answer.code === 'NOT_MAPPED'
}
