// Rows of the inbox: how one is written, read, and called outside.

import { createHash } from 'node:crypto'
import type { Received, Row, Step, Store } from '../contract.ts'

/** Numbers of the states in rows. `received` is still to be worked on; the others are ends. */
export const INBOX_STATE = { received: 1, done: 2, recorded: 3, parked: 4 } as const
export type InboxState = keyof typeof INBOX_STATE

/** What the gateway itself says of a row; a source has reasons of its own. */
export const INBOX_REASONS = {
  too_large: 'The body was larger than is kept; only that it came is known.',
  event_refused: 'The door refused an event that was made of it.',
  event_conflict: 'An event of this id was accepted before, with other data; the first one stays.',
  shop_unknown: 'It is for a shop that does not exist here.',
  translation_failed: 'The source could not work on it, five times.',
  crashed_gateway: 'Working on it stopped the gateway three times; it was set aside.',
  source_removed: 'Its source is not in the config, or is for the sandbox only, which is off; it waits until that is there again.',
  callback: 'It is for the provider, and kept.',
  redacted: 'It was erased, as the customer or the shop asked for.'
} as const satisfies Record<string, string>
export type InboxReason = keyof typeof INBOX_REASONS

/** Bytes of a body that are kept, as UTF-8. */
export const BODY_CAP_BYTES = 2 * 1024 * 1024
const NAME_CAP = 200
const HEADER_CAP = 1000
const HEADERS_CAP = 50

export interface Arrival { row: Row & { inbox_key: number, id: string, state: number }, steps: Step[] }

/** Where it goes: `received` is worked on, `recorded` is not; what was too large is parked. */
export function arrival (store: Store, id: string, source: string, received: Omit<Received, 'id' | 'receivedAt'> & { keys: string[] }, now: number, to: 'received' | 'recorded'): Arrival {
  const { topic, shop, subject, headers, body, keys } = received
  const kept = body !== null && Buffer.byteLength(body) <= BODY_CAP_BYTES
  const state = kept ? to : 'parked'
  const reason: InboxReason | null = kept ? (to === 'recorded' ? 'callback' : null) : 'too_large'
  const row = {
    inbox_key: store.nextKey('inbox'), id, source, topic: cut(topic, NAME_CAP), shop: cutOrNull(shop), subject: cutOrNull(subject),
    headers: JSON.stringify(Object.fromEntries(Object.entries(headers).slice(0, HEADERS_CAP).map(([name, value]) => [cut(name, NAME_CAP).toLowerCase(), cut(String(value), HEADER_CAP)]))),
    body: kept ? body : null, received_at: now, state: INBOX_STATE[state], reason, detail: reason && INBOX_REASONS[reason],
    due_at: state === 'received' ? now : null, settled_at: state === 'received' ? null : now
  }
  const known = JSON.stringify([...new Set(keys.map(digest))])
  return {
    row,
    steps: [
      { name: 'insert_inbox', params: { ...row, keys: known } },
      { name: 'insert_inbox_keys', params: { source, keys: known, received_at: now, inbox_key: row.inbox_key } }
    ]
  }
}

/** Of any length and content becomes what is the same for the same key only. */
function digest (key: string): string { return createHash('sha256').update(key).digest('base64url') }

function cut (text: string, length: number): string { return text.slice(0, length).toWellFormed() }
function cutOrNull (text: string | null): string | null { return text === null ? null : cut(text, NAME_CAP) }

/** As a source gets it. */
export function receivedOf (row: Row): Received {
  return {
    id: String(row.id),
    receivedAt: row.received_at as number,
    topic: String(row.topic),
    shop: row.shop as string | null,
    subject: row.subject as string | null,
    headers: JSON.parse(row.headers as string) as Record<string, string>,
    body: row.body as string | null
  }
}

const STATE_NAMES = new Map<number, InboxState>((Object.keys(INBOX_STATE) as InboxState[]).map(name => [INBOX_STATE[name], name]))

/** `known`: whether its source is there to work on it. */
export function inboxView (row: Row, known: boolean): Record<string, unknown> {
  const state = STATE_NAMES.get(row.state as number) as InboxState
  const waitsForSource = state === 'received' && !known
  const due = row.due_at as number | null
  return {
    id: row.id,
    source: row.source,
    topic: row.topic,
    shop: row.shop,
    subject: row.subject,
    state,
    reason: waitsForSource ? 'source_removed' satisfies InboxReason : row.reason,
    detail: waitsForSource ? INBOX_REASONS.source_removed : row.detail,
    events: JSON.parse((row.events ?? '[]') as string) as unknown[],
    attempts: row.attempts,
    received_at: iso(row.received_at as number),
    due_at: due === null ? null : iso(Math.max(due, row.received_at as number)),
    settled_at: row.settled_at === null ? null : iso(row.settled_at as number)
  }
}

export function iso (at: number): string { return new Date(at).toISOString() }
