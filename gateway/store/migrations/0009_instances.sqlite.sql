-- Raised by every change of a shop, of its connections and choices: whoever has an older one at hand reads it again.
alter table shops add column version integer not null default 0;

-- Gateways that share a database; an embedded one has one gateway, which is alive while the file is open.
create table instances (
  owner integer primary key autoincrement,
  expires_at integer not null
) strict;
