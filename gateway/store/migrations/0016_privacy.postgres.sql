-- Whether the app is installed at the shop: installed, uninstalled, erasing, erased. `…_at`: the time of the word by which each is
-- known; what is older changes nothing. `plan_told`: a plan that was named and is not in the config.
alter table shops add column status text not null default 'installed';
alter table shops add column status_at bigint not null default 0;
alter table shops add column plan_at bigint not null default 0;
alter table shops add column profile_at bigint not null default 0;
alter table shops add column plan_told text;

-- Whose data were erased because the person, or the shop, asked for it.
alter table events add column redacted_at bigint;

-- What people, and shops, ask to be done with their data: `redact`, `export`, `forget` (the whole shop). `sealed`: whom it is about,
-- until it is done; after that keyed hashes alone (`marks`, a JSON list). `found`: JSON, how much there was.
create table privacy (
  id text primary key,
  shop_key bigint not null references shops,
  kind text not null,
  at bigint not null,
  marks text not null,
  key_id text,
  version bigint,
  sealed bytea,
  found text not null default '{}',
  done_at bigint
);
create index privacy_open on privacy (shop_key, kind, at) where done_at is null;
create index privacy_shop on privacy (shop_key, id);

-- Keyed hashes of those who were erased: nothing that happened before `at` is sent to them.
create table privacy_marks (
  shop_key bigint not null references shops,
  mark bytea not null,
  at bigint not null,
  primary key (shop_key, mark)
);

-- What was gathered for somebody who asked what is stored, sealed, in parts.
create table privacy_parts (
  id text not null references privacy,
  part text not null,
  key_id text not null,
  version bigint not null,
  sealed bytea not null,
  created_at bigint not null,
  primary key (id, part)
);
create index privacy_parts_created on privacy_parts (created_at);

-- Standings of people about whom nothing is to be asked go in the end, also of those on a list; so does what nobody has an end for.
drop index subscribers_idle;
create index subscribers_old on subscribers (since) where due_at is null and adding is null and standing <> 'opted_out';
create index subscriber_notices_at on subscriber_notices (at);
alter table webhook_removals add column created_at bigint not null default 0;
update webhook_removals set created_at = (extract(epoch from clock_timestamp()) * 1000)::bigint;
create index webhook_removals_created on webhook_removals (created_at);
