import type { Format } from 'ajv'
import { isValidPhoneNumber } from 'libphonenumber-js/min'

/** Formats of ajv-formats that schemas of event data may name. */
export const STANDARD_FORMATS = ['date', 'date-time', 'email', 'uri', 'uuid'] as const

/** Our own formats, for schemas of event data. */
export const FORMATS: Record<string, Format> = {
  /** E.164 with its plus sign, and a number that can exist in its country. */
  phone: { type: 'string', validate: isPhone },
  /** ISO 3166-1 alpha-2 in capitals; XK stands for Kosovo. */
  country: { type: 'string', validate: text => COUNTRIES.has(text) },
  /** ISO 4217 in capitals. */
  currency: { type: 'string', validate: text => CURRENCIES.has(text) },
  /** A name of the IANA time zone database. */
  time_zone: { type: 'string', validate: isTimeZone }
}

/** What a caller is told whose value does not have the format. */
export const FORMAT_MESSAGES: Readonly<Record<string, string>> = {
  phone: 'must be a phone number that can exist, in E.164: a plus sign, the code of the country, the number',
  country: 'must be a country code of ISO 3166, such as US',
  currency: 'must be a currency code of ISO 4217, such as USD',
  time_zone: 'must be a time zone of the IANA database, such as America/New_York',
  date: 'must be a date, such as 2026-11-21',
  'date-time': 'must be a time of RFC 3339 with an offset, such as 2026-11-21T09:30:00Z',
  email: 'must be an e-mail address',
  uri: 'must be an absolute address, such as https://shop.example/p/1',
  uuid: 'must be a UUID'
}

const E164 = /^\+[1-9][0-9]{6,14}$/
const ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+-]{0,31}(?:\/[A-Za-z0-9_+-]{1,32}){0,2}$/

// Regions that have a name but are no country: groupings, reserved and test codes.
const NO_COUNTRY = new Set(['AC', 'CP', 'CQ', 'DG', 'EA', 'EU', 'EZ', 'IC', 'QO', 'TA', 'UN', 'XA', 'XB', 'ZZ'])
const COUNTRIES = countries()
const CURRENCIES = new Set(Intl.supportedValuesOf('currency'))
const ZONES = new Set([...Intl.supportedValuesOf('timeZone'), 'UTC'])

function isPhone (text: string): boolean {
  return E164.test(text) && isValidPhoneNumber(text)
}

function countries (): Set<string> {
  const names = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' })
  const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']
  const codes = letters.flatMap(first => letters.map(second => first + second))
  return new Set(codes.filter(code => !NO_COUNTRY.has(code) && names.of(code) !== undefined && isCurrent(code)))
}

// A withdrawn code still has a name: its successor's.
function isCurrent (code: string): boolean {
  return Intl.getCanonicalLocales(`und-${code}`)[0] === `und-${code}`
}

// The list holds each zone once; its other names (US/Eastern) are known only to the formatter.
function isTimeZone (text: string): boolean {
  if (ZONES.has(text)) return true
  if (!ZONE_NAME.test(text)) return false
  try {
    void new Intl.DateTimeFormat('en', { timeZone: text })
    return true
  } catch {
    return false
  }
}
