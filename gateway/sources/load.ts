// From the folders a config names to sources ready for use, with every fault of all of them.

import { existsSync, realpathSync } from 'node:fs'
import { join, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import addFormats from 'ajv-formats'
import type { ValidateFunction } from 'ajv/dist/2020.js'
import type { Fault, Files, JsonSchema, SourceCode, SourceConfig, SourceFile } from '../contract.ts'
import { CODES, nearest } from '../errors.ts'
import { schemaCompiler } from '../json-schema.ts'

/** A source's folder, read and checked. */
export interface LoadedSource {
  id: string
  /** Absolute path of its folder. */
  dir: string
  code: Readonly<SourceCode>
  /** As the config gives them, with the schema's defaults. */
  options: Record<string, unknown>
  /** For the sandbox alone, which is off. */
  off: boolean
}

export interface LoadSourcesOptions {
  configs: readonly SourceConfig[]
  files: Files
  /** The file that names the folders: gateway.config.yaml. */
  from: SourceFile
  /** The types that are declared there. */
  eventTypes: readonly string[]
}

/** Loads every folder. With any fault the map must not be used: it holds only those without one. */
export async function loadSources ({ configs, files, from, eventTypes }: LoadSourcesOptions): Promise<{ sources: Map<string, LoadedSource>, faults: Fault[] }> {
  const sources = new Map<string, LoadedSource>()
  const faults: Fault[] = []
  for (const config of configs) {
    const loaded = await loadSource(config, files, from, eventTypes)
    if ('faults' in loaded) faults.push(...loaded.faults)
    else sources.set(config.id, loaded)
  }
  return { sources, faults }
}

async function loadSource (config: SourceConfig, files: Files, from: SourceFile, eventTypes: readonly string[]): Promise<LoadedSource | { faults: Fault[] }> {
  const at = `/sources/${config.id}`
  const fault = (message: string): { faults: Fault[] } => ({ faults: [from.fault('GW_SOURCE_CODE', at, message, CODES.GW_SOURCE_CODE.fix, { key: true })] })
  const found = await codeOf(config.path)
  if ('problem' in found) return fault(`${config.id}: ${found.problem}`)
  const { code } = found
  if (code.id !== config.id) return fault(`${config.id}: index.ts says it is "${code.id}"`)
  const schema = code.options ?? NO_OPTIONS
  const compiled = compile(schema)
  if (typeof compiled === 'string') return fault(`${config.id}: the schema of its options cannot be used: ${compiled}`)
  const options = structuredClone(config.options)
  const faults = [...secretFaults(config, code, from), ...eventFaults(config, code, from, eventTypes), ...compiled(options) ? [] : optionFaults(config, schema, compiled, files, from)]
  return faults.length > 0 ? { faults } : { id: config.id, dir: config.path, code, options, off: config.off }
}

const NO_OPTIONS: JsonSchema = { type: 'object', additionalProperties: false, properties: {} }

// Node keeps a module it has loaded: a change of the code is seen after a new start, one of options and secrets at a reload.
async function codeOf (dir: string): Promise<{ code: SourceCode } | { problem: string }> {
  const path = join(dir, 'index.ts')
  if (!existsSync(path)) return { problem: `no index.ts in ${dir}` }
  if (!realpathSync(path).startsWith(realpathSync(dir) + sep)) return { problem: 'index.ts lies outside the folder' }
  try {
    const { default: code } = await import(pathToFileURL(path).href) as { default?: unknown }
    return isCode(code) ? { code } : { problem: 'index.ts has no default export made by defineSource' }
  } catch (error) {
    return { problem: `index.ts does not load: ${error instanceof Error ? error.message : String(error)}` }
  }
}

function isCode (value: unknown): value is SourceCode {
  if (value === null || typeof value !== 'object') return false
  const { id, routes, translate, events } = value as Record<string, unknown>
  return typeof id === 'string' && Array.isArray(events) && [routes, translate].every(hook => hook === undefined || typeof hook === 'function')
}

function compile (schema: JsonSchema): ValidateFunction | string {
  try {
    const ajv = schemaCompiler({ allErrors: true, strict: true, strictTypes: false, strictRequired: false, useDefaults: true })
    addFormats.default(ajv)
    return ajv.compile(schema)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Told at their places in the config; where the place is missing altogether, at the source. */
function optionFaults ({ id }: SourceConfig, schema: JsonSchema, { errors }: ValidateFunction, files: Files, from: SourceFile): Fault[] {
  const placed = files.check(from, { properties: { sources: { properties: { [id]: { properties: { options: schema } } } } } })
  if (placed.length > 0) return placed
  return (errors ?? []).map(error => from.fault('GW_CONFIG_MISSING_KEY', `/sources/${id}`, `/sources/${id}/options${error.instancePath} ${error.message ?? 'does not fit'}`, CODES.GW_CONFIG_MISSING_KEY.fix, { key: true }))
}

/** A type that nobody declared would be told by the first webhook, and not before. */
function eventFaults ({ id }: SourceConfig, code: SourceCode, from: SourceFile, declared: readonly string[]): Fault[] {
  return code.events.filter(type => !declared.includes(type))
    .map(type => from.fault('GW_CONFIG_REFERENCE', `/sources/${id}`, `the source makes events of the type "${type}", which is not declared`, `Declare ${type} under event_types, or take the source out.`, { key: true }))
}

function secretFaults ({ id, secrets, off }: SourceConfig, code: SourceCode, from: SourceFile): Fault[] {
  if (off) return [] // they are not read
  const [at, needed, given] = [`/sources/${id}`, code.secrets ?? [], Object.keys(secrets)]
  const missing = needed.filter(name => (secrets[name] ?? []).length === 0)
    .map(name => from.fault('GW_CONFIG_MISSING_KEY', at, `${at}/secrets has no "${name}", which the source needs`, `Add ${name}: { env: … } or { file: … }; a list of them while it changes.`, { key: true }))
  const unknown = given.filter(name => !needed.includes(name)).map(name => {
    const near = nearest(name, needed)
    return from.fault('GW_CONFIG_UNKNOWN_KEY', `${at}/secrets/${name}`, `the source has no secret called "${name}"`, near === null ? `It has: ${needed.join(', ') || 'none'}.` : `Did you mean "${near}"?`, { key: true })
  })
  return [...missing, ...unknown]
}
