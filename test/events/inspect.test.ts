import fc from 'fast-check'
import t from 'tap'
import { canonicalJson } from '../../gateway/events/canonical.ts'
import { inspect } from '../../gateway/events/inspect.ts'

function nested (depth: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = 1
  for (let i = 0; i < depth; i++) value = wrap(value)
  return value
}

const list = (inner: unknown): unknown => [inner]
const object = (inner: unknown): unknown => ({ a: inner })
const keys = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]))

t.test('R81 too much structure is found at its place, fast, at any depth', async t => {
  const cases: Array<[value: unknown, path: string | null, rule?: string]> = [
    [nested(32, list), null],
    [nested(33, list), '/0'.repeat(32), 'depth'],
    [nested(32, object), null],
    [nested(33, object), '/a'.repeat(32), 'depth'],
    [nested(100_000, list), '/0'.repeat(32), 'depth'],
    [nested(100_000, object), '/a'.repeat(32), 'depth'],
    [{ a: Array.from({ length: 1000 }, () => 1) }, null],
    [{ a: Array.from({ length: 1001 }, () => 1) }, '/a', 'items'],
    [{ a: Array.from({ length: 1_000_000 }, () => 1) }, '/a', 'items'],
    [{ b: keys(500) }, null],
    [{ b: keys(501) }, '/b', 'keys'],
    [{ ['k'.repeat(256)]: 1 }, null],
    [{ ['k'.repeat(257)]: 1 }, `/${'k'.repeat(100)}`, 'key']
  ]
  for (const [value, path, rule] of cases) {
    const from = performance.now()
    const found = inspect(value)
    t.ok(performance.now() - from < 50)
    t.strictSame(found && [found.path, found.rule], path === null ? null : [path, rule])
  }
})

t.test('R82 keys that reach into prototypes are refused anywhere, and the prototype stays clean', async t => {
  for (const key of ['__proto__', 'constructor', 'prototype']) {
    for (const text of [`{"${key}": 1}`, `{"a": [{"${key}": {"polluted": true}}]}`, `{"a": {"b": {"${key}": null}}}`]) {
      t.equal(inspect(JSON.parse(text))?.rule, 'key', text)
    }
  }
  for (const key of ['toString', 'toLiquid', 'hasOwnProperty', 'valueOf', 'then']) t.equal(inspect({ [key]: 1 }), null, key)
  t.equal(({} as Record<string, unknown>).polluted, undefined)
})

t.test('R83 numbers that parsing has altered are refused', async t => {
  const refused = ['1e999', '-1e999', '12345678901234567890', '9007199254740992', '-9007199254740993', '1e300']
  for (const text of refused) t.equal(inspect(JSON.parse(`{"n": ${text}}`))?.rule, 'number', text)
  for (const text of ['0', '-0', '0.30000000000000004', '9007199254740991', '-9007199254740991', '1e-300', '49.90']) t.equal(inspect(JSON.parse(`{"n": ${text}}`)), null, text)
})

t.test('broken text is refused in values and in keys, whole text of any kind is not', async t => {
  for (const text of ['\ud83d', 'a\udc00b', 'a\0b', '\udc00\ud83d']) {
    t.equal(inspect({ a: text })?.rule, 'text')
    t.equal(inspect({ [text]: 1 })?.rule, 'text')
  }
  for (const text of ['🌸', '\u202e', '\ufeff', 'a\r\nb', '"\\', '\u2028']) t.equal(inspect({ [text]: text }), null)
})

t.test('a fault repeats no value, and its path is a JSON pointer', async t => {
  t.strictSame(inspect({ 'a/b~c': ['ok', { phone: '+12015550123\0' }] }), { path: '/a~1b~0c/1/phone', rule: 'text', message: 'holds the character NUL' })
})

t.test('what no JSON holds is refused', async t => {
  for (const value of [undefined, () => 1, Symbol('x'), 1n]) t.equal(inspect([value])?.rule, 'type')
})

t.test('canonical JSON is the same whatever the order of keys, and differs whenever the value does', async t => {
  t.equal(canonicalJson({ b: [1, { d: null, c: 'é"\n' }], a: -0, 10: true, 9: 1.5 }), '{"10":true,"9":1.5,"a":0,"b":[1,{"c":"é\\"\\n","d":null}]}')
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).toReversed().map(([key, member]) => [key, shuffled(member)]))
  }
  fc.assert(fc.property(fc.json(), text => {
    const value: unknown = JSON.parse(text)
    const canonical = canonicalJson(value)
    if (canonicalJson(shuffled(value)) !== canonical || canonicalJson(JSON.parse(canonical)) !== canonical) throw new Error(text)
  }), { numRuns: 300, seed: 8785 })
  t.not(canonicalJson({ a: 1 }), canonicalJson({ a: '1' }))
  t.not(canonicalJson([1, 2]), canonicalJson([2, 1]))
})
