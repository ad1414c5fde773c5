import type { Fault, JsonSchema, SourceFile } from '../contract.ts'
import { nearest } from '../errors.ts'
import { FORMATS, STANDARD_FORMATS } from './formats.ts'
import { patternFault } from './pattern.ts'

const DRAFT = 'https://json-schema.org/draft/2020-12/schema'
const MAX_DEPTH = 32

// Keywords by what stands below them.
const ONE = ['items', 'additionalProperties', 'unevaluatedProperties', 'unevaluatedItems', 'contains', 'not', 'if', 'then', 'else', 'propertyNames']
const MANY = ['allOf', 'anyOf', 'oneOf', 'prefixItems']
const NAMED = ['properties', 'patternProperties', '$defs', 'dependentSchemas']
const PLAIN = ['$schema', '$id', '$comment', '$ref', '$anchor', 'title', 'description', 'examples', 'default', 'deprecated', 'type', 'enum', 'const', 'format',
  'pattern', 'minLength', 'maxLength', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'minItems', 'maxItems', 'uniqueItems',
  'minContains', 'maxContains', 'required', 'minProperties', 'maxProperties', 'dependentRequired', 'readOnly', 'writeOnly']
const KEYWORDS = new Set([...ONE, ...MANY, ...NAMED, ...PLAIN])
const KNOWN_FORMATS = new Set<string>([...STANDARD_FORMATS, ...Object.keys(FORMATS)])
// Below these a schema adds to what its parent says already, and need not close or bound anything itself.
const PARTS = new Set(['if', 'then', 'else', 'not', 'contains', 'propertyNames', ...MANY])

/**
 * What a schema of event data must not do: take unbounded time or memory for a hostile event, let unknown data in,
 * or fetch anything. Each fault is at its place in the file. Examples are checked by the caller, who can validate.
 */
export function lintSchema (file: SourceFile): Fault[] {
  const lint = new Lint(file)
  lint.root()
  return lint.faults
}

class Lint {
  readonly faults: Fault[] = []
  readonly #file: SourceFile
  readonly #done = new Set<string>()
  readonly #open: string[] = []

  constructor (file: SourceFile) {
    this.#file = file
  }

  root (): void {
    const schema = this.#file.value
    if (!isObject(schema)) return this.#fault('', 'a JSON Schema is an object', 'Write a schema of type object.')
    if (schema.type !== 'object') this.#fault('/type', 'data of an event is an object', 'Write "type": "object".')
    if (schema.$schema !== undefined && schema.$schema !== DRAFT) this.#fault('/$schema', 'is not draft 2020-12', `Write "$schema": "${DRAFT}".`)
    if (!Array.isArray(schema.examples) || schema.examples.length === 0) this.#fault('/examples', 'has no examples', 'Add "examples": one event with all its data, one with only what is required.')
    this.#visit(schema, '', false)
  }

  #visit (schema: unknown, pointer: string, part: boolean): void {
    if (this.#open.includes(pointer)) return this.#fault(pointer, 'refers to itself', 'Write the levels out; data has a known depth.')
    if (this.#done.has(pointer)) return
    if (this.#open.length > MAX_DEPTH) return this.#fault(pointer, `is nested deeper than ${MAX_DEPTH} levels`, 'Write it flatter.')
    if (schema === false) return
    if (!isObject(schema)) return this.#fault(pointer, 'lets anything in', 'Say what it is: a schema with a type.')
    this.#open.push(pointer)
    this.#own(schema, pointer, part)
    for (const [below, at, isPart] of children(schema, pointer)) this.#visit(below, at, part || isPart)
    this.#follow(schema, pointer, part)
    this.#open.pop()
    this.#done.add(pointer)
  }

  #own (schema: JsonSchema, pointer: string, part: boolean): void {
    this.#keywords(schema, pointer)
    const types = [schema.type].flat()
    const listed = schema.const !== undefined || schema.enum !== undefined
    const says = types[0] !== undefined || listed || typeof schema.$ref === 'string' || MANY.some(key => schema[key] !== undefined)
    if (!says && !part) this.#fault(pointer, 'lets anything in', 'Add a type.')
    if (types.includes('object') && !isClosed(schema)) this.#fault(pointer, 'is an object that lets unknown keys in', 'Add "additionalProperties": false.')
    if (types.includes('string') && !listed && !part && !isCap(schema.maxLength)) this.#fault(pointer, 'is a text of any length', 'Add "maxLength".')
    if (types.includes('array') && !part && !isCap(schema.maxItems)) this.#fault(pointer, 'is a list of any length', 'Add "maxItems".')
    if (schema.uniqueItems === true && !(isCap(schema.maxItems) && schema.maxItems <= 100)) {
      this.#fault(`${pointer}/uniqueItems`, 'compares each item with each other', 'Add "maxItems" of at most 100, or leave "uniqueItems" out.')
    }
    this.#format(schema, pointer)
    this.#patterns(schema, pointer)
  }

  #keywords (schema: JsonSchema, pointer: string): void {
    for (const [key, value] of Object.entries(schema)) {
      const at = below(pointer, key)
      if (isObject(value) && '$data' in value) this.#fault(below(at, '$data'), 'takes a rule from the data', 'Write the rule out.')
      if (key === '$id' && pointer !== '') this.#fault(at, 'gives a part of the schema another address', 'Leave "$id" out.', true)
      if (KEYWORDS.has(key)) continue
      const near = nearest(key, KEYWORDS)
      this.#fault(at, `is no keyword that may be used: "${key.slice(0, 60)}"`, near === null ? 'Remove it.' : `Did you mean "${near}"?`, true)
    }
  }

  #format (schema: JsonSchema, pointer: string): void {
    if (schema.format === undefined || KNOWN_FORMATS.has(String(schema.format))) return
    const near = nearest(String(schema.format), KNOWN_FORMATS)
    this.#fault(`${pointer}/format`, 'is an unknown format', near === null ? `Use one of ${[...KNOWN_FORMATS].join(', ')}.` : `Did you mean "${near}"?`)
  }

  #patterns (schema: JsonSchema, pointer: string): void {
    const named = isObject(schema.patternProperties) ? Object.keys(schema.patternProperties) : []
    const places = named.map(pattern => ({ pattern: pattern as unknown, at: below(`${pointer}/patternProperties`, pattern) }))
    if (schema.pattern !== undefined) places.push({ pattern: schema.pattern, at: `${pointer}/pattern` })
    for (const { pattern, at } of places) {
      const why = typeof pattern === 'string' ? patternFault(pattern) : 'is no text'
      if (why !== null) this.#fault(at, `the pattern ${why}`, 'Write a plainer pattern: one that can match a text in one way only.')
    }
  }

  #follow (schema: JsonSchema, pointer: string, part: boolean): void {
    const ref = schema.$ref
    if (ref === undefined) return
    const at = `${pointer}/$ref`
    if (typeof ref !== 'string' || !/^#(\/|$)/.test(ref)) return this.#fault(at, 'refers to another document', 'Refer to "#/$defs/…" of this file.')
    const target = ref.slice(1)
    const found = lookUp(this.#file.value, target)
    if (found === undefined) return this.#fault(at, 'refers to nothing', 'Refer to "#/$defs/…" of this file.')
    if (this.#open.includes(target)) return this.#fault(at, 'refers to itself', 'Write the levels out; data has a known depth.')
    this.#visit(found, target, part)
  }

  #fault (pointer: string, message: string, fix: string, key = false): void {
    this.faults.push(this.#file.fault('GW_SCHEMA_INVALID', pointer, message, fix, { key }))
  }
}

function * children (schema: JsonSchema, pointer: string): Generator<[schema: unknown, pointer: string, part: boolean]> {
  for (const key of ONE) {
    const value = schema[key]
    if (value !== undefined && !(value === true && PARTS.has(key))) yield [value, `${pointer}/${key}`, PARTS.has(key)]
  }
  for (const key of MANY) {
    const list = schema[key]
    if (Array.isArray(list)) for (const [i, value] of list.entries()) yield [value, `${pointer}/${key}/${i}`, key !== 'prefixItems']
  }
  for (const key of NAMED) {
    const named = schema[key]
    if (isObject(named)) for (const [name, value] of Object.entries(named)) yield [value, below(`${pointer}/${key}`, name), false]
  }
}

/** The value at a JSON pointer, undefined where there is none. */
function lookUp (value: unknown, pointer: string): unknown {
  if (pointer === '') return value
  let at: unknown = value
  for (const step of pointer.slice(1).split('/')) {
    const key = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<string, unknown>)[key]
  }
  return at
}

function below (pointer: string, key: string): string {
  return `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

function isClosed (schema: JsonSchema): boolean {
  return schema.additionalProperties === false || schema.unevaluatedProperties === false
}

function isCap (value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 65_536
}

function isObject (value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
