-- Who waits for what, what is in stock, and the waves in which those who wait are told. Times are epoch milliseconds.

-- state: 1 waiting, 2 alerting (an alert was made and has not ended), 3 alerted, 4 skipped for good, 5 removed.
-- wave_key: the last wave that took it. pending: 1 while that wave has to find out what became of the alert.
-- person, email: keyed hashes. data: of the event waitlist.joined, JSON. consent: 1 where the customer agreed to be texted.
create table waitlist_signups (
  signup_key bigint generated always as identity primary key,
  id text not null unique,
  shop_key bigint not null,
  variant text not null,
  product text not null,
  market text not null default '',
  person bytea not null,
  email bytea,
  customer text,
  data text not null,
  consent bigint not null,
  source text not null,
  joined_at bigint not null,
  created_at bigint not null,
  state bigint not null default 1,
  reason text,
  wave_key bigint,
  pending bigint not null default 0,
  alerts bigint not null default 0,
  alert_id text,
  alerted_at bigint,
  bought_at bigint,
  remind_at bigint,
  reminder text,
  reminder_reason text,
  unique (shop_key, variant, market, person)
);
create index waitlist_signups_waiting on waitlist_signups (shop_key, variant, joined_at, signup_key, consent) where state = 1;
create index waitlist_signups_pending on waitlist_signups (wave_key, signup_key) where pending = 1;
create index waitlist_signups_remind on waitlist_signups (remind_at, shop_key) where remind_at is not null;
create index waitlist_signups_remind_of on waitlist_signups (shop_key, remind_at) where remind_at is not null;
create index waitlist_signups_person on waitlist_signups (shop_key, person);
create index waitlist_signups_customer on waitlist_signups (shop_key, customer) where customer is not null;
create index waitlist_signups_email on waitlist_signups (shop_key, email) where email is not null;

-- What each location said, and when; of the older ones only those that a total may still be counted from.
create table waitlist_levels (
  shop_key bigint not null,
  variant text not null,
  location text not null,
  at bigint not null,
  available bigint not null,
  primary key (shop_key, variant, location, at)
);

-- absolute: the last total that was told as one. total: what is available, counted from that and the levels; null while nobody told.
-- armed: 1 below the threshold, so that the next crossing fires; 0 at or above it; null while nothing is known.
-- threshold: by which armed was judged. crossed_by: key of the event that crossed last.
create table waitlist_stock (
  shop_key bigint not null,
  variant text not null,
  product text,
  absolute bigint,
  absolute_at bigint,
  total bigint,
  total_before bigint,
  changed_at bigint,
  threshold bigint,
  armed bigint,
  crossed_by bigint,
  primary key (shop_key, variant)
);

-- The product as the shop shows it now: the data of product.updated.
create table waitlist_products (
  shop_key bigint not null,
  product text not null,
  data text not null,
  at bigint not null,
  primary key (shop_key, product)
);

-- What a shop chose itself, JSON; the two that statements read beside it. What is null is the platform's default.
create table waitlist_settings (
  shop_key bigint primary key,
  data text not null,
  threshold bigint,
  automatic bigint,
  updated_at bigint not null
);

-- kind: restock or manual. state: 1 running, 2 ended. settled: 1 once it is known what became of each of its alerts.
-- signup: id of the only one it is for. batch_size: null for all at once. batch_freed: places of the batch given back.
-- after_at, after_key: the last one taken, in the order of those who wait. turn: changes with each unit of its job, so that two of them
-- never build on the same.
create table waitlist_waves (
  wave_key bigint generated always as identity primary key,
  id text not null unique,
  shop_key bigint not null,
  variant text not null,
  kind text not null,
  event_key bigint,
  actor text,
  signup text,
  state bigint not null default 1,
  reason text,
  settled bigint not null default 0,
  stock_before bigint,
  stock_after bigint,
  started_at bigint not null,
  ended_at bigint,
  batch_no bigint not null default 0,
  batch_size bigint,
  batch_made bigint not null default 0,
  batch_freed bigint not null default 0,
  next_batch_at bigint,
  made bigint not null default 0,
  alerted bigint not null default 0,
  skipped bigint not null default 0,
  returned bigint not null default 0,
  after_at bigint not null default 0,
  after_key bigint not null default 0,
  turn text not null default ''
);
create index waitlist_waves_open on waitlist_waves (shop_key, variant, wave_key) where settled = 0;
create index waitlist_waves_of_shop on waitlist_waves (shop_key, wave_key);

-- Never has a row: what is written here fails the unit it is in.
create table waitlist_guards (refused bigint not null check (refused = 0));

-- Rows that change often: room beside them, and cleaned up soon.
alter table waitlist_signups set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
alter table waitlist_stock set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
alter table waitlist_waves set (fillfactor = 50);
