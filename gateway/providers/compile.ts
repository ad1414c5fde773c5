// What is needed to turn the templates of one manifest into compiled trees: their files, what they may read, their faults.

import { existsSync } from 'node:fs'
import type { CompiledTree, EventTypeConfig, Fault, Files, JsonSchema, Mapper, Readable, SourceFile } from '../contract.ts'
import { within } from './manifest.ts'
import type { Manifest } from './manifest.ts'

/** The schema of each event type's data, by type. */
export type EventSchemas = Record<EventTypeConfig['type'], JsonSchema>

/** A tree of templates and where it stands. */
export interface Tree { value: unknown, file: SourceFile, pointer: string }

export interface Compiling {
  dir: string
  file: SourceFile
  files: Files
  mapper: Mapper
  faults: Fault[]
  /** Mapping files by path: read once, their faults told once. */
  read: Map<string, SourceFile | null>
}

/** A tree written in place, or the mapping file of the folder that it names; null with a fault where that cannot be had. */
export function treeOf (value: unknown, pointer: string, compiling: Compiling): Tree | null {
  if (typeof value !== 'string' || !value.endsWith('.yaml')) return { value, file: compiling.file, pointer }
  const path = fileOf(value, pointer, compiling)
  if (path === null) return null
  if (!compiling.read.has(path)) {
    const { file, faults } = compiling.files.read(path)
    compiling.faults.push(...faults)
    compiling.read.set(path, faults.length > 0 ? null : file)
  }
  const file = compiling.read.get(path) ?? null
  return file === null ? null : { value: file.value, file, pointer: '' }
}

/** The path of a file that the manifest names at `pointer`; null with a fault where it is missing or outside the folder. */
export function fileOf (name: string, pointer: string, { dir, file, faults }: Compiling): string | null {
  const path = within(dir, name)
  if (path === null) {
    faults.push(file.fault('GW_CONFIG_VALUE', pointer, `"${name}" lies outside the provider's folder`, 'Keep the file in the folder, and name it from there.'))
    return null
  }
  if (existsSync(path)) return path
  faults.push(file.fault('GW_FILE_MISSING', pointer, `no file "${name}" in the provider's folder`, 'Create the file, or correct its name.'))
  return null
}

/** Compiles a tree with its faults; null where it could not be had. */
export function compileTree (value: unknown, pointer: string, readable: Readable, compiling: Compiling): CompiledTree | null {
  const tree = treeOf(value, pointer, compiling)
  return tree === null ? null : compiling.mapper.compile(tree.value, tree.file, tree.pointer, readable, compiling.faults)
}

const TEXT: JsonSchema = { type: 'string' }

/** JSON Schema of a connection's settings: closed; each has a default, so none is ever absent. */
export function settingsSchema (manifest: Manifest): JsonSchema {
  return closed(manifest.settings)
}

export function settingsDefaults (manifest: Manifest): Record<string, unknown> {
  return defaultsOf(manifest.settings)
}

/** The default of each: the manifest's schema asks for one. */
export function defaultsOf (schemas: Record<string, JsonSchema>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, schema['default']]))
}

/** What auth templates see: the secrets and the connection, nothing of the event. */
export function authReadable (manifest: Manifest, fields: readonly string[]): Readable {
  return { secret: closed(Object.fromEntries(fields.map(name => [name, TEXT]))), connection: connectionSchema(manifest), ...platformReadable(manifest) }
}

/** What the platform chose, and where others reach this gateway. */
function platformReadable (manifest: Manifest): Readable {
  return { options: closed(manifest.options), gateway: closed({ url: TEXT }) }
}

export function connectionReadable (manifest: Manifest): Readable {
  return { connection: connectionSchema(manifest) }
}

/** What a request that no event uses may read: a check's or a hook's. */
export function requestReadable (manifest: Manifest): Readable {
  return { ...connectionReadable(manifest), ...platformReadable(manifest), map: true }
}

/**
 * What the mapping of an event may read. `delivery.attempt` is not among it: an attempt must not change
 * the bytes, or a provider that tells repeats by them could not. `delivery.open_for_s` does; whoever declares quiet hours tells
 * repeats otherwise.
 */
export function eventReadable (manifest: Manifest, data: JsonSchema): Readable {
  return {
    data,
    shop: closed({ id: TEXT, name: TEXT, domain: TEXT }),
    connection: connectionSchema(manifest),
    event: closed({ id: TEXT, source: TEXT, type: TEXT, time: TEXT }),
    delivery: closed({ id: TEXT, key: TEXT, ...(manifest.record_only && { record_only: { type: 'boolean' } }), ...(manifest.quiet_hours && { open_for_s: { type: 'integer' } }) }),
    ...platformReadable(manifest)
  }
}

function connectionSchema (manifest: Manifest): JsonSchema {
  return closed({ account_id: TEXT, settings: settingsSchema(manifest) })
}

/** An object with these keys, all of them there, and no others. */
export function closed (properties: Record<string, JsonSchema>): JsonSchema {
  return { type: 'object', additionalProperties: false, required: Object.keys(properties), properties }
}
