// Webhook subscriptions of the shops in the sandbox, and the endpoints they are made by. One for each event: what a
// second one for the same event is answered is not documented, and it is refused here.

import { randomUUID } from 'node:crypto'
import { API, NO_JSON, bad, idIn, json, listed, notFound, ok, zoned } from './sandbox-answers.ts'
import type { Answered, Endpoint, Method, Refusal } from './sandbox-answers.ts'
import { webhookChangeFault, webhookFault, webhookTestFault } from './sandbox-webhook-body.ts'
import type { WebhookChange, WebhookRequest } from './sandbox-webhook-body.ts'
import type { Deliveries, Target } from './sandbox-deliveries.ts'
import { bodyOf, isEvent, named, sampleOf } from './sandbox-webhook-events.ts'

/** Subscriptions kept over all shops; the oldest goes first. */
const KEPT_MAX = 10_000

interface Subscription { id: string, callback_url: string, event: string, headers: Record<string, string>, created_at: string, updated_at: string }

export class Webhooks {
  readonly #kept = new Map<string, { shop: string, subscription: Subscription }>()
  /** By shop, from its first subscription on. It stays when that is deleted. */
  readonly #tokens = new Map<string, string>()

  /** Null where the shop has one for this event. */
  subscribe (shop: string, { callback_url: url, event, headers = {} }: WebhookRequest, nowMs: number): Subscription | null {
    if (this.of(shop, event) !== null) return null
    const at = zoned(nowMs)
    const subscription = { id: randomUUID(), callback_url: url, event, headers, created_at: at, updated_at: at }
    if (!this.#tokens.has(shop)) this.#tokens.set(shop, `whtok_${randomUUID().replaceAll('-', '')}`)
    this.#kept.set(subscription.id, { shop, subscription })
    if (this.#kept.size > KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value as string)
    return subscription
  }

  list (shop: string): Subscription[] {
    return [...this.#kept.values()].filter(one => one.shop === shop).map(({ subscription }) => subscription)
  }

  find (shop: string, id: string): Subscription | null {
    const found = this.#kept.get(id)
    return found?.shop === shop ? found.subscription : null
  }

  /** The subscription to an event, by the name that deliveries have. */
  of (shop: string, event: string): Subscription | null {
    return this.list(shop).find(one => named(one.event) === named(event)) ?? null
  }

  remove (id: string): void { this.#kept.delete(id) }

  tokenOf (shop: string): string | null { return this.#tokens.get(shop) ?? null }

  /** Where deliveries of a subscription go now, with what headers; null once it is deleted. */
  target (id: string): Target | null {
    const found = this.#kept.get(id)
    if (found === undefined) return null
    const { shop, subscription: { callback_url: url, headers } } = found
    return { url, headers: { ...headers, 'content-type': 'application/json', 'postscript-signature': this.tokenOf(shop) as string } }
  }
}

/** Tells a shop's subscription to the event, where there is one. */
export function publish (webhooks: Webhooks, deliveries: Deliveries, shop: string, event: string, data: object, nowMs: number): boolean {
  const subscription = webhooks.of(shop, event)
  if (subscription !== null) deliveries.send(bodyOf(subscription.id, shop, event, data, nowMs))
  return subscription !== null
}

export function webhookEndpoints (webhooks: Webhooks, deliveries: Deliveries, wallNow: () => number): Array<[Method, string, Endpoint]> {
  const one = (then: (subscription: Subscription, request: Parameters<Endpoint>[1]) => Answered | Refusal): Endpoint => ({ shop }, request) => {
    const found = webhooks.find(shop, idIn(request))
    return found === null ? notFound('webhook subscription') : then(found, request)
  }
  return [
    ['POST', `${API}/webhooks`, ({ shop }, request) => subscribe(webhooks, shop, json(request), wallNow())],
    ['GET', `${API}/webhooks`, ({ shop }) => ok(200, { webhook_subscriptions: webhooks.list(shop) })],
    ['GET', `${API}/webhooks/token`, ({ shop }) => tokenOf(webhooks, shop)],
    ['GET', `${API}/webhooks/example`, ({ shop }, { query }) => example(webhooks, shop, query as Record<string, unknown>, wallNow())],
    ['POST', `${API}/webhooks/test`, ({ shop }, request) => test(webhooks, deliveries, shop, json(request), wallNow())],
    ['GET', `${API}/webhooks/:id`, one(found => ok(200, found))],
    ['PATCH', `${API}/webhooks/:id`, one((found, request) => change(found, json(request), wallNow()))],
    ['DELETE', `${API}/webhooks/:id`, one(({ id }) => {
      webhooks.remove(id)
      return ok(200, {})
    })]
  ]
}

function subscribe (webhooks: Webhooks, shop: string, body: unknown, nowMs: number): Answered | Refusal {
  const fault = body === undefined ? NO_JSON : webhookFault(body)
  if (fault !== null) return bad(fault)
  const made = webhooks.subscribe(shop, body as WebhookRequest, nowMs)
  return made === null ? listed(400, 'v2.entity_conflict', 'Webhook subscription already exists') : ok(200, made)
}

function change (subscription: Subscription, body: unknown, nowMs: number): Answered | Refusal {
  const fault = body === undefined ? NO_JSON : webhookChangeFault(body)
  if (fault !== null) return bad(fault)
  return ok(200, Object.assign(subscription, body as WebhookChange, { updated_at: zoned(nowMs) }))
}

/** There is none before the first subscription, as an integration reports; how that is answered is not documented. */
function tokenOf (webhooks: Webhooks, shop: string): Answered | Refusal {
  const token = webhooks.tokenOf(shop)
  return token === null ? notFound('webhook token') : ok(200, { token })
}

function example (webhooks: Webhooks, shop: string, { event, ...others }: Record<string, unknown>, nowMs: number): Answered | Refusal {
  if (Object.keys(others).length > 0) return bad(`?${Object.keys(others)[0]} is no parameter`)
  if (typeof event !== 'string' || !isEvent(event)) return bad('?event is none of the events')
  return ok(200, bodyOf(webhooks.of(shop, event)?.id ?? randomUUID(), shop, event, sampleOf(event, shop, nowMs), nowMs))
}

/** Its documented failure is a list of errors. */
function test (webhooks: Webhooks, deliveries: Deliveries, shop: string, body: unknown, nowMs: number): Answered | Refusal {
  const fault = body === undefined ? NO_JSON : webhookTestFault(body)
  if (fault !== null) return listed(400, 'v2.invalid_request', fault)
  const { event } = body as { event: string }
  const sent = publish(webhooks, deliveries, shop, event, sampleOf(event, shop, nowMs), nowMs)
  return sent ? ok(202, { message: 'OK' }) : listed(400, 'v2.invalid_request', 'No webhook subscription for this event')
}
