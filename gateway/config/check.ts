import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'
import type { Fault, JsonSchema } from '../contract.ts'
import { CODES, type Code } from '../errors.ts'
import { schemaCompiler } from '../json-schema.ts'
import { didYouMean } from './near.ts'
import { below } from './pointer.ts'
import type { Source } from './source.ts'
import { violations } from './violations.ts'

const compiled = new WeakMap<JsonSchema, ValidateFunction>()

/** Every violation of a JSON Schema (draft-07 where it says so, else 2020-12), as faults at their places. */
export function checkSchema (file: Source, schema: JsonSchema): Fault[] {
  const validate = compile(schema)
  if (typeof validate === 'string') return [file.fault('GW_SCHEMA_INVALID', '', `the schema of this file cannot be used: ${validate}`, CODES.GW_SCHEMA_INVALID.fix)]
  if (validate(file.value)) return []
  return violations(validate.errors ?? [], schema)
    .filter(error => !file.isUnresolved(error.instancePath))
    .map(error => toFault(file, error))
}

// A schema may be the platform team's too, as the settings of a provider: then its fault is told, not thrown.
function compile (schema: JsonSchema): ValidateFunction | string {
  const known = compiled.get(schema)
  if (known !== undefined) return known
  const options = { allErrors: true, verbose: true, strict: true, strictTypes: false, strictRequired: false, addUsedSchema: false }
  const ajv = String(schema['$schema']).includes('draft-07') ? new Ajv(options) : schemaCompiler(options)
  formats.default(ajv as Ajv)
  try {
    const validate = ajv.compile(schema)
    compiled.set(schema, validate)
    return validate
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function toFault (file: Source, error: ErrorObject): Fault {
  const at = error.instancePath
  if (error.propertyName !== undefined) return nameFault(file, error, error.propertyName)
  switch (error.keyword) {
    case 'additionalProperties': return unknownKey(file, error, String(error.params['additionalProperty']))
    case 'unevaluatedProperties': return unknownKey(file, error, String(error.params['unevaluatedProperty']))
    case 'required':
    case 'dependencies':
    case 'dependentRequired': return missingKey(file, error)
    case 'type': return typeFault(file, error)
    case 'enum': return enumFault(file, error)
    case 'uniqueItems': return locate(file, 'GW_CONFIG_DUPLICATE', below(at, Math.max(Number(error.params['i']), Number(error.params['j']))), 'stands in the list already')
    case 'anyOf':
    case 'oneOf': return choiceFault(file, error)
    case 'false schema': return locate(file, 'GW_CONFIG_UNKNOWN_KEY', at, 'is not allowed here')
    default: return valueFault(file, error)
  }
}

function locate (file: Source, code: Code, pointer: string, what: string, fix: string = CODES[code].fix): Fault {
  return file.fault(code, pointer, `${pointer === '' ? 'the file' : pointer} ${what}`, fix)
}

// A secret under a name that is not known is a secret all the same.
const SECRET_NAME = /key|secret|token|password|credential/i

function unknownKey (file: Source, error: ErrorObject, key: string): Fault {
  if (SECRET_NAME.test(key)) file.hide(below(error.instancePath, key))
  const known = Object.keys((error.parentSchema?.['properties'] ?? {}) as object)
  const fix = didYouMean(key, known, known.length > 0 ? `Known here: ${known.join(', ')}.` : CODES.GW_CONFIG_UNKNOWN_KEY.fix)
  const where = error.instancePath === '' ? '' : `${error.instancePath} `
  return file.fault('GW_CONFIG_UNKNOWN_KEY', below(error.instancePath, key), `${where}unknown key "${key}"`, fix, { key: true })
}

function missingKey (file: Source, error: ErrorObject): Fault {
  const key = String(error.params['missingProperty'])
  const where = error.instancePath === '' ? 'the file' : error.instancePath
  const needed = error.keyword === 'required' ? '' : `, which "${String(error.params['property'])}" needs`
  return file.fault('GW_CONFIG_MISSING_KEY', error.instancePath, `${where} has no "${key}"${needed}`, CODES.GW_CONFIG_MISSING_KEY.fix, { key: true })
}

function nameFault (file: Source, error: ErrorObject, key: string): Fault {
  const at = below(error.instancePath, key)
  return file.fault('GW_CONFIG_VALUE', at, `${at} is no name for it: ${rule(error)}`, advice(error), { key: true })
}

function typeFault (file: Source, error: ErrorObject): Fault {
  const types = [error.params['type'] as string | string[]].flat().map(withArticle)
  const origin = file.isPrivate(error.instancePath) ? ' as the environment gives it' : ''
  return locate(file, 'GW_CONFIG_TYPE', error.instancePath, `must be ${types.join(' or ')}, not ${kindOf(error.data)}${origin}`, advice(error))
}

function enumFault (file: Source, error: ErrorObject): Fault {
  const allowed = (error.params['allowedValues'] as unknown[]).map(String)
  const got = typeof error.data === 'string' ? error.data : ''
  const what = `must be one of ${allowed.join(', ')}${quoted(file, error)}`
  return locate(file, 'GW_CONFIG_VALUE', error.instancePath, what, didYouMean(got, allowed, CODES.GW_CONFIG_VALUE.fix))
}

// Only reached where the value suits none of the branches.
function choiceFault (file: Source, error: ErrorObject): Fault {
  const wanted = (error.schema as JsonSchema[]).map(describe).filter(text => text !== null)
  if (wanted.length === 0) return valueFault(file, error)
  return locate(file, 'GW_CONFIG_TYPE', error.instancePath, `must be ${[...new Set(wanted)].join(' or ')}${quoted(file, error)}`, advice(error))
}

function describe (branch: JsonSchema): string | null {
  if ('const' in branch) return JSON.stringify(branch['const'])
  if (Array.isArray(branch['enum'])) return `one of ${branch['enum'].join(', ')}`
  return typeof branch['type'] === 'string' ? withArticle(branch['type']) : null
}

function valueFault (file: Source, error: ErrorObject): Fault {
  return locate(file, 'GW_CONFIG_VALUE', error.instancePath, `${rule(error)}${quoted(file, error)}`, advice(error))
}

// Ajv's words read well but for patterns, which say nothing to who is not fluent in them.
function rule (error: ErrorObject): string {
  if (error.keyword === 'pattern') return 'must have the form asked for'
  if (error.keyword === 'const') return `must be ${JSON.stringify(error.params['allowedValue'])}`
  return error.message ?? `breaks the rule "${error.keyword}"`
}

// What the schema gives as an example is the best advice there is.
function advice (error: ErrorObject): string {
  const examples = error.parentSchema?.['examples']
  const code = error.keyword === 'type' ? 'GW_CONFIG_TYPE' : 'GW_CONFIG_VALUE'
  if (!Array.isArray(examples) || examples.length === 0) return CODES[code].fix
  return `Write it like ${examples.map(example => typeof example === 'string' ? example : JSON.stringify(example)).join(' or ')}.`
}

function quoted (file: Source, error: ErrorObject): string {
  if (file.isPrivate(error.instancePath) || !['string', 'number', 'boolean'].includes(typeof error.data)) return ''
  const text = String(error.data)
  return `, not ${text.length > 60 ? `"${text.slice(0, 57)}…"` : `"${text}"`}`
}

function withArticle (type: string): string {
  if (type === 'null') return 'nothing'
  if (type === 'array') return 'a list'
  if (type === 'object') return 'a map'
  return type === 'integer' ? 'a whole number' : `a ${type}`
}

function kindOf (value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'a map' : `a ${typeof value}`
}
