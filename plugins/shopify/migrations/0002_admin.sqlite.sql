-- By what the Admin API of a shop is asked, sealed, and how that goes. `grant_no` counts the tokens, so that what was found out
-- about old ones is not said of new ones; `refreshing_until`: an instance is getting the next one, or none is to try before then.
create table shopify_access (
  shop_key integer primary key,
  grant_no integer not null,
  standing text not null,
  key_id text not null,
  version integer not null,
  sealed blob not null,
  scopes text,
  given_at integer not null,
  expires_at integer,
  refreshing_until integer,
  refreshed_at integer,
  error text,
  error_text text,
  error_at integer,
  resume_at integer
) strict;

-- What selling plans are, as the shop said.
create table shopify_plans (
  shop_key integer not null,
  plan text not null,
  category text not null,
  timeline text,
  asked_at integer not null,
  primary key (shop_key, plan)
) strict, without rowid;

-- What a shop does not have: it is not asked again for a while.
create table shopify_absent (
  shop_key integer not null,
  kind text not null,
  id text not null,
  asked_at integer not null,
  primary key (shop_key, kind, id)
) strict, without rowid;

-- The subscriptions that this gateway keeps at the shop, by topic.
create table shopify_subscriptions (
  shop_key integer not null,
  topic text not null,
  id text,
  uri text not null,
  standing text not null,
  detail text,
  checked_at integer not null,
  primary key (shop_key, topic)
) strict, without rowid;

-- The total of a variant that was told last; null where a level was told since, so that nobody knows what it adds up to.
create table shopify_told (
  shop_key integer not null,
  variant text not null,
  total integer,
  told_at integer not null,
  primary key (shop_key, variant)
) strict, without rowid;
