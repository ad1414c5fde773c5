// What webhooks do not say is looked up: many at once in one question, each once, and kept.

import DataLoader from 'dataloader'
import type { SourceContext, SourceShop, Step } from '../../../gateway/define.ts'
import { digitsOf, isObject, objectOf, objectsOf, textOf, type Json } from '../body.ts'
import type { LookUps, OrderLineFound, PlanFound, VariantFound } from '../look-ups.ts'
import { adminOf } from './admin.ts'
import type { Client } from './client.ts'
import { IDS_MAX, ITEMS, ORDER_LINES, PLANS, type Document } from './documents.ts'
import type { GraphQlError } from './judge.ts'

/** Who asks has half a minute for all of its work. */
const WITHIN_MS = 5000
/** Questions of the same moment go together. */
const GATHER_MS = 20
/** A plan that was asked about is not asked about again for so long; nor is what the shop does not have. */
const PLAN_MS = 24 * 3_600_000
const ABSENT_MS = 10 * 60_000
const PAGES_MAX = 10
const KEY_CHARS = 255
const VALUE_CHARS = 1000
/** Loaders are kept for shops that were asked about lately. */
const SHOPS_MAX = 1000

/** Thrown to a loader: nobody knows for the moment. */
class Unavailable extends Error {}

/** A way to find things by their ids: what is kept of them, and what is asked. */
interface Kind<T> {
  kind: string
  /** Of the global ids. */
  type: string
  document: Document
  kept (context: SourceContext, shop: SourceShop, ids: string[]): Promise<Map<string, T>>
  read (node: Json): T | null
  /** Null where whoever asks keeps it. */
  keep: ((context: SourceContext, shop: SourceShop, id: string, found: T) => Step) | null
}

const VARIANTS: Kind<VariantFound> = {
  kind: 'item',
  type: 'InventoryItem',
  document: ITEMS,
  async kept () { return new Map() },
  read: variantOf,
  keep: null
}

const SELLING_PLANS: Kind<PlanFound> = {
  kind: 'plan',
  type: 'SellingPlan',
  document: PLANS,
  async kept (context, { key }, ids) {
    const rows = await context.read('shopify_plans_of', { shop_key: key, since: context.now() - PLAN_MS, plans: JSON.stringify(ids) })
    return new Map(rows.map(({ plan, category, timeline }) => [String(plan), { category: String(category), timeline: timeline as string | null }]))
  },
  read: planOf,
  keep: (context, { key }, plan, { category, timeline }) => ({ name: 'shopify_put_plan', params: { shop_key: key, plan, category, timeline, asked_at: context.now() } })
}

const made = new WeakMap<SourceContext, LookUps>()

/** The same for the same context. */
export function lookUps (context: SourceContext): LookUps {
  const there = made.get(context)
  if (there !== undefined) return there
  const { client } = adminOf(context)
  const [variants, plans] = [finder(context, client, VARIANTS), finder(context, client, SELLING_PLANS)]
  const all: LookUps = { variants, sellingPlans: plans, orderLines: (shop, id) => orderLines(context, client, shop, id) }
  made.set(context, all)
  return all
}

function finder<T> (context: SourceContext, client: Client, kind: Kind<T>): (shop: string, ids: string[]) => Promise<Map<string, T> | 'unavailable'> {
  const loaders = new Map<number, DataLoader<string, T | null>>()
  function loaderOf (shop: SourceShop): DataLoader<string, T | null> {
    const there = loaders.get(shop.key)
    if (there !== undefined) return there
    if (loaders.size >= SHOPS_MAX) loaders.delete(loaders.keys().next().value as number)
    const loader: DataLoader<string, T | null> = new DataLoader(async ids => {
      try {
        return await found(context, client, kind, shop, [...ids])
      } finally {
        for (const id of ids) loader.clear(id) // from now on it is kept on disk, and not here
      }
    }, { maxBatchSize: IDS_MAX, batchScheduleFn: go => { setTimeout(go, GATHER_MS) } })
    loaders.set(shop.key, loader)
    return loader
  }
  return async (shopId, given) => {
    const shop = await context.shop(shopId)
    if (shop === null) return 'unavailable'
    const ids = new Map(given.flatMap(id => { const digits = digitsIn(id); return digits === null ? [] : [[id, digits] as const] }))
    const results = await loaderOf(shop).loadMany([...ids.values()])
    const failed = results.find(result => result instanceof Error)
    if (failed instanceof Unavailable) return 'unavailable'
    if (failed !== undefined) throw failed
    return new Map([...ids.keys()].flatMap((id, i) => results[i] === null ? [] : [[id, results[i] as T] as const]))
  }
}

/** In the order of the ids; null is not there, an error is not known. */
async function found<T> (context: SourceContext, client: Client, kind: Kind<T>, shop: SourceShop, ids: string[]): Promise<Array<T | null | Error>> {
  const listed = JSON.stringify(ids)
  const kept: Map<string, T | null> = await kind.kept(context, shop, ids)
  for (const { id } of await context.read('shopify_absent_of', { shop_key: shop.key, kind: kind.kind, since: context.now() - ABSENT_MS, ids: listed })) kept.set(String(id), null)
  const missing = ids.filter(id => !kept.has(id))
  const asked = await askNodes(client, kind, shop, missing)
  const steps = [...asked].flatMap(([id, node]): Step[] => {
    if (node === null) return [{ name: 'shopify_put_absent', params: { shop_key: shop.key, kind: kind.kind, id, asked_at: context.now() } }]
    return node === 'unknown' || kind.keep === null ? [] : [kind.keep(context, shop, id, node)]
  })
  if (steps.length > 0) await context.commit(steps)
  return ids.map(id => {
    const node = kept.has(id) ? kept.get(id) : asked.get(id)
    return node === undefined || node === 'unknown' ? new Unavailable(id) : node
  })
}

/** Halved where the question costs too much. */
async function askNodes<T> (client: Client, kind: Kind<T>, shop: SourceShop, ids: string[]): Promise<Map<string, T | null | 'unknown'>> {
  if (ids.length === 0) return new Map()
  const reply = await client.ask(shop, kind.document, { ids: ids.map(id => `gid://shopify/${kind.type}/${id}`) }, { withinMs: WITHIN_MS })
  if (reply.is === 'failed' && reply.fault.next === 'split' && ids.length > 1) {
    const half = Math.ceil(ids.length / 2)
    const [first, second] = [await askNodes(client, kind, shop, ids.slice(0, half)), await askNodes(client, kind, shop, ids.slice(half))]
    return new Map([...first, ...second])
  }
  if (reply.is === 'failed') return new Map(ids.map(id => [id, 'unknown']))
  const nodes = Array.isArray(reply.data['nodes']) ? reply.data['nodes'] : []
  return new Map(ids.map((id, i) => [id, nodeAt(nodes[i], i, reply.errors, kind)]))
}

/** Null beside an error of its own is not known. */
function nodeAt<T> (node: unknown, index: number, errors: readonly GraphQlError[], { read }: Kind<T>): T | null | 'unknown' {
  const spoilt = errors.some(({ path }) => path[0] === 'nodes' && (path[1] === index || path.length < 2))
  if (!isObject(node)) return spoilt || node === undefined ? 'unknown' : null
  const thing = read(node)
  return thing === null && spoilt ? 'unknown' : thing
}

/** Of several the one that was made first. */
function variantOf (item: Json): VariantFound | null {
  const nodes = objectsOf(objectOf(item['variants'])['nodes'])
  const [first] = nodes.flatMap(node => {
    const [variant, product] = [digitsIn(node['id']), digitsIn(objectOf(node['product'])['id'])]
    return variant === null || product === null ? [] : [{ variant, product, node }]
  }).toSorted((a, b) => BigInt(a.variant) < BigInt(b.variant) ? -1 : 1)
  if (first === undefined) return null
  const { inventoryQuantity: quantity } = first.node
  return { variant: first.variant, product: first.product, total: item['tracked'] !== false && Number.isSafeInteger(quantity) ? quantity as number : null }
}

function planOf (plan: Json): PlanFound | null {
  const category = textOf(plan['category'], 50)
  const { fulfillmentTrigger: trigger, fulfillmentExactTime: time } = objectOf(plan['deliveryPolicy'])
  const at = trigger === 'EXACT_TIME' && typeof time === 'string' ? Date.parse(time) : Number.NaN
  return category === null ? null : { category, timeline: Number.isNaN(at) ? null : `Ships ${new Intl.DateTimeFormat('en-US', { dateStyle: 'long', timeZone: 'UTC' }).format(at)}` }
}

async function orderLines (context: SourceContext, client: Client, shopId: string, orderId: string): Promise<OrderLineFound[] | 'unavailable'> {
  const [shop, digits] = [await context.shop(shopId), digitsIn(orderId)]
  if (shop === null || digits === null) return 'unavailable'
  const lines: OrderLineFound[] = []
  for (let page = 0, after: string | null = null; page < PAGES_MAX; page++) {
    const reply = await client.ask(shop, ORDER_LINES, { id: `gid://shopify/Order/${digits}`, after }, { withinMs: WITHIN_MS })
    if (reply.is === 'failed' || reply.errors.length > 0) return 'unavailable'
    const connection = objectOf(objectOf(reply.data['order'])['lineItems'])
    lines.push(...objectsOf(connection['nodes']).map(lineOf))
    const { hasNextPage: more, endCursor: cursor } = objectOf(connection['pageInfo'])
    if (more !== true || typeof cursor !== 'string') break
    after = cursor
  }
  return lines
}

function lineOf (line: Json): OrderLineFound {
  const properties = objectsOf(line['customAttributes']).flatMap(({ key, value }) => {
    const [name, text] = [textOf(key, KEY_CHARS), textOf(value, VALUE_CHARS)]
    return name === null || text === null ? [] : [{ name, value: text }]
  })
  return { variant: digitsIn(objectOf(line['variant'])['id']), sellingPlanId: digitsIn(objectOf(line['sellingPlan'])['sellingPlanId']), properties }
}

/** Of a number, or of a global id. */
export function digitsIn (id: unknown): string | null {
  return digitsOf(typeof id === 'string' ? id.slice(id.lastIndexOf('/') + 1).split('?')[0] : id)
}
