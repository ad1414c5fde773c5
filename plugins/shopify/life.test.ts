// The life of a shop, what it pays for, and the requests of its customers.

import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { loadEventSchemas } from '../../gateway/events/schemas.ts'
import type { SourceEvent } from '../../gateway/define.ts'
import { files, ROOT, shippedConfig } from '../../test/helpers/providers.ts'
import { Fake, OTHER_SHOP, rowOf, SHOP, type FakeOptions } from './context.test-fake.ts'
import { privacy } from './privacy.ts'

type Json = Record<string, unknown>

const TYPES = ['shop.updated', 'customer.redact', 'customer.data_request', 'shop.redact']
const { schemas } = loadEventSchemas(Object.fromEntries(TYPES.map(type => [type, { schema: join(ROOT, `schemas/events/${type}.schema.json`) }])), files(), shippedConfig())
const PLANS = { plans: { 'sms-pro': 'pro', 'Everything': 'unlimited' } }
const FIRST = '2026-11-16T14:30:00.000Z'

function start (t: Test, options: FakeOptions = {}): Fake {
  const fake = new Fake(options)
  t.teardown(() => { fake.close() })
  return fake
}

/** The data, which fits its schema. */
function checked (events: readonly SourceEvent[]): Json[] {
  for (const { type, data } of events) {
    const faults = schemas.get(type)?.faults(data)
    if (faults?.length !== 0) throw new Error(`${type}: ${JSON.stringify(faults)}`)
  }
  return events.map(({ data }) => data)
}

const subscription = (more: Json = {}): Json => ({ app_subscription: { admin_graphql_api_id: 'gid://shopify/AppSubscription/1', name: 'Webhook Test', status: 'ACTIVE', plan_handle: 'sms-pro', updated_at: '2026-11-16T09:30:00-05:00', ...more } })
/** As one reads it who heeds times. */
const planOf = (fake: Fake): unknown => checked(fake.entered).filter(({ plan }) => plan !== undefined).toSorted((a, b) => String(a.at) < String(b.at) ? -1 : 1).at(-1)?.plan

t.test('F7: an uninstall is told with the time of its header; twice, it is the same', async t => {
  const fake = start(t)
  const gone = (id: string) => rowOf('app/uninstalled', { id: 548380009, updated_at: null }, { headers: { 'webhook-id': id, 'triggered-at': FIRST } })
  const first = await fake.work(gone('1'))
  t.match(first.accepted, [{ type: 'shop.updated', timeAt: Date.parse(FIRST) }])
  t.strictSame(checked(first.accepted), [{ status: 'uninstalled', at: FIRST }])
  t.match(await fake.work(gone('2')), { accepted: [], conflicts: [] })
  t.strictSame(checked((await start(t).work(rowOf('app/uninstalled', {}))).accepted), [{ status: 'uninstalled', at: '2026-11-16T15:15:05.000Z' }], 'a sign without a time counts from when it came')
})

t.test('B4: what a subscription pays for is the shop\'s plan, by handle or by name; one that ends leaves the free one', async t => {
  for (const [more, plan] of [[{}, 'pro'], [{ plan_handle: null, name: 'Everything' }, 'unlimited'], [{ plan_handle: 'unheard-of', name: 'Everything' }, 'unlimited'], [{ status: 'active' }, 'pro']] as const) {
    t.match(checked((await start(t, { options: PLANS }).work(rowOf('app_subscriptions/update', subscription(more)))).accepted), [{ plan }], plan)
  }
  for (const status of ['CANCELLED', 'EXPIRED', 'FROZEN', 'DECLINED']) t.match(checked((await start(t, { options: { ...PLANS, free_plan: 'none' } }).work(rowOf('app_subscriptions/update', subscription({ status })))).accepted), [{ plan: 'none' }], status)
  const fake = start(t, { options: PLANS })
  for (const status of ['PENDING', 'ACCEPTED', 'never heard of']) t.match((await fake.work(rowOf('app_subscriptions/update', subscription({ status })))).result, { is: 'recorded', reason: 'subscription_pending' }, status)
  t.match((await fake.work(rowOf('app_subscriptions/update', subscription({ plan_handle: 'unheard-of' })))).result, { is: 'parked', reason: 'plan_unknown', detail: /"unheard-of", "Webhook Test"/ })
  for (const plan_handle of ['constructor', '__proto__', 'toString']) t.match((await fake.work(rowOf('app_subscriptions/update', subscription({ plan_handle })))).result, { is: 'parked', reason: 'plan_unknown' }, plan_handle)
  for (const body of [{}, { app_subscription: null }, subscription({ admin_graphql_api_id: 7.5 }), subscription({ status: null })]) t.match((await fake.work(rowOf('app_subscriptions/update', body))).result, { is: 'parked', reason: 'not_a_subscription' }, JSON.stringify(body))
  t.match((await start(t).work(rowOf('app_subscriptions/update', subscription({ status: 'CANCELLED' })))).result, { is: 'recorded', reason: 'plans_not_declared' }, 'where nobody declares plans none is taken away')
})

t.test('a change of plan, told in any order and more than once, ends with the newest subscription that pays', async () => {
  const at = (second: number): string => `2026-11-16T09:30:0${second}-05:00`
  const [old, fresh] = ['gid://shopify/AppSubscription/1', 'gid://shopify/AppSubscription/2']
  const story = [
    subscription({ admin_graphql_api_id: old, updated_at: at(1) }),
    subscription({ admin_graphql_api_id: fresh, status: 'PENDING', plan_handle: 'Everything', updated_at: at(2) }),
    subscription({ admin_graphql_api_id: fresh, plan_handle: 'Everything', updated_at: at(3) }),
    subscription({ admin_graphql_api_id: old, status: 'CANCELLED', updated_at: at(4) }),
    subscription({ admin_graphql_api_id: 'gid://shopify/AppSubscription/3', status: 'DECLINED', updated_at: at(5) })
  ]
  const order = fc.array(fc.nat({ max: story.length - 1 }), { maxLength: 5 }).chain(more => fc.shuffledSubarray([...story.keys()], { minLength: story.length }).map(all => [...all, ...more]))
  await fc.assert(fc.asyncProperty(order, fc.boolean(), async (order, together) => {
    const fake = new Fake({ options: { plans: { 'sms-pro': 'pro', 'Everything': 'unlimited' } } })
    try {
      const works = order.map(i => () => fake.work(rowOf('app_subscriptions/update', story[i])))
      if (together) await Promise.all(works.map(work => work()))
      else for (const work of works) await work()
      return planOf(fake) === 'unlimited'
    } finally {
      fake.close()
    }
  }), { numRuns: 200 })
})

t.test('what is told of plans later counts later, also within one second', async t => {
  const fake = start(t, { options: PLANS })
  for (const [id, status] of [[1, 'ACTIVE'], [2, 'CANCELLED'], [1, 'FROZEN'], [1, 'ACTIVE']] as const) await fake.work(rowOf('app_subscriptions/update', subscription({ admin_graphql_api_id: `gid://shopify/AppSubscription/${id}`, status })))
  const told = checked(fake.entered)
  t.strictSame(told.map(({ plan }) => plan), ['pro', 'pro', 'free', 'pro'])
  t.strictSame(told.map(({ at }) => at), ['2026-11-16T14:30:00.001Z', '2026-11-16T14:30:00.002Z', '2026-11-16T14:30:00.003Z', '2026-11-16T14:30:00.004Z'])
})

t.test('a subscription that has ended leaves the free plan, and one that is paid again brings it back', async t => {
  const fake = start(t, { options: PLANS })
  for (const [status, second, plan] of [['ACTIVE', 1, 'pro'], ['FROZEN', 2, 'free'], ['ACTIVE', 3, 'pro'], ['CANCELLED', 4, 'free'], ['ACTIVE', 3, 'free']] as const) {
    await fake.work(rowOf('app_subscriptions/update', subscription({ status, updated_at: `2026-11-16T09:30:0${second}-05:00` })))
    t.equal(planOf(fake), plan, `${status} ${second}`)
  }
})

t.test('attack 5: another shop\'s subscription pays for nothing here', async t => {
  const fake = start(t, { options: PLANS })
  await fake.work(rowOf('app_subscriptions/update', subscription()))
  t.match((await fake.work(rowOf('app_subscriptions/update', subscription({ updated_at: '2026-11-17T09:30:00-05:00' }), { shop: OTHER_SHOP }))).result, { is: 'parked', reason: 'shop_mismatch' })
  t.equal(fake.entered.length, 1)
})

t.test('F7: customers/redact and customers/data_request name the person as the platform has them', async t => {
  const customer = { id: 191167, email: 'john@example.com', phone: '201-555-0119' }
  const fake = start(t, { options: { country: 'GB' } })
  const redact = await fake.work(rowOf('customers/redact', { shop_domain: SHOP, customer, orders_to_redact: [299938, 280263, 299938] }))
  t.strictSame(checked(redact.accepted), [{ customer: { id: '191167', email: 'john@example.com', phone: '201-555-0119', country: 'GB' }, orders: ['299938', '280263'] }])
  t.equal(redact.accepted[0]?.type, 'customer.redact')
  const request = await fake.work(rowOf('customers/data_request', { shop_domain: SHOP, customer, orders_requested: [1], data_request: { id: 9999 } }))
  t.match(request.accepted, [{ type: 'customer.data_request', data: { orders: ['1'], request_id: '9999' } }])
  checked(request.accepted)
  t.match((await fake.work(rowOf('customers/redact', { customer: { email: 'a@example.com' } }))).accepted, [{ data: { customer: { email: 'a@example.com' }, orders: [] } }])
  t.match((await fake.work(rowOf('customers/redact', { customer: null, orders_to_redact: ['820982911946154508'] }))).accepted, [{ data: { customer: {}, orders: ['820982911946154508'] } }])
  for (const body of [{}, { customer: {} }, { customer: 'x', orders_to_redact: 'y' }, { customer: { id: -1, email: '', phone: 7 }, orders_to_redact: [null, {}, 'x'] }]) {
    t.match((await fake.work(rowOf('customers/redact', body))).result, { is: 'parked', reason: 'nobody_named' }, JSON.stringify(body))
  }
})

t.test('a request that comes again later is another one, and one of very many orders is several events', async t => {
  const fake = start(t)
  const body = { customer: { id: 1 }, orders_to_redact: Array.from({ length: 2500 }, (_, i) => i + 1) }
  const row = rowOf('customers/redact', body)
  const first = await fake.work(row)
  t.strictSame(checked(first.accepted).map(({ orders }) => (orders as unknown[]).length), [1000, 1000, 500])
  t.equal((await fake.work(row)).accepted.length, 0, 'the same row once more is the same')
  t.equal((await fake.work(rowOf('customers/redact', body))).accepted.length, 3)
})

t.test('F7: shop/redact erases the shop; an old one that is sent again, without another uninstall, does not', async t => {
  const fake = start(t)
  const at = (day: number): { headers: Record<string, string> } => ({ headers: { 'triggered-at': `2026-11-${day}T12:00:00Z`, 'webhook-id': `day ${day}` } })
  const redact = { shop_id: 954889, shop_domain: SHOP }
  t.match(checked((await fake.work(rowOf('shop/redact', redact, at(10)))).accepted), [{ at: '2026-11-10T12:00:00.000Z' }], 'also where the uninstall was never told')
  t.match((await fake.work(rowOf('shop/redact', redact, at(10)))).result, { is: 'events' }, 'the same row again is the same')
  for (const day of [9, 11]) t.match((await fake.work(rowOf('shop/redact', redact, at(day)))).result, { is: 'parked', reason: 'redacted_before' }, 'attack 5')
  await privacy.forgetShop(1, fake.context)
  t.match((await fake.work(rowOf('shop/redact', redact, at(12)))).result, { is: 'parked', reason: 'redacted_before' }, 'which is remembered when all else is gone')
  await fake.work(rowOf('app/uninstalled', {}, at(13)))
  t.match((await fake.work(rowOf('shop/redact', redact, at(15)))).accepted, [{ type: 'shop.redact' }])
})

t.test('what is kept of a shop goes with it', async t => {
  const fake = start(t, { options: PLANS })
  await fake.work(rowOf('app_subscriptions/update', subscription()))
  await fake.work(rowOf('products/update', { id: 1, variants: [{ id: 2, inventory_item_id: 3, inventory_quantity: 4 }] }))
  await fake.work(rowOf('products/update', { id: 5, variants: [{ id: 6, inventory_item_id: 7, inventory_quantity: 8 }] }, { shop: OTHER_SHOP }))
  const left = (): unknown[] => ['shopify_items', 'shopify_products', 'shopify_billing'].map(table => fake.db.prepare(`select count(*) as n from ${table}`).get()?.n)
  t.strictSame(left(), [2, 2, 1])
  await privacy.redact({ persons: [], emails: [], customerIds: ['1'], orderIds: [] }, 1, fake.context)
  t.equal(await privacy.export({ persons: [], emails: [], customerIds: ['1'], orderIds: [] }, 1, fake.context), null)
  t.strictSame(left(), [2, 2, 1], 'none of it is about people')
  await privacy.forgetShop(1, fake.context)
  t.strictSame(left(), [1, 1, 0])
})

t.test('a shop that does not exist here is told so, whatever the topic', async t => {
  const fake = start(t, { options: PLANS })
  for (const [topic, body] of [['app/uninstalled', {}], ['app_subscriptions/update', subscription()], ['shop/redact', {}]] as const) {
    t.match((await fake.work(rowOf(topic, body, { shop: 'nobody.myshopify.com' }))).result, { is: 'parked', reason: 'shop_unknown' }, topic)
  }
})
