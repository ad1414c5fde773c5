// What a message says: the customer as they signed up, product and variant as the shop shows them now.

import type { Row } from '../../gateway/define.ts'

interface Told { product: Record<string, unknown> & { available?: boolean }, variants: Array<Record<string, unknown> & { id: string, price?: string }> }
interface SignUp { customer: unknown, product: Record<string, unknown>, variant: Record<string, unknown> & { price: { amount: string, currency: string } } }

/** Data of an alert. `row` is a sign-up, `product` the data of product.updated where it is known. */
export function alertData (row: Row, product: Told | null): Record<string, unknown> {
  const signUp = JSON.parse(row.data as string) as SignUp
  const variant = product?.variants.find(({ id }) => id === signUp.variant.id)
  return { customer: signUp.customer, product: product === null ? signUp.product : productOf(signUp, product), variant: variant === undefined ? signUp.variant : variantOf(signUp, variant) }
}

function productOf ({ product }: SignUp, told: Told): Record<string, unknown> {
  const { id, title, vendor, url, image_url: image } = told.product
  return { id, title, vendor, url: url ?? product.url, ...(image !== undefined ? { image_url: image } : product.image_url !== undefined && { image_url: product.image_url }) }
}

function variantOf ({ variant }: SignUp, told: Told['variants'][number]): Record<string, unknown> {
  const { price, ...rest } = told
  return { ...variant, ...rest, price: price === undefined ? variant.price : { amount: price, currency: variant.price.currency } }
}

/** The product as it was told last; null where nobody told. */
export function toldOf (text: unknown): Told | null { return typeof text === 'string' ? JSON.parse(text) as Told : null }
