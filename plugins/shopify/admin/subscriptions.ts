// Once a day, and when a shop gave access: whether it is the right shop, what the app may ask there, and whether the
// subscriptions that the gateway keeps are all there. Shopify deletes one that failed eight times.

import type { Row, SourceContext, SourceJob, SourceShop, Step } from '../../../gateway/define.ts'
import { objectOf, objectsOf, textOf, type Json } from '../body.ts'
import { adminOf } from './admin.ts'
import { SHOP, SUBSCRIBE, SUBSCRIPTIONS, UNSUBSCRIBE, type Document } from './documents.ts'
import { fault, type Fault } from './judge.ts'
import type { AdminOptions } from './options.ts'
import { eachShop, shopIn, type JobResult } from './shops.ts'

/** Those of webhooks that the gateway acts on; the compliance topics can only be in the app's configuration file. */
export const TOPICS = [
  'VARIANTS_IN_STOCK', 'VARIANTS_OUT_OF_STOCK', 'INVENTORY_LEVELS_UPDATE', 'INVENTORY_LEVELS_CONNECT', 'INVENTORY_ITEMS_UPDATE', 'PRODUCTS_UPDATE',
  'ORDERS_CREATE', 'ORDERS_PAID', 'APP_UNINSTALLED', 'APP_SUBSCRIPTIONS_UPDATE'
] as const
/** What look-ups and topics need. */
export const SCOPES = ['read_products', 'read_inventory', 'read_orders'] as const

/** By the name ours are known among those that the app makes for itself. */
const NAME = 'sms-gateway-'
const DAY_MS = 24 * 3_600_000
const AGAIN_MS = 10 * 60_000
const WITHIN_MS = 10_000
const PAGES_MAX = 20
const DETAIL_CHARS = 300

interface Found { id: string, topic: string, uri: string, name: string }
interface Kept { topic: string, id: string | null, standing: 'there' | 'refused', detail: string | null }

/** The job: by its kind alone it goes through the shops, by a shop's key it looks after that one. */
export async function subscriptionsJob (job: SourceJob, context: SourceContext): Promise<JobResult> {
  const shop = await shopIn(job, context)
  if (shop === 'all') return await eachShop(job, context, { kind: 'shopify_subscriptions', everyMs: DAY_MS, dueAt: i => context.now() + i * 250 })
  if (shop === null) return null
  const why = await lookAfter(context, shop)
  if (why === null || why.next === 'reconnect' || why.next === 'never') return null
  return { afterMs: Math.max(why.afterMs, AGAIN_MS) }
}

/** Where the subscriptions are to lead; null where nobody reaches this gateway. */
export function addressOf ({ publicUrl, id }: Pick<SourceContext, 'publicUrl' | 'id'>): string | null { return publicUrl === null ? null : `${publicUrl}/webhooks/${id}` }

export function keepsThem ({ options }: Pick<SourceContext, 'options'>): boolean { return (options as unknown as AdminOptions).subscriptions === 'api' }

/** Null: all is well, or is written down where it can be seen. */
async function lookAfter (context: SourceContext, shop: SourceShop): Promise<Fault | null> {
  const why = await lookAtShop(context, shop)
  const address = addressOf(context)
  if (why !== null || !keepsThem(context) || address === null) return why
  const listed = await list(context, shop)
  if (listed.is === 'failed') return listed.fault
  const rows = await context.read('shopify_subscriptions_of', { shop_key: shop.key })
  const done: Kept[] = []
  for (const topic of TOPICS) {
    const kept = await keep(context, shop, topic, address, listed.found.filter(found => found.topic === topic), rows)
    if ('fault' in kept) return kept.fault
    done.push(kept.kept)
  }
  const now = context.now()
  await context.commit(done.map(({ topic, id, standing, detail }): Step => ({ name: 'shopify_put_subscription', params: { shop_key: shop.key, topic, id, uri: address, standing, detail, checked_at: now } })))
  return null
}

/** Whether the token is this shop's, and what it allows. */
async function lookAtShop (context: SourceContext, shop: SourceShop): Promise<Fault | null> {
  const { client } = adminOf(context)
  const reply = await client.ask(shop, SHOP, {}, { withinMs: WITHIN_MS, background: true })
  if (reply.is === 'failed') return reply.fault
  const got = await client.access.get(shop)
  if (!got.ok) return got.fault
  const { grantNo } = got.credentials
  const domain = textOf(objectOf(reply.data['shop'])['myshopifyDomain'], 255)
  if (domain !== null && domain.toLowerCase() !== shop.id) {
    const why = fault('token_refused', 'reconnect', 0, `The access token is that of another shop, ${domain}. Give the gateway the one of this shop.`)
    await client.access.failed(shop, grantNo, why)
    return why
  }
  const scopes = objectsOf(objectOf(reply.data['currentAppInstallation'])['accessScopes']).flatMap(({ handle }) => textOf(handle, 100) ?? [])
  await client.access.worked(shop, grantNo)
  if (reply.errors.length === 0) await context.commit([{ name: 'shopify_scopes', params: { shop_key: shop.key, grant_no: grantNo, scopes: scopes.join(' ') } }])
  return null
}

async function list (context: SourceContext, shop: SourceShop): Promise<{ is: 'listed', found: Found[] } | { is: 'failed', fault: Fault }> {
  const found: Found[] = []
  for (let page = 0, after: string | null = null; page < PAGES_MAX; page++) {
    const reply = await adminOf(context).client.ask(shop, SUBSCRIPTIONS, { after }, { withinMs: WITHIN_MS, background: true })
    if (reply.is === 'failed') return reply
    // Of a list with holes nobody knows what is missing.
    if (reply.errors.length > 0) return { is: 'failed', fault: fault('unavailable', 'later', AGAIN_MS, 'Shopify gave only a part of the subscriptions.') }
    const { nodes, pageInfo } = objectOf(reply.data['webhookSubscriptions'])
    found.push(...objectsOf(nodes).map(node => ({ id: String(node['id']), topic: String(node['topic']), uri: String(node['uri']), name: String(node['name'] ?? '') })))
    const { hasNextPage: more, endCursor: cursor } = objectOf(pageInfo)
    if (more !== true || typeof cursor !== 'string') break
    after = cursor
  }
  return { is: 'listed', found }
}

/** One that leads here is enough, whoever made it; ours that lead elsewhere, or are one too many, go. */
async function keep (context: SourceContext, shop: SourceShop, topic: string, address: string, found: readonly Found[], rows: readonly Row[]): Promise<{ kept: Kept } | { fault: Fault }> {
  const ours = found.filter(({ id, name }) => name.startsWith(NAME) || rows.some(row => row.topic === topic && row.id === id))
  const right = found.find(({ id, uri }) => uri === address && ours.some(one => one.id === id)) ?? found.find(({ uri }) => uri === address)
  const wrong = ours.filter(one => one.id !== right?.id)
  const make = async (): ReturnType<typeof change> => await change(context, shop, SUBSCRIBE, { topic, subscription: { uri: address, format: 'JSON', name: NAME + topic.toLowerCase().replaceAll('_', '-') } }, 'webhookSubscriptionCreate')
  // The new one first: between the two nothing would be told, and nothing is told twice that comes twice.
  let made = right === undefined ? await make() : null
  if (made !== null && 'fault' in made) return made
  for (const { id: gone } of wrong) {
    const ended = await change(context, shop, UNSUBSCRIBE, { id: gone }, 'webhookSubscriptionDelete')
    if ('fault' in ended) return ended
  }
  if (made !== null && made.refused !== null && wrong.length > 0) made = await make() // it may have been the old one's name that stood in its way
  if (made !== null && 'fault' in made) return made
  const id = right?.id ?? textOf(objectOf(made?.result['webhookSubscription'])['id'], 200)
  const detail = made?.refused ?? null
  if (id === null) context.warn({ shop: shop.id, topic, detail }, 'a subscription was refused: look at /v1/shops/{shop}/shopify/subscriptions')
  return { kept: { topic, id, standing: id === null ? 'refused' : 'there', detail } }
}

/** `refused`: what its userErrors say. */
async function change (context: SourceContext, shop: SourceShop, document: Document, variables: Json, field: string): Promise<{ result: Json, refused: string | null } | { fault: Fault }> {
  const reply = await adminOf(context).client.ask(shop, document, variables, { withinMs: WITHIN_MS, background: true })
  if (reply.is === 'failed' && reply.fault.next === 'never') return { result: {}, refused: reply.fault.text }
  if (reply.is === 'failed') return { fault: reply.fault }
  const result = objectOf(reply.data[field])
  const refused = objectsOf(result['userErrors']).map(({ message }) => textOf(message, DETAIL_CHARS) ?? '').join(' ').slice(0, DETAIL_CHARS)
  return { result, refused: refused === '' ? reply.errors[0]?.message ?? null : refused }
}
