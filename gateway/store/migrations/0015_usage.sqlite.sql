-- What a provider's messages cost that the platform pays for: segments by shop, month ("2026-11", UTC) and country (ISO 3166-1,
-- or ZZ), counted when a message is accepted.
create table usage (
  shop_key integer not null references shops,
  provider text not null,
  month text not null,
  country text not null,
  messages integer not null,
  segments integer not null,
  primary key (shop_key, provider, month, country)
) strict, without rowid;

-- The same of messages that are on their way, or may have been sent: they count for the limit.
create table usage_reserved (
  delivery_key integer primary key,
  shop_key integer not null references shops,
  provider text not null,
  month text not null,
  country text not null,
  segments integer not null
) strict;
create index usage_reserved_month on usage_reserved (shop_key, provider, month);

-- A limit that is nearly or fully used was told of, once. `delivery_key`: the message that it was found with.
create table usage_warnings (
  shop_key integer not null references shops,
  provider text not null,
  month text not null,
  month_limit integer not null,
  percent integer not null,
  delivery_key integer not null,
  at integer not null,
  primary key (shop_key, provider, month, month_limit, percent)
) strict, without rowid;
