import { SegmentedMessage } from 'sms-segments-calculator'
import type { SmsText } from '../contract.ts'
import { MappingError } from '../errors.ts'

/** Characters of a text message; carriers take no more at once. */
export const MAX_SMS = 1600

/** GSM 03.38: one septet each, and two for what stands in its extension table. */
const BASIC = '@£$¥èéùìòÇ\\nØø\\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,\\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà'
const EXTENSION = '\\f^{}\\\\[\\]~|€'
const GSM = new RegExp(`^[${BASIC}${EXTENSION}]*$`)
const EXTENDED = new RegExp(`[${EXTENSION}]`)

/** One such character makes the whole text cost twice as much, and nobody sees the difference. */
const LOOK_ALIKES: Record<string, string> = {
  '\'': '\u2018\u2019\u201a\u201b\u2032\u0060\u00b4\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u275b\u275c\uff07',
  '"': '\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u02ba\u02ee\u275d\u275e\u301d\u301e\uff02',
  '-': '\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022\u2043\ufe58\ufe63\uff0d',
  '...': '\u2026',
  '/': '\u2044\u2215',
  '<': '\u2039',
  '>': '\u203a',
  '~': '\u02dc\u223c',
  '^': '\u02c6',
  x: '\u00d7',
  ' ': '\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000',
  '\n': '\v\f\u0085\u2028\u2029',
  '': '\u00ad\u200b\u2060\ufeff'
}
const REPLACED = new Map(Object.entries(LOOK_ALIKES).flatMap(([by, characters]) => [...characters].map(character => [character, by] as const)))
const LOOKS_ALIKE = new RegExp(`[${[...REPLACED.keys()].join('')}]`, 'g')
/** Joiners, directions and variants: they shape other scripts, and do nothing in a text of GSM characters. */
const SHAPING = /[\u200c-\u200f\u202a-\u202e\u2066-\u2069]|\ufe0e|\ufe0f/g

/** The text as it is sent, and what it costs. Throws MappingError where nothing or too much is left of it. */
export function smsOf (rendered: string): SmsText {
  const text = plain(rendered)
  if (text === '') throw new MappingError('gives an empty text')
  if (text.length > MAX_SMS) throw new MappingError(`gives a text of ${text.length} characters; at most ${MAX_SMS} are sent`)
  return { text, ...costOf(text) }
}

/** Look-alikes of GSM characters replaced, control characters and halves of characters left out, trimmed. */
export function plain (text: string): string {
  const alike = text.normalize('NFC').replace(/\r\n?/g, '\n').replace(LOOKS_ALIKE, character => REPLACED.get(character) ?? '')
  const clean = alike.replace(/(?!\n)\p{Cc}|\p{Cs}/gu, '').trim()
  const bare = clean.replace(SHAPING, '')
  return GSM.test(bare) ? bare.trim() : clean
}

/** The characters by which a text is none of GSM 03.38, each once. */
export function nonGsm (text: string): string[] {
  return [...new Set(text)].filter(character => !GSM.test(character))
}

/** Encoding and number of parts of a text that is sent as it is. */
export function costOf (text: string): Pick<SmsText, 'encoding' | 'segments'> {
  if (GSM.test(text)) return { encoding: 'GSM-7', segments: gsmParts(text) }
  if (text.length <= 70) return { encoding: 'UCS-2', segments: 1 }
  // Where a part ends between characters of several units is the library's to know; it takes a hundred times as long.
  // A character longer than a part would not be split there, and counted as one.
  const { segmentsCount } = new SegmentedMessage(text, 'auto')
  return { encoding: 'UCS-2', segments: Math.max(segmentsCount, Math.ceil(text.length / 67)) }
}

// 160 septets alone, 153 in each of several; the two of an extended character stay together.
function gsmParts (text: string): number {
  let [parts, used, total] = [1, 0, 0]
  for (const character of text) {
    const cost = EXTENDED.test(character) ? 2 : 1
    total += cost
    if (used + cost > 153) [parts, used] = [parts + 1, 0]
    used += cost
  }
  return total <= 160 ? 1 : parts
}
