// Which time zones a recipient may be in, by what is known: the event's own word, the phone number, the country, the shop.

import { getCountry } from 'countries-and-timezones'
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import { zonesOfDigits } from './prefixes.ts'

/** What is known of a recipient. */
export interface Recipient { timeZone: unknown, phone: unknown, country: unknown }

/** `by`: what told them. */
export interface Zones { names: readonly string[], by: 'customer' | 'phone' | 'country' | 'shop' }

/** Whether a name is one takes longer to find out than all the rest; names of the packages are few. */
const kept = new Map<string, readonly string[]>()

/** Null where nothing tells it. `fallback`: the zone of a recipient of whom nothing else does. */
export function zonesOf ({ timeZone, phone, country }: Recipient, fallback: string | null): Zones | null {
  if (isZone(timeZone)) return { names: [timeZone], by: 'customer' }
  const number = typeof phone === 'string' ? parsePhoneNumberFromString(phone) : undefined
  const told = typeof country === 'string' ? zonesOfCountry(country) : []
  const ofNumber = number === undefined ? [] : known(zonesOfDigits(number.number.slice(1)))
  // A number of many places, such as a toll-free one, says less than the country that is told. What the number calls its country does not.
  const within = ofNumber.length > 1 ? ofNumber.filter(zone => told.includes(zone)) : []
  if (ofNumber.length > 0) return { names: within.length > 0 ? within : ofNumber, by: 'phone' }
  const ofCountry = told.length > 0 ? told : zonesOfCountry(number?.country)
  if (ofCountry.length > 0) return { names: ofCountry, by: 'country' }
  return fallback === null ? null : { names: [fallback], by: 'shop' }
}

function zonesOfCountry (country: string | undefined): readonly string[] {
  return country === undefined ? [] : known(getCountry(country)?.timezones ?? [])
}

/** Those that this system's clocks know. */
function known (names: readonly string[]): readonly string[] {
  const key = names.join()
  const zones = kept.get(key) ?? names.filter(isZone)
  kept.set(key, zones)
  return zones
}

function isZone (name: unknown): name is string {
  if (typeof name !== 'string' || !/^[!-~]+$/.test(name)) return false // the formatter takes "−05:00" with a mathematical minus, Temporal does not
  try {
    void new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}
