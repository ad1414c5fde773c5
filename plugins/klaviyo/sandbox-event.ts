// What POST /api/events refuses, from the documented facts and limits; contract.test.ts holds it
// to Klaviyo's own description: what that refuses, this refuses.

import { Ajv2020 } from 'ajv/dist/2020.js'
import ajvFormats from 'ajv-formats'

export interface EventBody {
  data: {
    attributes: {
      properties: Record<string, unknown>
      time?: string | null
      unique_id?: string | null
      metric: { data: { attributes: { name: string } } }
      profile: { data: { id?: string | null, attributes: Record<'phone_number' | 'email' | 'external_id', string | null | undefined> } }
    }
  }
}

/** A refusal with the pointer into the body that it is about. */
export interface EventFault { detail: string, pointer: string }

const STRING_BYTES_MAX = 100 * 1024
const EARLIEST = Date.UTC(1991, 0, 1)
const YEAR_MS = 365 * 24 * 60 * 60_000
const TEXT = { type: ['string', 'null'] }
const NUMBER_OR_TEXT = { type: ['string', 'number', 'null'] }

/** A JSON:API resource: its type, and its attributes, closed. */
function resource (type: string, properties: object, required: string[], also: object = {}): object {
  return {
    type: 'object',
    additionalProperties: false,
    required: ['data'],
    properties: {
      data: {
        type: 'object',
        additionalProperties: false,
        required: ['type', 'attributes'],
        properties: { type: { const: type }, attributes: { type: 'object', additionalProperties: false, required, properties }, ...also }
      }
    }
  }
}

const LOCATION = {
  type: ['object', 'null'],
  additionalProperties: false,
  properties: {
    address1: TEXT, address2: TEXT, city: TEXT, country: TEXT, region: TEXT, zip: TEXT, timezone: TEXT, ip: TEXT, latitude: NUMBER_OR_TEXT, longitude: NUMBER_OR_TEXT
  }
}

const PROFILE = resource('profile', {
  email: { type: ['string', 'null'], format: 'email' },
  phone_number: { type: ['string', 'null'], pattern: '^\\+[1-9][0-9]{6,14}$' },
  external_id: TEXT,
  anonymous_id: TEXT,
  first_name: TEXT,
  last_name: TEXT,
  organization: TEXT,
  locale: TEXT,
  title: TEXT,
  image: TEXT,
  location: LOCATION,
  properties: { type: ['object', 'null'] }
}, [], { id: TEXT })

const EVENT = resource('event', {
  properties: { type: 'object', maxProperties: 400 },
  time: { type: ['string', 'null'], format: 'date-time' },
  value: { type: ['number', 'null'] },
  value_currency: { type: ['string', 'null'], pattern: '^[A-Z]{3}$' },
  unique_id: TEXT,
  backfill: { type: ['boolean', 'null'] },
  metric: resource('metric', { name: { type: 'string', minLength: 1, maxLength: 127 }, service: TEXT }, ['name']),
  profile: PROFILE
}, ['properties', 'metric', 'profile'])

const ajv = new Ajv2020({ allowUnionTypes: true })
ajvFormats.default(ajv)
const fits = ajv.compile<EventBody>(EVENT)

/** The first thing wrong with a body, or null. `now` in epoch milliseconds. */
export function eventFault (body: unknown, now: number): EventFault | null {
  if (!fits(body)) {
    const error = fits.errors?.[0]
    return { pointer: error?.instancePath ?? '', detail: error?.message ?? 'Invalid.' }
  }
  return timeFault(body, now) ?? identifierFault(body) ?? textFault(body.data.attributes.properties, '/data/attributes/properties')
}

function timeFault (body: EventBody, now: number): EventFault | null {
  const { time } = body.data.attributes
  if (time === undefined || time === null) return null
  const at = Date.parse(time)
  if (at >= EARLIEST && at <= now + YEAR_MS) return null
  return { pointer: '/data/attributes/time', detail: 'The time must be after 1990 and at most one year ahead.' }
}

function identifierFault (body: EventBody): EventFault | null {
  const { id, attributes } = body.data.attributes.profile.data
  const named = [id, attributes.email, attributes.phone_number, attributes.external_id].some(value => value !== undefined && value !== null && value !== '')
  return named ? null : { pointer: '/data/attributes/profile', detail: 'One of id, email, phone_number or external_id is required.' }
}

/** Each string is limited by bytes, wherever it stands. */
function textFault (value: unknown, pointer: string): EventFault | null {
  if (typeof value === 'string') return Buffer.byteLength(value) > STRING_BYTES_MAX ? { pointer, detail: 'A string must not be larger than 100 KB.' } : null
  if (value === null || typeof value !== 'object') return null
  for (const [key, child] of Object.entries(value)) {
    const fault = textFault(child, `${pointer}/${key}`)
    if (fault !== null) return fault
  }
  return null
}
