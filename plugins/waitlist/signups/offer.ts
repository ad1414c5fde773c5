// What somebody waits for. A page is open to everybody: what the waitlist knows of a product goes before what the page
// says of it, and links lead to the shop, since all of it may be in a text that the shop sends.

import type { Detail, SourceShop } from '../../../gateway/contract.ts'
import type { Given } from './shape.ts'

/** The data of product.updated, as far as it is used. */
export interface Known {
  product: { title: string, vendor: string, url?: string, image_url?: string }
  variants: Array<{ id: string, title?: string, price?: string, url?: string, checkout_url?: string }>
}

/** `product` and `variant` as waitlist.joined has them. */
export interface Offer { product: Record<string, unknown>, variant: Record<string, unknown> }

export interface OfferOptions {
  known: Known | null
  shop: Pick<SourceShop, 'id' | 'domain'>
  /** Origins of the shop's pages beside its domain. */
  origins: readonly string[]
  /** Of prices that come without one. */
  currency: string | null
  /** Somebody with an API key says it. */
  trusted: boolean
}

const LINK = /:\/\/|\bwww\./i

export function offerOf ({ product, variant }: Given, { known, shop, origins, currency, trusted }: OfferOptions): Offer | { faults: Detail[] } {
  const faults: Detail[] = []
  const hosts = hostsOf(shop, origins)
  const link = (path: string, value: string | undefined): string | undefined => {
    if (value === undefined || trusted || isAt(value, hosts)) return value
    faults.push({ path, rule: 'foreign_link', message: 'leads away from the shop: its domain, or an origin of its pages' })
    return undefined
  }
  const words = (path: string, value: string | undefined): string | undefined => {
    if (value === undefined || trusted || !LINK.test(value)) return value
    faults.push({ path, rule: 'link', message: 'holds a link' })
    return undefined
  }
  const own = known?.variants.find(({ id }) => id === variant.id)
  const chosen = <T>(said: () => T | undefined, knownValue: T | undefined): T | undefined => trusted ? said() ?? knownValue : knownValue ?? said()
  const title = chosen(() => words('/product/title', product.title), known?.product.title)
  const vendor = chosen(() => words('/product/vendor', product.vendor), known?.product.vendor) ?? ''
  const url = chosen(() => link('/product/url', product.url), known?.product.url)
  const image = chosen(() => trusted || isAt(product.image_url ?? '', hosts) ? product.image_url : undefined, known?.product.image_url)
  const variantTitle = chosen(() => words('/variant/title', variant.title), own?.title)
  const variantUrl = chosen(() => link('/variant/url', variant.url), own?.url) ?? url
  const checkout = chosen(() => link('/variant/checkout_url', variant.checkout_url), own?.checkout_url)
  const price = chosen(() => variant.price, priceOf(own?.price, variant.price?.currency ?? currency))
  if (faults.length > 0) return { faults }
  const missing = [title === undefined && '/product/title', url === undefined && '/product/url', price === undefined && '/variant/price'].filter(path => path !== false)
  if (missing.length > 0) return { faults: missing.map(path => ({ path, rule: 'product_unknown', message: 'is not known to the waitlist: it must be given' })) }
  return {
    product: { id: product.id, title, vendor, url, ...(image !== undefined && { image_url: image }) },
    variant: { id: variant.id, ...(variantTitle !== undefined && { title: variantTitle }), price, url: variantUrl, ...(checkout !== undefined && { checkout_url: checkout }) }
  }
}

function priceOf (amount: string | undefined, currency: string | null): { amount: string, currency: string } | undefined {
  return amount === undefined || currency === null ? undefined : { amount, currency }
}

/** A name is in the text too: one that is a link is left out. */
export function nameOf (name: string, trusted: boolean): string {
  return !trusted && (LINK.test(name) || name.includes('/')) ? '' : name
}

/** Hosts of the shop's pages, lower case. */
export function hostsOf ({ id, domain }: Pick<SourceShop, 'id' | 'domain'>, origins: readonly string[]): string[] {
  return [domain.toLowerCase(), ...id.includes('.') ? [id] : [], ...origins.flatMap(origin => URL.canParse(origin) ? [new URL(origin).hostname] : [])]
}

function isAt (url: string, hosts: readonly string[]): boolean {
  if (!URL.canParse(url)) return false
  const { hostname, username, password } = new URL(url)
  return username === '' && password === '' && hosts.some(host => hostname === host || hostname.endsWith(`.${host}`))
}
