// Goes through all deliveries and events, a slice at a time, and counts what nobody accounts for: what would neither be sent
// nor be shown as refused. 0 is right; anything else is a bug of the gateway, or somebody wrote in its database. A queue that
// sleeps over what is due in it is woken; all else is a person's to judge.

import type { Config, Row, Runtime, Step, Store } from '../contract.ts'
import type { JobHandler, JobResult } from './runner.ts'

const SLICE = 500
const NEXT_MS = 1000
/** Between two passes over everything. */
const PASS_MS = 10 * 60_000
/** What looks wrong is looked at again after this: a take-over, or word to another instance, may be under way. */
const CONFIRM_MS = 60_000
const SHOWN = 10

/** What was found for certain in a slice: a fault, how many have it, and the first ones' ids. */
export interface Unaccounted { fault: string, count: number, ids: string[] }

export interface AuditOptions {
  store: Store
  runtime: Runtime
  config (): Pick<Config, 'eventTypes' | 'recordedTypes'>
  onFound (found: Unaccounted): void
}

/** What the job remembers between two slices. */
interface Place {
  /** Keys up to which this pass has come. */
  delivery: number
  event: number
  /** Counted in this pass, and in the one before. */
  found: number
  before: number
  /** Ids that looked wrong when the slice that comes was looked at first; null: it was not yet. */
  suspects: string[] | null
  /** When a type last made no message, epoch: its events until then have no delivery, and need none. */
  recorded: Record<string, number>
}

const BEGIN: Place = { delivery: 0, event: 0, found: 0, before: 0, suspects: null, recorded: {} }

/** Looks at one slice of deliveries and one of events. */
export function audit (options: AuditOptions): JobHandler {
  const { store, runtime, config, onFound } = options
  return async job => {
    const now = runtime.now()
    const { eventTypes, recordedTypes } = config()
    const place = placeOf(job.cursor)
    const recorded = { ...place.recorded, ...Object.fromEntries(Object.keys(recordedTypes).map(type => [type, now])) }
    const [ends] = await store.read('audit_slices', { after_delivery_key: place.delivery, after_event_key: place.event, limit: SLICE })
    const delivery = (ends?.delivery_key ?? place.delivery) as number
    const event = (ends?.event_key ?? place.event) as number
    const [deliveries, events] = await Promise.all([
      store.read('audit_deliveries', { after: place.delivery, until_key: delivery, now }),
      store.read('audit_events', { after: place.event, until_key: event, types: JSON.stringify(Object.keys(eventTypes)) })
    ])
    const wrong = [...deliveries, ...events.filter(row => (row.received_at as number) > (recorded[row.type as string] ?? -Infinity))]
    if (wrong.length > 0 && place.suspects === null) return at({ ...place, recorded, suspects: wrong.map(({ id }) => String(id)) }, now + CONFIRM_MS)
    const suspects = new Set(place.suspects)
    const certain = wrong.filter(({ id }) => suspects.has(String(id)))
    for (const found of byFault(certain)) onFound(found)
    const asleep = certain.filter(({ fault }) => fault === 'overslept')
    if (asleep.length > 0) await store.commit(asleep.map(wake))
    const found = place.found + certain.length
    if (ends?.delivery_key == null && ends?.event_key == null) return at({ ...BEGIN, before: found, recorded }, now + PASS_MS)
    return at({ ...place, delivery, event, found, suspects: null, recorded }, now + NEXT_MS)
  }
}

/** How many are unaccounted for, by the last whole pass or by what this one has found already; of all instances that share the database. */
export async function unaccounted (store: Store): Promise<number> {
  const [row] = await store.read('audited', {})
  const { found, before } = placeOf(row?.cursor as string | null ?? null)
  return Math.max(found, before)
}

/** It is counted all the same: what woke it should have been something else. */
function wake ({ queue_key: queueKey, account_key: accountKey, priority }: Row): Step {
  return { name: 'wake_queue', params: { queue_key: queueKey as number, account_key: accountKey as number | null, priority: priority as number } }
}

function placeOf (cursor: string | null): Place { return cursor === null ? BEGIN : JSON.parse(cursor) as Place }

function at (place: Place, dueAt: number): JobResult { return { dueAt, cursor: JSON.stringify(place) } }

function byFault (rows: readonly Row[]): Unaccounted[] {
  return [...Map.groupBy(rows, ({ fault }) => String(fault))].map(([fault, those]) => ({ fault, count: those.length, ids: those.slice(0, SHOWN).map(({ id }) => String(id)) }))
}
