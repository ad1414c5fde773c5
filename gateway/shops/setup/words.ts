// A provider's own words, as far as they are kept and shown.

import type { OpenConnection } from '../connections.ts'
import type { Asking } from './asking.ts'

const NAME_MAX = 200
const DETAIL_MAX = 1000

/** What can be done with words of the provider that a connection was used at. */
export interface Words { name (text: string): string, detail (text: string): string }

/** The credentials go before a text is cut: of a part of one nobody would know what it is. */
export function wordsFor (connection: OpenConnection, { scrub }: Pick<Asking, 'scrub'>): Words {
  const upTo = (max: number) => (text: string): string => text.length <= max ? text : cut(scrub(text, connection) ?? '', max)
  return { name: upTo(NAME_MAX), detail: upTo(DETAIL_MAX) }
}

/** Not in the middle of a character. */
function cut (text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
}
