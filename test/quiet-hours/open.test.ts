// E3: when it is open, by clocks on walls: days of 23 and 25 hours, many zones at once, days that are closed.

import fc from 'fast-check'
import t from 'tap'
import { openSpans } from '../../gateway/quiet-hours/open.ts'

const HOUR_MS = 3_600_000
const NEW_YORK = 'America/New_York'
const daily = () => ({ from: 8 * 60, until: 21 * 60 })
const shown = (spans: ReturnType<typeof openSpans>) => spans.map(({ from, until }) => `${new Date(from).toISOString().slice(0, 16)} ${new Date(until).toISOString().slice(11, 16)}`)

t.test('E3: a window is that of the wall clock on both sides of a change of summer time', async t => {
  const table: Array<[zone: string, day: string, spans: [string, string, string]]> = [
    [NEW_YORK, '2026-03-08', ['2026-03-07T13:00 02:00', '2026-03-08T12:00 01:00', '2026-03-09T12:00 01:00']], // begins: 23 hours
    [NEW_YORK, '2026-11-01', ['2026-10-31T12:00 01:00', '2026-11-01T13:00 02:00', '2026-11-02T13:00 02:00']], // ends: 25 hours
    ['Australia/Lord_Howe', '2026-10-04', ['2026-10-02T21:30 10:30', '2026-10-03T21:00 10:00', '2026-10-04T21:00 10:00']], // by half an hour
    ['Asia/Kathmandu', '2026-06-01', ['2026-05-31T02:15 15:15', '2026-06-01T02:15 15:15', '2026-06-02T02:15 15:15']] // a quarter of an hour off
  ]
  for (const [zone, day, spans] of table) t.strictSame(shown(openSpans([zone], daily, Date.parse(`${day}T10:00Z`))).filter(span => spans.includes(span)), spans, `${zone} ${day}`)
})

t.test('E3: an hour that does not exist, or exists twice, is taken so that less is open', async t => {
  const night = () => ({ from: 60 + 30, until: 2 * 60 + 30 })
  const at = (day: string) => openSpans([NEW_YORK], night, Date.parse(`${day}T15:00Z`))
  const on = (day: string) => at(day).filter(({ from }) => new Date(from).toISOString().startsWith(day)).map(({ from, until }) => (until - from) / HOUR_MS)
  t.strictSame(on('2026-03-07'), [1])
  t.strictSame(on('2026-03-08'), [], '02:30 does not exist, and an hour before it is 01:30: nothing is left')
  t.strictSame(on('2026-11-01'), [1], 'from the second 01:30 on')
  t.match(shown(at('2026-11-01')), ['2026-10-31T05:30 06:30', '2026-11-01T06:30 07:30'])
})

t.test('E3: with several zones it is open where it is in all of them; whole days grow together, and a closed day has nothing', async t => {
  const summer = Date.parse('2026-07-15T12:00Z')
  const six = ['America/New_York', 'America/Chicago', 'America/Denver', 'America/Los_Angeles', 'America/Anchorage', 'Pacific/Honolulu']
  t.match(shown(openSpans(six, daily, summer)), ['2026-07-14T18:00 01:00', '2026-07-15T18:00 01:00'])
  t.strictSame(openSpans(['Pacific/Auckland', 'Europe/London', 'America/Los_Angeles'], () => ({ from: 9 * 60, until: 17 * 60 }), summer), [], 'never all at once')
  t.strictSame(openSpans([], daily, summer), [])
  t.equal(openSpans(['Europe/Paris'], () => ({ from: 0, until: 1440 }), summer).length, 1)
  const mondays = openSpans(['UTC'], day => day === 1 ? daily() : null, Date.parse('2026-11-23T21:30Z'))
  t.strictSame(shown(mondays), ['2026-11-23T08:00 21:00', '2026-11-30T08:00 21:00'], 'the next one is a week off, and is found')
})

t.test('E3: at any moment of any zone, what is open is so by the clock on the wall, and nothing else is', async t => {
  const zones = fc.constantFrom('America/New_York', 'America/St_Johns', 'Europe/London', 'Asia/Tehran', 'Africa/Casablanca', 'Australia/Lord_Howe', 'Pacific/Chatham', 'America/Havana', 'Asia/Kolkata')
  let opened = 0
  fc.assert(fc.property(zones, fc.integer({ min: Date.parse('2024-01-01T00:00Z'), max: Date.parse('2030-01-01T00:00Z') }), fc.integer({ min: 4 * 60, max: 12 * 60 }), fc.integer({ min: 13 * 60, max: 23 * 60 }), (zone, at, from, until) => {
    const open = openSpans([zone], () => ({ from, until }), at).some(span => span.from <= at && at < span.until)
    const [hour = 0, minute = 0] = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(at).split(':').map(Number)
    const wall = hour * 60 + minute
    if (open) opened++
    if (open !== (wall >= from && wall < until)) throw new Error(`${zone} ${new Date(at).toISOString()} shows ${hour}:${minute}, of ${from} to ${until}; open: ${open}`)
  }), { numRuns: 400 })
  t.ok(opened > 50 && opened < 350, `open at ${opened} of 400 moments`)
})
