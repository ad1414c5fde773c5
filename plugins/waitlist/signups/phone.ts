// The number to text, as people type it: in E.164, of a kind that takes texts, in a country that the shop texts to.

import { isSupportedCountry, parsePhoneNumberFromString } from 'libphonenumber-js/max'

/** Why a sign-up is not taken: the `rule` of a fault, and the code of a row of a file. */
export type PhoneRule = 'phone_invalid' | 'phone_not_textable' | 'country_not_allowed'

export type Phone = { is: 'phone', number: string, country: string } | { is: 'refused', rule: PhoneRule, message: string }

/** Where a number may be of either kind, its country does not tell them apart. */
const TEXTABLE = new Set(['MOBILE', 'FIXED_LINE_OR_MOBILE'])
/** Islands that have numbers of their own, and are no countries of ISO 3166. */
const NO_COUNTRIES = new Set(['AC', 'TA'])

export function isCountry (code: string): boolean { return isSupportedCountry(code) && !NO_COUNTRIES.has(code) }

/** `country`: for a number without its code; `allowed`: countries of numbers, null for all. Never throws. */
export function readPhone (typed: string, country: string | null, allowed: readonly string[] | null): Phone {
  const text = typed.replaceAll(/\p{Cf}/gu, '').trim() // a number copied from an address book brings invisible marks along
  const parsed = parsePhoneNumberFromString(text, { extract: false, ...(country !== null && isSupportedCountry(country) && { defaultCountry: country }) })
  if (!parsed?.isValid() || parsed.ext !== undefined) {
    return { is: 'refused', rule: 'phone_invalid', message: country === null ? 'is no phone number that can exist: with its plus sign and country code, or together with the country' : 'is no phone number that can exist' }
  }
  if (!TEXTABLE.has(parsed.getType() ?? '')) return { is: 'refused', rule: 'phone_not_textable', message: 'is a number that takes no texts, such as a landline or a toll-free number' }
  if (parsed.country === undefined || !isCountry(parsed.country)) return { is: 'refused', rule: 'country_not_allowed', message: 'is a number of no country that can be texted to' }
  if (allowed !== null && !allowed.includes(parsed.country)) return { is: 'refused', rule: 'country_not_allowed', message: `is a number of ${parsed.country}, where the shop texts nobody` }
  return { is: 'phone', number: parsed.number, country: parsed.country }
}
