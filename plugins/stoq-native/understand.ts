// What follows from what Twilio called here, and from a message as Twilio shows it.

import type { CarrierReport, CarrierWord, ProviderNotice, Received } from '../../gateway/define.ts'
import { formOf, valueOf, type Form } from './signature.ts'
import { meaningOf } from './words.ts'

/** Twilio's words. A message that was cancelled there has failed. */
const WORDS: Readonly<Record<string, CarrierWord>> = {
  queued: 'accepted', accepted: 'accepted', scheduled: 'accepted', sending: 'sending', sent: 'sent', partially_delivered: 'sent',
  delivered: 'delivered', undelivered: 'undelivered', failed: 'failed', canceled: 'failed', read: 'read'
}
const PHONE = /^\+[1-9][0-9]{6,14}$/

type Told = readonly ProviderNotice[] | { unclear: string }

/** Called again after a crash, it gives the same. */
export function understand (received: Received): Told {
  const form = formOf(received.body ?? '')
  return received.topic === 'status' ? ofStatus(form, received) : ofText(form, received)
}

function ofStatus (form: Form, { subject, receivedAt }: Received): Told {
  const said = valueOf(form, 'MessageStatus')
  const code = valueOf(form, 'ErrorCode')
  const report = reportOf(said, /^[0-9]{1,9}$/.test(code) ? Number(code) : null, valueOf(form, 'ErrorMessage'))
  if (report === null) return { unclear: `Twilio reports the status "${said.slice(0, 60)}", which is not known here.` }
  return [{ is: 'status', account: valueOf(form, 'AccountSid'), delivery: subject, receipt: valueOf(form, 'MessageSid'), at: receivedAt, ...report }]
}

/** `OptOutType` is there where the Messaging Service has answered the customer; else the words count. */
function ofText (form: Form, { receivedAt }: Received): Told {
  const phone = valueOf(form, 'From')
  if (!PHONE.test(phone)) return { unclear: 'It comes from no phone number.' }
  const handled = valueOf(form, 'OptOutType').toUpperCase()
  const meaning = meaningOf(valueOf(form, 'Body'))
  const who = { account: valueOf(form, 'AccountSid'), phone, at: receivedAt }
  if (handled === 'STOP') return [{ is: 'opted_out', ...who, via: 'carrier_stop' }]
  if (meaning.is === 'stop') return [{ is: 'opted_out', ...who, via: meaning.plain ? 'stop_word' : 'stop_in_text' }]
  if (handled === 'START' || meaning.is === 'start') return [{ is: 'opted_in', ...who, via: handled === 'START' ? 'carrier_start' : 'start_word' }]
  if (handled === 'HELP' || meaning.is === 'help') return []
  return [{ is: 'reply', detail: 'A customer answered in words of their own: read them, and put a wish for no more messages on the list of opt-outs.' }]
}

/** Of a message, as Twilio shows it; null for anything else. */
export function reported (body: string): CarrierReport | null {
  const message = parsed(body)
  if (message === null) return null
  const { status, error_code: code, error_message: text } = message
  return typeof status !== 'string' ? null : reportOf(status, typeof code === 'number' ? code : null, typeof text === 'string' ? text : '')
}

function reportOf (status: string, code: number | null, text: string): CarrierReport | null {
  const word = Object.hasOwn(WORDS, status) ? WORDS[status] : undefined
  if (word === undefined) return null
  if (word !== 'failed' && word !== 'undelivered') return { word, code: null, answer: null }
  return { word, code: code === null ? null : String(code), answer: { status: 201, body: JSON.stringify({ status, error_code: code, error_message: text === '' ? null : text }) } }
}

function parsed (body: string): Record<string, unknown> | null {
  try {
    const value = JSON.parse(body) as unknown
    return value !== null && typeof value === 'object' ? value as Record<string, unknown> : null
  } catch {
    return null
  }
}
