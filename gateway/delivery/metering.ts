// What messages cost that the platform pays for: how much of a shop's month a message takes, whether that much is left, and when
// somebody is told that it is nearly used.

import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import type { MappingScope, PreparedRequest, Provider, Row, Runtime, Step, Store } from '../contract.ts'
import { valueAt } from '../json-pointer.ts'

/** Percent of a limit from which on it is told of. */
const WARNED_AT = [100, 80] as const
/** A country that nothing tells. */
const NOWHERE = 'ZZ'

/** What a message takes of which month. */
export interface Meter {
  shopKey: number
  shop: string
  provider: string
  /** Calendar month in UTC, "2026-11". */
  month: string
  /** ISO 3166-1, or ZZ. */
  country: string
  segments: number
  /** Null: any number. */
  limit: number | null
}

/** As the log sees it: 80 or 100 percent of a shop's limit are used. */
export interface UsageWarning { shop: string, provider: string, month: string, percent: number, segments: number, limit: number }

export interface MeteringOptions {
  store: Store
  runtime: Runtime
  onUsage?: ((warning: UsageWarning) => void) | undefined
}

/** Null where nobody counts it. */
export function meterOf (provider: Provider, shop: { key: number, id: string, plan: string }, scope: MappingScope, request: PreparedRequest, now: number): Meter | null {
  const { metered } = provider
  if (!metered || request.segments === undefined) return null
  return {
    shopKey: shop.key,
    shop: shop.id,
    provider: provider.id,
    month: monthOf(now),
    country: countryOf(scope.data, metered.at),
    segments: request.segments.segments,
    limit: metered.limit(shop, scope.connection.settings)
  }
}

export function monthOf (at: number): string { return new Date(at).toISOString().slice(0, 7) }

/** Where a message goes: by its number, else by what is said of the customer. */
function countryOf (data: Record<string, unknown>, at: { phone: string, country: string }): string {
  const [phone, country] = [valueAt(data, at.phone), valueAt(data, at.country)]
  const told = typeof phone === 'string' ? parsePhoneNumberFromString(phone)?.country : undefined
  return told ?? (typeof country === 'string' && /^[A-Z]{2}$/.test(country) ? country : NOWHERE)
}

/** Whether a message keeps within the limit of its month. What may have been sent counts; by what is being sent just now it is not known yet. */
export async function roomFor (meter: Meter, row: Row, options: MeteringOptions): Promise<{ is: 'room' } | { is: 'later' } | { is: 'none', detail: string }> {
  const { limit, segments, month } = meter
  if (limit === null) return { is: 'room' }
  const { counted, unsure, reserved, warned } = await standing(meter, row, options.store)
  if (counted + unsure + segments <= limit) return { is: counted + unsure + reserved + segments <= limit ? 'room' : 'later' }
  if (warned < 100) await warn({ ...meter, limit }, row, { percent: 100, threshold: null, counted }, options)
  return { is: 'none', detail: `${counted} of ${limit} segments of ${month} are used, ${unsure} more may be, and this message takes ${segments}.` }
}

/** Whether there is room for the message within its limit; then it is kept for it. */
export async function reserve (meter: Meter, row: Row, { store }: Pick<MeteringOptions, 'store'>): Promise<boolean> {
  const { country, segments } = meter
  const [reserved] = await store.commit([{ name: 'reserve_usage', params: { ...ofMonth(meter, row), country, segments, limit: meter.limit } }])
  return reserved?.changes === 1
}

/** Goes into the unit that says how a call ended, after that: an accepted message is counted, one that was not sent takes nothing. What may have been sent stays reserved. */
export function usageSteps (provider: Provider, deliveryKey: number): Step[] {
  if (!provider.metered) return []
  const params = { delivery_key: deliveryKey }
  return [{ name: 'count_usage', params }, { name: 'free_usage', params }]
}

/** Tells, once each, that so much of a limit is used. */
export async function warnOfUsage (meter: Meter, row: Row, options: MeteringOptions): Promise<void> {
  const { limit } = meter
  if (limit === null) return
  const { counted, warned } = await standing(meter, row, options.store)
  const percent = WARNED_AT.find(percent => counted * 100 >= limit * percent)
  if (percent !== undefined && percent > warned) await warn({ ...meter, limit }, row, { percent, threshold: Math.ceil(limit * percent / 100), counted }, options)
}

async function warn (meter: Meter & { limit: number }, row: Row, { percent, threshold, counted }: { percent: number, threshold: number | null, counted: number }, { store, runtime, onUsage }: MeteringOptions): Promise<void> {
  const { shop, provider, month, limit } = meter
  const params = { ...ofMonth(meter, row), limit, percent, now: runtime.now() }
  const [warned] = await store.commit([{ name: 'warn_usage', params: { ...params, threshold } }, { name: 'audit_usage', params: { ...params, shop, subject: `${provider} ${month} ${percent} % of ${limit}` } }])
  if (warned?.changes === 1) onUsage?.({ shop, provider, month, percent, segments: counted, limit })
}

async function standing (meter: Meter, row: Row, store: Store): Promise<{ counted: number, unsure: number, reserved: number, warned: number }> {
  const [found] = await store.read('usage_standing', { ...ofMonth(meter, row), limit: meter.limit })
  return { counted: Number(found?.counted ?? 0), unsure: Number(found?.unsure ?? 0), reserved: Number(found?.reserved ?? 0), warned: Number(found?.warned ?? 0) }
}

function ofMonth ({ shopKey, provider, month }: Meter, row: Row) {
  return { shop_key: shopKey, provider, month, delivery_key: row.delivery_key as number }
}
