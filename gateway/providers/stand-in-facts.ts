// What a manifest tells about the API it describes: enough for a strict stand-in to play it.

import { readFileSync } from 'node:fs'
import type { JsonSchema, StandIn, StandInRequest } from '../contract.ts'
import { schemaCompiler } from '../json-schema.ts'
import { closed, fileOf, treeOf } from './compile.ts'
import type { Compiling } from './compile.ts'
import { groupsOf, patternOf } from './limits.ts'
import { keysOf, step } from '../json-pointer.ts'
import type { Manifest, RequestSource } from './manifest.ts'

/** Facts from the manifest, with the schema files it names. Faults are pushed to `compiling.faults`. */
export function standInFacts (manifest: Manifest, compiling: Compiling): StandIn {
  return {
    auth: Object.values(manifest.auth).map(({ headers }) => Object.fromEntries(Object.entries(headers).map(([name, template]) => [name, shapeOfText(template)]))),
    requests: Object.entries(manifest.requests).map(([name, request]) => standInRequest(name, request, manifest, compiling))
  }
}

function standInRequest (name: string, request: RequestSource, manifest: Manifest, compiling: Compiling): StandInRequest {
  const facts = Object.hasOwn(manifest.stand_in, name) ? manifest.stand_in[name] : undefined
  const encoding = request.encoding ?? 'json'
  return {
    name,
    group: groupsOf(manifest.limits, request.method, request.path)[0] ?? '',
    method: request.method,
    path: patternOf(request.path),
    headers: fixedHeaders({ ...manifest.headers, ...request.headers }, request.body !== undefined),
    encoding,
    schema: facts?.schema === undefined ? derived(name, request, compiling) : schemaFile(facts.schema, `/stand_in${step(name)}/schema`, compiling),
    answer: { status: facts?.status ?? 200, body: facts?.body ?? {} },
    key: facts?.key ?? null
  }
}

function schemaFile (name: string, pointer: string, compiling: Compiling): JsonSchema | null {
  const path = fileOf(name, pointer, compiling)
  if (path === null) return null
  try {
    const schema = JSON.parse(readFileSync(path, 'utf8')) as JsonSchema
    schemaCompiler({ strict: false, logger: false }).compile(schema)
    return schema
  } catch (error) {
    compiling.faults.push(compiling.file.fault('GW_CONFIG_VALUE', pointer, `no usable JSON Schema: ${(error as Error).message}`, 'Correct the schema (draft 2020-12).'))
    return null
  }
}

/** Headers that hold no template: an API that asks for them can be told from one that does not. */
function fixedHeaders (headers: Record<string, string>, hasBody: boolean): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name, value]) => !value.includes('{{') && (hasBody || name !== 'content-type')))
}

/** The source of a regular expression for the texts a template can become. */
function shapeOfText (template: string): string {
  return '^' + template.split(/\{\{.*?\}\}/s).map(literal).join('.+') + '$'
}

function literal (text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
}

/** The shape of what a request's tree can become: these keys, these literals, and text where text is mixed. */
function derived (name: string, request: RequestSource, compiling: Compiling): JsonSchema | null {
  if (request.body === undefined) return null
  const tree = treeOf(request.body, `/requests${step(name)}/body`, compiling)
  if (tree === null) return null
  return shapeOf(tree.value, (request.omit_empty ?? []).map(keysOf), request.encoding === 'form')
}

/** `omit`: ways, from here on, to where keys may be missing. */
function shapeOf (tree: unknown, omit: readonly string[][], form: boolean): JsonSchema {
  if (typeof tree === 'string') return form ? formShape(tree) : leafShape(tree)
  if (Array.isArray(tree)) return { type: 'array' }
  if (tree === null || typeof tree !== 'object') return { const: form ? String(tree) : tree }
  const below = (key: string): string[][] => omit.filter(way => way.length === 0 || way[0] === key).map(way => way.slice(1))
  const shape = closed(Object.fromEntries(Object.entries(tree).map(([key, child]) => [key, shapeOf(child, below(key), form)])))
  if (omit.some(way => way.length === 0)) return { ...shape, required: [] }
  const named = new Set(omit.filter(way => way.length === 1).map(([key]) => key)) // a value of its own that may be absent
  return { ...shape, required: Object.keys(tree).filter(key => !named.has(key) || isBranch((tree as Record<string, unknown>)[key])) }
}

function isBranch (tree: unknown): boolean {
  return tree !== null && typeof tree === 'object'
}

function leafShape (template: string): JsonSchema {
  if (!/\{[{%]/.test(template)) return { const: template }
  const lone = /^\s*\{\{.*?\}\}\s*$/s.test(template)
  return lone ? {} : { type: 'string', pattern: template.includes('{%') ? '' : shapeOfText(template).replaceAll('.+', '[^]*') }
}

/** A form holds text alone: some, and of control characters no more than tabs and line breaks. */
function formShape (template: string): JsonSchema {
  const shape = leafShape(template)
  return 'const' in shape ? shape : { allOf: [{ type: 'string', pattern: '^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f]+$' }, shape] }
}
