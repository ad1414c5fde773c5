// Reading a webhook's body: nothing in it is believed to be there, or to be of its kind.

const PLATFORM_DOMAIN = '.myshopify.com'

/** An object of JSON. */
export type Json = Record<string, unknown>

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown
const parseWith = JSON.parse as (text: string, reviver?: Reviver) => unknown

/** The value; integers beyond 2^53 as their digits, since as numbers they would be others. Undefined where it is no JSON. */
export function parseJson (text: string): unknown {
  try {
    return /\d{16}/.test(text) ? parseWith(text, keepDigits) : parseWith(text)
  } catch {
    return undefined
  }
}

function keepDigits (_key: string, value: unknown, { source }: { source?: string }): unknown {
  const lost = typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && /^-?\d+$/.test(source)
  return lost ? source : value
}

export function isObject (value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An empty one where it is none. */
export function objectOf (value: unknown): Json { return isObject(value) ? value : {} }

export function objectsOf (value: unknown): Json[] { return Array.isArray(value) ? value.filter(isObject) : [] }

/** Trimmed and cut; null where it is no text, or an empty one. */
export function textOf (value: unknown, max: number): string | null {
  if (typeof value !== 'string') return null
  const text = value.replaceAll('\0', '').trim().slice(0, max).toWellFormed()
  return text === '' ? null : text
}

/** The digits of an id, however it is written; null where there is none. */
export function digitsOf (value: unknown): string | null {
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value
  return typeof text === 'string' && /^[1-9]\d{0,19}$/.test(text) ? text : null
}

/** Of the object's global id, such as gid://shopify/Order/1; where it has none, of its number. */
export function idOf (object: Json, type: string): string | null {
  const { admin_graphql_api_id: gid, id } = object
  const prefix = `gid://shopify/${type}/`
  return typeof gid === 'string' && gid.startsWith(prefix) ? digitsOf(gid.slice(prefix.length)) : digitsOf(id)
}

/** The digits of an id that stands alone, as a number, as text or as a global id of any type. */
export function idIn (value: unknown): string | null {
  return digitsOf(typeof value === 'string' && value.startsWith('gid://shopify/') ? value.slice(value.lastIndexOf('/') + 1) : value)
}

/** A whole number that is exact, or null. */
export function wholeOf (value: unknown): number | null { return Number.isSafeInteger(value) ? value as number : null }

/** A whole number from 0 on, or null. */
export function countOf (value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null
}

/** Epoch milliseconds of a time with its offset, or null. */
export function timeOf (value: unknown): number | null {
  const at = typeof value === 'string' && RFC3339.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? null : at
}

/** The platform's own domain of the shop, where the body has one; a shop's own domain says nothing of it. */
export function shopOf ({ myshopify_domain: own, shop_domain: named, order_status_url: status }: Json): string | null {
  const hosts = [own, named, typeof status === 'string' && URL.canParse(status) ? new URL(status).hostname : null]
  const host = hosts.find(text => typeof text === 'string' && text.toLowerCase().endsWith(PLATFORM_DOMAIN))
  return typeof host === 'string' ? host.toLowerCase() : null
}
