// From what was given to the data of a waitlist.joined, or everything that keeps it from being one.

import type { Detail, SourceShop } from '../../../gateway/contract.ts'
import { nameOf, offerOf, type Known } from './offer.ts'
import { isCountry, readPhone } from './phone.ts'
import type { SignupSettings } from './settings.ts'
import type { Given } from './shape.ts'

/** A sign-up that can be taken. */
export interface Signup { phone: string, variant: string, market: string, data: Record<string, unknown> }

export interface SignupOptions {
  shop: Pick<SourceShop, 'id' | 'domain'>
  settings: SignupSettings
  known: Known | null
  /** Somebody with an API key says it. */
  trusted: boolean
  /** Also of somebody who did not agree to be texted. */
  withoutConsent: boolean
  /** Epoch milliseconds. */
  now: number
}

/** Clocks differ. */
const AHEAD_MS = 5 * 60_000
const CURRENCIES = new Set(Intl.supportedValuesOf('currency'))
const NO_TEXT = /\0|\p{Surrogate}/u

export function signupOf (given: Given, { shop, settings, known, trusted, withoutConsent, now }: SignupOptions): Signup | { faults: Detail[] } {
  const { customer, consent, market } = given
  const faults = oddities(given, now)
  if (!consent.sms && !withoutConsent) faults.push({ path: '/consent/sms', rule: 'no_consent', message: 'must be true: nobody is texted who did not agree' })
  const phone = readPhone(customer.phone, customer.country ?? null, settings.allowedCountries)
  if (phone.is === 'refused') faults.push({ path: '/customer/phone', rule: phone.rule, message: phone.message })
  const offer = offerOf(given, { known, shop, origins: settings.origins, currency: settings.currency, trusted })
  if ('faults' in offer) faults.push(...offer.faults)
  if (faults.length > 0 || phone.is === 'refused' || 'faults' in offer) return { faults }
  const { locale, time_zone: timeZone, email, id } = customer
  return {
    phone: phone.number,
    variant: given.variant.id,
    market: market ?? '',
    data: {
      customer: {
        name: nameOf(customer.name?.trim() ?? '', trusted),
        phone: phone.number,
        country: customer.country ?? phone.country,
        ...(email !== undefined && { email }), ...(locale !== undefined && { locale }), ...(timeZone !== undefined && { time_zone: timeZone }), ...(id !== undefined && { id })
      },
      product: offer.product,
      variant: offer.variant,
      consent: { ...consent, ...(consent.sms && { at: consent.at ?? new Date(now).toISOString() }) },
      ...(market !== undefined && { market }),
      ...(given.joined_at !== undefined && { joined_at: given.joined_at })
    }
  }
}

/** What no form says of a value. */
function oddities ({ customer, variant, consent, joined_at: joinedAt, ...rest }: Given, now: number): Detail[] {
  const faults: Detail[] = []
  const report = (path: string, rule: string, message: string): void => { faults.push({ path, rule, message }) }
  if (customer.country !== undefined && !isCountry(customer.country)) report('/customer/country', 'country', 'must be a country code of ISO 3166, such as US')
  if (customer.time_zone !== undefined && !isTimeZone(customer.time_zone)) report('/customer/time_zone', 'time_zone', 'must be a time zone of the IANA database, such as America/New_York')
  if (variant.price !== undefined && !CURRENCIES.has(variant.price.currency)) report('/variant/price/currency', 'currency', 'must be a currency code of ISO 4217, such as USD')
  for (const [path, time] of [['/consent/at', consent.at], ['/joined_at', joinedAt]] as const) {
    if (time !== undefined && Date.parse(time) > now + AHEAD_MS) report(path, 'future', 'lies in the future')
  }
  if (hasNoText({ customer, variant, consent, ...rest })) report('', 'text', 'holds the character NUL, or half a surrogate pair')
  return faults
}

function hasNoText (value: unknown): boolean {
  if (typeof value === 'string') return NO_TEXT.test(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(hasNoText)
}

function isTimeZone (name: string): boolean {
  try {
    void new Intl.DateTimeFormat('en', { timeZone: name })
    return !/^[+-]/.test(name)
  } catch {
    return false
  }
}
