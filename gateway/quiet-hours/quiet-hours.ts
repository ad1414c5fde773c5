// Whether a message may arrive now where its recipient is; if not, when.

import type { DayTime, Kind, QuietHours, StricterHours } from '../contract.ts'
import { valueAt } from '../json-pointer.ts'
import { openSpans, type Span } from './open.ts'
import { zonesOf, type Zones } from './zones.ts'

/** What waited does not go all at once. */
const SPREAD_MS = 10 * 60_000
const DAY_MS = 86_400_000
const KEPT_MAX = 2000

export interface QuietFacts {
  kind: Kind
  settings: Record<string, unknown>
  data: Record<string, unknown>
  now: number
  /** 0 ≤ x < 1. */
  random: number
}

export type Hour =
  /** `openForMs`: until quiet hours begin; null where there are none. */
  | { is: 'open', openForMs: number | null }
  /** `detail`: where the recipient may be, and what told it. */
  | { is: 'quiet', untilAt: number, detail: string }
  | { is: 'never', reason: 'no_common_hour' | 'time_zone_unknown', detail: string }

export function hourOf (quiet: QuietHours, { kind, settings, data, now, random }: QuietFacts): Hour {
  const hours = quiet.kinds(settings).includes(kind) ? quiet.hours(settings) : null
  if (hours === null) return { is: 'open', openForMs: null }
  const recipient = { timeZone: valueAt(data, quiet.at.timeZone), phone: valueAt(data, quiet.at.phone), country: valueAt(data, quiet.at.country) }
  const zones = zonesOf(recipient, quiet.zone(settings))
  if (zones === null) return { is: 'never', reason: 'time_zone_unknown', detail: 'Neither the event nor the phone number tells it, and no time zone is set for the shop.' }
  const stricter = quiet.stricter.filter(rule => fits(rule, recipient))
  const spans = spansOf(zones.names, hours, stricter, now)
  const next = spans.find(({ from, until }) => until - quiet.stopBeforeMs > Math.max(from, now))
  const where = [said(zones), ...stricter.map(({ name }) => name)].join('; ')
  if (!next) return { is: 'never', reason: 'no_common_hour', detail: where }
  if (next.from <= now) return { is: 'open', openForMs: next.until - now }
  const spread = Math.min(SPREAD_MS, (next.until - quiet.stopBeforeMs - next.from) / 4)
  return { is: 'quiet', untilAt: next.from + Math.floor(random * spread), detail: where }
}

function fits ({ country, calling }: StricterHours, recipient: { phone: unknown, country: unknown }): boolean {
  const { phone } = recipient
  return (country === null || country === recipient.country) && (calling.length === 0 || (typeof phone === 'string' && calling.some(prefix => phone.startsWith(prefix))))
}

/** Spans of the same places and rules, for a day. */
const kept = new Map<string, Span[]>()

function spansOf (zones: readonly string[], hours: readonly DayTime[], stricter: readonly StricterHours[], now: number): Span[] {
  const key = JSON.stringify([Math.floor(now / DAY_MS), zones, hours, stricter.map(({ days, hours }) => [days, hours])])
  const known = kept.get(key)
  if (known !== undefined) return known
  const spans = openSpans(zones, day => common(hours, stricter.filter(({ days }) => days.includes(day))), Math.floor(now / DAY_MS) * DAY_MS)
  if (kept.size >= KEPT_MAX) kept.clear()
  kept.set(key, spans)
  return spans
}

function common (hours: readonly DayTime[], stricter: readonly StricterHours[]): DayTime | null {
  const times = [...hours, ...stricter.map(({ hours }) => hours)]
  if (times.includes(null)) return null
  const open = times.filter(time => time !== null)
  const [from, until] = [Math.max(0, ...open.map(time => time.from)), Math.min(1440, ...open.map(time => time.until))]
  return from < until ? { from, until } : null
}

/** A few of the zones by name, and whence they are known. */
function said ({ names, by }: Zones): string {
  const shown = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')
  return `${shown}, by the ${by}${by === 'phone' ? ' number' : by === 'customer' ? '\'s own time zone' : ''}`
}
