// Which numbers are signed up: those that take texts, where the shop sends any. Attack: SMS pumping.

import fc from 'fast-check'
import { isValidPhoneNumber } from 'libphonenumber-js/min'
import t from 'tap'
import { isCountry, readPhone } from './phone.ts'

const rule = (typed: string, country: string | null = null, allowed: string[] | null = null): string => {
  const phone = readPhone(typed, country, allowed)
  return phone.is === 'phone' ? phone.number : phone.rule
}

t.test('what people type becomes E.164 by the country, with its signs taken off', async t => {
  for (const [typed, country] of [['+12015550123', null], ['(201) 555-0123', 'US'], ['201.555.0123', 'CA'], ['\u202a+1 201 555 0123\u202c', null], [' 1 201 555 0123 ', 'US'], ['+1 201 555 0123', 'DE'], ['\uff12\uff10\uff11\uff15\uff15\uff15\uff10\uff11\uff12\uff13', 'US']] as const) {
    t.equal(rule(typed, country), '+12015550123', typed)
  }
  t.strictSame(readPhone('+12015550123', null, null), { is: 'phone', number: '+12015550123', country: 'US' })
})

t.test('what is no number, or none alone, is refused as such', async t => {
  for (const typed of ['', 'x', '201 555 0123', '+1', '+1201555012', '+120155501234', '+12015550123 ext. 4', '+12015550123 or +12015550124', '+999 12345678', '=1+1', 'tel:', '0'.repeat(40)]) t.equal(rule(typed), 'phone_invalid', typed)
})

t.test('numbers that take no texts, or cost whoever texts them, are refused: landline, toll-free, premium, shared cost, satellite', async t => {
  for (const typed of ['+442079460123', '+18005550123', '+19005550123', '+498001234567', '+80012345678', '+881612345678']) t.match(rule(typed), /^(phone_not_textable|country_not_allowed|phone_invalid)$/, typed)
  t.equal(rule('+442079460123'), 'phone_not_textable')
  t.equal(rule('+18005550123'), 'phone_not_textable')
  t.equal(rule('+24740123'), 'country_not_allowed', 'an island that is no country of ISO 3166')
})

t.test('SMS pumping: the country of the number decides, not the one that is said', async t => {
  t.equal(rule('+12015550123', 'CA', ['US']), '+12015550123')
  t.equal(rule('+14165550123', 'US', ['US', 'GB']), 'country_not_allowed')
  t.equal(rule('+14165550123', 'US', ['US', 'CA']), '+14165550123')
  t.equal(rule('+12015550123', null, []), 'country_not_allowed', 'an empty list allows none')
})

t.test('property: whatever is typed is a number that the door takes, or refused; and a number is read as itself', async t => {
  const countries = fc.option(fc.constantFrom('US', 'DE', 'GB', 'IN', 'AC', 'XX', '', '__proto__'))
  const typed = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.stringMatching(/^[+＋]?[0-9 ()./;=-]{3,25}$/), fc.tuple(fc.constantFrom('+1', '+44', '+49', '+91', '+247'), fc.stringMatching(/^[0-9]{6,11}$/)).map(parts => parts.join('')))
  fc.assert(fc.property(typed, countries, (text, country) => {
    const phone = readPhone(text, country, null)
    if (phone.is === 'refused') return phone.message !== ''
    const again = readPhone(phone.number, null, [phone.country])
    return isValidPhoneNumber(phone.number) && isCountry(phone.country) && again.is === 'phone' && again.number === phone.number
  }), { numRuns: 2000 })
  t.pass()
})
