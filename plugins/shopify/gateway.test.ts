// Shopify's webhooks at the real gateway: from a signed order to the text that the provider's sandbox received.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FaultsFound } from '../../gateway/load.ts'
import { CONFIG, makeApp, movable, ROOT, until, type Answered, type App, type AppOptions, type Body } from '../../test/helpers/app.ts'
import { sign } from './verify.ts'

const SHOP = 'example-shop.myshopify.com'
const SECRET = 'shopify_test_client_secret_0001'
const TEXT = readFileSync(join(import.meta.dirname, 'fixtures/orders-create.preorder.json'), 'utf8')
const TYPE = `  order.placed: { schema: ${ROOT}/schemas/events/order.placed.schema.json, person: /customer/phone }\n`
const TYPES = TYPE + ['stock.changed', 'product.updated', 'shop.updated', 'customer.redact', 'customer.data_request', 'shop.redact'].map(type => `  ${type}: { schema: ${ROOT}/schemas/events/${type}.schema.json }\n`).join('')
const EVENT = 'gid://shopify/Order/5123456789012/preorder.confirmed'

const configOf = (source: string): string => `${CONFIG.replaceAll('acme.example', SHOP).replace('event_types:\n', `event_types:\n${TYPES}`)}sources:\n  shopify: { path: ${import.meta.dirname}, ${source} }\n`
const ROTATING = 'secrets: { client_secret: [{ env: SHOPIFY_NEW }, { env: SHOPIFY_OLD }] }'

async function start (t: Test, options: AppOptions = {}): Promise<App> {
  const app = makeApp(t, { config: configOf(ROTATING), env: { SHOPIFY_NEW: SECRET, SHOPIFY_OLD: 'shpss_old_0123456789' }, ...options })
  await app.start()
  return app
}

async function faultsOf (t: Test, config: string): Promise<readonly object[]> {
  const { faults } = await start(t, { config }).then(() => ({ faults: [] }), (error: unknown) => error as FaultsFound)
  return faults
}

/** The composed order, placed at another time, a minute ago where none is given: a confirmation that is too old is not sent. */
function orderAt (at = Date.now() - 60_000, edit: (text: string) => string = text => text): string {
  return edit(TEXT.replace('2026-11-16T10:15:00-05:00', new Date(at).toISOString()))
}

interface Webhook { topic?: string, id?: string, shop?: string, secret?: string, signature?: string, version?: string, at?: number, headers?: Record<string, string> }

/** Posts a body as Shopify does. */
function post (app: App, body: string, { topic = 'orders/create', id = 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043', shop = SHOP, secret = SECRET, signature, version = '2026-10', at = Date.now(), headers = {} }: Webhook = {}): Promise<Answered> {
  return app.ask('POST', '/webhooks/shopify', {
    key: null,
    raw: body,
    headers: {
      'X-Shopify-Topic': topic, 'X-Shopify-Hmac-Sha256': signature ?? sign(secret, Buffer.from(body)), 'X-Shopify-Shop-Domain': shop, 'X-Shopify-API-Version': version,
      'X-Shopify-Webhook-Id': id, 'X-Shopify-Triggered-At': new Date(at).toISOString(), ...headers
    }
  })
}

/** Every row, newest first, as soon as that many are there and worked on. */
async function rows (app: App, count: number): Promise<Body[]> {
  let items: Body[] = []
  await until(async () => {
    items = (await app.ask('GET', '/v1/inbox')).body.items ?? []
    return items.length >= count && items.every(({ state }) => state !== 'received')
  })
  return items
}

const deliveries = async (app: App): Promise<Body[]> => (await app.ask('GET', '/v1/deliveries?view=full')).body.items as Body[]
const sent = (app: App): Promise<Body> => app.logged(entry => entry.msg === 'attempt' && entry.outcome === 'delivered')

t.test('a signed order becomes one text about the line its properties give away; sent again, in any guise, it stays one', async t => {
  const app = await start(t)
  const body = orderAt()
  t.match(await post(app, body), { status: 200, body: { status: 'received' } })
  t.match(await rows(app, 1), [{ source: 'shopify', topic: 'orders/create', shop: SHOP, state: 'done', reason: 'selling_plan_unresolved', events: [{ type: 'order.placed', status: 'accepted' }, { id: EVENT, type: 'preorder.confirmed', status: 'accepted' }] }])
  await sent(app)
  for (const again of [{}, { id: 'fresh' }, { id: 'fresh-2', shop: 'globex.example' }, { id: 'fresh-3', secret: 'shpss_old_0123456789' }]) {
    t.match(await post(app, body, again), { status: 200, body: { status: 'repeat' } })
  }
  t.match(await post(app, `${body}\n`, { id: 'other-bytes' }), { status: 200, body: { status: 'repeat' } }, 'the same order in other bytes is the same order')
  t.match(await post(app, body, { topic: 'orders/paid', id: 'paid' }), { status: 200, body: { status: 'received' } })
  t.match((await app.ask('GET', '/v1/inbox?subject=gid%3A%2F%2Fshopify%2FOrder%2F5123456789012')).body.items?.map(({ topic }) => topic), ['orders/paid', 'orders/create'])
  t.match((await rows(app, 2))[0], { topic: 'orders/paid', state: 'recorded', reason: 'order_known', events: [] })
  t.match(await deliveries(app), [{ shop: SHOP, provider: 'courier', state: 'delivered', event: { source: '/sources/shopify', source_id: EVENT, type: 'preorder.confirmed', data: { products: [{ title: 'Linen Dress', variant_title: 'Large', quantity: 1 }] } } }])
  const received = await app.received('courier')
  t.match(received, [{ status: 202, body: { data: { name: 'Preorder', properties: { order_name: '#1001' }, recipient: { phone: '+12015550123', name: 'Jane Buyer' } } } }])
  t.equal(received.length, 1)
})

t.test('two hundred deliveries of twenty orders, in any order and at once, are twenty texts', async t => {
  const app = await start(t)
  const orders = Array.from({ length: 20 }, (_, i) => orderAt(undefined, text => text.replaceAll('5123456789012', `51234567890${i + 10}`).replace('"#1001"', `"#${2000 + i}"`)))
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => post(app, orders[i % 20] as string, { id: i < 100 ? `id-${i % 20}` : `fresh-${i}` })))
  t.ok(answers.every(({ status }) => status === 200))
  await rows(app, 20)
  await until(async () => (await app.received('courier')).length >= 20)
  const names = (await app.received('courier')).map(({ body }) => (body as { data: { properties: Body } }).data.properties.order_name)
  t.strictSame(names.toSorted(), Array.from({ length: 20 }, (_, i) => `#${2000 + i}`))
})

t.test('what is not signed by the app, or is changed, is a 401; nothing of it is kept', async t => {
  const app = await start(t)
  const body = orderAt()
  const refused = await post(app, body, { signature: '' })
  t.equal(refused.status, 401)
  for (const wrong of [{ signature: sign(SECRET, Buffer.from(`${body} `)) }, { secret: 'shpss_foreign_0123456789' }, { signature: 'nonsense' }]) t.strictSame((await post(app, body, wrong)).body, refused.body)
  t.equal((await post(app, body, { topic: '../orders' })).status, 400)
  t.equal((await app.ask('POST', '/webhooks/shopify', { raw: body })).status, 401, 'an API key is no signature')
  t.equal((await app.ask('GET', '/webhooks/shopify', { key: null })).status, 405)
  t.strictSame((await app.ask('GET', '/v1/inbox')).body.items, [])
  t.notOk(app.lines.some(line => line.includes(SECRET)), 'nor is a secret told')
})

t.test('a secret that is taken out of the config is refused from then on', async t => {
  const app = await start(t)
  t.equal((await post(app, orderAt(), { secret: 'shpss_old_0123456789' })).status, 200)
  app.write(configOf('secrets: { client_secret: { env: SHOPIFY_NEW } }'))
  t.equal(await app.reload(), true)
  t.equal((await post(app, orderAt(), { secret: 'shpss_old_0123456789', id: '2' })).status, 401)
  t.equal((await post(app, orderAt(), { id: '3' })).status, 200)
})

t.test('attack 4: without a secret, or with an empty one, the gateway does not start', async t => {
  for (const source of ['secrets: {}', 'options: {}', 'secrets: { client_secret: { env: EMPTY } }', 'secrets: { client_secret: [] }', 'secrets: { client_secret: { env: NOT_SET } }', 'secrets: { client_secret: [{ env: SHOPIFY_NEW }, { env: EMPTY }] }', `secrets: { client_secret: ${SECRET} }`]) {
    await t.rejects(start(t, { config: configOf(source), env: { SHOPIFY_NEW: SECRET, EMPTY: '' } }), { name: 'FaultsFound' }, source)
  }
  await t.rejects(start(t, { config: configOf(`${ROTATING}, options: { preorder_properties: [{ value: x }] }`) }), { name: 'FaultsFound' }, 'options are checked too')
  for (const country of ['ZZ', 'XX', 'AC', 'UK', 'us']) t.match(await faultsOf(t, configOf(`${ROTATING}, options: { country: ${country} }`)), [{ code: 'GW_CONFIG_VALUE', path: '/sources/shopify/options/country' }], country)
  t.match(await faultsOf(t, configOf(ROTATING).replace(TYPE, '')), [{ code: 'GW_CONFIG_REFERENCE', path: '/sources/shopify', message: /order\.placed/ }], 'and that the types of its events are declared')
})

t.test('without a phone number nothing is sent, and the delivery says why', async t => {
  const app = await start(t)
  await post(app, orderAt(undefined, text => text.replaceAll(/"phone": "[^"]*"/g, '"phone": null')))
  t.match(await rows(app, 1), [{ state: 'done' }])
  await until(async () => (await deliveries(app))[0]?.state === 'rejected')
  t.match(await deliveries(app), [{ state: 'rejected', reason: 'no_phone', calls: [] }])
  t.strictSame(await app.received('courier'), [])
})

t.test('attack 5: an order that is too old to confirm is not sent, however fresh its headers', async t => {
  const app = await start(t)
  await post(app, orderAt(Date.now() - 4 * 24 * 3_600_000))
  t.match(await rows(app, 1), [{ state: 'done', detail: /It came 4 days after/ }])
  await until(async () => (await deliveries(app))[0]?.state === 'expired')
  t.strictSame(await app.received('courier'), [])
})

t.test('what cannot be worked on is answered 200 and parked, with what to look at', async t => {
  const app = await start(t)
  const cases: Array<[id: string, body: string, reason: string, more?: Webhook]> = [
    ['broken', '{"id": 1', 'not_json'],
    ['no-order', '{"id": 1}', 'not_an_order'],
    ['other-shop', orderAt(), 'shop_mismatch', { shop: 'globex.example' }],
    ['no-shop', orderAt(undefined, text => text.replaceAll('example-shop', 'nobody')), 'shop_unknown', { shop: 'nobody.myshopify.com' }],
    ['too-large', `{"x":"${'x'.repeat(2 * 1024 * 1024)}"}`, 'too_large'],
    ['to-come', orderAt(Date.now() + 3 * 3_600_000, text => text.replaceAll('5123456789012', '5123456789013')), 'event_refused']
  ]
  for (const [id, body, reason, more] of cases) {
    t.equal((await post(app, body, { id, ...more })).status, 200, id)
    const [row] = await rows(app, cases.findIndex(([other]) => other === id) + 1)
    t.match(row, { state: 'parked', reason, events: [], detail: /\w/ }, id)
  }
  t.strictSame(await deliveries(app), [])
})

t.test('an order that was changed under its id leaves the first confirmation', async t => {
  const app = await start(t)
  const at = Date.now() - 60_000
  await post(app, orderAt(at))
  await rows(app, 1)
  await post(app, orderAt(at, text => text.replaceAll('Jane', 'Mallory').replaceAll('+12015550123', '+12015550199')), { id: 'changed' })
  await sent(app)
  t.match(await rows(app, 1), [{ state: 'done', events: [{ status: 'accepted' }, { status: 'accepted' }] }])
  t.match((await app.received('courier')).map(({ body }) => (body as { data: { recipient: Body } }).data.recipient), [{ phone: '+12015550123' }])
})

t.test('an order that was judged by a wrong rule is worked on again by the right one: one confirmation, and no second one ever', async t => {
  const app = await start(t, { config: configOf(`${ROTATING}, options: { preorder_properties: [{ name: _no_such }] }`) })
  await post(app, orderAt())
  const [row] = await rows(app, 1)
  t.match(row, { state: 'done', reason: 'selling_plan_unresolved', events: [{ type: 'order.placed', status: 'accepted' }] })
  app.write(configOf(ROTATING))
  t.equal(await app.reload(), true)
  const retry = async (): Promise<Body> => {
    t.equal((await app.ask('POST', `/v1/inbox/${String(row?.id)}/retry`)).status, 202)
    return (await rows(app, 1))[0] as Body
  }
  t.match(await retry(), { state: 'done', reason: 'event_conflict', detail: /order\.placed/, events: [{ type: 'order.placed', status: 'conflict' }, { type: 'preorder.confirmed', status: 'accepted' }] })
  await sent(app)
  t.match(await retry(), { state: 'parked', reason: 'event_conflict' }, 'nothing new: it is for a person to look at')
  t.equal((await deliveries(app)).length, 1)
  t.equal((await app.received('courier')).length, 1)
})

t.test('bodies of our own that are signed and then changed by one byte, anywhere, are refused', async t => {
  const app = await start(t)
  const bodies = [TEXT, '{"id":1}', '{"admin_graphql_api_id":"gid://shopify/Order/1","name":"Zoë 🌸"}'].map(text => Buffer.from(text))
  for (const body of bodies) {
    const signature = sign(SECRET, body)
    for (let i = 0; i < 8; i++) {
      const at = Math.floor(i * (body.length - 1) / 7)
      const changed = Buffer.from(body)
      changed[at] = (body[at] as number) ^ (1 << i)
      const { status } = await app.ask('POST', '/webhooks/shopify', { key: null, raw: changed, headers: { 'X-Shopify-Topic': 'orders/create', 'X-Shopify-Hmac-Sha256': signature, 'X-Shopify-Shop-Domain': SHOP, 'X-Shopify-API-Version': '2026-10', 'X-Shopify-Webhook-Id': `${i}` } })
      t.equal(status, 401, `byte ${at} of ${body.length}`)
    }
  }
  t.strictSame((await app.ask('GET', '/v1/inbox')).body.items, [])
  t.equal((await post(app, orderAt())).status, 200, 'unchanged it is let in')
})

t.test('a source for the sandbox answers only there: live nobody is believed by a made-up secret', async t => {
  const played = configOf(`sandbox: true, secrets: { client_secret: { env: SHOPIFY_NEW } }`)
  t.equal((await post(await start(t, { config: played }), orderAt())).status, 200)
  const live = await start(t, { config: played.replace('sandbox: { enabled: true, port: 0 }', 'sandbox: { enabled: false }').replace('SHOPIFY_NEW', 'NOT_SET') })
  t.equal((await post(live, orderAt())).status, 404)
  await live.logged(entry => entry.level === 40 && entry.source === 'shopify' && String(entry.msg).includes('sandbox'))
})

t.test('the gateway that stops after its 200 goes on with it at the next start, once', async t => {
  const app = await start(t)
  await Promise.all(Array.from({ length: 10 }, (_, i) => post(app, orderAt(undefined, text => text.replaceAll('5123456789012', `51234567890${i + 10}`)), { id: `id-${i}` })))
  await app.restart()
  await rows(app, 10)
  await until(async () => { const all = await deliveries(app); return all.length === 10 && all.every(({ state }) => state === 'delivered') })
  t.match(await post(app, orderAt(), { id: 'id-0' }), { body: { status: 'repeat' } }, 'and knows what it had')
})

t.test('a repeat is known as long as identities are', async t => {
  const clock = movable()
  const app = await start(t, { runtime: clock.runtime })
  const body = orderAt()
  await post(app, body)
  await rows(app, 1)
  clock.advance(29 * 24 * 3_600_000)
  t.match(await post(app, body), { body: { status: 'repeat' } })
})

t.test('another API version is told in the log, once', async t => {
  const app = await start(t)
  await post(app, '{"id":1}', { version: '2027-01', topic: 'products/update', id: 'a' })
  await post(app, '{"id":1}', { version: '2027-01', topic: 'products/update', id: 'b' })
  await rows(app, 2)
  t.match(app.lines.map(line => JSON.parse(line) as Body).filter(({ version }) => version === '2027-01'), [{ level: 40, from: 'shopify', expected: '2026-10', shop: SHOP }])
})
