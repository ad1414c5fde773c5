import fc from 'fast-check'
import t from 'tap'
import { MIN_AFTER_UNKNOWN_MS, rateLimitBackoffMs, retryAfterHeaderMs, retryAfterMs, spread } from '../../gateway/delivery/next.ts'

const NOW = Date.parse('2026-10-21T07:28:00Z')
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

t.test('R40: Retry-After is read in every form it comes in', async t => {
  const cases: Array<[what: string, header: string | undefined, ms: number | null]> = [
    ['none', undefined, null],
    ['seconds', '7', 7000],
    ['seconds with space around', ' 7 ', 7000],
    ['a date', 'Wed, 21 Oct 2026 07:30:00 GMT', 120_000],
    ['a date in the old long form', 'Wednesday, 21-Oct-26 07:30:00 GMT', 120_000],
    ['a date that has passed', 'Wed, 21 Oct 2026 07:27:59 GMT', 60_000],
    ['zero, which would ask for a tight loop', '0', 1000],
    ['negative', '-5', 60_000],
    ['most of a day', '67608', 67_608_000],
    ['more than a day', '86401', 86_400_000],
    ['a year', '31536000', 86_400_000],
    ['too many digits', '9'.repeat(400), 60_000],
    ['a word', 'abc', 60_000],
    ['nothing', '', 60_000],
    ['a fraction', '1.5', 60_000],
    ['hexadecimal', '0x10', 60_000],
    ['two headers, joined as they are', '7, 90', 7000],
    ['two headers with the first unreadable', 'abc, 90', 60_000],
    ['two dates', 'Wed, 21 Oct 2026 07:30:00 GMT, Wed, 21 Oct 2026 07:31:00 GMT', 60_000],
    ['a date in words', 'Wed, some day soon', 60_000]
  ]
  for (const [what, header, ms] of cases) t.equal(retryAfterHeaderMs(header, NOW), ms, what)
})

t.test('R40: whatever Retry-After holds, the wait is between a second and a day', async t => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.integer().map(String), fc.date().map(String)), header => {
    const ms = retryAfterHeaderMs(header, NOW) as number
    return ms >= 1000 && ms <= 86_400_000
  }))
  t.pass('it always was')
})

t.test('R41: a 429 without a time waits a minute, doubled each time, at most an hour, and a fifth more or less', async t => {
  const middle = [60_000, 120_000, 240_000, 480_000, 960_000, 1_920_000, 3_600_000, 3_600_000]
  t.strictSame(middle.map((_, n) => rateLimitBackoffMs(n, 0.5)), middle)
  t.equal(rateLimitBackoffMs(5000, 0.5), 3_600_000, 'a number that has no power of two')
  fc.assert(fc.property(fc.nat(40), random, (n, random) => {
    const ms = rateLimitBackoffMs(n, random)
    const plain = Math.min(60_000 * 2 ** n, 3_600_000)
    return ms >= plain * 0.8 - 1 && ms <= plain * 1.2 + 1
  }))
})

t.test('the schedule gives the wait after each attempt, and its last one repeats', async t => {
  const schedule = [5000, 300_000, 1_800_000]
  t.strictSame([1, 2, 3, 4, 99].map(attempts => retryAfterMs(schedule, attempts, 0.5)), [5000, 300_000, 1_800_000, 1_800_000, 1_800_000])
  t.strictSame([0, 0.999999].map(random => retryAfterMs(schedule, 1, random)), [4000, 6000])
  t.strictSame([spread(1000, 0), spread(1000, 0.25), spread(1000, 0.75)], [800, 900, 1100])
  t.equal(MIN_AFTER_UNKNOWN_MS, 60_000)
})
