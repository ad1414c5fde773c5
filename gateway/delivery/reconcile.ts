// Asks a provider whether a request that got no answer arrived, where its folder brings a hook for that, and takes
// the answer that is found for the one that was lost.

import type { Answer, FoundAnswer, Outcome, Provider, Reconciled, Row, Runtime, Step, Store } from '../contract.ts'
import { STATE } from '../contract.ts'
import type { OpenConnection } from '../shops/connections.ts'
import type { Shops, ShopState } from '../shops/shops.ts'
import { keepAdjusted } from './adjusted.ts'
import { scopeOf, scrub, stored } from './flight.ts'
import { followUp } from './follow-up.ts'
import { judge } from './judge.ts'
import { usageSteps } from './metering.ts'

/** Waits between the questions; after the last one a person decides. */
const AGAIN_MS = [60_000, 5 * 60_000, 30 * 60_000, 2 * 3_600_000]
/** A list may show a message late: till then "it is not there" says nothing. */
const BELIEVED_AFTER_MS = 5 * 60_000
/** A question that could not be put, or was not answered, is no question; it is put again after this, for as long as that. */
const UNASKED_AGAIN_MS = 30_000
const UNASKED_FOR_MS = 24 * 3_600_000
/** Calls of one delivery that are asked about: the latest, and those before it that got no answer either. */
const CALLS = 4

export interface ReconcileOptions {
  store: Store
  runtime: Runtime
  shops: Shops
  providers: ReadonlyMap<string, Provider>
  /** Sends one of the provider's requests on the account's lane. */
  ask (connection: OpenConnection, request: string, scope: object): Promise<Answer>
  /** After each round, whatever came of it. */
  onLearnt (round: { delivery: string, provider: string, learnt: Learnt['is'] }): void
  onError (error: unknown): void
}

/** When it is asked about again; null when it is settled, or no longer asked about. The cursor counts the questions about a call. */
export type Again = { dueAt: number, cursor: string } | null

/** What was learnt; `unasked`: nothing, since the question did not get through, or was not answered. `done`: it is on disk. */
type Learnt = { is: 'done' } | { is: 'not_found' } | { is: 'unclear', detail: string | null } | { is: 'unasked' }

interface Subject { row: Row, provider: Provider, state: ShopState, connection: OpenConnection }

/**
 * One round of questions about a delivery. May be run again at any point, and beside others: whatever it finds is
 * written only while the delivery still waits for word of this very call, and a message is taken by one delivery alone.
 */
export async function reconcile (deliveryKey: number, cursor: string | null, options: ReconcileOptions): Promise<Again> {
  const { store, runtime } = options
  const [row] = await store.read('delivery_by_key', { delivery_key: deliveryKey })
  if (!row || row.state !== STATE.unknown || row.owner !== null || row.due_at !== null || row.request_head === null) return null
  const asked = askedOf(cursor, row) + 1
  const putAt = runtime.now()
  const learnt = await learn(row, options)
  options.onLearnt({ delivery: row.id as string, provider: row.account_provider as string, learnt: learnt.is })
  const now = runtime.now()
  const again = (dueAt: number, count = asked): Again => ({ dueAt, cursor: `${row.call_no as number} ${count}` })
  const reservedAt = row.reserved_at as number
  const waitMs = AGAIN_MS[asked - 1]
  switch (learnt.is) {
    case 'done': return null
    case 'unasked':
      if (now < reservedAt + UNASKED_FOR_MS) return again(now + UNASKED_AGAIN_MS, asked - 1)
      await store.commit([toPerson(row, null, now)])
      return null
    case 'unclear':
      if (waitMs !== undefined) return again(now + waitMs)
      await store.commit([toPerson(row, learnt.detail, now)])
      return null
    case 'not_found':
      // By the time it was asked: the clock may have been set on since.
      if (putAt < reservedAt + BELIEVED_AFTER_MS) return again(reservedAt + BELIEVED_AFTER_MS)
      await store.commit([...notSentSteps(row, now), ...usageSteps(options.providers.get(row.account_provider as string) as Provider, deliveryKey)])
      return null
  }
}

/** Questions put about the latest call so far; those about an earlier one do not count for it. */
function askedOf (cursor: string | null, row: Row): number {
  const [callNo, asked] = (cursor ?? '').split(' ').map(Number)
  return callNo === row.call_no ? asked ?? 0 : 0
}

async function learn (row: Row, options: ReconcileOptions): Promise<Learnt> {
  const provider = options.providers.get(row.account_provider as string)
  const state = await options.shops.byKey(row.shop_key as number)
  const connection = provider && state.connections.get(provider.id)
  const secrets = connection?.secrets
  if (!provider?.code.reconcile || !connection || !secrets) return { is: 'unclear', detail: 'the connection it went over is gone' }
  const subject = { row, provider, state, connection: { ...connection, secrets } }
  let unclear: Learnt | null = null
  for (const call of await unanswered(row, options.store)) {
    const learnt = await about(call, subject, options)
    if (learnt.is === 'done' || learnt.is === 'unasked') return learnt
    if (learnt.is === 'unclear') unclear ??= learnt // what may be this call's may be known to be an earlier one's
  }
  if (unclear !== null) return unclear
  // Not in the list of this account; it was sent over another one.
  return connection.accountKey === row.account_key ? { is: 'not_found' } : { is: 'unclear', detail: 'the account it went over is no longer connected' }
}

/** The latest call first. What an earlier one made may show up only now, and then nothing more is to be sent. */
async function unanswered (row: Row, store: Store): Promise<Row[]> {
  if (row.call_no === 1) return [row]
  const earlier = await store.read('calls_of_delivery', { delivery_key: row.delivery_key as number })
  return [row, ...earlier.filter(call => call.outcome === 'unknown' && call.request_head !== null && call.account_key === row.account_key).toReversed()].slice(0, CALLS)
}

async function about (call: Row, subject: Subject, options: ReconcileOptions): Promise<Learnt> {
  const { row, provider, state, connection } = subject
  let unasked = false
  const scope = scopeOf(row, state, connection)
  const sent = { reservedAt: call.reserved_at as number, givenUpAt: call.settled_at as number, now: () => options.runtime.now() }
  const found = await provider.code.reconcile?.(scope, stored(call), sent, async (request, map) => {
    const answer = await options.ask(connection, request, { ...scope, map })
    unasked ||= !isWord(answer)
    return answer
  })
  if (found?.is === 'found') return await adopt(call, found, subject, options)
  if (found?.is === 'not_found') return await notFound(call, found.doubtful, subject, options)
  return unasked ? { is: 'unasked' } : { is: 'unclear', detail: scrub(found?.detail ?? null, connection) }
}

/** An outage, a limit, or credentials that are refused say nothing about the message, and pass. */
function isWord (answer: Answer): boolean {
  return answer.kind === 'answer' && answer.status < 500 && ![401, 403, 429].includes(answer.status)
}

/** The first of the answers that is nobody else's is ours. Where all are taken ours did not arrive. */
async function adopt (call: Row, { answers, doubtful }: Extract<Reconciled, { is: 'found' }>, subject: Subject, options: ReconcileOptions): Promise<Learnt> {
  const { row, provider, state, connection } = subject
  const { store, runtime } = options
  const { name } = stored(call)
  const key = { delivery_key: row.delivery_key as number, account_key: row.account_key as number }
  for (const { status, body } of answers) {
    const receipt = provider.receipt(name, body)
    if (receipt !== null && await isTaken({ ...key, receipt }, store)) continue
    const now = runtime.now()
    const outcome = judge({ kind: 'answer', status, headers: {}, body, cut: false }, provider, scopeOf(row, state, connection).connection.settings, now)
    if (outcome.is !== 'delivered' && outcome.is !== 'rejected') return { is: 'unclear', detail: scrub(outcome.detail ?? null, connection) }
    const end = endOf(outcome, connection)
    const [adopted] = await store.commit([{ name: 'adopt_answer', params: { ...key, call_no: row.call_no as number, receipt, now, ...end } }, ...usageSteps(provider, key.delivery_key), ...followUp(key.delivery_key, end, provider, now)])
    if (adopted?.changes === 1) {
      if (outcome.is === 'delivered' && row.adjusted !== null) await keepAdjusted(row, state.shop.id, provider.id, options)
      return { is: 'done' }
    }
    if (receipt === null || !await isTaken({ ...key, receipt }, store)) return { is: 'unclear', detail: 'another message to the same person is being sent just now' }
  }
  return await notFound(call, doubtful, subject, options)
}

/** What may be ours, and may not be, is told apart only where another delivery has it. */
async function notFound (call: Row, doubtful: readonly FoundAnswer[] = [], { row, provider }: Subject, { store }: ReconcileOptions): Promise<Learnt> {
  for (const { body } of doubtful) {
    const receipt = provider.receipt(stored(call).name, body)
    if (receipt === null || !await isTaken({ delivery_key: row.delivery_key as number, account_key: row.account_key as number, receipt }, store)) {
      return { is: 'unclear', detail: 'there is a message that may be this one, but for its time or its text' }
    }
  }
  return { is: 'not_found' }
}

async function isTaken (params: { delivery_key: number, account_key: number, receipt: string }, store: Store): Promise<boolean> {
  return (await store.read('receipt_taken', params)).length > 0
}

function endOf (outcome: Outcome & { is: 'delivered' | 'rejected' }, connection: OpenConnection): { state: number, reason: string, detail: string | null } {
  if (outcome.is === 'delivered') return { state: STATE.delivered, reason: 'accepted_elsewhere', detail: null }
  return { state: STATE.rejected, reason: outcome.reason, detail: scrub(outcome.detail ?? null, connection) }
}

function toPerson (row: Row, detail: string | null, now: number): Step {
  return resolved(row, { state: STATE.unknown, reason: 'no_answer', detail, due_at: null, finished_at: now })
}

/** It waits again, and is made anew; where that would be too late, it has certainly not been sent. */
function notSentSteps (row: Row, now: number): Step[] {
  if (now >= (row.expires_at as number)) return [resolved(row, { state: STATE.expired, reason: 'expired', detail: null, due_at: null, finished_at: now })]
  return [resolved(row, { state: STATE.waiting, reason: null, detail: null, due_at: now, finished_at: null }), { name: 'wake_queue', params: { queue_key: row.queue_key as number, account_key: row.queue_account_key as number | null, priority: row.priority as number } }]
}

function resolved (row: Row, to: { state: number, reason: string | null, detail: string | null, due_at: number | null, finished_at: number | null }): Step {
  return { name: 'resolve_unknown', params: { delivery_key: row.delivery_key as number, call_no: row.call_no as number, ...to } }
}
