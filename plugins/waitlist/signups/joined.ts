// What is written beside an event waitlist.joined, whoever posted it: the sign-up, and that the variant is watched.

import type { Entering, SourceContext, Step } from '../../../gateway/contract.ts'

/** Nobody waits who cannot be told apart: an event without a phone number or a variant is left alone. */
export function consumesJoined (event: Entering, { person, newId, now }: SourceContext): Step[] {
  const { customer, product, variant } = event.data as Record<'customer' | 'product' | 'variant', Record<string, unknown> | undefined>
  const [phone, variantId, productId] = [textOf(customer?.phone), textOf(variant?.id), textOf(product?.id)]
  if (phone === null || variantId === null || productId === null) return []
  const email = textOf(customer?.email)?.toLowerCase() ?? null
  const { consent, market } = event.data as { consent?: { sms?: unknown }, market?: unknown }
  const watched = { shop_key: event.shop.key, variant: variantId, product: productId, event_key: event.key }
  return [
    {
      name: 'waitlist_join',
      params: {
        ...watched,
        id: newId('sgn_'),
        market: textOf(market) ?? '',
        person: event.person ?? person(phone),
        digest: email === null ? null : person(email),
        customer: textOf(customer?.id),
        data: JSON.stringify(event.data),
        consent: consent?.sms === true ? 1 : 0,
        source: event.source,
        joined_at: joinedAt(event),
        told_at: event.timeAt,
        created_at: now()
      }
    },
    { name: 'waitlist_arm', params: watched }
  ]
}

/** The customer's own time, where somebody else says it later; never after the event. */
function joinedAt ({ data, timeAt }: Entering): number {
  const told = typeof data['joined_at'] === 'string' ? Date.parse(data['joined_at']) : Number.NaN
  return Number.isNaN(told) ? timeAt : Math.min(told, timeAt)
}

function textOf (value: unknown): string | null { return typeof value === 'string' && value !== '' ? value : null }
