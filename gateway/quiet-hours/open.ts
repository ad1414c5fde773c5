// When messages may arrive at a place, as spans of time: by clocks on walls, whose days have 23 and 25 hours too.

import { Temporal } from 'temporal-polyfill'
import type { DayTime } from '../contract.ts'

/** Epoch milliseconds: from `from` on and before `until`. */
export interface Span { from: number, until: number }

/** What is open on a day of the week (1 is Monday); null: nothing. */
export type DayTimes = (day: number) => DayTime | null

/** Days that are looked at, from the one before: what is open once a week is among them whenever one asks. */
const DAYS = 11
const MIDNIGHT = 1440

/** When it is open in all of the zones at once, in order and apart from each other: from `at` on for a week at least. */
export function openSpans (zones: readonly string[], times: DayTimes, at: number): Span[] {
  let common: Span[] | null = null
  for (const zone of zones) {
    const spans = spansIn(zone, times, at)
    common = common === null ? spans : both(common, spans)
  }
  return common ?? []
}

function spansIn (zone: string, times: DayTimes, at: number): Span[] {
  const spans: Span[] = []
  const first = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone).toPlainDate().subtract({ days: 1 })
  for (let n = 0; n < DAYS; n++) {
    const day = first.add({ days: n })
    const time = times(day.dayOfWeek)
    if (time === null) continue
    const [from, until] = [momentOf(day, time.from, zone, 'later'), momentOf(day, time.until, zone, 'earlier')]
    const last = spans.at(-1)
    if (last && last.until >= from) last.until = until
    else if (from < until) spans.push({ from, until })
  }
  return spans
}

/** A time that a clock shows twice, or not at all, is taken so that less is open. */
function momentOf (day: Temporal.PlainDate, minute: number, zone: string, disambiguation: 'earlier' | 'later'): number {
  const date = minute === MIDNIGHT ? day.add({ days: 1 }) : day
  const time = { hour: Math.floor(minute % MIDNIGHT / 60), minute: minute % 60 }
  return date.toPlainDateTime(time).toZonedDateTime(zone, { disambiguation }).epochMilliseconds
}

function both (a: readonly Span[], b: readonly Span[]): Span[] {
  const common: Span[] = []
  for (let i = 0, k = 0; i < a.length && k < b.length;) {
    const [left, right] = [a[i] as Span, b[k] as Span]
    const [from, until] = [Math.max(left.from, right.from), Math.min(left.until, right.until)]
    if (from < until) common.push({ from, until })
    if (left.until < right.until) i++
    else k++
  }
  return common
}
