-- Time of the newest word on a sign-up: what is older changes nothing. Null where none came after it was made.
alter table waitlist_signups add column told_at integer;
create index waitlist_signups_of_shop on waitlist_signups (shop_key, signup_key);
create index waitlist_signups_of_variant on waitlist_signups (shop_key, variant, signup_key);

-- What a shop's pages say of themselves when somebody signs up there; public. previous: good as well, until the next one is made.
create table waitlist_tokens (
  shop_key integer primary key,
  token text not null,
  previous text,
  rotated_at integer not null
) strict;

-- Sign-ups at the open address, counted by hour and by day. who: '' for all of the shop, else a keyed hash.
create table waitlist_tries (
  shop_key integer not null,
  began_at integer not null,
  span text not null,
  who text not null,
  tries integer not null,
  primary key (shop_key, began_at, span, who)
) strict, without rowid;
