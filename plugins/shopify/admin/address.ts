// Where a shop's Admin API is: at Shopify under the shop's own domain, and nowhere else; or in the sandbox.

import type { SourceContext, SourceShop } from '../../../gateway/define.ts'

const PLATFORM_SHOP = /^[a-z0-9][a-z0-9-]{0,62}\.myshopify\.com$/

/** Null for a shop that is not one of Shopify's. In the sandbox each may be. */
export function baseOf ({ sandboxUrl }: Pick<SourceContext, 'sandboxUrl'>, { id }: Pick<SourceShop, 'id'>): string | null {
  if (sandboxUrl !== null) return `${sandboxUrl}/${encodeURIComponent(id)}`
  return PLATFORM_SHOP.test(id) ? `https://${id}` : null
}
