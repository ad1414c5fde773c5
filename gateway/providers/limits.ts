// Limit groups: which endpoints are counted together.

import type { LimitGroup, Window } from '../contract.ts'
import { durationMs } from './units.ts'
import type { LimitSource } from './manifest.ts'

/** `GET /api/metrics/{id}` in its parts. */
export function endpoint (text: string): { method: string, path: string } {
  const at = text.indexOf(' ')
  return { method: text.slice(0, at), path: text.slice(at + 1) }
}

/** A path template with each `{{ }}` as a `{}`. */
export function patternOf (template: string): string {
  return template.replace(/\{\{.*?\}\}/gs, '{}')
}

/**
 * Whether an endpoint's path takes this path. `{name}` there stands for one part, whatever it is;
 * a part that varies here (it holds `{}`) fits only such a one.
 */
export function covers (pattern: string, path: string): boolean {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return false
  return wanted.every((part, i) => varies(part) ? given[i] !== '' : part === given[i])
}

function varies (part: string): boolean {
  return part.startsWith('{') && part.endsWith('}')
}

/** The groups by name; windows of the config go before those of the manifest. */
export function limitGroups (limits: Record<string, LimitSource>, instead: Record<string, Window[]>): Record<string, LimitGroup> {
  return Object.fromEntries(Object.entries(limits).map(([name, { match, windows }]) => [name, {
    name,
    match: match.map(endpoint),
    windows: (Object.hasOwn(instead, name) ? instead[name] : undefined) ?? windows.map(({ max, per }) => ({ max, perMs: durationMs(per) }))
  }]))
}

/** Names of the groups a request stands in; exactly one, in a manifest that is in order. */
export function groupsOf (limits: Record<string, LimitSource>, method: string, pathTemplate: string): string[] {
  const path = patternOf(pathTemplate)
  return Object.entries(limits)
    .filter(([, { match }]) => match.map(endpoint).some(one => one.method === method && covers(one.path, path)))
    .map(([name]) => name)
}
