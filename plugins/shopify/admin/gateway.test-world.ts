// A gateway with a shop at Shopify, and that shop's Admin API in the sandbox.

import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { request } from 'undici'
import { CONFIG, makeApp, ROOT, until, type Answered, type App, type AppOptions, type Body } from '../../../test/helpers/app.ts'
import type { Teardown } from '../../../test/helpers/tmp.ts'
import type { ShopData } from '../sandbox-shop.ts'
import { sign } from '../verify.ts'

export const SHOP = 'example-shop.myshopify.com'
export const TOKEN = 'shpat_0123456789abcdef'
export const REFRESH = 'shprt_0123456789abcdef'
export const PATH = `/v1/shops/${SHOP}/shopify`
const SECRET = 'shopify_test_client_secret_0001'
const TYPES = ['order.placed', 'stock.changed', 'product.updated', 'shop.updated', 'customer.redact', 'customer.data_request', 'shop.redact']
  .map(type => `  ${type}: { schema: ${ROOT}/schemas/events/${type}.schema.json }\n`).join('')

export function configOf (options = 'client_id: client_0123456789', edit: (text: string) => string = text => text): string {
  const source = `sources:\n  shopify: { path: ${join(import.meta.dirname, '..')}, secrets: { client_secret: { env: SHOPIFY_SECRET } }, options: { ${options} } }\n`
  return edit(CONFIG.replaceAll('acme.example', SHOP).replace('event_types:\n', `event_types:\n${TYPES}`) + source)
}

export class ShopApp {
  readonly app: App

  constructor (app: App) { this.app = app }

  /** What the shop has at Shopify. */
  async data (data: ShopData): Promise<void> {
    const { statusCode, body } = await request(`${this.app.sandboxUrl}/shopify/${SHOP}/_data`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(data) })
    await body.dump()
    if (statusCode !== 204) throw new Error(`the data was refused: ${statusCode}`)
  }

  give (body: object = { access_token: TOKEN }): Promise<Answered> { return this.app.ask('PUT', `${PATH}/access`, { body }) }

  async access (): Promise<Body> { return (await this.app.ask('GET', `${PATH}/access`)).body }

  /** Gives access, and waits until the shop was looked at. */
  async connect (body?: object): Promise<void> {
    const { status } = await this.give(body)
    if (status !== 200) throw new Error(`access was refused: ${status}`)
    await until(async () => (await this.access()).scopes !== null)
  }

  /** Names of what was asked, oldest first; null is a new token. */
  async asked (): Promise<Array<string | null>> {
    const answer = await request(`${this.app.sandboxUrl}/shopify/_sandbox/requests?limit=10000`)
    return (await answer.body.json() as { items: Body[] }).items.toReversed().map(({ key }) => (key as string | undefined) ?? null)
  }

  /** Posts a webhook as Shopify does, and waits for what comes of it. */
  async webhook (topic: string, body: object, id = `${topic}-${randomUUID()}`): Promise<Body> {
    const raw = JSON.stringify(body)
    const { status } = await this.app.ask('POST', '/webhooks/shopify', {
      key: null,
      raw,
      headers: { 'x-shopify-topic': topic, 'x-shopify-hmac-sha256': sign(SECRET, Buffer.from(raw)), 'x-shopify-shop-domain': SHOP, 'x-shopify-api-version': '2026-10', 'x-shopify-webhook-id': id, 'x-shopify-triggered-at': new Date().toISOString() }
    })
    if (status !== 200) throw new Error(`the webhook was refused: ${status}`)
    let row: Body | undefined
    await until(async () => {
      row = (await this.app.ask('GET', `/v1/inbox?topic=${encodeURIComponent(topic)}`)).body.items?.[0]
      return row !== undefined && row.state !== 'received'
    })
    return row as Body
  }

  /** Data of the events of a type, oldest first. */
  async events (type: string): Promise<Body[]> {
    return (await this.app.query(`select data from events where type = '${type}' order by event_key`)).map(({ data }) => JSON.parse(String(data)) as Body)
  }
}

export async function startShop (t: Teardown, options: AppOptions = {}): Promise<ShopApp> {
  const app = makeApp(t, { config: configOf(), ...options, env: { SHOPIFY_SECRET: SECRET, ...options.env } })
  await app.start()
  return new ShopApp(app)
}
