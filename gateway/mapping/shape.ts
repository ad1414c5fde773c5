import type { JsonSchema } from '../contract.ts'

/** What is known about a value at load: its schema and the document that its references point into. `null`: anything. */
export type Shape = { schema: JsonSchema, root: JsonSchema } | null

/** One step down: whether it leads anywhere, whether what it leads to is always there, and which names would have. */
export type Step =
  | { is: 'known', shape: Shape, always: boolean }
  | { is: 'unknown', names: string[] }

/** The value under a key or an index. */
export function down (shape: Shape, key: string | number): Step {
  if (shape === null) return { is: 'known', shape: null, always: true }
  const parts = partsOf(shape)
  const steps = parts.map(part => own(part, key))
  const known = steps.filter(step => step.is === 'known')
  if (known.length === 0) return { is: 'unknown', names: steps.flatMap(step => step.is === 'unknown' ? step.names : []) }
  const first = known.find(step => step.shape !== null) ?? known[0]!
  return { is: 'known', shape: first.shape, always: known.some(step => step.always) }
}

/** What a list holds; null where that is not known. */
export function itemsOf (shape: Shape): Shape {
  const list = shape === null ? undefined : partsOf(shape).find(part => isObject(part.schema.items))
  return list === undefined ? null : { schema: list.schema.items as JsonSchema, root: list.root }
}

/** Whether a value is known to be a list of objects or lists, which have no text of their own. */
export function isNested (shape: Shape): boolean {
  const items = itemsOf(shape)
  return items !== null && ['object', 'array'].includes(String(items.schema.type))
}

function own (shape: NonNullable<Shape>, key: string | number): Step {
  const { schema, root } = shape
  const named = schema.properties as JsonSchema | undefined
  if (typeof key === 'string' && named !== undefined && Object.hasOwn(named, key)) {
    const required = Array.isArray(schema.required) && schema.required.includes(key)
    return { is: 'known', shape: shapeOf(named[key], root), always: required }
  }
  const types = typesOf(schema)
  if (schema.items !== undefined || types.has('array')) return inList(shape, key)
  if (types.has('string') && key === 'size') return { is: 'known', shape: null, always: true }
  return isOpen(schema) ? { is: 'known', shape: shapeOf(schema.additionalProperties, root), always: false } : { is: 'unknown', names: Object.keys(named ?? {}) }
}

function inList ({ schema, root }: NonNullable<Shape>, key: string | number): Step {
  if (key === 'size') return { is: 'known', shape: null, always: true }
  const least = typeof schema.minItems === 'number' ? schema.minItems : 0
  const index = key === 'first' || key === 'last' ? 0 : key
  if (typeof index !== 'number') return { is: 'unknown', names: ['size', 'first', 'last'] }
  return { is: 'known', shape: shapeOf(schema.items, root), always: least > (index < 0 ? -index - 1 : index) }
}

// A schema that names properties means to name all of them, unless it says otherwise.
function isOpen (schema: JsonSchema): boolean {
  const more = schema.additionalProperties
  if (more !== undefined) return more !== false
  if (schema.properties !== undefined) return false
  const types = typesOf(schema)
  return schema.type === undefined ? schema.const === undefined && schema.enum === undefined : types.has('object')
}

// A schema says what it says itself, what it refers to says, and what each part of allOf, anyOf and oneOf says.
function partsOf (shape: NonNullable<Shape>, depth = 0): Array<NonNullable<Shape>> {
  const { schema, root } = shape
  if (depth > 16) return []
  const more = [referred(schema, root), ...['allOf', 'anyOf', 'oneOf'].flatMap(key => Array.isArray(schema[key]) ? schema[key] as unknown[] : [])]
  const below = more.filter(isObject).flatMap(part => partsOf({ schema: part, root }, depth + 1))
  const says = below.length === 0 || schema.properties !== undefined || schema.items !== undefined
  return says ? [shape, ...below] : below
}

function typesOf (schema: JsonSchema): Set<unknown> {
  return new Set([schema.type].flat())
}

function referred (schema: JsonSchema, root: JsonSchema): unknown {
  if (typeof schema.$ref !== 'string' || !schema.$ref.startsWith('#/')) return undefined
  let at: unknown = root
  for (const step of schema.$ref.slice(2).split('/')) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~')
    at = isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined
  }
  return at
}

function shapeOf (schema: unknown, root: JsonSchema): Shape {
  return isObject(schema) ? { schema, root } : null
}

function isObject (value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
