// Every statement of the source, on the real databases.

import { join } from 'node:path'
import t from 'tap'
import type { Extensible, Row, Step, Store } from '../../gateway/contract.ts'
import { SQLITE } from '../../gateway/store/dialect.ts'
import { newPlace, openAlone } from '../../test/helpers/stores.ts'
import { statements } from './statements.ts'

t.test('each statement does on both databases what it is for', async t => {
  const store = await openAlone(t, await newPlace(t), () => 0) as Store & Extensible
  await store.extend({ prefix: 'shopify_', migrations: join(import.meta.dirname, 'migrations'), statements })
  const used = new Set<string>()
  const write = async (name: string, params: Step['params']): Promise<{ changes: number, rows: Row[] } | undefined> => { used.add(name); return (await store.commit([{ name, params }]))[0] }
  const read = async (name: string, params: Step['params']): Promise<Row[]> => { used.add(name); return (await store.read(name, params)).map(row => ({ ...row })) }
  const item = (more: Step['params'] = {}): Step['params'] => ({ shop_key: 1, variant: '10', item: '20', product: '30', quantity: 5, at: 1000, ...more })

  t.match(await write('shopify_put_item', item()), { changes: 1 })
  t.match(await write('shopify_put_item', item({ quantity: 9, at: 999 })), { changes: 0 }, 'an older body changes nothing')
  await write('shopify_put_item', item({ item: null, quantity: -3, at: 1000 }))
  await write('shopify_put_item', item({ variant: '11', item: null, quantity: null }))
  t.strictSame(await read('shopify_variants_of_item', { shop_key: 1, item: '20' }), [{ variant: '10', product: '30' }], 'one without an item leaves it')
  t.match(await write('shopify_seen_items', { shop_key: 1, variants: '["10","12"]', at: 2000 }), { changes: 1 })
  t.strictSame((await read('shopify_items', { shop_key: 1, variants: '["10","11","12"]' })).toSorted((a, b) => Number(a.variant) - Number(b.variant)), [
    { variant: '10', item: '20', product: '30', quantity: -3, at: 2000 }, { variant: '11', item: null, product: '30', quantity: null, at: 1000 }
  ])
  t.match(await write('shopify_unsettle_item', { shop_key: 1, item: '20' }), { changes: 1 })
  t.match(await read('shopify_items', { shop_key: 1, variants: '["10"]' }), [{ quantity: null, at: 2000 }])

  await write('shopify_put_product', { shop_key: 1, product: '30', facts: 'a', at: 1000 })
  await write('shopify_put_product', { shop_key: 1, product: '30', facts: 'b', at: 999 })
  t.strictSame(await read('shopify_product', { shop_key: 1, product: '30' }), [{ facts: 'a', at: 1000 }])

  await write('shopify_put_bill', { subscription: '40', shop_key: 1, plan: 'pro', at: 1000 })
  t.match(await write('shopify_put_bill', { subscription: '40', shop_key: 2, plan: 'pro', at: 2000 }), { changes: 0 }, 'another shop\'s stays another shop\'s')
  await write('shopify_put_bill', { subscription: '41', shop_key: 1, plan: null, at: 3000 })
  t.strictSame(await read('shopify_bill', { subscription: '40' }), [{ shop_key: 1 }])
  t.strictSame(await read('shopify_bills', { shop_key: 1 }), [{ subscription: '41', plan: null, at: 3000 }, { subscription: '40', plan: 'pro', at: 1000 }])
  for (const turn of [1, 2]) t.match(await write('shopify_take_turn', { shop_key: 1 }), { rows: [{ turn }] })

  for (const at of [500, 400]) await write('shopify_put_uninstalled', { shop_key: 1, at })
  for (const at of [600, 550]) await write('shopify_put_redacted', { shop_key: 1, at })
  t.strictSame(await read('shopify_shop', { shop_key: 1 }), [{ uninstalled_at: 500, redacted_at: 550 }])

  t.strictSame(await read('shopify_event', { shop_key: 1, own: '/sources/shopify', source_id: 'x' }), [])
  await store.commit([{ name: 'insert_inbox', params: { inbox_key: 1, id: 'inb_1', source: 'shopify', topic: 'a/b', shop: 's', subject: null, headers: '{}', body: '{}', received_at: 7, state: 2, reason: null, detail: null, due_at: null, settled_at: 7, keys: '["k"]' } }, { name: 'insert_inbox_keys', params: { source: 'shopify', keys: '["k"]', received_at: 7, inbox_key: 1 } }])
  t.match(await read('shopify_came', { source: 'shopify', keys: '["j","k"]' }), [{ known: 1 }])
  t.strictSame(await read('shopify_came', { source: 'other', keys: '["k"]' }), [])
  t.strictSame(await read('shopify_row', { id: 'inb_1' }), [{ topic: 'a/b', shop: 's', subject: null, headers: '{}', body: '{}', received_at: 7 }])

  for (const [name, changes] of [['items', 2], ['products', 1], ['billing', 2]] as const) t.match(await write(`shopify_forget_${name}`, { shop_key: 1 }), { changes }, name)
  t.strictSame(Object.keys(statements(SQLITE)).filter(name => !used.has(name)), [], 'and none was left out')
})
