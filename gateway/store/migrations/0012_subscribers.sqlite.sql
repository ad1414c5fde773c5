-- How people stand on the list of a provider that texts nobody else; whoever works on the account writes it. No phone number: the
-- one to ask for is in the event of `delivery_key`. `due_at`: when the provider is to be asked about the person; `wants` counts who
-- wanted that, and where `doubt` is 1 what is known does not do. `adding`: the delivery that adds the person just now.
create table subscribers (
  account_key integer not null references accounts,
  person blob not null,
  standing text not null,
  since integer not null,
  asked_at integer,
  checked_at integer,
  due_at integer,
  wants integer not null default 0,
  doubt integer not null default 0,
  delivery_key integer,
  adding integer,
  refused text,
  refused_at integer,
  ref text,
  told_at integer,
  primary key (account_key, person)
) strict;
create index subscribers_due on subscribers (account_key, due_at) where due_at is not null;
create index subscribers_standing on subscribers (account_key, standing, person);
create index subscribers_idle on subscribers (since) where standing in ('unknown', 'not_found') and due_at is null;

-- What the provider told of a person, or somebody asked to have looked at: the list is read anew for it. The phone number is sealed.
create table subscriber_notices (
  id text primary key,
  account_key integer not null references accounts,
  ref text,
  standing text,
  at integer not null,
  key_id text,
  version integer,
  sealed blob,
  due_at integer not null,
  tries integer not null default 0
) strict;
create index subscriber_notices_due on subscriber_notices (account_key, due_at);

create index connections_account on connections (account_key);
