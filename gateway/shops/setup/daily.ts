// Once a day each connection is looked after, in the background: what came undone at the provider is found out, and shown.

import type { Runtime, Step, Store } from '../../contract.ts'

const PAGE = 500
const DAY_MS = 24 * 3_600_000
const FROM_THE_START = '0'
/** Between two pages, so that a large day is no burst; and between two connections of one, up to this. */
const APART_MS = 60_000

/** A recurring job: puts one for each connection, a page at a time; for the first time a day after the gateway's first start. */
export async function recheckDaily (cursor: string | null, { store, runtime }: { store: Store, runtime: Runtime }): Promise<{ dueAt: number, cursor: string }> {
  const now = runtime.now()
  if (cursor === null) return { dueAt: now + DAY_MS, cursor: FROM_THE_START }
  const rows = await store.read('connections_after', { after: Number(cursor), limit: PAGE })
  const steps: Step[] = rows.map(row => ({
    name: 'put_background_job',
    params: {
      job_key: store.nextKey('jobs'), id: runtime.id('job_'), kind: 'setup_recheck', unique_key: `${Number(row.shop_key)}/${String(row.provider)}`, account_key: row.account_key as number,
      delivery_key: null, due_at: now + Math.floor(runtime.random() * APART_MS), now
    }
  }))
  if (steps.length > 0) await store.commit(steps)
  const last = rows.at(-1)
  return rows.length === PAGE ? { dueAt: now + APART_MS, cursor: String(last?.connection_key) } : { dueAt: now + DAY_MS, cursor: FROM_THE_START }
}
