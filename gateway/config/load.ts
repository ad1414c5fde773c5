import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import type { Config, Fault, Files, JsonSchema } from '../contract.ts'
import { buildConfig, type Written } from './build.ts'
import { Cursor } from './cursor.ts'
import { createFiles } from './files.ts'
import { byPlace } from './format.ts'
import { declaredSecrets, hideLiterals, literalFaults, makeSecrets, readSecrets, unmadeSecret } from './secrets.ts'
import { semanticFaults } from './semantics.ts'
import { Source } from './source.ts'
import type { Environment } from './substitute.ts'

/** The schema that editors show is the one the loader keeps to. */
const SCHEMA = JSON.parse(readFileSync(new URL('../../schemas/gateway.config.schema.json', import.meta.url), 'utf8')) as JsonSchema

const fillDefaults = new Ajv({ useDefaults: true, allErrors: true, strictTypes: false, strictRequired: false }).compile(SCHEMA)

export interface LoadOptions {
  /** Path of the config, relative to `cwd`. */
  file: string
  cwd: string
  env: Environment
  /** Make the files of secrets that are declared with `generate`; only where nothing else is wrong. */
  createSecrets: boolean
  /** Instead of the file's `sandbox.enabled`. */
  sandbox?: boolean
  /** Instead of the file's `server.port`. */
  port?: number
}

export interface Loaded {
  /** Null where there are faults. */
  config: Config | null
  /** All there are, by file, line and column. */
  faults: Fault[]
  files: Files
}

/** Reads `gateway.config.yaml` into a frozen Config, or tells everything that is wrong with it. Does not throw for what it finds. */
export async function loadConfig ({ file, cwd, env, createSecrets, sandbox, port }: LoadOptions): Promise<Loaded> {
  const files = createFiles({ cwd, env })
  const read = files.read(file, { substitute: true })
  if (!(read.file instanceof Source)) return { config: null, faults: read.faults, files }
  const source = read.file
  const root = new Cursor(withDefaults(source.value, { sandbox, port }))
  const sandboxOn = root.get('sandbox', 'enabled').value === true

  const everySecret = declaredSecrets(root, true)
  hideLiterals(source, root)
  const literals = literalFaults(source, everySecret)
  const secrets = readSecrets(source, files, env, declaredSecrets(root, sandboxOn))
  const faults = [
    ...read.faults,
    ...files.check(source, SCHEMA).filter(fault => !literals.some(({ path }) => path === fault.path)),
    ...literals,
    ...semanticFaults(source, files, root, sandboxOn),
    ...secrets.faults
  ]
  if (faults.length > 0) return { config: null, faults: faults.toSorted(byPlace).map(fault => source.shownAgain(fault)), files }

  for (const one of secrets.unmade) secrets.found.set(one.at.pointer, unmadeSecret(source, one))
  if (createSecrets) {
    const made = makeSecrets(source, files, secrets.unmade)
    if (made.faults.length > 0) return { config: null, faults: made.faults.toSorted(byPlace), files }
    for (const [pointer, secret] of made.found) secrets.found.set(pointer, secret)
  }
  return { config: buildConfig(source, root.value as Written, secrets.found), faults: [], files }
}

// The defaults stand in the schema and nowhere else. A value of the wrong form keeps it; its fault is told elsewhere.
function withDefaults (value: unknown, instead: { sandbox: boolean | undefined, port: number | undefined }): unknown {
  const filled = structuredClone(value)
  fillDefaults(filled)
  if (instead.sandbox !== undefined) set(filled, 'sandbox', 'enabled', instead.sandbox)
  if (instead.port !== undefined) set(filled, 'server', 'port', instead.port)
  return filled
}

function set (value: unknown, section: string, key: string, instead: unknown): void {
  const at = new Cursor(value).get(section).value
  if (typeof at === 'object' && at !== null) (at as Record<string, unknown>)[key] = instead
}
