import type { ErrorObject } from 'ajv/dist/2020.js'
import type { Detail } from '../contract.ts'
import { nearest } from '../errors.ts'
import { FORMAT_MESSAGES } from './formats.ts'

const PERSONAL_PLACE = /phone|mail|name|address|contact/i
const PERSONAL_VALUE = /@|\+\d{7}/

/** A fault as a caller reads it. Values that may be about a person are told by type and length only. */
export function toDetail (error: ErrorObject): Detail {
  const rule = error.keyword
  if (rule === 'required') return { path: below(error, String(error.params.missingProperty)), rule, message: 'is missing' }
  if (rule === 'additionalProperties' || rule === 'unevaluatedProperties') return unknownKey(error)
  return { path: error.instancePath, rule, message: messageOf(error), got: shown(error.data, error.instancePath) }
}

// What stands under a name nobody knows could be anything: it is not repeated.
function unknownKey (error: ErrorObject): Detail {
  const key = String(error.params[error.keyword === 'additionalProperties' ? 'additionalProperty' : 'unevaluatedProperty'])
  const known = Object.keys((error.parentSchema?.properties as object | undefined) ?? {})
  const near = key.length > 50 ? null : nearest(key, known)
  return { path: below(error, key), rule: error.keyword, message: near === null ? 'is not known here' : `is not known here. Did you mean "${near}"?` }
}

function messageOf (error: ErrorObject): string {
  if (error.keyword === 'enum') return `must be one of ${list(error.params.allowedValues)}`
  if (error.keyword === 'const') return `must be ${JSON.stringify(error.params.allowedValue)}`
  if (error.keyword === 'format') return FORMAT_MESSAGES[String(error.params.format)] ?? `must be of the format ${String(error.params.format)}`
  return (error.message ?? 'does not fit').slice(0, 300)
}

function list (values: unknown): string {
  return (values as unknown[]).slice(0, 20).map(value => JSON.stringify(value)).join(', ')
}

function shown (value: unknown, path: string): unknown {
  if (value === null || typeof value === 'boolean') return value
  if (Array.isArray(value)) return `list of ${value.length}`
  if (typeof value === 'object') return `object of ${Object.keys(value).length}`
  if (PERSONAL_PLACE.test(path) || PERSONAL_VALUE.test(String(value))) return `${typeof value} of ${String(value).length} characters`
  return typeof value === 'string' ? value.slice(0, 100).toWellFormed() : value
}

function below (error: ErrorObject, key: string): string {
  return `${error.instancePath}/${key.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}`
}
