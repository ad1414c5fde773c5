-- Who waits for what, what is in stock, and the waves in which those who wait are told. Times are epoch milliseconds.

-- state: 1 waiting, 2 alerting (an alert was made and has not ended), 3 alerted, 4 skipped for good, 5 removed.
-- wave_key: the last wave that took it. pending: 1 while that wave has to find out what became of the alert.
-- person, email: keyed hashes. data: of the event waitlist.joined, JSON. consent: 1 where the customer agreed to be texted.
create table waitlist_signups (
  signup_key integer primary key autoincrement,
  id text not null unique,
  shop_key integer not null,
  variant text not null,
  product text not null,
  market text not null default '',
  person blob not null,
  email blob,
  customer text,
  data text not null,
  consent integer not null,
  source text not null,
  joined_at integer not null,
  created_at integer not null,
  state integer not null default 1,
  reason text,
  wave_key integer,
  pending integer not null default 0,
  alerts integer not null default 0,
  alert_id text,
  alerted_at integer,
  bought_at integer,
  remind_at integer,
  reminder text,
  reminder_reason text,
  unique (shop_key, variant, market, person)
) strict;
create index waitlist_signups_waiting on waitlist_signups (shop_key, variant, joined_at, signup_key, consent) where state = 1;
create index waitlist_signups_pending on waitlist_signups (wave_key, signup_key) where pending = 1;
create index waitlist_signups_remind on waitlist_signups (remind_at, shop_key) where remind_at is not null;
create index waitlist_signups_remind_of on waitlist_signups (shop_key, remind_at) where remind_at is not null;
create index waitlist_signups_person on waitlist_signups (shop_key, person);
create index waitlist_signups_customer on waitlist_signups (shop_key, customer) where customer is not null;
create index waitlist_signups_email on waitlist_signups (shop_key, email) where email is not null;

-- What each location said, and when; of the older ones only those that a total may still be counted from.
create table waitlist_levels (
  shop_key integer not null,
  variant text not null,
  location text not null,
  at integer not null,
  available integer not null,
  primary key (shop_key, variant, location, at)
) strict, without rowid;

-- absolute: the last total that was told as one. total: what is available, counted from that and the levels; null while nobody told.
-- armed: 1 below the threshold, so that the next crossing fires; 0 at or above it; null while nothing is known.
-- threshold: by which armed was judged. crossed_by: key of the event that crossed last.
create table waitlist_stock (
  shop_key integer not null,
  variant text not null,
  product text,
  absolute integer,
  absolute_at integer,
  total integer,
  total_before integer,
  changed_at integer,
  threshold integer,
  armed integer,
  crossed_by integer,
  primary key (shop_key, variant)
) strict, without rowid;

-- The product as the shop shows it now: the data of product.updated.
create table waitlist_products (
  shop_key integer not null,
  product text not null,
  data text not null,
  at integer not null,
  primary key (shop_key, product)
) strict, without rowid;

-- What a shop chose itself, JSON; the two that statements read beside it. What is null is the platform's default.
create table waitlist_settings (
  shop_key integer primary key,
  data text not null,
  threshold integer,
  automatic integer,
  updated_at integer not null
) strict;

-- kind: restock or manual. state: 1 running, 2 ended. settled: 1 once it is known what became of each of its alerts.
-- signup: id of the only one it is for. batch_size: null for all at once. batch_freed: places of the batch given back.
-- after_at, after_key: the last one taken, in the order of those who wait. turn: changes with each unit of its job, so that two of them
-- never build on the same.
create table waitlist_waves (
  wave_key integer primary key autoincrement,
  id text not null unique,
  shop_key integer not null,
  variant text not null,
  kind text not null,
  event_key integer,
  actor text,
  signup text,
  state integer not null default 1,
  reason text,
  settled integer not null default 0,
  stock_before integer,
  stock_after integer,
  started_at integer not null,
  ended_at integer,
  batch_no integer not null default 0,
  batch_size integer,
  batch_made integer not null default 0,
  batch_freed integer not null default 0,
  next_batch_at integer,
  made integer not null default 0,
  alerted integer not null default 0,
  skipped integer not null default 0,
  returned integer not null default 0,
  after_at integer not null default 0,
  after_key integer not null default 0,
  turn text not null default ''
) strict;
create index waitlist_waves_open on waitlist_waves (shop_key, variant, wave_key) where settled = 0;
create index waitlist_waves_of_shop on waitlist_waves (shop_key, wave_key);

-- Never has a row: what is written here fails the unit it is in.
create table waitlist_guards (refused integer not null check (refused = 0)) strict;
