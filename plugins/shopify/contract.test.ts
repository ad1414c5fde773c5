// Shopify's documented bodies and a composed story, through signed HTTP at the real gateway: each has its effect, twice it has it once,
// and in any order it ends right.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { CONFIG, makeApp, movable, ROOT, until, type Answered, type App, type Body } from '../../test/helpers/app.ts'
import { sign } from './verify.ts'

const SAMPLES = join(import.meta.dirname, '../../../shared/reference/shopify')
const SHOP = 'example-shop.myshopify.com'
const SECRET = 'shopify_test_client_secret_0001'
const NOW = '2026-11-16T15:20:00Z'
const TYPES = ['order.placed', 'stock.changed', 'product.updated', 'shop.updated', 'customer.redact', 'customer.data_request', 'shop.redact']
const SOURCE = `sources:\n  shopify: { path: ${import.meta.dirname}, secrets: { client_secret: { env: SHOPIFY_SECRET } }, options: { plans: { plan-123: pro } } }\n`
const config = `${CONFIG.replaceAll('acme.example', SHOP).replace('event_types:\n', `event_types:\n${TYPES.map(type => `  ${type}: { schema: ${ROOT}/schemas/events/${type}.schema.json }\n`).join('')}`)}${SOURCE}`

interface Sample { file: string, headers: Record<string, string> }

const bodyOf = ({ file }: Sample): string => readFileSync(join(SAMPLES, file), 'utf8')
const samples = existsSync(join(SAMPLES, 'headers.json')) ? (JSON.parse(readFileSync(join(SAMPLES, 'headers.json'), 'utf8')) as { deliveries: Sample[] }).deliveries : []
const story = samples.filter(({ file }) => file.startsWith('composed/'))
const skip = samples.length === 0 && 'their files are not here'
if (skip) t.comment(`${SAMPLES} is not here: Shopify's own bodies are not tried, only those of this folder`)

/** The time of the story, going on. */
function storyTime (): ReturnType<typeof movable> {
  const clock = movable()
  clock.advance(Date.parse(NOW) - Date.now())
  return clock
}

async function start (t: Test, { runtime } = storyTime()): Promise<App> {
  const app = makeApp(t, { config, env: { SHOPIFY_SECRET: SECRET }, runtime })
  await app.start()
  return app
}

const send = (app: App, headers: Record<string, string>, body: string | Buffer): Promise<Answered> => app.ask('POST', '/webhooks/shopify', { key: null, raw: body, headers })

/** Of one delivery, as soon as it was worked on. */
async function rowOf (app: App, filter: string, count = 1): Promise<Body[]> {
  let items: Body[] = []
  await until(async () => {
    items = (await app.ask('GET', `/v1/inbox?limit=100&${filter}`)).body.items ?? []
    return items.length >= count && items.every(({ state }) => state !== 'received')
  })
  return items
}

interface Event { type: string, id: string, data: Body }

async function events (app: App): Promise<Event[]> {
  const rows = await app.query('select type, source_id, data from events order by event_key')
  return rows.map(({ type, source_id: id, data }) => ({ type: String(type), id: String(id), data: JSON.parse(String(data)) as Body }))
}

const VARIANT = { id: '642667041472713922' }
const PRODUCT = { id: '788032119674292922' }
const CUSTOMER = { id: '191167', email: 'john@example.com', phone: '555-625-1199' }
/** What each documented body is for, alone at a shop that nothing is known of. */
const EFFECTS: Record<string, { state: string, reason?: string, events?: object[] }> = {
  'variants-in_stock.json': { state: 'done', events: [{ type: 'stock.changed', data: { variant: VARIANT, product: PRODUCT, available: 75, at: '2021-12-31T00:00:00.999Z' } }] },
  'variants-out_of_stock.json': { state: 'done', events: [{ type: 'stock.changed', data: { variant: VARIANT, product: PRODUCT, available: 0 } }] },
  'inventory_levels-update.json': { state: 'recorded', reason: 'stock_untold' },
  'inventory_items-update.json': { state: 'recorded', reason: 'item_noted' },
  'products-update.json': { state: 'done', events: [{ type: 'product.updated', data: { product: { ...PRODUCT, title: 'Example T-Shirt', vendor: 'Acme', available: true }, variants: [{ ...VARIANT, title: 'Small', price: '19.99' }] } }, { type: 'stock.changed', data: { variant: VARIANT, available: 75 } }, { type: 'stock.changed', data: { product: PRODUCT } }] },
  'orders-create.json': { state: 'recorded', reason: 'order_cancelled' },
  'orders-paid.json': { state: 'recorded', reason: 'order_known' },
  'app-uninstalled.json': { state: 'done', events: [{ type: 'shop.updated', data: { status: 'uninstalled', at: '2026-11-16T14:30:06.123Z' } }] },
  'app_subscriptions-update.json': { state: 'recorded', reason: 'subscription_pending' },
  'customers-data_request.json': { state: 'done', events: [{ type: 'customer.data_request', data: { customer: CUSTOMER, orders: ['299938', '280263', '220458'], request_id: '9999' } }] },
  'customers-redact.json': { state: 'done', events: [{ type: 'customer.redact' }] }, // what it names is erased, with itself
  'shop-redact.json': { state: 'done', events: [{ type: 'shop.redact' }] }
}

t.test('F2, F7: every documented body has its effect, and sent again it has it once', { skip }, async t => {
  const documented = samples.filter(sample => !story.includes(sample))
  t.strictSame(documented.map(({ file }) => file).toSorted(), Object.keys(EFFECTS).toSorted())
  for (const sample of documented) {
    const app = await start(t)
    const effect = EFFECTS[sample.file]
    t.match(await send(app, sample.headers, bodyOf(sample)), { status: 200, body: { status: 'received' } }, sample.file)
    t.match(await rowOf(app, ''), [{ state: effect?.state, ...(effect?.reason && { reason: effect.reason }) }], sample.file)
    t.match(await events(app), effect?.events ?? [], sample.file)
    t.equal((await events(app)).length, effect?.events?.length ?? 0)
    t.match(await send(app, sample.headers, bodyOf(sample)), { status: 200, body: { status: 'repeat' } })
    t.equal((await rowOf(app, '')).length, 1)
    await app.close()
  }
})

t.test('the composed story has its effects, and each delivery again under other ids adds nothing', { skip }, async t => {
  const app = await start(t)
  for (const sample of story) {
    t.match(await send(app, sample.headers, bodyOf(sample)), { status: 200, body: { status: 'received' } }, sample.file)
    await rowOf(app, `topic=${encodeURIComponent(sample.headers['X-Shopify-Topic'] as string)}`)
  }
  const told = await events(app)
  t.match(told.map(({ type, data }) => [type, data.available ?? null]), [
    ['stock.changed', 0], ['stock.changed', 12], ['product.updated', null], ['stock.changed', 0], ['order.placed', null], ['preorder.confirmed', null]
  ])
  await until(async () => (await app.received('courier')).length > 0)
  for (const [i, { headers, file }] of story.entries()) {
    t.match(await send(app, { ...headers, 'X-Shopify-Webhook-Id': `fresh-${i}`, 'X-Shopify-Event-Id': `fresh-${i}`, 'X-Shopify-Triggered-At': NOW }, bodyOf({ headers, file })), { status: 200, body: { status: 'repeat' } }, file)
  }
  t.strictSame(await events(app), told)
  t.match((await app.received('courier')).map(({ body }) => (body as { data: { properties: Body } }).data.properties.order_name), ['#1001'])
})

t.test('what was told before decides what is told next: stock, pages and plans', async t => {
  const app = await start(t)
  let n = 0
  const post = async (topic: string, body: object): Promise<Body | undefined> => {
    const [raw, id] = [JSON.stringify(body), `id-${++n}`]
    await send(app, { 'X-Shopify-Topic': topic, 'X-Shopify-Hmac-Sha256': sign(SECRET, Buffer.from(raw)), 'X-Shopify-Shop-Domain': SHOP, 'X-Shopify-API-Version': '2026-10', 'X-Shopify-Webhook-Id': id, 'X-Shopify-Triggered-At': NOW }, raw)
    return (await rowOf(app, ''))[0]
  }
  const product = (second: number, quantity: number): object => ({ id: 7001, title: 'Shirt', status: 'active', updated_at: `2026-11-16T15:00:0${second}Z`, variants: [{ id: 8001, inventory_item_id: 9001, inventory_quantity: quantity }] })
  t.match(await post('products/update', product(1, 5)), { state: 'done', events: [{ type: 'product.updated' }, { type: 'stock.changed' }] })
  t.match(await post('products/update', product(3, 5)), { state: 'recorded', reason: 'product_unchanged' })
  t.match(await post('products/update', product(2, 0)), { state: 'recorded', reason: 'older' })
  t.match(await post('variants/out_of_stock', { id: 8001, product_id: 7001, inventory_quantity: 0, updated_at: '2026-11-16T15:00:02Z' }), { state: 'recorded', reason: 'older' })
  t.match(await post('inventory_levels/update', { inventory_item_id: 9001, location_id: 1, available: 5, updated_at: '2026-11-16T15:00:04Z' }), { state: 'done', events: [{ type: 'stock.changed' }] })
  t.match(await post('products/update', product(5, 5)), { state: 'done', events: [{ type: 'stock.changed' }] })
  const subscription = (id: number, status: string, second: number): object => ({ app_subscription: { admin_graphql_api_id: `gid://shopify/AppSubscription/${id}`, status, plan_handle: 'plan-123', updated_at: `2026-11-16T15:00:0${second}Z` } })
  for (const [id, status, second, plan] of [[1, 'ACTIVE', 1, 'pro'], [2, 'ACTIVE', 2, 'pro'], [1, 'CANCELLED', 3, 'pro'], [2, 'FROZEN', 4, 'free']] as const) {
    t.match(await post('app_subscriptions/update', subscription(id, status, second)), { state: 'done', events: [{ type: 'shop.updated' }] })
    t.match((await events(app)).at(-1), { data: { plan } }, `${id} ${status}`)
  }
})

t.test('F6: an order with a plan that nobody could tell is looked at again by a job, and what was confirmed is not confirmed twice', async t => {
  const clock = storyTime()
  const app = await start(t, clock)
  const raw = readFileSync(join(import.meta.dirname, 'fixtures/orders-create.preorder.json'), 'utf8')
  await send(app, { 'X-Shopify-Topic': 'orders/create', 'X-Shopify-Hmac-Sha256': sign(SECRET, Buffer.from(raw)), 'X-Shopify-Shop-Domain': SHOP, 'X-Shopify-API-Version': '2026-10', 'X-Shopify-Webhook-Id': 'one' }, raw)
  const [row] = await rowOf(app, '')
  t.match(row, { state: 'done', reason: 'selling_plan_unresolved' })
  const job = (): Promise<Body[]> => app.query("select unique_key, cursor from jobs where kind = 'shopify_order'") as Promise<Body[]>
  t.strictSame(await job(), [{ unique_key: row?.id, cursor: null }])
  clock.advance(61_000)
  await until(async () => (await job())[0]?.cursor === '1')
  clock.advance(24 * 3_600_000)
  t.strictSame((await events(app)).map(({ type }) => type), ['order.placed', 'preorder.confirmed'])
})

/** The story with ids of its own, signed anew. */
function told (sample: Sample, n: number): { headers: Record<string, string>, body: string } {
  const body = bodyOf(sample).replaceAll('123456789', `${n}456789`)
  return { headers: { ...sample.headers, 'X-Shopify-Webhook-Id': `${sample.file} ${n}`, 'X-Shopify-Event-Id': `${sample.file} ${n}`, 'X-Shopify-Hmac-Sha256': sign(SECRET, Buffer.from(body)) }, body }
}

t.test('the story told in any order, in part more than once, ends with the same stock, product, order and confirmation', { skip }, async t => {
  const app = await start(t)
  const all = [...story.keys()]
  const order = fc.array(fc.constantFrom(...all), { maxLength: 4 }).chain(more => fc.shuffledSubarray(all, { minLength: all.length }).map(first => [...first, ...more]))
  let n = 99
  await fc.assert(fc.asyncProperty(order, fc.boolean(), async (order, together) => {
    const run = ++n
    const sends = order.map(i => () => { const { headers, body } = told(story[i] as Sample, run); return send(app, headers, body) })
    if (together) await Promise.all(sends.map(one => one()))
    else for (const one of sends) await one()
    await until(async () => ((await app.ask('GET', '/v1/inbox?state=received')).body.items ?? []).length === 0)
    const those = (await events(app)).filter(({ id }) => id.includes(`${run}456789`))
    const totals = those.filter(({ type, data }) => type === 'stock.changed' && data.location === undefined && (data.variant as Body).id === `44${run}456789012`)
    const newest = totals.toSorted((a, b) => String(a.data.at) < String(b.data.at) ? -1 : 1).at(-1)?.data.available
    const count = (type: string): number => those.filter(event => event.type === type).length
    t.strictSame([newest, count('product.updated'), count('order.placed'), count('preorder.confirmed')], [12, 1, 1, 1], order.join())
  }), { numRuns: 8 })
  await until(async () => (await app.received('courier')).length >= 8)
  t.equal((await app.received('courier')).length, n - 99)
})
