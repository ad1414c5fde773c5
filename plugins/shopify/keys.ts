// By what a delivery is known: its own id, the event that caused it, and its bytes.

import { createHash } from 'node:crypto'
import { digitsOf, idIn, idOf, isObject, objectOf, parseJson, shopOf, textOf, type Json } from './body.ts'

const TYPES: Readonly<Record<string, string>> = { orders: 'Order', variants: 'ProductVariant', products: 'Product', inventory_items: 'InventoryItem' }
const TIME_CHARS = 100

export interface Keys {
  /** What the body is about, as a global id; null where it does not say. */
  subject: string | null
  /** With any of these that was seen before it is a repeat. */
  keys: string[]
  /** Those of them that stand for its bytes: a repeat without one of these is another body under an id that was used. */
  bytes: string[]
}

export interface Delivery { topic: string, shop: string, headers: Record<string, string>, body: Buffer, /** Null where it is too large to be read. */ text: string | null }

/**
 * The signature covers the body alone: whoever saw one could send it again under other headers. So a body that has a time of its own is
 * known by its bytes too. One that has none may truly come twice, such as a second uninstall.
 * An order is made once: the body of a later change of it, seen elsewhere, is no second one, whatever the headers say.
 * A body that names another shop than its header is parked, so it must not take the place of the true one.
 * One action of a merchant is one event, though it changes many things, and one of them several times: what the body is about and its time belong to it.
 */
export function keysOf ({ topic, shop, headers, body, text }: Delivery): Keys {
  const read = text === null ? undefined : parseJson(text)
  const json = isObject(read) ? read : {}
  const about = aboutOf(topic, json)
  const subject = about.subject === null ? null : `gid://shopify/${about.subject}`
  const digest = createHash('sha256').update(body).digest('base64url')
  const delivery = `webhook ${shop} ${headers['webhook-id'] ?? ''}`
  const { 'event-id': event, name, handle } = headers
  const caused = event === undefined || subject === null ? [] : [`event ${shop} ${topic} ${name ?? handle ?? ''} ${event} ${subject} ${about.place} ${about.time ?? ''}`]
  const order = topic === 'orders/create' && subject !== null && (shopOf(json) ?? shop) === shop ? [`order ${subject}`] : []
  const own = topic.startsWith('orders/') || about.time !== null
  const bytes = own ? [`body ${topic} ${digest}`] : [delivery, ...caused].map(key => `bytes ${digest} ${key}`)
  return { subject, keys: [delivery, ...caused, ...order, ...bytes], bytes }
}

interface About { subject: string | null, /** Further than the subject. */ place: string, /** Of its own, as it stands there; or what else makes it the only one. */ time: string | null }

function aboutOf (topic: string, body: Json): About {
  const [kind = ''] = topic.split('/')
  if (kind === 'inventory_levels') {
    const [item, location] = [digitsOf(body.inventory_item_id), digitsOf(body.location_id)]
    return { subject: item === null ? null : `InventoryItem/${item}`, place: location ?? '', time: timeText(body) }
  }
  if (kind === 'app_subscriptions') {
    const subscription = objectOf(body.app_subscription)
    const id = idIn(subscription.admin_graphql_api_id)
    return { subject: id === null ? null : `AppSubscription/${id}`, place: '', time: timeText(subscription) }
  }
  if (topic === 'customers/data_request') return { subject: null, place: '', time: digitsOf(objectOf(body.data_request).id) }
  const type = TYPES[kind]
  const id = type === undefined ? null : idOf(body, type)
  return { subject: id === null ? null : `${type}/${id}`, place: '', time: type === undefined ? null : timeText(body) }
}

function timeText ({ updated_at: updated }: Json): string | null { return textOf(updated, TIME_CHARS) }

/** As the inbox keeps a key. */
export function keptAs (key: string): string { return createHash('sha256').update(key).digest('base64url') }
