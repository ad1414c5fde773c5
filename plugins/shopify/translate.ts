// From a webhook that is on disk to events. The same row gives the same, whenever it is asked.

import type { InboundContext, Received, Translated } from '../../gateway/define.ts'
import { isObject, parseJson, shopOf, timeOf, type Json } from './body.ts'
import { newOrder, type Note } from './orders.ts'
import type { Options } from './options.ts'

const DAY_MS = 24 * 3_600_000

export function translate ({ topic, shop, headers, body, receivedAt }: Received, { options }: Pick<InboundContext, 'options'>): Translated {
  const read = body === null ? undefined : parseJson(body)
  if (!isObject(read)) return { is: 'parked', reason: 'not_json', detail: 'The body is signed, and no JSON object.' }
  const said = shopOf(read)
  if (said !== null && said !== shop) return { is: 'parked', reason: 'shop_mismatch', detail: `The header says ${shop ?? 'no shop'}, the body ${said}. The signature covers the body alone.` }
  if (topic.toLowerCase() !== 'orders/create') return { is: 'recorded', reason: 'topic_not_acted_on', detail: `${topic} is kept, and nothing follows from it.` }
  return newOrder(read, options as unknown as Options, ageNotes(headers['triggered-at'], read, receivedAt)) // the core checked them against the schema
}

/** Anyone can write a header anew, but not the time in the body: the earlier of them counts. Whether a message is too old its expiry decides. */
function ageNotes (triggered: string | undefined, { created_at: created }: Json, receivedAt: number): Note[] {
  const at = Math.min(timeOf(triggered) ?? receivedAt, timeOf(created) ?? receivedAt)
  if (receivedAt - at <= DAY_MS) return []
  return [{ reason: 'late', detail: `It came ${Math.floor((receivedAt - at) / DAY_MS)} days after ${new Date(at).toISOString()}.` }]
}
