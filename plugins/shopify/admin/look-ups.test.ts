// Look-ups: many at once in one question, each once, kept, and never waited for long.

import t, { type Test } from 'tap'
import { SHOP, TOKEN, world, type World } from './admin.test-world.ts'
import { customerConsent } from './consent.ts'
import type { LookUps } from '../look-ups.ts'
import { lookUps } from './look-ups.ts'

const id = (n: number): string => String(800000 + n)

async function start (t: Test): Promise<World & LookUps> {
  const there = await world(t)
  await there.give()
  await there.data({
    variants: [...Array.from({ length: 120 }, (_, i) => ({ id: id(i), product: '55', quantity: i, item: String(i + 1) })), { id: '44', product: '66', quantity: 9 }],
    items: [...Array.from({ length: 120 }, (_, i) => ({ id: String(i + 1), variants: [id(i)] })), { id: '901', tracked: false, variants: [id(3)] }, { id: '902', variants: ['800050', '44'] }, { id: '903', variants: [] }],
    plans: [{ id: '31', category: 'PRE_ORDER', trigger: 'EXACT_TIME', time: '2026-12-24T10:00:00Z' }, { id: '32', category: 'PRE_ORDER', trigger: 'ASAP' }, { id: '33', category: 'SUBSCRIPTION' }]
  })
  return { ...there, ...lookUps(there.context) }
}

const counts = async ({ asked }: World): Promise<number[]> => (await asked()).map(({ body }) => (body.variables.ids as string[]).length)

t.test('an item is its variant, product and total; what is not counted has no total, and what is not there is left out', async t => {
  const there = await start(t)
  const found = await there.variants(SHOP.id, ['4', 'gid://shopify/InventoryItem/5', '901', '902', '903', '77777', 'nonsense'])
  t.strictSame(found, new Map([
    ['4', { variant: id(3), product: '55', total: 3 }],
    ['gid://shopify/InventoryItem/5', { variant: id(4), product: '55', total: 4 }],
    ['901', { variant: id(3), product: '55', total: null }],
    ['902', { variant: '44', product: '66', total: 9 }]
  ]))
})

t.test('questions of one moment go together, at most forty in one, and each item once', async t => {
  const there = await start(t)
  const all = await Promise.all(Array.from({ length: 300 }, (_, i) => there.variants(SHOP.id, [String(i % 100 + 1)])))
  t.ok(all.every((found, i) => found !== 'unavailable' && found.get(String(i % 100 + 1))?.variant === id(i % 100)))
  const questions = new Set((await there.asked()).map(({ body }) => JSON.stringify(body.variables.ids))) // one that was throttled came twice
  t.strictSame([...questions].map(ids => (JSON.parse(ids) as string[]).length).toSorted((a, b) => a - b), [20, 40, 40])
})

t.test('an item that is being asked about is not asked about again meanwhile', async t => {
  const there = await start(t)
  await there.fault({ kind: 'delay', delay_ms: 200, times: 1 })
  const first = there.variants(SHOP.id, ['1'])
  await new Promise(resolve => { setTimeout(resolve, 100) })
  t.strictSame(await there.variants(SHOP.id, ['1']), await first)
  t.strictSame(await counts(there), [1])
})

t.test('what the shop does not have is asked again after ten minutes, and no sooner', async t => {
  const there = await start(t)
  for (let i = 0; i < 3; i++) t.strictSame(await there.variants(SHOP.id, ['4444']), new Map())
  t.strictSame(await counts(there), [1])
  there.advance(601_000)
  await there.data({ items: [{ id: '4444', variants: [id(1)] }] })
  t.match(await there.variants(SHOP.id, ['4444']), new Map([['4444', { variant: id(1) }]]))
})

t.test('a plan is a preorder by its category alone, says its day where it has one, and is kept for a day', async t => {
  const there = await start(t)
  const plans = new Map([['31', { category: 'PRE_ORDER', timeline: 'Ships December 24, 2026' }], ['32', { category: 'PRE_ORDER', timeline: null }], ['33', { category: 'SUBSCRIPTION', timeline: null }]])
  for (let i = 0; i < 3; i++) t.strictSame(await there.sellingPlans(SHOP.id, ['31', '32', '33', '34']), plans)
  t.strictSame(await counts(there), [4])
  there.advance(25 * 3_600_000)
  await there.data({ plans: [{ id: '33', category: 'PRE_ORDER' }] })
  t.match(await there.sellingPlans(SHOP.id, ['33']), new Map([['33', { category: 'PRE_ORDER' }]]))
})

t.test('a question that costs too much is asked in halves', async t => {
  const there = await start(t)
  await there.fault({ kind: 'status', status: 200, body: { errors: [{ message: 'Query cost is 1050', extensions: { code: 'MAX_COST_EXCEEDED' } }] }, times: 3 })
  const found = await there.variants(SHOP.id, Array.from({ length: 40 }, (_, i) => String(i + 1)))
  t.equal(found === 'unavailable' ? 0 : found.size, 40)
  t.strictSame(await counts(there), [5, 5, 10, 20], 'forty, twenty and ten were refused')
})

t.test('one that Shopify stumbles over is not known; the others are, and it is not taken for gone', async t => {
  const there = await start(t)
  t.equal(await there.variants(SHOP.id, ['1', '500500', '2']), 'unavailable')
  t.strictSame(there.rows('select * from shopify_absent'), [])
  const [fine, spoilt] = await Promise.all([there.variants(SHOP.id, ['1']), there.variants(SHOP.id, ['500500'])])
  t.strictSame([fine === 'unavailable' ? 0 : fine.size, spoilt], [1, 'unavailable'], 'who asked for others gets them')
})

t.test('without access, without the scope, and in trouble: not available, within a few seconds', async t => {
  const there = await start(t)
  await there.data({ scopes: ['read_products'] })
  t.equal(await there.variants(SHOP.id, ['1']), 'unavailable')
  await there.data({ scopes: ['read_products', 'read_inventory'], revoked: [TOKEN] })
  t.equal(await there.variants(SHOP.id, ['1']), 'unavailable')
  t.equal(await there.variants('nobody.myshopify.com', ['1']), 'unavailable')
  t.equal(await there.orderLines(SHOP.id, '9'), 'unavailable')
})

t.test('the lines of an order, page by page, with what tells a preorder', async t => {
  const there = await start(t)
  const lines = Array.from({ length: 130 }, (_, i) => i === 129 ? { variant: id(1), plan: '31', properties: { _stoq_preorder_source: 'x', empty: '' } } : { variant: id(2) })
  await there.data({ orders: [{ id: '70', lines }, { id: '71', lines: [{}] }] })
  const found = await there.orderLines(SHOP.id, 'gid://shopify/Order/70')
  t.match(found, { length: 130 })
  t.strictSame(found[129], { variant: id(1), sellingPlanId: '31', properties: [{ name: '_stoq_preorder_source', value: 'x' }] })
  t.strictSame(await there.orderLines(SHOP.id, '71'), [{ variant: null, sellingPlanId: null, properties: [] }])
  t.strictSame(await there.orderLines(SHOP.id, '72'), [], 'one that is gone has none')
})

t.test('a customer\'s consent is told as the shop has it', async t => {
  const there = await start(t)
  const states = ['NOT_SUBSCRIBED', 'PENDING', 'SUBSCRIBED', 'UNSUBSCRIBED', 'REDACTED']
  await there.data({ customers: [...states.map((state, i) => ({ id: String(i + 1), phone: `+1201555010${i}`, state, level: 'SINGLE_OPT_IN', at: '2026-11-01T10:00:00Z' })), { id: '9' }] })
  for (const [i, state] of states.entries()) t.strictSame(await customerConsent(there.context, SHOP, String(i + 1)), { is: 'known', consent: { state, level: 'SINGLE_OPT_IN', at: Date.UTC(2026, 10, 1, 10) } })
  t.match(await customerConsent(there.context, SHOP, '9'), { is: 'known', consent: { state: null, level: null, at: null } }, 'no number')
  for (const unknown of ['10', 'x']) t.strictSame(await customerConsent(there.context, SHOP, unknown), { is: 'known', consent: null })
  await there.data({ scopes: ['read_products'] })
  t.match(await customerConsent(there.context, SHOP, '1'), { is: 'failed', fault: { code: 'access_denied', next: 'never', text: /read_customers/ } })
})
