// What a provider's answers mean, by the rules of its manifest; the core's defaults come after them.

import { MappingError } from '../errors.ts'
import type { Answer, CompiledTree, Outcome } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import type { Compiling } from './compile.ts'
import { durationMs } from './units.ts'
import { valueAt } from '../json-pointer.ts'
import type { Manifest, OutcomeSource } from './manifest.ts'

type Full = Answer & { kind: 'answer' }
type Settings = Record<string, unknown>
type Rule = { source: OutcomeSource, detail: CompiledTree | null }

const DETAIL_MAX = 500

/** Compiles the rules; the first that fits an answer counts, null where none does. `defaults`: of settings that a connection leaves out. */
export function compileOutcomes (sources: readonly OutcomeSource[], defaults: Settings, compiling: Compiling): (answer: Full, settings?: Settings, request?: string) => Outcome | null {
  const rules: Rule[] = sources.map((source, i) => ({
    source,
    detail: source.detail === undefined ? null : compiling.mapper.compile(source.detail, compiling.file, `/outcomes/${i}/detail`, { response: true }, compiling.faults)
  }))
  return (answer, settings = {}, request) => {
    const body = parsed(answer.body)
    const rule = rules.find(({ source }) => (source.request === undefined || source.request === request) && fits(source, answer, body) && settingFits(source.setting, settings, defaults))
    return rule === undefined ? null : outcome(rule, { status: answer.status, headers: answer.headers, body })
  }
}

/** JSON as data, anything else as text. */
function parsed (body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}

function fits (source: OutcomeSource, answer: Full, body: unknown): boolean {
  if (source.status !== undefined && !statusFits(source.status, answer.status)) return false
  if (source.header !== undefined && !headerFits(source.header, answer.headers)) return false
  return source.body_at === undefined || bodyFits(source.body_at, body)
}

function statusFits (wanted: number | number[] | string, status: number): boolean {
  if (typeof wanted === 'string') return wanted[0] === String(status)[0]
  return Array.isArray(wanted) ? wanted.includes(status) : wanted === status
}

function headerFits (wanted: NonNullable<OutcomeSource['header']>, headers: Record<string, string>): boolean {
  if (!Object.hasOwn(headers, wanted.name)) return false
  const value = (headers[wanted.name] as string).toLowerCase()
  if (wanted.equals !== undefined && value !== wanted.equals.toLowerCase()) return false
  return wanted.contains === undefined || value.includes(wanted.contains.toLowerCase())
}

function bodyFits (wanted: NonNullable<OutcomeSource['body_at']>, body: unknown): boolean {
  const value = valueAt(body, wanted.pointer)
  if (value === undefined) return false
  if (wanted.equals !== undefined && value !== wanted.equals) return false
  return wanted.contains === undefined || (typeof value === 'string' ? value : JSON.stringify(value)).includes(wanted.contains)
}

function settingFits (wanted: OutcomeSource['setting'], settings: Settings, defaults: Settings): boolean {
  if (wanted === undefined) return true
  return (Object.hasOwn(settings, wanted.name) ? settings : defaults)[wanted.name] === wanted.equals
}

function outcome ({ source, detail }: Rule, response: object): Outcome {
  const reason = source.reason as Reason // the schema asks for one, unless delivered
  if (source.is === 'delivered') return source.reason === undefined ? { is: 'delivered' } : { is: 'delivered', warning: reason }
  const words = detail === null ? undefined : said(detail, response)
  const base = words === undefined ? { reason } : { reason, detail: words }
  if (source.is !== 'retry') return { is: source.is, ...base }
  return {
    is: 'retry',
    ...base,
    ...(source.free === true ? { free: true } : {}),
    ...(source.after === undefined ? {} : { afterMs: durationMs(source.after) }),
    ...(source.pause === undefined ? {} : { pause: source.pause }),
    ...(source.with === undefined ? {} : { settings: source.with })
  }
}

/** The provider's own words; an answer of another shape simply has none. */
function said (detail: CompiledTree, response: object): string | undefined {
  try {
    const words = detail.render({ response })
    if (words === null || words === undefined || words === '') return undefined
    return (typeof words === 'object' ? JSON.stringify(words) : String(words)).slice(0, DETAIL_MAX)
  } catch (error) {
    if (error instanceof MappingError) return undefined
    throw error
  }
}

const RECEIPT_MAX = 200

/** Reads the provider's id of what a request made from the body of its answer, where the request says at which place it stands. */
export function compileReceipts (requests: Manifest['requests']): (request: string, body: string) => string | null {
  const pointers = new Map(Object.entries(requests).flatMap(([name, { receipt }]) => receipt === undefined ? [] : [[name, receipt]]))
  return (request, body) => {
    const pointer = pointers.get(request)
    if (pointer === undefined) return null
    const id = valueAt(parsed(body), pointer)
    return typeof id === 'number' || (typeof id === 'string' && id !== '') ? String(id).slice(0, RECEIPT_MAX) : null
  }
}
