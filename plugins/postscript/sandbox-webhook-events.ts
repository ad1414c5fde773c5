// The events that webhooks tell of: their names, and what a delivery says.

import { zoneless } from './sandbox-answers.ts'
import type { WebhookBody } from './sandbox-deliveries.ts'

/** Names to subscribe to; the doubled prefix of the last is the documentation's. */
export const WEBHOOK_EVENTS = ['shop.test', 'shop.incoming_message', 'shop.subscriber.opt_in', 'shop.subscriber.opt_out', 'shop.shop.email_collected'] as const

/** Whether there is such an event, by the name to subscribe to or the one in deliveries. */
export function isEvent (event: string): boolean {
  return WEBHOOK_EVENTS.some(one => named(one) === named(event))
}

/** The name in deliveries. */
export function named (event: string): string {
  return event === 'shop.shop.email_collected' ? 'shop.email_collected' : event
}

/** The body of a delivery; its event is named once, however it was subscribed to. */
export function bodyOf (webhookId: string, shop: string, event: string, data: object, nowMs: number): WebhookBody {
  return { webhook_id: webhookId, resource_type: 'shop', resource_id: shop, event_time: zoneless(nowMs), event: named(event), event_data: data }
}

/** What is told of a person who opted in or out. Not documented: that there is an id is implied, that there is a phone is a guess. */
export function personData ({ id, digits }: { id: string, digits: string }): object {
  return { id, phone_number: digits }
}

/** `event_data` as an example has it. Only that of an incoming message is documented. */
export function sampleOf (event: string, shop: string, nowMs: number): object {
  const person = { id: 's_1234567abcd', digits: '12015550123' }
  switch (named(event)) {
    case 'shop.incoming_message':
      return { id: 'im_1b2a005a386281c9', subscriber_id: person.id, shop_id: shop, is_opt_out: false, shopify_customer_id: null, from_number: `+${person.digits}`, created_at: zoneless(nowMs), body: 'Hello, world' }
    case 'shop.subscriber.opt_in':
    case 'shop.subscriber.opt_out':
      return personData(person)
    case 'shop.email_collected':
      return { ...personData(person), email: 'ada@example.com' }
    default:
      return {}
  }
}
