// How Twilio signs what it calls: base64 of HMAC-SHA1 over the address and, in the order of their names, the form's
// names and values. The key is always the account's auth token, also where API keys send.

import { createHmac, timingSafeEqual } from 'node:crypto'

export type Form = ReadonlyArray<readonly [name: string, value: string]>

/** The pairs of a form, decoded; a plus sign is a space. All of them, known or not: each is signed. */
export function formOf (body: string): Form {
  return [...new URLSearchParams(body)]
}

/** The first value of a name; '' where there is none. */
export function valueOf (form: Form, name: string): string {
  return form.find(([key]) => key === name)?.[1] ?? ''
}

/** The signature of a call. A name that comes several times counts with each of its values once, in their order. */
export function sign (token: string, url: string, form: Form): string {
  const values = new Map<string, Set<string>>()
  for (const [name, value] of form) values.set(name, (values.get(name) ?? new Set()).add(value))
  const signed = createHmac('sha1', token).update(url)
  for (const name of [...values.keys()].toSorted(byCode)) {
    for (const value of [...values.get(name) as Set<string>].toSorted(byCode)) signed.update(name + value)
  }
  return signed.digest('base64')
}

/**
 * Whether a signature is right for one of the tokens, with the address as it is configured, and with and without the
 * standard port. Every candidate is compared, in constant time each.
 */
export function isSigned (given: string, tokens: readonly string[], url: string, form: Form): boolean {
  let right = false
  for (const token of tokens) {
    for (const address of addresses(url)) {
      if (equal(given, sign(token, address, form))) right = true
    }
  }
  return right
}

/** As it is, with the standard port, and without any. */
function addresses (url: string): string[] {
  const parts = /^(https?):\/\/([^/?#]*?)(?::\d+)?([/?#].*)?$/.exec(url)
  if (parts === null) return [url]
  const [, scheme, host, rest = ''] = parts
  return [...new Set([url, `${scheme}://${host}:${scheme === 'https' ? 443 : 80}${rest}`, `${scheme}://${host}${rest}`])]
}

function equal (a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** By UTF-16 code units, whatever the locale. */
function byCode (a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
