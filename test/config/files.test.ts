import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { createFiles } from '../../gateway/config/files.ts'
import { formatFaults, faultsAsJson } from '../../gateway/config/format.ts'
import { substitute } from '../../gateway/config/substitute.ts'
import type { Fault, JsonSchema } from '../../gateway/contract.ts'
import { environment, FILES, FULL, load } from './valid.ts'

type Test = Pick<typeof t, 'testdir'>

/** Writes one file and reads it. */
function read (t: Test, yaml: string | Buffer, env: Record<string, string> = {}, substitute = true) {
  const cwd = t.testdir({})
  writeFileSync(join(cwd, 'x.yaml'), yaml)
  const files = createFiles({ cwd, env })
  return { files, cwd, ...files.read('x.yaml', { substitute }) }
}

function places (faults: Fault[]): string[] {
  return faults.map(({ code, place }) => `${code} ${place.line}:${place.column}`)
}

const REFUSED: Array<[what: string, yaml: string, ...faults: string[]]> = [
  ['an alias and its anchor', 'a: &x 1\nb: *x\n', 'GW_YAML_FORBIDDEN 1:4', 'GW_YAML_FORBIDDEN 2:4'],
  ['an anchor nobody uses', 'a: &x 1\n', 'GW_YAML_FORBIDDEN 1:4'],
  ['an alias to what holds it', 'a: &x [*x]\n', 'GW_YAML_FORBIDDEN 1:4', 'GW_YAML_FORBIDDEN 1:8'],
  ['a directive that would make no a boolean', '%YAML 1.1\n---\na: no\n', 'GW_YAML_FORBIDDEN 1:1'],
  ['tags, known and unknown', 'a: !!str 1\nb: !own x\n', 'GW_YAML_FORBIDDEN 1:4', 'GW_YAML_FORBIDDEN 2:4'],
  ['a second document', 'a: 1\n---\nb: 2\n', 'GW_YAML_FORBIDDEN 2:1'],
  ['a second document without a mark', 'a: 1\n...\nb: 2\n', 'GW_YAML_FORBIDDEN 3:1'],
  ['a merge key', 'a:\n  <<: { b: 1 }\n', 'GW_YAML_FORBIDDEN 2:3'],
  ['a prototype', 'a: 1\n__proto__: { b: 1 }\n', 'GW_YAML_FORBIDDEN 2:1'],
  ['braces without quotes, which would be a map as a key', 'a: {{ data.x }}\n', 'GW_YAML_SYNTAX 1:5'],
  ['a map as a key', '? { a: 1 }\n: b\n', 'GW_YAML_SYNTAX 1:3'],
  ['an environment reference without quotes in a flow map', 'b: 1\na: { b: ${X} }\n', 'GW_YAML_SYNTAX 2:10'],
  ['a tab as indentation', 'a:\n\tb: 1\n', 'GW_YAML_SYNTAX 2:1'],
  ['a list and a map at once', '- a\nb: 1\n', 'GW_YAML_SYNTAX 2:1'],
  ['an unknown escape', 'a: "\\q"\n', 'GW_YAML_SYNTAX 1:5'],
  ['an open quote', 'a: "b\n', 'GW_YAML_SYNTAX 2:1'],
  ['keys that stand there twice, all of them', 'a: 1\na: 2\nb: { c: 1, c: 2 }\na: 3\n', 'GW_CONFIG_DUPLICATE 2:1', 'GW_CONFIG_DUPLICATE 3:12', 'GW_CONFIG_DUPLICATE 4:1'],
  ['a hundred levels and more', '['.repeat(101) + ']'.repeat(101), 'GW_YAML_FORBIDDEN 1:101'],
  ['a million brackets', '['.repeat(1_000_000), 'GW_YAML_FORBIDDEN 1:101'],
  ['half a million list marks', '- '.repeat(500_000), 'GW_YAML_FORBIDDEN 1:201'],
  ['levels by indentation', Array.from({ length: 102 }, (_, i) => ' '.repeat(i) + 'a:').join('\n') + ' 1\n', 'GW_YAML_FORBIDDEN 102:102'],
  ['syntax faults on two lines', 'a: "\\q"\nb: "\\z"\n', 'GW_YAML_SYNTAX 1:5', 'GW_YAML_SYNTAX 2:5'],
  ['a reference that cannot be read', 'a: ${X\nb: "x ${Y:-${Z}}"\nc: ${1X}\n', 'GW_CONFIG_ENV_SYNTAX 1:4', 'GW_CONFIG_ENV_SYNTAX 2:7', 'GW_CONFIG_ENV_UNSET 2:12', 'GW_CONFIG_ENV_SYNTAX 3:4'],
  ['variables that are not set, all of them', 'a: ${X}\nb: [ "${Y}", "${Z:?tell us}" ]\nc: >-\n  some\n  text ${V}\n', 'GW_CONFIG_ENV_UNSET 1:4', 'GW_CONFIG_ENV_UNSET 2:7', 'GW_CONFIG_ENV_UNSET 2:15', 'GW_CONFIG_ENV_UNSET 5:8'],
  ['two variables in one value', 'a: ${X} and ${Y}\n', 'GW_CONFIG_ENV_UNSET 1:4', 'GW_CONFIG_ENV_UNSET 1:13']
]

t.test('what YAML allows and a config must not have is refused where it stands', async t => {
  for (const [what, yaml, ...expected] of REFUSED) {
    const { faults } = read(t, yaml)
    t.strictSame(places(faults), expected, what)
  }
})

t.test('a file that cannot be told for sure gives no value, one with other faults does', async t => {
  t.equal(read(t, 'a: &x 1\n').file, null)
  t.equal(read(t, 'a: "\n').file, null)
  t.strictSame(read(t, 'a: 1\na: 2\nb: ${X}\n').file?.value, { a: 1, b: '${X}' })
})

t.test('text that looks like an alias, a tag or a directive is text', async t => {
  const { file, faults } = read(t, 'a: |\n  *x &y !z\n  %YAML\nb: "*x"\nc: a & b ! c\n')
  t.strictSame(faults, [])
  t.strictSame(file?.value, { a: '*x &y !z\n%YAML\n', b: '*x', c: 'a & b ! c' })
})

t.test('YAML 1.2 decides types: no is text, 012 is twelve', async t => {
  t.strictSame(read(t, 'a: no\nb: 012\nc: 1e3\nd: ~\ne: "1"\n1: key\n').file?.value, { a: 'no', b: 12, c: 1000, d: null, e: '1', 1: 'key' })
})

t.test('the advice is to use quotes where a brace is the cause', async t => {
  for (const yaml of ['a: {{ x }}\n', 'a: { b: ${X} }\n', 'a: [${X}]\n']) t.match(read(t, yaml).faults[0]?.fix, /quotes/)
})

t.test('a byte order mark and Windows line ends are read', async t => {
  t.strictSame(read(t, '\ufeffa: 1\r\nb: two\r\n').file?.value, { a: 1, b: 'two' })
  t.strictSame(places(read(t, '\ufeffa: 1\r\nb: ${X}\r\n').faults), ['GW_CONFIG_ENV_UNSET 2:4'])
})

t.test('files that are no text of the right size are refused', async t => {
  const { files, cwd } = read(t, 'a: 1\n')
  t.strictSame(files.read('none.yaml').faults.map(({ code, place }) => [code, place]), [['GW_FILE_MISSING', { file: 'none.yaml', line: 1, column: 1 }]])
  t.equal(files.read('.').faults[0]?.code, 'GW_FILE_UNREADABLE')
  t.equal(files.read('x.yaml/y').faults[0]?.code, 'GW_FILE_MISSING')
  t.equal(read(t, Buffer.from([0x61, 0x3a, 0x20, 0xff])).faults[0]?.code, 'GW_FILE_UNREADABLE')
  t.equal(read(t, `a: ${'x'.repeat(1024 * 1024)}`).faults[0]?.code, 'GW_FILE_UNREADABLE')
  t.strictSame(read(t, `a: ${'x'.repeat(1024 * 1024 - 3)}`).faults, [])
  mkdirSync(join(cwd, 'loop'))
  symlinkSync('self', join(cwd, 'loop', 'self'))
  t.equal(files.read('loop/self').faults[0]?.code, 'GW_FILE_UNREADABLE')
})

t.test('a file another one names is read relative to it, and told at the place that names it', async t => {
  const cwd = t.testdir({ sub: { 'x.yaml': 'a: 1\nb: gone.txt\n', 'y.txt': 'text' } })
  const files = createFiles({ cwd, env: {} })
  const file = files.read('sub/x.yaml').file!
  t.strictSame(files.text('y.txt', { file, pointer: '/b' }), { text: 'text', faults: [] })
  const { text, faults } = files.text('gone.txt', { file, pointer: '/b' })
  t.equal(text, null)
  t.strictSame(faults.map(({ code, place }) => [code, place]), [['GW_FILE_MISSING', { file: 'sub/x.yaml', line: 2, column: 4 }]])
})

t.test('an offset into a value is found in every style of writing it', async t => {
  const { file } = read(t, 'a: one two\nb: "one two"\nc: \'one two\'\nd: |\n  one\n  two\ne: >-\n  one\n\n  two\nf: one\n  two\ng: "o\\x6ee two"\n', {}, false)
  const at = (pointer: string): string => places([file!.fault('GW_MAPPING_FIELD', pointer, '', '', { offset: 4 })])[0]!
  t.strictSame(['/a', '/b', '/c', '/d', '/e', '/f', '/g'].map(at), ['1:8', '2:9', '3:9', '6:3', '10:3', '12:3', '13:4'].map(place => `GW_MAPPING_FIELD ${place}`))
})

t.test('a fault at what is not there is placed at what would hold it', async t => {
  const { file } = read(t, 'a:\n  b: [1, { c: 2 }]\n')
  const at = (pointer: string, key = false): string => places([file!.fault('GW_CONFIG_VALUE', pointer, '', '', { key })])[0]!
  t.strictSame([at('/a/b/1/c', true), at('/a/b/1/x'), at('/a/x/y', true), at('', true)], ['2:12', '2:10', '1:1', '1:1'].map(place => `GW_CONFIG_VALUE ${place}`))
})

const SUBSTITUTED: Array<[string, unknown]> = [
  ['${X}', 'text'], ['${env:X}', 'text'], ['${PORT}', 8080], ['"${PORT}"', '8080'], ['\'${PORT}\'', '8080'], ['${ON}', true],
  ['${NOT:-fallback}', 'fallback'], ['${NOT-fallback}', 'fallback'], ['${EMPTY:-fallback}', 'fallback'], ['"${EMPTY-fallback}"', ''], ['${EMPTY}', null],
  ['${NOT:-8081}', 8081], ['${NOT:-}', null], ['"${NOT:-}"', ''], ['${X:?must be}', 'text'], ['"${EMPTY?must be}"', ''], ['${env:NOT:-d}', 'd'],
  ['a-${X}-${PORT}', 'a-text-8080'], ['${PORT}${PORT}', 80808080], ['$$', '$'], ['$${X}', '${X}'], ['$$${X}', '$text'], ['$X', '$X'], ['a$', 'a$'],
  ['${LINES}', 'a\n  evil: true'], ['${YAML}', '{ a: [1, 2] }'], ['"${YAML}"', '{ a: [1, 2] }'], ['${AGAIN}', '${X}'], ['${TAGGED}', '!!int 5'], ['${STAR}', '*x']
]

t.test('the environment is put into values, once, and never becomes structure', async t => {
  const env = { X: 'text', PORT: '8080', ON: 'true', EMPTY: '', LINES: 'a\n  evil: true', YAML: '{ a: [1, 2] }', AGAIN: '${X}', TAGGED: '!!int 5', STAR: '*x' }
  for (const [written, value] of SUBSTITUTED) {
    const { file, faults } = read(t, `v: ${written}\n`, env)
    t.strictSame(faults, [], written)
    t.strictSame(file?.value, { v: value }, written)
  }
})

t.test('an empty variable counts as unset where a colon asks for that', async t => {
  t.strictSame(read(t, 'a: ${E:?tell}\n', { E: '' }).faults.map(({ code, message }) => [code, message]), [['GW_CONFIG_ENV_UNSET', 'tell']])
})

t.test('names are left as they are written, and so is everything where nothing is to be substituted', async t => {
  t.strictSame(read(t, '"${X}": 1\n', { X: 'y' }).file?.value, { '${X}': 1 })
  t.strictSame(read(t, 'a: ${X}\nb: $$\n', { X: 'y' }, false).file?.value, { a: '${X}', b: '$$' })
})

t.test('the names of every object are no variables', async t => {
  t.equal(substitute('${constructor:-none}', {}).text, 'none')
})

// As text, because an object with this name in it looks like a promise.
const THEN: JsonSchema = JSON.parse('{ "then": { "required": ["b"] } }')

const CHOICES: JsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: { way: { type: 'object', required: ['kind', 'url'], properties: { kind: { const: 'http' }, url: { type: 'string', format: 'uri' } }, additionalProperties: false } },
  properties: {
    way: { oneOf: [{ $ref: '#/$defs/way' }, { type: 'object', required: ['kind', 'path'], properties: { kind: { const: 'file' }, path: { type: 'string' } }, additionalProperties: false }] },
    either: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
    when: { type: 'object', properties: { a: { type: 'number' }, b: {} }, if: { required: ['a'] }, ...THEN }
  },
  propertyNames: { maxLength: 8 },
  unevaluatedProperties: false
}

t.test('of several forms a value may have, only the one it was meant for is told of', async t => {
  const { file, files } = read(t, 'way: { kind: http, ulr: x }\neither: [a, 5]\nwhen: { a: 1 }\nmuch_too_long: 1\n')
  t.strictSame(places(files.check(file!, CHOICES)), [
    'GW_CONFIG_MISSING_KEY 1:1', 'GW_CONFIG_UNKNOWN_KEY 1:20', 'GW_CONFIG_TYPE 2:13', 'GW_CONFIG_MISSING_KEY 3:1', 'GW_CONFIG_VALUE 4:1', 'GW_CONFIG_UNKNOWN_KEY 4:1'
  ])
  const other = read(t, 'way: 5\neither: 5\n')
  t.strictSame(places(other.files.check(other.file!, CHOICES)), ['GW_CONFIG_TYPE 1:6', 'GW_CONFIG_TYPE 2:9'])
})

t.test('a misspelt key or value is told with the one that was meant', async t => {
  const { file, files } = read(t, 'levle: x\nkind: marketng\n')
  const schema = { type: 'object', properties: { level: {}, kind: { enum: ['marketing', 'transactional'] } }, additionalProperties: false }
  t.strictSame(files.check(file!, schema).map(({ fix }) => fix), ['Did you mean "level"?', 'Did you mean "marketing"?'])
})

t.test('a schema that cannot be used is refused, not passed over', async t => {
  const { file, files } = read(t, 'a: 1\n')
  t.strictSame(files.check(file!, { type: 'objekt' }).map(({ code }) => code), ['GW_SCHEMA_INVALID'])
})

t.test('faults are shown by place, each with its line and a caret under the column', async t => {
  const { faults } = read(t, 'b: 1\na: ${X:?set X to the client secret}\n')
  t.equal(formatFaults(faults), 'x.yaml:2:4: set X to the client secret. Set the environment variable X.\n    2 | a: ${X:?set X to the client secret}\n      |    ^')
  t.strictSame(faultsAsJson(faults), [{ code: 'GW_CONFIG_ENV_UNSET', file: 'x.yaml', line: 2, column: 4, path: '/a', message: 'set X to the client secret', fix: 'Set the environment variable X.' }])
})

t.test('a long line is shown around its fault, and control characters not at all', async t => {
  const { faults } = read(t, `a: { x: "${'y'.repeat(300)}", b: "${'${Q}'}", c: "\u001b[2J" }\n`)
  const [line, caret] = faults[0]!.excerpt!.split('\n') as [string, string]
  t.ok(line.length < 200)
  t.notOk(line.includes('\u001b'))
  t.equal(line.slice(caret.indexOf('^')).startsWith('${Q}'), true)
})

t.test('whatever is done to a config, the loader answers with faults or a config', async t => {
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': FULL })
  const env = environment()
  const junk = fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom('{', '}', '[', ']', '"', ': ', '\n', '\t', '&a ', '*a', '!t ', '${', '${X}', '- ', '|', '<<: ', '__proto__: ', '~', '0', '\u0000'))
  const edit = fc.record({ at: fc.nat(FULL.length), cut: fc.nat(40), put: junk })
  await fc.assert(fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async edits => {
    const yaml = edits.reduce((text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut), FULL)
    writeFileSync(join(dir, 'gateway.config.yaml'), yaml)
    const { config, faults } = await load(dir, env)
    const lines = yaml.split('\n')
    if ((config === null) !== faults.length > 0) return false
    return faults.every(({ place, excerpt }) => place.line <= lines.length && place.column <= lines[place.line - 1]!.length + 1 && excerpt !== undefined)
  }), { numRuns: 200 })
  t.pass('200 mutations')
})
