// POST /webhooks/shopify as the gateway mounts it, with a list in place of its inbox: what is let in, refused and kept.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fastify from 'fastify'
import t, { type Test } from 'tap'
import type { InboundContext } from '../../gateway/define.ts'
import { keptAs } from './keys.ts'
import { sign } from './verify.ts'
import { webhook, type WebhookContext } from './webhook.ts'

const SECRET = 'shpss_first_0123456789'
const SECOND = 'shpss_second_0123456789'
const ORDER = readFileSync(join(import.meta.dirname, 'fixtures/orders-create.preorder.json'))
const HEADERS = {
  'topic': 'orders/create', 'shop-domain': 'example-shop.myshopify.com', 'api-version': '2026-10', 'webhook-id': '1cb3936a-8635-52ef-94cf-cbedc054e5ab',
  'event-id': '32c6ac4e-39f2-5282-b087-b30bf8d58287', 'triggered-at': '2026-11-16T15:15:01.200000000Z', 'name': 'gateway-orders-create'
}

type Kept = Parameters<InboundContext['receive']>[0]
interface Sent { headers?: Record<string, string | undefined>, body?: Buffer | string, signature?: string | null, secret?: string, prefix?: string, more?: Record<string, string> }

async function routes (t: Test, { secrets = [SECRET, SECOND] }: { secrets?: string[] } = {}) {
  const kept: Kept[] = []
  const warned: object[] = []
  const app = fastify()
  t.teardown(() => app.close())
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: 8 * 1024 * 1024 }, (_request, body, done) => { done(null, body) })
  app.addHook('onRoute', route => { route.bodyLimit = 8 * 1024 * 1024 })
  app.addHook('preValidation', async request => { request.body ??= Buffer.alloc(0) })
  const context: WebhookContext = {
    id: 'shopify', options: { api_version: '2026-10' }, secrets: { client_secret: secrets },
    async read (_name, { keys }) {
      const asked = new Set(JSON.parse(String(keys)) as string[])
      return kept.some(row => row.keys.some(key => asked.has(keptAs(key)))) ? [{ known: 1 }] : []
    },
    async receive (received) {
      const repeat = kept.some(({ keys }) => keys.some(key => received.keys.includes(key)))
      if (!repeat) kept.push(received)
      return repeat ? 'repeat' : 'new'
    },
    warn (fields) { warned.push(fields) }
  }
  await app.register(async scope => { webhook(scope, context) }, { prefix: '/webhooks/shopify' })
  /** A delivery, right in all but what is given. */
  async function send ({ headers = {}, body = ORDER, signature, secret = SECRET, prefix = 'X-Shopify-', more = {} }: Sent = {}): Promise<[status: number, body: string]> {
    const bytes = Buffer.from(body)
    const all = { ...HEADERS, 'hmac-sha256': signature === null ? undefined : signature ?? sign(secret, bytes), ...headers }
    const named = Object.entries(all).flatMap(([name, value]) => value === undefined ? [] : [[prefix + name, value]])
    const { statusCode, body: said } = await app.inject({ method: 'POST', url: '/webhooks/shopify', headers: { 'content-type': 'application/json', cookie: 'a=b', ...Object.fromEntries(named) as Record<string, string>, ...more }, payload: bytes })
    return [statusCode, said]
  }
  return { send, kept, warned }
}

t.test('a signed delivery is kept as it came and answered 200; sent again it is a repeat', async t => {
  const { send, kept } = await routes(t)
  t.strictSame(await send(), [200, '{"status":"received"}'])
  t.match(kept, [{ topic: 'orders/create', shop: 'example-shop.myshopify.com', subject: 'gid://shopify/Order/5123456789012', headers: HEADERS, body: ORDER.toString() }])
  t.strictSame(Object.keys(kept[0]?.headers ?? {}).toSorted(), Object.keys(HEADERS).toSorted(), 'and neither its signature nor anything else')
  t.strictSame(await send(), [200, '{"status":"repeat"}'])
  t.equal(kept.length, 1)
})

t.test('attack 1: without a right signature the answer is the same 401, whatever else is wrong, and nothing is kept', async t => {
  const { send, kept } = await routes(t)
  const right = sign(SECRET, ORDER)
  const cases: Record<string, Sent> = {
    missing: { signature: null },
    empty: { signature: '' },
    short: { signature: right.slice(4) },
    long: { signature: `${right}${right}` },
    hex: { signature: Buffer.from(right, 'base64').toString('hex') },
    'no base64': { signature: '*'.repeat(44) },
    junk: { signature: `${right.slice(0, 20)}!${right.slice(20)}` },
    'of other bytes': { signature: sign(SECRET, Buffer.from('{}')) },
    'of no secret of ours': { secret: 'shpss_other_0123456789' },
    'with an empty key': { secret: '' },
    'no other header': { signature: null, headers: Object.fromEntries(Object.keys(HEADERS).map(name => [name, undefined])) },
    'a topic that is none': { signature: 'x', headers: { topic: '../../etc/passwd' } },
    'no body': { signature: null, body: '' },
    'no JSON': { signature: null, body: '{' },
    'a body that breaks parsers': { signature: null, body: '['.repeat(200_000) }
  }
  const [, refusal] = await send({ signature: null })
  for (const [name, sent] of Object.entries(cases)) t.strictSame(await send(sent), [401, refusal], name)
  t.strictSame(kept, [])
})

t.test('attack 8: each secret of a rotation is believed, and no longer than it is declared', async t => {
  const { send } = await routes(t)
  t.equal((await send({ secret: SECRET }))[0], 200)
  t.equal((await send({ secret: SECOND, headers: { 'webhook-id': 'another' } }))[0], 200)
  const later = await routes(t, { secrets: [SECOND] })
  t.equal((await later.send({ secret: SECRET }))[0], 401)
  t.equal((await later.send({ secret: SECOND }))[0], 200)
})

t.test('a required header missing or empty is a 400 that names it; the others may be missing', async t => {
  const { send, kept } = await routes(t)
  for (const name of ['topic', 'shop-domain', 'api-version', 'webhook-id']) {
    for (const value of [undefined, '']) t.match(await send({ headers: { [name]: value } }), [400, `x-shopify-${name}`])
  }
  t.strictSame(kept, [])
  t.equal((await send({ headers: { 'event-id': undefined, 'triggered-at': undefined, 'name': undefined } }))[0], 200)
  t.strictSame(Object.keys(kept[0]?.headers ?? {}), ['topic', 'shop-domain', 'api-version', 'webhook-id'])
})

t.test('a body that is empty, and signed, is a 400', async t => {
  const { send, kept } = await routes(t)
  t.equal((await send({ body: '' }))[0], 400)
  t.strictSame(kept, [])
})

t.test('attack 18: a topic or a shop that is none is a 400', async t => {
  const { send, kept } = await routes(t)
  for (const topic of ['../orders/create', 'orders/../create', 'orders//create', '/orders/create', 'orders/create/', '.', 'orders/cre ate', 'a'.repeat(101), 'x'.repeat(10_000), 'orders%2fcreate', 'orders\\create', 'orders/create?a=1']) {
    t.equal((await send({ headers: { topic } }))[0], 400, topic.slice(0, 40))
  }
  for (const shop of ['../shop', 'shop', 'shop..example', 'https://shop.example', 'shop.example/a', 'shop.example:80', `${'a.'.repeat(200)}example`]) t.equal((await send({ headers: { 'shop-domain': shop } }))[0], 400, shop.slice(0, 40))
  t.equal((await send({ headers: { 'webhook-id': 'x'.repeat(201) } }))[0], 400)
  t.strictSame(kept, [])
  for (const topic of ['variants/in_stock', 'customers/data_request', 'customer.tags_added', 'inventory_levels/update', 'fulfillment_orders/line_items_prepared_for_pickup', 'app/uninstalled']) {
    t.equal((await send({ headers: { topic, 'webhook-id': topic } }))[0], 200, topic)
  }
})

t.test('attack 5: an order sent again under a fresh id or for another shop is a repeat; another topic is another row', async t => {
  const { send, kept } = await routes(t)
  await send()
  const again: Array<Record<string, string>> = [{ 'webhook-id': 'fresh' }, { 'shop-domain': 'other.myshopify.com' }, { 'webhook-id': 'fresher', 'shop-domain': 'other.myshopify.com', 'event-id': 'fresh', 'triggered-at': '2027-01-01T00:00:00Z' }, { 'topic': 'ORDERS/CREATE', 'webhook-id': 'loud' }]
  for (const headers of again) t.strictSame(await send({ headers }), [200, '{"status":"repeat"}'])
  t.equal(kept.length, 1)
  t.strictSame(await send({ headers: { 'topic': 'orders/paid', 'webhook-id': 'paid' } }), [200, '{"status":"received"}'], 'Shopify sends the same body for both')
  t.strictSame(kept.map(({ topic }) => topic), ['orders/create', 'orders/paid'])
})

t.test('attack 5: the body of a later change of an order, sent as a new one, is a repeat of it', async t => {
  const { send, kept } = await routes(t)
  await send()
  const later = ORDER.toString().replace('"paid"', '"refunded"').replace('"updated_at"', '"changed_at"')
  t.not(later, ORDER.toString())
  t.strictSame(await send({ body: later, headers: { 'topic': 'orders/updated', 'webhook-id': 'updated' } }), [200, '{"status":"received"}'])
  for (const headers of [{ 'webhook-id': '1' }, { 'webhook-id': '2', 'topic': 'Orders/Create' }]) t.strictSame(await send({ body: later, headers }), [200, '{"status":"repeat"}'])
  t.strictSame(await send({ body: ORDER.toString().replaceAll('example-shop', 'acme').replaceAll('5123456789012', '5123456789013'), headers: { 'webhook-id': '3', 'shop-domain': 'acme.myshopify.com' } }), [200, '{"status":"received"}'], 'another order is another')
  t.strictSame(kept.map(({ subject }) => subject), ['gid://shopify/Order/5123456789012', 'gid://shopify/Order/5123456789012', 'gid://shopify/Order/5123456789013'])
})

t.test('a body that is parked, since it is none or names another shop, does not take the place of the true order', async t => {
  const { send, kept } = await routes(t)
  const other = ORDER.toString().replace('"paid"', '"refunded"').replace('"updated_at"', '"changed_at"')
  t.strictSame(await send({ body: other, headers: { 'webhook-id': '1', 'shop-domain': 'acme.myshopify.com' } }), [200, '{"status":"received"}'])
  for (const [i, body] of ['{"admin_graphql_api_id":"gid://shopify/Order/5123456789012"', '{"admin_graphql_api_id":"gid://shopify/Order/x"}', '{"id":null}'].entries()) await send({ body, headers: { 'webhook-id': `odd-${i}` } })
  t.strictSame(await send(), [200, '{"status":"received"}'])
  t.strictSame(kept.slice(1, 4).map(({ keys, subject }) => [keys.length, subject]), [[2, null], [2, null], [2, null]])
})

t.test('what the app signs for other uses is no webhook: only an object of JSON is', async t => {
  const { send, kept } = await routes(t)
  for (const body of ['eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0', 'code=1&shop=example-shop.myshopify.com', '[{}]', '"{}"', ' ', '\ufeff{}', 'null']) {
    t.match(await send({ body, headers: { 'webhook-id': body } }), [401, (await send({ signature: 'wrong' }))[1]], body)
  }
  t.strictSame(kept, [])
  t.equal((await send({ body: ' \r\n\t{"id":1}' }))[0], 200)
})

t.test('attack 6: another body under the same id is a repeat, the first one stays, and there is an alarm', async t => {
  const { send, kept, warned } = await routes(t)
  await send()
  await send()
  await send({ headers: { 'webhook-id': 'fresh' } })
  t.strictSame(warned, [], 'the same body again is none')
  t.strictSame(await send({ body: '{"id":1}' }), [200, '{"status":"repeat"}'])
  t.strictSame(kept.map(({ body }) => body), [ORDER.toString()])
  t.strictSame(warned, [{ topic: 'orders/create', shop: 'example-shop.myshopify.com', webhook: HEADERS['webhook-id'] }])
  const uninstall = { 'topic': 'app/uninstalled', 'webhook-id': 'gone', 'event-id': 'gone' }
  await send({ body: '{"id":548380009}', headers: uninstall })
  await send({ body: '{"id":548380009}', headers: uninstall })
  t.equal(warned.length, 1)
  await send({ body: '{"id":548380009,"name":"Acme"}', headers: uninstall })
  t.equal(warned.length, 2, 'also where equal bodies may truly come twice')
})

t.test('attack 6: one event of a thing at one time is taken once, whatever id its deliveries have', async t => {
  const { send, kept, warned } = await routes(t)
  const level = (more: object = {}): string => JSON.stringify({ inventory_item_id: 46123456789012, location_id: 71234567890, available: 12, updated_at: '2026-11-16T09:30:04-05:00', ...more })
  const topic = { topic: 'inventory_levels/update' }
  await send({ body: level(), headers: { ...topic, 'webhook-id': '1' } })
  t.strictSame(await send({ body: level({ available: 99 }), headers: { ...topic, 'webhook-id': '2' } }), [200, '{"status":"repeat"}'])
  t.equal(warned.length, 1)
  const others = [
    { body: level({ location_id: 71234567891 }) }, { body: level({ inventory_item_id: 46123456789013 }) }, { body: level({ available: 0, updated_at: '2026-11-16T09:30:05-05:00' }) },
    { body: level({ available: 13 }), headers: { name: 'second-subscription' } }, { body: level({ available: 14 }), headers: { 'event-id': 'another' } }, { body: level(), headers: { topic: 'inventory_levels/connect' } }
  ]
  for (const [i, { body, headers }] of others.entries()) t.strictSame(await send({ body, headers: { ...topic, 'webhook-id': `other-${i}`, ...headers } }), [200, '{"status":"received"}'], body)
  t.equal(kept.length, 7)
  t.equal(warned.length, 1)
})

t.test('attack 5: a body that has its own time is a repeat under any headers; one that has none may truly come twice', async t => {
  const { send } = await routes(t)
  const at = '2026-11-16T09:30:05-05:00'
  const fresh = (topic: string, n: number): Record<string, string> => ({ topic, 'webhook-id': `${topic} ${n}`, 'event-id': `${topic} ${n}`, 'triggered-at': `2026-11-2${n}T00:00:00Z`, 'shop-domain': n === 2 ? 'acme.myshopify.com' : 'example-shop.myshopify.com' })
  const once: Record<string, string> = {
    'variants/in_stock': `{"id":44123456789012,"product_id":1,"inventory_quantity":12,"updated_at":"${at}"}`,
    'variants/out_of_stock': `{"id":44123456789012,"product_id":1,"inventory_quantity":0,"updated_at":"${at}"}`,
    'inventory_levels/update': `{"inventory_item_id":1,"location_id":2,"available":1,"updated_at":"${at}"}`,
    'inventory_items/update': `{"id":1,"updated_at":"${at}"}`,
    'products/update': `{"id":1,"variants":[],"updated_at":"${at}"}`,
    'app_subscriptions/update': `{"app_subscription":{"admin_graphql_api_id":"gid://shopify/AppSubscription/1","updated_at":"${at}"}}`,
    'customers/data_request': '{"customer":{"id":1},"data_request":{"id":9999}}'
  }
  for (const [topic, body] of Object.entries(once)) {
    for (const n of [0, 1, 2]) t.strictSame(await send({ body, headers: fresh(topic, n) }), [200, `{"status":"${n === 0 ? 'received' : 'repeat'}"}`], `${topic} ${n}`)
  }
  for (const topic of ['app/uninstalled', 'customers/redact', 'shop/redact', 'inventory_levels/update']) {
    for (const n of [0, 1]) t.strictSame(await send({ body: '{"shop_id":1}', headers: fresh(`${topic}`, n + 3) }), [200, '{"status":"received"}'], `${topic} ${n}`)
  }
})

t.test('two topics of one event of Shopify\'s are two rows, and so are two equal bodies of a topic that may repeat itself', async t => {
  const { send, kept } = await routes(t)
  const body = '{"inventory_item_id":46123456789012,"available":12}'
  await send({ body, headers: { 'topic': 'inventory_levels/update', 'webhook-id': '1' } })
  await send({ body, headers: { 'topic': 'inventory_levels/update', 'webhook-id': '2', 'event-id': 'another' } })
  await send({ body, headers: { 'topic': 'variants/in_stock', 'webhook-id': '3' } })
  t.equal(kept.length, 3)
})

t.test('what a row is about is found by its id', async t => {
  const { send, kept } = await routes(t)
  const about: Array<[topic: string, body: object, subject: string | null]> = [
    ['variants/in_stock', { id: 1, admin_graphql_api_id: 'gid://shopify/ProductVariant/642667041472713922' }, 'gid://shopify/ProductVariant/642667041472713922'],
    ['products/update', { id: 2 }, 'gid://shopify/Product/2'],
    ['inventory_levels/update', { inventory_item_id: 3 }, 'gid://shopify/InventoryItem/3'],
    ['inventory_items/update', { id: 3 }, 'gid://shopify/InventoryItem/3'],
    ['app_subscriptions/update', { app_subscription: { admin_graphql_api_id: 'gid://shopify/AppSubscription/4' } }, 'gid://shopify/AppSubscription/4'],
    ['orders/paid', { id: 5 }, 'gid://shopify/Order/5'],
    ['customers/redact', { customer: { id: 6 } }, null],
    ['app/uninstalled', { id: 7 }, null],
    ['never/heard_of', { id: 8 }, null]
  ]
  for (const [topic, body] of about) await send({ body: JSON.stringify(body), headers: { topic, 'webhook-id': topic, 'event-id': topic } })
  t.strictSame(kept.map(({ topic, subject }) => [topic, subject]), about.map(([topic, , subject]) => [topic, subject]))
})

t.test('deliveries of the newer kind are verified by their own headers, which count where both are there', async t => {
  const { send, kept } = await routes(t)
  const prefix = 'shopify-'
  const body = '{"topic":"Product","action":"update"}'
  const headers = { 'topic': 'Product', 'action': 'update', 'handle': 'products', 'resource-id': 'gid://shopify/Product/1' }
  t.equal((await send({ prefix, body, headers }))[0], 200)
  t.match(kept, [{ topic: 'Product', headers }])
  t.match(await send({ prefix, body, headers: { ...headers, 'webhook-id': undefined } }), [400, 'shopify-webhook-id'])
  t.equal((await send({ prefix, body, headers, signature: sign('shpss_other_0123456789', Buffer.from(body)), more: { 'x-shopify-hmac-sha256': sign(SECRET, Buffer.from(body)) } }))[0], 401, 'a right signature of the older kind does not help')
  t.equal((await send({ body, more: { 'shopify-hmac-sha256': '' } }))[0], 401)
  t.equal((await send({ prefix, body, headers: { ...headers, 'webhook-id': 'both' }, more: { 'x-shopify-topic': 'orders/create' } }))[0], 200)
  t.equal(kept.at(-1)?.topic, 'Product')
})

t.test('names of headers, the shop\'s letters and the content type are as they come', async t => {
  const { send, kept } = await routes(t)
  t.equal((await send({ prefix: 'x-SHOPIFY-', headers: { 'shop-domain': 'Example-Shop.MyShopify.com' } }))[0], 200)
  t.equal(kept[0]?.shop, 'example-shop.myshopify.com')
  for (const type of ['application/json; charset=utf-8', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
    t.equal((await send({ headers: { 'topic': 'products/update', 'webhook-id': type }, more: { 'content-type': type } }))[0], 200, type)
    t.equal(kept.at(-1)?.body, ORDER.toString(), type)
  }
})

t.test('what is larger than is kept is answered 200, and its body is not kept', async t => {
  const { send, kept } = await routes(t)
  const most = `{"x":"${'x'.repeat(2 * 1024 * 1024 - 8)}"}`
  t.equal((await send({ body: most, headers: { 'webhook-id': 'most' } }))[0], 200)
  t.equal(kept[0]?.body?.length, most.length)
  t.equal((await send({ body: `${most} `, headers: { 'webhook-id': 'more' } }))[0], 200)
  t.equal(kept[1]?.body, null)
})

t.test('another API version than expected is let in and warned of once, and not without end', async t => {
  const { send, kept, warned } = await routes(t)
  const version = (version: string, id: string): Promise<unknown> => send({ body: '{"id":1}', headers: { 'api-version': version, 'webhook-id': id, 'event-id': id, 'topic': 'products/update' } })
  await version('2026-10', 'a')
  t.strictSame(warned, [])
  await version('2027-01', 'b')
  await version('2027-01', 'c')
  t.strictSame(warned, [{ shop: 'example-shop.myshopify.com', version: '2027-01', expected: '2026-10' }])
  for (let i = 0; i < 50; i++) await version(`odd-${i}`, `odd-${i}`)
  t.equal(warned.length, 20)
  t.equal(kept.length, 53)
})
