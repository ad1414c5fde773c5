// Whether a test event that the provider accepted has arrived there: looked for at growing distances, by jobs of the account's
// own gateway, until it is found or its time is over.

import type { Provider, SetupStep, Step } from '../../contract.ts'
import type { Reason } from '../../reasons.ts'
import type { OpenConnection } from '../connections.ts'
import type { ShopState } from '../shops.ts'
import { factsOf, type SetupOptions } from './facts.ts'
import { left } from './left.ts'
import { rowAt, type StepRow } from './rows.ts'
import { sayingOf } from './saying.ts'
import { lookUpAll } from './steps.ts'
import type { SetupJob } from './work.ts'
import { changed } from './writing.ts'

const FIRST_MS = 2000
const MOST_MS = 60_000

/** As the step's row keeps it. Times are epoch milliseconds. `not_looked`: nobody could, for the reason given. */
interface Arrival {
  state: 'awaited' | 'arrived' | 'not_found' | 'not_looked'
  event_id: string
  accepted_at: number
  until: number
  seen_at?: number
  reason?: Reason
  detail?: string | null
}

/** What a test event is found by; dropped with the end of the search, as it names a person. */
interface Sent { event_id: string, time_at: number, phone: string }

/** The time of a test event: every try sends the same one, and providers know seconds alone. Epoch milliseconds. */
export function timeOfTest ({ askedAt }: StepRow, now: number): number { return Math.floor((askedAt ?? now) / 1000) * 1000 }

export function arrivalOf ({ found }: StepRow): Arrival | null { return (found['arrival'] as Arrival | undefined) ?? null }

function sentOf ({ given }: StepRow): Sent | undefined { return given['sent'] as Sent | undefined }

/** Nobody looks for it any more. */
function unseen (row: StepRow): StepRow {
  const { sent: _, ...given } = row.given
  return { ...row, given, found: { ...row.found, arrival: { ...arrivalOf(row), state: 'not_looked', reason: 'provider_unknown' } } }
}

/** The row of a step whose event was just accepted, and the job that looks for it. `given`: with the phone. */
export function awaited (step: SetupStep, row: StepRow, given: StepRow['given'], { state, provider }: { state: ShopState, provider: Provider }, { store, runtime }: SetupOptions): { row: StepRow, steps: Step[] } {
  const connection = state.connections.get(provider.id)
  if (step.arrival === undefined || connection === undefined) return { row, steps: [] }
  const now = runtime.now()
  const id = String(given['event_id'])
  const sent: Sent = { event_id: id, time_at: timeOfTest(row, now), phone: String(given['phone']) }
  const arrival: Arrival = { state: 'awaited', event_id: id, accepted_at: now, until: now + step.arrival.withinMs }
  const uniqueKey = [state.shop.key, provider.id, step.id, row.subject, id].join('/')
  return {
    row: { ...row, given: { ...row.given, sent }, found: { ...row.found, arrival } },
    steps: [{ name: 'put_background_job', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), kind: 'setup_arrival', unique_key: uniqueKey, account_key: connection.accountKey, delivery_key: null, due_at: now + Math.min(FIRST_MS, step.arrival.withinMs), now } }]
  }
}

/** A job: looks once; null where it has ended, be it that another event was sent meanwhile. */
export async function lookForArrival ({ uniqueKey }: SetupJob, options: SetupOptions): Promise<{ dueAt: number } | null> {
  const [shopKey, providerId, stepId, subject, eventId] = uniqueKey.split('/') as [string, string, string, string, string]
  const provider = options.provider(providerId)
  const step = provider?.setup.find(({ id }) => id === stepId)
  if (!provider || step?.arrival === undefined) return await left({ shopKey: Number(shopKey), provider: providerId, step: stepId, subject }, row => sentOf(row)?.event_id === eventId ? arrivalOf(row)?.until ?? 0 : null, unseen, options)
  const state = await options.shops.byKey(Number(shopKey))
  const row = rowAt((await factsOf(state, provider, options)).rows, stepId, subject)
  const sent = sentOf(row)
  const arrival = arrivalOf(row)
  if (sent?.event_id !== eventId || arrival === null) return null
  const looked = await look({ state, provider, step, subject }, sent, options)
  const now = options.runtime.now()
  const end = looked.is === 'later' ? arrival.until + step.arrival.withinMs : arrival.until // what nobody could look at is not missing yet
  if ((looked.is === 'later' || looked.is === 'not_found') && now < end) {
    const grownMs = Math.min(Math.max(Math.abs(now - arrival.accepted_at), FIRST_MS), MOST_MS) // the clock may have been set back
    return { dueAt: Math.min(now + Math.max(grownMs, looked.is === 'later' ? looked.afterMs : 0), end) }
  }
  await keep({ state, provider, step, subject }, eventId, { ...arrival, ...told(looked, now) }, options)
  return null
}

interface About { state: ShopState, provider: Provider, step: SetupStep, subject: string }

type Looked = { is: 'arrived' | 'not_found' } | { is: 'refused', reason: Reason, detail: string | null } | { is: 'later', reason: Reason, detail: string | null, afterMs: number }

async function look ({ state, provider, step, subject }: About, { event_id: id, time_at: timeAt, phone }: Sent, options: SetupOptions): Promise<Looked> {
  const connection = state.connections.get(provider.id)
  if (connection === undefined || connection.secrets === null) return { is: 'refused', reason: connection === undefined ? 'not_connected' : 'credentials_unreadable', detail: null }
  const open = connection as OpenConnection
  const lookUps = step.arrival?.lookUps ?? []
  const about = {
    trigger: provider.trigger(subject, { account_id: open.accountId, settings: open.settings }) ?? '',
    sent: { id, time: new Date(timeAt).toISOString().replace('.000Z', 'Z'), timestamp: String(timeAt / 1000), phone }
  }
  const answer = await lookUpAll(lookUps, about, { provider, connection: open }, options)
  if (answer.is !== 'ok') return { ...answer, detail: options.scrub(answer.detail, open) }
  return { is: Object.hasOwn(answer.found, lookUps.at(-1)?.id ?? '') ? 'arrived' : 'not_found' }
}

function told (looked: Looked, now: number): Partial<Arrival> {
  switch (looked.is) {
    case 'arrived': return { state: 'arrived', seen_at: now }
    case 'not_found': return { state: 'not_found', reason: 'not_arrived' }
    default: return { state: 'not_looked', reason: looked.reason, detail: looked.detail }
  }
}

/** Nothing where the step was forgotten, or another event was sent meanwhile. */
async function keep ({ state: { shop }, provider, step, subject }: About, eventId: string, arrival: Arrival, options: SetupOptions): Promise<void> {
  await options.shops.alter(shop.id, async state => {
    const facts = await factsOf(state, provider, options)
    const before = rowAt(facts.rows, step.id, subject)
    const { sent, ...given } = before.given
    if ((sent as Sent | undefined)?.event_id !== eventId) return null
    return changed({ state, provider, facts }, { ...before, given, found: { ...before.found, arrival } }, {}, [], options.runtime)
  })
}

/** How it is shown; null where nobody looks, or nothing was accepted yet. */
export function arrivalView (step: SetupStep, row: StepRow, provider: Provider): object | null {
  const arrival = arrivalOf(row)
  if (step.arrival === undefined || arrival === null) return null
  const { state, event_id: id, accepted_at: acceptedAt, until, seen_at: seenAt, reason, detail } = arrival
  return {
    state,
    text: textOf(arrival, step, provider),
    event_id: id,
    accepted_at: new Date(acceptedAt).toISOString(),
    until: new Date(until).toISOString(),
    arrived_at: seenAt === undefined ? null : new Date(seenAt).toISOString(),
    reason: reason ?? null,
    detail: detail ?? null
  }
}

function textOf ({ state, reason }: Arrival, step: SetupStep, provider: Provider): string {
  switch (state) {
    case 'awaited': return `Sent, and not seen at ${provider.title} yet.`
    case 'arrived': return `Arrived at ${provider.title}.`
    case 'not_found': return sayingOf(step, 'not_arrived', provider)
    case 'not_looked': return `${provider.title} accepted it; whether it arrived could not be looked up. ${sayingOf(step, reason ?? 'answer_unreadable', provider)}`
  }
}
