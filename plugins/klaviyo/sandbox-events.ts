// Events: taken at once, seen some time later; of one unique_id per profile and metric the first is kept.

import { createHash, randomUUID } from 'node:crypto'
import { invalid, link } from './sandbox-answers.ts'
import type { Answered, Call, Caller, Endpoint, Fault, Resource } from './sandbox-answers.ts'
import { eventFault } from './sandbox-event.ts'
import type { EventBody } from './sandbox-event.ts'
import { TIMES } from './sandbox-filter.ts'
import { listed } from './sandbox-lists.ts'
import type { Item, Rules } from './sandbox-lists.ts'
import type { Metrics } from './sandbox-metrics.ts'
import { profileId } from './sandbox-profiles.ts'
import type { Profiles } from './sandbox-profiles.ts'

const EVENT_BYTES_MAX = 5 * 1024 * 1024
/** How long Klaviyo remembers a unique_id is not published; this many are remembered here. */
const REMEMBERED_MAX = 200_000
/** The latest, of all accounts together. */
const KEPT_MAX = 5000
const COMPARED = TIMES.filter(operator => operator !== 'equals')
const RULES: Rules = {
  filters: {
    metric_id: { kind: 'text', operators: ['equals'] },
    profile_id: { kind: 'text', operators: ['equals'] },
    datetime: { kind: 'time', operators: COMPARED }
  },
  sorts: ['datetime', 'timestamp'],
  size: { usual: 200, max: 1000 },
  fields: { event: ['datetime', 'event_properties', 'id', 'timestamp', 'uuid'] }
}

interface Kept { account: string, metricId: string, who: string, uuid: string, receivedAt: number, timeAt: number, properties: Record<string, unknown> }

export class Events {
  readonly #metrics: Metrics
  readonly #profiles: Profiles
  readonly #seen = new Set<string>()
  #kept: Kept[] = []

  constructor (metrics: Metrics, profiles: Profiles) {
    this.#metrics = metrics
    this.#profiles = profiles
  }

  /** Takes one that is in order; `request` stands for a profile that nothing names. */
  take ({ account, integration }: Caller, body: EventBody, request: string, now: number): { key: string, repeat: boolean } {
    const { unique_id: uniqueId, time, metric, profile, properties } = body.data.attributes
    const { id: metricId } = this.#metrics.of(account, integration, metric.data.attributes.name)
    const { phone_number: phone, email, external_id: externalId } = profile.data.attributes
    const at = typeof time === 'string' ? Date.parse(time) : now
    const key = uniqueId ?? new Date(at).toISOString().slice(0, 19)
    const who = profile.data.id ?? phone ?? email ?? externalId ?? request
    this.#profiles.upsert(account, who, profile.data.attributes)
    const repeat = this.#repeats(JSON.stringify([account, who, metricId, key]))
    if (!repeat) this.#keep({ account, metricId, who, uuid: randomUUID(), receivedAt: now, timeAt: Math.floor(at / 1000) * 1000, properties })
    return { key, repeat }
  }

  /** Those of an account that have been processed, newest first. */
  items (account: string): Item[] {
    return this.#kept.slice(-KEPT_MAX).filter(event => event.account === account && this.#metrics.seen(event.receivedAt)).toReversed().map(event => ({
      values: { metric_id: event.metricId, profile_id: profileId(event.account, event.who), datetime: event.timeAt, timestamp: event.timeAt },
      resource: () => resourceOf(event)
    }))
  }

  #repeats (identity: string): boolean {
    const digest = createHash('sha256').update(identity).digest('base64')
    const repeat = this.#seen.has(digest)
    this.#seen.add(digest)
    if (this.#seen.size > REMEMBERED_MAX) this.#seen.delete(this.#seen.values().next().value as string)
    return repeat
  }

  #keep (event: Kept): void {
    this.#kept.push(event)
    if (this.#kept.length >= 2 * KEPT_MAX) this.#kept = this.#kept.slice(-KEPT_MAX)
  }
}

export function eventEndpoints (events: Events, wallNow: () => number): Endpoint[] {
  return [
    { method: 'POST', url: '/api/events', group: 'events', scopes: ['events:write'], answer: call => createEvent(call, events, wallNow()) },
    { method: 'GET', url: '/api/events', group: 'events_read', scopes: ['events:read'], answer: ({ caller, request }) => listed('/api/events', request.query, events.items(caller.account), RULES) }
  ]
}

function createEvent ({ caller, request, body }: Call, events: Events, now: number): Answered | Fault {
  if (Buffer.isBuffer(request.body) && request.body.length > EVENT_BYTES_MAX) return { status: 413, code: 'payload_too_large', title: 'Payload too large.', detail: 'An event must not exceed 5 MB.' }
  const fault = eventFault(body, now)
  return fault === null ? { status: 202, record: events.take(caller, body as EventBody, request.id, now) } : invalid(fault.detail, fault)
}

function resourceOf (event: Kept): Resource & { relationships: object } {
  const id = event.uuid.replaceAll('-', '').slice(0, 12)
  return {
    type: 'event',
    id,
    attributes: { timestamp: event.timeAt / 1000, event_properties: event.properties, datetime: new Date(event.timeAt).toISOString(), uuid: event.uuid },
    relationships: { profile: { data: { type: 'profile', id: profileId(event.account, event.who) } }, metric: { data: { type: 'metric', id: event.metricId } } },
    links: { self: link(`/api/events/${id}`) }
  }
}
