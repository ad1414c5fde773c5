// How much there is of a variant: at one location, or in all.

import type { SourceEvent, SourceShop, Step, Translated } from '../../gateway/define.ts'
import { digitsOf, idIn, idOf, wholeOf } from './body.ts'
import { iso, momentOf, PARKED, type Work } from './work.ts'

/** A stock beyond this is no stock: it is what a mistake looks like. */
const QUANTITY_MAX = 1_000_000_000

interface Variant { id: string, product: string }

/** `location` null: over all of them. */
export function stockChanged ({ id, product }: Variant, location: string | null, available: number, at: number): SourceEvent {
  return {
    id: `gid://shopify/ProductVariant/${id}/stock.changed/${location ?? 'total'}/${iso(at)}/${available}`,
    type: 'stock.changed',
    timeAt: at,
    data: { variant: { id }, product: { id: product }, ...(location !== null && { location }), available, at: iso(at) }
  }
}

/** A number of pieces, or null where it is none. Less than none is sold beyond what there was. */
export function quantityOf (value: unknown): number | null {
  const quantity = wholeOf(value)
  return quantity === null || Math.abs(quantity) > QUANTITY_MAX ? null : quantity
}

/** inventory_levels/update and connect: what there is of an item at one location. */
export async function levelChanged (work: Work): Promise<Translated> {
  const { body, context } = work
  const [item, location] = [digitsOf(body.inventory_item_id), digitsOf(body.location_id)]
  if (item === null || location === null) return { is: 'parked', reason: 'not_a_level', detail: 'The body is signed, and no stock level: it has no inventory_item_id or no location_id.' }
  if (body.available === null || body.available === undefined) return { is: 'recorded', reason: 'stock_untold', detail: `How much of the inventory item ${item} there is at the location ${location} is not told: it is not counted there.` }
  const available = quantityOf(body.available)
  if (available === null) return { is: 'parked', reason: 'not_a_level', detail: 'The body is signed, and no stock level: available is no number of pieces.' }
  const shop = await context.shop(work.shop)
  if (shop === null) return PARKED.shop(work.shop)
  const at = momentOf(body.updated_at, work)
  const found = await variantsOf(item, shop, work)
  if (typeof found === 'string') return { is: 'recorded', reason: 'variant_unknown', detail: found }
  return {
    is: 'events',
    events: [...found.variants.map(variant => stockChanged(variant, location, available, at)), ...found.events],
    steps: [...found.steps, { name: 'shopify_unsettle_item', params: { shop_key: shop.key, item } }]
  }
}

/** As products have told; else the platform is asked, which tells the total of now as well. Text: why nobody knows. */
async function variantsOf (item: string, shop: SourceShop, { lookUps, context }: Work): Promise<{ variants: Variant[], events: SourceEvent[], steps: Step[] } | string> {
  const rows = await context.read('shopify_variants_of_item', { shop_key: shop.key, item })
  if (rows.length > 0) return { variants: rows.map(({ variant, product }) => ({ id: String(variant), product: String(product) })), events: [], steps: [] }
  const answer = await lookUps.variants(shop.id, [item])
  if (answer === 'unavailable') return `Which variant the inventory item ${item} is has not been told yet, and could not be asked. Work on the row again when a products/update of its product came, or the shop's Admin API is connected.`
  const found = answer.get(item)
  const [id, product] = [idIn(found?.variant), idIn(found?.product)]
  if (id === null || product === null) return `The shop has no variant of the inventory item ${item}.`
  const [total, at] = [quantityOf(found?.total), context.now()]
  return {
    variants: [{ id, product }],
    events: total === null ? [] : [stockChanged({ id, product }, null, total, at)],
    steps: [{ name: 'shopify_put_item', params: { shop_key: shop.key, variant: id, item, product, quantity: total, at: total === null ? 0 : at } }]
  }
}

/** variants/in_stock and out_of_stock: what there is of one variant in all, whatever the topic calls it. */
export async function variantChanged (work: Work): Promise<Translated> {
  const { body, context } = work
  const [id, product, available] = [idOf(body, 'ProductVariant'), digitsOf(body.product_id), quantityOf(body.inventory_quantity)]
  if (id === null || product === null || available === null) return { is: 'parked', reason: 'not_a_variant', detail: 'The body is signed, and no variant: it has no id, no product_id or no inventory_quantity.' }
  const shop = await context.shop(work.shop)
  if (shop === null) return PARKED.shop(work.shop)
  const at = momentOf(body.updated_at, work)
  const [known] = await context.read('shopify_items', { shop_key: shop.key, variants: JSON.stringify([id]) })
  if (known !== undefined && (known.at as number) > at) return older(`the variant ${id}`, at, known.at as number)
  return {
    is: 'events',
    events: [stockChanged({ id, product }, null, available, at)],
    steps: [{ name: 'shopify_put_item', params: { shop_key: shop.key, variant: id, item: null, product, quantity: available, at } }]
  }
}

export function older (what: string, at: number, known: number): Translated {
  return { is: 'recorded', reason: 'older', detail: `It shows ${what} as of ${iso(at)}; a body of ${iso(known)} was worked on before.` }
}

/** inventory_items/update: its stock comes by other topics. */
export function itemChanged ({ body }: Work): Translated {
  const item = idOf(body, 'InventoryItem')
  if (item === null) return { is: 'parked', reason: 'not_an_item', detail: 'The body is signed, and no inventory item: it has no id.' }
  if (body.tracked === false) return { is: 'recorded', reason: 'not_tracked', detail: `The stock of the inventory item ${item} is not counted any more: no restock of it will be told.` }
  return { is: 'recorded', reason: 'item_noted', detail: `Of the inventory item ${item} nothing has changed that messages depend on.` }
}
