// The gateway with two shops that send over the platform's one account, its sandbox, and Twilio's calls, signed.

import type { Test } from 'tap'
import { request } from 'undici'
import { CONFIG, anEvent, movable, ROOT, startApp, until, type Answered, type App, type Body } from '../../test/helpers/app.ts'
import { sign } from './signature.ts'

export const ACCOUNT = 'AC00000000000000000000000000000001'
export const TOKEN = 'a_token_of_tests_0123456789'
export const ADA = '+12015550123'
export const BEN = '+12015550124'
const PUBLIC_URL = 'https://gateway.example'
const INBOX = `${PUBLIC_URL}/webhooks/stoq-native/inbound`
const SECRETS = { TWILIO_KEY: 'SK00000000000000000000000000000001', TWILIO_SECRET: 'a-secret-of-tests-0123456789', TWILIO_TOKEN: TOKEN }

const PROVIDER = `  stoq-native:
    path: ${ROOT}/plugins/stoq-native
    connection: { auth: api_key, account_id: ${ACCOUNT}, secrets: { api_key_sid: { env: TWILIO_KEY }, api_key_secret: { env: TWILIO_SECRET } } }
    options: { messaging_service_sid: MG00000000000000000000000000000001 }
    secrets: { callback_token: { env: TWILIO_TOKEN } }
`

export interface Native {
  app: App
  advance (ms: number): void
  /** Posts an alert to a number; its delivery's id. */
  alert (id: string, phone?: string, shop?: string): Promise<string>
  /** A delivery when it is so. */
  becomes (id: string, expected: (delivery: Body) => boolean): Promise<Body>
  /** Twilio's word of what became of a delivery's message. */
  report (delivery: string, fields: { status: string, sid: string, code?: string, account?: string, token?: string }): Promise<number>
  /** A customer texts the sender. */
  text (body: string, more?: { phone?: string, type?: string, account?: string, token?: string, sid?: string }): Promise<Answered>
  /** An order to the sandbox. */
  order (what: 'callbacks' | 'texts', order: object): Promise<Body>
  /** Rows of the inbox that came to an end, newest first. */
  settled (count: number): Promise<Body[]>
  isOut (phone?: string, shop?: string): Promise<boolean>
  /** Who was texted, oldest first. */
  texted (): Promise<string[]>
}

export async function native (t: Test, { windows = '' }: { windows?: string } = {}): Promise<Native> {
  const clock = movable()
  const config = CONFIG.replace('  pro: [external_sms]', '  pro: [sms, external_sms]').replace('providers:\n', `providers:\n${PROVIDER}${windows}`)
    .replace('{ sms: courier }', '{ sms: stoq-native }').replace('{ sms: herald }', '{ sms: stoq-native }').replace('port: 0 }', `port: 0, public_url: ${PUBLIC_URL} }`)
  const app = await startApp(t, { runtime: clock.runtime, config, env: SECRETS })
  let texts = 0
  const call = (address: string, form: Array<[string, string]>, token = TOKEN): Promise<Answered> => {
    const { pathname, search } = new URL(address)
    return app.ask('POST', pathname + search, { key: null, raw: new URLSearchParams(form).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-twilio-signature': sign(token, address, form) } })
  }
  return {
    app,
    advance: clock.advance,
    async alert (id, phone = ADA, shop = 'acme.example') {
      const event = anEvent(id, { shop })
      const { body } = await app.post({ ...event, data: { ...event.data, customer: { name: 'Ada Example', phone, country: 'US' } } })
      return String((body.deliveries as Body[])[0]?.id)
    },
    async becomes (id, expected) {
      let delivery: Body = {}
      await until(async () => {
        delivery = (await app.ask('GET', `/v1/deliveries/${id}`)).body
        return expected(delivery)
      })
      return delivery
    },
    report: async (delivery, { status, sid, code, account = ACCOUNT, token }) =>
      (await call(`${PUBLIC_URL}/webhooks/stoq-native/status?m=${delivery}`, [['AccountSid', account], ...(code === undefined ? [] : [['ErrorCode', code] as [string, string]]), ['MessageSid', sid], ['MessageStatus', status]], token)).status,
    text: (body, { phone = ADA, type, account = ACCOUNT, token, sid = `SM${String(++texts).padStart(32, '0')}` } = {}) =>
      call(INBOX, [['AccountSid', account], ['Body', body], ['From', phone], ['MessageSid', sid], ...(type === undefined ? [] : [['OptOutType', type] as [string, string]]), ['To', '+12015550100']], token),
    async order (what, order) {
      const answer = await request(`${app.sandboxUrl}/stoq-native/_sandbox/${what}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token: TOKEN, to: app.url, ...(what === 'texts' && { account: ACCOUNT, address: INBOX }), ...order }) })
      return { http: answer.statusCode, ...await answer.body.json() as object }
    },
    async settled (count) {
      let items: Body[] = []
      await until(async () => {
        items = ((await app.ask('GET', '/v1/inbox?source=stoq-native&limit=200')).body.items ?? []).filter(({ state }) => state !== 'received')
        return items.length >= count
      })
      return items
    },
    isOut: async (phone = ADA, shop = 'acme.example') => (await app.ask('GET', `/v1/shops/${shop}/opt-outs?phone=${encodeURIComponent(phone)}`)).body.opted_out === true,
    texted: async () => (await app.received('stoq-native')).filter(({ method, status }) => method === 'POST' && status === 201).map(({ body }) => String((body as { To: string }).To))
  }
}
