// From what a provider sends to what it says of a person. Nothing here is believed more than the manifest says.

import type { ProviderWebhooks } from '../../contract.ts'
import { valueAt } from '../../json-pointer.ts'
import { textAt } from './registration.ts'

/** A provider tells that a customer may be texted from now on, or no more. A hint: whoever acts on it looks the customer up. */
export interface Notice {
  accountKey: number
  /** E.164; null where it says none. */
  phone: string | null
  /** The provider's own id of the customer, null where it says none. */
  ref: string | null
  state: 'subscribed' | 'opted_out'
  /** Epoch milliseconds; never later than it came. */
  at: number
}

export type Read =
  | { is: 'notice', notice: Omit<Notice, 'accountKey'> }
  /** Nothing is said of this event. */
  | { is: 'other', event: string | null }
  /** It names nobody. */
  | { is: 'nobody', event: string }

const REF_MAX = 200
const DIGITS = /^[1-9][0-9]{6,14}$/
const ZONE = /(?:Z|[+-]\d{2}:?\d{2})$/i

/** JSON that is an object; null for anything else. */
export function objectOf (text: string | null): Record<string, unknown> | null {
  try {
    const body = JSON.parse(text ?? '') as unknown
    return body !== null && typeof body === 'object' && !Array.isArray(body) ? body as Record<string, unknown> : null
  } catch {
    return null
  }
}

export function readNotice (body: Record<string, unknown>, { eventAt, notices }: ProviderWebhooks, receivedAt: number): Read {
  const event = textAt(body, eventAt)
  const found = notices.find(one => one.event === event)
  if (found === undefined) return { is: 'other', event }
  const phone = phoneOf(firstAt(body, found.phone))
  const ref = refOf(firstAt(body, found.ref))
  if (phone === null && ref === null) return { is: 'nobody', event: found.event }
  return { is: 'notice', notice: { phone, ref, state: found.is, at: Math.min(timeOf(found.at === null ? undefined : valueAt(body, found.at)) ?? receivedAt, receivedAt) } }
}

/** What a repeat has again; null where some of it is missing, so that nothing but the same bytes is taken for one. */
export function repeatOf (body: Record<string, unknown>, { repeats }: ProviderWebhooks): string[] | null {
  const values = repeats.map(pointer => textAt(body, pointer))
  return values.every(value => value !== null) ? values : null
}

/** The person an event is about, by the provider's own id. */
export function refIn (body: Record<string, unknown>, { eventAt, notices }: ProviderWebhooks): string | null {
  const event = textAt(body, eventAt)
  return refOf(firstAt(body, notices.find(one => one.event === event)?.ref ?? []))
}

function firstAt (body: unknown, pointers: readonly string[]): string | null {
  for (const pointer of pointers) {
    const text = textAt(body, pointer)
    if (text !== null) return text
  }
  return null
}

function refOf (text: string | null): string | null { return text === null || text.length > REF_MAX || /[\p{Cc}\p{Cs}]/u.test(text) ? null : text }

function phoneOf (text: string | null): string | null {
  const digits = (text ?? '').replaceAll(/[\s().-]/g, '').replace(/^\+/, '')
  return DIGITS.test(digits) ? `+${digits}` : null
}

function timeOf (value: unknown): number | null {
  if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}T/.test(value)) return null
  const at = Date.parse(ZONE.test(value) ? value : `${value}Z`)
  return Number.isNaN(at) ? null : at
}
