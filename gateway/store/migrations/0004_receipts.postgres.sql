-- What a provider calls the message it made, so that no two deliveries take one for theirs; and settings that an
-- answer asked for, by name (JSON): the attempts after it are made with them.
alter table deliveries add column receipt text;
alter table deliveries add column adjusted text;
create index deliveries_receipt on deliveries (account_key, receipt) where receipt is not null;

-- Of a call that another one followed.
alter table calls add column receipt text;
create index calls_receipt on calls (account_key, receipt) where receipt is not null;
