// What the carrier says of a message that a provider took: which delivery it is about, and what follows for it.

import type { CarrierReport, Provider, ProviderNotice, Row, Runtime, Step, Store } from '../contract.ts'
import { STATE } from '../contract.ts'
import type { Reason } from '../reasons.ts'

/** A delivery that is being sent has its answer by then, or none. */
const LATER_MS = 2000

export type StatusNotice = Extract<ProviderNotice, { is: 'status' }>

export type Weighed =
  | { is: 'done', steps: Step[], reason: string, detail: string }
  | { is: 'recorded' | 'parked' | 'erased', reason: string, detail: string }
  | { is: 'later', afterMs: number }

export interface WordOptions { store: Pick<Store, 'read'>, runtime: Pick<Runtime, 'now'> }

/** The steps by which a report reaches its delivery; each says in its SQL when it does nothing, so they may be done twice. */
export async function weigh (notice: StatusNotice, provider: Provider, { store, runtime }: WordOptions): Promise<Weighed> {
  const [row] = notice.delivery === null
    ? await store.read('carrier_subject_by_receipt', { provider: provider.id, receipt: notice.receipt })
    : await store.read('carrier_subject', { id: notice.delivery })
  if (row === undefined) return { is: 'parked', reason: 'delivery_unknown', detail: 'It is about a message that no delivery here has made.' }
  if (row.owner !== null || row.state === STATE.sending) return { is: 'later', afterMs: LATER_MS }
  if (row.provider !== provider.id || (notice.account !== null && row.account !== notice.account)) return { is: 'parked', reason: 'account_differs', detail: 'It came from another account than the delivery went over.' }
  if (row.redacted_at !== null) return { is: 'erased', reason: 'redacted', detail: 'Its message was erased, as the customer or the shop asked for; so was this.' }
  const steps = wordSteps(row, notice, provider, runtime.now())
  const done = { is: 'done' as const, reason: 'carrier_word', detail: `The carrier says: ${notice.word}.` }
  if (row.receipt === notice.receipt) return { ...done, steps }
  if (row.receipt === null && row.outcome === 'unknown') return await proved(row, notice, { provider, steps, done }, { store, runtime })
  const key = row.delivery_key as number
  if ((await store.read('earlier_receipt', { delivery_key: key, receipt: notice.receipt })).length > 0) return { is: 'recorded', reason: 'earlier_message', detail: 'It is about an earlier message of this delivery, which another one followed.' }
  return { is: 'parked', reason: 'message_differs', detail: 'It names another message than the provider said it had made for this delivery; nothing was changed.' }
}

/** Nothing answered the request that made it, and here is the message: it was made. */
async function proved (row: Row, { receipt }: StatusNotice, { provider, steps, done }: { provider: Provider, steps: Step[], done: { is: 'done', reason: string, detail: string } }, { store, runtime }: WordOptions): Promise<Weighed> {
  const at = { delivery_key: row.delivery_key as number, account_key: row.account_key as number, receipt }
  if ((await store.read('receipt_taken', at)).length > 0) return { is: 'parked', reason: 'message_taken', detail: 'The message is another delivery\'s.' }
  const now = runtime.now()
  const first = provider.statusPoll?.afterMs[0]
  const reason: Reason = 'accepted_elsewhere'
  const counted = provider.metered ? ['count_usage', 'free_counted'].map(name => ({ name, params: { delivery_key: at.delivery_key } })) : []
  return { ...done, steps: [{ name: 'prove_created', params: { ...at, call_no: row.call_no as number, reason, now, due_at: first === undefined ? null : now + first } }, ...counted, ...steps] }
}

/** The word itself, and where it is that of a failure, what it means for the delivery and its person. */
export function wordSteps (row: Row, { receipt, word, code, answer, at }: CarrierReport & { receipt: string, at: number }, provider: Provider, now: number): Step[] {
  const which = { delivery_key: row.delivery_key as number, receipt }
  const said: Step = { name: 'carrier_word', params: { ...which, word, at, code } }
  if (word !== 'failed' && word !== 'undelivered') return [said]
  const { reason, detail } = failureOf(answer, provider)
  return [
    said,
    { name: 'carrier_refused', params: { ...which, reason, detail, now } },
    ...(reason === 'opted_out' ? [{ name: 'opt_out_refused', params: { delivery_key: which.delivery_key, now: at, via: 'provider_refused' } }] : [])
  ]
}

/** Why, by the same rules as an answer to the request itself. */
function failureOf (answer: CarrierReport['answer'], provider: Provider): { reason: Reason, detail: string | null } {
  const outcome = answer === null ? null : provider.judge({ kind: 'answer', status: answer.status, headers: {}, body: answer.body, cut: false })
  return outcome?.is === 'rejected' ? { reason: outcome.reason, detail: outcome.detail?.replace(/[: ]+$/, '') ?? null } : { reason: 'carrier_failed', detail: null }
}
