// An order whose selling plans nobody could be asked about is looked at again by itself, for a day: a confirmation that comes
// late is better than none. What was told of the order at once stays as it is.

import type { Received, SourceCode, SourceContext, Step, Translated } from '../../gateway/define.ts'
import type { LookUps } from './look-ups.ts'
import { isRefused, workOf, type Work } from './work.ts'

const MINUTE_MS = 60_000
/** Waits before the first, second, … look. */
const AGAIN_MS = [1, 5, 30, 120, 360, 900].map(minutes => minutes * MINUTE_MS)
const KIND = 'shopify_order'

type Job = NonNullable<SourceCode['jobs']>[string]

/** Has the order of a row looked at again. */
export function lookAgain ({ received, context }: Work): Step { return context.job(KIND, received.id, context.now() + (AGAIN_MS[0] as number)) }

/** The job, by its kind. `read`: what is made of the order now; it has steps while there is something to ask. */
export function orderJobs (lookUpsOf: (context: SourceContext) => LookUps, read: (work: Work) => Promise<Translated>): Record<typeof KIND, Job> {
  return {
    shopify_order: async ({ uniqueKey, cursor }, context) => {
      const received = await rowOf(uniqueKey, context)
      if (received === null) return null
      const work = workOf(received, context, lookUpsOf)
      const result = isRefused(work) ? work : await read(work)
      if (result.is !== 'events') return null
      if (await rowOf(uniqueKey, context) === null) return null // erased while somebody was asked: nothing of it may come back
      const confirmed = result.events.filter(({ type }) => type === 'preorder.confirmed').map(event => ({ ...event, shop: String(received.shop) }))
      if (confirmed.length > 0) await context.accept(confirmed, [])
      const looked = Number(cursor ?? 0) + 1
      const afterMs = AGAIN_MS[looked]
      return result.steps === undefined || afterMs === undefined ? null : { afterMs, cursor: String(looked) }
    }
  }
}

/** Null where it is gone, or its body was erased. */
async function rowOf (id: string, context: SourceContext): Promise<Received | null> {
  const [row] = await context.read('shopify_row', { id })
  if (row === undefined) return null
  const { topic, shop, subject, headers, body, received_at: receivedAt } = row
  return { id, receivedAt: receivedAt as number, topic: String(topic), shop: shop as string | null, subject: subject as string | null, headers: JSON.parse(String(headers)) as Record<string, string>, body: String(body) }
}
