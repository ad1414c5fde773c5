import addFormats from 'ajv-formats'
import type { Ajv2020, ErrorObject, ValidateFunction } from 'ajv/dist/2020.js'
import type { Detail, EventTypeConfig, Fault, Files, JsonSchema, SourceFile } from '../contract.ts'
import { schemaCompiler } from '../json-schema.ts'
import { FORMATS, STANDARD_FORMATS } from './formats.ts'
import { lintSchema } from './lint.ts'
import { toDetail } from './report.ts'

const MAX_FILE_LENGTH = 256 * 1024
const MAX_DETAILS = 50

/** The compiled schema of one event type's `data`. */
export interface EventSchema {
  readonly type: string
  readonly schema: JsonSchema
  /** Data that fits, as the file's `examples` give it. */
  readonly examples: readonly unknown[]
  /** Stops at the first fault. Alters nothing. */
  valid (data: unknown): boolean
  /** Every fault, 50 at most, paths relative to `data`; empty where the data fits. */
  faults (data: unknown): Detail[]
}

/** Reads and compiles the schema of every event type. `from` is the file that names them, for faults about a missing file. */
export function loadEventSchemas (eventTypes: Record<string, Pick<EventTypeConfig, 'schema'>>, files: Files, from: SourceFile): { schemas: Map<string, EventSchema>, faults: Fault[] } {
  const schemas = new Map<string, EventSchema>()
  const faults: Fault[] = []
  for (const [type, config] of Object.entries(eventTypes)) {
    const loaded = load(type, config.schema, files, from)
    faults.push(...loaded.faults)
    if (loaded.schema !== null) schemas.set(type, loaded.schema)
  }
  return { schemas, faults }
}

function load (type: string, path: string, files: Files, from: SourceFile): { schema: EventSchema | null, faults: Fault[] } {
  const pointer = `/event_types/${type.replaceAll('~', '~0').replaceAll('/', '~1')}/schema`
  const { text, faults } = files.text(path, { file: from, pointer })
  if (text === null) return { schema: null, faults }
  if (text.length > MAX_FILE_LENGTH) return { schema: null, faults: [from.fault('GW_SCHEMA_INVALID', pointer, 'the schema is longer than 256 KiB', 'Write a shorter schema.')] }
  const read = files.read(path)
  if (read.file === null || read.faults.length > 0) return { schema: null, faults: read.faults }
  if (!isJson(text)) return { schema: null, faults: [read.file.fault('GW_SCHEMA_INVALID', '', 'is YAML, but no JSON', 'Write JSON: names and texts in double quotes, no comments, no comma after the last.')] }
  return compile(type, read.file)
}

function compile (type: string, file: SourceFile): { schema: EventSchema | null, faults: Fault[] } {
  const faults = lintSchema(file)
  if (faults.length > 0) return { schema: null, faults }
  const json = file.value as JsonSchema
  try {
    const schema = createEventSchema(type, json)
    const bad = exampleFaults(schema, file)
    return { schema: bad.length > 0 ? null : schema, faults: bad }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { schema: null, faults: [file.fault('GW_SCHEMA_INVALID', '', message, 'Correct the JSON Schema (draft 2020-12).')] }
  }
}

function createEventSchema (type: string, schema: JsonSchema): EventSchema {
  const quick = compiler(false).compile(schema)
  let thorough: ValidateFunction | null = null
  return {
    type,
    schema,
    examples: schema.examples as unknown[],
    valid: data => quick(data),
    faults (data) {
      thorough ??= compiler(true).compile(schema)
      return thorough(data) ? [] : (thorough.errors as ErrorObject[]).filter(isCause).slice(0, MAX_DETAILS).map(toDetail)
    }
  }
}

// `if` says only that `then` or `else` failed, which is reported by itself.
function isCause (error: ErrorObject): boolean {
  return error.keyword !== 'if'
}

function compiler (allErrors: boolean): Ajv2020 {
  const ajv = schemaCompiler({ strict: true, allErrors, verbose: allErrors, formats: FORMATS })
  addFormats.default(ajv, [...STANDARD_FORMATS])
  return ajv
}

function exampleFaults (schema: EventSchema, file: SourceFile): Fault[] {
  return schema.examples.flatMap((example, i) => schema.faults(example).map(({ path, rule, message }) =>
    file.fault('GW_SCHEMA_INVALID', `/examples/${i}${path}`, `the example breaks its own schema: ${rule}, ${message}`, 'Correct the example, or the schema.')))
}

function isJson (text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
