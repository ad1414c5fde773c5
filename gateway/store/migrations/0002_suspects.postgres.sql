-- Claimed at two crashes in a row: few, and looked for at every start.
create index deliveries_suspect on deliveries (delivery_key) where claims > 1;
