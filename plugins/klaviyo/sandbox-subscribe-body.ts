// What POST /api/profile-subscription-bulk-create-jobs refuses, from the documented facts; contract-profiles.test.ts holds it to
// Klaviyo's own description: what that refuses, this refuses.

import { Ajv2020 } from 'ajv/dist/2020.js'
import ajvFormats from 'ajv-formats'
import type { EventFault } from './sandbox-event.ts'

interface Consent { consent: 'SUBSCRIBED', consented_at?: string | null }

export interface SubscribeBody {
  data: {
    attributes: {
      historical_import?: boolean | null
      custom_source?: string | null
      profiles: { data: Array<{ attributes: { phone_number?: string | null, email?: string | null, subscriptions: { sms?: { marketing?: Consent | null, transactional?: Consent | null } | null, email?: object | null } } }> }
    }
  }
}

const TEXT = { type: ['string', 'null'] }
const CONSENT = { type: ['object', 'null'], additionalProperties: false, required: ['consent'], properties: { consent: { const: 'SUBSCRIBED' }, consented_at: { type: ['string', 'null'], format: 'date-time' } } }
const channel = (...kinds: string[]) => ({ type: ['object', 'null'], additionalProperties: false, properties: Object.fromEntries(kinds.map(kind => [kind, CONSENT])) })

const PROFILE = {
  type: 'object',
  additionalProperties: false,
  required: ['type', 'attributes'],
  properties: {
    type: { const: 'profile' },
    id: TEXT,
    attributes: {
      type: 'object',
      additionalProperties: false,
      required: ['subscriptions'],
      properties: {
        email: { type: ['string', 'null'], format: 'email' },
        phone_number: { type: ['string', 'null'], pattern: '^\\+[1-9][0-9]{6,14}$' },
        age_gated_date_of_birth: { type: ['string', 'null'], format: 'date' },
        subscriptions: { type: 'object', additionalProperties: false, minProperties: 1, properties: { email: channel('marketing'), sms: channel('marketing', 'transactional') } }
      }
    }
  }
}

const JOB = {
  type: 'object',
  additionalProperties: false,
  required: ['data'],
  properties: {
    data: {
      type: 'object',
      additionalProperties: false,
      required: ['type', 'attributes'],
      properties: {
        type: { const: 'profile-subscription-bulk-create-job' },
        attributes: {
          type: 'object',
          additionalProperties: false,
          required: ['profiles'],
          properties: {
            custom_source: TEXT,
            historical_import: { type: ['boolean', 'null'] },
            profiles: { type: 'object', additionalProperties: false, required: ['data'], properties: { data: { type: 'array', minItems: 1, maxItems: 1000, items: PROFILE } } }
          }
        }
      }
    }
  }
}

const ajv = new Ajv2020({ allowUnionTypes: true })
ajvFormats.default(ajv)
const fits = ajv.compile<SubscribeBody>(JOB)

/** The first thing wrong with a body, or null. `now` in epoch milliseconds; `mayText`: there is a sending number for this phone. */
export function subscribeFault (body: unknown, now: number, mayText: (phone: string) => boolean): EventFault | null {
  if (!fits(body)) {
    const error = fits.errors?.[0]
    return { pointer: error?.instancePath ?? '', detail: error?.message ?? 'Invalid.' }
  }
  const { historical_import: isImport, profiles } = body.data.attributes
  for (const [i, { attributes: { phone_number: phone, subscriptions: { sms } } }] of profiles.data.entries()) {
    const at = `/data/attributes/profiles/data/${i}/attributes`
    if (sms && !phone) return { pointer: `${at}/phone_number`, detail: 'A phone number is required for SMS.' }
    if (sms && !mayText(phone as string)) return { pointer: `${at}/phone_number`, detail: 'There is no sending number for the region of this phone number.' }
    for (const [kind, consent] of Object.entries(sms ?? {})) {
      const fault = timeFault(consent?.consented_at ?? null, isImport === true, now)
      if (fault !== null) return { pointer: `${at}/subscriptions/sms/${kind}/consented_at`, detail: fault }
    }
  }
  return null
}

function timeFault (consentedAt: string | null, isImport: boolean, now: number): string | null {
  if (!isImport) return consentedAt === null ? null : 'consented_at is for a historical import only.'
  return consentedAt === null ? 'A historical import needs consented_at.' : Date.parse(consentedAt) <= now ? null : 'consented_at must be in the past.'
}
