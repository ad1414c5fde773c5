// From the platform team's files to all that a gateway is built from, without opening anything:
// the configuration, the event schemas, the mapper, the providers. Start, reload and the offline commands share it.

import { loadConfig } from './config/load.ts'
import { byPlace } from './config/format.ts'
import { leaseFaults } from './config/store.ts'
import type { Environment } from './config/substitute.ts'
import type { Config, Fault, Files, JsonSchema, Mapper, Provider, SourceFile } from './contract.ts'
import { loadEventSchemas, type EventSchema } from './events/schemas.ts'
import type { Kept } from './kept.ts'
import { createMapper } from './mapping/mapper.ts'
import { declaredFaults } from './providers/declared.ts'
import { loadProviders } from './providers/load.ts'
import { personFaults } from './providers/subscribers.ts'
import { loadSources, type LoadedSource } from './sources/load.ts'

export interface LoadAllOptions {
  /** Path of gateway.config.yaml, relative to `cwd`. */
  file: string
  cwd: string
  env: Environment
  /** Make the files of secrets that are declared with `generate`. */
  createSecrets: boolean
  /** Instead of the file's `sandbox.enabled`; null or absent keeps the file's. */
  sandbox?: boolean | null
  /** Instead of the file's `server.port`; null or absent keeps the file's. */
  port?: number | null
  /** Instead of the file's: what a gateway that runs was started with. */
  started?: Kept
  /** Address that stands in for the providers, or what gives it once the config is known; null where there is no sandbox. */
  sandboxUrl: string | null | ((config: Config) => string | null)
}

export interface Loaded {
  config: Config
  /** As the file has it, also where `config` keeps what was before. */
  written: Kept
  schemas: Map<string, EventSchema>
  mapper: Mapper
  providers: Map<string, Provider>
  sources: Map<string, LoadedSource>
  files: Files
}

/** The platform team's files have faults; thrown where nothing can be done without them. `formatFaults` shows them. */
export class FaultsFound extends Error {
  override readonly name = 'FaultsFound'
  readonly faults: readonly Fault[]

  constructor (faults: readonly Fault[]) {
    super(`${faults.length} fault(s) in the files`)
    this.faults = faults
  }
}

/** As `loadAll`; throws FaultsFound where there are faults. */
export async function loadSound (options: LoadAllOptions): Promise<Loaded> {
  const { loaded, faults } = await loadAll(options)
  if (loaded === null) throw new FaultsFound(faults)
  return loaded
}

/** Loads everything, or tells all that is wrong with it, by file, line and column. Does not throw for what it finds. */
export async function loadAll (options: LoadAllOptions): Promise<{ loaded: Loaded | null, faults: Fault[] }> {
  const { config: read, faults, files } = await loadConfig(configOptions(options))
  if (read === null) return { loaded: null, faults }
  const config = options.started ? Object.freeze({ ...read, ...options.started }) : read
  const { file: from, faults: unread } = files.read(config.file, { substitute: true })
  if (from === null) return { loaded: null, faults: unread }
  const { schemas, faults: ofSchemas } = loadEventSchemas({ ...config.eventTypes, ...config.recordedTypes }, files, from)
  const mapper = createMapper()
  const sandboxUrl = typeof options.sandboxUrl === 'function' ? options.sandboxUrl(config) : options.sandboxUrl
  const { providers, faults: ofProviders } = await providersOf({ config, schemas, mapper, files, from, sandboxUrl })
  const { sources, faults: ofSources } = await loadSources({ configs: config.sources, files, from, eventTypes: Object.keys({ ...config.eventTypes, ...config.recordedTypes }) })
  const all = [...ofSchemas, ...ofProviders, ...declaredFaults(from, providers, config.shops), ...personFaults(from, providers.values(), config), ...leaseFaults(from, config, providers.values()), ...ofSources].toSorted(byPlace)
  return { loaded: all.length > 0 ? null : { config, written: { server: read.server, store: read.store }, schemas, mapper, providers, sources, files }, faults: all }
}

function configOptions ({ file, cwd, env, createSecrets, sandbox, port }: LoadAllOptions): Parameters<typeof loadConfig>[0] {
  return { file, cwd, env, createSecrets, ...(typeof sandbox === 'boolean' && { sandbox }), ...(typeof port === 'number' && { port }) }
}

interface Parts { config: Config, schemas: Map<string, EventSchema>, mapper: Mapper, files: Files, from: SourceFile, sandboxUrl: string | null }

// Where a schema has a fault its fields are not known, so the mappings that read them are checked for all else.
async function providersOf ({ config, schemas, mapper, files, from, sandboxUrl }: Parts): ReturnType<typeof loadProviders> {
  const types = Object.keys(config.eventTypes)
  const eventTypes = Object.fromEntries(types.map((type): [string, JsonSchema] => [type, schemas.get(type)?.schema ?? {}]))
  const loaded = await loadProviders({ configs: config.providers, eventTypes, files, mapper, from, sandboxUrl, publicUrl: config.server.publicUrl })
  if (types.every(type => schemas.has(type))) return loaded
  return { ...loaded, faults: loaded.faults.filter(fault => fault.code !== 'GW_MAPPING_OPTIONAL') }
}
