// JSON Schema, draft 2020-12. Whether a schema is one at all is judged by a validator that all share: making it takes
// longer than compiling any schema of ours.

import type { AnySchema, Options } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'

const META = new Ajv2020()

class Compiler extends Ajv2020 {
  override validateSchema (schema: AnySchema, orThrow?: boolean): ReturnType<Ajv2020['validateSchema']> {
    const valid = META.validateSchema(schema, orThrow)
    this.errors = META.errors ?? null
    return valid
  }
}

/** Compiles schemas as `new Ajv2020(options)` does, and like it throws where one is no valid schema. */
export function schemaCompiler (options: Omit<Options, 'meta' | 'defaultMeta' | 'validateSchema'>): Ajv2020 {
  return new Compiler({ ...options, meta: false })
}
