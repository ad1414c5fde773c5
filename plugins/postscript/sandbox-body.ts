// What Postscript refuses of a body, from the documented facts and from what integrations report; contract.test.ts
// holds it to the description of the API: what that refuses, this refuses. Beyond it this wants what the gateway
// always sends (a person, external_id, occurred_at, properties), though Postscript may do without.

import { Ajv2020 } from 'ajv/dist/2020.js'
import type { ValidateFunction } from 'ajv/dist/2020.js'

export interface EventBody { type: string, phone?: string, external_id: string, properties: Record<string, unknown> }

export interface SubscriberBody { phone_number: string, keyword_id?: string, keyword?: string, email?: string, shopify_customer_id?: number, tags?: string[], properties?: Record<string, unknown> }

/** Names that look like personal data; which ones Postscript takes for it is not published. */
const PERSONAL = /^((customer|first|last|full)_?)?name$|phone|mail|address/
/** UTC, a space, no zone. */
const TIME = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(\.\d{1,6})?$/

const E164 = { type: 'string', pattern: '^\\+[1-9][0-9]{6,14}$' }
const TEXT = { type: 'string', minLength: 1 }
const EMAIL = { type: 'string', pattern: '^[^@\\s]+@[^@\\s]+$' }
const SCALAR = { type: ['string', 'number', 'boolean'] }

const EVENT = {
  type: 'object',
  additionalProperties: false,
  required: ['type', 'external_id', 'occurred_at', 'properties'],
  anyOf: [{ required: ['subscriber_id'] }, { required: ['phone'] }, { required: ['email'] }],
  properties: {
    type: { type: 'string', pattern: '^[A-Za-z0-9_]{1,255}$' },
    subscriber_id: TEXT,
    phone: E164,
    email: EMAIL,
    occurred_at: { type: 'string', pattern: TIME.source },
    external_id: TEXT,
    properties: {
      type: 'object',
      maxProperties: 100,
      // Capitals would be lowered without a word, and a merge tag would find nothing.
      propertyNames: { pattern: '^[^_A-Z][^A-Z]*$' },
      additionalProperties: { anyOf: [SCALAR, { type: 'array', items: SCALAR }] }
    }
  }
}

const SUBSCRIBER = {
  type: 'object',
  additionalProperties: false,
  required: ['phone_number', 'origin'],
  anyOf: [{ required: ['keyword_id'] }, { required: ['keyword'] }],
  properties: {
    phone_number: E164,
    keyword_id: TEXT,
    keyword: TEXT,
    origin: { enum: ['website', 'social', 'other'] },
    email: EMAIL,
    shopify_customer_id: { type: 'integer', minimum: 1 },
    tags: { type: 'array', items: TEXT },
    properties: { type: 'object', maxProperties: 50, additionalProperties: { anyOf: [SCALAR, { type: 'null' }, { type: 'array', items: { type: 'string' } }] } }
  }
}

const UNSUBSCRIBE = {
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  properties: { postscript_subscriber_id: TEXT, phone_number: E164 }
}

const ajv = new Ajv2020({ allowUnionTypes: true, strictRequired: false })
const fitsEvent = ajv.compile<EventBody>(EVENT)
const fitsSubscriber = ajv.compile<SubscriberBody>(SUBSCRIBER)
const fitsUnsubscribe = ajv.compile<{ phone_number?: string, postscript_subscriber_id?: string }>(UNSUBSCRIBE)

/** The first thing wrong with an event, or null. */
export function eventFault (body: unknown): string | null {
  const fault = faultOf(fitsEvent, body)
  return fault ?? (isTime((body as { occurred_at: string }).occurred_at) ? null : '/occurred_at is no time')
}

/** The first thing wrong with a person to add, or null. */
export function subscriberFault (body: unknown): string | null {
  return faultOf(fitsSubscriber, body)
}

/** The first thing wrong with a person to unsubscribe, or null. */
export function unsubscribeFault (body: unknown): string | null {
  return faultOf(fitsUnsubscribe, body)
}

/** The first property that looks like personal data, or null. */
export function personalProperty ({ properties }: EventBody): string | null {
  return Object.keys(properties).find(name => PERSONAL.test(name)) ?? null
}

/** The first thing that a validator finds wrong, with its place; or null. */
export function faultOf (fits: ValidateFunction, body: unknown): string | null {
  if (fits(body)) return null
  const error = fits.errors?.[0]
  return `${error?.instancePath ?? ''} ${error?.message ?? 'is not in order'}`.trim()
}

/** The 31st of February has the form, and is none. */
function isTime (text: string): boolean {
  const [, date, time] = TIME.exec(text) ?? []
  const at = new Date(`${date}T${time}Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(`${date}T${time}`)
}
