// The gateway as it ships, on time that is moved by hand: what platforms, pages, carriers and the merchant's backend do to it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { request } from 'undici'
import { makeApp, movable, ROOT, until, type Answered, type App, type Body } from '../../test/helpers/app.ts'
import { sign as signedByShopify } from '../shopify/verify.ts'
import { sign as signedByTwilio } from './signature.ts'

export const SHOP = 'demo-stoq.myshopify.com'
export const PRODUCT = { id: '7001', title: 'Floral Shirt', vendor: 'Initech', url: 'https://initech.example/products/floral-shirt' }
const LATE_MS = 15_000
const PUBLIC_URL = 'https://gateway.example'
const ACCOUNT = 'AC00000000000000000000000000000001'
const STORE = 'store: { path: data/gateway.db }'

export interface Person { name: string, phone: string, email?: string, id?: string, time_zone?: string }

export interface Day {
  app: App
  /** Moves the clock, to a time of UTC. */
  to (time: string): void
  /** A webhook of the platform, worked on. Throws where it is not taken. */
  shopify (topic: string, body: object, shop?: string): Promise<Body>
  /** The variant's stock, by a webhook. */
  stock (variant: string, quantity: number, shop?: string): Promise<Body>
  order (number: number, customer: Partial<Person>, line: object): Promise<Body>
  ask (method: string, path: string, body?: object, shop?: string): Promise<Answered>
  signUp (person: Person, variant?: string, shop?: string): Promise<string>
  /** A customer's newest delivery of a type, as soon as it is so; fails aloud where it is not within some seconds. */
  becomes (phone: string, type: string, state: string, reason?: string | null): Promise<Body>
  /** The carrier's words about a delivery, signed. */
  says (delivery: Body, statuses: readonly string[], code?: string): Promise<void>
  texts (person: Person, body: string): Promise<void>
  /** Who was texted what, oldest first. */
  texted (): Promise<Array<{ to: string, text: string }>>
}

/** gateway.config.yaml, sending at the hours that a live gateway sends at. */
function configOf (): string {
  return readFileSync(join(ROOT, 'gateway.config.yaml'), 'utf8')
    .replaceAll(/\b(schema|path): (schemas|plugins|config)\//g, `$1: ${ROOT}/$2/`)
    .replace(/^store:\n(?: .*\n)+/m, `${STORE}\n`)
    .replace(/^ +sending_hours: "off".*\n/m, '')
}

/** `publicUrl`: at the address that carriers know, or at its own on this machine. */
export async function startDay (t: Test, time: string, { publicUrl = true } = {}): Promise<Day> {
  const clock = movable()
  const to = (time: string): void => { clock.advance(Date.parse(time) - clock.runtime.now()) }
  to(time)
  const app = makeApp(t, { config: configOf(), runtime: clock.runtime, env: { PORT: '0', SANDBOX_PORT: '0', LOG_LEVEL: 'info', ...(publicUrl && { PUBLIC_URL }) } })
  await app.start()
  const secret = (file: string): string => readFileSync(join(app.dir, 'data/keys', file), 'utf8').trim()
  app.env.KEY_ALL = secret('local.api-key')
  const now = (): string => new Date(clock.runtime.now()).toISOString()
  let webhooks = 0
  const twilio = (address: string, form: Array<[string, string]>): Promise<Answered> => {
    const { pathname, search } = new URL(address)
    return app.ask('POST', pathname + search, { key: null, raw: new URLSearchParams(form).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-twilio-signature': signedByTwilio(secret('sandbox-twilio-token.key'), address, form) } })
  }
  const soon = async <T>(what: string, question: () => Promise<T | null>): Promise<T> => {
    for (const endsAt = performance.now() + LATE_MS; ;) {
      const answer = await question()
      if (answer !== null) return answer
      if (performance.now() > endsAt) throw new Error(`in vain: ${what}`)
      await new Promise(resolve => { setTimeout(resolve, 20) })
    }
  }
  const day: Day = {
    app, to,
    async shopify (topic, body, shop = SHOP) {
      const [raw, id] = [JSON.stringify(body), `webhook-${++webhooks}`]
      const answer = await app.ask('POST', '/webhooks/shopify', {
        key: null, raw,
        headers: { 'x-shopify-topic': topic, 'x-shopify-hmac-sha256': signedByShopify(secret('shopify.secret'), Buffer.from(raw)), 'x-shopify-shop-domain': shop, 'x-shopify-api-version': '2026-10', 'x-shopify-webhook-id': id, 'x-shopify-triggered-at': now() }
      })
      if (answer.body.status !== 'received') throw new Error(`${topic} was answered ${answer.status} ${JSON.stringify(answer.body)}`)
      return await soon(`${topic} is worked on`, async () => {
        const { items = [] } = (await app.ask('GET', '/v1/inbox?source=shopify&limit=200')).body
        return items.length === webhooks && items[0]?.state !== 'received' ? items[0] as Body : null
      })
    },
    stock: (variant, quantity, shop) => day.shopify(quantity > 0 ? 'variants/in_stock' : 'variants/out_of_stock', { id: Number(variant), product_id: Number(PRODUCT.id), inventory_quantity: quantity, updated_at: now() }, shop),
    order: (number, { name = '', phone, email, id }, line) => day.shopify('orders/create', {
      id: 5_000_000_000_000 + number, order_number: number, name: `#${number}`, created_at: now(), cancelled_at: null, phone: phone ?? null, email: email ?? null,
      customer: { ...(id !== undefined && { id: Number(id) }), first_name: name.split(' ')[0], last_name: name.split(' ')[1] },
      line_items: [{ product_id: Number(PRODUCT.id), title: PRODUCT.title, quantity: 1, properties: [], ...line }]
    }),
    ask: (method, path, body, shop = SHOP) => app.ask(method, `/v1/shops/${shop}${path}`, { ...(body && { body }) }),
    async signUp (customer, variant = '8001', shop = SHOP) {
      const { status, body } = await day.ask('POST', '/waitlist/signups', signUpOf(customer, variant), shop)
      if (status !== 201) throw new Error(`the sign-up was answered ${status} ${JSON.stringify(body)}`)
      return String((body.signup as Body).id)
    },
    async becomes (phone, type, state, reason) {
      let last: Body | undefined
      const fits = async (): Promise<Body | null> => {
        last = (await app.ask('GET', `/v1/deliveries?type=${type}&phone=${encodeURIComponent(phone)}`)).body.items?.[0]
        return last?.state === state && (reason === undefined || last.reason === reason) ? last : null
      }
      return await soon(`${phone} ${type} ${state} ${String(reason)}`, fits).catch((error: Error) => { throw new Error(`${error.message}: ${JSON.stringify(last)}`) })
    },
    async says ({ id, provider_message_id: sid }, statuses, code) {
      for (const status of statuses) {
        const form: Array<[string, string]> = [['AccountSid', ACCOUNT], ...(code === undefined ? [] : [['ErrorCode', code] as [string, string]]), ['MessageSid', String(sid)], ['MessageStatus', status]]
        const answer = await twilio(`${PUBLIC_URL}/webhooks/stoq-native/status?m=${String(id)}`, form)
        if (answer.status !== 204) throw new Error(`the carrier's word was answered ${answer.status}`)
      }
      await soon('the carrier\'s word is known', async () => ((await app.ask('GET', `/v1/deliveries/${String(id)}`)).body.carrier as Body | null)?.status === statuses.at(-1) ? true : null)
    },
    async texts ({ phone }, body) {
      const answer = await request(`${app.sandboxUrl}/stoq-native/_sandbox/texts`, {
        method: 'POST', headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token: secret('sandbox-twilio-token.key'), to: app.url, account: ACCOUNT, address: `${PUBLIC_URL}/webhooks/stoq-native/inbound`, from: phone, body })
      })
      const called = await answer.body.json() as Body
      if (called.status !== 200) throw new Error(`the text was answered ${JSON.stringify(called)}`)
      await until(async () => ((await app.ask('GET', '/v1/inbox?source=stoq-native&state=received')).body.items ?? []).length === 0)
    },
    texted: async () => (await app.received('stoq-native')).filter(({ method, status }) => method === 'POST' && status === 201).map(({ body }) => ({ to: String((body as Body).To), text: String((body as Body).Body) }))
  }
  return day
}

/** As a page or the merchant's backend gives it. */
export function signUpOf (customer: Person, variant = '8001'): Body {
  return {
    customer: { country: 'US', ...customer },
    product: PRODUCT,
    variant: { id: variant, title: 'Medium', price: { amount: '49.90', currency: 'USD' }, url: `${PRODUCT.url}?variant=${variant}` },
    consent: { sms: true, text: 'Text me when it is back.' }
  }
}
