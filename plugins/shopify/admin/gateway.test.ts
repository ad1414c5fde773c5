// The Admin API at the real gateway: access is given, looked at and taken back, and what webhooks leave out is looked up.

import t from 'tap'
import { movable, until } from '../../../test/helpers/app.ts'
import { configOf, PATH, REFRESH, SHOP, startShop, TOKEN } from './gateway.test-world.ts'

t.jobs = 2

const DAY_MS = 86_400_000
const OTHER_TOKEN = 'shpat_fedcba9876543210'

t.test('access is given, shown without the token, kept sealed over a restart, and taken back', async t => {
  const there = await startShop(t)
  const { app } = there
  t.match(await there.access(), { connected: false, state: 'none' })
  t.match((await there.give()).body, { connected: true, state: 'connected', scopes: null, since: /Z$/ })
  await until(async () => (await there.access()).scopes !== null)
  t.match(await there.access(), { connected: true, state: 'connected', error: null, text: 'Shopify is asked with the token.', scopes: ['read_products', 'read_inventory', 'read_orders', 'read_customers', 'read_purchase_options'], scopes_missing: [], expires_at: null })
  const [row] = await app.query('select sealed from shopify_access')
  t.notOk(Buffer.from(row?.sealed as Uint8Array).includes(TOKEN))
  t.notOk(app.lines.some(line => line.includes(TOKEN)), 'nor is it logged')
  t.notOk(JSON.stringify(await there.access()).includes(TOKEN))
  await app.restart()
  await there.data({ customers: [{ id: '7', phone: '+12015550107', state: 'SUBSCRIBED' }] })
  t.match((await app.ask('GET', `${PATH}/customers/7/consent`)).body, { customer: '7', state: 'SUBSCRIBED' })
  t.equal((await app.ask('DELETE', `${PATH}/access`)).status, 204)
  t.match(await there.access(), { connected: false, state: 'none' })
  t.equal((await app.ask('GET', `${PATH}/customers/7/consent`)).status, 409)
  t.match(await app.query("select action from audit where action like 'shopify.%' order by at"), [{ action: 'shopify.access_given' }, { action: 'shopify.access_forgotten' }])
})

t.test('what is no token, or cannot be used, is refused with what to do; a caller needs the scope and the shop', async t => {
  const there = await startShop(t, { config: configOf('api_version: 2026-10') })
  for (const body of [{}, { access_token: '' }, { access_token: 'with space' }, { access_token: TOKEN, more: 1 }, { access_token: TOKEN, expires_at: 'tomorrow' }, { access_token: TOKEN, expires_at: '2026-99-99T10:00:00Z' }, { access_token: TOKEN, expires_at: '2020-01-01T10:00:00Z' }]) t.match(await there.give(body), { status: 422, body: { error: { code: 'GW_REQUEST_INVALID', details: [{ path: /access_token|expires_at|more/ }] } } }, JSON.stringify(body))
  t.match(await there.give({ access_token: TOKEN, refresh_token: REFRESH }), { status: 409, body: { error: { message: /client_id/ } } })
  t.equal((await there.app.ask('PUT', `${PATH}/access`, { key: 'reader', body: { access_token: TOKEN } })).status, 403)
  t.equal((await there.app.ask('PUT', `${PATH}/access`, { key: 'globex', body: { access_token: TOKEN } })).status, 404)
  t.equal((await there.app.ask('GET', `${PATH}/access`, { key: 'events' })).status, 403)
  t.equal((await there.app.ask('POST', `${PATH}/subscriptions/check`)).status, 409, 'nothing is there to look with')
})

t.test('a stock level of an item that nobody told of is looked up: the level and the total are told', async t => {
  const there = await startShop(t)
  await there.data({ items: [{ id: '808950810', variants: ['4400'] }], variants: [{ id: '4400', product: '5500', quantity: 12, item: '808950810' }] })
  await there.connect()
  const level = { inventory_item_id: 808950810, location_id: 655441491, available: 7, updated_at: new Date().toISOString(), admin_graphql_api_id: 'gid://shopify/InventoryLevel/1?inventory_item_id=808950810' }
  t.match(await there.webhook('inventory_levels/update', level), { state: 'done' })
  const told = await there.events('stock.changed')
  t.match(told.find(({ location }) => location !== undefined), { variant: { id: '4400' }, product: { id: '5500' }, location: '655441491', available: 7 })
  t.match(told.find(({ location }) => location === undefined), { variant: { id: '4400' }, available: 12 })
  const before = await there.asked()
  await there.webhook('inventory_levels/update', { ...level, available: 6, updated_at: new Date(Date.now() + 1000).toISOString() })
  t.strictSame(await there.asked(), before, 'once it is known nobody is asked')
})

t.test('without access a level is kept and can be worked on later', async t => {
  const there = await startShop(t)
  await there.data({ items: [{ id: '1', variants: ['44'] }], variants: [{ id: '44', product: '55', quantity: 1 }] })
  const row = await there.webhook('inventory_levels/update', { inventory_item_id: 1, location_id: 2, available: 1, updated_at: new Date().toISOString() })
  t.match(row, { state: 'recorded', reason: 'variant_unknown' })
  await there.connect()
  t.equal((await there.app.ask('POST', `/v1/inbox/${String(row.id)}/retry`)).status, 202)
  await until(async () => (await there.events('stock.changed')).length > 0)
})

t.test('an order line with a selling plan is a preorder by the plan\'s category, with its day', async t => {
  const there = await startShop(t)
  await there.data({ plans: [{ id: '31', category: 'PRE_ORDER', trigger: 'EXACT_TIME', time: '2027-01-15T12:00:00Z' }, { id: '32', category: 'SUBSCRIPTION' }] })
  await there.connect()
  const order = (id: number, plan: number): object => ({
    id, admin_graphql_api_id: `gid://shopify/Order/${id}`, name: `#${id}`, order_number: id, created_at: new Date().toISOString(), phone: '+12015550123', cancelled_at: null,
    line_items: [{ id: 1, title: 'Linen Dress', quantity: 1, variant_id: 44, product_id: 55, selling_plan_id: plan, properties: [] }]
  })
  t.match(await there.webhook('orders/create', order(1001, 31)), { state: 'done' })
  t.match(await there.webhook('orders/create', order(1002, 32)), { state: 'done' })
  t.match(await there.events('preorder.confirmed'), { length: 1, 0: { order: { number: 1001 }, shipping_timeline: 'Ships January 15, 2027' } })
})

t.test('a customer\'s consent can be asked; what keeps it from being known is said', async t => {
  const there = await startShop(t)
  const consent = (id: string) => there.app.ask('GET', `${PATH}/customers/${id}/consent`)
  await there.data({ customers: [{ id: '7', phone: '+12015550107', state: 'UNSUBSCRIBED', level: 'SINGLE_OPT_IN', at: '2026-11-01T10:00:00Z' }, { id: '8' }] })
  await there.connect()
  t.match(await consent('7'), { status: 200, body: { customer: '7', state: 'UNSUBSCRIBED', level: 'SINGLE_OPT_IN', updated_at: '2026-11-01T10:00:00.000Z' } })
  t.match(await consent('8'), { status: 200, body: { state: null } })
  t.match(await consent('9'), { status: 404 })
  await there.data({ scopes: ['read_products'] })
  t.match(await consent('7'), { status: 409, body: { error: { message: /read_customers|scope/ } } })
  t.match(await there.access(), { error: 'access_denied', connected: true })
  await there.data({ scopes: ['read_products', 'read_customers'] })
  await there.app.fault('shopify', { kind: 'status', status: 503 })
  t.match(await consent('7'), { status: 503, body: { error: { code: 'GW_BUSY' } } })
  await there.app.heal('shopify')
  await there.data({ revoked: [TOKEN] })
  t.match(await consent('7'), { status: 409, body: { error: { message: /new one/ } } })
  t.match(await there.access(), { connected: false, state: 'reconnect', error: 'token_refused', error_at: /Z$/ })
  t.equal((await there.give({ access_token: OTHER_TOKEN })).status, 200)
  t.equal((await consent('7')).status, 200)
})

t.test('where the gateway keeps the subscriptions they are there after access, and again after Shopify deleted one', async t => {
  const clock = movable()
  const there = await startShop(t, { config: configOf('subscriptions: api'), runtime: clock.runtime })
  const view = async () => (await there.app.ask('GET', `${PATH}/subscriptions`)).body
  const states = async (): Promise<unknown[]> => [...new Set((await view()).items?.map(({ state }) => state))]
  t.match(await view(), { managed_by: 'api', address: `${there.app.url}/webhooks/shopify` })
  await there.connect()
  await until(async () => (await states())[0] === 'there')
  t.strictSame(await states(), ['there'])
  const made = (await there.asked()).filter(name => name === 'Subscribe').length
  t.equal(made, (await view()).items?.length)
  const [first] = (await view()).items ?? []
  const { body } = await there.app.ask('GET', `${PATH}/subscriptions`)
  t.match(body.items?.[0], { id: /^gid:/ })
  await fetch(`${there.app.sandboxUrl}/shopify/${SHOP}/admin/api/2026-10/graphql.json`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-shopify-access-token': TOKEN }, body: JSON.stringify({ query: 'mutation($id: ID!) { webhookSubscriptionDelete(id: $id) { userErrors { message } } }', variables: { id: first?.id } }) })
  clock.advance(DAY_MS + 60_000)
  await until(async () => (await there.asked()).filter(name => name === 'Subscribe').length === made + 1)
  t.equal((await there.app.ask('POST', `${PATH}/subscriptions/check`)).status, 202)
})

t.test('stock that no webhook told is found by reading it anew, and told once', async t => {
  const clock = movable()
  const there = await startShop(t, { config: configOf('reconcile_minutes: 5'), runtime: clock.runtime })
  await there.webhook('variants/in_stock', { id: 44, product_id: 55, inventory_quantity: 3, updated_at: new Date().toISOString(), admin_graphql_api_id: 'gid://shopify/ProductVariant/44' })
  await there.data({ variants: [{ id: '44', product: '55', quantity: 3 }] })
  const rounds = async (): Promise<number> => (await there.asked()).filter(name => name === 'Stock').length
  /** As soon as the one that is due has ended. */
  const round = async (): Promise<void> => {
    const before = await rounds()
    clock.advance(6 * 60_000)
    await until(async () => await rounds() > before)
    await ended()
  }
  const ended = () => until(async () => (await there.app.query(`select 1 from jobs where kind = 'shopify_reconcile' and unique_key like 'shop:%' and owner is null and due_at > ${clock.runtime.now()}`)).length === 1)
  await there.connect()
  await until(async () => await rounds() === 1)
  await ended()
  await round()
  t.match(await there.events('stock.changed'), { length: 1 }, 'what was told is not told again')
  await there.data({ variants: [{ id: '44', product: '55', quantity: 0 }] })
  await round()
  t.match(await there.events('stock.changed'), { length: 2, 1: { variant: { id: '44' }, product: { id: '55' }, available: 0 } })
  await round()
  t.equal((await there.events('stock.changed')).length, 2)
})

t.test('an app that was taken out has no access any more', async t => {
  const there = await startShop(t)
  await there.connect()
  await there.webhook('app/uninstalled', { id: 1, myshopify_domain: SHOP, domain: 'example.com' })
  await until(async () => (await there.access()).state === 'none')
  t.strictSame(await there.app.query('select * from shopify_access'), [])
})
