import { Output, TypeGuards } from 'liquidjs'
import type { Template } from 'liquidjs'
import { pathOf } from './path.ts'

/** Reads one value from the scope: undefined where it is absent and nothing stands in for it. */
export type Reader = (scope: object) => unknown

/**
 * Most leaves are one variable, perhaps with a default. Those are read directly, which is several times faster
 * than the engine, and gives the same; null for every other template.
 */
export function directReader (templates: Template[]): Reader | null {
  const [output] = templates
  if (templates.length !== 1 || !(output instanceof Output)) return null
  const { initial, filters } = output.value
  const path = initial.postfix.length === 1 ? pathOf(initial.postfix[0]!) : null
  if (path === null || !path.keys.every(isPlainKey)) return null
  const keys = path.keys as string[]
  if (filters.length === 0) return scope => read(scope, keys)
  const [filter] = filters
  const [fallback] = filter!.args
  if (filters.length > 1 || filter!.name !== 'default' || filter!.args.length !== 1) return null
  if (!TypeGuards.isQuotedToken(fallback) && !TypeGuards.isNumberToken(fallback)) return null
  return scope => or(read(scope, keys), fallback.content)
}

// size, first and last are asked of lists and texts, which the engine answers.
function isPlainKey (key: unknown): boolean {
  return typeof key === 'string' && !['size', 'first', 'last'].includes(key)
}

function read (scope: object, keys: string[]): unknown {
  let at: unknown = scope
  for (const key of keys) {
    if (at === null || at === undefined) return at
    at = Object.hasOwn(at, key) ? (at as Record<string, unknown>)[key] : undefined
  }
  return at
}

// Liquid's default stands in for what is absent, null, false or empty.
function or (value: unknown, fallback: unknown): unknown {
  if (value === undefined || value === null || value === false) return fallback
  return (typeof value === 'string' || Array.isArray(value)) && value.length === 0 ? fallback : value
}
