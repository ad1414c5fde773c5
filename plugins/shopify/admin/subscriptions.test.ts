// The subscriptions that the gateway keeps at a shop: missing ones are made, wrong ones of ours go, others' stay.

import t, { type Test } from 'tap'
import { SHOP, TOKEN, world, type World, type WorldOptions } from './admin.test-world.ts'
import { subscriptionsJob, TOPICS } from './subscriptions.ts'

const ADDRESS = 'https://gateway.example/webhooks/shopify'

interface Listed { id: string, topic: string, uri: string, name: string | null }

async function question ({ context }: World, query: string, variables: object): Promise<{ webhookSubscriptions?: { nodes: Listed[] } }> {
  const answer = await context.send(`${String(context.sandboxUrl)}/${SHOP.id}`, { method: 'POST', path: '/admin/api/2026-10/graphql.json', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }) }, { 'x-shopify-access-token': TOKEN })
  return (JSON.parse(answer.kind === 'answer' ? answer.body : '') as { data: object }).data
}

async function start (t: Test, options: WorldOptions = { options: { subscriptions: 'api' } }): Promise<World & { look (): ReturnType<typeof subscriptionsJob>, listed (): Promise<Listed[]>, /** As Shopify deletes one. */ lose (id: string | undefined): Promise<void> }> {
  const there = await world(t, options)
  await there.give()
  return {
    ...there,
    look: () => subscriptionsJob({ uniqueKey: 'shop:1', attempts: 1, cursor: null }, there.context),
    listed: async () => (await question(there, '{ webhookSubscriptions(first: 250) { nodes { id topic uri name } } }', {})).webhookSubscriptions?.nodes ?? [],
    async lose (id) { await question(there, 'mutation($id: ID!) { webhookSubscriptionDelete(id: $id) { userErrors { message } } }', { id }) }
  }
}

const names = async ({ asked }: World): Promise<Array<string | null>> => (await asked()).flatMap(({ body }) => body.name ?? [])

t.test('all topics are subscribed to once, and a second look changes nothing', async t => {
  const there = await start(t)
  t.equal(await there.look(), null)
  const made = await there.listed()
  t.strictSame(made.map(({ topic }) => topic), [...TOPICS])
  t.ok(made.every(({ uri, name }) => uri === ADDRESS && /^sms-gateway-[a-z-]{1,38}$/.test(String(name))))
  t.match(there.rows('select * from shopify_subscriptions'), Array.from(TOPICS, () => ({ uri: ADDRESS, standing: 'there', detail: null })))
  await there.look()
  t.strictSame(await there.listed(), made)
  t.equal((await names(there)).filter(name => name === 'Subscribe').length, TOPICS.length)
})

t.test('one that Shopify deleted is made again; ours with another address go; others\' are left alone', async t => {
  const there = await start(t)
  const others = Array.from({ length: 60 }, (_, i) => ({ id: `gid://shopify/WebhookSubscription/${i + 1}`, topic: 'THEMES_PUBLISH', uri: `https://other.example/${i}` }))
  await there.data({ subscriptions: [
    ...others,
    { id: 'gid://shopify/WebhookSubscription/101', topic: 'ORDERS_PAID', uri: 'https://other.example/paid' },
    { id: 'gid://shopify/WebhookSubscription/102', topic: 'ORDERS_CREATE', uri: 'https://old.example/webhooks/shopify', name: 'sms-gateway-orders-create' },
    { id: 'gid://shopify/WebhookSubscription/103', topic: 'PRODUCTS_UPDATE', uri: ADDRESS, name: 'by-hand' }
  ] })
  await there.look()
  const after = await there.listed()
  t.strictSame(after.filter(({ uri }) => uri.startsWith('https://other.example')).length, 61)
  t.notOk(after.some(({ uri }) => uri.startsWith('https://old.example')))
  t.strictSame(after.filter(({ topic }) => topic === 'PRODUCTS_UPDATE').map(({ name }) => name), ['by-hand'], 'one that leads here is enough, whoever made it')
  t.equal(after.filter(({ uri }) => uri === ADDRESS).length, TOPICS.length)
  const lost = after.find(({ topic, uri }) => topic === 'ORDERS_PAID' && uri === ADDRESS)
  await there.lose(lost?.id)
  await there.look()
  t.equal((await there.listed()).filter(({ topic, uri }) => topic === 'ORDERS_PAID' && uri === ADDRESS).length, 1)
})

t.test('where the gateway moved, its subscriptions move with it, known by their ids too', async t => {
  const there = await start(t)
  await there.look()
  Object.assign(there.context, { publicUrl: 'https://new.example' })
  await there.look()
  t.ok((await there.listed()).every(({ uri }) => uri === 'https://new.example/webhooks/shopify'))
  t.equal((await there.listed()).length, TOPICS.length)
})

t.test('one that is refused is shown with the reason; the others are made all the same', async t => {
  const there = await start(t)
  await there.data({ scopes: ['read_products', 'read_inventory'] })
  t.equal(await there.look(), null)
  t.match(there.rows("select * from shopify_subscriptions where topic like 'ORDERS%'"), Array.from({ length: 2 }, () => ({ id: null, standing: 'refused', detail: /permission/ })))
  t.equal((await there.listed()).length, TOPICS.length - 2)
  t.match(there.rows('select scopes from shopify_access'), [{ scopes: 'read_products read_inventory' }])
})

t.test('an answer that is lost half-way makes no second subscription', async t => {
  const there = await start(t)
  await there.look()
  for (const { id } of (await there.listed()).slice(0, 3)) await there.lose(id)
  await there.fault({ kind: 'cut_after', rate: 0.3, seed: 7 })
  for (let i = 0; i < 30 && (await there.look()) !== null; i++) there.advance(700_000)
  await fetch(`${String(there.context.sandboxUrl)}/_sandbox/faults`, { method: 'DELETE' })
  await there.look()
  t.strictSame((await there.listed()).map(({ topic }) => topic).toSorted(), [...TOPICS].toSorted())
})

t.test('the app\'s configuration file keeps them: nothing is asked but whose token it is, and what it may', async t => {
  for (const options of [{ options: { subscriptions: 'app' } }, { options: { subscriptions: 'api' }, publicUrl: null }]) {
    const there = await start(t, options)
    t.equal(await there.look(), null)
    t.strictSame(await names(there), ['Shop'])
    t.match(there.rows('select scopes from shopify_access'), [{ scopes: /read_products/ }])
  }
})

t.test('the token of another shop is found out, and not asked with', async t => {
  const there = await start(t)
  await there.data({ domain: 'other-shop.myshopify.com' })
  t.equal(await there.look(), null)
  t.match(there.rows('select standing, error_text from shopify_access'), [{ standing: 'reconnect', error_text: /another shop, other-shop/ }])
  t.strictSame(await names(there), ['Shop'])
})

t.test('trouble is met by another look; a shop that is gone, or without access, by none', async t => {
  const there = await start(t)
  await there.data({}, 'frozen-shop.myshopify.com')
  there.shops.set('frozen-shop.myshopify.com', { ...SHOP, key: 2, id: 'frozen-shop.myshopify.com' })
  await there.give({ access_token: TOKEN }, null, { ...SHOP, key: 2, id: 'frozen-shop.myshopify.com' })
  t.strictSame(await subscriptionsJob({ uniqueKey: 'shop:2', attempts: 1, cursor: null }, there.context), { afterMs: 3_600_000 })
  t.equal(await subscriptionsJob({ uniqueKey: 'shop:3', attempts: 1, cursor: null }, there.context), null)
  await there.data({ revoked: [TOKEN] })
  t.equal(await there.look(), null)
})

t.test('once a day each shop that is connected is looked at, a page at a time', async t => {
  const there = await start(t)
  for (let key = 2; key <= 150; key++) await there.give({ access_token: TOKEN }, null, { ...SHOP, key, id: `shop-${key}.myshopify.com` })
  const first = await subscriptionsJob({ uniqueKey: 'shopify_subscriptions', attempts: 1, cursor: null }, there.context)
  t.strictSame(first, { afterMs: 1000, cursor: '100' })
  t.strictSame(await subscriptionsJob({ uniqueKey: 'shopify_subscriptions', attempts: 1, cursor: '100' }, there.context), { afterMs: 86_400_000, cursor: null })
  t.strictSame(there.jobs.map(({ key }) => key), Array.from({ length: 150 }, (_, i) => `shop:${i + 1}`))
})
