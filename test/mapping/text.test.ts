import fc from 'fast-check'
import { SegmentedMessage } from 'sms-segments-calculator'
import t from 'tap'
import type { CompiledText, SmsText, TextFault } from '../../gateway/contract.ts'
import { MappingError } from '../../gateway/errors.ts'
import { createMapper } from '../../gateway/mapping/mapper.ts'
import { costOf, plain } from '../../gateway/mapping/sms.ts'

const mapper = createMapper()
const NAMES = ['product_title', 'shop_name', 'purchase_link', 'timeline', 'count', 'list', 'object']
const VALUES = { product_title: 'Floral Shirt', shop_name: 'Acme', purchase_link: 'https://acme.example/shirt', timeline: '', count: 3, list: ['a', 'b'], object: { a: 1 } }

function compile (template: string, names: readonly string[] = NAMES): CompiledText {
  const compiled = mapper.text(template, names)
  if ('faults' in compiled) throw new Error(`${template}: ${compiled.faults.map(({ message }) => message).join(', ')}`)
  return compiled
}

function faultsOf (template: string, names: readonly string[] = NAMES): TextFault[] {
  const compiled = mapper.text(template, names)
  return 'faults' in compiled ? compiled.faults : []
}

function thrown (act: () => unknown): Error | null {
  try {
    act()
    return null
  } catch (error) {
    return error as Error
  }
}

/** The text of a value that stands alone. */
const sent = (value: unknown): SmsText => compile('{{ v }}', ['v']).render({ v: value })

// ── what a merchant may write ──────────────────────────────────────────────────────────────────

t.test('a text writes values, asks for them, and changes them by filters', async t => {
  const cases: Array<[template: string, text: string]> = [
    ['{{ product_title }} is back at {{shop_name}}: {{ purchase_link }}', 'Floral Shirt is back at Acme: https://acme.example/shirt'],
    ['No values at all.', 'No values at all.'],
    ['{% if timeline %}Ships {{ timeline }}{% else %}Ships soon{% endif %}', 'Ships soon'],
    ['{% if count > 2 and shop_name contains "cm" %}many{% elsif count %}few{% endif %}', 'many'],
    ['{% if not timeline %}soon{% endif %}', 'soon'],
    ['{% unless timeline %}soon{% endunless %}', 'soon'],
    ['{% case count %}{% when 1, 2 %}few{% when 3 %}three{% else %}many{% endcase %}', 'three'],
    ['{{ timeline | default: "soon" }}', 'soon'],
    ['{{ shop_name | upcase }} {{ shop_name | downcase }} {{ "new ARRIVAL" | capitalize }}', 'ACME acme New arrival'],
    ['{{ product_title | truncate: 8 }} {{ product_title | truncate: 8, "" }} {{ product_title | truncatewords: 1 }}', 'Flora... Floral S Floral...'],
    ['{{ product_title | replace: "r", "R" }} {{ product_title | replace_first: "r", "R" }} {{ product_title | remove: "l" }}', 'FloRal ShiRt FloRal Shirt Fora Shirt'],
    ['{{ shop_name | prepend: "(" | append: ")" }}', '(Acme)'],
    ['{{ "  a   b  " | strip | squish }}|{{ "a b" | strip_newlines }}', 'a b|a b'],
    ['{%- if count -%}  {{- count -}}  {%- endif -%}', '3'],
    ['{{ product_title.size }}', '12'],
    ['{{ list }}', 'ab'],
    ['  {{ shop_name }} \r\n{{ shop_name }}\r{{ shop_name }} \n ', 'Acme \nAcme\nAcme']
  ]
  for (const [template, text] of cases) t.equal(compile(template).render(VALUES).text, text, JSON.stringify(template))
})

t.test('a value that is absent, null or false writes nothing', async t => {
  for (const values of [{}, { shop_name: null }, { shop_name: undefined }, Object.create({ shop_name: 'inherited' })]) {
    t.equal(compile('[{{ shop_name | upcase }}]').render(values as object as Record<string, unknown>).text, '[]')
  }
})

t.test('each fault is told with its place and a remedy', async t => {
  const cases: Array<[template: string, offset: number, fix: RegExp]> = [
    ['Hi {{ prodct_title }}', 6, /"product_title"/],
    ['Hi {{ elephant }}', 6, /product_title, shop_name/],
    ['Hi {% if prodct_title == "a" %}x{% endif %}', 9, /"product_title"/],
    ['{{ shop_name | default: prodct_title }}', 24, /"product_title"/],
    ['{{ shop_name.domain }}', 3, /\{\{ shop_name \}\}/],
    ['{{ shop_name | upcas }}', 15, /"upcase"/],
    ['{{ shop_name | append }}', 3, /\| append: "text"/],
    ['{{ shop_name | upcase: 3 }}', 3, /\| upcase\./],
    ['{{ shop_name | truncate: "x" }}', 25, /truncate: 40/],
    ['{{ shop_name | default: "x", allow_false: true }}', 3, /default: "text"/],
    ['{{ product title }}', 3, /\{\{ name \}\}/],
    ['{{ product_title, shop_name }}', 3, /\{\{ name \}\}/],
    ['{{ not count }}', 7, /\{\{ name \}\}/],
    ['{{ count | truncate 5 }}', 20, /\|/],
    ['Hi {{ shop_name', 3, /\}\}/],
    ['Hi {{ }}', 6, /a name/],
    ['Hi {% if count', 3, /%\}/],
    ['Hi {% if count %}x', 3, /endif/],
    ['Hi {% endif %}', 3, /\{% if/],
    ['{% if count = 3 %}x{% endif %}', 13, /==/],
    ['{% if count == %}x{% endif %}', 6, /==/],
    ['{% if count %}x{% else if count %}y{% endif %}', 0, /elsif/],
    ['{% case count %}{% when shop_name %}x{% endcase %}', 24, /elsif/],
    ['{% unles count %}x{% endunles %}', 0, /"unless"/],
    ['{{ [shop_name] }}', 3, /product_title/],
    ['   \n', 0, /./],
    ['', 0, /./]
  ]
  for (const [template, offset, fix] of cases) {
    const [fault] = faultsOf(template)
    t.equal(fault?.offset, offset, `${template}: ${fault?.message}`)
    t.match(fault?.fix, fix, template)
  }
})

t.test('all faults of a text come together', async t => {
  t.strictSame(faultsOf('{{ prodct_title }} {{ shop_nam }} {% if cont %}x{% endif %}').map(({ offset }) => offset), [3, 22, 40])
})

t.test('a template of 2,000 characters is taken, one more is not', async t => {
  t.strictSame(faultsOf('a'.repeat(1990) + '{{ list }}'), [])
  t.match(faultsOf('a'.repeat(1991) + '{{ list }}'), [{ offset: 2000 }])
})

// ── what a text must not be able to do ─────────────────────────────────────────────────────────

/** Refused when it is compiled, or a MappingError, or the text that it gives: never anything else, never for long. */
const HOSTILE: Record<string, [template: string, becomes: 'refused' | 'MappingError' | string]> = {
  'a loop': ['{% for i in (1..1000000000) %}x{% endfor %}', 'refused'],
  'a table of rows': ['{% tablerow i in (1..1000) %}x{% endtablerow %}', 'refused'],
  'assign': ['{% assign a = shop_name %}{{ a }}', 'refused'],
  'capture doubling': ['{% capture a %}xx{% endcapture %}{{ a }}', 'refused'],
  'increment': ['{% increment a %}', 'refused'],
  'echo': ['{% echo shop_name %}', 'refused'],
  'several tags in one': ['{% liquid echo shop_name %}', 'refused'],
  'raw': ['{% raw %}{{ a }}{% endraw %}', 'refused'],
  'a comment': ['{% comment %}x{% endcomment %}', 'refused'],
  'a comment of one line': ['{% # x %}', 'refused'],
  'a file by include': ['{% include "/etc/passwd" %}', 'refused'],
  'a file by render': ['{% render "../../package.json" %}', 'refused'],
  'a layout': ['{% layout "a" %}', 'refused'],
  'a tag named constructor': ['{% constructor %}', 'refused'],
  'a tag named __proto__': ['{% __proto__ %}', 'refused'],
  'the constructor of a value': ['{{ shop_name.constructor.constructor }}', 'refused'],
  'the constructor of the scope': ['{{ constructor }}', 'refused'],
  'the prototype': ['{{ __proto__ }}{{ shop_name["__proto__"] }}', 'refused'],
  'a name built from another value': ['{{ [shop_name] }}', 'refused'],
  'a name in quotes': ['{{ ["shop_name"] }}', 'Acme'],
  'a part named by a value': ['{{ object[shop_name] }}', 'refused'],
  'an index': ['{{ list[99999999999999999999] }}', 'refused'],
  'a range': ['{{ (1..1000000000) }}', 'refused'],
  'a range in a condition': ['{% if (1..1000000000) contains 5 %}x{% endif %}', 'refused'],
  'a range for a filter': ['{{ shop_name | append: (1..1000000000) }}', 'refused'],
  'a filter of lists': ['{{ list | join: "," }}', 'refused'],
  'a filter that makes JSON': ['{{ object | json }}', 'refused'],
  'a filter named constructor': ['{{ shop_name | constructor }}', 'refused'],
  'a filter named toString': ['{{ shop_name | toString }}', 'refused'],
  'a filter with the clock': ['{{ "now" | date: "%s" }}', 'refused'],
  'the padding of a date': ['{{ "2020-01-01" | date: "%999999999d" }}', 'refused'],
  'what other templates read': ['{{ data }}{{ secret.api_key }}{{ connection.settings }}', 'refused'],
  'nesting': ['{% if count %}'.repeat(5) + 'x' + '{% endif %}'.repeat(5), 'refused'],
  'nesting to the end of the template': ['{% if count %}'.repeat(80) + 'x' + '{% endif %}'.repeat(79), 'refused'],
  'nesting that is little': ['{% if count %}'.repeat(4) + 'x' + '{% endif %}'.repeat(4), 'x'],
  'an object': ['{{ object }}', 'MappingError'],
  'an object in a filter': ['{{ object | upcase }}', 'MappingError'],
  'an object that is compared': ['{% if object == "a" %}x{% else %}y{% endif %}', 'y'],
  'a replacement that grows with itself': [`{{ "${'x'.repeat(500)}" ${`| replace: "x", "${'x'.repeat(300)}" `.repeat(4)}}}`, 'MappingError'],
  'a replacement of nothing': [`{{ product_title ${'| replace: "", product_title '.repeat(8)}}}`, 'MappingError'],
  'truncation to a length that is none': ['{{ shop_name | truncate: -5 }}', '...'],
  'truncation to a great length': ['{{ shop_name | truncate: 99999999999999999999 }}', 'Acme'],
  'as many filters as fit': [`{{ product_title ${'| upcase | downcase '.repeat(90)}}}`, 'floral shirt'],
  'as many values as fit': ['{{list}}'.repeat(250), 'ab'.repeat(250)],
  'braces that are text': ['{ shop_name } }} %}', '{ shop_name } }} %}']
}

t.test('#64 #65 #66 no template of a merchant does more than its text, and none takes long', async t => {
  const slow: string[] = []
  for (const [name, [template, becomes]] of Object.entries(HOSTILE)) {
    const from = cpuMs()
    const compiled = mapper.text(template, NAMES)
    let came = 'refused'
    if ('render' in compiled) {
      const error = thrown(() => { came = compiled.render(VALUES).text })
      if (error !== null) came = error.name
    }
    t.equal(came, becomes, name)
    if (cpuMs() - from > 100) slow.push(name)
  }
  t.strictSame(slow, [])
})

// Time of this thread alone: other processes share the machine.
function cpuMs (): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

t.test('#68 data that holds Liquid is data', async t => {
  for (const value of ['{{ shop_name }}', '{% if count %}x{% endif %}', '{{ "x" | upcase }}', '}} {{ secret }}', '| upcase']) t.equal(sent(value).text, value)
})

t.test('R82 keys that reach into prototypes are inert in data', async t => {
  const names = Object.getOwnPropertyNames(Object.prototype).toSorted()
  for (const key of ['__proto__', 'constructor', 'toString', 'toLiquid', 'valueOf', 'then', 'size', 'length']) {
    const value = JSON.parse(`{"${key}": {"polluted": true}}`) as unknown
    for (const template of ['{{ v }}', '{{ v | upcase }}', '{% if v == "x" %}y{% else %}n{% endif %}', '{% if v contains "x" %}y{% else %}n{% endif %}', '{{ v.size }}']) {
      const error = thrown(() => compile(template, ['v']).render({ v: value }))
      t.ok(error === null || error instanceof MappingError, `${key} in ${template}: ${error?.name}`)
    }
  }
  t.equal(compile('{{ constructor }}', ['constructor']).render({ constructor: 'x' }).text, 'x', 'names of the caller are names')
  t.strictSame(Object.getOwnPropertyNames(Object.prototype).toSorted(), names)
})

t.test('#67 a text sees its own names and values, whoever rendered it before', async t => {
  const text = compile('{{ a }}{{ b }}', ['a', 'b'])
  t.equal(text.render({ a: '1', b: '2', c: '3' }).text, '12')
  t.equal(text.render({ a: '3' }).text, '3')
  t.match(faultsOf('{{ a }}{{ b }}', ['a']), [{ offset: 10 }])
})

t.test('the same text is compiled once; of very many the ones not asked for go', async t => {
  const own = createMapper()
  const text = (template: string, names = ['v']): unknown => own.text(template, names)
  const first = text('{{ v }}')
  const second = text('{{ v }}!')
  t.equal(text('{{ v }}'), first)
  t.not(text('{{ v }}', ['v', 'w']), first)
  const pad = 'a'.repeat(1900)
  for (let i = 0; i < 300; i++) {
    text(`${pad} ${i}`)
    text('{{ v }}')
  }
  t.equal(text('{{ v }}'), first, 'asked for all the time')
  t.not(text('{{ v }}!'), second, 'half a million characters later')
  const short = text('0')
  for (let i = 1; i <= 10_000; i++) text(String(i))
  t.not(text('0'), short, 'ten thousand texts later')
})

// ── what is sent, and what it costs ────────────────────────────────────────────────────────────

t.test('look-alikes become what they look like, and what is sent is what is counted', async t => {
  const cases: Array<[value: string, text: string]> = [
    ['“Ada’s” ‘new’ „mug‟ `x´', '"Ada\'s" \'new\' "mug" \'x\''],
    ['a – b — c ‑ d − e • f', 'a - b - c - d - e - f'],
    ['wait…', 'wait...'],
    ['40×60 ⁄ ‹x›', '40x60 / <x>'],
    ['a\u00a0b\u202fc\u2009d\te\u3000f', 'a b c d e f'],
    ['a\u200bb\u2060c\ufeffd\u00ade', 'abcde'],
    ['a\u2028b\u2029c\vd\fe\u0085f\r\ng\rh', 'a\nb\nc\nd\ne\nf\ng\nh'],
    ['a\0b\u0007c\u001bd\u009be', 'abcde'],
    ['caf\u0065\u0301', 'café'],
    ['\u200eAcme\u200f \u202aMug\u202c', 'Acme Mug'],
    ['a\ud83d b\ude00', 'a b']
  ]
  for (const [value, text] of cases) t.strictSame(sent(value), { text, encoding: 'GSM-7', segments: 1 }, JSON.stringify(text))
})

t.test('what other scripts and emoji need stays as it is', async t => {
  for (const value of ['👩\u200d👩\u200d👧 hi', 'می\u200cخواهم', '❤\ufe0f', 'שלום\u200f', 'ção', '日本', '™']) {
    t.strictSame(sent(value), { text: value, encoding: 'UCS-2', segments: 1 })
  }
})

t.test('segments are counted as carriers do', async t => {
  const cases: Array<[name: string, text: string, encoding: SmsText['encoding'], segments: number]> = [
    ['160 of GSM', 'a'.repeat(160), 'GSM-7', 1],
    ['161 of GSM', 'a'.repeat(161), 'GSM-7', 2],
    ['306 of GSM', 'a'.repeat(306), 'GSM-7', 2],
    ['307 of GSM', 'a'.repeat(307), 'GSM-7', 3],
    ['70 of UCS-2', '中'.repeat(70), 'UCS-2', 1],
    ['71 of UCS-2', '中'.repeat(71), 'UCS-2', 2],
    ['134 of UCS-2', '中'.repeat(134), 'UCS-2', 2],
    ['135 of UCS-2', '中'.repeat(135), 'UCS-2', 3],
    ['one character outside GSM among 70', 'a'.repeat(70) + 'ç', 'UCS-2', 2],
    ['35 emoji of two units', '😀'.repeat(35), 'UCS-2', 1],
    ['36 emoji of two units', '😀'.repeat(36), 'UCS-2', 2],
    ['an emoji is not cut', 'a'.repeat(66) + '😀' + 'a'.repeat(66), 'UCS-2', 3],
    ['80 extended characters', '€'.repeat(80), 'GSM-7', 1],
    ['81 extended characters', '€'.repeat(81), 'GSM-7', 2],
    ['76 of them fit a part', '€'.repeat(153), 'GSM-7', 3],
    ['each extended character costs two', 'a'.repeat(158) + '€', 'GSM-7', 1],
    ['and so one more is too many', 'a'.repeat(159) + '€', 'GSM-7', 2],
    ['an extended character is not cut', 'a'.repeat(152) + '€' + 'a'.repeat(152), 'GSM-7', 3],
    ['and fits where it need not be', 'a'.repeat(151) + '€' + 'a'.repeat(153), 'GSM-7', 2],
    ['every extended character', '^{}\\[]~|€', 'GSM-7', 1],
    ['a character of more units than a part has', 'a' + '\u0317'.repeat(700), 'UCS-2', 11]
  ]
  for (const [name, text, encoding, segments] of cases) t.strictSame(costOf(text), { encoding, segments }, name)
})

const CHARACTERS = fc.constantFrom(...'abc XYZ.,\n^{}\\[]~|€@£Δ_Φéßü', '中', 'ç', '😀', '👍🏽', '’', '…')

t.test('the quick count agrees with the library\'s', async t => {
  const agrees = fc.property(fc.array(CHARACTERS, { maxLength: 400 }), fc.boolean(), (characters, plainOnly) => {
    const text = plain(characters.filter(character => !plainOnly || !/[中ç😀👍]/u.test(character)).join(''))
    const { encodingName, segmentsCount } = new SegmentedMessage(text, 'auto')
    const { encoding, segments } = costOf(text)
    return encoding === encodingName && segments === segmentsCount
  })
  t.doesNotThrow(() => { fc.assert(agrees, { numRuns: 150 }) })
})

t.test('a text has 1,600 characters at most and one at least; the error says how many it would have', async t => {
  t.equal(sent('a'.repeat(1600)).segments, 11)
  t.throws(() => sent('a'.repeat(1601)), MappingError)
  t.match(thrown(() => sent('…'.repeat(534))), { name: 'MappingError', message: /1602/ }, 'counted as it is sent')
  t.throws(() => compile('{{ v }}'.repeat(200), ['v']).render({ v: 'x'.repeat(60_000) }), MappingError)
  for (const nothing of ['', ' \n ', '\u00a0\u200b', null, undefined]) t.throws(() => sent(nothing), MappingError)
})

const PIECES = fc.constantFrom('{{', '}}', '{%', '%}', ' if ', 'endif', 'else', 'elsif', 'unless', 'case', 'when', ' a ', ' b ', 'a', '"x"', '|', 'append: ', 'replace: ', 'truncate: ', 'default: ', '"', ',', ':', '==', ' and ', ' not ', '5', '.', '[', ']', '(', '..', ')', 'é', '…', '-', '\n',
  '{{ a }}', '{{ b | append: a }}', '{{ a | replace: b, a }}', '{% if a %}', '{% endif %}', '{{ a | truncate: 5 }}', '{% unless b == a %}', '{% endunless %}')
const DATA = fc.oneof(fc.string({ unit: 'binary', maxLength: 2000 }), fc.jsonValue(), fc.constantFrom('', '{{ a }}', 'x'.repeat(3000), '\ud83d'))

t.test('whatever a merchant writes and the data holds, it is faults, a MappingError, or a text that may be sent', async t => {
  let [refused, failed, given] = [0, 0, 0]
  fc.assert(fc.property(fc.array(PIECES, { maxLength: 14 }), DATA, DATA, (pieces, a, b) => {
    const template = pieces.join('')
    const compiled = mapper.text(template, ['a', 'b'])
    if ('faults' in compiled) {
      refused++
      return compiled.faults.length > 0 && compiled.faults.every(({ offset, message, fix }) => offset >= 0 && offset <= template.length && message !== '' && fix !== '')
    }
    try {
      const { text, segments } = compiled.render({ a, b })
      given++
      return text.length > 0 && text.length <= 1600 && text === text.trim() && text.isWellFormed() && !/(?!\n)\p{Cc}/u.test(text) && segments >= 1 && segments <= 48
    } catch (error) {
      failed++
      return error instanceof MappingError
    }
  }), { numRuns: 1500 })
  t.ok(refused > 50 && failed > 50 && given > 50, `refused ${refused}, failed ${failed}, given ${given}`)
})
