// Who has bought does not wait any more: by the shop's own id of the customer, by phone number, or by e-mail address.

import type { Entering, SourceContext, Step } from '../../gateway/define.ts'

interface OrderPlaced { customer: { id?: string, email?: string }, lines: Array<{ product_id?: string, variant_id?: string }> }

export function orderPlaced ({ key, shop, timeAt, person, data }: Entering, context: SourceContext): Step[] {
  const { customer: { id, email }, lines } = data as unknown as OrderPlaced
  const listed = (ids: Array<string | undefined>): string => JSON.stringify([...new Set(ids.filter(found => found !== undefined))])
  const digest = email === undefined ? null : context.person(email.toLowerCase())
  return [{
    name: 'waitlist_bought',
    params: {
      event_key: key, shop_key: shop.key, at: timeAt, person, customer: id ?? null, digest,
      products: listed(lines.map(line => line.product_id)), variants: listed(lines.map(line => line.variant_id))
    }
  }]
}
