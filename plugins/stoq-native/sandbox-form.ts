// What the sandbox takes as the form that makes a message, and what it answers to any other.

import { refusal } from './sandbox-codes.ts'
import type { Refusal } from './sandbox-codes.ts'

/** A form that is in order. Exactly one of `From` and `MessagingServiceSid` is there. */
export interface MessageForm { To: string, From?: string, MessagingServiceSid?: string, Body: string, StatusCallback?: string, ValidityPeriod?: string }

const KNOWN: ReadonlySet<string> = new Set(['To', 'From', 'MessagingServiceSid', 'Body', 'StatusCallback', 'ValidityPeriod'])
const E164 = /^\+[1-9]\d{6,14}$/
/** A number, a short code, or a name of up to eleven letters, digits and spaces with a letter in it. */
const SENDER = /^(\+[1-9]\d{6,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11})$/
const SERVICE = /^MG[0-9a-fA-F]{32}$/
const HOST = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$|^\[[0-9a-f:]+\]$/
/** No handset shows them: whoever sends one has a fault. Twilio does not say what it does with them. */
const CONTROL = /(?!\n)\p{Cc}/u
const BODY_MAX = 1600
const VALIDITY_MAX_S = 36_000

/** The pairs of a form, or of a query; null where a key comes twice or the bytes are no form. */
export function pairsOf (text: string): Record<string, string> | null {
  const pairs: Record<string, string> = {}
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return null
  for (const [key, value] of new URLSearchParams(text)) {
    if (Object.hasOwn(pairs, key)) return null
    pairs[key] = value
  }
  return pairs
}

/** The first thing wrong with a form, null where it is in order. Twilio passes over names it does not know; this does not. */
export function formFault (form: Record<string, string>): Refusal | null {
  const unknown = Object.keys(form).find(key => !KNOWN.has(key))
  if (unknown !== undefined) return refusal(20001, `There is no parameter ${unknown.slice(0, 60)}`)
  return recipientFault(form) ?? senderFault(form) ?? bodyFault(form) ?? othersFault(form)
}

function recipientFault ({ To: to }: Record<string, string>): Refusal | null {
  if (to === undefined || to === '') return refusal(21604)
  return E164.test(to) ? null : refusal(21211, `The 'To' number ${to.slice(0, 40)} is not a valid phone number`)
}

function senderFault ({ From: from, MessagingServiceSid: service }: Record<string, string>): Refusal | null {
  if (from === undefined && service === undefined) return refusal(21603)
  if (from !== undefined && service !== undefined) return refusal(20001, 'Give From or MessagingServiceSid, not both')
  if (from !== undefined && !SENDER.test(from)) return refusal(21212, `The 'From' number ${from.slice(0, 40)} is not a valid phone number, shortcode, or alphanumeric sender ID`)
  return service === undefined || SERVICE.test(service) ? null : refusal(21701)
}

function bodyFault ({ Body: body }: Record<string, string>): Refusal | null {
  if (body === undefined || body.trim() === '') return refusal(21602)
  if (CONTROL.test(body)) return refusal(20001, 'Body holds a control character')
  return body.length > BODY_MAX ? refusal(21617) : null
}

function othersFault ({ StatusCallback: callback, ValidityPeriod: validity }: Record<string, string>): Refusal | null {
  if (callback !== undefined && !isAddress(callback)) return refusal(21609, `The StatusCallback URL ${callback.slice(0, 80)} is not a valid URL`)
  if (validity === undefined) return null
  const inRange = /^[1-9]\d{0,4}$/.test(validity) && Number(validity) <= VALIDITY_MAX_S
  return inRange ? null : refusal(20001, 'ValidityPeriod must be between 1 and 36000')
}

/** Absolute, without a space or control character, and its host a real name: without an underscore. */
function isAddress (text: string): boolean {
  if (!/^https?:\/\/[^\s\p{Cc}/][^\s\p{Cc}]*$/u.test(text) || !URL.canParse(text)) return false
  return HOST.test(new URL(text).hostname)
}
