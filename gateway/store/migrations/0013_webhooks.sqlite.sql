-- Where a provider tells us by itself what happens at an account: a registration for each account that has a connection, known by
-- the hash of what only the provider is told, a part of the address. One that has ended stays: by it our subscriptions are known.
-- `url`: what they begin with, null before the first of them.
create table webhooks (
  id text primary key,
  account_key integer not null references accounts,
  provider text not null,
  hash text not null unique,
  url text,
  reason text,
  checked_at integer,
  refused_at integer,
  created_at integer not null,
  ended_at integer
) strict, without rowid;
create unique index webhooks_account on webhooks (account_key) where ended_at is null;
create index webhooks_ended on webhooks (account_key) where ended_at is not null;

-- The secret part of its address, and the provider's own token, sealed like the secrets of a connection.
create table webhook_secrets (
  id text not null references webhooks,
  field text not null,
  key_id text not null,
  version integer not null,
  sealed blob not null,
  primary key (id, field)
) strict, without rowid;

-- Credentials of connections that are gone, sealed: by them the provider is yet to be told to call no more.
create table webhook_removals (
  id text primary key,
  account_key integer not null references accounts,
  shop text not null,
  provider text not null,
  key_id text not null,
  version integer not null,
  sealed blob not null
) strict, without rowid;
create index webhook_removals_account on webhook_removals (account_key);
