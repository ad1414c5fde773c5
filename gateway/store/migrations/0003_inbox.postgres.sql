-- What others sent here: webhooks of sources, call-backs of providers. Kept first, understood later.
-- state: 1 received, 2 done (events came of it), 3 recorded (nothing follows), 4 parked (a person looks at it).
-- due_at is set exactly while a claim may take the row; owner exactly while somebody works on it. `events` is a JSON list of what came of it.
create table inbox (
  inbox_key bigint primary key,
  id text not null unique,
  source text not null,
  topic text not null,
  shop text,
  subject text,
  headers text not null,
  body text,
  received_at bigint not null,
  state bigint not null,
  reason text,
  detail text,
  events text,
  due_at bigint,
  attempts bigint not null default 0,
  claims bigint not null default 0,
  owner bigint,
  epoch bigint,
  settled_at bigint
);
create index inbox_due on inbox (source, due_at, inbox_key) where due_at is not null;
create index inbox_owned on inbox (owner) where owner is not null;
create index inbox_settled on inbox (settled_at) where settled_at is not null;

-- By these a repeat is told, also when the row itself is gone. A key is a digest of what the source calls one.
create table inbox_keys (
  source text not null,
  key text not null,
  received_at bigint not null,
  primary key (source, key)
);
create index inbox_keys_received on inbox_keys (received_at);
