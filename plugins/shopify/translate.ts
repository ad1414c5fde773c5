// From a webhook that is on disk to events. The same row gives the same, as far as nobody else has told more in between.

import type { Received, SourceContext, Translated } from '../../gateway/define.ts'
import { timeOf, type Json } from './body.ts'
import { customerDataRequest, customerRedact, shopRedact, subscriptionChanged, uninstalled } from './life.ts'
import type { LookUps } from './look-ups.ts'
import { newOrder, paidOrder } from './orders.ts'
import { productChanged } from './products.ts'
import { itemChanged, levelChanged, variantChanged } from './stock.ts'
import { isRefused, iso, workOf, type Note, type Work } from './work.ts'

const DAY_MS = 24 * 3_600_000

type Topic = (work: Work) => Translated | Promise<Translated>

/** What is done by topic; every other one is kept, and nothing follows. */
const TOPICS: Readonly<Record<string, Topic>> = {
  'orders/create': work => newOrder(work, ageNotes(work)),
  'orders/paid': work => paidOrder(work, ageNotes(work)),
  'inventory_levels/update': levelChanged,
  'inventory_levels/connect': levelChanged,
  'inventory_items/update': itemChanged,
  'variants/in_stock': variantChanged,
  'variants/out_of_stock': variantChanged,
  'products/update': productChanged,
  'app/uninstalled': uninstalled,
  'app_subscriptions/update': subscriptionChanged,
  'customers/redact': customerRedact,
  'customers/data_request': customerDataRequest,
  'shop/redact': shopRedact
}

/** `lookUpsOf`: what answers where a body says too little. */
export function translator (lookUpsOf: (context: SourceContext) => LookUps): (received: Received, context: SourceContext) => Promise<Translated> {
  return async (received, context) => {
    const work = workOf(received, context, lookUpsOf)
    if (isRefused(work)) return work
    const act = Object.hasOwn(TOPICS, work.topic) ? TOPICS[work.topic] : undefined
    if (act === undefined) return { is: 'recorded', reason: 'topic_not_acted_on', detail: `${received.topic} is kept, and nothing follows from it.` }
    return await act(work)
  }
}

/** Anyone can write a header anew, but not the time in the body: the earlier of them counts. Whether a message is too old its expiry decides. */
function ageNotes ({ triggeredAt, body, received: { receivedAt } }: Work): Note[] {
  const { created_at: created }: Json = body
  const at = Math.min(triggeredAt ?? receivedAt, timeOf(created) ?? receivedAt)
  if (receivedAt - at <= DAY_MS) return []
  return [{ reason: 'late', detail: `It came ${Math.floor((receivedAt - at) / DAY_MS)} days after ${iso(at)}.` }]
}
