// What providers tell us by themselves: registrations, what proves who is calling, and what is to be taken back.

import type { Dialect } from '../dialect.ts'

/** Somebody is connected to the account, and has the app. */
const CONNECTED = "select 1 from connections c join shops o on o.shop_key = c.shop_key where c.account_key = :account_key and o.status = 'installed'"

export const webhooks = (d: Dialect) => ({
  // Whoever makes or ends a registration: two that take the last connections away at once must see each other.
  lock_account: 'update accounts set slot = slot where account_key = :account_key',
  // Of an account that is connected, and has none that lasts.
  put_webhooks: `
    insert into webhooks (id, account_key, provider, hash, created_at)
    select :id, :account_key, :provider, :hash, :now
    where exists (${CONNECTED}) and not exists (select 1 from webhooks where account_key = :account_key and ended_at is null)`,
  put_webhook_secret: `
    insert into webhook_secrets (id, field, key_id, version, sealed)
    select :id, :field, :key_id, :version, :sealed where exists (select 1 from webhooks where id = :id and ended_at is null)
    on conflict (id, field) do update set key_id = :key_id, version = :version, sealed = :sealed`,
  webhooks_of: `
    select w.id, w.hash, w.url, w.reason, w.checked_at, s.key_id, s.version, s.sealed
    from webhooks w join webhook_secrets s on s.id = w.id and s.field = 'address' where w.account_key = :account_key and w.ended_at is null`,
  // Who calls at an address. `shop` is null where the account is that of several.
  webhooks_at: `
    select w.id, w.account_key, s.key_id, s.version, s.sealed,
      (select case when count(*) = 1 then max(o.id) end from connections c join shops o on o.shop_key = c.shop_key where c.account_key = w.account_key) as shop
    from webhooks w left join webhook_secrets s on s.id = w.id and s.field = 'signature'
    where w.hash = :hash and w.provider = :provider and w.ended_at is null`,
  webhooks_by_id: 'select account_key, provider from webhooks where id = :id',
  known_webhooks: `select hash, id, ended_at from webhooks where hash in ${d.listed('hashes', 'text')}`,
  settle_webhooks: 'update webhooks set url = coalesce(:url, url), reason = :reason, checked_at = :now where id = :id and ended_at is null',
  // At most once in a while, however often somebody calls with the wrong token.
  refuse_webhooks: 'update webhooks set refused_at = :now where id = :id and ended_at is null and (refused_at is null or refused_at <= :before)',
  // One whose address cannot be opened any more.
  give_up_webhooks: 'update webhooks set ended_at = :now where id = :id and ended_at is null',

  // After the last connection of an account: nobody is called there any more, and the provider is to be told.
  end_webhooks: `
    update webhooks set ended_at = :now
    where account_key = :account_key and ended_at is null and not exists (${CONNECTED})`,
  drop_webhook_secrets: 'delete from webhook_secrets where id in (select id from webhooks where account_key = :account_key and ended_at is not null)',
  put_webhook_removal: `
    insert into webhook_removals (id, account_key, shop, provider, key_id, version, sealed, created_at)
    select :id, :account_key, :shop, :provider, :key_id, :version, :sealed, :now
    where exists (select 1 from webhooks where account_key = :account_key and ended_at is not null) and not exists (${CONNECTED})`,
  webhook_removals: 'select id, shop, key_id, version, sealed from webhook_removals where account_key = :account_key order by id',
  drop_webhook_removal: 'delete from webhook_removals where id = :id',
  // Connected again, which took back what there was; not where it was disconnected meanwhile.
  drop_webhook_removals: `
    delete from webhook_removals where account_key = :account_key and exists (${CONNECTED})`,

  // By the account's name: its row may be made in the same unit. Sooner than it was to run, where there is one.
  put_webhooks_job: `
    insert into jobs (job_key, id, kind, unique_key, account_key, due_at, created_at)
    select :job_key, :id, 'webhooks', cast(account_key as text), account_key, :now, :now from accounts where provider = :provider and account = :account
    on conflict (kind, unique_key) do update set due_at = ${d.least(':now', 'coalesce(jobs.due_at, :now)')}`,
  connections_at: `
    select c.shop_key, s.version from connections c join shops s on s.shop_key = c.shop_key where c.account_key = :account_key and c.provider = :provider and s.status = 'installed' order by c.connection_key limit :limit`,
  // Connections of these providers that are registered elsewhere, not at all, or were not looked after lately; a page of them.
  webhooks_missing: `
    select c.connection_key, a.provider, a.account from connections c join accounts a on a.account_key = c.account_key join shops o on o.shop_key = c.shop_key and o.status = 'installed'
    where c.connection_key > :after and c.provider in ${d.listed('providers', 'text')}
      and not exists (select 1 from webhooks w where w.account_key = c.account_key and w.ended_at is null and w.url = :url and w.checked_at > :before)
    order by c.connection_key limit :limit`
})
