// Whether a text, of whatever form, names a person: by phone number, e-mail address, or the ids of the customer and of orders.

import type { Person } from './who.ts'

/** Digits as people and programs write phone numbers. Bounded: a body is no reason to look at it for long. */
const NUMBERS = /\+?[0-9](?:[ ().-]{0,3}[0-9]){6,18}/g
/** An id of fewer characters may be anything: it counts only where a name says what it is. */
const SHORT_ID = 6
const ABOUT_ID = /customer|order/i

/** For many texts about one person. Forms are read as well: `+` and `%40` are what they stand for. */
export function matcher (person: Person): (text: string) => boolean {
  const ids = [...person.customerIds, ...person.orderIds]
  const short = new Set(ids.filter(id => id.length < SHORT_ID))
  const words = [
    ...person.emails.map(email => new RegExp(`(?<![\\w.%+-])${escaped(email)}(?![\\w-]|\\.\\w)`, 'i')),
    ...ids.filter(id => id.length >= SHORT_ID).map(id => new RegExp(`(?<!\\w)${escaped(id)}(?!\\w)`))
  ]
  const numbers = new Set(person.phones.map(phone => phone.slice(1)))
  const nationals = new Set(person.nationals)
  const isNumber = (written: string): boolean => {
    const digits = written.replaceAll(/\D/g, '')
    if (numbers.has(digits.replace(/^00/, ''))) return true
    if (!written.startsWith('+')) return nationals.has(digits.replace(/^0+/, ''))
    return numbers.size === 0 && [1, 2, 3].some(code => nationals.has(digits.slice(code)))
  }
  const hasNumber = numbers.size + nationals.size > 0
  const named = (text: string): boolean =>
    words.some(word => word.test(text)) || (hasNumber && (text.match(NUMBERS) ?? []).some(isNumber)) || (short.size > 0 && hasShortId(text, short))
  return text => named(text) || (text.includes('%') && named(plain(text)))
}

function escaped (text: string): string { return text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&') }

function plain (text: string): string {
  return text.replaceAll('+', ' ').replaceAll(/(?:%[0-9a-fA-F]{2})+/g, written => {
    try { return decodeURIComponent(written) } catch { return written }
  })
}

/** In JSON: an `id` of a customer or an order, or something that is called one. */
function hasShortId (text: string, ids: ReadonlySet<string>): boolean {
  let value: unknown
  try { value = JSON.parse(text) } catch { return false }
  const rest = [{ one: value, name: '', isAbout: false }] // no recursion: a body may be as deep as it is long
  for (let at = rest.pop(); at !== undefined; at = rest.pop()) {
    const { one, name, isAbout } = at
    if (typeof one !== 'object' || one === null) {
      if (isAbout && (typeof one === 'string' || typeof one === 'number') && ids.has(String(one))) return true
    } else {
      const isList = Array.isArray(one)
      for (const [key, child] of Object.entries(one)) {
        const called = isList ? name : key
        rest.push({ one: child, name: called, isAbout: ABOUT_ID.test(called) || (isAbout && key === 'id') })
      }
    }
  }
  return false
}
