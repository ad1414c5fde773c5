import type { ErrorObject } from 'ajv'
import type { JsonSchema } from '../contract.ts'

/** Ajv's errors without the noise: of the branches of anyOf and oneOf, only those that tell what is wrong. */
export function violations (errors: readonly ErrorObject[], root: JsonSchema): ErrorObject[] {
  let kept: ErrorObject[] = []
  for (const error of errors) {
    if (error.keyword === 'if' || error.keyword === 'propertyNames') continue // what they found is reported itself
    if (error.keyword !== 'anyOf' && error.keyword !== 'oneOf') {
      kept.push(error)
      continue
    }
    const branches = (error.schema as JsonSchema[]).map(branch => reachable(branch, root))
    const inside = new Set(kept.filter(child => isBelow(child, error) && branches.some(branch => branch.has(child.parentSchema))))
    const groups = branches.map(branch => [...inside].filter(child => branch.has(child.parentSchema)))
    kept = [...kept.filter(child => !inside.has(child)), ...useful(error, groups)]
  }
  return kept
}

// The branches that the value was not meant for differ at the value itself: in its type, or in a constant.
function useful (error: ErrorObject, groups: ErrorObject[][]): ErrorObject[] {
  const meant = groups.filter(group => group.length > 0 && !group.some(child => differs(child, error)))
  if (meant.length === 0) return [error]
  if (meant.length > 1 && meant.every(group => group.length === 1 && isMissing(group[0]!, error))) {
    const names = meant.map(group => String(group[0]!.params['missingProperty']))
    return [{ ...meant[0]![0]!, params: { missingProperty: names.join('" or "') } }]
  }
  return meant.toSorted((a, b) => distance(a) - distance(b))[0]!
}

function differs (child: ErrorObject, error: ErrorObject): boolean {
  return child.instancePath === error.instancePath && ['type', 'const', 'enum'].includes(child.keyword)
}

function isMissing (child: ErrorObject, error: ErrorObject): boolean {
  return child.keyword === 'required' && child.instancePath === error.instancePath
}

// A constant that is not met says that another branch was meant, so it weighs more than any number of others.
function distance (group: ErrorObject[]): number {
  return group.reduce((sum, child) => sum + (child.keyword === 'const' ? 1000 : 1), 0)
}

function isBelow (child: ErrorObject, error: ErrorObject): boolean {
  return child.instancePath === error.instancePath || child.instancePath.startsWith(`${error.instancePath}/`)
}

// Every schema object a branch consists of, by identity: ajv names an error's schema by the place of its
// definition, which does not say through which branch it was reached.
function reachable (branch: unknown, root: JsonSchema, found = new Set<unknown>()): Set<unknown> {
  if (typeof branch !== 'object' || branch === null || found.has(branch)) return found
  found.add(branch)
  for (const [key, value] of Object.entries(branch)) {
    reachable(key === '$ref' && typeof value === 'string' ? lookUp(root, value) : value, root, found)
  }
  return found
}

function lookUp (root: JsonSchema, ref: string): unknown {
  let at: unknown = root
  for (const part of ref.replace(/^#\/?/, '').split('/').filter(part => part !== '')) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[key] : undefined
  }
  return at
}
