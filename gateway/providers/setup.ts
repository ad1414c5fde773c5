// The set-up steps of a manifest: defaults filled in, templates compiled, and what a merchant calls things at the provider.

import type { JsonSchema, LookUp, PossibleCause, Provider, Readable, SetupStep } from '../contract.ts'
import { MappingError } from '../errors.ts'
import { step } from '../json-pointer.ts'
import { closed, compileTree, connectionReadable, treeOf, type Compiling } from './compile.ts'
import type { LookUpSource, Manifest, StepSource } from './manifest.ts'
import { durationMs } from './units.ts'

const TEXT: JsonSchema = { type: 'string' }

/** The steps, in the manifest's order. */
export function compileSetup (manifest: Manifest, compiling: Compiling): SetupStep[] {
  return manifest.setup.map((source, i) => compileStep(source, `/setup/${i}`, manifest, compiling))
}

function compileStep (source: StepSource, at: string, manifest: Manifest, compiling: Compiling): SetupStep {
  const { id, kind, title, text, action, per, needs = [], optional = false, when = null, recheck = 'hold', fields = {}, check = null, options = null, setting = null, empty = null, choices = [], findings = {}, arrival, says = {} } = source
  const connects = kind === 'api_key' || kind === 'oauth2'
  return {
    id, kind, title, text, needs, optional, when, recheck, fields, check, options, setting, empty, choices, says,
    ...(action !== undefined && { action }),
    ...(per !== undefined && { per }),
    auth: connects ? source.auth ?? Object.keys(manifest.auth)[0] ?? null : null,
    lookUps: compileLookUps(source.look_up ?? {}, `${at}/look_up`, { ...lookUpReadable(manifest), input: texts(Object.keys(fields)) }, compiling),
    findings: Object.entries(findings).map(([name, finding]) => ({ id: name, ...finding })),
    ...(arrival !== undefined && {
      arrival: { withinMs: durationMs(arrival.within), lookUps: compileLookUps(arrival.look_up, `${at}/arrival/look_up`, { ...lookUpReadable(manifest), sent: texts(['id', 'time', 'timestamp', 'phone']) }, compiling) }
    })
  }
}

function compileLookUps (lookUps: Record<string, LookUpSource>, at: string, readable: Readable, compiling: Compiling): LookUp[] {
  const compile = (value: unknown, pointer: string) => compileTree(value, pointer, readable, compiling) ?? { render: () => ({}) }
  const values = (given: Record<string, unknown>, pointer: string) => Object.entries(given).map(([at, equals]) => ({ at, equals: compile(equals, pointer + step(at)) }))
  return Object.entries(lookUps).map(([id, { request, items, next, with: given = {}, match, unless = {}, near = null }]) => {
    const here = at + step(id)
    return {
      id,
      request,
      items,
      ...(next !== undefined && { next }),
      with: compile(given, `${here}/with`),
      match: values(match, `${here}/match`),
      unless: values(unless, `${here}/unless`),
      near
    }
  })
}

/** What each look-up may read, whatever it is for. */
function lookUpReadable (manifest: Manifest): Readable {
  return { connection: withWay(connectionReadable(manifest)['connection'] as JsonSchema), options: closed(manifest.options), trigger: TEXT, found: true }
}

function texts (names: readonly string[]): JsonSchema { return closed(Object.fromEntries(names.map(name => [name, TEXT]))) }

/** A look-up may also depend on the way of authorization, `connection.auth`. */
function withWay (connection: JsonSchema): JsonSchema {
  return closed({ ...connection['properties'] as Record<string, JsonSchema>, auth: TEXT })
}

/** What each event type is called at the provider, where the manifest says it. */
export function compileTriggers (manifest: Manifest, compiling: Compiling): Provider['trigger'] {
  const trees = new Map(Object.entries(manifest.events).flatMap(([type, { trigger }]) =>
    trigger === undefined ? [] : [[type, compileTree(trigger, `/events${step(type)}/trigger`, connectionReadable(manifest), compiling)] as const]))
  return (type, connection) => {
    try {
      const name = trees.get(type)?.render({ connection })
      return name === undefined ? null : String(name)
    } catch (error) {
      if (error instanceof MappingError) return null
      throw error
    }
  }
}

/** What may be the matter, with everything in it. */
export function compileCauses ({ possible_causes: causes }: Manifest): PossibleCause[] {
  return causes.map(({ code, when, kinds = ['marketing', 'transactional'] as const, unless_done: unlessDone = [], text, fix }) => ({ code, when, kinds, unlessDone, text, fix }))
}

/** The variables of each event type: the names in the entry of its map that the manifest says. */
export function variablesOf (manifest: Manifest, compiling: Compiling): Record<string, string[]> {
  return Object.fromEntries(Object.entries(manifest.events).map(([type, { map = {}, variables }]) => {
    const tree = variables === undefined ? null : treeOf(map[variables], `/events${step(type)}/map${step(variables)}`, compiling)
    return [type, tree === null || tree.value === null || typeof tree.value !== 'object' ? [] : Object.keys(tree.value)]
  }))
}
