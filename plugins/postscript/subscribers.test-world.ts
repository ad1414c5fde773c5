// A shop at Postscript with a keyword, customers who sign up, wait and order, and what they do at Postscript itself.

import type { Test } from 'tap'
import { request } from 'undici'
import { anEvent, CONFIG, makeApp, movable, until, type App, type AppOptions, type Body } from '../../test/helpers/app.ts'
import { SILENT } from './silent.test-folder.ts'

export const SHOP = 'acme.example'
export const POSTSCRIPT = `/v1/shops/${SHOP}/providers/postscript`
export const KEY = 'sk_0123456789abcdef'
export const KEYWORD = 'kw_6cc128479182b'
export const MINUTE_MS = 60_000
export const PEOPLE = '/api/v2/subscribers'
const EVENTS = '/api/v2/events'

export interface World {
  app: App
  advance (ms: number): void
  /** An event about a customer; its own id is what is given. */
  send (id: string, phone: string, more?: { type?: string, consent?: object, customer?: object }): Promise<void>
  signUp (id: string, phone: string, consent?: object): Promise<void>
  /** Until the delivery of an event stands so. */
  becomes (id: string, state: string, reason?: string | null): Promise<Body>
  /** At Postscript itself: opt_ins, opt_outs, keywords… */
  order (what: string, body: object): Promise<void>
  check (phone: string): Promise<Body>
  /** How a customer stands here. */
  standing (phone: string): Promise<unknown>
  /** Requests of this method and path that arrived, oldest first. */
  asked (method: string, path: string): Promise<Body[]>
  /** Customers who were asked to opt in, each as often as it was. */
  added (): Promise<string[]>
  /** Who was sent an event. */
  texted (): Promise<string[]>
}

/** Customers who texted the keyword of a shop themselves. */
export async function subscribed (app: App, phones: readonly string[] = ['+12015550123'], key = KEY): Promise<void> {
  for (const phone of phones) await ordered(app, 'subscribers', { shop_key: key, phone_number: phone })
}

async function ordered (app: App, what: string, body: object): Promise<void> {
  const answer = await request(`${app.sandboxUrl}/postscript/_sandbox/${what}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  await answer.body.dump()
  if (answer.statusCode !== 200) throw new Error(`${what} answered ${answer.statusCode}`)
}

/** `keyword` null: none is chosen. `told`: Postscript tells who opts in and out. */
export async function started (t: Test, { keyword = KEYWORD, key = KEY, told = false, ...more }: AppOptions & { keyword?: string | null, key?: string, told?: boolean } = {}): Promise<World> {
  const clock = movable()
  const app = makeApp(t, { runtime: clock.runtime, config: CONFIG.replace('providers:\n', `providers:\n  postscript: { path: ${told ? import.meta.dirname : SILENT} }\n`), ...more })
  await app.start()
  await app.ask('PUT', `${POSTSCRIPT}/connection`, { body: { secrets: { shop_key: key }, settings: keyword === null ? {} : { keyword_id: keyword }, ready: ['back_in_stock', 'preorder'] } })
  await app.ask('PUT', `/v1/shops/${SHOP}/channels/sms`, { body: { provider: 'postscript' } })
  return worldOf(t, app, clock.advance)
}

export function worldOf (t: Test, app: App, advance: (ms: number) => void): World {
  const asked = async (method: string, path: string): Promise<Body[]> => (await app.received('postscript')).filter(one => one.method === method && one.path === path)
  const numbers = (bodies: Body[], field: string): string[] => bodies.filter(({ status }) => Number(status) < 300).map(({ body }) => String((body as Body)[field]))
  const made: World = {
    app, advance, asked,
    async send (id, phone, { type = 'back_in_stock.alert', consent, customer = {} } = {}) {
      const plain = anEvent(id, { type: type === 'preorder.confirmed' ? type : 'back_in_stock.alert' })
      const data: Record<string, unknown> = { ...plain.data, ...(consent !== undefined && { consent }), ...(type.endsWith('reminder') && { stage: 1 }), customer: { ...(plain.data as { customer: object }).customer, phone, ...customer } }
      const answer = await app.post({ ...plain, type, data })
      if (answer.status !== 202) throw new Error(JSON.stringify(answer.body))
    },
    signUp: (id, phone, consent = { sms: true }) => made.send(id, phone, { type: 'waitlist.joined', consent }),
    async becomes (id, state, reason) {
      let last: Body = {}
      const late = setTimeout(() => { t.comment(`waits for ${id} to be ${state} ${reason ?? ''}, and it is ${JSON.stringify([last.state, last.reason, last.detail, last.due_at])}`) }, 8000)
      await until(async () => {
        last = await app.delivery(id)
        return last.state === state && (reason === undefined || last.reason === reason)
      })
      clearTimeout(late)
      return last
    },
    order: (what, body) => ordered(app, what, body),
    async check (phone) { return (await app.ask('POST', `${POSTSCRIPT}/subscribers/check`, { body: { phone } })).body },
    async standing (phone) { return (await app.ask('GET', `${POSTSCRIPT}/subscribers?phone=${encodeURIComponent(phone)}`)).body.items?.[0]?.state ?? null },
    added: async () => numbers(await asked('POST', PEOPLE), 'phone_number'),
    texted: async () => numbers(await asked('POST', EVENTS), 'phone')
  }
  return made
}
