// From a manifest's request and a scope to bytes: the path, query, headers and body, each encoded for its place.

import type { CompiledTree, PreparedRequest, Readable } from '../contract.ts'
import { MappingError } from '../errors.ts'
import { compileTree } from './compile.ts'
import type { Compiling } from './compile.ts'
import { encodeBody, omitEmpty } from './body.ts'
import { groupsOf } from './limits.ts'
import { step } from '../json-pointer.ts'
import type { Manifest, RequestSource } from './manifest.ts'

/** Renders a request; throws MappingError only. */
export type CompiledRequest = (scope: object) => PreparedRequest

type Leaves = Record<string, CompiledTree>

/** Latin-1 without control characters: what a header value may hold on the wire. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Compiles one of the manifest's requests; the result must not be used where faults were added. */
export function compileRequest (name: string, manifest: Manifest, readable: Readable, compiling: Compiling): CompiledRequest {
  const source = manifest.requests[name] as RequestSource
  const at = `/requests${step(name)}`
  const group = groupsOf(manifest.limits, source.method, source.path)[0] ?? ''
  const path = compilePath(source.path, `${at}/path`, readable, compiling)
  const query = compileLeaves(source.query ?? {}, `${at}/query`, readable, compiling)
  const own = compileLeaves(source.headers ?? {}, `${at}/headers`, readable, compiling)
  const headers = { ...compileLeaves(manifest.headers, '/headers', readable, compiling), ...own }
  const body = source.body === undefined ? null : compileTree(source.body, `${at}/body`, readable, compiling)
  return scope => {
    const bytes = body === null ? null : encodeBody(omitEmpty(body.render(scope), source.omit_empty ?? []), source.encoding ?? 'json')
    return {
      name,
      group,
      method: source.method,
      path: path(scope) + renderQuery(query, scope),
      headers: withBody(renderHeaders(headers, scope), bytes, source.encoding ?? 'json'),
      body: bytes
    }
  }
}

/** Trees by name, each compiled by itself. */
export function compileLeaves (table: Record<string, unknown>, at: string, readable: Readable, compiling: Compiling): Leaves {
  const leaves: Leaves = {}
  for (const [name, leaf] of Object.entries(table)) leaves[name] = compiling.mapper.compile(leaf, compiling.file, at + step(name), readable, compiling.faults)
  return leaves
}

function compilePath (template: string, at: string, readable: Readable, compiling: Compiling): (scope: object) => string {
  const parts = template.split(/(\{\{.*?\}\})/s).map(part => part.startsWith('{{')
    ? compiling.mapper.compile(part, compiling.file, at, readable, compiling.faults)
    : part)
  return scope => checkedPath(parts.map(part => typeof part === 'string' ? part : encodePart(part.render(scope), 'path')).join(''))
}

/** An encoded `..` is still `..` to the one who resolves the address. */
function checkedPath (path: string): string {
  if (path.split('/').some(part => part === '.' || part === '..')) throw new MappingError('a value in the path would leave its place')
  return path
}

function renderQuery (query: Leaves, scope: object): string {
  const pairs: string[] = []
  for (const [name, leaf] of Object.entries(query)) {
    const value = leaf.render(scope)
    if (value !== null && value !== undefined) pairs.push(`${encodeURIComponent(name)}=${value === '' ? '' : encodePart(value, 'query')}`)
  }
  return pairs.length === 0 ? '' : '?' + pairs.join('&')
}

function encodePart (value: unknown, place: string): string {
  if (value === null || value === undefined || value === '' || typeof value === 'object') throw new MappingError(`a value in the ${place} is empty or no scalar`)
  try {
    return encodeURIComponent(String(value))
  } catch {
    throw new MappingError(`a value in the ${place} is no valid text`) // half a surrogate pair
  }
}

/** Header values from compiled leaves; throws MappingError, without the value: it may be a secret. */
export function renderHeaders (headers: Leaves, scope: object): Record<string, string> {
  const rendered: Record<string, string> = {}
  for (const [name, leaf] of Object.entries(headers)) {
    const value = leaf.render(scope)
    if (value === null || value === undefined || typeof value === 'object') throw new MappingError(`header ${name} is empty or no scalar`)
    if (!HEADER_VALUE.test(String(value))) throw new MappingError(`header ${name} would hold a character that headers cannot`)
    rendered[name] = String(value)
  }
  return rendered
}

function withBody (headers: Record<string, string>, body: string | null, encoding: 'json' | 'form'): Record<string, string> {
  const { 'content-type': type, ...others } = headers
  if (body === null) return others
  return { ...others, 'content-type': type ?? (encoding === 'form' ? 'application/x-www-form-urlencoded' : 'application/json') }
}
