// What the platform team chooses under sources.waitlist.options: what holds for a shop that has not chosen itself.

import type { SourceCode } from '../../gateway/define.ts'

export interface Batches { multiplier: number, interval_minutes: number }

export interface WaitlistOptions {
  automatic: boolean
  threshold: number
  batches: Batches | null
  reminder_after_days: number | null
  allowed_countries: string[] | null
  currency: string | null
}

const COUNTRY = { type: 'string', pattern: '^[A-Z]{2}$' } as const

/** The same rules for what a shop chooses. */
export const CHOICES = {
  automatic: { description: 'A restock sends by itself; otherwise only by hand.', type: 'boolean' },
  threshold: { description: 'So many must be in stock for a restock to count.', type: 'integer', minimum: 1, maximum: 1_000_000 },
  batches: {
    description: 'Null sends to everybody at once; otherwise to as many as there are in stock, times the multiplier, and to the next after the interval. For plans with the capability "batches".',
    type: ['object', 'null'],
    additionalProperties: false,
    required: ['multiplier', 'interval_minutes'],
    properties: { multiplier: { type: 'integer', minimum: 1, maximum: 100 }, interval_minutes: { type: 'integer', minimum: 5, maximum: 1440 } }
  },
  reminder_after_days: { description: 'A reminder goes out so long after the alert; null sends none.', type: ['integer', 'null'], minimum: 1, maximum: 90 },
  allowed_countries: { description: 'Countries whose phone numbers may sign up at the storefront, ISO 3166-1; null for all.', type: ['array', 'null'], minItems: 1, maxItems: 250, uniqueItems: true, items: COUNTRY },
  currency: { description: 'Of prices where a sign-up names a variant and no price, ISO 4217.', type: ['string', 'null'], pattern: '^[A-Z]{3}$' }
} as const

const DEFAULTS: WaitlistOptions = { automatic: true, threshold: 1, batches: null, reminder_after_days: null, allowed_countries: null, currency: null }

export const OPTIONS: NonNullable<SourceCode['options']> = {
  type: 'object',
  additionalProperties: false,
  properties: Object.fromEntries(Object.entries(CHOICES).map(([name, schema]) => [name, { ...schema, default: DEFAULTS[name as keyof WaitlistOptions] }]))
}
