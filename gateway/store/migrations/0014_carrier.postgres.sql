-- What the carrier says of a message that the provider took; and when it is asked for, where it does not say it by itself.
alter table deliveries add column carrier_status text;
alter table deliveries add column carrier_at bigint;
alter table deliveries add column carrier_code text;
alter table deliveries add column carrier_due_at bigint;
create index deliveries_carrier_due on deliveries (account_key, carrier_due_at) where carrier_due_at is not null;

-- People who want no more messages: of a shop, or of whoever sends over an account. `by_account_key`: what was said over that account,
-- and may be taken back there; null where a person said it. A row that was lifted stays.
create table opt_outs (
  person bytea not null,
  scope text not null,
  scope_key bigint not null,
  at bigint not null,
  via text not null,
  by_account_key bigint,
  reason text,
  lifted_at bigint,
  lifted_via text,
  lift_reason text,
  primary key (person, scope, scope_key)
);
