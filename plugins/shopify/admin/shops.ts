// Jobs that are done shop by shop: one that goes through all that are connected, and one for each.

import type { SourceContext, SourceJob, SourceShop } from '../../../gateway/define.ts'

/** When it runs again and from where; null ends it. */
export type JobResult = { afterMs: number, cursor?: string | null } | null

const PAGE = 100
const PREFIX = 'shop:'

export const jobKey = (shopKey: number): string => `${PREFIX}${shopKey}`

/** The shop a job is about; null where it is gone. */
export async function shopIn ({ uniqueKey }: Pick<SourceJob, 'uniqueKey'>, context: SourceContext): Promise<SourceShop | 'all' | null> {
  return uniqueKey.startsWith(PREFIX) ? await context.shopByKey(Number(uniqueKey.slice(PREFIX.length))) : 'all'
}

export interface Round { kind: string, /** From the end of a round to the next. */ everyMs: number, /** Of the i-th shop of a page. */ dueAt (i: number): number }

/** A page of the shops gets its jobs; one that is due earlier stays so. Nobody waits for them: while the platform is slow, thousands would stand before what somebody waits for. */
export async function eachShop ({ cursor }: SourceJob, context: SourceContext, { kind, everyMs, dueAt }: Round): Promise<JobResult> {
  const rows = await context.read('shopify_connected_after', { after: Number(cursor ?? 0), limit: PAGE })
  const keys = rows.map(({ shop_key: key }) => Number(key))
  if (keys.length > 0) {
    await context.commit(keys.map((key, i) => context.job(kind, jobKey(key), dueAt(i), { background: true })))
    context.look()
  }
  return keys.length < PAGE ? { afterMs: everyMs, cursor: null } : { afterMs: 1000, cursor: String(keys.at(-1)) }
}
