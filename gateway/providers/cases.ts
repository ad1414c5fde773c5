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
  /** The request: `body` as data where it is JSON. Or the reason why there is none. */
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
          expect: EXPECT
        }
      }
    }
  }
}

/** Around the data of each case: the shop Acme, an event of 2026-11-21T19:20:00Z, the delivery key `key-1`. */
export function caseScope (one: Pick<Case, 'type' | 'data' | 'settings'>): MappingScope {
  return {
    data: one.data,
    shop: { id: 'acme', name: 'Acme', domain: 'acme.example' },
    connection: { account_id: 'ACCT01', settings: one.settings ?? {} },
    event: { id: 'event-1', source: 'cases', type: one.type, time: '2026-11-21T19:20:00Z' },
    delivery: { id: 'delivery-1', key: 'key-1', attempt: 1 }
  }
}

/** Runs the cases of a folder. A missing or malformed cases.yaml is among `faults`; a failed case has its own. */
export function runCases (provider: Provider, files: Files): { results: CaseResult[], faults: Fault[] } {
  const { file, faults } = files.read(join(provider.dir, 'cases.yaml'))
  if (file === null) return { results: [], faults }
  const all = [...faults, ...files.check(file, CASES)]
  if (all.length > 0) return { results: [], faults: all }
  const { cases } = file.value as { cases: Case[] }
  return { results: cases.map((one, i) => runCase(one, provider, file, `/cases/${i}`)), faults: [] }
}

function runCase (one: Case, provider: Provider, file: SourceFile, at: string): CaseResult {
  const scope = caseScope(one)
  const prepared = provider.prepare(one.type, scope)
  const got = prepared.ok ? shown(prepared.request) : { refused: prepared.reason }
  const difference = differenceOf(one.expect, got, '')
  if (difference === null) return { case: one, scope, got, fault: null }
  const detail = prepared.ok ? '' : ` (${prepared.detail})`
  const message = `${one.name}: ${difference.message}${detail}`
  return { case: one, scope, got, fault: file.fault('GW_CASE_FAILED', `${at}/expect${difference.pointer}`, message, 'Correct the mapping, or the case.') }
}

/** A request as cases write it. */
function shown ({ method, path, headers, body }: PreparedRequest): Record<string, unknown> {
  if (body === null) return { method, path, headers }
  return { method, path, headers, body: /\bjson\b/.test(headers['content-type'] ?? '') ? JSON.parse(body) as unknown : body }
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
