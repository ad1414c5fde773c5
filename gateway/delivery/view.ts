// A delivery as people and other programs see it: where it is, why, and what was said.

import type { Row, State } from '../contract.ts'
import { sentence, stateOfRow, type Reason } from '../reasons.ts'
import { headOf } from './flight.ts'

export interface DeliveryView {
  id: string
  shop: string
  channel: string
  setup_group: string
  provider: string | null
  state: State | 'held'
  reason: Reason | null
  /** For the merchant. */
  sentence: string
  detail: string | null
  event: { id: string, source: string, type: string, source_id: string }
  attempts: number
  /** The provider's own id of what it made of it. */
  provider_message_id: string | null
  /** What the carrier said last; null where it has said nothing, or nobody hears it. */
  carrier: { status: string, at: string, code: string | null } | null
  due_at: string | null
  expires_at: string
  created_at: string
  finished_at: string | null
  /** `record`: the provider is to keep it, and nobody is texted. */
  mode: 'send' | 'record'
  /** The first delivery of the event, where this one sends it again. */
  again_of: string | null
  /** On the first: those that send it again, oldest first. */
  sent_again: string[]
}

export function viewOf (row: Row, titleOf: (provider: string) => string): DeliveryView {
  const { state, reason } = stateOfRow(row)
  const provider = (state === 'waiting' || state === 'held' ? row.provider : row.account_provider ?? row.provider) as string | null
  return {
    id: row.id as string,
    shop: row.shop as string,
    channel: row.channel as string,
    setup_group: row.setup_group as string,
    provider,
    state,
    reason,
    sentence: sentenceOf(state, reason, provider === null ? '' : titleOf(provider), row.record_only === 1),
    detail: row.detail as string | null,
    event: { id: row.event_id as string, source: row.source as string, type: row.type as string, source_id: row.source_id as string },
    attempts: row.attempts as number,
    provider_message_id: row.receipt as string | null,
    carrier: row.carrier_status === null ? null : { status: row.carrier_status as string, at: time(row.carrier_at) as string, code: row.carrier_code as string | null },
    due_at: time(row.due_at),
    expires_at: time(row.expires_at) as string,
    created_at: time(row.created_at) as string,
    finished_at: time(row.finished_at),
    mode: row.record_only === 1 ? 'record' : 'send',
    again_of: row.first_id as string | null,
    sent_again: row.sent_again === null ? [] : (row.sent_again as string).split(' ')
  }
}

/** Everything of one delivery: its event and each call with what was sent and what came back. */
export function detailsOf (row: Row, earlier: readonly Row[], titleOf: (provider: string) => string): object {
  const view = viewOf(row, titleOf)
  const calls = row.call_no as number > 0 ? [...earlier, row] : []
  return {
    ...view,
    event: { ...view.event, time: time(row.time_at), received_at: time(row.received_at), data: row.data === null ? null : JSON.parse(row.data as string) as unknown },
    /** Settings that an answer asked for, instead of the connection's. */
    adjusted_settings: row.adjusted === null ? null : JSON.parse(row.adjusted as string) as unknown,
    calls: calls.map(callOf)
  }
}

function callOf (row: Row): object {
  return {
    number: row.call_no,
    lane: row.lane,
    reserved_at: time(row.reserved_at),
    settled_at: time(row.settled_at),
    request: row.request_head === null ? null : requestOf(row),
    status: row.status,
    answer: row.answer,
    outcome: row.outcome,
    provider_message_id: row.receipt
  }
}

function requestOf (row: Row): object {
  const { name, method, path, headers, segments } = headOf(String(row.request_head))
  return { name, method, path, headers, body: bodyOf(row.request_body as string | null, headers['content-type'] ?? ''), ...segments }
}

/** JSON and the fields of a form are shown as data, others as the text they are. */
function bodyOf (body: string | null, contentType: string): unknown {
  if (body === null) return null
  if (contentType.includes('x-www-form-urlencoded')) return Object.fromEntries(new URLSearchParams(body))
  try { return JSON.parse(body) } catch { return body }
}

function sentenceOf (state: State | 'held', reason: Reason | null, title: string, recorded: boolean): string {
  if (reason !== null) return sentence(reason, title)
  const plain: Record<State | 'held', string> = {
    waiting: 'Waiting for its turn.',
    sending: `Being handed over to ${title}.`,
    delivered: recorded ? `Recorded by ${title}; nobody is texted.` : `Accepted by ${title}.`,
    held: 'Held.',
    unknown: `${title} may have the message.`,
    rejected: 'Not sent.',
    expired: 'Not sent: waiting took too long.'
  }
  return plain[state]
}

function time (ms: unknown): string | null { return typeof ms === 'number' ? new Date(ms).toISOString() : null }
