import type { Detail, GatewayEvent } from '../contract.ts'
import { nearest } from '../errors.ts'
import { readTime } from './time.ts'

/** What an envelope is read against. `plain` is application/json: the same names, `specversion` and `source` may default. */
export interface EnvelopeContext {
  mode: 'cloudevents' | 'plain'
  /** `source` of a plain event that names none. */
  defaultSource: string
  nowAt: number
  shopPattern: RegExp
}

/** Every rule of the envelope, `<attribute>.<rule>`, with what is said where it is broken. */
export const ENVELOPE_RULES = {
  'event.type': 'an event is a JSON object',
  'event.unknown': 'is no attribute of an event',
  'event.extension': 'an extension attribute has a name of 1 to 20 lower-case letters and digits, and a text of at most 1 KiB, a number or a boolean',
  'specversion.required': 'a CloudEvent says "specversion": "1.0"',
  'specversion.const': 'must be "1.0"',
  'id.required': 'without an id a repeat could not be told, and would text twice',
  'id.type': 'must be text',
  'id.length': 'must have 1 to 200 characters',
  'id.characters': 'must have printable characters only',
  'source.required': 'a CloudEvent names its source',
  'source.type': 'must be text',
  'source.length': 'must have 1 to 200 characters',
  'source.format': 'must be a URI reference, such as /checkout or https://shop.example/app',
  'source.reserved': 'begins with /sources/, which is for the gateway\'s own sources',
  'type.required': 'an event names its type',
  'type.type': 'must be text',
  'type.length': 'must have 1 to 200 characters',
  'type.characters': 'must be letters, digits, dots, dashes and underscores',
  'shop.required': 'an event names its shop',
  'shop.type': 'must be text',
  'shop.pattern': 'must be a shop id: lower case, as the shop was created',
  'time.type': 'must be text',
  'time.format': 'must be a time of RFC 3339 with an offset, such as 2026-11-21T09:30:00Z',
  'time.range': 'must be after 2000-01-01 and at most an hour ahead of now',
  'subject.type': 'must be text of 1 to 200 characters',
  'dataschema.format': 'must be an absolute URI of at most 2,048 characters',
  'datacontenttype.media_type': 'must be application/json, or application/…+json',
  'data_base64.refused': 'data is sent as JSON, in "data"',
  'data.required': 'an event has data',
  'data.type': 'must be a JSON object'
} as const

type Rule = keyof typeof ENVELOPE_RULES

const ATTRIBUTES = ['specversion', 'id', 'source', 'type', 'time', 'subject', 'dataschema', 'datacontenttype', 'shop', 'data', 'data_base64']
const KNOWN = new Set(ATTRIBUTES)
const ASCII_WORD = /^[\x21-\x7e]+$/
const PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}]+$/u
const URI_REFERENCE = /^(?:[\w.~:/?#[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+$/
const TYPE = /^[A-Za-z0-9_.-]+$/
const JSON_TYPE = /^application\/(?:[\w.-]{1,100}\+)?json *(?:;[\x20-\x7e]{0,100})?$/i
const EXTENSION = /^[a-z0-9]{1,20}$/
const HOUR_MS = 3_600_000
const YEAR_2000_AT = Date.UTC(2000, 0, 1)

/** Reads one event; every fault of its envelope is named. Attributes that are null count as absent. `data` is handed on untouched. */
export function readEnvelope (item: unknown, context: EnvelopeContext): { event: GatewayEvent } | { details: Detail[] } {
  if (!isObject(item)) return { details: [detail('event.type', '')] }
  const details: Detail[] = []
  const report = (rule: Rule): void => { details.push(detail(rule, undefined, item)) }
  const plain = context.mode === 'plain'
  checkSpecVersion(item.specversion, plain, report)
  checkId(item.id, report)
  checkSource(item.source, plain, report)
  checkType(item.type, report)
  checkShop(item.shop, context.shopPattern, report)
  const timeAt = timeOf(item.time, context.nowAt, report)
  checkOptional(item, report)
  checkData(item.data, report)
  for (const key in item) if (!KNOWN.has(key)) checkOther(key, item[key], plain, details)
  if (details.length > 0) return { details }
  return {
    event: {
      id: item.id as string,
      source: (item.source ?? context.defaultSource) as string,
      type: item.type as string,
      shop: item.shop as string,
      timeAt,
      data: item.data as Record<string, unknown>
    }
  }
}

type Report = (rule: Rule) => void

function checkSpecVersion (value: unknown, plain: boolean, report: Report): void {
  if (value === undefined || value === null) return plain ? undefined : report('specversion.required')
  if (value !== '1.0') report('specversion.const')
}

function checkId (value: unknown, report: Report): void {
  if (value === undefined || value === null) return report('id.required')
  if (typeof value !== 'string') return report('id.type')
  if (badLength(value)) return report('id.length')
  if (!ASCII_WORD.test(value) && !PRINTABLE.test(value)) report('id.characters')
}

function checkSource (value: unknown, plain: boolean, report: Report): void {
  if (value === undefined || value === null) return plain ? undefined : report('source.required')
  if (typeof value !== 'string') return report('source.type')
  if (badLength(value)) return report('source.length')
  if (!URI_REFERENCE.test(value)) return report('source.format')
  // Under the identity of what a webhook will bring, an event sent here would keep that one out.
  if (/^\/+sources(\/|$)/i.test(value)) report('source.reserved')
}

function checkType (value: unknown, report: Report): void {
  if (value === undefined || value === null) return report('type.required')
  if (typeof value !== 'string') return report('type.type')
  if (badLength(value)) return report('type.length')
  if (!TYPE.test(value)) report('type.characters')
}

function checkShop (value: unknown, pattern: RegExp, report: Report): void {
  if (value === undefined || value === null) return report('shop.required')
  if (typeof value !== 'string') return report('shop.type')
  if (badLength(value) || !pattern.test(value)) report('shop.pattern')
}

function timeOf (value: unknown, nowAt: number, report: Report): number {
  if (value === undefined || value === null) return nowAt
  const timeAt = typeof value === 'string' ? readTime(value) : null
  if (typeof value !== 'string') report('time.type')
  else if (timeAt === null) report('time.format')
  else if (timeAt < YEAR_2000_AT || timeAt > nowAt + HOUR_MS) report('time.range')
  return timeAt ?? nowAt
}

function checkOptional (item: Record<string, unknown>, report: Report): void {
  const { subject, dataschema, datacontenttype, data_base64: base64 } = item
  if (present(subject) && (typeof subject !== 'string' || badLength(subject))) report('subject.type')
  if (present(dataschema) && !isAbsoluteUri(dataschema)) report('dataschema.format')
  if (present(datacontenttype) && !(typeof datacontenttype === 'string' && JSON_TYPE.test(datacontenttype))) report('datacontenttype.media_type')
  if (present(base64)) report('data_base64.refused')
}

function checkData (value: unknown, report: Report): void {
  if (value === undefined || value === null) return report('data.required')
  if (!isObject(value)) report('data.type')
}

// CloudEvents lets any sender on the way add attributes; in our own plain form a name we do not know is a slip.
function checkOther (key: string, value: unknown, plain: boolean, details: Detail[]): void {
  if (plain) details.push(unknownAttribute(key))
  else if (!EXTENSION.test(key) || !isExtensionValue(value)) details.push(detail('event.extension', `/${pointerStep(key)}`))
}

function unknownAttribute (key: string): Detail {
  const found = detail('event.unknown', `/${pointerStep(key)}`)
  const near = key.length > 50 ? null : nearest(key, ATTRIBUTES)
  return near === null ? found : { ...found, message: `${found.message}. Did you mean "${near}"?` }
}

function detail (name: Rule, path?: string, item?: Record<string, unknown>): Detail {
  const [attribute, rule] = name.split('.') as [string, string]
  const found: Detail = { path: path ?? `/${attribute}`, rule, message: ENVELOPE_RULES[name] }
  const value = item?.[attribute]
  if (value === undefined || attribute.startsWith('data')) return found
  return { ...found, got: typeof value === 'object' ? typeof value : String(value).slice(0, 100).toWellFormed() }
}

function badLength (text: string): boolean {
  return text.length === 0 || text.length > 200
}

function present (value: unknown): boolean {
  return value !== undefined && value !== null
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isExtensionValue (value: unknown): boolean {
  if (typeof value === 'string') return value.length <= 1024
  return value === null || typeof value === 'number' || typeof value === 'boolean'
}

function isAbsoluteUri (value: unknown): boolean {
  return typeof value === 'string' && value.length <= 2048 && URL.canParse(value)
}

function pointerStep (key: string): string {
  return key.slice(0, 100).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')
}
