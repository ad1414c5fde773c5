-- What a person looks for in the inbox, found without reading the rest: what is parked, and what is about one order or delivery.
create index inbox_parked on inbox (inbox_key) where state = 4;
create index inbox_subject on inbox (subject, inbox_key) where subject is not null;
