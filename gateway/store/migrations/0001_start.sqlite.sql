-- The tables of the gateway. Joins go by integer keys that never leave; ids with a prefix are for the outside.
-- Times are epoch milliseconds. Migrations only add; dropping comes a release later.

-- `declared` is a fingerprint of what the config said of a shop when that was last applied to it.
create table shops (
  shop_key integer primary key,
  id text not null unique,
  name text not null,
  domain text not null,
  plan text not null,
  active integer not null default 1,
  declared text,
  created_at integer not null,
  updated_at integer not null
) strict;

-- The provider a shop chose for a channel; without a row the channel's default holds.
create table channels (
  shop_key integer not null references shops,
  channel text not null,
  provider text not null,
  updated_at integer not null,
  primary key (shop_key, channel)
) strict, without rowid;

-- What a provider counts by: its account. Several shops may share one. `inherits`: the one that stood for it before its
-- identity changed, whose calls the provider may still count.
create table accounts (
  account_key integer primary key,
  provider text not null,
  account text not null,
  slot integer not null,
  held_reason text,
  held_until integer,
  pauses text not null default '{}',
  inherits integer references accounts,
  unique (provider, account)
) strict;
create index accounts_held on accounts (account_key) where held_reason is not null;

create table connections (
  connection_key integer primary key,
  id text not null unique,
  shop_key integer not null references shops,
  provider text not null,
  auth text not null,
  account_id text not null,
  account_key integer not null references accounts,
  settings text not null,
  ready text not null,
  created_at integer not null,
  updated_at integer not null,
  unique (shop_key, provider)
) strict;

create table secrets (
  connection_key integer not null references connections on delete cascade,
  field text not null,
  key_id text not null,
  version integer not null,
  sealed blob not null,
  primary key (connection_key, field)
) strict, without rowid;

-- A queue is (shop, channel, set-up group). Holding, releasing and switching the provider change this row alone.
create table queues (
  queue_key integer primary key,
  shop_key integer not null references shops,
  channel text not null,
  setup_group text not null,
  provider text,
  account_key integer references accounts,
  held_reason text,
  ready integer not null default 0,
  priority integer not null default 2,
  next_due_at integer,
  served_at integer not null default 0,
  unique (shop_key, channel, setup_group)
) strict;
create index queues_ready on queues (account_key, priority, served_at) where ready = 1 and held_reason is null;
create index queues_due on queues (next_due_at) where next_due_at is not null;
create index queues_held on queues (queue_key) where held_reason is not null;

-- Keys rise with time, so what is oldest is found without an index. source_id stands before source: people look for it.
create table events (
  event_key integer primary key,
  id text not null,
  shop_key integer not null,
  source text not null,
  source_id text not null,
  type text not null,
  time_at integer not null,
  received_at integer not null,
  person blob,
  data text,
  digest blob,
  unique (shop_key, source_id, source)
) strict;
create index events_person on events (person) where person is not null;

-- state: 1 waiting, 2 sending, 3 delivered, 4 unknown, 5 rejected, 6 expired.
-- due_at is set exactly while a claim may take the row; owner exactly while somebody works on it.
-- The latest call lives in the row (lane … outcome); earlier ones in calls.
create table deliveries (
  delivery_key integer primary key,
  id text not null unique,
  event_key integer not null,
  queue_key integer not null,
  state integer not null,
  reason text,
  detail text,
  priority integer not null,
  due_at integer,
  expires_at integer not null,
  created_at integer not null,
  finished_at integer,
  attempts integer not null default 0,
  claims integer not null default 0,
  account_key integer,
  owner integer,
  epoch integer,
  call_no integer not null default 0,
  lane text,
  reserved_at integer,
  settled_at integer,
  request_head text,
  request_body text,
  status integer,
  answer text,
  outcome text
) strict;
create index deliveries_event on deliveries (event_key);
create index deliveries_due on deliveries (queue_key, priority, due_at) where due_at is not null;
create index deliveries_owned on deliveries (owner) where owner is not null;
create index deliveries_settled on deliveries (account_key, settled_at) where settled_at is not null;

-- Earlier calls of deliveries, and every call of the set-up.
create table calls (
  call_key integer primary key,
  delivery_key integer,
  call_no integer not null,
  account_key integer,
  lane text,
  reserved_at integer not null,
  settled_at integer,
  request_head text,
  request_body text,
  status integer,
  answer text,
  outcome text
) strict;
create index calls_delivery on calls (delivery_key, call_no) where delivery_key is not null;
create index calls_settled on calls (account_key, settled_at) where settled_at is not null;

create index calls_open on calls (call_key) where outcome is null;

create table jobs (
  job_key integer primary key,
  id text not null unique,
  kind text not null,
  unique_key text not null,
  account_key integer,
  delivery_key integer,
  due_at integer,
  owner integer,
  epoch integer,
  attempts integer not null default 0,
  cursor text,
  progress text,
  created_at integer not null,
  unique (kind, unique_key)
) strict;
create index jobs_due on jobs (due_at) where due_at is not null;

-- 256 slots; an account belongs to slot hash(account) mod 256, a slot to one instance at a time.
create table slots (
  slot integer primary key,
  owner integer not null,
  epoch integer not null,
  expires_at integer not null
) strict;

create table audit (
  audit_key integer primary key,
  at integer not null,
  actor text not null,
  action text not null,
  shop text,
  subject text
) strict;
