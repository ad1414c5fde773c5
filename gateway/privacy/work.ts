// What each kind of request does with what is found: erased, gathered, or forgotten altogether.

import type { PrivacyHooks, Row, Runtime, Step, Store } from '../contract.ts'
import type { Person, Sealing } from './who.ts'

export interface WorkTools {
  store: Store
  runtime: Runtime
  vault: Sealing
  /** What is kept of an event's data, for telling a repeat. */
  digest (data: unknown): Uint8Array
  /** Id of what a provider told about a phone number at an account. */
  noticeId (accountKey: number, phone: string): string
  hooks (): readonly PrivacyHooks[]
  /** Ends the connections of a shop, here at once and at the providers soon. */
  disconnect (shopKey: number): Promise<void>
  /** The shop is another one than is at hand. */
  changed (shop: string): void
}

export interface Request { id: string, kind: 'redact' | 'export' | 'forget', at: number, shop: { key: number, id: string }, /** Null for a whole shop. */ person: Person | null, marks: string[] }

/** Each may be done again for the same rows. Numbers say how many it concerned. */
export interface Work {
  /** `open`: events of which something is on the wire at this moment. */
  events (rows: readonly Row[]): Promise<{ found: number, open: number[] }>
  /** `wait`: somebody works on one of them just now. */
  inbox (rows: readonly Row[], slice: { after: number, until: number }): Promise<{ found: number, wait: boolean }>
  /** Once more for events that were open; which of them still are. */
  again (keys: readonly number[]): Promise<number[]>
  /** All that is found without a search. */
  rest (): Promise<void>
}

/** Happened, or came, before it was asked for. */
export function isBefore (row: Row, at: number): boolean { return Number(row.time_at) <= at || Number(row.received_at) <= at }

/** In units that keep nobody waiting for long. */
export async function commitAll (units: readonly Step[][], store: Pick<Store, 'commit'>): Promise<void> {
  for (let i = 0; i < units.length; i += UNITS) await store.commit(units.slice(i, i + UNITS).flat())
}
const UNITS = 20

/** By this request or another one, or by this one before it was cut off: what is on the wire of it is to be waited for all the same. */
export function wasRedacted (row: Row): boolean { return row.redacted_at !== null }

/** Events of which something is on the wire. */
export async function stillSent (rows: readonly Row[], store: Pick<Store, 'read'>): Promise<number[]> {
  if (rows.length === 0) return []
  return (await store.read('still_sent', { keys: JSON.stringify(rows.map(row => row.event_key)) })).map(row => Number(row.event_key))
}
