-- By what the Admin API of a shop is asked, sealed, and how that goes. `grant_no` counts the tokens, so that what was found out
-- about old ones is not said of new ones; `refreshing_until`: an instance is getting the next one, or none is to try before then.
create table shopify_access (
  shop_key bigint primary key,
  grant_no bigint not null,
  standing text not null,
  key_id text not null,
  version bigint not null,
  sealed bytea not null,
  scopes text,
  given_at bigint not null,
  expires_at bigint,
  refreshing_until bigint,
  refreshed_at bigint,
  error text,
  error_text text,
  error_at bigint,
  resume_at bigint
);

-- What selling plans are, as the shop said.
create table shopify_plans (
  shop_key bigint not null,
  plan text not null,
  category text not null,
  timeline text,
  asked_at bigint not null,
  primary key (shop_key, plan)
);

-- What a shop does not have: it is not asked again for a while.
create table shopify_absent (
  shop_key bigint not null,
  kind text not null,
  id text not null,
  asked_at bigint not null,
  primary key (shop_key, kind, id)
);

-- The subscriptions that this gateway keeps at the shop, by topic.
create table shopify_subscriptions (
  shop_key bigint not null,
  topic text not null,
  id text,
  uri text not null,
  standing text not null,
  detail text,
  checked_at bigint not null,
  primary key (shop_key, topic)
);

-- The total of a variant that was told last; null where a level was told since, so that nobody knows what it adds up to.
create table shopify_told (
  shop_key bigint not null,
  variant text not null,
  total bigint,
  told_at bigint not null,
  primary key (shop_key, variant)
);
