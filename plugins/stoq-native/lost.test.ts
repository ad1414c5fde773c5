// Messages among others whose answers are lost, half of them after the message was made and half before: whatever the gateway
// then does by itself, nobody is texted twice. Counted by the list that the sandbox itself keeps.

import t, { type Test } from 'tap'
import { request } from 'undici'
import { CONFIG, movable, ROOT, startApp, until, type App } from '../../test/helpers/app.ts'

const MINUTE_MS = 60_000
const OF_EACH_KIND = 60
const LOST_AGAIN = 6
const ACCOUNT = 'AC00000000000000000000000000000001'
const MESSAGES = `/2010-04-01/Accounts/${ACCOUNT}/Messages.json`
const SECRETS = { TWILIO_KEY: 'SK00000000000000000000000000000001', TWILIO_SECRET: 'a-secret-of-tests-0123456789', TWILIO_TOKEN: 'a_token_of_tests_0123456789' }
const SHOPS = ['acme.example', 'globex.example']

const PROVIDER = `  stoq-native:
    path: ${ROOT}/plugins/stoq-native
    connection: { auth: api_key, account_id: ${ACCOUNT}, secrets: { api_key_sid: { env: TWILIO_KEY }, api_key_secret: { env: TWILIO_SECRET } } }
    options: { messaging_service_sid: MG00000000000000000000000000000001, sending_hours: "off" }
    secrets: { callback_token: { env: TWILIO_TOKEN } }
    limits: { create: [{ max: 500, per: 1s }], read: [{ max: 500, per: 1s }] }
`

async function started (t: Test): Promise<{ app: App, advance (ms: number): void }> {
  const clock = movable()
  const config = CONFIG.replace('  pro: [external_sms]', '  pro: [sms, external_sms]').replace('providers:\n', `providers:\n${PROVIDER}`)
    .replace('{ sms: courier }', '{ sms: stoq-native }').replace('{ sms: herald }', '{ sms: stoq-native }')
  const app = await startApp(t, { runtime: clock.runtime, config, env: SECRETS })
  return { app, advance: clock.advance }
}

/** What is asked for: some texts go to the same number two or three times. By a key of shop, number and text. */
function plan (total: number): Array<{ id: string, shop: string, to: string, title: string }> {
  const events: ReturnType<typeof plan> = []
  for (let n = 0; events.length < total; n++) {
    const copies = n % 5 === 0 ? 3 : n % 3 === 0 ? 2 : 1
    for (let copy = 0; copy < copies && events.length < total; copy++) {
      events.push({ id: `lost-${events.length}`, shop: SHOPS[n % 2] as string, to: `+120155501${String(n % 60).padStart(2, '0')}`, title: `Mug ${n}` })
    }
  }
  return events
}

function eventOf ({ id, shop, to, title }: ReturnType<typeof plan>[number]): object {
  return {
    id,
    type: 'back_in_stock.alert',
    shop,
    data: {
      customer: { name: 'Ada Example', phone: to, country: 'US' },
      product: { id: '7001', title, vendor: 'Acme', url: 'https://acme.example/products/mug' },
      variant: { id: '8001', price: { amount: '5', currency: 'USD' }, url: 'https://acme.example/products/mug?variant=8001' }
    }
  }
}

/** How many deliveries are in a state. */
async function count (app: App, state: string): Promise<number> {
  let n = 0
  let cursor: unknown = null
  do {
    const { body } = await app.ask('GET', `/v1/deliveries?state=${state}&limit=200${typeof cursor === 'string' ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)
    n += body.items?.length ?? 0
    cursor = body['next_cursor']
  } while (typeof cursor === 'string')
  return n
}

/** Every message that the sandbox has made, by number and text, from its list. */
async function made (app: App): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  const authorization = `Basic ${Buffer.from(`${SECRETS.TWILIO_KEY}:${SECRETS.TWILIO_SECRET}`).toString('base64')}`
  for (let uri: string | null = `${MESSAGES}?PageSize=1000`; uri !== null;) {
    const { body } = await request(`${app.sandboxUrl}/stoq-native${uri}`, { headers: { authorization } })
    const page = await body.json() as { messages: Array<{ to: string, body: string }>, next_page_uri: string | null }
    for (const { to, body: text } of page.messages) counts.set(`${to} ${text}`, (counts.get(`${to} ${text}`) ?? 0) + 1)
    uri = page.next_page_uri
  }
  return counts
}

const cut = (kind: 'cut_after' | 'cut_before', times: number, more: object = {}): object => ({ kind, times, match: { method: 'POST', path: MESSAGES }, ...more })

t.test('answers that were lost, before and after the message was made, are found out and nobody is texted twice', { timeout: 110_000 }, async t => {
  const { app, advance } = await started(t)
  // Mixed, and most are answered: an account that nearly always fails would be held.
  await app.fault('stoq-native', cut('cut_after', OF_EACH_KIND, { rate: 0.2, seed: 20261121 }))
  await app.fault('stoq-native', cut('cut_before', OF_EACH_KIND, { rate: 0.25, seed: 7 }))
  const lost = 2 * OF_EACH_KIND
  const events = plan(4 * lost)
  const { status } = await app.post(events.map(eventOf))
  t.equal(status, 202)
  await until(async () => await count(app, 'unknown') === lost && await count(app, 'delivered') === events.length - lost)
  t.equal([...(await made(app)).values()].reduce((sum, n) => sum + n, 0), events.length - OF_EACH_KIND, 'half of them were made')
  t.equal(await app.heal('stoq-native'), lost, 'every answer was lost')

  // Some of what is sent again is lost again.
  await app.fault('stoq-native', cut('cut_after', LOST_AGAIN, { rate: 0.2, seed: 1 }))
  await app.fault('stoq-native', cut('cut_before', LOST_AGAIN, { rate: 0.2, seed: 2 }))
  for (let minute = 0; minute < 40 && await count(app, 'delivered') < events.length; minute++) {
    advance(MINUTE_MS)
    await settled(app)
  }

  const delivered = await count(app, 'delivered')
  t.ok(delivered >= 0.95 * events.length, `${delivered} of ${events.length} without a person`)
  t.equal(await count(app, 'waiting'), 0)
  t.equal(await app.heal('stoq-native'), 2 * LOST_AGAIN, 'and answers to what was sent again were lost')
  const asked = new Map<string, number>()
  for (const { to, shop, title } of events) {
    const text = `${shop === 'acme.example' ? 'Acme' : 'Globex'}: ${title} is back! https://acme.example/products/mug?variant=8001 Reply STOP to opt out`
    asked.set(`${to} ${text}`, (asked.get(`${to} ${text}`) ?? 0) + 1)
  }
  const sent = await made(app)
  for (const [key, n] of sent) t.ok(n <= (asked.get(key) ?? 0), `${key}: ${n} of ${asked.get(key) ?? 0}`)
  t.equal([...sent.values()].reduce((sum, n) => sum + n, 0), delivered, 'what is called delivered was made')
  const receipts = await receiptsOf(app)
  t.equal(receipts.length, delivered)
  t.equal(new Set(receipts).size, delivered, 'each has a message of its own')
})

/** Nothing is being sent, and whatever was due has been asked: the sandbox's list grows no more. */
async function settled (app: App): Promise<void> {
  let before = -1
  await until(async () => {
    await new Promise(resolve => { setTimeout(resolve, 300) })
    const { body } = await request(`${app.sandboxUrl}/stoq-native/_sandbox/stats`)
    const { accepted, refused } = await body.json() as { accepted: number, refused: number }
    const still = accepted + refused === before && await count(app, 'sending') === 0
    before = accepted + refused
    return still
  })
}

async function receiptsOf (app: App): Promise<string[]> {
  const receipts: string[] = []
  let cursor: unknown = null
  do {
    const { body } = await app.ask('GET', `/v1/deliveries?view=full&state=delivered&limit=200${typeof cursor === 'string' ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)
    receipts.push(...(body.items ?? []).map(({ provider_message_id: id }) => id as string))
    cursor = body['next_cursor']
  } while (typeof cursor === 'string')
  return receipts
}
