import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import type { CompiledTree, Fault, JsonSchema, Readable } from '../../gateway/contract.ts'
import { MappingError } from '../../gateway/errors.ts'
import { createMapper } from '../../gateway/mapping/mapper.ts'
import { diff } from '../../gateway/mapping/case.ts'
import { sourceFile } from '../helpers/source-file.ts'

type Test = Pick<typeof t, 'testdir' | 'strictSame'>

const ANY: Readable = { data: true, shop: true, event: true }
const mapper = createMapper()

function compile (t: Test, yaml: string, readable: Readable = ANY): { tree: CompiledTree, faults: Fault[] } {
  const file = sourceFile(t, yaml)
  const faults: Fault[] = []
  return { tree: mapper.compile(file.value, file, '', readable, faults), faults }
}

function render (t: Test, tree: unknown, scope: object): unknown {
  const faults: Fault[] = []
  const compiled = mapper.compile(tree, sourceFile(t, 'a: b'), '', ANY, faults)
  t.strictSame(faults.map(fault => fault.message), [])
  return compiled.render(scope)
}

// ── what comes out ─────────────────────────────────────────────────────────────────────────────

t.test('a lone output keeps the type of its value, and text beside it makes it text', async t => {
  const data = { n: 12, price: 49.9, yes: false, none: null, list: ['a', 1], object: { b: 1 }, zero: 0, minus: -0 }
  const cases: Array<[template: string, expected: unknown]> = [
    ['{{ data.n }}', 12],
    ['{{data.price}}', 49.9],
    ['{{ data.yes }}', false],
    ['{{ data.none }}', null],
    ['{{ data.list }}', ['a', 1]],
    ['{{ data.object }}', { b: 1 }],
    ['{{ data.zero | default: "x" }}', 0],
    ['{{ data.minus }}', 0],
    ['{{ data.none | default: "" }}', ''],
    ['{{ data.absent | default: 7 }}', 7],
    ['{{ data.absent.more | default: "x" }}', 'x'],
    ['{{ data.list | size }}', 2],
    ['{{ data.list.size | minus: 1 }}', 1],
    ['{{ data.list.first }}', 'a'],
    ['{{ data.list[1] }}', 1],
    ['{{ data["n"] }}', 12],
    ['{{ data.n | plus: 1 }}', 13],
    ['n={{ data.n }}', 'n=12'],
    ['{{ data.n }}{{ data.price }}', '1249.9'],
    ['{% if data.yes %}a{% else %}{{ data.n }}{% endif %}', 12],
    ['{% for x in data.list %}[{{ x }}]{% endfor %}', '[a][1]'],
    ['{% assign k = data.n | times: 2 %}{{ k }}', 24],
    ['{% case data.n %}{% when 12 %}dozen{% else %}?{% endcase %}', 'dozen'],
    ['{% raw %}{{ data.n }}{% endraw %}', '{{ data.n }}'],
    ['{% comment %}x{% endcomment %}{% echo data.n %}', 12],
    ['{{ data.list | json }}', '["a",1]'],
    ['{{ "  a  b " | squish | upcase | append: "!" }}', 'A B!']
  ]
  for (const [template, expected] of cases) t.strictSame(render(t, template, { data }), expected, template)
})

t.test('the filters of our own', async t => {
  const cases: Array<[template: string, expected: unknown]> = [
    ['{{ "US" | country_name }}', 'United States'],
    ['{{ "gb" | country_name }}', 'United Kingdom'],
    ['{{ "ZZ" | country_name }}', ''],
    ['{{ "QQ" | country_name }}', ''],
    ['{{ 7 | country_name }}', ''],
    ['{{ nil | country_name }}', ''],
    ['{{ data.none | default: "" | country_name }}', ''],
    ['{{ 1700000000123 | iso_date }}', '2023-11-14T22:13:20Z'],
    ['{{ "2026-11-21T10:00:00.5+01:00" | iso_date }}', '2026-11-21T09:00:00Z'],
    ['{{ nil | iso_date }}', '']
  ]
  for (const [template, expected] of cases) t.strictSame(render(t, template, { data: {} }), expected, template)
  for (const bad of ['yesterday', '2026-13-01T00:00:00Z', 'now']) {
    t.throws(() => render(t, '{{ data.x | iso_date }}', { data: { x: bad } }), MappingError)
  }
})

t.test('a tree keeps its literals and its order, and shares literal parts frozen', async t => {
  const { tree, faults } = compile(t, 'type: event\nfixed: { a: [1, true, null] }\nlist: ["{{ data.x }}", 2]\nnested: { y: "{{ data.y }}" }')
  t.strictSame(faults, [])
  const first = tree.render({ data: { x: 1, y: 'z' } }) as Record<string, unknown>
  t.equal(JSON.stringify(first), '{"type":"event","fixed":{"a":[1,true,null]},"list":[1,2],"nested":{"y":"z"}}')
  t.equal((tree.render({ data: { x: 2, y: 'z' } }) as Record<string, unknown>).fixed, first.fixed)
  t.ok(Object.isFrozen(first.fixed))
})

t.test('what is rendered is a copy: altering it alters no event', async t => {
  const data = { list: [{ a: 1 }] }
  const out = render(t, '{{ data.list }}', { data }) as Array<{ a: number }>
  out[0]!.a = 2
  t.equal(data.list[0]!.a, 1)
})

t.test('#68 no value can break the JSON, and no value is read as a template', async t => {
  const yaml = 'lone: "{{ data.a }}"\ntext: "x {{ data.a }} {{ data.b }} y"\nlist: ["{{ data.all }}"]\nsome: "{% if data.b %}{{ data.b | upcase }}{% endif %}"\nwhole: "{{ data }}"'
  const { tree, faults } = compile(t, yaml)
  t.strictSame(faults, [])
  const nasty = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom('"}', '{{ data.a }}', '{% raw %}', '\\', '\u2028', '\ud800', '${x}', '<!--', '\r\n'))
  fc.assert(fc.property(nasty, nasty, fc.array(nasty), (a, b, all) => {
    const data = { a, b, all }
    const out = tree.render({ data }) as Record<string, unknown>
    t.strictSame(JSON.parse(JSON.stringify(out)), out)
    if (out.lone !== a || out.text !== `x ${a} ${b} y`) throw new Error('altered')
  }), { numRuns: 300, seed: 20261121 })
})

t.test('R83 numbers and ids come out as they went in, byte for byte', async t => {
  const { tree } = compile(t, 'id: "{{ data.id }}"\nn: "{{ data.n }}"\ntext: "{{ data.id }}-{{ data.n }}"')
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.double({ noNaN: true, noDefaultInfinity: true }), (id, n) => {
    const out = tree.render({ data: { id: String(id), n } }) as Record<string, unknown>
    if (out.id !== String(id) || JSON.stringify(out.n) !== JSON.stringify(n)) throw new Error('altered')
  }), { numRuns: 300, seed: 83 })
  t.throws(() => tree.render({ data: { id: 'a', n: Infinity } }), MappingError)
})

t.test('a leaf that is read directly gives what the engine would give', async t => {
  const file = sourceFile(t, 'a: b')
  const key = fc.constantFrom('x', 'y', 'constructor', 'length')
  const inner = fc.dictionary(key, fc.oneof(fc.constantFrom<unknown>(null, false, '', 0, 'text', -0), fc.array(fc.integer(), { maxLength: 2 })))
  const data = fc.dictionary(key, fc.oneof(inner, fc.constantFrom<unknown>(null, 'text', 7)))
  for (const output of ['{{ data.x }}', '{{ data.x.y }}', '{{ data["x"].length }}', '{{ data.x.constructor }}', '{{ data.x.y | default: "z" }}', '{{ data.y | default: 5 }}']) {
    const direct = mapper.compile(output, file, '', ANY, [])
    const engine = mapper.compile(`{% if true %}${output}{% endif %}`, file, '', ANY, [])
    const result = (tree: CompiledTree, scope: object): string => {
      let value: unknown
      const error = thrown(() => { value = tree.render(scope) })
      return error === null ? JSON.stringify(value) : error.message
    }
    fc.assert(fc.property(data, given => { t.equal(result(direct, { data: given }), result(engine, { data: given }), output) }), { numRuns: 100, seed: 5 })
  }
})

// ── errors while rendering ─────────────────────────────────────────────────────────────────────

t.test('an error names file, line and key of the leaf, and repeats nothing of the data', async t => {
  const { tree } = compile(t, 'a: fixed\nprice: "{{ data[data.key] }}"\n')
  const error = thrown(() => tree.render({ data: { key: 'ada@example.com' } }))
  t.ok(error instanceof MappingError)
  t.match(error?.message, /^map\.yaml:2 price: /)
  t.notMatch(error?.message, /ada/)
})

t.test('what has no place in JSON or in text is an error, not silence', async t => {
  const data = { o: { a: 1 }, list: [{ a: 1 }], n: 0, own: { toString: 1 }, f: () => 'x', d: new Date(0), p: JSON.parse('{"__proto__": {"x": 1}}') as unknown }
  const templates = ['{{ data.absent }}', '{{ data.o.absent }}', 'x {{ data.o }}', 'x {{ data.list }}', '{{ data.list | join: "," }}', '{{ data.o | append: "x" }}',
    '{{ data.own | append: "x" }}', '{{ 1 | divided_by: data.n }}', '{{ data.f }}', '{{ data.d }}', '{{ data.p }}', '{{ shop.loop }}', '{{ data.o | upcase }}']
  for (const template of templates) t.throws(() => render(t, { leaf: template }, { data, shop: { loop: new Map() } }), MappingError, template)
})

t.test('#67 one rendering leaves nothing behind for the next', async t => {
  const { tree } = compile(t, 'a: "{% assign x = data.v %}{{ x }}"\nb: "{{ x | default: \'none\' }}"', { data: true, x: true })
  t.strictSame(tree.render({ data: { v: 1 } }), { a: 1, b: 'none' })
  t.strictSame(tree.render({ data: { v: 2 } }), { a: 2, b: 'none' })
})

// ── hostile templates and data ─────────────────────────────────────────────────────────────────

const DOUBLE = (filter: string, times: number): string => '{% assign a = data.s %}' + `{% assign a = a | ${filter} %}`.repeat(times) + '{{ a }}'
const HOSTILE: Record<string, string> = {
  'long loop': '{% for i in (1..100000000) %}x{% endfor %}',
  'loop within the memory limit': '{% for i in (1..900000) %}x{% endfor %}',
  'empty loop': '{% for i in (1..999999) %}{% endfor %}',
  'nested loops': '{% for i in (1..1000) %}{% for j in (1..1000) %}{% for k in (1..1000) %}x{% endfor %}{% endfor %}{% endfor %}',
  'nested empty loops': '{% for i in (1..30) %}{% for j in (1..30) %}{% for k in (1..30) %}{% for l in (1..30) %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}',
  'loop of long texts': `{% for i in (1..5000) %}${'x'.repeat(60_000)}{% endfor %}`,
  'loop over the characters of a range of ranges': '{% for i in (1..1000) %}{% for j in (i..1000) %}{{ i | times: j }}{% endfor %}{% endfor %}',
  'append doubling': DOUBLE('append: a', 40),
  'prepend doubling': DOUBLE('prepend: a', 40),
  'replace doubling': DOUBLE('replace: "x", a', 40),
  'replace of nothing': DOUBLE('replace: "", a', 10),
  'replace_first doubling': DOUBLE('replace_first: "x", a', 40),
  'escape growth': DOUBLE('escape', 2000),
  'url_encode growth': DOUBLE('url_encode', 200),
  'json growth': DOUBLE('json', 200),
  'concat doubling': DOUBLE('concat: a', 40),
  'push nesting': DOUBLE('push: a', 40),
  'join with a long separator': '{% assign s = data.big | split: "" %}{{ s | join: data.big }}',
  'split into characters, many times': '{{ data.big | split: "" | join: "-" | split: "" | join: "-" | split: "" | join: "-" | size }}',
  'sort of a long list': '{{ data.big | split: "" | sort | reverse | sort | reverse | sort | join: "" }}',
  'capture doubling': '{% capture a %}xxxxxxxxxx{% endcapture %}' + '{% capture a %}{{ a }}{{ a }}{% endcapture %}'.repeat(24) + '{{ a }}',
  'date padding': '{{ "2020-01-01" | date: "%999999999d" }}',
  'date of now': '{{ "now" | date: "%s" }}',
  'strip_html of unclosed tags': '{{ data.tags | strip_html }}',
  'truncatewords of blanks': '{{ data.blanks | truncatewords: 100000 }}',
  'squish of blanks': '{{ data.blanks | squish }}',
  'long list of filters': `{{ data.big ${'| upcase | downcase '.repeat(4000)}}}`,
  'sum of a long list, many times': '{% assign s = data.big | split: "" %}' + '{% assign t = s | sum %}'.repeat(4000),
  'contains in a long list, many times': `{% assign s = data.big | split: "" %}{% if ${'s contains "y" or '.repeat(5000)} false %}x{% endif %}`,
  'lists compared, many times': `{% assign s = data.big | split: "" %}{% assign r = s | reverse %}{% if ${'s == r or '.repeat(8000)} false %}x{% endif %}`,
  'lists compared by case': `{% assign s = data.big | split: "" %}{% case s %}{% when ${'s, '.repeat(20000)} s %}x{% endcase %}`,
  'deep nesting of tags': '{% if true %}'.repeat(4000) + 'x' + '{% endif %}'.repeat(3000),
  'deep nesting, closed': '{% if true %}'.repeat(2500) + 'x' + '{% endif %}'.repeat(2500),
  'many outputs': '{{ data.s }}'.repeat(8000),
  'long template': 'x'.repeat(200_000) + '{{ data.s }}',
  'huge index': '{{ data.s[99999999999999999999] }}',
  'repeated whole data': '{{ data }}{{ data }}',
  'whole list in text': '{% for i in (1..1000) %}{{ data.list }}{% endfor %}',
  'assign chain of large texts': '{% for i in (1..1000) %}{% assign a = data.big | append: i %}{% endfor %}{{ a }}',
  '#65 constructor of constructor': '{{ data.constructor.constructor }}',
  '#65 prototype': '{{ data.__proto__.polluted }}{{ data["__proto__"] }}',
  '#65 a filter named constructor': '{{ data.s | constructor: "return 1" }}',
  '#65 a filter named toString': '{{ data.s | toString }}',
  '#65 a filter named __proto__': '{{ data.s | __proto__ }}',
  '#65 a tag named constructor': '{% constructor %}',
  '#66 include': '{% include "/etc/passwd" %}',
  '#66 render': '{% render "../../package.json" %}',
  '#66 layout': '{% layout data.s %}',
  '#66 block': '{% block a %}{% endblock %}',
  'liquid tag': '{% liquid\n assign a = 1 %}',
  'tablerow': '{% tablerow i in (1..100000) %}x{% endtablerow %}',
  'increment': '{% increment a %}',
  'expressions as text': '{{ data.list | where_exp: "x", "x.constructor" }}',
  'chance': '{{ data.list | sample }}'
}

t.test('#64 #65 #66 every hostile template is contained on the main thread: refused, an error, or at most 64 KiB, in 100 ms', async t => {
  const data = {
    s: 'x', big: 'abcdefghij'.repeat(6000), blanks: ' \t'.repeat(25_000), tags: '<a <script '.repeat(5000), list: ['a', 'b']
  }
  const file = sourceFile(t, 'leaf: x')
  mapper.compile('{{ data.s | upcase }}', file, '', ANY, []).render({ data }) // the first run pays for loading
  const slow: string[] = []
  for (const [name, template] of Object.entries(HOSTILE)) {
    const tries = [attempt(template, file, data), attempt(template, file, data), attempt(template, file, data)]
    t.ok(tries.every(({ outcome }) => /^(refused|MappingError|small)$/.test(outcome)), `${name}: ${tries[0]?.outcome}`)
    const loadMs = Math.min(...tries.map(({ loadMs }) => loadMs))
    const renderMs = Math.min(...tries.map(({ renderMs }) => renderMs))
    if (loadMs > 100 || renderMs > 100) slow.push(`${name}: load ${loadMs} ms, render ${renderMs} ms`)
  }
  t.strictSame(slow, [])
})

interface Attempt { outcome: string, loadMs: number, renderMs: number }

function attempt (template: string, file: ReturnType<typeof sourceFile>, data: object): Attempt {
  const faults: Fault[] = []
  const from = cpuMs()
  const tree = mapper.compile(template, file, '', ANY, faults)
  const loaded = cpuMs()
  if (faults.length > 0) return { outcome: 'refused', loadMs: loaded - from, renderMs: 0 }
  let out: unknown
  const error = thrown(() => { out = tree.render({ data }) })
  const renderMs = cpuMs() - loaded
  const size = typeof out === 'string' ? out.length : JSON.stringify(out ?? '').length
  return { outcome: error?.name ?? (size <= 64 * 1024 ? 'small' : `${size} characters`), loadMs: loaded - from, renderMs }
}

// Time of this thread alone: other processes share the machine.
function cpuMs (): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

t.test('a tree of hostile leaves has the limits of one', async t => {
  const tree = Array.from({ length: 200 }, () => '{% for i in (1..150) %}{{ i | plus: 1 }}{% endfor %}')
  t.throws(() => render(t, tree, { data: {} }), MappingError)
})

t.test('a tree gives 256 KiB at most, however it comes together', async t => {
  const data = { text: 'x'.repeat(60_000) }
  t.throws(() => render(t, Array.from({ length: 5 }, () => '{{ data.text }}'), { data }), MappingError)
  t.throws(() => render(t, Array.from({ length: 5 }, () => '{{ data }}'), { data }), MappingError)
  t.equal((render(t, Array.from({ length: 4 }, () => '{{ data.text }}'), { data }) as string[]).length, 4)
})

t.test('R82 keys that reach into prototypes are inert in data, and the prototype stays clean', async t => {
  const before = Object.getOwnPropertyNames(Object.prototype).toSorted()
  const keys = ['__proto__', 'constructor', 'prototype', 'toString', 'toLiquid', 'hasOwnProperty', 'valueOf', 'then', 'next', 'toJSON', 'length', 'size']
  for (const key of keys) {
    const data = JSON.parse(`{"o": {"${key}": {"polluted": true}}, "list": [{"${key}": 1}]}`) as object
    for (const template of ['{{ data.o }}', '{{ data.list | map: "a" | join: "," }}', 'x{{ data.o }}', '{{ data.o | upcase }}', `{{ data.o["${key}"] }}`, '{{ data.list | json }}', '{% for p in data.o %}{{ p }}{% endfor %}', '{% if data.o == "x" %}y{% endif %}']) {
      const error = thrown(() => JSON.stringify(render(t, template, { data })))
      t.ok(error === null || error instanceof MappingError, `${key} in ${template}: ${error?.name}`)
    }
  }
  t.equal(({} as Record<string, unknown>).polluted, undefined)
  t.strictSame(Object.getOwnPropertyNames(Object.prototype).toSorted(), before)
})

// ── the check at load ──────────────────────────────────────────────────────────────────────────

const READABLE: Readable = {
  data: {
    type: 'object',
    additionalProperties: false,
    required: ['customer', 'products', 'tags'],
    properties: {
      customer: { $ref: '#/$defs/customer' },
      products: {
        type: 'array',
        minItems: 1,
        items: { type: 'object', additionalProperties: false, required: ['title'], properties: { title: { type: 'string' }, variant_title: { type: 'string' }, price: { type: 'object', additionalProperties: false, required: ['amount'], properties: { amount: { type: 'string' } } } } }
      },
      tags: { type: 'array', items: { type: 'string' } },
      note: { type: 'string' },
      extra: { type: 'object', additionalProperties: true, properties: { known: { type: 'string' } } }
    },
    $defs: { customer: { type: 'object', additionalProperties: false, required: ['name'], properties: { name: { type: 'string' }, email: { type: 'string' } } } }
  },
  shop: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
  map: true
}

t.test('templates that read what is there, or ask first, are accepted', async t => {
  const accepted = [
    '{{ data.customer.name }}',
    '{{ data.customer.email | default: "" }}',
    '{{ data.customer.email | default: data.customer.name }}',
    '{% if data.customer.email %}{{ data.customer.email | upcase }}{% endif %}',
    '{% unless data.note %}none{% else %}{{ data.note }}{% endunless %}',
    '{% if data.note == nil %}none{% else %}{{ data.note }}{% endif %}',
    '{% if data.note != blank and data.customer.email %}{{ data.note }}{{ data.customer.email }}{% endif %}',
    '{% if data.note == "a" or data.note == "b" %}{{ data.note }}{% endif %}',
    '{% unless data.note and data.customer.email %}-{% else %}{{ data.note }}{% endunless %}',
    '{% if data.note == nil %}a{% elsif data.note %}{{ data.note }}{% endif %}',
    '{% case data.note %}{% when "a", "b" %}{{ data.note }}{% else %}?{% endcase %}',
    '{{ data.products | map: "title" | join: ", " }}',
    '{{ data.products | map: "variant_title" | compact | join: ", " }}',
    '{{ data.products.size | minus: 1 }}{{ data.products | size }}',
    '{{ data.products.first.title }}{{ data.products[0].title }}',
    '{% for p in data.products %}{{ p.title }}{% if p.variant_title %} - {{ p.variant_title }}{% endif %}{{ forloop.index }}{% endfor %}',
    '{% assign first = data.products | first %}{{ first.title }}',
    '{% assign c = data.customer %}{{ c.name }}{{ c.email | default: "" }}',
    '{{ data.extra.anything | default: "" }}',
    '{{ map.whatever.there.is }}',
    '{{ shop.name }}',
    '{{ data.customer.name.size }}'
  ]
  for (const template of accepted) t.strictSame(compile(t, `a: ${JSON.stringify(template)}`, READABLE).faults.map(fault => fault.message), [], template)
})

t.test('a variable that does not exist, or may be absent, is refused where it stands', async t => {
  const refused: Array<[yaml: string, code: string, line: number, column: number, hint?: RegExp]> = [
    ['a: "{{ data.custmer.name }}"', 'GW_MAPPING_FIELD', 1, 8, /"customer"/],
    ['x: 1\nb: "{{ data.customer.nmae }}"', 'GW_MAPPING_FIELD', 2, 8, /"name"/],
    ['a: "{{ dta.customer }}"', 'GW_MAPPING_FIELD', 1, 8, /"data"/],
    ['a: "{{ secret.api_key }}"', 'GW_MAPPING_FIELD', 1, 8],
    ['a: "{{ data.customer.name.first_letter }}"', 'GW_MAPPING_FIELD', 1, 8],
    ['a: "Hi {{ data.customer.name }}, {{ data.customer.email }}"', 'GW_MAPPING_OPTIONAL', 1, 37, /default/],
    ['a: "{{ data.note }}"', 'GW_MAPPING_OPTIONAL', 1, 8],
    ['a: "{{ data.note | upcase | default: \'\' }}"', 'GW_MAPPING_OPTIONAL', 1, 8],
    ['a: "{{ data.customer.name | append: data.note }}"', 'GW_MAPPING_OPTIONAL', 1, 37],
    ['a: "{% if data.note %}x{% else %}{{ data.note }}{% endif %}"', 'GW_MAPPING_OPTIONAL', 1, 37],
    ['a: "{% if data.note != \'a\' %}{{ data.note }}{% endif %}"', 'GW_MAPPING_OPTIONAL', 1, 33],
    ['a: "{% if data.note or data.customer.email %}{{ data.note }}{% endif %}"', 'GW_MAPPING_OPTIONAL', 1, 49],
    ['a: "{% if data.note %}{{ data.customer.email }}{% endif %}"', 'GW_MAPPING_OPTIONAL', 1, 26],
    ['a: "{% for p in data.products %}{{ p.variant_title }}{% endfor %}"', 'GW_MAPPING_OPTIONAL', 1, 36],
    ['a: "{% for p in data.products %}{{ p.titel }}{% endfor %}"', 'GW_MAPPING_FIELD', 1, 36, /"title"/],
    ['a: "{% for p in data.produts %}{{ p }}{% endfor %}"', 'GW_MAPPING_FIELD', 1, 17, /"products"/],
    ['a: "{% for p in data.products %}x{% endfor %}{{ p.title }}"', 'GW_MAPPING_FIELD', 1, 49],
    ['a: \'{{ data.products | map: "titel" | join: ", " }}\'', 'GW_MAPPING_FIELD', 1, 30, /"title"/],
    ['a: \'{{ data.products | map: "variant_title" | join: ", " }}\'', 'GW_MAPPING_OPTIONAL', 1, 30, /compact/],
    ['a: \'{{ data.products | map: "title" | map: "x" }}\'', 'GW_MAPPING_FIELD', 1, 45],
    ['a: \'{{ data.products | join: ", " }}\'', 'GW_MAPPING_FIELD', 1, 8, /map/],
    ['a: "{{ data.tags.first }}"', 'GW_MAPPING_OPTIONAL', 1, 8],
    ['a: "{{ data.products[1].title }}"', 'GW_MAPPING_OPTIONAL', 1, 8],
    ['a: "{{ data.products.title }}"', 'GW_MAPPING_FIELD', 1, 8],
    ['a: "{% assign c = data.customer %}{{ c.nam }}"', 'GW_MAPPING_FIELD', 1, 38, /"name"/],
    ['a: "{% assign n = data.note %}{{ n }}"', 'GW_MAPPING_OPTIONAL', 1, 19],
    ['a: "{{ shop.domain }}"', 'GW_MAPPING_FIELD', 1, 8],
    ['a: "{{ shop.nmae | default: \'x\' }}"', 'GW_MAPPING_FIELD', 1, 8, /"name"/],
    ['a: >-\n  Dear {{ data.customer.name }},\n  {{ data.customer.emial }}', 'GW_MAPPING_FIELD', 3, 6, /"email"/],
    ['a:\n  - [ "x", { y: "{{ data.z }}" } ]', 'GW_MAPPING_FIELD', 2, 21],
    ['a: "{{ data.customer.name"', 'GW_MAPPING_SYNTAX', 1, 5],
    ['a: "ok {{ }}"', 'GW_MAPPING_SYNTAX', 1, 11],
    ['a: "{{ data.customer.name | upcse }}"', 'GW_MAPPING_SYNTAX', 1, 5, /"upcase"/],
    ['a: "x {% fi data.note %}"', 'GW_MAPPING_SYNTAX', 1, 7, /"if"/],
    ['a: "{% if data.note %}x"', 'GW_MAPPING_SYNTAX', 1, 5],
    ['a: "{% capture x %}y{% endcapture %}"', 'GW_MAPPING_SYNTAX', 1, 5],
    ['a: "{% case data.note %}{% when data.customer.name %}x{% endcase %}"', 'GW_MAPPING_SYNTAX', 1, 33],
    ['"{{ data.note }}": x', 'GW_MAPPING_SYNTAX', 1, 1]
  ]
  for (const [yaml, code, line, column, hint] of refused) {
    const { faults } = compile(t, yaml, READABLE)
    t.strictSame(faults.map(fault => [fault.code, fault.place.line, fault.place.column]), [[code, line, column]], yaml)
    if (hint !== undefined) t.match(faults[0]?.fix, hint, yaml)
  }
})

t.test('all faults of a tree are named together', async t => {
  const { faults } = compile(t, 'a: "{{ data.x }} {{ data.y }}"\nb: { c: "{{ data.note }}", d: "{{ broken" }', READABLE)
  t.strictSame(faults.map(fault => [fault.code, fault.path]), [['GW_MAPPING_FIELD', '/a'], ['GW_MAPPING_FIELD', '/a'], ['GW_MAPPING_OPTIONAL', '/b/c'], ['GW_MAPPING_SYNTAX', '/b/d']])
})

t.test('what the check accepts renders for the least data the schema allows', async t => {
  const { tree, faults } = compile(t, 'a: "{% if data.note %}{{ data.note }}{% endif %}"\nb: "{{ data.customer.email | default: \'\' }}"\nc: "{% case data.note %}{% when \'a\' %}{{ data.note }}{% else %}-{% endcase %}"\nd: "{% if data.note == nil %}none{% else %}{{ data.note }}{% endif %}"', READABLE)
  t.strictSame(faults, [])
  t.strictSame(tree.render({ data: { customer: { name: 'Ada' }, products: [{ title: 'x' }], tags: [] } }), { a: '', b: '', c: '-', d: 'none' })
})

// The properties of both kinds of message, as a provider's mapping would write them.
const STOCK = `
title: "{{ data.product.title }}"
title_incl_variant: "{{ data.product.title }}{% if data.variant.title %} - {{ data.variant.title }}{% endif %}"
variant_title: "{{ data.variant.title | default: '' }}"
price: "{{ data.variant.price.amount }}"
link: "{{ data.variant.checkout_url | default: data.variant.url }}"
image_url: "{{ data.product.image_url | default: '' }}"
customer_name: "{{ data.customer.name }}"
country: "{{ data.customer.country | country_name }}"
`
const PREORDER = `
first_product: "{{ data.products.first.title }}"
products: "{{ data.products | map: 'title' | join: ', ' }}"
products_count: "{{ data.products | size }}"
other_count: "{{ data.products | size | minus: 1 }}"
shipping_timeline: "{{ data.shipping_timeline | default: '' }}"
order_name: "{{ data.order.name }}"
order_number: "{{ data.order.number }}"
customer_phone: "{{ data.customer.phone | default: '' }}"
`

function shipped (type: string): JsonSchema {
  return JSON.parse(readFileSync(new URL(`../../schemas/events/${type}.schema.json`, import.meta.url), 'utf8')) as JsonSchema
}

t.test('mappings of the shipped event types pass the check and render every example of their schema', async t => {
  const rendered = (type: string, yaml: string): unknown[] => {
    const schema = shipped(type)
    const { tree, faults } = compile(t, yaml, { data: schema })
    t.strictSame(faults, [], type)
    return (schema.examples as unknown[]).map(data => tree.render({ data }))
  }
  const [full, least, awkward] = rendered('back_in_stock.alert', STOCK)
  t.strictSame(full, { title: 'Floral Shirt', title_incl_variant: 'Floral Shirt - Medium', variant_title: 'Medium', price: '49.90', link: 'https://acme.example/cart/8001:1', image_url: 'https://cdn.example/floral-shirt.jpg', customer_name: 'Ada Example', country: 'United States' })
  t.strictSame(least, { title: 'Mug', title_incl_variant: 'Mug', variant_title: '', price: '5', link: 'https://acme.example/products/mug?variant=8002', image_url: '', customer_name: '', country: 'United States' })
  t.match(awkward, { title: '12" \\ «Łódź» {{ vase }} </b> 花瓶 🏺', country: 'United Kingdom' })
  t.strictSame(rendered('back_in_stock.reminder', STOCK), [full, least, awkward])
  t.strictSame(rendered('preorder.confirmed', PREORDER).slice(0, 2), [
    { first_product: 'Floral Shirt', products: 'Floral Shirt, Mug', products_count: 2, other_count: 1, shipping_timeline: 'Ships in 2 weeks', order_name: '#1001', order_number: 1001, customer_phone: '+12015550123' },
    { first_product: 'Mug', products: 'Mug', products_count: 1, other_count: 0, shipping_timeline: '', order_name: '#1002', order_number: 1002, customer_phone: '' }
  ])
})

t.test('R86 a preorder of 1,000 lines renders within the limits', async t => {
  const data = { customer: {}, order: { name: '#1', number: 1 }, products: Array.from({ length: 1000 }, (_, i) => ({ title: `Product ${i}`, quantity: 1 })) }
  const out = render(t, { products: '{{ data.products | map: "title" | join: ", " }}', lines: '{% for p in data.products %}{{ p.quantity }} x {{ p.title }}{% unless forloop.last %}, {% endunless %}{% endfor %}' }, { data })
  t.match((out as Record<string, string>).products, /^Product 0, .*, Product 999$/)
  t.match((out as Record<string, string>).lines, /^1 x Product 0, .*, 1 x Product 999$/)
})

t.test('differences of a case are told by place', async t => {
  t.strictSame(diff({ a: 1, b: [1, { c: 'x' }] }, { b: [1, { c: 'x' }], a: 1 }), [])
  t.strictSame(diff({ a: 1, b: [1, 2], c: 'x', 'd/e': null }, { a: '1', b: [1], 'd/e': {}, f: true }), [
    '/a: expected 1, got "1"', '/b/1: expected 2, got nothing', '/c: expected "x", got nothing', '/d~1e: expected null, got {}', '/f: expected nothing, got true'
  ])
  t.strictSame(diff('a', ['a']), ['/: expected "a", got ["a"]'])
})

function thrown (act: () => unknown): Error | null {
  try {
    act()
    return null
  } catch (error) {
    return error as Error
  }
}
