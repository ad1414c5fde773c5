// A gateway with the waitlist, and ways to sign up with it.

import type { Test } from 'tap'
import { HiddenSecret } from '../../../gateway/config/secret.ts'
import type { Extensible, Runtime, SourceContext, Store } from '../../../gateway/contract.ts'
import { createVault } from '../../../gateway/shops/vault.ts'
import { CONFIG, makeApp, movable, ROOT, type Answered, type App, type Body } from '../../../test/helpers/app.ts'
import { openTestStore } from '../../../test/helpers/stores.ts'
import waitlist from '../index.ts'

export const SHOP = 'acme.example'
export const PAGE = `https://${SHOP}`
export const PHONE = '+12015550123'
const WAITLIST = `/v1/shops/${SHOP}/waitlist`

export interface World {
  app: App
  /** Of acme.example's pages. */
  token: string
  advance (ms: number): void
  /** At the open address. */
  signUp (body: unknown, options?: { shop?: string, token?: string | null, headers?: Record<string, string>, raw?: string | Buffer }): Promise<Answered>
  /** At the waitlist's own routes. */
  ask (method: string, path: string, options?: Parameters<App['ask']>[2]): Promise<Answered>
  upload (csv: string | Buffer, options?: Parameters<App['ask']>[2]): Promise<Answered>
  /** All of the shop. */
  signups (query?: string): Promise<Body[]>
  /** An event waitlist.joined, as another app posts it. */
  joined (id: string, more?: { time?: string, data?: object, shop?: string }): Promise<Answered>
}

export function configOf (options: object = {}): string {
  return CONFIG.replace('providers:\n', `sources:\n  waitlist: { path: ${ROOT}/plugins/waitlist, options: ${JSON.stringify(options)} }\nproviders:\n`)
    .replace('event_types:\n', `event_types:\n  order.placed: { schema: ${ROOT}/schemas/events/order.placed.schema.json, person: /customer/phone }\n${stockTypes()}`)
}

/** Types that the waitlist acts on beside. */
function stockTypes (): string {
  return ['stock.changed', 'product.updated'].map(type => `  ${type}: { schema: ${ROOT}/schemas/events/${type}.schema.json }\n`).join('')
}

export async function world (t: Test, { options, config = configOf(options) }: { options?: object, config?: string } = {}): Promise<World> {
  const clock: { runtime: Runtime, advance (ms: number): void } = movable()
  const app = makeApp(t, { runtime: clock.runtime, config })
  await app.start()
  const { body } = await app.ask('POST', `${WAITLIST}/storefront-token`)
  const token = String(body['token'])
  const made: World = {
    app, token, advance: clock.advance,
    signUp: (given, { shop = SHOP, token: own = token, headers = {}, raw } = {}) => app.ask('POST', `/webhooks/waitlist/${shop}/signups`, {
      key: null,
      ...(raw === undefined ? { body: given } : { raw }),
      headers: { ...(own !== null && { 'x-storefront-token': own }), ...headers }
    }),
    ask: (method, path, more) => app.ask(method, `${WAITLIST}${path}`, more),
    upload: (csv, more) => app.ask('POST', `${WAITLIST}/import`, { ...more, raw: csv, headers: { 'content-type': 'text/csv', ...more?.headers } }),
    async signups (query = '') {
      const answer = await app.ask('GET', `${WAITLIST}/signups${query}`)
      if (answer.status !== 200) throw new Error(JSON.stringify(answer.body))
      return answer.body.items as Body[]
    },
    joined: (id, { time, data = {}, shop = SHOP } = {}) => app.post({ id, type: 'waitlist.joined', shop, ...(time !== undefined && { time }), data: { ...asEvent(), ...data } })
  }
  return made
}

/** A sign-up as a page gives it. */
export function aSignup ({ phone = PHONE, variant = 'v1', ...more }: { phone?: string, variant?: string, market?: string, consent?: object } = {}): Record<string, unknown> {
  return {
    customer: { name: 'Ada Example', phone, email: 'Ada@Example.com', country: 'US' },
    product: { id: 'p1', title: 'Floral Shirt', vendor: 'Acme', url: `${PAGE}/products/floral-shirt` },
    variant: { id: variant, title: 'Medium', price: { amount: '49.90', currency: 'USD' }, url: `${PAGE}/products/floral-shirt?variant=1` },
    consent: { sms: true, text: 'Text me when it is back.' },
    ...more
  }
}

/** Data of waitlist.joined. */
export function asEvent ({ phone = PHONE, variant = 'v1' }: { phone?: string, variant?: string } = {}): Record<string, unknown> {
  return { ...aSignup({ phone, variant }), customer: { name: 'Ada Example', phone, email: 'ada@example.com', country: 'US', id: 'c1' }, consent: { sms: true } }
}

/** What the gateway gives a source, as far as its tables need it, once the gateway has stopped. */
export async function contextOf (t: Test, { app }: World): Promise<{ context: SourceContext, key: (shop: string) => Promise<number>, person (text: string): Uint8Array }> {
  await app.close()
  const store = await openTestStore(t, app.place, Date.now) as Store & Extensible
  await store.extend({ prefix: 'waitlist_', migrations: `${ROOT}/plugins/waitlist/migrations`, statements: dialect => waitlist.statements?.(dialect) ?? {} })
  const vault = createVault([{ id: 'k1', key: new HiddenSecret(app.env.KEY_ONE as string, null) }], new HiddenSecret(app.env.PERSON as string, null))
  const person = (text: string): Uint8Array => vault.fingerprint('person', text)
  return {
    person,
    context: { person, read: (name: string, params: object) => store.read(name, params as never), commit: (steps: never) => store.commit(steps) } as unknown as SourceContext,
    key: async shop => Number((await app.query(`select shop_key from shops where id = '${shop}'`))[0]?.shop_key)
  }
}

/** The only one of several rows. */
export function only<T> (rows: readonly T[]): T {
  if (rows.length !== 1) throw new Error(`${rows.length} where one is expected: ${JSON.stringify(rows)}`)
  return rows[0] as T
}
