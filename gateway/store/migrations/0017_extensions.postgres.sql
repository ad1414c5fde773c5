-- Tables that sources bring along, and how far each one's migrations have come.
create table extensions (
  prefix text primary key,
  version bigint not null
);
