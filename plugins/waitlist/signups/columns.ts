// The columns of a file of sign-ups, as this and other apps name them, and a row's sign-up.

/** Names as they are compared: small letters and digits only. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  phone: ['phone', 'phonenumber', 'customerphone', 'mobile'],
  name: ['name', 'customername', 'fullname'],
  email: ['email', 'emailaddress', 'customeremail'],
  country: ['country', 'countrycode'],
  language: ['language', 'locale'],
  time_zone: ['timezone'],
  customer: ['customerid', 'shopifycustomerid'],
  variant: ['variantid', 'shopifyvariantid'],
  variant_title: ['varianttitle', 'variant'],
  price: ['price', 'variantprice'],
  currency: ['currency'],
  variant_url: ['varianturl'],
  product: ['productid', 'shopifyproductid'],
  product_title: ['producttitle', 'product', 'productname'],
  vendor: ['vendor', 'brand'],
  product_url: ['producturl', 'url'],
  image_url: ['imageurl', 'image'],
  market: ['market', 'marketid', 'shopifymarketid'],
  date: ['date', 'createdat', 'signedupat', 'joinedat'],
  consent: ['smsconsent', 'acceptssms', 'acceptssmsmarketing', 'acceptsmarketing'],
  confirmed: ['gdprconfirmed'],
  consent_date: ['consentdate', 'smsconsentdate', 'consentat', 'consenttime']
}

type Column = 'phone' | 'name' | 'email' | 'country' | 'language' | 'time_zone' | 'customer' | 'variant' | 'variant_title' | 'price' | 'currency' | 'variant_url' | 'product' | 'product_title'
  | 'vendor' | 'product_url' | 'image_url' | 'market' | 'date' | 'consent' | 'confirmed' | 'consent_date'

/** Where each column stands. */
export interface Columns { at: Partial<Record<Column, number>>, ignored: string[], twice: string[], missing: string[] }

const REQUIRED: readonly Column[] = ['phone', 'variant', 'product']
const YES = new Set(['true', 'yes', 'y', '1', 'x', 't'])
/** What a spreadsheet would compute. */
const FORMULA = /^[=@\t\r]/
const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?: ?UTC|Z|[+-]\d\d:?\d\d)?)?$/

export function columnsOf (header: readonly string[]): Columns {
  const columns: Columns = { at: {}, ignored: [], twice: [], missing: [] }
  for (const [i, name] of header.entries()) {
    const plain = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
    const column = Object.keys(NAMES).find(one => NAMES[one]?.includes(plain)) as Column | undefined
    if (column === undefined) columns.ignored.push(name.slice(0, 100))
    else if (columns.at[column] !== undefined) columns.twice.push(name.slice(0, 100))
    else columns.at[column] = i
  }
  columns.missing = REQUIRED.filter(column => columns.at[column] === undefined).map(column => TITLES[column] ?? column)
  return columns
}

const TITLES: Partial<Record<Column, string>> = { phone: 'Phone', variant: 'Variant ID', product: 'Product ID' }

export type RowRead = { given: unknown } | { code: string, message: string }

/** The sign-up of a row, as it would be given by the API. Consent needs proof: the word, and the day it was given. */
export function rowOf (cells: readonly string[], { at }: Columns): RowRead {
  const cell = (column: Column): string | undefined => {
    const i = at[column]
    const text = i === undefined ? '' : (cells[i] ?? '').trim()
    return text === '' ? undefined : text
  }
  const formula = (Object.keys(at) as Column[]).find(column => column !== 'phone' && FORMULA.test(cell(column) ?? ''))
  if (formula !== undefined) return { code: 'formula', message: `${formula} begins like a formula of a spreadsheet` }
  const phone = plainPhone(cell('phone') ?? '')
  const dates = { date: timeOf(cell('date')), consent_date: timeOf(cell('consent_date')) }
  for (const [name, time] of Object.entries(dates)) if (time === null) return { code: 'date_invalid', message: `${name} is no date such as 2026-11-21 or 2026-11-21T09:30:00Z` }
  const agreedAt = dates.consent_date ?? dates.date
  const agreed = isYes(cell('consent')) && (at.confirmed === undefined || isYes(cell('confirmed'))) && agreedAt !== undefined
  const [price, currency] = [cell('price')?.replace(/^[^0-9]{0,3}(?=\d)/, ''), cell('currency')?.toUpperCase()]
  return {
    given: {
      customer: defined({ name: cell('name'), phone, email: cell('email')?.toLowerCase(), country: cell('country')?.toUpperCase(), locale: localeOf(cell('language')), time_zone: cell('time_zone'), id: cell('customer') }),
      product: defined({ id: cell('product'), title: cell('product_title'), vendor: cell('vendor'), url: cell('product_url'), image_url: cell('image_url') }),
      variant: defined({ id: cell('variant'), title: cell('variant_title'), price: price === undefined || currency === undefined ? undefined : { amount: price, currency }, url: cell('variant_url') }),
      consent: agreed ? { sms: true, at: agreedAt } : { sms: false },
      ...defined({ market: cell('market'), joined_at: dates.date })
    }
  }
}

/** Spreadsheets keep a number as text with a quote before it, or as ="…". */
function plainPhone (text: string): string {
  return text.replace(/^="(.*)"$/, '$1').replace(/^'/, '')
}

/** RFC 3339; undefined for none, null for what is no date. A day alone is its beginning in UTC. */
function timeOf (text: string | undefined): string | undefined | null {
  if (text === undefined) return undefined
  const [, year, month, day] = DATE.exec(text) ?? []
  if (new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() !== Number(day)) return null
  const zoned = /(?:UTC|Z|[+-]\d\d:?\d\d)$/.test(text.slice(10)) ? text.replace(/ ?UTC$/, 'Z') : text.length === 10 ? text : `${text}Z`
  const at = Date.parse(zoned.replace(' ', 'T'))
  return Number.isNaN(at) ? null : new Date(at).toISOString()
}

/** BCP 47; undefined for what is none, since nothing depends on it. */
function localeOf (text: string | undefined): string | undefined {
  const [language = '', ...parts] = text?.replaceAll('_', '-').split('-') ?? []
  const locale = [language.toLowerCase(), ...parts].join('-')
  return /^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$/.test(locale) ? locale : undefined
}

function isYes (text: string | undefined): boolean { return YES.has(text?.toLowerCase() ?? '') }

function defined (values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}
