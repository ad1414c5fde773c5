// The three ways by which a line of an order is known as a preorder, and what is made of an order whose making was never told.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { LookUps, OrderLineFound, PlanFound } from './look-ups.ts'
import { orderJobs } from './again.ts'
import { Fake, NOBODY, NOW, rowOf, type Came, type FakeOptions } from './context.test-fake.ts'
import { newOrder } from './orders.ts'

type Json = Record<string, unknown>
interface Order extends Json { line_items: Json[] }

const TEXT = readFileSync(join(import.meta.dirname, 'fixtures/orders-create.preorder.json'), 'utf8')
const PLAN = '3123456789'
const PREORDER: PlanFound = { category: 'PRE_ORDER', timeline: null }
const DAY_MS = 24 * 3_600_000
const MADE_AT = Date.parse('2026-11-16T15:15:00Z')

function start (t: Test, options: FakeOptions = {}): Fake {
  const fake = new Fake(options)
  t.teardown(() => { fake.close() })
  return fake
}

function orderOf (edit: (order: Order) => void = () => {}): Order {
  const order = JSON.parse(TEXT) as Order
  edit(order)
  return order
}

/** Look-ups that know some plans, and keep what they were asked. */
function plansOf (known: Record<string, PlanFound>): { asked: string[][], lookUps: Partial<LookUps> } {
  const asked: string[][] = []
  return { asked, lookUps: { async sellingPlans (_shop, ids) { asked.push(ids); return new Map(ids.flatMap(id => known[id] === undefined ? [] : [[id, known[id]]])) } } }
}

const confirmation = ({ accepted }: Came): Json | undefined => accepted.find(({ type }) => type === 'preorder.confirmed')?.data
const titles = (came: Came): unknown[] | undefined => (confirmation(came)?.products as Json[] | undefined)?.map(({ title }) => title)

t.test('F6: a line with a selling plan is a preorder if the plan is one; all of an order are one message', async t => {
  const { asked, lookUps } = plansOf({ [PLAN]: PREORDER })
  const came = await start(t, { lookUps }).work(rowOf('orders/create', orderOf()))
  t.strictSame(titles(came), ['Floral Shirt', 'Linen Dress'])
  t.strictSame(came.accepted.map(({ type }) => type), ['order.placed', 'preorder.confirmed'])
  t.match(came.result, { is: 'events', reason: 'test_order' })
  t.strictSame(asked, [[PLAN]])
  const other = await start(t, plansOf({ [PLAN]: { category: 'SUBSCRIPTION', timeline: 'Every month' } })).work(rowOf('orders/create', orderOf()))
  t.strictSame(titles(other), ['Linen Dress'], 'a subscription has a plan too')
  t.notOk(Object.hasOwn(confirmation(other) ?? {}, 'shipping_timeline'))
})

t.test('a plan that nobody can be asked about is not believed; asked again later, the confirmation that lacks is made', async t => {
  const fake = start(t)
  const order = orderOf(o => { o.line_items = [o.line_items[0] as Json] })
  const row = rowOf('orders/create', order)
  t.match((await fake.work(row)).result, { is: 'events', reason: 'selling_plan_unresolved', events: [{ type: 'order.placed' }] })
  const { lookUps } = plansOf({ [PLAN]: PREORDER })
  const later = start(t, { lookUps })
  t.strictSame(titles(await later.work(row)), ['Floral Shirt'])
  t.match((await start(t, plansOf({})).work(row)).result, { reason: 'selling_plan_unresolved' }, 'nor is one that the shop does not know')
})

t.test('F6: an order whose plan nobody could tell is looked at again by itself, until it is told, and confirmed once', async t => {
  let known: Record<string, PlanFound> | null = null
  const lookUps: Partial<LookUps> = { sellingPlans: async (_shop, ids) => known === null ? 'unavailable' : new Map(ids.flatMap(id => known?.[id] === undefined ? [] : [[id, known[id]]])) }
  const fake = start(t, { lookUps })
  const run = orderJobs(() => ({ ...NOBODY, ...lookUps }), work => newOrder(work, [])).shopify_order
  const row = rowOf('orders/create', orderOf(o => { o.line_items = [o.line_items[0] as Json] }))
  await fake.work(row)
  t.strictSame(fake.jobs, [{ kind: 'shopify_order', unique_key: row.id, due_at: NOW + 60_000 }])
  const job = (cursor: string | null): ReturnType<typeof run> => run({ uniqueKey: row.id, attempts: 1, cursor }, fake.context)
  const waits: unknown[] = []
  for (let cursor: string | null = null, next = await job(null); next !== null; next = await job(cursor)) {
    waits.push(next.afterMs / 60_000)
    cursor = next.cursor ?? null
  }
  t.strictSame(waits, [5, 30, 120, 360, 900])
  t.strictSame(fake.entered.map(({ type }) => type), ['order.placed'])
  known = { [PLAN]: PREORDER }
  t.equal(await job('1'), null)
  t.strictSame(fake.entered.map(({ type }) => type), ['order.placed', 'preorder.confirmed'])
  t.match(fake.entered[1], { id: 'gid://shopify/Order/5123456789012/preorder.confirmed', data: { products: [{ title: 'Floral Shirt' }] } })
  t.equal(await job('1'), null, 'run again after a crash')
  t.equal(fake.entered.length, 2)
  fake.db.exec('update inbox set body = null')
  t.equal(await job(null), null, 'what was erased is not looked at')
  known = { [PLAN]: { category: 'SUBSCRIPTION', timeline: null } }
  const other = start(t, { lookUps })
  await other.work(row)
  t.strictSame(other.jobs, [], 'what is known is not looked at again')
})

t.test('F6: an order that is erased while its plan is asked about does not come back', async t => {
  let erase = false
  const fake = start(t)
  const lookUps: LookUps = {
    ...NOBODY,
    async sellingPlans () {
      if (erase) fake.db.exec('update inbox set body = null')
      return new Map([[PLAN, PREORDER]])
    }
  }
  const row = rowOf('orders/create', orderOf(o => { o.line_items = [o.line_items[0] as Json] }))
  await fake.work(row)
  const job = orderJobs(() => lookUps, work => newOrder(work, [])).shopify_order
  erase = true
  t.equal(await job({ uniqueKey: row.id, attempts: 1, cursor: null }, fake.context), null)
  t.strictSame(fake.entered.map(({ type }) => type), ['order.placed'])
})

t.test('an order in which nothing depends on a plan asks nobody', async t => {
  const { asked, lookUps } = plansOf({})
  await start(t, { lookUps }).work(rowOf('orders/create', orderOf(o => { o.line_items = [o.line_items[1] as Json, o.line_items[2] as Json] })))
  t.strictSame(asked, [])
})

t.test('when it ships is what a line\'s property says, else what its plan says', async t => {
  const { lookUps } = plansOf({ [PLAN]: { category: 'PRE_ORDER', timeline: 'Ships on 1 March' } })
  t.match(confirmation(await start(t, { lookUps }).work(rowOf('orders/create', orderOf()))), { shipping_timeline: 'Ships on 1 March' })
  const said = orderOf(o => { (o.line_items[1] as Json).properties = [{ name: 'Purchase Type', value: 'Preorder' }, { name: 'Ships', value: 'In April' }] })
  t.match(confirmation(await start(t, { lookUps, options: { timeline_property: 'Ships' } }).work(rowOf('orders/create', said))), { shipping_timeline: 'In April' })
  const marked = orderOf(o => { o.line_items = [{ ...o.line_items[1], selling_plan_id: Number(PLAN) }] })
  t.match(confirmation(await start(t, { lookUps }).work(rowOf('orders/create', marked))), { shipping_timeline: 'Ships on 1 March' }, 'also of a line that a property marks')
  t.notOk(Object.hasOwn(confirmation(await start(t).work(rowOf('orders/create', marked))) ?? {}, 'shipping_timeline'), 'where nobody can be asked it goes without')
})

t.test('an order of a version that says nothing of plans is asked for its lines', async t => {
  const old = { headers: { 'api-version': '2026-04' } }
  const order = orderOf(o => { o.line_items = o.line_items.map(line => ({ ...line, selling_plan_id: undefined, properties: [] })) })
  const lines = (...plans: Array<string | null>): OrderLineFound[] => order.line_items.map(({ variant_id: variant }, i) => ({ variant: `gid://shopify/ProductVariant/${String(variant)}`, sellingPlanId: plans[i] ?? null, properties: [] }))
  const { asked, lookUps } = plansOf({ [PLAN]: PREORDER })
  const came = await start(t, { lookUps: { ...lookUps, orderLines: async (_shop, id) => id === '5123456789012' ? lines(null, `gid://shopify/SellingPlan/${PLAN}`) : 'unavailable' } }).work(rowOf('orders/create', order, old))
  t.strictSame(titles(came), ['Linen Dress'])
  t.strictSame(asked, [[PLAN]])
  const twice = { ...order, line_items: [order.line_items[0], order.line_items[0]] as Json[] }
  const [first] = lines(PLAN)
  const one = await start(t, { lookUps: { ...lookUps, orderLines: async () => [{ ...first as OrderLineFound, sellingPlanId: null }, first as OrderLineFound] } }).work(rowOf('orders/create', twice, old))
  t.strictSame(confirmation(one)?.products, [{ title: 'Floral Shirt', variant_title: 'Small / Blue', quantity: 2 }], 'of equal lines each is itself')
  t.match((await start(t).work(rowOf('orders/create', order, old))).result, { is: 'events', reason: 'selling_plan_unresolved', detail: /could not be asked/ })
  const marked = { ...order, line_items: [{ ...order.line_items[0], properties: [{ name: '_stoq_preorder_source', value: 'x' }] }] }
  t.match((await start(t).work(rowOf('orders/create', marked, old))).result, { is: 'events', reason: 'test_order' }, 'where all are known nobody is asked')
})

t.test('a payment is no news of an order that was told; of one that was not it makes the same events, once', async t => {
  const paid = (order: Order = orderOf()): ReturnType<typeof rowOf> => rowOf('orders/paid', { ...order, financial_status: 'paid' })
  const fake = start(t)
  const made = await fake.work(rowOf('orders/create', orderOf()))
  t.match((await fake.work(paid())).result, { is: 'recorded', reason: 'order_known' })
  const lost = start(t)
  const came = await lost.work(paid())
  t.strictSame(came.accepted, made.accepted)
  t.match(came.result, { is: 'events', detail: /had not been told before/ })
  t.match(await lost.work(rowOf('orders/create', orderOf())), { accepted: [], conflicts: [] }, 'and the other one, late, adds nothing')
  t.match((await start(t).work(rowOf('orders/paid', orderOf(), { receivedAt: MADE_AT + 4 * DAY_MS }))).result, { is: 'recorded', reason: 'order_known', detail: /three days/ }, 'the balance of a preorder may be paid months later')
  t.match((await start(t).work(paid(orderOf(o => { o.cancelled_at = '2026-11-16T10:15:01-05:00' })))).result, { is: 'recorded', reason: 'order_cancelled' })
  t.match((await start(t).work(rowOf('orders/paid', { id: 1 }))).result, { is: 'parked', reason: 'not_an_order' })
  t.match((await start(t).work(rowOf('orders/paid', orderOf(o => { delete o.order_status_url }), { shop: 'nobody.myshopify.com' }))).result, { is: 'parked', reason: 'shop_unknown' })
})
