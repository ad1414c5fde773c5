-- What the shop's platform says of its variants. quantity: the total over all locations that was told last; null where none was,
-- or one of its locations changed since. at: the time of the newest body that showed the whole variant.
create table shopify_items (
  shop_key bigint not null,
  variant text not null,
  item text,
  product text not null,
  quantity bigint,
  at bigint not null,
  primary key (shop_key, variant)
);
create index shopify_items_item on shopify_items (shop_key, item) where item is not null;
create index shopify_items_product on shopify_items (shop_key, product);

-- Products as they were told last. facts: a digest of what was told.
create table shopify_products (
  shop_key bigint not null,
  product text not null,
  facts text not null,
  at bigint not null,
  primary key (shop_key, product)
);

-- The app's subscriptions of a shop, as the platform told of them last. plan: of this gateway; null where the subscription pays for none.
create table shopify_billing (
  subscription text primary key,
  shop_key bigint not null,
  plan text,
  at bigint not null
);
create index shopify_billing_shop on shopify_billing (shop_key);

-- The life of a shop with the app. turn counts what was told of its subscriptions.
create table shopify_shops (
  shop_key bigint primary key,
  turn bigint not null default 0,
  uninstalled_at bigint,
  redacted_at bigint
);
