// What the Admin API adds to the source: what becomes of it when the app is taken out, and when a shop is forgotten.

import t from 'tap'
import type { Entering } from '../../../gateway/contract.ts'
import { SHOP, TOKEN, world } from './admin.test-world.ts'
import { CONSUMES, forgetAdmin } from './index.ts'

const TABLES = ['shopify_access', 'shopify_plans', 'shopify_absent', 'shopify_subscriptions', 'shopify_told']

t.test('an app that was taken out has no access; one that was put in again since keeps its own', async t => {
  const { context, give, advance, rows } = await world(t)
  const updated = (data: object, timeAt = context.now()) => context.commit(CONSUMES['shop.updated']({ shop: SHOP, timeAt, data } as unknown as Entering))
  await give()
  const takenOut = context.now() + 500
  advance(1000)
  await updated({ plan: 'pro' })
  t.equal(rows('select * from shopify_access').length, 1, 'another word on the shop says nothing of it')
  await updated({ status: 'uninstalled' }, takenOut)
  t.strictSame(rows('select * from shopify_access'), [])
  await give({ access_token: TOKEN })
  await updated({ status: 'uninstalled' }, takenOut)
  t.equal(rows('select * from shopify_access').length, 1, 'told late, or twice')
})

t.test('of a shop that is forgotten nothing is left, and of the others all', async t => {
  const { context, give, rows } = await world(t)
  for (const key of [1, 2]) {
    await give({ access_token: TOKEN }, null, { ...SHOP, key })
    await context.commit([
      { name: 'shopify_put_plan', params: { shop_key: key, plan: '1', category: 'OTHER', timeline: null, asked_at: 1 } },
      { name: 'shopify_put_absent', params: { shop_key: key, kind: 'item', id: '1', asked_at: 1 } },
      { name: 'shopify_put_subscription', params: { shop_key: key, topic: 'ORDERS_PAID', id: '1', uri: 'https://gateway.example', standing: 'there', detail: null, checked_at: 1 } },
      { name: 'shopify_tell_total', params: { shop_key: key, variant: '1', total: 1, told_at: 1 } }
    ])
  }
  const migrated = rows("select name from sqlite_master where type = 'table' and name <> 'shopify_items' order by name").map(({ name }) => name)
  t.strictSame(migrated, TABLES.toSorted(), 'these are all tables')
  await forgetAdmin(1, context)
  await forgetAdmin(1, context)
  for (const table of TABLES) t.match(rows(`select shop_key from ${table}`), [{ shop_key: 2 }], table)
})
