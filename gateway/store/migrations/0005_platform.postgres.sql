-- An account of the platform's own carries a fingerprint of the credentials it was last used with, so that new ones are
-- noticed also after a restart. Null for the accounts of shops.
alter table accounts add column declared text;
