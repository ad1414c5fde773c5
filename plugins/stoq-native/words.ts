// What a customer texts back: whether it means no more messages, or messages again.

/** Twilio's own words, each the whole message. */
const STOP: ReadonlySet<string> = new Set(['stop', 'stopall', 'unsubscribe', 'cancel', 'end', 'quit', 'revoke', 'optout'])
const START: ReadonlySet<string> = new Set(['start', 'yes', 'unstop'])
const HELP: ReadonlySet<string> = new Set(['help', 'info'])

export type Meaning =
  /** `plain`: the word and nothing else, which Twilio acts on as well. */
  | { is: 'stop', plain: boolean }
  | { is: 'start' | 'help' | 'other' }

/**
 * Case, accents and punctuation aside. A word that stops counts wherever it stands: who writes "please stop texting me" is
 * heard, and who asks when a sale will end is not texted either until they say so. Words that start count alone only.
 */
export function meaningOf (text: string): Meaning {
  const words = text.normalize('NFKD').replaceAll(/\p{M}|['’]/gu, '').toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(word => word !== '')
  const whole = words.join('')
  if (STOP.has(whole)) return { is: 'stop', plain: true }
  if (words.some((word, i) => STOP.has(word) || STOP.has(word + (words[i + 1] ?? '')))) return { is: 'stop', plain: false }
  if (START.has(whole)) return { is: 'start' }
  return HELP.has(whole) ? { is: 'help' } : { is: 'other' }
}
