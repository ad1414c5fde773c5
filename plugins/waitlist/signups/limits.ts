// How many sign-ups the open address takes: of a phone number, and of a shop altogether, by hour and by day. Counted in
// the database, so that all gateways count together.

import { GatewayError } from '../../../gateway/errors.ts'
import type { SourceContext, SourceShop, Step } from '../../../gateway/contract.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** The source's options, for its schema. */
export const SIGNUP_OPTIONS = {
  signup_limits: {
    type: 'object',
    additionalProperties: false,
    description: 'Sign-ups from pages that are taken at most.',
    default: {},
    properties: {
      address_per_minute: { type: 'integer', minimum: 1, maximum: 10_000, default: 20, description: 'Requests of one IP address, or of one /64 of IPv6, at one gateway.' },
      phone_per_hour: { type: 'integer', minimum: 1, maximum: 1000, default: 5, description: 'Of one phone number at one shop.' },
      phone_per_day: { type: 'integer', minimum: 1, maximum: 1000, default: 20, description: 'Of one phone number at one shop.' },
      shop_per_hour: { type: 'integer', minimum: 1, maximum: 10_000_000, default: 5000, description: 'Of one shop.' },
      shop_per_day: { type: 'integer', minimum: 1, maximum: 10_000_000, default: 50_000, description: 'Of one shop.' }
    }
  }
} as const

type Name = keyof typeof SIGNUP_OPTIONS.signup_limits.properties

export function limitOf (name: Name, options: Record<string, unknown>): number {
  const chosen = (options['signup_limits'] as Partial<Record<Name, number>> | undefined)?.[name]
  return chosen ?? SIGNUP_OPTIONS.signup_limits.properties[name].default
}

/** Counts one more. Throws GW_RATE_LIMITED, with the seconds until the hour or the day is over. */
export async function counted (phone: string, shop: SourceShop, { person, commit, now, options }: SourceContext): Promise<void> {
  const at = now()
  const spans = [{ span: 'hour', ms: HOUR_MS }, { span: 'day', ms: DAY_MS }] as const
  const take = async (of: 'phone' | 'shop', who: string, more: Step[]): Promise<void> => {
    const hour = { hour_at: began(at, HOUR_MS), hour_most: limitOf(`${of}_per_hour`, options) }
    const steps = spans.map(({ span, ms }) => ({ name: 'waitlist_try', params: { shop_key: shop.key, began_at: began(at, ms), span, who, ...hour } }))
    const results = await commit([...steps, ...more])
    const full = spans.find(({ span }, i) => Number(results[i]?.rows[0]?.tries) > limitOf(`${of}_per_${span}`, options))
    if (full) throw new GatewayError('GW_RATE_LIMITED', `No more sign-ups of this ${of} are taken in this ${full.span}.`, { retryAfterS: Math.ceil((began(at, full.ms) + full.ms - at) / 1000) })
  }
  // One after the other: a phone that has had its share takes nothing of the shop's.
  await take('phone', whoOf(phone, { person }), [])
  await take('shop', '', [{ name: 'waitlist_try_forget', params: { shop_key: shop.key, before: began(at, DAY_MS) - DAY_MS } }])
}

function began (at: number, ms: number): number { return Math.floor(at / ms) * ms }

/** Stands for a phone number among the counts. */
export function whoOf (phone: string, { person }: Pick<SourceContext, 'person'>): string { return Buffer.from(person(phone)).toString('base64url') }
