// Everything of a shop, in slices, by indexes that are there: events by their identity, what came from outside by its key.

import type { Row, Store } from '../contract.ts'

const EVENTS = 300
/** Of the inbox, whoever's they are; and bodies at once. */
const INBOX_KEYS = 2000
const INBOX_ROWS = 20

/** Where the next slice begins; what stands at the identity was looked at. */
export interface EventPlace { id: string, source: string }

export async function eventSlice (shopKey: number, after: EventPlace, store: Pick<Store, 'read'>): Promise<{ rows: Row[], next: EventPlace | null }> {
  const rows = await store.read('events_of_shop', { shop_key: shopKey, after_id: after.id, after_source: after.source, limit: EVENTS })
  const last = rows.length === EVENTS ? rows.at(-1) : undefined
  return { rows, next: last === undefined ? null : { id: String(last.source_id), source: String(last.source) } }
}

/** Rows with a body that came until `at`. `until`: the key up to which all were looked at. */
export async function inboxSlice ({ shop, at, after }: { shop: string, at: number, after: number }, store: Pick<Store, 'read'>): Promise<{ rows: Row[], until: number, more: boolean }> {
  const [end] = await store.read('inbox_slice', { after_key: after, limit: INBOX_KEYS })
  if (end?.inbox_key == null) return { rows: [], until: after, more: false }
  const last = Number(end.inbox_key)
  const rows = await store.read('inbox_of_shop', { shop, at, after_key: after, until_key: last, limit: INBOX_ROWS })
  return { rows, until: rows.length === INBOX_ROWS ? Number(rows.at(-1)?.inbox_key) : last, more: true }
}
