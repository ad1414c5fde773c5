// Sign-ups as the API shows them.

import type { Row } from '../../../gateway/contract.ts'
import { SIGNUP_STATE } from './take.ts'

export type SignupState = keyof typeof SIGNUP_STATE
export const SIGNUP_STATES = Object.keys(SIGNUP_STATE) as SignupState[]

export function signupView (row: Row): Record<string, unknown> {
  const { customer, product, variant } = JSON.parse(row.data as string) as Record<'customer' | 'product' | 'variant', Record<string, unknown>>
  const state = SIGNUP_STATES.find(name => SIGNUP_STATE[name] === row.state)
  return {
    id: row.id,
    state,
    reason: row.reason ?? (state === 'waiting' && row.consent === 0 ? 'no_consent' : null),
    variant: { id: row.variant, title: variant.title ?? null },
    product: { id: row.product, title: product.title ?? null },
    market: row.market === '' ? null : row.market,
    customer: { name: customer.name ?? null, phone: customer.phone, email: customer.email ?? null, country: customer.country ?? null, id: customer.id ?? null },
    consent: row.consent === 1,
    source: row.source,
    joined_at: timeOf(row.joined_at),
    alerts: row.alerts,
    alerted_at: timeOf(row.alerted_at),
    bought_at: timeOf(row.bought_at),
    wave: row.wave,
    reminder: row.reminder === null && row.remind_at === null ? null : { state: row.reminder, due_at: timeOf(row.remind_at), reason: row.reminder_reason }
  }
}

export function variantView ({ variant, product, total, changed_at: changedAt, armed, signups, wave }: Row): object {
  return { variant, product, waiting: Number(signups), stock: total, stock_at: timeOf(changedAt), armed: armed === 1, wave }
}

export function timeOf (at: unknown): string | null { return at === null || at === undefined ? null : new Date(Number(at)).toISOString() }
