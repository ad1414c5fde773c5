// Stock and products: what is told of a variant, when, and that it ends right in whatever order it comes.

import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { loadEventSchemas } from '../../gateway/events/schemas.ts'
import type { Received, SourceEvent } from '../../gateway/define.ts'
import { files, ROOT, shippedConfig } from '../../test/helpers/providers.ts'
import { Fake, OTHER_SHOP, rowOf, SHOP, type FakeOptions } from './context.test-fake.ts'

type Json = Record<string, unknown>

const TYPES = ['stock.changed', 'product.updated']
const { schemas } = loadEventSchemas(Object.fromEntries(TYPES.map(type => [type, { schema: join(ROOT, `schemas/events/${type}.schema.json`) }])), files(), shippedConfig())
const [ITEM, VARIANT, PRODUCT, LOCATION] = ['46123456789012', '44123456789012', '8123456789012', '71234567890']
const AT = '2026-11-16T14:30:04.000Z'

function start (t: Test, options: FakeOptions = {}): Fake {
  const fake = new Fake(options)
  t.teardown(() => { fake.close() })
  return fake
}

const level = (more: Json = {}): Json => ({ inventory_item_id: Number(ITEM), location_id: Number(LOCATION), available: 12, updated_at: '2026-11-16T09:30:04-05:00', ...more })
const variant = (more: Json = {}): Json => ({ id: Number(VARIANT), product_id: Number(PRODUCT), inventory_quantity: 12, updated_at: '2026-11-16T09:30:04-05:00', ...more })
const line = (more: Json = {}): Json => ({ id: Number(VARIANT), title: 'Medium', price: '48.00', inventory_item_id: Number(ITEM), inventory_quantity: 12, ...more })
const product = (more: Json = {}): Json => ({
  id: Number(PRODUCT), title: 'Floral Shirt', vendor: 'Acme Apparel', handle: 'floral-shirt', status: 'active', published_at: '2026-05-04T10:00:00-04:00', updated_at: '2026-11-16T09:30:04-05:00',
  image: { src: 'https://cdn.example.com/shirt.jpg' }, variants: [line()], ...more
})
const found = (total: number | null): FakeOptions => ({ lookUps: { variants: async (_shop, ids) => new Map(ids.map(id => [id, { variant: `gid://shopify/ProductVariant/${VARIANT}`, product: `gid://shopify/Product/${PRODUCT}`, total }])) } })
const FOUND = found(null)

/** The data of what entered, which fits its schema. */
function dataOf (events: readonly SourceEvent[], type = 'stock.changed'): Json[] {
  const those = events.filter(event => event.type === type)
  for (const { data } of those) {
    const faults = schemas.get(type)?.faults(data)
    if (faults?.length !== 0) throw new Error(`${type}: ${JSON.stringify(faults)}`)
  }
  return those.map(({ data }) => data)
}

t.test('F2: a level becomes stock of its variant at its location, as a product has told which it is', async t => {
  const fake = start(t)
  await fake.work(rowOf('products/update', product()))
  const came = await fake.work(rowOf('inventory_levels/update', level({ available: 7, updated_at: '2026-11-16T09:31:00-05:00' })))
  t.strictSame(dataOf(came.accepted), [{ variant: { id: VARIANT }, product: { id: PRODUCT }, location: LOCATION, available: 7, at: '2026-11-16T14:31:00.000Z' }])
  t.match(came.accepted, [{ timeAt: Date.parse('2026-11-16T14:31:00Z') }])
  const again = await fake.work(rowOf('inventory_levels/connect', level({ available: 7, updated_at: '2026-11-16T09:31:00-05:00' })))
  t.strictSame([again.accepted, again.conflicts], [[], []], 'the same by the other topic is the same')
})

t.test('a level of an item that nobody knows is looked up; where nobody can be asked the row says so, and is worked on later', async t => {
  const untracked = await start(t, FOUND).work(rowOf('inventory_levels/update', level()))
  t.strictSame(dataOf(untracked.accepted), [{ variant: { id: VARIANT }, product: { id: PRODUCT }, location: LOCATION, available: 12, at: AT }])
  const tracked = await start(t, found(20)).work(rowOf('inventory_levels/update', level()))
  t.match(dataOf(tracked.accepted), [{ location: LOCATION, available: 12 }, { variant: { id: VARIANT }, available: 20, at: '2026-11-16T15:15:05.000Z' }], 'and what there is at other locations is told with it')
  const silent = start(t)
  const row = rowOf('inventory_levels/update', level())
  t.match((await silent.work(row)).result, { is: 'recorded', reason: 'variant_unknown', detail: new RegExp(`${ITEM}.*again`) })
  await silent.work(rowOf('products/update', product({ variants: [line({ inventory_quantity: 0 })] })))
  t.match(dataOf((await silent.work(row)).accepted), [{ variant: { id: VARIANT }, available: 12 }])
  const none = start(t, { lookUps: { variants: async () => new Map() } })
  t.match((await none.work(row)).result, { is: 'recorded', reason: 'variant_unknown', detail: /no variant/ })
})

t.test('what was looked up is not looked up again', async t => {
  let asked = 0
  const fake = start(t, { lookUps: { variants: async (...given) => { asked++; return await FOUND.lookUps?.variants?.(...given) ?? 'unavailable' } } })
  for (const available of [1, 2, 3]) await fake.work(rowOf('inventory_levels/update', level({ available })))
  t.equal(asked, 1)
  t.equal(dataOf(fake.entered).length, 3)
})

t.test('an item of several variants is stock of each of them', async t => {
  const fake = start(t)
  await fake.work(rowOf('products/update', product({ variants: [line(), line({ id: 44123456789013 })] })))
  const { accepted } = await fake.work(rowOf('inventory_levels/update', level({ available: 3 })))
  t.match(dataOf(accepted), [{ variant: { id: VARIANT }, available: 3 }, { variant: { id: '44123456789013' }, available: 3 }])
})

t.test('a level that tells no number is recorded; one that is none is parked', async t => {
  const fake = start(t, FOUND)
  for (const available of [null, undefined]) t.match((await fake.work(rowOf('inventory_levels/update', level({ available })))).result, { is: 'recorded', reason: 'stock_untold' })
  for (const body of [{}, level({ inventory_item_id: null }), level({ location_id: 'x' }), level({ available: '12' }), level({ available: 1.5 }), '{"inventory_item_id":1,"location_id":2,"available":1e999}', level({ available: 1e15 })]) {
    t.match((await fake.work(rowOf('inventory_levels/connect', body))).result, { is: 'parked', reason: 'not_a_level' }, JSON.stringify(body))
  }
  t.match(dataOf((await fake.work(rowOf('inventory_levels/update', level({ available: -2 })))).accepted), [{ available: -2 }], 'more can be sold than there is')
})

t.test('which of two levels in one second is later the header tells, for that second only', async t => {
  const at = async (updated: string | null, triggered?: string): Promise<unknown> => {
    const fake = start(t, FOUND)
    const { accepted } = await fake.work(rowOf('inventory_levels/update', level({ updated_at: updated }), { headers: triggered === undefined ? {} : { 'triggered-at': triggered } }))
    return dataOf(accepted)[0]?.at
  }
  t.equal(await at('2026-11-16T09:30:04-05:00'), AT)
  t.equal(await at('2026-11-16T09:30:04-05:00', '2026-11-16T14:30:04.123456789Z'), '2026-11-16T14:30:04.123Z')
  t.equal(await at('2026-11-16T09:30:04-05:00', '2026-11-16T14:30:09Z'), '2026-11-16T14:30:04.999Z')
  t.equal(await at('2026-11-16T09:30:04-05:00', '2027-01-01T00:00:00Z'), '2026-11-16T14:30:04.999Z', 'attack 5: a fresh header makes nothing newer')
  t.equal(await at('2026-11-16T09:30:04-05:00', '2020-01-01T00:00:00Z'), AT)
  t.equal(await at(null, '2026-11-16T14:30:09.5Z'), '2026-11-16T14:30:09.500Z', 'where the body has no time the header is all there is')
  t.equal(await at(null), '2026-11-16T15:15:05.000Z')
})

t.test('a variant\'s total is what its body says, whatever its topic is called', async t => {
  for (const topic of ['variants/in_stock', 'variants/out_of_stock']) {
    const fake = start(t)
    t.strictSame(dataOf((await fake.work(rowOf(topic, variant({ inventory_quantity: 5 })))).accepted), [{ variant: { id: VARIANT }, product: { id: PRODUCT }, available: 5, at: AT }])
  }
  const fake = start(t)
  for (const body of [{}, variant({ id: null }), variant({ product_id: null }), variant({ inventory_quantity: null }), product()]) t.match((await fake.work(rowOf('variants/in_stock', body))).result, { is: 'parked', reason: 'not_a_variant' })
})

t.test('a variant as it was before what is known is recorded, and changes nothing', async t => {
  const fake = start(t)
  await fake.work(rowOf('products/update', product()))
  t.match((await fake.work(rowOf('variants/out_of_stock', variant({ inventory_quantity: 0, updated_at: '2026-11-16T09:30:03-05:00' })))).result, { is: 'recorded', reason: 'older' })
  t.match((await fake.work(rowOf('products/update', product({ updated_at: '2026-11-16T09:30:03-05:00', variants: [line({ inventory_quantity: 0 })] })))).result, { is: 'recorded', reason: 'older' })
  t.strictSame(dataOf(fake.entered).map(({ available }) => available), [12])
})

t.test('a body that shows nothing new still makes what is older than it old', async t => {
  const fake = start(t)
  await fake.work(rowOf('products/update', product()))
  t.match((await fake.work(rowOf('products/update', product({ updated_at: '2026-11-16T09:30:09-05:00' })))).result, { reason: 'product_unchanged' })
  t.match((await fake.work(rowOf('variants/out_of_stock', variant({ inventory_quantity: 0, updated_at: '2026-11-16T09:30:07-05:00' })))).result, { is: 'recorded', reason: 'older' })
})

t.test('of a product that is told late, a variant that was seen since stays as it is', async t => {
  const fake = start(t)
  await fake.work(rowOf('variants/out_of_stock', variant({ inventory_quantity: 0 })))
  const { accepted } = await fake.work(rowOf('products/update', product({ updated_at: '2026-11-16T09:30:03-05:00', variants: [line(), line({ id: 44123456789013 })] })))
  t.match(accepted.map(({ type }) => type), ['product.updated', 'stock.changed'])
  t.match(dataOf(accepted), [{ variant: { id: '44123456789013' } }])
})

t.test('an item is noted: that it is not counted any more, or that nothing follows', async t => {
  const fake = start(t)
  t.match((await fake.work(rowOf('inventory_items/update', { id: 1, tracked: false }))).result, { is: 'recorded', reason: 'not_tracked' })
  t.match((await fake.work(rowOf('inventory_items/update', { id: 1, tracked: true }))).result, { is: 'recorded', reason: 'item_noted' })
  t.match((await fake.work(rowOf('inventory_items/update', {}))).result, { is: 'parked', reason: 'not_an_item' })
})

t.test('F2: a product is told as messages show it, and its stock where it is another', async t => {
  const fake = start(t)
  const first = await fake.work(rowOf('products/update', product()))
  t.strictSame(dataOf(first.accepted, 'product.updated'), [{
    product: { id: PRODUCT, title: 'Floral Shirt', vendor: 'Acme Apparel', url: 'https://acme.example/products/floral-shirt', image_url: 'https://cdn.example.com/shirt.jpg', available: true },
    variants: [{ id: VARIANT, title: 'Medium', price: '48.00', url: `https://acme.example/products/floral-shirt?variant=${VARIANT}`, checkout_url: `https://acme.example/cart/${VARIANT}:1` }],
    at: AT
  }])
  t.strictSame(dataOf(first.accepted), [{ variant: { id: VARIANT }, product: { id: PRODUCT }, available: 12, at: AT }])
  t.match((await fake.work(rowOf('products/update', product({ updated_at: '2026-11-16T09:40:00-05:00', body_html: 'other words' })))).result, { is: 'recorded', reason: 'product_unchanged' })
  const sold = await fake.work(rowOf('products/update', product({ updated_at: '2026-11-16T09:41:00-05:00', variants: [line({ inventory_quantity: 11 })] })))
  t.match([dataOf(sold.accepted), dataOf(sold.accepted, 'product.updated')], [[{ available: 11 }], []], 'a sale is no news of the page')
  const renamed = await fake.work(rowOf('products/update', product({ updated_at: '2026-11-16T09:42:00-05:00', title: 'Shirt', variants: [line({ inventory_quantity: 11 })] })))
  t.match([dataOf(renamed.accepted), dataOf(renamed.accepted, 'product.updated')], [[], [{ product: { title: 'Shirt' } }]])
})

t.test('a total is told again after a level has changed it', async t => {
  const fake = start(t)
  await fake.work(rowOf('products/update', product()))
  await fake.work(rowOf('inventory_levels/update', level({ available: 0, updated_at: '2026-11-16T09:31:00-05:00' })))
  const { accepted } = await fake.work(rowOf('products/update', product({ updated_at: '2026-11-16T09:32:00-05:00' })))
  t.match(dataOf(accepted), [{ available: 12, at: '2026-11-16T14:32:00.000Z' }], 'the level of the restock may be lost')
})

t.test('a product that cannot be bought has no page; odd values are left out', async t => {
  const page = async (more: Json): Promise<Json | undefined> => dataOf((await start(t).work(rowOf('products/update', product(more)))).accepted, 'product.updated')[0]
  for (const more of [{ status: 'draft' }, { status: 'archived' }, { published_at: null }, { published_at: '2027-01-01T00:00:00Z' }]) {
    const told = await page(more)
    t.match(told, { product: { available: false } }, JSON.stringify(more))
    t.notOk(Object.hasOwn(told?.product as Json, 'url'))
  }
  t.match(await page({ title: null, vendor: null, image: null, handle: null }), { product: { title: 'Product', vendor: '', available: true } })
  t.strictSame((await page({ variants: [line({ title: 'Default Title', price: '1e3' }), { id: 'x' }, null, 7, line({ id: 2, title: '', price: 48 })], handle: null }))?.variants, [{ id: VARIANT }, { id: '2' }])
  t.match(await page({ image: null, images: [{ src: 'https://cdn.example.com/2.jpg' }] }), { product: { image_url: 'https://cdn.example.com/2.jpg' } })
  for (const src of ['javascript:alert(1)', '/x.jpg', 'http://', 'https://exa mple.com/x']) t.notOk(Object.hasOwn((await page({ image: { src } }))?.product as Json, 'image_url'), src)
  t.match(await page({ handle: 'a/../b?c#d é' }), { product: { url: 'https://acme.example/products/a%2F..%2Fb%3Fc%23d%20%C3%A9' } })
  for (const body of [{}, { id: 1 }, { id: 1, variants: {} }, { variants: [] }]) t.match((await start(t).work(rowOf('products/update', body))).result, { is: 'parked', reason: 'not_a_product' })
})

t.test('a product of very many variants: those that are shown count, and the row says how many are not', async t => {
  const fake = start(t)
  const lines = Array.from({ length: 2048 }, (_, i) => line({ id: 44_000_000_000_000 + i, inventory_item_id: 46_000_000_000_000 + i, title: '花'.repeat(255) }))
  const { result, accepted } = await fake.work(rowOf('products/update', product({ variants: lines.slice(0, 100), variant_gids: lines.map(({ id }) => ({ admin_graphql_api_id: `gid://shopify/ProductVariant/${String(id)}` })) })))
  t.match(result, { is: 'events', reason: 'variants_beyond', detail: /^1948 more variants/ })
  t.equal(dataOf(accepted).length, 100)
  const [told] = dataOf(accepted, 'product.updated')
  t.ok(Buffer.byteLength(JSON.stringify(told)) < 64 * 1024)
  t.match((result as { detail: string }).detail, 'did not fit')
  t.equal((await fake.work(rowOf('products/update', product({ variants: lines, updated_at: '2026-11-16T09:40:00-05:00' })))).accepted.length, 0, 'more than the platform shows are not read')
})

t.test('R83: ids beyond 2^53 keep every digit', async t => {
  const fake = start(t)
  const text = JSON.stringify(product()).replaceAll(PRODUCT, '788032119674292922').replaceAll(VARIANT, '642667041472713922').replaceAll(ITEM, '271878346596884015')
  await fake.work(rowOf('products/update', text))
  const { accepted } = await fake.work(rowOf('inventory_levels/update', JSON.stringify(level({ available: 1 })).replaceAll(ITEM, '271878346596884015')))
  t.match(dataOf(accepted), [{ variant: { id: '642667041472713922' }, product: { id: '788032119674292922' } }])
})

t.test('attack 5: what another shop\'s body says is about things that this shop does not have', async t => {
  const fake = start(t)
  await fake.work(rowOf('products/update', product()))
  t.match((await fake.work(rowOf('inventory_levels/update', level(), { shop: OTHER_SHOP }))).result, { is: 'recorded', reason: 'variant_unknown' })
  for (const [topic, body] of [['inventory_levels/update', level()], ['variants/in_stock', variant()], ['products/update', product()]] as const) {
    t.match((await fake.work(rowOf(topic, body, { shop: 'nobody.myshopify.com' }))).result, { is: 'parked', reason: 'shop_unknown' }, topic)
  }
})

const newest = (all: Json[]): Json | undefined => all.toSorted((a, b) => String(a.at) < String(b.at) ? -1 : 1).at(-1)
/** The total of the variant as one reads it who heeds times. */
const totalOf = (fake: Fake): unknown => newest(dataOf(fake.entered).filter(({ location }) => location === undefined))?.available

t.test('in any order, and with repeats, the newest total and page stay, and each level is told once', async () => {
  const second = (n: number): string => `2026-11-16T09:30:${String(n).padStart(2, '0')}-05:00`
  const story: Array<() => Received> = [
    () => rowOf('variants/out_of_stock', variant({ inventory_quantity: 0, updated_at: second(1) })),
    () => rowOf('products/update', product({ variants: [line({ inventory_quantity: 0 })], updated_at: second(2) })),
    () => rowOf('inventory_levels/update', level({ available: 12, updated_at: second(3) })),
    () => rowOf('variants/in_stock', variant({ updated_at: second(4) })),
    () => rowOf('products/update', product({ updated_at: second(5), title: 'The last title', variants: [line({ inventory_quantity: 9 })] }))
  ]
  const order = fc.array(fc.nat({ max: story.length - 1 }), { maxLength: 6 }).chain(more => fc.shuffledSubarray([...story.keys()], { minLength: story.length }).map(all => [...all, ...more]))
  await fc.assert(fc.asyncProperty(order, async order => {
    const fake = new Fake(found(9))
    try {
      for (const i of order) {
        const { conflicts } = await fake.work((story[i] as () => Received)())
        if (conflicts.length > 0) return false
      }
      const levels = dataOf(fake.entered).filter(({ location }) => location !== undefined)
      const page = newest(dataOf(fake.entered, 'product.updated'))?.product as Json | undefined
      return totalOf(fake) === 9 && levels.length === 1 && page?.title === 'The last title'
    } finally {
      fake.close()
    }
  }), { numRuns: 200 })
})

t.test('R81 to R84: whatever is signed, there is an answer and no exception, and events fit their schemas', async () => {
  const value = fc.oneof({ weight: 3, arbitrary: fc.constantFrom<unknown>(null, '', 0, -1, 1e300, true, [], {}, [null], 'x', '9'.repeat(30), '2026-11-16T10:15:00-05:00', '\ud800', 'a\0b', '\r\nx: y', 'https://example.com/\u202e') }, fc.jsonValue() as fc.Arbitrary<unknown>)
  const paths = ['id', 'admin_graphql_api_id', 'title', 'vendor', 'handle', 'status', 'published_at', 'updated_at', 'image', 'images', 'variants', 'variant_gids', 'variants.0', 'variants.0.id', 'variants.0.title', 'variants.0.price', 'variants.0.inventory_item_id', 'variants.0.inventory_quantity', 'inventory_item_id', 'location_id', 'available', 'product_id', 'inventory_quantity', 'tracked', '__proto__', 'constructor']
  const topic = fc.constantFrom('products/update', 'inventory_levels/update', 'inventory_levels/connect', 'variants/in_stock', 'variants/out_of_stock', 'inventory_items/update')
  await fc.assert(fc.asyncProperty(topic, fc.array(fc.record({ path: fc.constantFrom(...paths), value }), { minLength: 1, maxLength: 4 }), async (topic, edits) => {
    const body: Json = { ...product(), ...level(), ...variant(), variants: [line()] }
    for (const { path, value } of edits) {
      const keys = path.split('.')
      let at: unknown = body
      for (const key of keys.slice(0, -1)) at = typeof at === 'object' && at !== null ? (at as Json)[key] : undefined
      if (typeof at === 'object' && at !== null) Object.defineProperty(at, keys.at(-1) as string, { value: structuredClone(value), enumerable: true, configurable: true, writable: true })
    }
    const fake = new Fake(FOUND)
    try {
      const { accepted } = await fake.work(rowOf(topic, body, { shop: SHOP }))
      for (const type of TYPES) dataOf(accepted, type)
    } finally {
      fake.close()
    }
    return ({} as Json).polluted === undefined
  }), { numRuns: 400 })
})
