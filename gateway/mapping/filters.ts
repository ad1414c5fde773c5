import { filters as standard, toValue } from 'liquidjs'
import type { Context, FilterImplOptions } from 'liquidjs'
import { MappingError } from '../errors.ts'
import { isScalar } from './emitter.ts'
import { MAX_TEXT } from './limits.ts'

type FilterHandler = Extract<FilterImplOptions, (...args: never) => unknown>

// Of Liquid's filters those that are of use here and take time and memory in proportion to what goes in.
// Left out are what asks for the clock or for chance, and what nests lists or takes expressions as text.
const TEXT = ['append', 'prepend', 'upcase', 'downcase', 'capitalize', 'strip', 'lstrip', 'rstrip', 'squish', 'strip_newlines',
  'strip_html', 'replace', 'replace_first', 'remove', 'remove_first', 'truncate', 'truncatewords', 'split', 'escape', 'url_encode', 'url_decode', 'base64_encode']
const LIST = ['join', 'map', 'first', 'last', 'size', 'reverse', 'sort', 'uniq', 'compact', 'slice', 'sum']
const NUMBER = ['plus', 'minus', 'times', 'divided_by', 'modulo', 'round', 'floor', 'ceil', 'abs', 'at_least', 'at_most']
const OTHER = ['default', 'json']

/** Every filter that a mapping may use. */
export const FILTERS: Record<string, FilterHandler> = {
  ...fenced([...LIST, ...NUMBER, ...OTHER], false),
  ...fenced([...TEXT], true),
  country_name: countryName,
  iso_date: isoDate
}

const REGIONS = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' })

function fenced (names: string[], text: boolean): Record<string, FilterHandler> {
  return Object.fromEntries(names.map(name => [name, fence(name, standard[name] as FilterHandler, text)]))
}

// The engine looks at its clock between tags only; a chain of filters would run on. And what a filter gives has no limit of its own.
function fence (name: string, filter: FilterHandler, text: boolean): FilterHandler {
  return function (...values): unknown {
    step(this.context)
    if (Array.isArray(values[0])) charge(this.context, values[0])
    if (text && !values.every(value => isScalar(toValue(value)))) throw new MappingError(`the filter ${name} takes text, not lists or objects`)
    if (name === 'join') listOfScalars(values[0])
    const result: unknown = filter.apply(this, values)
    if (typeof result === 'string' && result.length > MAX_TEXT) throw new MappingError(`the filter ${name} gives more than ${MAX_TEXT / 1024} KiB`)
    return result
  }
}

/** Counts one step of the budget that stands in the context's time limit. */
export function step (context: Context): void {
  context.renderLimit.check(performance.now())
}

/** Takes the work that a value makes from the memory limit: going through a list takes about ten times as long as through a text. */
export function charge (context: Context, value: unknown): void {
  if (typeof value === 'string') context.memoryLimit.use(value.length)
  else if (Array.isArray(value)) context.memoryLimit.use(value.length * 10)
}

function listOfScalars (value: unknown): void {
  if (Array.isArray(value) && !value.every(isScalar)) throw new MappingError('the filter join takes a list of texts; use map first')
}

// English name of an ISO 3166 code, "" for one that is absent or unknown.
function countryName (value: unknown): string {
  const code = toValue(value)
  if (typeof code !== 'string' || !/^[A-Za-z]{2}$/.test(code)) return ''
  const known = COUNTRY_NAMES.get(code)
  if (known !== undefined) return known
  const name = code.toUpperCase() === 'ZZ' ? '' : REGIONS.of(code.toUpperCase()) ?? ''
  COUNTRY_NAMES.set(code, name)
  return name
}

// Two letters, so it stays small; asking for a name each time costs as much as a whole leaf.
const COUNTRY_NAMES = new Map<string, string>()

// Epoch milliseconds or a time of RFC 3339, as RFC 3339 in UTC to the second; "" where absent.
function isoDate (value: unknown): string {
  const time = toValue(value)
  if (time === null || time === undefined || time === '') return ''
  const dated = typeof time === 'string' && /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(time)
  const at = dated || typeof time === 'number' ? new Date(time) : null
  if (at === null || Number.isNaN(at.getTime())) throw new MappingError('the filter iso_date takes a time of RFC 3339 or epoch milliseconds')
  return at.toISOString().replace(/\.\d{3}Z$/, 'Z')
}
