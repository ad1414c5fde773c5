// What Postscript refuses of a webhook subscription. Beyond its documentation this refuses headers that no HTTP request
// could carry, or that Postscript sets itself.

import { Ajv2020 } from 'ajv/dist/2020.js'
import { faultOf } from './sandbox-body.ts'
import { isLoopback } from './sandbox-deliveries.ts'
import { WEBHOOK_EVENTS, isEvent } from './sandbox-webhook-events.ts'

export interface WebhookRequest { callback_url: string, event: string, headers?: Record<string, string> }

export type WebhookChange = Partial<Pick<WebhookRequest, 'callback_url' | 'headers'>>

const URL_TEXT = { type: 'string', minLength: 1, maxLength: 2048 }
const HEADERS = {
  type: 'object',
  maxProperties: 20,
  propertyNames: { pattern: '^[A-Za-z0-9!#$%&\'*+.^_`|~-]{1,100}$' },
  additionalProperties: { type: 'string', pattern: '^[!-~]([ -~]*[!-~])?$', maxLength: 1000 }
}
/** Set by who sends. */
const RESERVED = new Set(['host', 'connection', 'keep-alive', 'content-length', 'content-type', 'transfer-encoding', 'upgrade', 'expect', 'te', 'trailer', 'postscript-signature'])

const ajv = new Ajv2020({ strictRequired: false })
const fitsWebhook = ajv.compile({ type: 'object', additionalProperties: false, required: ['callback_url', 'event'], properties: { callback_url: URL_TEXT, event: { enum: WEBHOOK_EVENTS }, headers: HEADERS } })
const fitsChange = ajv.compile({ type: 'object', additionalProperties: false, minProperties: 1, properties: { callback_url: URL_TEXT, headers: HEADERS } })
const fitsTest = ajv.compile({ type: 'object', additionalProperties: false, required: ['event'], properties: { event: { type: 'string' } } })

/** The first thing wrong with a subscription, or null. */
export function webhookFault (body: unknown): string | null {
  return faultOf(fitsWebhook, body) ?? partsFault(body as WebhookRequest)
}

/** The first thing wrong with a change of one, or null. */
export function webhookChangeFault (body: unknown): string | null {
  return faultOf(fitsChange, body) ?? partsFault(body as WebhookChange)
}

/** The first thing wrong with a demand for a test, or null. */
export function webhookTestFault (body: unknown): string | null {
  return faultOf(fitsTest, body) ?? (isEvent((body as { event: string }).event) ? null : '/event is none of the events')
}

function partsFault ({ callback_url: url, headers = {} }: WebhookChange): string | null {
  const reserved = Object.keys(headers).find(name => RESERVED.has(name.toLowerCase()))
  if (reserved !== undefined) return `/headers/${reserved} is set by Postscript`
  return url === undefined ? null : urlFault(url)
}

/** https; plain http on this machine only, where a gateway that is tried out has no certificate. */
function urlFault (text: string): string | null {
  const url = URL.parse(text)
  if (url === null || /\s/.test(text)) return '/callback_url is no address'
  if (url.username !== '' || url.password !== '') return '/callback_url holds a user or a password'
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url)) ? null : '/callback_url must be https'
}
