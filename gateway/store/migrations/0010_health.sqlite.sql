-- What became of an account's calls of the last minutes, in steps of time: a JSON list of [epoch, calls, failed].
alter table accounts add column health text not null default '[]';
