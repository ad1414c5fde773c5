// Whom an order is of, as events say it. What is not fit for them is left out: an order does not stop at a strange e-mail address.

import { idOf, objectOf, textOf, type Json } from './body.ts'
import { isCountry } from './country.ts'
import { phoneOf } from './phone.ts'

const NAME_CHARS = 200
const EMAIL = /^(?=.{3,254}$)[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i
const LOCALE = /^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}$/

/** As the schemas of events have it. */
export interface Customer { name: string, phone?: string, email?: string, country: string, locale?: string, id?: string }

/** `country` is taken where nothing of the order says one. */
export function customerOf (order: Json, country: string): Customer {
  const customer = objectOf(order.customer)
  const phone = phoneOf(order, country)
  const id = idOf(customer, 'Customer')
  const email = [order.email, customer.email, order.contact_email].find(isEmail)
  const locale = order.customer_locale
  return {
    name: nameOf(order),
    ...(phone !== null && { phone: phone.number }),
    ...(email !== undefined && { email }),
    country: [...addressCountries(order), phone?.country].find(isCountry) ?? country,
    ...(typeof locale === 'string' && LOCALE.test(locale) && { locale }),
    ...(id !== null && { id })
  }
}

/** The customer's, else the one on the parcel, else on the bill; empty where nobody gave one. */
function nameOf (order: Json): string {
  for (const person of [order.customer, order.shipping_address, order.billing_address].map(objectOf)) {
    const parts = [textOf(person.first_name, NAME_CHARS), textOf(person.last_name, NAME_CHARS)].filter(part => part !== null)
    const name = textOf(parts.join(' '), NAME_CHARS) ?? textOf(person.name, NAME_CHARS)
    if (name !== null) return name
  }
  return ''
}

function addressCountries (order: Json): unknown[] {
  return [order.shipping_address, order.billing_address, objectOf(order.customer).default_address].map(address => objectOf(address).country_code)
}

function isEmail (value: unknown): value is string { return typeof value === 'string' && EMAIL.test(value) }
