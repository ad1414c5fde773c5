// Lists as JSON:API has them: filter, sort, pages by cursor, fewer fields. What is not known is refused.

import { invalid, link } from './sandbox-answers.ts'
import type { Answered, Fault, Resource } from './sandbox-answers.ts'
import { compileFilter } from './sandbox-filter.ts'
import type { Filters } from './sandbox-filter.ts'

/** One of a list: what it is filtered and sorted by, and what is shown of it. */
export interface Item { values: Record<string, string | boolean | number | null>, resource: () => Resource }

export interface Rules {
  filters: Filters
  sorts: readonly string[]
  /** What a page has, and the most it may be asked for, where it may. */
  size: { usual: number, max?: number }
  fields: Fields
  /** Parameters besides, which whoever makes the items looks at. */
  also?: readonly string[]
}

/** By type, the names that `fields[<type>]` may ask for. */
export type Fields = Record<string, readonly string[]>

type Query = Record<string, string>

/** A page of `items`, in their own order where none is asked for. `path` without the query. */
export function listed (path: string, given: unknown, items: readonly Item[], rules: Rules): Answered | Fault {
  const fault = queryFault(given, [...fieldsIn(rules.fields), 'filter', 'sort', 'page[cursor]', ...(rules.size.max === undefined ? [] : ['page[size]']), ...rules.also ?? []])
  if (fault !== null) return fault
  const query = given as Query
  const fits = query['filter'] === undefined ? () => true : compileFilter(query['filter'], rules.filters)
  if (typeof fits === 'string') return invalid(fits, { parameter: 'filter' })
  const sort = query['sort']
  if (sort !== undefined && !rules.sorts.includes(sort.replace(/^-/, ''))) return invalid(`Cannot be sorted by ${sort.slice(0, 40)}.`, { parameter: 'sort' })
  const size = Number(query['page[size]'] ?? rules.size.usual)
  if (!(Number.isInteger(size) && size >= 1 && size <= (rules.size.max ?? size))) return invalid(`A page has 1 to ${rules.size.max} items.`, { parameter: 'page[size]' })
  const from = startOf(query['page[cursor]'])
  if (from === null) return invalid('The cursor is none that was given.', { parameter: 'page[cursor]' })
  const found = sorted(items.filter(({ values }) => fits(values)), sort)
  const data = sparse(found.slice(from, from + size).map(item => item.resource()), query, rules.fields)
  if ('code' in data) return data
  const next = from + size < found.length ? { next: addressOf(path, query, cursorOf(from + size)) } : {}
  return { status: 200, body: { data, links: { self: addressOf(path, query, query['page[cursor]']), ...next } } }
}

/** All of a list that has no pages, filters or sorts. */
export function whole (path: string, given: unknown, items: readonly Item[], fields: Fields): Answered | Fault {
  const fault = queryFault(given, fieldsIn(fields))
  if (fault !== null) return fault
  const data = sparse(items.map(item => item.resource()), given as Query, fields)
  return 'code' in data ? data : { status: 200, body: { data, links: { self: addressOf(path, given as Query, undefined) } } }
}

/** One resource, with the fields that were asked for. `also`: parameters besides. */
export function shown (resource: Resource, given: unknown, fields: Fields, also: readonly string[] = []): Answered | Fault {
  const fault = queryFault(given, [...fieldsIn(fields), ...also])
  if (fault !== null) return fault
  const picked = sparse([resource], given as Query, fields)
  return 'code' in picked ? picked : { status: 200, body: { data: picked[0], links: resource.links } }
}

function fieldsIn (fields: Fields): string[] { return Object.keys(fields).map(type => `fields[${type}]`) }

/** Every parameter must be known, and given once. */
function queryFault (given: unknown, known: readonly string[]): Fault | null {
  for (const [name, value] of Object.entries(given as object)) {
    if (!known.includes(name)) return invalid(`There is no parameter ${name.slice(0, 40)}.`, { parameter: name })
    if (typeof value !== 'string' || value === '') return invalid('Give it once, with a value.', { parameter: name })
  }
  return null
}

/** With the fields that were asked for; of a type that is not asked about, all. */
function sparse (resources: Resource[], query: Query, fields: Fields): Resource[] | Fault {
  for (const [type, names] of Object.entries(fields)) {
    const unknown = query[`fields[${type}]`]?.split(',').find(name => !names.includes(name))
    if (unknown !== undefined) return invalid(`${type} has no field ${unknown.slice(0, 40)}.`, { parameter: `fields[${type}]` })
  }
  return resources.map(resource => {
    const asked = query[`fields[${resource.type}]`]?.split(',')
    return asked === undefined ? resource : { ...resource, attributes: Object.fromEntries(Object.entries(resource.attributes).filter(([name]) => asked.includes(name))) }
  })
}

function sorted (items: Item[], sort: string | undefined): Item[] {
  if (sort === undefined) return items
  const field = sort.replace(/^-/, '')
  const sign = sort.startsWith('-') ? -1 : 1
  const by = ({ values }: Item): string | number => typeof values[field] === 'number' ? values[field] : String(values[field])
  return items.toSorted((a, b) => by(a) < by(b) ? -sign : by(a) > by(b) ? sign : 0)
}

function cursorOf (from: number): string { return Buffer.from(`next::${from}`).toString('base64url') }

function startOf (cursor: string | undefined): number | null {
  if (cursor === undefined) return 0
  const from = /^next::(\d{1,9})$/.exec(Buffer.from(cursor, 'base64url').toString('utf8'))?.[1]
  return from === undefined ? null : Number(from)
}

function addressOf (path: string, query: Query, cursor: string | undefined): string {
  const parameters = new URLSearchParams({ ...query, ...(cursor !== undefined && { 'page[cursor]': cursor }) }).toString()
  return link(path + (parameters === '' ? '' : `?${parameters}`))
}
