-- Calls that belong to no delivery, oldest first: they are forgotten once no window counts them.
create index calls_questions on calls (call_key) where delivery_key is null;
