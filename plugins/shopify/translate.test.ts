// From a signed body to events: which lines are preorders, whose they are, and what is said where nothing follows.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { loadEventSchemas } from '../../gateway/events/schemas.ts'
import type { Received, SourceEvent, Translated } from '../../gateway/define.ts'
import { files, ROOT, shippedConfig } from '../../test/helpers/providers.ts'
import { idOf, parseJson, timeOf, type Json } from './body.ts'
import { isCountry } from './country.ts'
import type { LookUps } from './look-ups.ts'
import { Fake, optionsOf } from './context.test-fake.ts'

const TEXT = readFileSync(join(import.meta.dirname, 'fixtures/orders-create.preorder.json'), 'utf8')
const SHOP = 'example-shop.myshopify.com'
const ORDERED_AT = Date.parse('2026-11-16T15:15:00Z')
const TYPES = ['order.placed', 'preorder.confirmed']
const { schemas, faults } = loadEventSchemas(Object.fromEntries(TYPES.map(type => [type, { schema: join(ROOT, `schemas/events/${type}.schema.json`) }])), files(), shippedConfig())

type Edit = (order: Order) => void
interface Order extends Json { line_items: Json[], customer: Json, shipping_address: Json, billing_address: Json }
interface Given { edit?: Edit, body?: string | null, topic?: string, shop?: string | null, options?: Json, headers?: Record<string, string>, receivedAt?: number, lookUps?: Partial<LookUps> }

function translated ({ edit, body, topic = 'orders/create', shop = SHOP, options = {}, headers = {}, receivedAt = ORDERED_AT + 5000, lookUps = {} }: Given = {}): Promise<Translated> {
  const order = JSON.parse(TEXT) as Order
  edit?.(order)
  const received: Received = { id: 'inb_1', receivedAt, topic, shop, subject: null, headers: { 'triggered-at': '2026-11-16T15:15:01.200000000Z', ...headers }, body: body === undefined ? JSON.stringify(order) : body }
  const fake = new Fake({ options, lookUps, shops: { [SHOP]: 1, 'other.myshopify.com': 2 } })
  return fake.translate(received).finally(() => { fake.close() })
}

interface Events { 'order.placed': SourceEvent & { data: { lines: Json[], [key: string]: unknown } }, 'preorder.confirmed'?: SourceEvent & { data: { products: Json[], [key: string]: unknown } } }

/** The events, which all fit their schemas. */
async function eventsOf (given: Given = {}): Promise<Events> {
  const result = await translated(given)
  if (result.is !== 'events') throw new Error(JSON.stringify(result))
  for (const { type, data } of result.events) {
    const found = schemas.get(type)?.faults(data)
    if (found?.length !== 0) throw new Error(`${type}: ${JSON.stringify(found)}`)
  }
  return Object.fromEntries(result.events.map(event => [event.type, event])) as unknown as Events
}

const preorderOf = async (given: Given = {}): Promise<Json | undefined> => (await eventsOf(given))['preorder.confirmed']?.data
const customerOf = async (edit: Edit, options: Json = {}): Promise<Json> => (await eventsOf({ edit, options }))['order.placed'].data.customer as Json
const property = (name: string, value: unknown): Json => ({ name, value })
/** Only the last line, an ordinary one, with these properties. */
const lastLine = (properties: unknown, more: Json = {}): Edit => order => { order.line_items = [{ ...order.line_items[2], properties, ...more }] }

t.test('the schemas are in order', async t => {
  t.strictSame(faults, [])
})

t.test('the composed order becomes one order.placed and one preorder.confirmed, with the line its properties give away', async t => {
  const customer = { name: 'Jane Buyer', phone: '+12015550123', email: 'buyer@example.com', country: 'US', locale: 'en-US', id: '7123456789012' }
  const order = { id: '5123456789012', name: '#1001', number: 1001 }
  const result = await translated({ body: TEXT })
  t.match(result, { is: 'events', reason: 'selling_plan_unresolved', detail: /^1 of 3 lines of #1001 has a selling plan/ })
  t.match((result as { detail: string }).detail, 'is a test order')
  t.strictSame((result as { events: SourceEvent[] }).events, [
    {
      id: 'gid://shopify/Order/5123456789012/order.placed',
      type: 'order.placed',
      timeAt: ORDERED_AT,
      data: { customer, order, lines: [
        { product_id: '8123456789020', variant_id: '44123456789020', quantity: 1, preorder: true },
        { product_id: '8123456789012', variant_id: '44123456789013', quantity: 2 },
        { product_id: '8123456789030', variant_id: '44123456789030', quantity: 1 }
      ] }
    },
    { id: 'gid://shopify/Order/5123456789012/preorder.confirmed', type: 'preorder.confirmed', timeAt: ORDERED_AT, data: { customer, order, products: [{ title: 'Linen Dress', variant_title: 'Large', quantity: 1 }] } }
  ])
  t.strictSame(await translated({ body: TEXT }), result, 'the same again')
  await eventsOf({ body: TEXT })
})

t.test('a line is a preorder by its properties, by nothing else', async t => {
  const table: Array<[name: string, preorder: boolean, properties: unknown, more?: Json]> = [
    ['STOQ says where it comes from', true, [property('_stoq_preorder_source', 'widget')]],
    ['STOQ says its selling plan', true, [property('_stoq_shopify_selling_plan_id', '3123456790')]],
    ['as a number', true, [property('_stoq_shopify_selling_plan_id', 3123456790)]],
    ['the purchase type', true, [property('Color', 'red'), property('Purchase Type', 'Preorder')]],
    ['in other letters', true, [property('Purchase Type', ' PREORDER ')]],
    ['the second of two of one name', true, [property('_stoq_preorder_source', ''), property('_stoq_preorder_source', 'cart')]],
    ['another purchase type', false, [property('Purchase Type', 'Subscription')]],
    ['a name in other letters is another name', false, [property('purchase type', 'Preorder')]],
    ['an empty value', false, [property('_stoq_preorder_source', ''), property('_stoq_shopify_selling_plan_id', null), property('Purchase Type', '')]],
    ['a value that is no text', false, [property('_stoq_preorder_source', { a: 1 })]],
    ['none', false, []],
    ['no list', false, { 'Purchase Type': 'Preorder' }],
    ['a list of anything', false, [null, 1, 'Purchase Type', [], {}]],
    ['a selling plan alone', false, [], { selling_plan_id: 1 }],
    ['a tag of the order', false, [property('tag', 'Preorder')]]
  ]
  for (const [name, preorder, properties, more] of table) {
    const events = await eventsOf({ edit: lastLine(properties, more) })
    t.equal(Object.hasOwn(events, 'preorder.confirmed'), preorder, name)
    t.strictSame(events['order.placed'].data.lines.map(line => line.preorder), [preorder ? true : undefined], name)
  }
})

t.test('where nothing is confirmed, the row says why', async t => {
  t.match(await translated({ edit: lastLine([]) }), { is: 'events', reason: 'no_preorder', events: [{ type: 'order.placed' }] })
  const plan = await translated({ edit: lastLine([], { selling_plan_id: 3123456789 }) })
  t.match(plan, { is: 'events', reason: 'selling_plan_unresolved', events: [{ type: 'order.placed' }] })
  t.equal((plan as { events: unknown[] }).events.length, 1)
  t.match(await translated({ edit: lastLine([property('Purchase Type', 'Preorder')], { selling_plan_id: 3123456789 }) }), { is: 'events', reason: 'test_order' }, 'a plan and a property: it is known')
  const plain = await translated({ edit: order => { lastLine([property('Purchase Type', 'Preorder')])(order); order.test = false } })
  t.notOk(Object.hasOwn(plain, 'reason'), 'and nothing to remark')
})

t.test('the rules are the platform\'s to set', async t => {
  const options = { preorder_properties: [{ name: 'Ships', value: 'later' }, { name: '_pre' }], timeline_property: 'When' }
  t.notOk(await preorderOf({ options }), 'the shipped ones are replaced')
  t.match(await preorderOf({ options, edit: lastLine([property('Ships', 'Later'), property('When', '  In 2 weeks ')]) }), { shipping_timeline: 'In 2 weeks', products: [{ title: 'Cotton Socks' }] })
  t.notOk(Object.hasOwn(await preorderOf({ options, edit: lastLine([property('_pre', 'x'), property('When', '')]) }) as Json, 'shipping_timeline'))
  const second = await preorderOf({ options, edit: order => {
    order.line_items = [{ ...order.line_items[0], properties: [property('When', 'Now')] }, { ...order.line_items[1], properties: [property('_pre', 'x')] }, { ...order.line_items[2], properties: [property('_pre', 'x'), property('When', 'In March')] }]
  } })
  t.equal(second?.shipping_timeline, 'In March', 'an ordinary line\'s does not count')
  t.equal((await preorderOf({ options, edit: lastLine([property('_pre', 'x'), property('When', 'y'.repeat(900))]) }))?.shipping_timeline, 'y'.repeat(500))
  t.notOk(await preorderOf({ options: { preorder_properties: [] } }), 'no rule, no preorder')
  for (const wrong of [{ preorder_properties: ['x'] }, { preorder_properties: [{ value: 'x' }] }, { api_version: 'latest' }, { country: 'usa' }, { unknown: 1 }]) t.throws(() => optionsOf(wrong), JSON.stringify(wrong))
})

t.test('lines: what is left of them counts, their titles are told, the only variant has no name', async t => {
  const line = (more: Json): Edit => lastLine([property('Purchase Type', 'Preorder')], more)
  const products = async (more: Json): Promise<unknown> => (await preorderOf({ edit: line(more) }))?.products
  t.strictSame(await products({ variant_title: 'Default Title' }), [{ title: 'Cotton Socks', quantity: 1 }])
  t.strictSame(await products({ variant_title: null, quantity: 5, current_quantity: 3 }), [{ title: 'Cotton Socks', quantity: 3 }])
  t.strictSame(await products({ current_quantity: undefined, quantity: 4 }), [{ title: 'Cotton Socks', quantity: 4 }])
  t.strictSame(await products({ title: '', name: 'Socks - L' }), [{ title: 'Socks - L', quantity: 1 }])
  t.match(await products({ title: null, name: null }), [{ title: /\w/ }])
  t.match(await products({ title: `${'x'.repeat(254)}🌸🌸` }), [{ title: `${'x'.repeat(254)}\ufffd` }], 'cut between two characters')
  t.strictSame(await products({ title: 'a\0b \ud800' }), [{ title: 'ab \ufffd', quantity: 1 }])
  t.match(await translated({ edit: line({ current_quantity: 0 }) }), { is: 'recorded', reason: 'order_empty' })
  t.match(await translated({ edit: order => { order.line_items = [] } }), { is: 'recorded', reason: 'order_empty' })
  t.strictSame(((await eventsOf({ edit: line({ product_id: null, variant_id: null }) }))['order.placed'].data.lines), [{ quantity: 1, preorder: true }])
})

t.test('the phone is the first that is one: of the order, the customer, the parcel, the bill', async t => {
  const phones = async (order: unknown, customer: unknown, shipping: unknown, billing: unknown, more?: Edit): Promise<unknown> => (await customerOf(o => {
    o.phone = order
    o.customer.phone = customer
    o.shipping_address.phone = shipping
    o.billing_address.phone = billing
    more?.(o)
  })).phone
  const british: Edit = o => { o.shipping_address.country_code = 'GB' }
  const table: Array<[name: string, given: unknown, expected: unknown]> = [
    ['the order\'s', await phones('+12015550101', '+12015550102', '+12015550103', '+12015550104'), '+12015550101'],
    ['the customer\'s', await phones(null, '+12015550102', '+12015550103', '+12015550104'), '+12015550102'],
    ['the parcel\'s', await phones(null, '', '+12015550103', '+12015550104'), '+12015550103'],
    ['the bill\'s', await phones(undefined, null, 'none', '+12015550104'), '+12015550104'],
    ['none', await phones(null, null, null, null), undefined],
    ['as people write it', await phones('(201) 555-0123', null, null, null), '+12015550123'],
    ['with dots and marks of an address book', await phones('\u202a201.555.0123\u202c', null, null, null), '+12015550123'],
    ['by the country of its address', await phones(null, null, '020 7946 0123', null, british), '+442079460123'],
    ['with another country\'s code', await phones('+44 20 7946 0123', null, null, null), '+442079460123'],
    ['by the parcel\'s country where it has none of its own', await phones('020 7946 0123', null, null, null, british), '+442079460123'],
    ['the customer\'s by the country of their own address', await phones(null, '020 7946 0123', null, null, o => { o.customer.default_address = { country_code: 'GB' } }), '+442079460123'],
    ['words around it', await phones('call 201 555 0101', null, null, null), undefined],
    ['letters', await phones('555-555-SHIP', null, null, '+12015550104'), '+12015550104'],
    ['a number that cannot exist', await phones('+11231231234', '123', null, '+12015550104'), '+12015550104'],
    ['two numbers', await phones('201 555 0101 or 201 555 0102', null, null, null), undefined],
    ['an extension', await phones('201 555 0101 x12', null, null, null), undefined],
    ['no text', await phones(12015550101, { a: 1 }, ['+12015550103'], true), undefined],
    ['very long', await phones('2'.repeat(100_000), null, null, null), undefined]
  ]
  for (const [name, given, expected] of table) t.equal(given, expected, name)
})

t.test('without a phone the confirmation is made all the same: that it was not sent, and why, is to be seen', async t => {
  const result = await translated({ edit: order => {
    for (const place of [order, order.customer, order.shipping_address, order.billing_address]) place.phone = null
    order.line_items = [order.line_items[1] as Json]
  } })
  t.match(result, { is: 'events', reason: 'no_phone', events: [{}, { type: 'preorder.confirmed', data: { customer: { name: 'Jane Buyer', phone: undefined } } }] })
})

t.test('the customer: what is not fit is left out, and no order stops at it', async t => {
  t.equal((await customerOf(o => { o.customer.last_name = null })).name, 'Jane')
  t.equal((await customerOf(o => { Object.assign(o.customer, { first_name: '', last_name: ' ' }) })).name, 'Jane Buyer', 'the one on the parcel')
  t.equal((await customerOf(o => { o.customer = null as unknown as Json; o.shipping_address = null as unknown as Json; o.billing_address.name = 'B. Ill'; o.billing_address.first_name = o.billing_address.last_name = null })).name, 'B. Ill')
  t.strictSame(await customerOf(o => { for (const key of ['customer', 'shipping_address', 'billing_address', 'email', 'contact_email', 'customer_locale', 'phone']) delete o[key] }), { name: '', country: 'US' })
  t.strictSame(await customerOf(o => { for (const key of ['customer', 'shipping_address', 'billing_address', 'email', 'contact_email', 'customer_locale', 'phone']) o[key] = 'nonsense' }, { country: 'DE' }), { name: '', country: 'DE' })
  t.equal((await customerOf(o => { o.customer.first_name = 'x'.repeat(500) })).name, 'x'.repeat(200))
  for (const email of ['no address', 'a@b', '@example.com', `${'x'.repeat(250)}@example.com`, 'ü@example.com', 'a..b@example.com', 7]) t.equal((await customerOf(o => { o.email = email })).email, 'buyer@example.com', String(email).slice(0, 20))
  t.equal((await customerOf(o => { o.email = 'Ada+1@mail.example.com' })).email, 'Ada+1@mail.example.com')
  for (const locale of ['english', 'EN', '', 'en_US', null]) t.equal((await customerOf(o => { o.customer_locale = locale })).locale, undefined, String(locale))
  for (const code of ['ZZ', 'AC', 'AN', 'us', 'USA', '', null, 7]) t.equal((await customerOf(o => { o.shipping_address.country_code = code; o.billing_address.country_code = 'CA' })).country, 'CA', String(code))
  t.equal((await customerOf(o => { o.shipping_address.country_code = 'XK' })).country, 'XK')
  for (const [phone, island] of [['+24740123', 'AC'], ['+2908123', 'TA']] as const) {
    t.equal((await customerOf(o => { o.shipping_address = o.billing_address = o.customer = {}; o.phone = phone }, { country: 'DE' })).country, 'DE', `${island} is no country to the schema`)
  }
  t.equal((await customerOf(o => { o.shipping_address = o.billing_address = o.customer = {}; o.phone = '+442079460123' })).country, 'GB', 'where no address is, its phone\'s')
})

t.test('ids beyond 2^53 keep every digit', async t => {
  const text = TEXT.replaceAll('5123456789012', '820982911946154508').replaceAll('7123456789012', '9007199254740993').replace('"product_id": 8123456789020', '"product_id": 788032119674292922').replace('"variant_id": 44123456789020', '"variant_id": 12345678901234567890')
  const events = await eventsOf({ body: text })
  t.equal(events['preorder.confirmed']?.id, 'gid://shopify/Order/820982911946154508/preorder.confirmed')
  t.match(events['order.placed'].data, { order: { id: '820982911946154508' }, customer: { id: '9007199254740993' }, lines: [{ product_id: '788032119674292922', variant_id: '12345678901234567890' }] })
  const numeric = text.replaceAll('"admin_graphql_api_id"', '"other"')
  t.match((await eventsOf({ body: numeric }))['order.placed'], { id: 'gid://shopify/Order/820982911946154508/order.placed', data: { customer: { id: '9007199254740993' } } }, 'also where there is a number only')
  fc.assert(fc.property(fc.bigInt({ min: 1n, max: 10n ** 20n - 1n }), id => idOf(parseJson(`{"id":${id}}`) as Json, 'Order') === String(id)))
  t.strictSame(parseJson('{"a":1234567890123456789,"b":-1234567890123456789,"c":"1234567890123456789","d":1e30,"e":1.25,"f":12}'), { a: '1234567890123456789', b: '-1234567890123456789', c: '1234567890123456789', d: 1e30, e: 1.25, f: 12 })
  for (const id of ['0', '-1', '1.5', '"abc"', 'null', '1e3', '"1/../2"', '{}']) t.equal(idOf(parseJson(`{"id":${id}}`) as Json, 'Order'), id === '1e3' ? '1000' : null, id)
  t.equal(idOf({ admin_graphql_api_id: 'gid://shopify/Order/1/../2', id: 3 }, 'Order'), null)
  t.equal(idOf({ admin_graphql_api_id: 'gid://shopify/Customer/1', id: 3 }, 'Order'), '3')
})

t.test('what is signed and no order is parked, with what is wrong', async t => {
  const without = (key: string, value?: unknown): Given => ({ edit: order => { order[key] = value } })
  const bodies: Array<[name: string, given: Given, reason: string]> = [
    ['no JSON', { body: '{"id":' }, 'not_json'],
    ['nothing', { body: '' }, 'not_json'],
    ['a list', { body: '[]' }, 'not_json'],
    ['a text', { body: '"x"' }, 'not_json'],
    ['null', { body: 'null' }, 'not_json'],
    ['not kept', { body: null }, 'not_json'],
    ['very deep', { body: `${'['.repeat(100_000)}1234567890123456${']'.repeat(100_000)}` }, 'not_json'],
    ['no JSON of another topic', { body: '{', topic: 'products/update' }, 'not_json'],
    ['no id', { edit: order => { delete order.admin_graphql_api_id; delete order.id } }, 'not_an_order'],
    ['no number', { edit: order => { delete order.order_number; delete order.number } }, 'not_an_order'],
    ['no time', without('created_at'), 'not_an_order'],
    ['a time that is none', without('created_at', 'yesterday'), 'not_an_order'],
    ['a time without its offset', without('created_at', '2026-11-16T10:15:00'), 'not_an_order'],
    ['no lines', without('line_items', {}), 'not_an_order'],
    ['a product', { body: '{"id":1,"title":"Shirt","variants":[]}' }, 'not_an_order'],
    ['keys that reach into prototypes', { body: '{"__proto__":{"line_items":[]},"constructor":{"prototype":{"polluted":1}}}' }, 'not_an_order'],
    ['another shop in order_status_url', { shop: 'other.myshopify.com' }, 'shop_mismatch'],
    ['another shop in shop_domain', { body: '{"shop_domain":"example-shop.myshopify.com"}', topic: 'shop/redact', shop: 'other.myshopify.com' }, 'shop_mismatch'],
    ['another shop in myshopify_domain', { body: '{"myshopify_domain":"example-shop.myshopify.com"}', topic: 'app/uninstalled', shop: 'other.myshopify.com' }, 'shop_mismatch'],
    ['no shop', { shop: null }, 'shop_mismatch']
  ]
  for (const [name, given, reason] of bodies) t.match(await translated(given), { is: 'parked', reason, detail: /\.$/ }, name)
  t.equal(({} as Json).polluted, undefined)
})

t.test('a shop\'s own domain says nothing against the header', async t => {
  for (const url of ['https://acme.example/1/orders/2/authenticate', 'nonsense', null, 7]) t.match(await translated({ shop: 'acme.myshopify.com', edit: order => { order.order_status_url = url } }), { is: 'events' })
  t.match(await translated({ edit: order => { order.order_status_url = 'https://EXAMPLE-shop.myshopify.com/1' } }), { is: 'events' })
  t.match(await translated({ edit: order => { order.order_status_url = 'https://example-shop.myshopify.com.evil.example/1' } }), { is: 'events' }, 'this one is a domain of its own')
})

t.test('a cancelled order, and every other topic, is recorded and makes nothing', async t => {
  t.match(await translated({ edit: order => { order.cancelled_at = '2026-11-16T10:15:01-05:00' } }), { is: 'recorded', reason: 'order_cancelled' })
  for (const topic of ['orders/updated', 'orders/cancelled', 'orders/edited', 'products/delete', 'Order', 'never/heard_of', 'constructor', '__proto__', 'toString']) {
    t.match(await translated({ topic }), { is: 'recorded', reason: 'topic_not_acted_on', detail: new RegExp(`^${topic} `) }, topic)
  }
  t.match(await translated({ topic: 'ORDERS/CREATE' }), { is: 'events' })
})

t.test('attack 5: what is older than a day by its header or by its body is remarked, and keeps its own time', async t => {
  const days = (n: number): number => ORDERED_AT + n * 24 * 3_600_000
  t.notMatch(await translated({ receivedAt: days(1) - 1000 }), { detail: /days after/ })
  t.match(await translated({ receivedAt: days(3) + 5000 }), { is: 'events', detail: /It came 3 days after 2026-11-16T15:15:00\.000Z\./, events: [{ timeAt: ORDERED_AT }, { timeAt: ORDERED_AT }] })
  t.match(await translated({ receivedAt: days(3) + 5000, headers: { 'triggered-at': new Date(days(3)).toISOString() } }), { detail: /It came 3 days/ }, 'a fresh header does not make it younger')
  t.match(await translated({ headers: { 'triggered-at': '2026-11-10T00:00:00.000000001Z' } }), { detail: /It came 6 days/ })
  t.notMatch(await translated({ headers: { 'triggered-at': 'junk' } }), { detail: /It came/ })
  t.equal(timeOf('2023-03-29T18:00:27.877041743Z'), Date.parse('2023-03-29T18:00:27.877Z'))
})

t.test('an order of very many lines fits into an event, its preorders first', async t => {
  const events = await eventsOf({ edit: order => {
    const [, preorder, ordinary] = order.line_items as [Json, Json, Json]
    order.line_items = [...Array.from({ length: 1500 }, () => ordinary), ...Array.from({ length: 400 }, () => ({ ...preorder, title: '花'.repeat(255) }))]
  } })
  for (const { data } of Object.values(events)) t.ok(Buffer.byteLength(JSON.stringify(data)) < 64 * 1024)
  const lines = events['order.placed'].data.lines
  t.ok(lines.length > 400 && lines.slice(0, 400).every(line => line.preorder === true))
  t.ok((events['preorder.confirmed']?.data.products.length ?? 0) > 20)
  t.match(await translated({ edit: order => { order.line_items = Array.from({ length: 2000 }, () => order.line_items[1] as Json) } }), { reason: 'lines_left_out' })
})

t.test('whatever the body is, there is an answer and no exception, and its events fit their schemas', async () => {
  const value = fc.oneof({ weight: 3, arbitrary: fc.constantFrom<unknown>(null, '', 0, -1, 1e300, true, [], {}, [null], 'x', '+12015550123', '2026-11-16T10:15:00-05:00', '\ud800', 'a\0b') }, fc.jsonValue() as fc.Arbitrary<unknown>)
  const paths = [['id'], ['admin_graphql_api_id'], ['name'], ['order_number'], ['number'], ['created_at'], ['phone'], ['email'], ['customer_locale'], ['order_status_url'], ['cancelled_at'], ['customer'], ['customer', 'first_name'], ['customer', 'phone'], ['customer', 'default_address'], ['shipping_address'], ['shipping_address', 'country_code'], ['shipping_address', 'name'], ['billing_address'], ['line_items'], ['line_items', '1'], ['line_items', '1', 'title'], ['line_items', '1', 'variant_title'], ['line_items', '1', 'properties'], ['line_items', '1', 'current_quantity'], ['line_items', '0', 'selling_plan_id'], ['line_items', '2', 'variant_id']]
  const edits = fc.array(fc.record({ path: fc.constantFrom(...paths), value }), { minLength: 1, maxLength: 4 })
  await fc.assert(fc.asyncProperty(edits, async edits => {
    const given: Given = { edit: order => {
      for (const { path, value } of edits) {
        let at: unknown = order
        for (const key of path.slice(0, -1)) at = typeof at === 'object' && at !== null ? (at as Json)[key] : undefined
        if (typeof at === 'object' && at !== null) (at as Json)[path.at(-1) as string] = structuredClone(value) // a later edit may reach into it
      }
    } }
    return (await translated(given)).is === 'events' ? Object.keys(await eventsOf(given)).length > 0 : true
  }), { numRuns: 500 })
})

t.test('a country is what the schemas of events take for one', async t => {
  const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']
  const codes = letters.flatMap(a => letters.map(b => a + b))
  const said = (code: string): boolean => schemas.get('order.placed')?.faults({ customer: { name: '', country: code }, order: { id: '1', name: '#1', number: 1 }, lines: [{ quantity: 1 }] }).length === 0
  t.strictSame(codes.filter(isCountry), codes.filter(said))
  t.ok(isCountry('US') && !isCountry('us') && !isCountry(null))
})
