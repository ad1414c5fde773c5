// What is kept of a shop beside its events: which item is which variant, what was told last, and what it pays for.

import type { Dialect } from '../../gateway/define.ts'

/** Numbers whose names do not tell that they are some are cast. */
export const statements = (d: Dialect): Record<string, string> => ({
  // An older body changes nothing. One without an item says nothing of it.
  shopify_put_item: `
    insert into shopify_items (shop_key, variant, item, product, quantity, at) values (:shop_key, :variant, :item, :product, cast(:quantity as bigint), :at)
    on conflict (shop_key, variant) do update set item = coalesce(excluded.item, shopify_items.item), product = excluded.product, quantity = excluded.quantity, at = excluded.at
    where shopify_items.at <= excluded.at`,
  // Shown again as they were: what is older than this says nothing of them any more.
  shopify_seen_items: `
    update shopify_items set at = :at where shop_key = :shop_key and at < :at and variant in ${d.listed('variants', 'text')}`,
  // A location changed: the total is another one, whoever tells it.
  shopify_unsettle_item: 'update shopify_items set quantity = null where shop_key = :shop_key and item = :item and quantity is not null',
  shopify_variants_of_item: 'select variant, product from shopify_items where shop_key = :shop_key and item = :item order by variant limit 50',
  shopify_items: `select variant, item, product, quantity, at from shopify_items where shop_key = :shop_key and variant in ${d.listed('variants', 'text')}`,

  shopify_put_product: `
    insert into shopify_products (shop_key, product, facts, at) values (:shop_key, :product, :facts, :at)
    on conflict (shop_key, product) do update set facts = excluded.facts, at = excluded.at where shopify_products.at <= excluded.at`,
  shopify_product: 'select facts, at from shopify_products where shop_key = :shop_key and product = :product',

  // A subscription stays the shop's it was first told of.
  shopify_put_bill: `
    insert into shopify_billing (subscription, shop_key, plan, at) values (:subscription, :shop_key, :plan, :at)
    on conflict (subscription) do update set plan = excluded.plan, at = excluded.at
    where shopify_billing.shop_key = excluded.shop_key and shopify_billing.at <= excluded.at`,
  shopify_take_turn: `
    insert into shopify_shops (shop_key, turn) values (:shop_key, 1)
    on conflict (shop_key) do update set turn = shopify_shops.turn + 1 returning turn`,
  shopify_bill: 'select shop_key from shopify_billing where subscription = :subscription',
  shopify_bills: 'select subscription, plan, at from shopify_billing where shop_key = :shop_key order by at desc, subscription limit 100',

  shopify_put_uninstalled: `
    insert into shopify_shops (shop_key, uninstalled_at) values (:shop_key, :at)
    on conflict (shop_key) do update set uninstalled_at = excluded.uninstalled_at
    where shopify_shops.uninstalled_at is null or shopify_shops.uninstalled_at < excluded.uninstalled_at`,
  shopify_put_redacted: `
    insert into shopify_shops (shop_key, redacted_at) values (:shop_key, :at)
    on conflict (shop_key) do update set redacted_at = excluded.redacted_at`,
  shopify_shop: 'select uninstalled_at, redacted_at from shopify_shops where shop_key = :shop_key',

  // Whether an event of this source was accepted, as long as identities are known.
  shopify_event: 'select 1 as known from events where shop_key = :shop_key and source = :own and source_id = :source_id',
  // Whether something came under one of these keys, as the inbox keeps them.
  shopify_came: `select 1 as known from inbox_keys where source = :source and key in ${d.listed('keys', 'text')} limit 1`,
  // A row of the inbox whose body was not erased.
  shopify_row: 'select topic, shop, subject, headers, body, received_at from inbox where id = :id and body is not null',

  // That it was erased once is kept: an old request to do so is not believed a second time.
  shopify_forget_items: 'delete from shopify_items where shop_key = :shop_key',
  shopify_forget_products: 'delete from shopify_products where shop_key = :shop_key',
  shopify_forget_billing: 'delete from shopify_billing where shop_key = :shop_key'
})
