// A shop with the app, and without it; what it pays for; and what of its people is to be handed out or erased.

import { createHash } from 'node:crypto'
import type { SourceEvent, SourceShop, Translated } from '../../gateway/define.ts'
import { digitsOf, idIn, objectOf, textOf, type Json } from './body.ts'
import { iso, momentOf, PARKED, type Work } from './work.ts'

const ORDERS_MAX = 1000
const PAYS = 'ACTIVE'
const ENDED: ReadonlySet<string> = new Set(['CANCELLED', 'DECLINED', 'EXPIRED', 'FROZEN'])

/** app/uninstalled: nothing is to be sent for the shop any more. Its body does not say when. */
export async function uninstalled (work: Work): Promise<Translated> {
  const shop = await work.context.shop(work.shop)
  if (shop === null) return PARKED.shop(work.shop)
  const at = momentOf(undefined, work)
  return {
    is: 'events',
    events: [{ id: `app/uninstalled/${iso(at)}`, type: 'shop.updated', timeAt: at, data: { status: 'uninstalled', at: iso(at) } }],
    steps: [{ name: 'shopify_put_uninstalled', params: { shop_key: shop.key, at } }]
  }
}

/** app_subscriptions/update. A plan is taken by its handle, else by its name. */
export async function subscriptionChanged (work: Work): Promise<Translated> {
  const { context, options: { plans, free_plan: free } } = work
  const body = objectOf(work.body.app_subscription)
  const id = idIn(body.admin_graphql_api_id)
  const status = textOf(body.status, 50)?.toUpperCase() ?? null
  if (id === null || status === null) return { is: 'parked', reason: 'not_a_subscription', detail: 'The body is signed, and no app subscription: it has no id or no status.' }
  if (Object.keys(plans).length === 0) return { is: 'recorded', reason: 'plans_not_declared', detail: 'Which plan a subscription pays for is not declared (sources.shopify.options.plans): the shop keeps its plan.' }
  if (status !== PAYS && !ENDED.has(status)) return { is: 'recorded', reason: 'subscription_pending', detail: `It is ${status}: the shop keeps its plan until it is ACTIVE.` }
  const names = [textOf(body.plan_handle, 200), textOf(body.name, 200)].filter(name => name !== null)
  const plan = names.filter(name => Object.hasOwn(plans, name)).map(name => plans[name])[0]
  if (status === PAYS && plan === undefined) return { is: 'parked', reason: 'plan_unknown', detail: `It pays for ${names.map(name => `"${name}"`).join(', ') || 'a plan without a name'}, which sources.shopify.options.plans does not have. Add it, then work on the row again.` }
  const shop = await context.shop(work.shop)
  if (shop === null) return PARKED.shop(work.shop)
  const [owner] = await context.read('shopify_bill', { subscription: id })
  if (owner !== undefined && owner.shop_key !== shop.key) return { is: 'parked', reason: 'shop_mismatch', detail: 'It is a subscription of another shop. The signature covers the body alone.' }
  return { is: 'events', events: [await planOf(shop, { id, plan: status === PAYS ? plan ?? null : null, at: momentOf(body.updated_at, work) }, work, free)] }
}

/**
 * A change of plan is two subscriptions, and what is told of them comes in any order. So each is put down first, and the shop has the plan
 * of the newest that pays. Whoever takes a later turn has seen what the turns before it put down, so its word counts later.
 */
async function planOf (shop: SourceShop, { id, plan, at }: { id: string, plan: string | null, at: number }, { context }: Work, free: string): Promise<SourceEvent> {
  const [, taken] = await context.commit([
    { name: 'shopify_put_bill', params: { subscription: id, shop_key: shop.key, plan, at } },
    { name: 'shopify_take_turn', params: { shop_key: shop.key } }
  ])
  const turn = Number(taken?.rows[0]?.turn)
  const rows = await context.read('shopify_bills', { shop_key: shop.key })
  const paid = rows.find(row => row.plan !== null)?.plan
  const since = Math.floor(Math.max(at, ...rows.map(row => row.at as number)) / 1000) * 1000 + turn % 1000
  return { id: `gid://shopify/AppSubscription/${id}/shop.updated/${turn}`, type: 'shop.updated', timeAt: since, data: { plan: paid ?? free, at: iso(since) } }
}

/** customers/redact. */
export function customerRedact (work: Work): Translated { return aboutCustomer(work, 'customer.redact', work.body.orders_to_redact) }

/** customers/data_request. */
export function customerDataRequest (work: Work): Translated { return aboutCustomer(work, 'customer.data_request', work.body.orders_requested) }

/** The customer is told as the platform wrote them: a number may be without its country. */
function aboutCustomer (work: Work, type: string, ordersGiven: unknown): Translated {
  const customer = customerOf(objectOf(work.body.customer), work.options.country)
  const orders = [...new Set((Array.isArray(ordersGiven) ? ordersGiven as unknown[] : []).map(idIn).filter(id => id !== null))]
  if (Object.keys(customer).length === 0 && orders.length === 0) return { is: 'parked', reason: 'nobody_named', detail: 'The body is signed, and names neither a customer nor an order.' }
  const request = digitsOf(objectOf(work.body.data_request).id)
  const at = momentOf(undefined, work)
  const slices = Array.from({ length: Math.max(1, Math.ceil(orders.length / ORDERS_MAX)) }, (_, i) => orders.slice(i * ORDERS_MAX, (i + 1) * ORDERS_MAX))
  return {
    is: 'events',
    events: slices.map((slice, i) => ({
      id: `${type}/${deliveryOf(work)}/${i + 1}`,
      type,
      timeAt: at,
      data: { customer, orders: slice, ...(request !== null && { request_id: request }) }
    }))
  }
}

/** `country` is for a number that does not say its own. */
function customerOf (body: Json, country: string): Record<string, string> {
  const [id, email, phone] = [digitsOf(body.id), textOf(body.email, 254), textOf(body.phone, 100)]
  return { ...(id !== null && { id }), ...(email !== null && { email }), ...(phone !== null && { phone, country }) }
}

/** shop/redact. It comes two days after an uninstall; one that comes without one, a second time, is an old one that somebody sent again. */
export async function shopRedact (work: Work): Promise<Translated> {
  const shop = await work.context.shop(work.shop)
  if (shop === null) return PARKED.shop(work.shop)
  const [life] = await work.context.read('shopify_shop', { shop_key: shop.key })
  const [erased, left] = [life?.redacted_at as number | null | undefined ?? null, life?.uninstalled_at as number | null | undefined ?? 0]
  const at = momentOf(undefined, work)
  if (erased !== null && left <= erased && at !== erased) return { is: 'parked', reason: 'redacted_before', detail: `The shop was erased as of ${iso(erased)}, and no uninstall was told since. The signature covers the body alone: if the shop is to be erased once more, do it by hand.` }
  return {
    is: 'events',
    events: [{ id: `shop.redact/${deliveryOf(work)}`, type: 'shop.redact', timeAt: at, data: { at: iso(at) } }],
    steps: [{ name: 'shopify_put_redacted', params: { shop_key: shop.key, at } }]
  }
}

/** Stands for the delivery, so that what is asked for again later is another request. */
function deliveryOf ({ received }: Work): string {
  return createHash('sha256').update(`${received.shop ?? ''} ${received.headers['webhook-id'] ?? received.id}`).digest('base64url')
}
