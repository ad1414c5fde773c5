// A product as it is now: its page for messages, and what there is of each variant, where that is another amount than was told last.

import { createHash } from 'node:crypto'
import type { Row, SourceEvent, SourceShop, Step, Translated } from '../../gateway/define.ts'
import { digitsOf, idOf, objectOf, objectsOf, textOf, timeOf, type Json } from './body.ts'
import { older, quantityOf, stockChanged } from './stock.ts'
import { iso, momentOf, noted, PARKED, type Note, type Work } from './work.ts'

/** The platform shows the first 100 of a product in full, and only names the others. */
const VARIANTS_MAX = 100
/** An event has 64 KiB at most; what is not a variant needs far less than the rest. */
const VARIANTS_BYTES = 48 * 1024
const URL_CHARS = 2048
const PRICE = /^[0-9]{1,12}(\.[0-9]{1,4})?$/

interface Variant { id: string, item: string | null, quantity: number | null, body: Json }

export async function productChanged (work: Work): Promise<Translated> {
  const { body, context } = work
  const id = idOf(body, 'Product')
  if (id === null || !Array.isArray(body.variants)) return { is: 'parked', reason: 'not_a_product', detail: 'The body is signed, and no product: it has no id or no variants.' }
  const shop = await context.shop(work.shop)
  if (shop === null) return PARKED.shop(work.shop)
  const at = momentOf(body.updated_at, work)
  const [known] = await context.read('shopify_product', { shop_key: shop.key, product: id })
  if (known !== undefined && (known.at as number) > at) return older(`the product ${id}`, at, known.at as number)
  const variants = variantsOf(body)
  const rows = await context.read('shopify_items', { shop_key: shop.key, variants: JSON.stringify(variants.map(variant => variant.id)) })
  const stock = stockOf(variants, { product: id, shop, at, rows })
  const { data, leftOut } = dataOf(body, { id, shop, at, variants })
  const facts = createHash('sha256').update(JSON.stringify({ ...data, at: undefined })).digest('base64url')
  const page = known?.facts === facts ? [] : [productUpdated(id, data, facts, at)]
  const events = [...page, ...stock.events]
  const steps = [...stock.steps, { name: 'shopify_put_product', params: { shop_key: shop.key, product: id, facts, at } }]
  const notes = notesOf(body, variants.length, leftOut)
  if (events.length > 0) return noted({ is: 'events', events, steps }, notes)
  return { is: 'recorded', reason: 'product_unchanged', detail: ['Nothing has changed that messages depend on.', ...notes.map(({ detail }) => detail)].join(' '), steps }
}

function productUpdated (id: string, data: Record<string, unknown>, facts: string, at: number): SourceEvent {
  return { id: `gid://shopify/Product/${id}/product.updated/${iso(at)}/${facts.slice(0, 16)}`, type: 'product.updated', timeAt: at, data }
}

/** Each once. */
function variantsOf (body: Json): Variant[] {
  const variants = new Map<string, Variant>()
  for (const variant of objectsOf(body.variants)) {
    const id = idOf(variant, 'ProductVariant')
    if (id !== null && variants.size < VARIANTS_MAX) variants.set(id, { id, item: digitsOf(variant.inventory_item_id), quantity: quantityOf(variant.inventory_quantity), body: variant })
  }
  return [...variants.values()]
}

/** Variants that were seen later than this stay as they are. */
function stockOf (variants: readonly Variant[], { product, shop, at, rows }: { product: string, shop: SourceShop, at: number, rows: Row[] }): { events: SourceEvent[], steps: Step[] } {
  const known = new Map(rows.map(row => [String(row.variant), row]))
  const events: SourceEvent[] = []
  const steps: Step[] = []
  const same: string[] = []
  for (const { id, item, quantity } of variants) {
    const row = known.get(id)
    if (row !== undefined && (row.at as number) > at) continue
    if (row !== undefined && row.quantity === quantity && row.product === product && (item === null || row.item === item)) {
      same.push(id)
      continue
    }
    steps.push({ name: 'shopify_put_item', params: { shop_key: shop.key, variant: id, item, product, quantity, at } })
    if (quantity !== null && row?.quantity !== quantity) events.push(stockChanged({ id, product }, null, quantity, at))
  }
  if (same.length > 0) steps.push({ name: 'shopify_seen_items', params: { shop_key: shop.key, variants: JSON.stringify(same), at } })
  return { events, steps }
}

/** As the schema of product.updated has it. */
function dataOf (body: Json, { id, shop, at, variants }: { id: string, shop: SourceShop, at: number, variants: readonly Variant[] }): { data: Record<string, unknown>, leftOut: number } {
  const published = timeOf(body.published_at)
  const available = body.status === 'active' && published !== null && published <= at
  const url = available ? pageOf(body, shop) : null
  const image = textOf(objectOf(body.image).src ?? objectsOf(body.images)[0]?.src, URL_CHARS)
  const all = variants.map(variant => variantData(variant, shop, url))
  let bytes = 0
  const fitting = all.filter(variant => (bytes += Buffer.byteLength(JSON.stringify(variant)) + 1) <= VARIANTS_BYTES)
  return {
    data: {
      product: {
        id,
        title: textOf(body.title, 500) ?? 'Product',
        vendor: textOf(body.vendor, 255) ?? '',
        ...(url !== null && { url }),
        ...(image !== null && isWeb(image) && { image_url: image }),
        available
      },
      variants: fitting,
      at: iso(at)
    },
    leftOut: all.length - fitting.length
  }
}

function variantData ({ id, body }: Variant, { domain }: SourceShop, url: string | null): Record<string, unknown> {
  const title = textOf(body.title, 255)
  const checkout = `https://${domain}/cart/${id}:1`
  return {
    id,
    ...(title !== null && title !== 'Default Title' && { title }),
    ...(typeof body.price === 'string' && PRICE.test(body.price) && { price: body.price }),
    ...(url !== null && { url: `${url}?variant=${id}`, ...(isWeb(checkout) && { checkout_url: checkout }) })
  }
}

/** The product's page at the shop; null where it has none. */
function pageOf ({ handle }: Json, { domain }: SourceShop): string | null {
  const name = textOf(handle, 255)
  const url = name === null ? null : `https://${domain}/products/${encodeURIComponent(name)}`
  return url !== null && isWeb(url) ? url : null
}

function isWeb (url: string): boolean {
  return /^https?:\/\/[\x21-\x7e]+$/.test(url) && URL.canParse(url)
}

function notesOf (body: Json, shown: number, leftOut: number): Note[] {
  const named = new Set(objectsOf(body.variant_gids).map(({ admin_graphql_api_id: gid }) => gid)).size
  const beyond = Math.max(named, objectsOf(body.variants).length) - shown
  return [
    ...(beyond > 0 ? [{ reason: 'variants_beyond', detail: `${beyond} more variants of it are not shown in full: their stock comes by other topics.` }] : []),
    ...(leftOut > 0 ? [{ reason: 'variants_left_out', detail: `${leftOut} of its variants did not fit into an event: messages about them have no page of their own.` }] : [])
  ]
}
