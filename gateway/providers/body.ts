// Rendered trees to bytes, once, so that no value can break them.

import { MappingError } from '../errors.ts'
import { keysOf } from '../json-pointer.ts'

/** The tree without empty keys below the pointers: null, "" and objects left without keys; a pointer to a null or "" takes that key. Never alters its argument. */
export function omitEmpty (tree: unknown, pointers: readonly string[]): unknown {
  return pointers.reduce<unknown>((left, pointer) => prune(left, keysOf(pointer)), tree)
}

function prune (value: unknown, way: readonly string[]): unknown {
  const [key, ...rest] = way
  if (key === undefined) return emptied(value)
  if (!isObject(value) || !Object.hasOwn(value, key)) return value
  const child = prune(value[key], rest)
  if (rest.length === 0 && isEmpty(child) && !isObject(child)) return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))
  return { ...value, [key]: child }
}

function emptied (value: unknown): unknown {
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, emptied(child)]).filter(([, child]) => !isEmpty(child)))
}

function isEmpty (value: unknown): boolean {
  return value === null || value === undefined || value === '' || (isObject(value) && Object.keys(value).length === 0)
}

function isObject (value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

/** JSON, or a form of a flat tree: a list repeats its key, null is left out. */
export function encodeBody (tree: unknown, encoding: 'json' | 'form'): string {
  if (encoding === 'json') return JSON.stringify(tree ?? null)
  if (!isObject(tree)) throw new MappingError('a form needs keys and values')
  const form = new URLSearchParams()
  for (const [key, value] of Object.entries(tree)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one === null || one === undefined) continue
      if (typeof one === 'object') throw new MappingError(`a form cannot hold the object at ${key}`)
      form.append(key, String(one))
    }
  }
  return form.toString()
}
