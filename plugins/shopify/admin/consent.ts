// Whether a customer of a shop agreed to be texted, as the shop has it.

import type { SourceContext, SourceShop } from '../../../gateway/define.ts'
import { objectOf, textOf, timeOf } from '../body.ts'
import { adminOf } from './admin.ts'
import { CONSENT } from './documents.ts'
import { fault, type Fault } from './judge.ts'
import { digitsIn } from './look-ups.ts'

const WITHIN_MS = 5000
const STATES = ['NOT_SUBSCRIBED', 'PENDING', 'SUBSCRIBED', 'UNSUBSCRIBED', 'REDACTED'] as const

/** `state` null: the customer has no phone number there. `at`: when it was last changed. */
export interface Consent { state: typeof STATES[number] | null, level: string | null, at: number | null }

/** Null: the shop has no such customer. */
export async function customerConsent (context: SourceContext, shop: SourceShop, customerId: string): Promise<{ is: 'known', consent: Consent | null } | { is: 'failed', fault: Fault }> {
  const digits = digitsIn(customerId)
  if (digits === null) return { is: 'known', consent: null }
  const reply = await adminOf(context).client.ask(shop, CONSENT, { id: `gid://shopify/Customer/${digits}` }, { withinMs: WITHIN_MS })
  if (reply.is === 'failed') return reply
  const { customer } = reply.data
  if (reply.errors.length > 0) return { is: 'failed', fault: fault('access_denied', 'never', 0, 'Shopify does not give away the customer\'s number: the app needs read_customers, and the approval for protected customer data.') }
  if (customer === null || customer === undefined) return { is: 'known', consent: null }
  const { marketingState, marketingOptInLevel, marketingUpdatedAt } = objectOf(objectOf(customer)['defaultPhoneNumber'])
  return { is: 'known', consent: { state: STATES.find(state => state === marketingState) ?? null, level: textOf(marketingOptInLevel, 50), at: timeOf(marketingUpdatedAt) } }
}
