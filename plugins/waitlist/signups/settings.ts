// What a shop chose about signing up. `false` is its own word for none; what it said nothing of is as the platform has it.

import type { SourceContext, SourceShop } from '../../../gateway/contract.ts'
import type { Known } from './offer.ts'

export interface SignupSettings {
  /** Countries of phone numbers; null for all. */
  allowedCountries: readonly string[] | null
  /** Of the shop's pages, beside its domain. */
  origins: readonly string[]
  /** Of prices that come without one. */
  currency: string | null
}

export async function settingsOf (shopKey: number, { read, options }: Pick<SourceContext, 'read' | 'options'>): Promise<SignupSettings> {
  const [row] = await read('waitlist_signup_settings', { shop_key: shopKey })
  const chosen = row ? JSON.parse(row.data as string) as Record<string, unknown> : {}
  const of = (name: string): unknown => chosen[name] ?? options[name]
  const currency = of('currency')
  return {
    allowedCountries: namesOf(of('allowed_countries')),
    origins: namesOf(chosen['storefront_origins']) ?? [],
    currency: typeof currency === 'string' ? currency : null
  }
}

function namesOf (value: unknown): string[] | null {
  return Array.isArray(value) ? value.filter(name => typeof name === 'string') : null
}

/** Where pages may ask from. */
export function originsOf ({ id, domain }: Pick<SourceShop, 'id' | 'domain'>, { origins }: SignupSettings): string[] {
  return [`https://${domain.toLowerCase()}`, ...id.includes('.') ? [`https://${id}`] : [], ...origins]
}

/** The product as the shop shows it now; null where the waitlist was told nothing of it. */
export async function knownProduct (shopKey: number, product: string, { read }: Pick<SourceContext, 'read'>): Promise<Known | null> {
  const [row] = await read('waitlist_signup_product', { shop_key: shopKey, product })
  return row ? JSON.parse(row.data as string) as Known : null
}
