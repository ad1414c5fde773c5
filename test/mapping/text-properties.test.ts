// R85: how a text is counted and shortened, for any text: against a count made the slow way, by the carriers' rules.

import fc from 'fast-check'
import t from 'tap'
import { createMapper } from '../../gateway/mapping/mapper.ts'
import { costOf, nonGsm, plain } from '../../gateway/mapping/sms.ts'

const mapper = createMapper()
/** GSM 03.38, written out once more: one septet each, and two for the second row. */
const BASIC = new Set('@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà')
const EXTENDED = new Set('\f^{}\\[~]|€')
const CHARACTERS = fc.constantFrom(...'abcXYZ 09.,\n', ...'^{}\\[]~|€', ...'@£ΔΩéßü', '中', 'ç', '😀', '👍', '𝒳', '’', '…')
const TEXT = fc.oneof(fc.array(CHARACTERS, { maxLength: 500 }).map(parts => parts.join('')), fc.string({ unit: 'grapheme', maxLength: 300 }), fc.array(fc.constantFrom('a', 'b', '€', '{'), { minLength: 150, maxLength: 480 }).map(parts => parts.join('')))

/** Parts that are packed one character after the other: none is split over two of them. */
function packed (costs: readonly number[], alone: number, part: number): number {
  if (costs.reduce((sum, cost) => sum + cost, 0) <= alone) return 1
  let [parts, used] = [1, 0]
  for (const cost of costs) {
    if (used + cost > part) [parts, used] = [parts + 1, 0]
    used += cost
  }
  return parts
}

function slowly (text: string): { encoding: string, segments: number } {
  const characters = [...text]
  if (characters.every(character => BASIC.has(character) || EXTENDED.has(character))) return { encoding: 'GSM-7', segments: packed(characters.map(character => EXTENDED.has(character) ? 2 : 1), 160, 153) }
  return { encoding: 'UCS-2', segments: packed(characters.map(({ length }) => length), 70, 67) }
}

function rendered (template: string, a: string): string | null {
  const text = mapper.text(template, ['a'])
  if ('faults' in text) throw new Error(text.faults[0]?.message)
  try { return text.render({ a }).text } catch { return null }
}

t.test('R85: any text costs what the carriers\' rules say; a character of two units or two septets is never split over two parts', async t => {
  const seen = { 'GSM-7': 0, 'UCS-2': 0 }
  fc.assert(fc.property(TEXT, given => {
    const text = plain(given)
    if (text === '') return
    const { encoding, segments } = costOf(text)
    seen[encoding]++
    const slow = slowly(text)
    // The library keeps what is shown as one character together, so it may take one part more: never fewer.
    if (encoding !== slow.encoding) throw new Error(`${JSON.stringify(text)} is ${encoding}`)
    if (encoding === 'GSM-7' || !/\p{M}|\u200d|\p{Emoji_Modifier}|\p{Regional_Indicator}/u.test(text)) { if (segments !== slow.segments) throw new Error(`${JSON.stringify(text)}: ${segments}, and slowly ${slow.segments}`) }
    else if (segments < slow.segments) throw new Error(`${JSON.stringify(text)}: ${segments}, and slowly ${slow.segments}`)
    if ((nonGsm(text).length === 0) !== (encoding === 'GSM-7')) throw new Error('the characters that make it cost more are not those')
  }), { numRuns: 1500 })
  t.ok(seen['GSM-7'] > 100 && seen['UCS-2'] > 100, JSON.stringify(seen))
})

t.test('R85: the exact places where a part ends', async t => {
  const table: Array<[text: string, segments: number]> = [
    ['a'.repeat(160), 1], ['a'.repeat(161), 2], ['a'.repeat(306), 2], ['a'.repeat(307), 3],
    ['€'.repeat(80), 1], ['€'.repeat(81), 2], [`${'a'.repeat(152)}€${'a'.repeat(152)}`, 3], [`${'a'.repeat(151)}€${'a'.repeat(153)}`, 2],
    ['中'.repeat(70), 1], ['中'.repeat(71), 2], ['😀'.repeat(35), 1], ['😀'.repeat(36), 2], ['😀'.repeat(66), 2], ['😀'.repeat(67), 3], [`${'中'.repeat(66)}😀${'中'.repeat(66)}`, 3], [`${'中'.repeat(65)}😀${'中'.repeat(67)}`, 2]
  ]
  for (const [text, segments] of table) t.equal(costOf(text).segments, segments, `${[...text].length} of ${[...text].slice(-1)[0]}`)
})

const LINKS = ['https://acme.example/products/floral-shirt?variant=8001', 'http://a.example/x', 'https://shop.example/é😀/p?q=1&r=2#s']
const WORD = fc.oneof(fc.constantFrom('Shirt', 'is', 'back:', '😀', '👍', '中文', '…', '-'), fc.constantFrom(...LINKS), fc.constantFrom(...LINKS))
const WORDS = fc.array(WORD, { minLength: 1, maxLength: 8 }).map(words => words.join(' '))

t.test('R85: whatever is shortened, no surrogate pair is split, and a link is whole or is not there', async t => {
  let [cut, left] = [0, 0]
  fc.assert(fc.property(WORDS, fc.integer({ min: 0, max: 90 }), fc.constantFrom('', ', ""', ', " (more)"', ', "…"'), fc.boolean(), (value, length, mark, words) => {
    const text = rendered(words ? `{{ a | truncatewords: ${length % 9}${mark} }}` : `{{ a | truncate: ${length}${mark} }}`, value)
    if (text === null) return
    if (text === value) left++
    else cut++
    if (!text.isWellFormed()) throw new Error(`half a character: ${JSON.stringify(text)}`)
    for (const [link] of text.matchAll(/https?:\S*/g)) if (!LINKS.some(whole => plain(whole) === link)) throw new Error(`half a link: ${link} of ${value}`)
  }), { numRuns: 3000 })
  t.ok(cut > 500 && left > 200, `${cut} cut, ${left} left`)
})

t.test('R85: shortening stops before a link; one that stands alone stays', async t => {
  const value = 'Floral Shirt https://acme.example/shirt is back'
  const table: Array<[filter: string, value: string, text: string]> = [
    ['truncate: 20', value, 'Floral Shirt...'], ['truncate: 42', value, 'Floral Shirt...'], ['truncate: 43', value, 'Floral Shirt https://acme.example/shirt ...'],
    ['truncate: 47', value, value], ['truncate: 12, ""', value, 'Floral Shirt'], ['truncate: 10', 'https://acme.example/shirt', 'https://acme.example/shirt'],
    ['truncatewords: 3', value, 'Floral Shirt https://acme.example/shirt ...'], ['truncatewords: 2', value, 'Floral Shirt...']
  ]
  for (const [filter, value, text] of table) t.equal(rendered(`{{ a | ${filter} }}`, value), text, filter)
})

t.test('R85: a text full of links is shortened within the time that a rendering has', async t => {
  const cut = '| truncatewords: 3, "." '
  t.equal(rendered(`{{ a ${cut.repeat(6)}| truncate: 20, "" }}`, `a ${'https://'.repeat(7000)} b c d`), 'a')
})
