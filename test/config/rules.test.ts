// Every rule of schemas/gateway.config.schema.json is broken once, in a config that is right otherwise: the
// fault must have the code of the rule and stand on the line that was changed.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isMap, isScalar, parseDocument, Scalar } from 'yaml'
import type { Document, Pair } from 'yaml'
import type { Code } from '../../gateway/errors.ts'
import { environment, FILES, FULL, FULL_POSTGRES, load } from './valid.ts'

type Schema = Record<string, unknown>
type Path = Array<string | number>
interface Rule { name: string, keyword: string, path: Path, schema: Schema }
interface Broken { yaml: string, line: number, code: Code }

const SCHEMA = JSON.parse(readFileSync(new URL('../../schemas/gateway.config.schema.json', import.meta.url), 'utf8')) as Schema
const ANNOTATIONS = new Set(['$schema', 'title', 'description', 'default', 'examples', 'properties', 'items'])
const MARK = ' HERE'

/** Both as they were parsed once, for looking only. */
const DOCUMENT = parseDocument(FULL)
const DOCUMENT_POSTGRES = parseDocument(FULL_POSTGRES)

/** The valid config in which a path stands: what only one of the two stores knows is in one of them. */
function fullWith (path: Path): string {
  return DOCUMENT.hasIn(path) ? FULL : FULL_POSTGRES
}

function documentWith (path: Path): Document {
  return DOCUMENT.hasIn(path) ? DOCUMENT : DOCUMENT_POSTGRES
}

/** Every rule with the path of a value of a valid config that it holds for. */
function rules (schema: Schema, path: Path = [], name = ''): Rule[] {
  const own = Object.keys(schema).filter(keyword => !ANNOTATIONS.has(keyword))
    .map(keyword => ({ name: `${name}/${keyword}`, keyword, path, schema }))
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>)
    .flatMap(([key, child]) => rules(child, [...path, key], `${name}/properties/${key}`))
  const items = schema['items'] === undefined ? [] : rules(schema['items'] as Schema, [...path, 0], `${name}/items`)
  const rest = schema['additionalProperties']
  const members = typeof rest === 'object' ? rules(rest as Schema, [...path, firstKey(path)], `${name}/additionalProperties`) : []
  return [...own.filter(rule => !(rule.keyword === 'additionalProperties' && rest !== false)), ...properties, ...items, ...members, ...branches(schema, path, name)]
}

// Of an anyOf over values (not over required keys) the branch that the valid config's value takes has rules of its own.
function branches (schema: Schema, path: Path, name: string): Rule[] {
  const list = (schema['anyOf'] ?? []) as Schema[]
  const taken = Array.isArray(path.length === 0 ? {} : valueAt(path)) ? 'array' : 'object'
  return list.flatMap((branch, i) => branch['type'] === taken ? rules(branch, path, `${name}/anyOf/${i}`).filter(({ keyword, path: at }) => keyword !== 'type' || at !== path) : [])
}

function firstKey (path: Path): string {
  const map = documentWith(path).getIn(path)
  if (!isMap(map)) throw new Error(`the valid config has no map at ${path.join('/')}`)
  return String((map.items[0] as Pair<Scalar>).key.value)
}

/** Texts that break the rule, by keyword; null where this way of breaking it does not apply. */
const BREAK: Record<string, (rule: Rule) => Broken[]> = {
  type: rule => [replaced(rule, wrongType(rule.schema['type']), isSecret(rule) ? 'GW_CONFIG_SECRET' : 'GW_CONFIG_TYPE')],
  enum: rule => [replaced(rule, 'no-such-value', 'GW_CONFIG_VALUE')],
  const: rule => [replaced(rule, 99, 'GW_CONFIG_VALUE')],
  pattern: rule => [replaced(rule, '  !! ', 'GW_CONFIG_VALUE')],
  minLength: rule => [replaced(rule, '', 'GW_CONFIG_VALUE')],
  maxLength: rule => [replaced(rule, '^' + 'a'.repeat(Number(rule.schema['maxLength'])) + '$', 'GW_CONFIG_VALUE')],
  minimum: rule => [replaced(rule, Number(rule.schema['minimum']) - 1, 'GW_CONFIG_VALUE')],
  maximum: rule => [replaced(rule, Number(rule.schema['maximum']) + 1, 'GW_CONFIG_VALUE')],
  minItems: rule => [replaced(rule, [], 'GW_CONFIG_VALUE')],
  maxItems: rule => [replaced(rule, Array.from({ length: Number(rule.schema['maxItems']) + 1 }, () => valueAt([...rule.path, 0])), 'GW_CONFIG_VALUE')],
  uniqueItems: rule => [repeated(rule)],
  required: rule => (rule.schema['required'] as string[]).map(key => without(rule, [key])),
  anyOf: rule => [requiresOne(rule) ? without(rule, ['env', 'file', 'generate', 'prefix']) : replaced(rule, 5, holdsSecret(rule) ? 'GW_CONFIG_SECRET' : 'GW_CONFIG_TYPE')],
  dependencies: rule => Object.entries(rule.schema['dependencies'] as Record<string, string[]>)
    .flatMap(([key, needs]) => needs.map(needed => without(rule, [needed], key))),
  additionalProperties: rule => [added(rule, 'no_such_key', 'GW_CONFIG_UNKNOWN_KEY')],
  propertyNames: rule => [added(rule, 'Not A Name', 'GW_CONFIG_VALUE')]
}

function requiresOne (rule: Rule): boolean {
  return (rule.schema['anyOf'] as Schema[]).every(branch => 'required' in branch)
}

// A text where a secret is declared is not just of the wrong type: somebody wrote the secret itself.
function isSecret (rule: Rule): boolean {
  return 'env' in ((rule.schema['properties'] ?? {}) as object)
}

function holdsSecret (rule: Rule): boolean {
  return (rule.schema['anyOf'] as Schema[]).some(branch => isSecret({ ...rule, schema: branch }))
}

function wrongType (type: unknown): unknown {
  return [type].flat().includes('string') ? 5 : 'text'
}

function valueAt (path: Path): unknown {
  const node = documentWith(path).getIn(path, true)
  return isScalar(node) ? node.value : (node as { toJSON (): unknown }).toJSON()
}

function replaced ({ path }: Rule, value: unknown, code: Code): Broken {
  return marked(path, code, doc => {
    const node = doc.createNode(value, { flow: true })
    doc.setIn(path, node)
    return path.length === 0 ? doc.contents : node
  })
}

function added ({ path }: Rule, key: string, code: Code): Broken {
  return marked(path, code, doc => {
    const name = doc.createNode(key)
    const node = doc.createNode(valueFor(path))
    const map = path.length === 0 ? doc.contents : doc.getIn(path)
    if (!isMap(map)) throw new Error(`no map at ${path.join('/')}`)
    map.items.push(doc.createPair(name, node) as never)
    if (isScalar(node)) return node
    name.comment = MARK
    return null
  })
}

// The value of a member that is there, so that only the name is wrong.
function valueFor (path: Path): unknown {
  return path.length === 0 ? 1 : valueAt([...path, firstKey(path)])
}

function repeated ({ path }: Rule): Broken {
  return marked(path, 'GW_CONFIG_DUPLICATE', doc => {
    const node = doc.createNode(valueAt([...path, 0]), { flow: true })
    doc.addIn(path, node)
    return node
  })
}

// A missing key is told at the key of what misses it, or at the first key of an item of a list.
function without ({ path }: Rule, keys: string[], keep?: string): Broken {
  const text = edited(path, doc => {
    for (const key of keys) if (key !== keep) doc.deleteIn([...path, key])
  })
  const doc = parseDocument(text)
  const parent = path.at(-1)
  const offset = typeof parent === 'string' ? keyOffset(doc, path) : (doc.getIn(path, true) as { range: [number] } | undefined)?.range[0] ?? 0
  return { yaml: text, line: lineOf(text, path.length === 0 ? 0 : offset), code: 'GW_CONFIG_MISSING_KEY' }
}

function keyOffset (doc: Document, path: Path): number {
  const map = path.length === 1 ? doc.contents : doc.getIn(path.slice(0, -1))
  const pair = isMap(map) ? map.items.find(item => isScalar(item.key) && item.key.value === path.at(-1)) : undefined
  if (pair === undefined) throw new Error(`no key at ${path.join('/')}`)
  return (pair.key as Scalar).range![0]
}

function edited (path: Path, change: (doc: Document) => void): string {
  const doc = parseDocument(fullWith(path))
  change(doc)
  return doc.toString({ lineWidth: 0 })
}

function marked (path: Path, code: Code, change: (doc: Document) => unknown): Broken {
  const yaml = edited(path, doc => {
    const node = change(doc)
    if (isScalar(node) || (typeof node === 'object' && node !== null)) (node as Scalar).comment = MARK
  })
  return { yaml, line: lineOf(yaml, Math.max(0, yaml.indexOf(`#${MARK}`))), code }
}

function lineOf (text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

t.test('the config with every key in it is right, so that what is broken below is the one thing wrong', async t => {
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': '' })
  for (const full of [FULL, FULL_POSTGRES]) {
    writeFileSync(join(dir, 'gateway.config.yaml'), full)
    const { faults, config } = await load(dir)
    t.strictSame(faults, [])
    t.ok(config)
  }
})

t.test('every rule of the schema has a way to be broken here', async t => {
  t.strictSame(rules(SCHEMA).filter(({ keyword }) => !(keyword in BREAK)).map(({ name }) => name), [])
  t.ok(rules(SCHEMA).length > 150)
})

t.test('every key of the schema stands in the config that is broken here', async t => {
  const missing = rules(SCHEMA).filter(({ path }) => path.length > 0 && !documentWith(path).hasIn(path)).map(({ name }) => name)
  t.strictSame(missing, [])
})

t.test('each broken rule is a fault with the code of the rule, on the line where it is broken', async t => {
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': '' })
  const env = environment()
  for (const rule of rules(SCHEMA)) {
    for (const [i, broken] of (BREAK[rule.keyword]?.(rule) ?? []).entries()) {
      if (rule.path.length === 0 && rule.keyword === 'type') broken.yaml = '- a list\n'
      writeFileSync(join(dir, 'gateway.config.yaml'), broken.yaml)
      const { faults, config } = await load(dir, env)
      const found = faults.some(({ code, place }) => code === broken.code && place.line === broken.line)
      if (!found || config !== null) t.fail(`${rule.name} ${i}`, { expected: { code: broken.code, line: broken.line }, faults })
      else t.pass(`${rule.name} ${i}`)
    }
  }
})

t.test('every object of the schema is closed, but for the settings and options that a provider or source declares', async t => {
  const open: string[] = []
  const walk = (schema: Schema, name: string): void => {
    if (schema['type'] === 'object' && (schema['additionalProperties'] ?? true) === true) open.push(name)
    for (const [key, child] of Object.entries(schema)) if (typeof child === 'object' && child !== null && !['default', 'examples'].includes(key)) walk(child as Schema, `${name}/${key}`)
  }
  walk(SCHEMA, '')
  t.strictSame(open, [
    '/properties/providers/additionalProperties/properties/options',
    '/properties/sources/additionalProperties/properties/options',
    '/properties/shops/items/properties/connections/items/properties/settings'
  ])
})

t.test('every key of the schema has a description and an example, and a default where it may be left out', async t => {
  const lacking: string[] = []
  const walk = (schema: Schema, name: string): void => {
    for (const [key, child] of Object.entries((schema['properties'] ?? {}) as Record<string, Schema>)) {
      if (typeof child['description'] !== 'string' || !Array.isArray(child['examples'])) lacking.push(`${name}/${key}`)
      const needsDefault = !((schema['required'] ?? []) as string[]).includes(key) && !['env', 'file', 'prefix', 'path', 'url'].includes(key)
      if (needsDefault && !('default' in child)) lacking.push(`${name}/${key} default`)
      walk(child, `${name}/${key}`)
    }
    for (const key of ['items', 'additionalProperties']) if (typeof schema[key] === 'object') walk(schema[key] as Schema, `${name}/${key}`)
  }
  walk(SCHEMA, '')
  t.strictSame(lacking, [])
})
