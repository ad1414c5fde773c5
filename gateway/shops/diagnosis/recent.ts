// The newest deliveries of a shop, or of one customer of it.

import { setImmediate } from 'node:timers/promises'
import type { Row, Runtime, Store } from '../../contract.ts'
import { stateOfRow } from '../../reasons.ts'
import type { Recent } from './facts.ts'

const NEWEST = 20
const DAY_MS = 24 * 3_600_000
/** Rows looked at for a shop; as a list of deliveries is searched. */
const SLICE = 5000
const SLICES = 20

export interface RecentOptions {
  store: Store
  runtime: Runtime
  /** What stands for a phone number. */
  person (phone: string): Uint8Array
}

/** Newest first: of a customer whenever they were, of a shop those of the last day. */
export async function recentOf (shop: string, channel: string, phone: string | null, options: RecentOptions): Promise<Recent[]> {
  const filters = { shop, shops: null, state: null, held: null, type: null, provider: null, event_id: null, source_id: null, person: phone === null ? null : options.person(phone) }
  const rows = phone === null ? await ofShop(filters, options) : await options.store.read('list_of_person', { ...filters, before: Number.MAX_SAFE_INTEGER, limit: NEWEST })
  return rows.filter(row => row.channel === channel).map(recent)
}

type Filters = Record<string, string | Uint8Array | null>

async function ofShop (filters: Filters, { store, runtime }: RecentOptions): Promise<Row[]> {
  const since = runtime.now() - DAY_MS
  const rows: Row[] = []
  let before = Number.MAX_SAFE_INTEGER
  for (let slice = 0; slice < SLICES && rows.length < NEWEST; slice++) {
    const [newest] = await store.read('newest_delivery_before', { before })
    if (newest?.delivery_key == null) break
    const floor = (newest.delivery_key as number) - SLICE
    const found = await store.read('list_deliveries', { ...filters, before, floor, limit: NEWEST - rows.length })
    rows.push(...found.filter(row => (row.created_at as number) >= since))
    if (found.some(row => (row.created_at as number) < since)) break
    before = floor
    await setImmediate() // others have their turn between two slices
  }
  return rows
}

function recent (row: Row): Recent {
  const { state, reason } = stateOfRow(row)
  const provider = (state === 'waiting' || state === 'held' ? row.provider : row.account_provider ?? row.provider) as string | null
  return { id: row.id as string, type: row.type as string, provider, state, reason, createdAt: row.created_at as number }
}
