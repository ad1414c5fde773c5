// What shops tell of their stock and their products, written in the unit of the event that says it.

import type { Entering, SourceContext, Step } from '../../gateway/define.ts'
import type { WaitlistOptions } from './options.ts'

export const WAVE_JOB = 'waitlist_wave'

/** One job works on all waves of a variant. */
export function jobKeyOf (shopKey: number, variant: string): string { return `${shopKey}:${variant}` }

export function variantOf (uniqueKey: string): { shopKey: number, variant: string } {
  const at = uniqueKey.indexOf(':')
  return { shopKey: Number(uniqueKey.slice(0, at)), variant: uniqueKey.slice(at + 1) }
}

interface StockChanged { variant: { id: string }, product?: { id: string }, location?: string, available: number, at: string }

export function stockChanged ({ key, shop, data }: Entering, context: SourceContext): Step[] {
  const { variant, product, location, available, at } = data as unknown as StockChanged
  const { threshold, automatic } = context.options as unknown as WaitlistOptions
  const row = { event_key: key, shop_key: shop.key, variant: variant.id }
  const told = { ...row, available, at: Date.parse(at) }
  const now = context.now()
  const below = { ...row, threshold }
  return [
    { name: 'waitlist_stock_touch', params: { ...row, product: product?.id ?? null } },
    location === undefined ? { name: 'waitlist_total_put', params: told } : { name: 'waitlist_level_put', params: { ...told, location } },
    ...(location === undefined ? [] : [{ name: 'waitlist_levels_prune', params: { ...row, location } }]),
    { name: 'waitlist_rebaseline', params: below },
    { name: 'waitlist_count', params: { ...row, now } },
    { name: 'waitlist_arm_below', params: row },
    { name: 'waitlist_end_sold_out', params: { ...row, now } },
    { name: 'waitlist_cross', params: row },
    { name: 'waitlist_wave_of_crossing', params: { ...row, id: context.newId('wav_'), automatic: automatic ? 1 : 0, now } },
    { name: 'waitlist_put_job', params: { ...context.job(WAVE_JOB, jobKeyOf(shop.key, variant.id), now).params, ...row } }
  ]
}

interface ProductUpdated { product: { id: string }, at: string }

export function productUpdated ({ key, shop, data }: Entering): Step[] {
  const { product, at } = data as unknown as ProductUpdated
  return [{ name: 'waitlist_product_put', params: { event_key: key, shop_key: shop.key, product: product.id, data: JSON.stringify(data), at: Date.parse(at) } }]
}
