// cases.yaml of a provider's folder: events and the requests they must become. Adding one needs no code.

import { isDeepStrictEqual } from 'node:util'
import { join } from 'node:path'
import type { Fault, Files, JsonSchema, MappingScope, PreparedRequest, Provider, SourceFile } from '../contract.ts'

/** What a case shows: everything there, only what must be, or what is likely to break a mapping. */
export type CaseKind = 'full' | 'minimal' | 'awkward'

export interface Case {
  name: string
  kind: CaseKind
  type: string
  data: Record<string, unknown>
  settings?: Record<string, unknown>
  /** The account's id at the provider; ACCT01 where none is given. */
  account_id?: string
  /** Of the platform, over the manifest's defaults; what the config chose is not looked at. */
  options?: Record<string, unknown>
  /** Where others reach the gateway; '' where nobody can. */
  gateway_url?: string
  /** Only to be recorded, nobody texted. */
  record_only?: boolean
  /** The request: `body` as data where it is JSON, or a form of which the case names the fields. Or the reason why there is none. */
  expect: { method: string, path: string, headers: Record<string, string>, body?: unknown } | { refused: string }
}

/** `got`: the request as cases write it, or the reason why there is none. */
export interface CaseResult { case: Case, scope: MappingScope, got: unknown, fault: Fault | null }

const HEADERS: JsonSchema = { type: 'object', additionalProperties: { type: 'string' } }
const EXPECT: JsonSchema = {
  type: 'object',
  anyOf: [{ required: ['refused'], maxProperties: 1 }, { required: ['method', 'path', 'headers'] }],
  additionalProperties: false,
  properties: { method: { type: 'string' }, path: { type: 'string' }, headers: HEADERS, body: {}, refused: { type: 'string' } }
}
const CASES: JsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  required: ['cases'],
  properties: {
    optional: {
      description: 'Keys of a body, at its top, that the provider takes a request without. All others it must refuse to miss: npm test tries both at the folder\'s sandbox. Default: none.',
      type: 'array',
      uniqueItems: true,
      items: { type: 'string', minLength: 1 }
    },
    cases: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['name', 'kind', 'type', 'data', 'expect'],
        properties: {
          name: { type: 'string', minLength: 1 },
          kind: { enum: ['full', 'minimal', 'awkward'] },
          type: { type: 'string' },
          data: { type: 'object' },
          settings: { type: 'object' },
          account_id: { type: 'string', minLength: 1 },
          options: { type: 'object' },
          gateway_url: { type: 'string' },
          record_only: { type: 'boolean' },
          expect: EXPECT
        }
      }
    }
  }
}

/** Around the data of each case: the shop Acme, an event of 2026-11-21T19:20:00Z, the delivery key `key-1`, a gateway at https://gateway.example. */
export function caseScope (one: Pick<Case, 'type' | 'data' | 'settings' | 'account_id' | 'options' | 'gateway_url' | 'record_only'>): MappingScope {
  return {
    data: one.data,
    shop: { id: 'acme', name: 'Acme', domain: 'acme.example' },
    connection: { account_id: one.account_id ?? 'ACCT01', settings: one.settings ?? {} },
    event: { id: 'event-1', source: 'cases', type: one.type, time: '2026-11-21T19:20:00Z' },
    delivery: { id: 'delivery-1', key: 'key-1', attempt: 1, record_only: one.record_only ?? false },
    options: one.options ?? {},
    gateway: { url: one.gateway_url ?? 'https://gateway.example' }
  }
}

/**
 * Runs the cases of a folder. A missing or malformed cases.yaml is among `faults`; a failed case has its own.
 * `optional`: keys of a body that its provider does without.
 */
export function runCases (provider: Provider, files: Files): { results: CaseResult[], optional: string[], faults: Fault[] } {
  const { file, faults } = files.read(join(provider.dir, 'cases.yaml'))
  if (file === null) return { results: [], optional: [], faults }
  const all = [...faults, ...files.check(file, CASES)]
  if (all.length > 0) return { results: [], optional: [], faults: all }
  const { cases, optional = [] } = file.value as { cases: Case[], optional?: string[] }
  return { results: cases.map((one, i) => runCase(one, provider, file, `/cases/${i}`)), optional, faults: [] }
}

function runCase (one: Case, provider: Provider, file: SourceFile, at: string): CaseResult {
  const scope = caseScope(one)
  const prepared = provider.prepare(one.type, scope)
  const got = prepared.ok ? shown(prepared.request, one.expect) : { refused: prepared.reason }
  const difference = differenceOf(one.expect, got, '')
  if (difference === null) return { case: one, scope, got, fault: null }
  const detail = prepared.ok ? '' : ` (${prepared.detail})`
  const message = `${one.name}: ${difference.message}${detail}`
  return { case: one, scope, got, fault: file.fault('GW_CASE_FAILED', `${at}/expect${difference.pointer}`, message, 'Correct the mapping, or the case.') }
}

/** A request as cases write it. */
function shown ({ method, path, headers, body }: PreparedRequest, wanted: Case['expect']): Record<string, unknown> {
  if (body === null) return { method, path, headers }
  const type = headers['content-type'] ?? ''
  if (/\bjson\b/.test(type)) return { method, path, headers, body: JSON.parse(body) as unknown }
  return { method, path, headers, body: /urlencoded/.test(type) && 'body' in wanted && isObject(wanted.body) ? fields(body) : body }
}

/** A form by its fields; one that comes several times is a list. */
function fields (form: string): Record<string, string | string[]> {
  const pairs = new URLSearchParams(form)
  return Object.fromEntries([...new Set(pairs.keys())].map(name => {
    const values = pairs.getAll(name)
    return [name, values.length === 1 ? values[0] as string : values]
  }))
}

/** The first place where two values differ. */
function differenceOf (wanted: unknown, got: unknown, pointer: string): { pointer: string, message: string } | null {
  if (isDeepStrictEqual(wanted, got)) return null
  if (isObject(wanted) && isObject(got)) {
    for (const key of new Set([...Object.keys(wanted), ...Object.keys(got)])) {
      const below = pointer + '/' + key.replaceAll('~', '~0').replaceAll('/', '~1')
      if (!Object.hasOwn(wanted, key)) return { pointer, message: `${key} is sent as ${JSON.stringify(got[key])}, and not expected` }
      const difference = differenceOf(wanted[key], got[key], below)
      if (difference !== null) return difference
    }
  }
  return { pointer, message: `expected ${JSON.stringify(wanted)}, got ${got === undefined ? 'nothing' : JSON.stringify(got)}` }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
