// Shortening that leaves links whole: half of one leads nowhere, and so does one with dots behind it.

import { toValue } from 'liquidjs'
import type { FILTERS } from './filters.ts'

type Filter = typeof FILTERS[string]

const LINK = /https?:\/\/\S+/gi

/** The same filter, but that it stops before a link it would cut. One with nothing before it stays as it is. */
export function beforeLinks (truncate: Filter): Filter {
  return function (...values): unknown {
    const cut: unknown = truncate.apply(this, values)
    const text = textOf(values[0])
    const mark = typeof values[2] === 'string' ? values[2] : '...'
    if (text === null || typeof cut !== 'string' || cut === text || !cut.endsWith(mark)) return cut
    const kept = cut.length - mark.length
    const link = [...text.matchAll(LINK)].find(({ index, 0: { length } }) => index < kept && kept <= index + length)
    if (link === undefined) return cut
    const before = text.slice(0, link.index).trimEnd()
    return before === '' ? link[0] : marked(before, mark)
  }
}

/** The same filter of words: nothing is put at the end of a link. */
export function besideLinks (truncateWords: Filter): Filter {
  return function (...values): unknown {
    const cut: unknown = truncateWords.apply(this, values)
    const mark = typeof values[2] === 'string' ? values[2] : '...'
    return typeof cut === 'string' && cut.endsWith(mark) ? marked(cut.slice(0, cut.length - mark.length), mark) : cut
  }
}

function marked (text: string, mark: string): string {
  return mark !== '' && /https?:\/\/\S/i.test(lastWord(text)) ? `${text} ${mark}` : text + mark
}

/** Looked for from its end: a pattern would begin anew at each link of a text that is full of them. */
function lastWord (text: string): string {
  let from = text.length
  while (from > 0 && /\S/.test(text[from - 1] as string)) from--
  return text.slice(from)
}

function textOf (value: unknown): string | null {
  const text: unknown = toValue(value)
  return typeof text === 'string' ? text : null
}
