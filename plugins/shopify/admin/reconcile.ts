// What webhooks did not tell: the stock of variants that people wait for is read anew, and told where it is another one.

import type { Entering, SourceContext, SourceEvent, SourceJob, SourceShop, Step } from '../../../gateway/define.ts'
import { isObject, objectOf, type Json } from '../body.ts'
import { adminOf } from './admin.ts'
import { IDS_MAX, STOCK } from './documents.ts'
import { digitsIn } from './look-ups.ts'
import type { AdminOptions } from './options.ts'
import { eachShop, shopIn, type JobResult } from './shops.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const WITHIN_MS = 10_000
/** Shops are begun with so far apart. */
const APART_MS = 200
/** A statement of another source: the variants that somebody waits for. */
const WAITING = 'waitlist_waiting_variants'

interface Stock { variant: string, product: string, total: number }

export async function reconcileJob (job: SourceJob, context: SourceContext): Promise<JobResult> {
  const everyMs = (context.options as unknown as AdminOptions).reconcile_minutes * MINUTE_MS
  const shop = await shopIn(job, context)
  // Shops have jobs already: this is for those whose job was lost, and for a shorter distance.
  if (shop === 'all') return await eachShop(job, context, { kind: 'shopify_reconcile', everyMs: HOUR_MS, dueAt: i => context.now() + everyMs + i * APART_MS })
  if (shop === null) return null
  const variants = await variantsAfter(context, shop, job.cursor ?? '')
  if (variants.length === 0) return { afterMs: everyMs, cursor: null }
  const askedAt = context.now()
  const asked = await ask(context, shop, variants)
  if (Array.isArray(asked)) {
    await tell(context, shop, asked, askedAt, everyMs)
    return variants.length < IDS_MAX ? { afterMs: everyMs, cursor: null } : { afterMs: 0, cursor: variants.at(-1) as string }
  }
  if (asked.next === 'reconnect') return null // it begins anew with the next token
  return asked.next === 'never' ? { afterMs: everyMs, cursor: null } : { afterMs: Math.max(asked.afterMs, MINUTE_MS), cursor: job.cursor }
}

/** Those that people wait for; where nobody counts them, all that are known. */
async function variantsAfter (context: SourceContext, { key }: SourceShop, after: string): Promise<string[]> {
  const name = context.has(WAITING) ? WAITING : 'shopify_variants_after'
  const rows = await context.read(name, { shop_key: key, after_variant: after, limit: IDS_MAX })
  return rows.map(({ variant }) => String(variant))
}

/** Of those that Shopify counts, and that are there. */
async function ask (context: SourceContext, shop: SourceShop, variants: readonly string[]): Promise<Stock[] | { next: string, afterMs: number }> {
  const reply = await adminOf(context).client.ask(shop, STOCK, { ids: variants.map(id => `gid://shopify/ProductVariant/${id}`) }, { withinMs: WITHIN_MS, background: true })
  if (reply.is === 'failed') return reply.fault
  const nodes = Array.isArray(reply.data['nodes']) ? reply.data['nodes'] : []
  return nodes.filter(isObject).flatMap(node => stockOf(node) ?? [])
}

function stockOf (node: Json): Stock | null {
  const [variant, product] = [digitsIn(node['id']), digitsIn(objectOf(node['product'])['id'])]
  const { inventoryQuantity: total } = node
  if (variant === null || product === null || !Number.isSafeInteger(total) || objectOf(node['inventoryItem'])['tracked'] === false) return null
  return { variant, product, total: total as number }
}

async function tell (context: SourceContext, shop: SourceShop, stock: readonly Stock[], askedAt: number, everyMs: number): Promise<void> {
  if (stock.length === 0) return
  const rows = await context.read('shopify_told_of', { shop_key: shop.key, variants: JSON.stringify(stock.map(({ variant }) => variant)) })
  const told = new Map(rows.map(({ variant, total }) => [String(variant), Number(total)]))
  const events = stock.filter(({ variant, total }) => told.get(variant) !== total).map(({ variant, product, total }): SourceEvent & { shop: string } => ({
    id: `gid://shopify/ProductVariant/${variant}/stock/${total}/${Math.floor(askedAt / everyMs)}`,
    type: 'stock.changed',
    timeAt: askedAt,
    shop: shop.id,
    data: { variant: { id: variant }, product: { id: product }, available: total, at: new Date(askedAt).toISOString() }
  }))
  for (let rest = events; rest.length > 0;) {
    const made = await context.accept(rest, [])
    if (made.is === 'accepted') return
    if (made.code !== 'GW_EVENT_CONFLICT') context.warn({ shop: shop.id, code: made.code, event: made.sourceId }, made.message) // else it was told a moment ago
    const without = rest.filter(({ id }) => id !== made.sourceId)
    rest = without.length < rest.length ? without : []
  }
}

/** Beside each stock.changed, whoever made it: what was told last. */
export function toldOf ({ shop, timeAt, data }: Entering): Step[] {
  const [variant, available] = [objectOf(data['variant'])['id'], data['available']]
  if (typeof variant !== 'string' || typeof available !== 'number') return []
  if (data['location'] !== undefined) return [{ name: 'shopify_tell_level', params: { shop_key: shop.key, variant } }]
  return [{ name: 'shopify_tell_total', params: { shop_key: shop.key, variant, total: available, told_at: timeAt } }]
}
