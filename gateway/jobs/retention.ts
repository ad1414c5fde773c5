// Keeps the tables small: payloads of finished deliveries go after their term, identities when nothing needs them.

import type { Row, Runtime, Store } from '../contract.ts'
import type { JobHandler } from './runner.ts'

const SLICE = 200
const AGAIN_SOON_MS = 1000
const AGAIN_MS = 3_600_000
/** What no window counts any more: the longest is a day. */
const QUESTIONS_KEPT_MS = 25 * 3_600_000
/** What was gathered about somebody who asked. */
const GATHERED_KEPT_MS = 30 * 24 * 3_600_000
const SWEEP_QUEUES = 500
const SWEEP_MS = 10_000

export interface RetentionOptions {
  store: Store
  runtime: Runtime
  payloadMs: number
  identityMs: number
  /** What is kept of the data, for telling a repeat from another event under the same id. */
  digest (data: unknown): Uint8Array
}

/** Drops payloads of a slice of events and a slice of what came in from outside, then forgets a slice of identities, of calls that belong to no delivery, of standings, and of what was gathered about people. */
export function retention (options: RetentionOptions): JobHandler {
  const { store, runtime, payloadMs, identityMs, digest } = options
  return async job => {
    const now = runtime.now()
    const rows = await store.read('payloads_due', { before: now - payloadMs, after: Number(job.cursor ?? 0), limit: SLICE })
    const purgeable = rows.filter(row => row.data !== null)
    if (purgeable.length > 0) await store.commit(purgeable.flatMap(row => drop(row, digest)))
    const slice = { before: now - identityMs, limit: SLICE }
    const [, ...forgotten] = await store.commit([
      { name: 'forget_deliveries', params: slice },
      { name: 'forget_events', params: slice },
      { name: 'forget_inbox', params: { before: now - payloadMs, limit: SLICE } },
      { name: 'forget_inbox_keys', params: slice },
      { name: 'forget_calls', params: { before: now - QUESTIONS_KEPT_MS, limit: SLICE } },
      { name: 'forget_subscribers', params: slice },
      { name: 'forget_notices', params: slice },
      { name: 'forget_webhook_removals', params: slice },
      { name: 'forget_privacy_parts', params: { before: now - GATHERED_KEPT_MS, limit: SLICE } },
      { name: 'forget_reserved', params: {} }
    ])
    const older = rows.length === SLICE && rows.at(-1)?.old === 1
    const more = older || forgotten.some(({ changes }) => changes === SLICE)
    return { dueAt: now + (more ? AGAIN_SOON_MS : AGAIN_MS), cursor: older ? String(rows.at(-1)?.event_key) : null }
  }
}

function drop (row: Row, digest: (data: unknown) => Uint8Array) {
  const event = { event_key: row.event_key as number }
  return [
    { name: 'drop_payload', params: { ...event, digest: digest(JSON.parse(row.data as string)) } },
    { name: 'drop_requests', params: event },
    { name: 'drop_earlier_calls', params: event }
  ]
}

/** What is held is claimed by nobody, so its expiry is looked for, in slices. */
export function expireHeld (options: { store: Store, runtime: Runtime }): JobHandler {
  const { store, runtime } = options
  return async job => {
    const now = runtime.now()
    const queues = await store.read('held_queues', { after: Number(job.cursor ?? 0), limit: SWEEP_QUEUES })
    for (const queue of queues) await expireQueue(store, queue.queue_key as number, now)
    const last = queues.length === SWEEP_QUEUES ? queues.at(-1)?.queue_key : null
    return { dueAt: now + (last == null ? SWEEP_MS : AGAIN_SOON_MS), cursor: last == null ? null : String(last) }
  }
}

async function expireQueue (store: Store, queueKey: number, now: number): Promise<void> {
  for (;;) {
    const [expired] = await store.commit([{ name: 'expire_waiting', params: { queue_key: queueKey, now, reason: null, limit: SLICE } }])
    if ((expired?.changes ?? 0) === 0) return // one in front that lasts longer must not hide those behind it
  }
}
