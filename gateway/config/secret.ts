import { inspect } from 'node:util'
import type { Secret } from '../contract.ts'
import { GatewayError } from '../errors.ts'

const HIDDEN = '***'

/** A secret text that JSON, inspection and string conversion show as `***`. */
export class HiddenSecret implements Secret {
  readonly #text: string
  readonly file: string | null

  constructor (text: string, file: string | null) {
    this.#text = text
    this.file = file
  }

  reveal (): string {
    return this.#text
  }

  toJSON (): string {
    return HIDDEN
  }

  toString (): string {
    return HIDDEN
  }

  [inspect.custom] (): string {
    return HIDDEN
  }
}

/** Stands for a secret whose file is made at the next start. Revealing it throws GW_CONFIG_SECRET. */
export class UnmadeSecret extends HiddenSecret {
  constructor (file: string) {
    super('', file)
  }

  override reveal (): string {
    throw new GatewayError('GW_CONFIG_SECRET', `${this.file} does not exist yet; it is made when the gateway starts`)
  }
}

/**
 * What a secret is for; each has rules of its own. `webhook`: others sign with it what they send here, so whoever guesses it is believed.
 * `database`: the address of one, with the password in it.
 */
export type SecretUse = 'encryption_key' | 'person_key' | 'api_key' | 'provider' | 'webhook' | 'database'

/** Why a text cannot serve as this secret, or null. Never repeats the text. */
export function secretFault (text: string, use: SecretUse): string | null {
  if (text === '') return 'the secret is empty'
  if (/[\s\p{Cc}]/u.test(text)) return 'the secret holds white space or control characters'
  if (use === 'encryption_key' || use === 'person_key') return keyFault(text)
  if (use === 'api_key' && text.length < 24) return 'the API key has fewer than 24 characters'
  if (use === 'webhook' && text.length < 16) return 'the secret has fewer than 16 characters'
  if (isSample(text)) return 'the secret is a sample value'
  return use === 'database' ? addressFault(text) : null
}

function keyFault (text: string): string | null {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length !== 32 || bytes.toString('base64url') !== text.replace(/=$/, '')) return 'the key is not 32 bytes in base64url'
  // A random key has about 30 different bytes of 32; a sample counts up, repeats or is a phrase.
  if (new Set(bytes).size < 16) return 'the key is not random'
  const counts = bytes.every((byte, i) => i === 0 || byte === (bytes[i - 1]! + 1) % 256)
  const phrase = bytes.every(byte => byte >= 0x20 && byte < 0x7f)
  return counts || phrase ? 'the key is not random' : null
}

function addressFault (text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !['postgres:', 'postgresql:'].includes(url.protocol)) return 'the secret is no address of a PostgreSQL database'
  if (url.hostname === '' && !url.searchParams.has('host')) return 'the address names no host'
  if (url.pathname.length < 2) return 'the address names no database'
  if (url.pathname.includes('@')) return 'the address has an @ in the name of the database: a / of the password must be written as %2F'
  if (url.searchParams.has('options')) return 'the address has "options", which the gateway sets itself'
  return isEncoded(url.username) && isEncoded(url.password) ? null : 'the address has a % in its user or password that stands for nothing'
}

function isEncoded (text: string): boolean {
  try {
    return decodeURIComponent(text) !== null
  } catch {
    return false
  }
}

function isSample (text: string): boolean {
  if (/^<.*>$|^(.)\1*$|x{6,}|\*{3,}|\.{3}$/iu.test(text)) return true
  return /^(?:change|replace|insert|your|enter|put)[-_ ]?(?:me|this|it|in|api|key|secret|token|password|own|a|the)(?:[-_ ]|$)/i.test(text) ||
    /^(?:changeme|password|secret|example|sample|dummy|todo|none|null|undefined)(?:[-_ ]?(?:key|secret|token|password|value))*[0-9]*$/i.test(text)
}
