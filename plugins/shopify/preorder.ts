// Which lines of an order are preorders, by what their properties give away. A selling plan does not: a subscription has
// one as well, so it must be looked up.

import { objectsOf, textOf, type Json } from './body.ts'
import type { PreorderRule } from './options.ts'

const VALUE_CHARS = 500

export function isPreorder (line: Json, rules: readonly PreorderRule[]): boolean { return rules.some(rule => fits(line, rule)) }

/** Value of a line's property, as text; null where it has none, or an empty one. */
export function propertyOf (line: Json, name: string): string | null {
  const found = objectsOf(line.properties).find(property => property.name === name && valueOf(property) !== null)
  return found === undefined ? null : valueOf(found)
}

function fits (line: Json, { name, value }: PreorderRule): boolean {
  const given = propertyOf(line, name)
  return given !== null && (value === undefined || given.toLowerCase() === value.trim().toLowerCase())
}

function valueOf ({ value }: Json): string | null {
  return textOf(typeof value === 'number' ? String(value) : value, VALUE_CHARS)
}
