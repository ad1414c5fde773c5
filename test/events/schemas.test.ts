import { resolve } from 'node:path'
import t from 'tap'
import type { EventTypeConfig, Fault, JsonSchema } from '../../gateway/contract.ts'
import { FORMATS } from '../../gateway/events/formats.ts'
import { patternFault } from '../../gateway/events/pattern.ts'
import { loadEventSchemas, type EventSchema } from '../../gateway/events/schemas.ts'
import { filesIn } from '../helpers/source-file.ts'

type Json = Record<string, unknown>

const ROOT = resolve(import.meta.dirname, '../..')
const TYPES = ['back_in_stock.alert', 'back_in_stock.reminder', 'preorder.confirmed']

function shipped (): Map<string, EventSchema> {
  const files = filesIn(ROOT)
  const { file } = files.read('gateway.config.yaml')
  const types = Object.fromEntries(TYPES.map(type => [type, eventType(type, resolve(ROOT, `schemas/events/${type}.schema.json`))]))
  const { schemas, faults } = loadEventSchemas(types, files, file!)
  if (faults.length > 0) throw new Error(JSON.stringify(faults))
  return schemas
}

function eventType (type: string, schema: string): EventTypeConfig {
  return { type, schema, channel: 'sms', setupGroup: 'x', kind: 'marketing', expiresAfterMs: 1, person: null }
}

/** The faults of a schema file with this content; `dir` is a test's own directory. */
function faultsOf (testdir: (files: Record<string, string>) => string, text: string): Fault[] {
  const dir = testdir({ 'config.yaml': 'event_types:\n  a.b: { schema: a.json }\n', 'a.json': text })
  const files = filesIn(dir)
  return loadEventSchemas({ 'a.b': eventType('a.b', resolve(dir, 'a.json')) }, files, files.read('config.yaml').file!).faults
}

// ── the shipped schemas ────────────────────────────────────────────────────────────────────────

t.test('each shipped schema has a full, a minimal and an awkward example, all valid and unaltered', async t => {
  for (const [type, schema] of shipped()) {
    t.ok(schema.examples.length >= 3, type)
    for (const example of schema.examples) {
      const before = structuredClone(example)
      t.ok(schema.valid(example), type)
      t.strictSame(schema.faults(example), [])
      t.strictSame(example, before)
    }
    const paths = places(schema.schema).filter(({ pointer }) => pointer !== '').map(({ pointer }) => pointer)
    for (const path of paths) t.ok(at(schema.examples[0], path) !== undefined, `${type}: the full example has ${path}`)
    t.match(JSON.stringify(schema.examples[2]), /🌸/)
    t.match(JSON.stringify(schema.examples[2]), /\\"/)
  }
})

t.test('every field has a title and a description', async t => {
  for (const [type, { schema }] of shipped()) {
    for (const place of places(schema)) {
      t.type(place.schema.title, 'string', `${type}${place.pointer}`)
      t.match(place.schema.description, /\.$/, `${type}${place.pointer}`)
    }
  }
})

t.test('every rule of every shipped schema refuses what breaks it, and says where', async t => {
  for (const [type, schema] of shipped()) {
    let count = 0
    for (const { pointer, schema: rules } of places(schema.schema)) {
      for (const { rule, path, broken } of violations(schema.examples[0], pointer, rules)) {
        count++
        const label = `${type} ${path} ${rule}`
        t.notOk(schema.valid(broken), label)
        t.ok(schema.faults(broken).some(fault => fault.path === path && fault.rule === rule), label)
      }
    }
    t.ok(count > 50, `${type}: ${count} violations`)
  }
})

t.test('only the rules that the walk above can break are used', async t => {
  const expected = new Set(['$schema', 'title', 'description', 'examples', 'type', 'required', 'additionalProperties', 'properties', 'format', 'pattern', 'minLength', 'maxLength', 'minimum', 'maximum', 'const', 'minItems', 'maxItems', 'items'])
  for (const { schema } of shipped().values()) {
    const used = new Set(places(schema).flatMap(place => Object.keys(place.schema)))
    t.strictSame([...used].filter(key => !expected.has(key)), [])
  }
})

t.test('what the mappings need is required, what customers may not have is optional', async t => {
  const schemas = shipped()
  const bis = schemas.get('back_in_stock.alert')!
  const preorder = schemas.get('preorder.confirmed')!
  t.notOk(bis.valid(cut(bis.examples[0], '/customer/phone')))
  t.ok(preorder.valid(cut(preorder.examples[0], '/customer/phone')))
  t.notOk(schemas.get('back_in_stock.reminder')!.valid(bis.examples[0]))
  t.ok(schemas.get('back_in_stock.reminder')!.valid({ ...bis.examples[0] as Json, stage: 1 }))
})

t.test('faults repeat no personal data, at most 50 are told, and long values are cut', async t => {
  const schemas = shipped()
  const bis = schemas.get('back_in_stock.alert')!
  let bad = put(bis.examples[0], '/customer/phone', '2015550123')
  bad = put(bad, '/customer/email', 'ada example com')
  bad = put(bad, '/customer/name', ['Ada Lovelace'])
  bad = put(bad, '/customer/surname', 'Lovelace')
  bad = put(bad, '/customer/country', 'ada@example.com')
  bad = put(bad, '/product/id', 'z'.repeat(5000))
  const faults = bis.faults(bad)
  t.strictSame(faults.map(({ path }) => path).toSorted(), ['/customer/country', '/customer/country', '/customer/email', '/customer/name', '/customer/phone', '/customer/surname', '/product/id'])
  t.notMatch(JSON.stringify(faults), /2015550123|ada|lovelace/i)
  t.equal(faults.find(({ path }) => path === '/customer/phone')?.got, 'string of 10 characters')
  t.equal(String(faults.find(({ path }) => path === '/product/id')?.got).length, 100)
  t.match(bis.faults(put(bis.examples[0], '/product/titel', 'x'))[0]?.message, /"title"/)
  const preorder = schemas.get('preorder.confirmed')!
  t.equal(preorder.faults(put(preorder.examples[0], '/products', Array.from({ length: 900 }, () => ({})))).length, 50)
})

t.test('our formats', async t => {
  const cases: Record<string, { good: string[], bad: string[] }> = {
    phone: { good: ['+12015550123', '+442079460123', '+4930123456'], bad: ['12015550123', '+1 201 555 0123', '+1201555012', '+0201555012', '+99912345678', '', '+12015550123\n', '+'.repeat(1000)] },
    country: { good: ['US', 'GB', 'XK', 'AQ'], bad: ['us', 'UK', 'EU', 'ZZ', 'XX', 'USA', ''] },
    currency: { good: ['USD', 'JPY', 'EUR'], bad: ['usd', 'ABC', 'US', ''] },
    time_zone: { good: ['America/New_York', 'UTC', 'Asia/Kathmandu', 'US/Eastern', 'America/Argentina/Buenos_Aires'], bad: ['Mars/Base', '+01:00', '', '../etc', 'x'.repeat(5000)] }
  }
  t.strictSame(Object.keys(cases), Object.keys(FORMATS))
  for (const [name, { good, bad }] of Object.entries(cases)) {
    const { validate } = FORMATS[name] as { validate (text: string): boolean }
    for (const text of good) t.ok(validate(text), `${name} ${text}`)
    for (const text of bad) t.notOk(validate(text), `${name} ${text.slice(0, 20)}`)
  }
})

// ── what a schema may not do ───────────────────────────────────────────────────────────────────

const FINE = { type: 'object', additionalProperties: false, required: ['a'], properties: { a: { type: 'string', maxLength: 10 } }, examples: [{ a: 'x' }] }
const field = (schema: unknown, more: Json = {}): Json => ({ ...FINE, required: [], properties: { a: schema }, examples: [{}], ...more })
const TEXT = { type: 'string', maxLength: 10 }

t.test('#69 #70 a schema that could be turned against us is refused at load, where it stands', async t => {
  const cases: Array<[name: string, schema: unknown, path: string]> = [
    ['$data', field({ ...TEXT, maxLength: { $data: '1/b' } }), '/properties/a/maxLength/$data'],
    ['remote $ref', field({ $ref: 'https://example.com/x.json' }), '/properties/a/$ref'],
    ['file $ref', field({ $ref: 'other.json#/a' }), '/properties/a/$ref'],
    ['$ref to nothing', field({ $ref: '#/$defs/x' }), '/properties/a/$ref'],
    ['recursive $ref to the root', field({ $ref: '#' }), '/properties/a/$ref'],
    ['recursive $ref', field({ $ref: '#/$defs/x' }, { $defs: { x: { type: 'object', additionalProperties: false, properties: { y: { $ref: '#/$defs/x' } } } } }), '/$defs/x/properties/y/$ref'],
    ['$ref in a circle', field({ $ref: '#/$defs/x' }, { $defs: { x: { $ref: '#/$defs/y' }, y: { $ref: '#/$defs/x' } } }), '/$defs/y/$ref'],
    ['$dynamicRef', field({ $dynamicRef: '#x' }), '/properties/a/$dynamicRef'],
    ['$id inside', field({ ...TEXT, $id: 'https://example.com/x' }), '/properties/a/$id'],
    ['uniqueItems without maxItems of 100', field({ type: 'array', maxItems: 1000, uniqueItems: true, items: TEXT }), '/properties/a/uniqueItems'],
    ['nested quantifier', field({ ...TEXT, pattern: '(a+)+$' }), '/properties/a/pattern'],
    ['alternatives alike', field({ ...TEXT, pattern: '^(a|a)*$' }), '/properties/a/pattern'],
    ['pattern of 10 kB', field({ ...TEXT, pattern: 'a'.repeat(10_000) }), '/properties/a/pattern'],
    ['no regular expression', field({ ...TEXT, pattern: '(' }), '/properties/a/pattern'],
    ['open object', field({ type: 'object', properties: {} }), '/properties/a'],
    ['open root', { ...FINE, additionalProperties: undefined }, ''],
    ['open object in a list', field({ type: 'array', maxItems: 3, items: { type: 'object' } }), '/properties/a/items'],
    ['text of any length', field({ type: 'string' }), '/properties/a'],
    ['format without maxLength', field({ type: 'string', format: 'email' }), '/properties/a'],
    ['maxLength without meaning', field({ type: 'string', maxLength: 1e9 }), '/properties/a'],
    ['list of any length', field({ type: 'array', items: TEXT }), '/properties/a'],
    ['anything', field({}), '/properties/a'],
    ['true', field(true), '/properties/a'],
    ['additional properties of any kind', { ...FINE, additionalProperties: true }, ''],
    ['unknown format', field({ ...TEXT, format: 'emial' }), '/properties/a/format'],
    ['unknown keyword', field({ ...TEXT, maxlength: 3 }), '/properties/a/maxlength'],
    ['no object', { ...FINE, type: 'array', maxItems: 1 }, '/type'],
    ['other draft', { ...FINE, $schema: 'http://json-schema.org/draft-07/schema#' }, '/$schema'],
    ['no examples', { ...FINE, examples: undefined }, '/examples'],
    ['empty examples', { ...FINE, examples: [] }, '/examples'],
    ['an example that does not fit', { ...FINE, examples: [{ a: 'x' }, { a: 'x'.repeat(11) }] }, '/examples/1/a'],
    ['an example with an unknown key', { ...FINE, examples: [{ a: 'x', b: 1 }] }, '/examples/0/b'],
    ['what ajv itself refuses', field({ ...TEXT, minLength: 'x' }), ''],
    ['list as a schema', [], '']
  ]
  t.strictSame(faultsOf(files => t.testdir(files), JSON.stringify(FINE)), [])
  for (const [name, schema, path] of cases) {
    const faults = faultsOf(files => t.testdir(files), JSON.stringify(schema))
    t.ok(faults.length > 0, name)
    t.ok(faults.every(fault => fault.code === 'GW_SCHEMA_INVALID'), name)
    t.ok(faults.some(fault => fault.path === path), `${name}: ${faults.map(fault => fault.path).join(' ')}`)
  }
})

t.test('a fault of a schema has its line and column', async t => {
  const text = '{\n  "type": "object",\n  "additionalProperties": false,\n  "properties": {\n    "a": { "type": "string", "maxLength": 5, "pattern": "(a+)+" },\n    "b": { "type": "string", "maxlength": 5 }\n  },\n  "examples": [{}]\n}\n'
  t.strictSame(faultsOf(files => t.testdir(files), text).map(({ path, place }) => [path, place.file, place.line, place.column]), [
    ['/properties/a/pattern', 'a.json', 5, 57],
    ['/properties/b/maxlength', 'a.json', 6, 30],
    ['/properties/b', 'a.json', 6, 10]
  ])
})

t.test('a schema file that is missing, too long or no JSON is a fault, not a crash', async t => {
  const dir = t.testdir({ 'config.yaml': 'event_types:\n  a.b: { schema: nowhere.json }\n' })
  const files = filesIn(dir)
  const { faults, schemas } = loadEventSchemas({ 'a.b': eventType('a.b', resolve(dir, 'nowhere.json')) }, files, files.read('config.yaml').file!)
  t.strictSame(faults.map(({ code, place }) => [code, place.file, place.line, place.column]), [['GW_FILE_MISSING', 'config.yaml', 2, 18]])
  t.equal(schemas.size, 0)
  t.strictSame(faultsOf(f => t.testdir(f), JSON.stringify({ ...FINE, description: 'x'.repeat(300_000) })).map(fault => fault.code), ['GW_SCHEMA_INVALID'])
  t.strictSame(faultsOf(f => t.testdir(f), 'type: object\n').map(fault => fault.code), ['GW_SCHEMA_INVALID'])
  t.ok(faultsOf(f => t.testdir(f), '{"type": "object",').length > 0)
})

t.test('#69 patterns that can be read in two ways are refused, plain ones are not', async t => {
  const refused = ['(a+)+$', '(a|a)*', '(a|ab)+', '(a*)*', '((a+)b?)+', '^(\\w+\\s?)*$', '(.*)*', 'a*a*', '\\d+\\d+$', '^\\s*\\s*$', '.*.*', '(x+x+)+y', '(a{1,100}){1,100}', '(a{0,20}){0,20}b', '(sa*a*)*',
    '(a*sa*)*', '.*a.*b.*c', '(?=a)b', '(?<!a)b', '(a)\\1', '(?<n>a)\\k<n>', '(a?){50}', '([a-z]+|[0-9a-f]+)*', '(é|é)*', '^(ba*)*a*$', '^a*(a*b)*$']
  const fine = ['^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$', '^[0-9]{1,12}(\\.[0-9]{1,4})?$', '^https?://', '^[a-z0-9][a-z0-9.-]{0,99}$', '^(\\d+,)*\\d+$', '^\\d+(,\\d+)*$', '^(a|b)*$', '^[^@ ]+@[^@ ]+$', '^\\+[1-9]\\d{6,14}$', 'x', '', '^#?\\w+$', '^(ab){3}$', '^\\p{L}+$']
  for (const pattern of refused) t.type(patternFault(pattern), 'string', pattern)
  for (const pattern of fine) t.equal(patternFault(pattern), null, pattern)
})

// ── walking a schema and breaking its rules ────────────────────────────────────────────────────

function places (schema: JsonSchema, pointer = ''): Array<{ pointer: string, schema: JsonSchema }> {
  const below = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>).flatMap(([key, value]) => places(value, `${pointer}/${key}`))
  const items = schema.items === undefined ? [] : places(schema.items as JsonSchema, `${pointer}/0`)
  return [{ pointer, schema }, ...below, ...items]
}

function violations (example: unknown, pointer: string, rules: JsonSchema): Array<{ rule: string, path: string, broken: unknown }> {
  const found: Array<{ rule: string, path: string, broken: unknown }> = []
  const set = (rule: string, value: unknown, path = pointer): void => { found.push({ rule, path, broken: put(example, pointer, value) }) }
  const now = at(example, pointer)
  set('type', rules.type === 'string' ? 7 : 'text')
  set('type', null)
  for (const key of (rules.required ?? []) as string[]) found.push({ rule: 'required', path: `${pointer}/${key}`, broken: cut(example, `${pointer}/${key}`) })
  if (rules.additionalProperties === false) found.push({ rule: 'additionalProperties', path: `${pointer}/surprise`, broken: put(example, `${pointer}/surprise`, 1) })
  if (rules.maxLength !== undefined) set('maxLength', 'x'.repeat(Number(rules.maxLength) + 1))
  if (rules.minLength !== undefined) set('minLength', '')
  if (rules.pattern !== undefined) for (const bad of ['~', 'ftp://example.com', '49,90', ' ']) set('pattern', bad)
  if (rules.format !== undefined) for (const bad of ['~', '', 'not one of them']) set('format', bad)
  if (rules.minimum !== undefined) set('minimum', Number(rules.minimum) - 1)
  if (rules.maximum !== undefined) set('maximum', Number(rules.maximum) + 1)
  if (rules.const !== undefined) set('const', 2)
  if (rules.type === 'integer') set('type', 1.5)
  if (rules.minItems !== undefined) set('minItems', [])
  if (rules.maxItems !== undefined) set('maxItems', Array.from({ length: Number(rules.maxItems) + 1 }, () => (now as unknown[])[0]))
  return found
}

function at (value: unknown, pointer: string): unknown {
  return pointer.split('/').slice(1).reduce<unknown>((inner, key) => (inner as Json | undefined)?.[key], value)
}

function put (value: unknown, pointer: string, replacement: unknown): unknown {
  return change(value, pointer, (parent, key) => { parent[key] = replacement }, replacement)
}

function cut (value: unknown, pointer: string): unknown {
  return change(value, pointer, (parent, key) => { delete parent[key] }, undefined)
}

function change (value: unknown, pointer: string, act: (parent: Json, key: string) => void, whole: unknown): unknown {
  if (pointer === '') return whole
  const copy = structuredClone(value)
  const keys = pointer.split('/').slice(1)
  act(at(copy, ['', ...keys.slice(0, -1)].join('/')) as Json, keys.at(-1)!)
  return copy
}
