// Which time zones a recipient may be in, by what is known: the event's own word, the phone number, the country, the shop.

import { getCountry } from 'countries-and-timezones'
import { timezones } from 'libphonenumber-geo-carrier'
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'

/** What is known of a recipient. */
export interface Recipient { timeZone: unknown, phone: unknown, country: unknown }

/** `by`: what told them. */
export interface Zones { names: readonly string[], by: 'customer' | 'phone' | 'country' | 'shop' }

/** No longer prefix has zones of its own. */
const PREFIX = 9
const KEPT_MAX = 20_000
/** By the first digits of a number: each look costs the reading of a file. */
const kept = new Map<string, readonly string[]>()

/** Null where nothing tells it. `fallback`: the zone of a recipient of whom nothing else does. */
export async function zonesOf ({ timeZone, phone, country }: Recipient, fallback: string | null): Promise<Zones | null> {
  if (isZone(timeZone)) return { names: [timeZone], by: 'customer' }
  const number = typeof phone === 'string' ? parsePhoneNumberFromString(phone) : undefined
  const told = typeof country === 'string' ? zonesOfCountry(country) : []
  const ofNumber = number === undefined ? [] : await zonesOfNumber(number)
  // A number of many places, such as a toll-free one, says less than the country that is told. What the number calls its country does not.
  const within = ofNumber.length > 1 ? ofNumber.filter(zone => told.includes(zone)) : []
  if (ofNumber.length > 0) return { names: within.length > 0 ? within : ofNumber, by: 'phone' }
  const ofCountry = told.length > 0 ? told : zonesOfCountry(number?.country)
  if (ofCountry.length > 0) return { names: ofCountry, by: 'country' }
  return fallback === null ? null : { names: [fallback], by: 'shop' }
}

async function zonesOfNumber (number: NonNullable<ReturnType<typeof parsePhoneNumberFromString>>): Promise<readonly string[]> {
  const prefix = number.number.slice(0, PREFIX + 1)
  const known = kept.get(prefix)
  if (known !== undefined) return known
  const zones = (await timezones(number) ?? []).filter(isZone)
  if (kept.size >= KEPT_MAX) kept.clear()
  kept.set(prefix, zones)
  return zones
}

function zonesOfCountry (country: string | undefined): string[] {
  return (country === undefined ? [] : getCountry(country)?.timezones ?? []).filter(isZone)
}

function isZone (name: unknown): name is string {
  if (typeof name !== 'string' || name === '') return false
  try {
    void new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}
