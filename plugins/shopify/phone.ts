// The number to text, out of the four places where an order may have one, typed by people.

import { isSupportedCountry, parsePhoneNumberFromString } from 'libphonenumber-js'
import { objectOf, type Json } from './body.ts'

export interface Phone { number: string, country: string | null }

/** The first that is a number which can exist, in E.164; null where none is. `country` is for those without an address. */
export function phoneOf (order: Json, country: string): Phone | null {
  const customer = objectOf(order.customer)
  const [shipping, billing, own] = [objectOf(order.shipping_address), objectOf(order.billing_address), objectOf(customer.default_address)]
  const home = [shipping, billing, own].map(address => address.country_code).find(isCode) ?? country
  const places: Array<[typed: unknown, country: unknown]> = [
    [order.phone, home], [customer.phone, own.country_code ?? home], [shipping.phone, shipping.country_code ?? home], [billing.phone, billing.country_code ?? home]
  ]
  for (const [typed, at] of places) {
    const phone = read(typed, isCode(at) ? at : home)
    if (phone !== null) return phone
  }
  return null
}

/** The whole text must be the number: of "mine or my sister's" neither is taken. Nor is an extension, which gets no texts. */
function read (typed: unknown, country: string): Phone | null {
  if (typeof typed !== 'string') return null
  const text = typed.replaceAll(/\p{Cf}/gu, '').trim() // a number copied from an address book brings invisible marks along
  const parsed = parsePhoneNumberFromString(text, { extract: false, ...(isSupportedCountry(country) && { defaultCountry: country }) })
  if (!parsed?.isValid() || parsed.ext !== undefined) return null
  return { number: parsed.number, country: parsed.country ?? null }
}

function isCode (value: unknown): value is string { return typeof value === 'string' && /^[A-Z]{2}$/.test(value) }
