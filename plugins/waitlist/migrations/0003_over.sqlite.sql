-- Sign-ups that wait no longer, by when that was last heard of: they go after their term.
create index waitlist_signups_over on waitlist_signups (coalesce(alerted_at, told_at, joined_at)) where state in (3, 4, 5);
