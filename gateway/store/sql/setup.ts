// How far shops are with setting providers up, and credentials that wait for their check.

export const SETUP = {
  setup_rows: 'select step, subject, state, reason, detail, given, found, action, asked_at, done_at, checked_at from setup where shop_key = :shop_key and provider = :provider',
  put_setup: `
    insert into setup (shop_key, provider, step, subject, state, reason, detail, given, found, action, asked_at, done_at, checked_at)
    values (:shop_key, :provider, :step, :subject, :state, :reason, :detail, :given, :found, :action, :asked_at, :done_at, :checked_at)
    on conflict (shop_key, provider, step, subject) do update set state = :state, reason = :reason, detail = :detail, given = :given,
      found = :found, action = :action, asked_at = :asked_at, done_at = :done_at, checked_at = :checked_at`,
  forget_setup: 'delete from setup where shop_key = :shop_key and provider = :provider and step = :step and subject = :subject',
  // Other credentials are there than those it was checked with.
  uncheck_setup: "update setup set checked_at = null where shop_key = :shop_key and provider = :provider and step = :step and subject = ''",
  // What the steps make of the groups.
  set_up: 'update connections set set_up = :set_up, ready = :ready where shop_key = :shop_key and provider = :provider',

  put_setup_secret: `
    insert into setup_secrets (shop_key, provider, step, field, key_id, version, sealed) values (:shop_key, :provider, :step, :field, :key_id, :version, :sealed)
    on conflict (shop_key, provider, step, field) do update set key_id = :key_id, version = :version, sealed = :sealed`,
  drop_setup_secrets: 'delete from setup_secrets where shop_key = :shop_key and provider = :provider and step = :step',
  setup_secrets: 'select field, key_id, version, sealed from setup_secrets where shop_key = :shop_key and provider = :provider and step = :step',

  setup_tasks: 'select step, subject, id, run, done, shown from setup_tasks where account_key = :account_key',
  // Whoever worked on it before is too late from now on.
  claim_task: `
    insert into setup_tasks (account_key, step, subject, id, run, saved_at) values (:account_key, :step, :subject, :id, :run, :saved_at)
    on conflict (account_key, step, subject) do update set run = :run
    returning id, done, shown, saved_at`,
  save_task: `
    update setup_tasks set done = :done, shown = :shown, saved_at = :saved_at
    where account_key = :account_key and step = :step and subject = :subject and run = :run`,
  // What is done stays.
  stop_task: `update setup_tasks set run = null, shown = '{}' where account_key = :account_key and step = :step and subject = :subject`,

  account_called: 'select account_key from accounts where provider = :provider and account = :account',
  // By the account's name: its row may be made in the same unit.
  put_setup_job: `
    insert into jobs (job_key, id, kind, unique_key, account_key, due_at, created_at)
    select :job_key, :id, 'setup', :unique_key, account_key, :now, :now from accounts where provider = :provider and account = :account
    on conflict (kind, unique_key) do update set due_at = coalesce(jobs.due_at, excluded.due_at), account_key = excluded.account_key`,
  // As many as there are rows of: how often a shop did something lately.
  audit_since: 'select count(*) as times from audit where shop = :shop and at > :since and at <= :until and action = :action',
  // What became of the latest calls for an account's messages, by what was made of them, those of a shop apart.
  recent_of_shop: `
    select q.shop_key = :shop_key as own, d.state, d.reason, count(*) as messages, max(d.settled_at) as settled_at from (
      select state, reason, settled_at, queue_key from deliveries where account_key = :account_key and settled_at > :since order by settled_at desc limit :limit
    ) as d join queues q on q.queue_key = d.queue_key group by q.shop_key = :shop_key, d.state, d.reason`,
  // Connections to look after once a day, a page of them.
  connections_after: `
    select c.connection_key, c.shop_key, c.provider, c.account_key from connections c join shops s on s.shop_key = c.shop_key
    where c.connection_key > :after and s.status = 'installed' order by c.connection_key limit :limit`
} as const
