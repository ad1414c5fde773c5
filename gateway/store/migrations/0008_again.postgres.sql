-- A delivery that a person asked for, of an event that had one before: `again_of` is the first one's key, whichever of
-- them was sent again. record_only: its provider is to record it, and nobody is texted.
alter table deliveries add column again_of bigint;
alter table deliveries add column record_only integer not null default 0;
create index deliveries_again on deliveries (again_of) where again_of is not null;
-- One at a time, however many ask at once.
create unique index deliveries_again_open on deliveries (again_of) where again_of is not null and finished_at is null;

-- Why, in the words of who did it.
alter table audit add column reason text;
