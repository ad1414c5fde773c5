// Bodies and callers that mean harm, or much at once, at the real gateway: nothing fails, nothing is believed, nothing is lost.

import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { anEvent, CONFIG, makeApp, ROOT, until, type Answered, type App, type Body } from '../../test/helpers/app.ts'
import { isSigned, sign } from './verify.ts'

const SHOP = 'example-shop.myshopify.com'
const SECRET = 'shopify_test_client_secret_0001'
const TYPES = ['order.placed', 'stock.changed', 'product.updated', 'shop.updated', 'customer.redact', 'customer.data_request', 'shop.redact']
const config = `${CONFIG.replaceAll('acme.example', SHOP).replace('event_types:\n', `event_types:\n${TYPES.map(type => `  ${type}: { schema: ${join(ROOT, `schemas/events/${type}.schema.json`)} }\n`).join('')}`)}sources:\n  shopify: { path: ${import.meta.dirname}, secrets: { client_secret: { env: SHOPIFY_SECRET } } }\n`
/** Every topic that is acted on. */
const TOPICS = [
  'orders/create', 'orders/paid', 'inventory_levels/update', 'inventory_levels/connect', 'inventory_items/update', 'variants/in_stock', 'variants/out_of_stock', 'products/update',
  'app/uninstalled', 'app_subscriptions/update', 'customers/redact', 'customers/data_request', 'shop/redact'
]

async function start (t: Test): Promise<App> {
  const app = makeApp(t, { config, env: { SHOPIFY_SECRET: SECRET } })
  await app.start()
  return app
}

let sent = 0

function post (app: App, topic: string, body: string | Buffer, more: Record<string, string> = {}): Promise<Answered> {
  const id = `id-${++sent}`
  return app.ask('POST', '/webhooks/shopify', {
    key: null,
    raw: body,
    headers: {
      'X-Shopify-Topic': topic, 'X-Shopify-Hmac-Sha256': sign(SECRET, Buffer.from(body)), 'X-Shopify-Shop-Domain': SHOP, 'X-Shopify-API-Version': '2026-10',
      'X-Shopify-Webhook-Id': id, 'X-Shopify-Event-Id': id, 'X-Shopify-Triggered-At': new Date().toISOString(), ...more
    }
  })
}

async function settled (app: App): Promise<void> { await until(async () => ((await app.ask('GET', '/v1/inbox?state=received')).body.items ?? []).length === 0) }

/** State and reason of every row. */
async function ends (app: App): Promise<string[]> { return (await app.query('select state, reason from inbox')).map(({ state, reason }) => `${String(state)} ${String(reason)}`) }

t.test('R81, R82, R84: hostile bodies are answered 200 and parked or recorded, whatever their topic; none fails', async t => {
  const app = await start(t)
  const bodies: Array<string | Buffer> = [
    `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
    `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":${i}`).join(',')}}`,
    `{"${'k'.repeat(100_000)}":1}`,
    '{"__proto__":{"variants":[],"id":1},"constructor":{"prototype":{"polluted":1}},"hasOwnProperty":1,"toString":null,"toLiquid":1}',
    '{"id":1,"id":2,"variants":[],"variants":{}}',
    '{"id":1e999,"available":-0,"inventory_quantity":123456789012345678901234567890,"variants":[{"id":0.1}]}',
    '{"id":1,"title":"\ud800","name":"a\\u0000b\\r\\nX-Evil: 1","variants":[],"line_items":[]}',
    Buffer.from('{"id":1,"title":"caf\xe9"}', 'latin1'),
    Buffer.from('{"id":1,"title":"\0"}'),
    Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
    Buffer.from('{"id":1}', 'utf16le'),
    '{"id":"1/../2","customer":[],"orders_to_redact":{"length":1e9},"app_subscription":"x","variants":"x","line_items":[[[]]]}',
    '{"a":"\u202e","b":"\u2066"',
    '{'
  ]
  for (const topic of TOPICS) {
    for (const [i, body] of bodies.entries()) t.equal((await post(app, topic, body)).status, 200, `${topic} ${i}`)
  }
  await settled(app)
  const all = await ends(app)
  t.equal(all.length, TOPICS.length * bodies.length)
  t.strictSame(new Set(all.filter(end => /translation_failed|crashed_gateway|event_refused/.test(end))), new Set())
  t.equal(({} as Body).polluted, undefined)
  t.notOk(app.lines.some(line => line.includes('X-Evil')), 'nor does one reach the log')
  t.strictSame((await app.ask('GET', '/v1/deliveries')).body.items, [])
})

t.test('R87: what was signed is kept byte for byte, so that its signature is right again', async t => {
  const app = await start(t)
  const space = fc.constantFrom('', ' ', '\n', '\t\r\n  ')
  const body = fc.tuple(space, fc.dictionary(fc.string({ unit: 'binary' }).filter(key => key !== '__proto__'), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 5 }), space, fc.boolean())
    .map(([before, value, after, wide]) => `${before}${JSON.stringify(value, null, wide ? 2 : 0)}${after}`)
  await fc.assert(fc.asyncProperty(body, async text => {
    const id = `bytes-${sent}`
    if ((await post(app, 'never/heard_of', text, { 'X-Shopify-Webhook-Id': id })).status !== 200) return false
    const [row] = await app.query(`select body, headers from inbox where headers like '%"${id}"%'`)
    return row?.body === text && isSigned(sign(SECRET, Buffer.from(text)), [SECRET], Buffer.from(String(row.body)))
  }), { numRuns: 40 })
})

t.test('attacks 1 to 3: of every topic, what is not signed, or was changed, is the same 401, and leaves nothing', async t => {
  const app = await start(t)
  for (const topic of TOPICS) {
    const body = '{"id":1,"shop_domain":"example-shop.myshopify.com","customer":{"id":1},"updated_at":"2026-11-16T09:30:04-05:00"}'
    for (const signature of ['', 'x'.repeat(44), sign('another_app_secret_0001', Buffer.from(body)), sign(SECRET, Buffer.from(`${body} `))]) {
      t.equal((await post(app, topic, body, { 'X-Shopify-Hmac-Sha256': signature })).status, 401, topic)
    }
  }
  t.strictSame(await ends(app), [])
})

t.test('attack 6: a second body under one id is a warning in the log, and the first stays', async t => {
  const app = await start(t)
  const one = { 'X-Shopify-Webhook-Id': 'one' }
  await post(app, 'app/uninstalled', '{"id":548380009}', one)
  t.match(await post(app, 'app/uninstalled', '{"id":548380009}', one), { status: 200, body: { status: 'repeat' } })
  t.match(await post(app, 'app/uninstalled', '{"id":548380010}', one), { status: 200, body: { status: 'repeat' } })
  const warning = await app.logged(({ msg }) => String(msg).includes('another body'))
  t.match(warning, { level: 40, from: 'shopify', topic: 'app/uninstalled', shop: SHOP, webhook: 'one' })
  t.equal(app.lines.filter(line => line.includes('another body')).length, 1)
  t.strictSame((await app.query('select body from inbox')).map(({ body }) => body), ['{"id":548380009}'])
})

t.test('R66: while events of the gateway\'s own callers come in heaps, every webhook is answered 200 and worked on once', async t => {
  const app = await start(t)
  const level = (n: number): string => JSON.stringify({ id: 44_000_000_000_000 + n % 50, product_id: 8, inventory_quantity: n, updated_at: new Date(Date.UTC(2026, 9, 1) + n * 1000).toISOString() })
  const heaps = Array.from({ length: 10 }, async (_, i) => {
    for (let k = 0; k < 2; k++) await app.post(Array.from({ length: 100 }, (_, j) => anEvent(`heap-${i}-${k}-${j}`, { shop: SHOP })))
  })
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => post(app, n % 2 === 0 ? 'variants/in_stock' : 'variants/out_of_stock', level(n))))
  t.ok(answers.every(({ status, body }) => status === 200 && body.status === 'received'))
  await Promise.all(heaps)
  await settled(app)
  const rows = await app.query('select state, reason, count(*) as n from inbox group by state, reason')
  t.equal(rows.reduce((sum, { n }) => sum + Number(n), 0), 200)
  t.ok(rows.every(({ state, reason }) => (state === 2 && reason === null) || reason === 'older'), JSON.stringify(rows))
  const kept = await app.query('select variant, quantity from shopify_items order by variant')
  t.strictSame(kept.map(({ quantity }) => Number(quantity)), Array.from({ length: 50 }, (_, i) => 150 + i), 'and of each variant the newest stays')
})
