import type { Detail } from '../contract.ts'

/** How much structure one event may have: levels, items of one array, keys of one object, characters of one key. */
export interface Caps { depth: number, items: number, keys: number, keyLength: number }

const CAPS: Caps = { depth: 32, items: 1000, keys: 500, keyLength: 256 }

/**
 * What no event may hold, whatever its schema says: too much structure, numbers that were altered by
 * parsing, broken text, keys that reach into prototypes. Looked at before anything walks the value.
 * Null where there is nothing to object to; else the first fault, with no value in it.
 */
export function inspect (value: unknown, caps: Caps = CAPS): Detail | null {
  return look(value, caps, 1)
}

function look (value: unknown, caps: Caps, depth: number): Detail | null {
  switch (typeof value) {
    case 'string': return text(value)
    case 'number': return number(value)
    case 'boolean': return null
    case 'object':
      if (value === null) return null
      if (depth > caps.depth) return fault('depth', `nested deeper than ${caps.depth} levels`)
      return Array.isArray(value) ? list(value, caps, depth) : object(value, caps, depth)
    default: return fault('type', 'is no JSON value')
  }
}

function text (value: string): Detail | null {
  if (!value.isWellFormed()) return fault('text', 'holds half a surrogate pair, which is no Unicode text')
  return value.includes('\0') ? fault('text', 'holds the character NUL') : null
}

// Beyond 2^53 neighbouring integers look the same: an id sent as a number would have become another one.
function number (value: number): Detail | null {
  if (!Number.isFinite(value)) return fault('number', 'is beyond the range of numbers')
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return fault('number', 'is an integer beyond 2^53; send it as text')
  return null
}

function list (values: unknown[], caps: Caps, depth: number): Detail | null {
  if (values.length > caps.items) return fault('items', `has more than ${caps.items} items`)
  for (let i = 0; i < values.length; i++) {
    const found = look(values[i], caps, depth + 1)
    if (found !== null) return within(String(i), found)
  }
  return null
}

function object (value: object, caps: Caps, depth: number): Detail | null {
  let count = 0
  for (const key in value) {
    if (++count > caps.keys) return fault('keys', `has more than ${caps.keys} keys`)
    const found = badKey(key, caps) ?? look((value as Record<string, unknown>)[key], caps, depth + 1)
    if (found !== null) return within(key, found)
  }
  return null
}

function badKey (key: string, caps: Caps): Detail | null {
  if (key.length > caps.keyLength) return fault('key', `is a key of more than ${caps.keyLength} characters`)
  if (key === '__proto__' || key === 'constructor' || key === 'prototype') return fault('key', 'is a key that is not allowed')
  return text(key)
}

function fault (rule: string, message: string): Detail {
  return { path: '', rule, message }
}

// The path grows on the way back, so that a value without fault pays nothing for it.
function within (key: string, found: Detail): Detail {
  const step = key.slice(0, 100).toWellFormed().replaceAll('\0', ' ').replaceAll('~', '~0').replaceAll('/', '~1')
  return { ...found, path: `/${step}${found.path}` }
}
