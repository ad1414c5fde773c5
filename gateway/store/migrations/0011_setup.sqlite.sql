-- How far a shop is with setting a provider up: a row for each step that was tried, and for each subject (a set-up group, an
-- event type) of those that are done once for each.
create table setup (
  shop_key integer not null references shops,
  provider text not null,
  step text not null,
  subject text not null,
  state text not null,
  reason text,
  detail text,
  given text not null default '{}',
  found text not null default '{}',
  action text,
  asked_at integer,
  done_at integer,
  checked_at integer,
  primary key (shop_key, provider, step, subject)
) strict, without rowid;

-- Credentials that were given and are not checked yet, sealed like those of a connection.
create table setup_secrets (
  shop_key integer not null references shops,
  provider text not null,
  step text not null,
  field text not null,
  key_id text not null,
  version integer not null,
  sealed blob not null,
  primary key (shop_key, provider, step, field)
) strict, without rowid;

-- What a set-up does at an account by itself, and how far it is. It outlives the set-up: what was begun at the provider may still
-- come true there. `run`: who works on it; whoever saves without being it is too late.
create table setup_tasks (
  account_key integer not null references accounts,
  step text not null,
  subject text not null,
  id text not null,
  run text,
  done text not null default 'null',
  shown text not null default '{}',
  saved_at integer not null,
  primary key (account_key, step, subject)
) strict, without rowid;

-- What the provider calls the account, and the groups whose steps are all done.
alter table connections add column name text not null default '';
alter table connections add column set_up text not null default '[]';

-- What is known of the tokens of a connection by OAuth, as JSON; null for any other.
alter table connections add column oauth text;

-- What was done to a shop, newest first.
create index audit_shop on audit (shop, at) where shop is not null;

-- Jobs that nobody waits for, such as the daily look at a connection, are found apart from the others.
alter table jobs add column background integer not null default 0;
drop index jobs_due;
create index jobs_due on jobs (background, due_at) where due_at is not null;

-- Merchants on their way to a provider and back, by the hash of what only their browser knows: the ticket that sends them, and the
-- state that comes back. Each is good once.
create table oauth_flows (
  hash text primary key,
  kind text not null,
  shop_key integer not null references shops,
  provider text not null,
  step text not null,
  actor text not null,
  return_url text,
  created_at integer not null,
  used_at integer,
  followed_by text
) strict, without rowid;
create index oauth_flows_created on oauth_flows (created_at);

-- Refresh tokens of grants that nobody is to have any more: the provider is yet to be told. `account_id`: whose they are, as the
-- provider calls it; empty where it never said.
create table oauth_revocations (
  id text primary key,
  shop text not null,
  provider text not null,
  account_id text not null,
  key_id text not null,
  version integer not null,
  sealed blob not null,
  tries integer not null default 0,
  created_at integer not null,
  due_at integer not null
) strict, without rowid;
create index oauth_revocations_due on oauth_revocations (due_at);

-- Who else is connected to an account.
create index connections_account_id on connections (provider, account_id);
