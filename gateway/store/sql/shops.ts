// Shops, what they chose, their connections with sealed secrets, and the queues that follow from these.

import type { Dialect } from '../dialect.ts'

export const shops = (d: Dialect) => ({
  upsert_shop: `
    insert into shops (id, name, domain, plan, active, created_at, updated_at) values (:id, :name, :domain, :plan, :active, :now, :now)
    on conflict (id) do update set name = :name, domain = :domain, plan = :plan, active = :active, updated_at = :now, plan_at = :now, profile_at = :now, plan_told = null,
      status = case when shops.status = 'erased' then 'installed' else shops.status end, status_at = case when shops.status = 'erased' then 0 else shops.status_at end
    where shops.status <> 'erasing' and ((shops.name, shops.domain, shops.plan, shops.active) <> (:name, :domain, :plan, :active) or shops.status = 'erased')`,
  // Whoever has read it before must read it again.
  // Fails with its whole unit where the shop is not as it was read: what the unit says was made from that.
  touch_shop: 'update shops set version = case when version = coalesce(:version, version) then version + 1 end where id = :id',
  shop: 'select shop_key, id, name, domain, plan, active, version, status, status_at, plan_told from shops where id = :id',
  declared: 'select declared, status from shops where id = :id',
  mark_declared: 'update shops set declared = :declared where id = :id',
  shop_by_key: 'select shop_key, id, name, domain, plan, active, version, status, status_at, plan_told from shops where shop_key = :shop_key',
  list_shops: `
    select shop_key, id, name, domain, plan, active, version, status, status_at, plan_told from shops
    where id > :after and status in ('installed', 'uninstalled') and (:shops is null or id in ${d.listed('shops', 'text')}) order by id limit :limit`,

  channels: 'select channel, provider from channels where shop_key = :shop_key',
  set_channel: `
    insert into channels (shop_key, channel, provider, updated_at) values (:shop_key, :channel, :provider, :now)
    on conflict (shop_key, channel) do update set provider = :provider, updated_at = :now`,

  ensure_account: `
    insert into accounts (provider, account, slot) values (:provider, :account, :slot) on conflict (provider, account) do nothing`,
  // The provider may count both identities as one account, so the new one's windows begin with the old one's calls.
  inherit_account: `
    update accounts set inherits = (select account_key from accounts where provider = :provider and account = :before)
    where provider = :provider and account = :account`,
  // Of the platform's own accounts at a provider: the one used last.
  declared_account: 'select account_key, account, declared from accounts where provider = :provider and declared is not null',
  declare_account: 'update accounts set declared = case when account = :account then :declared end where provider = :provider and (account = :account or declared is not null)',
  release_account: `
    update accounts set held_reason = null, held_until = null, health = '[]' where provider = :provider and account = :account`,

  upsert_connection: `
    insert into connections (id, shop_key, provider, auth, account_id, account_key, name, settings, ready, set_up, created_at, updated_at)
    values (:id, :shop_key, :provider, :auth, :account_id,
      (select account_key from accounts where provider = :provider and account = :account), :name, :settings, :ready, :set_up, :now, :now)
    on conflict (shop_key, provider) do update set auth = :auth, account_id = :account_id, account_key = excluded.account_key,
      name = :name, settings = :settings, ready = :ready, set_up = :set_up, oauth = null, updated_at = :now`,
  // These settings alone; the row is there already, but for a shop that had chosen none at an account that is not its own.
  adjust_connection: `
    insert into connections (id, shop_key, provider, auth, account_id, account_key, settings, ready, created_at, updated_at)
    values (:id, :shop_key, :provider, :auth, :account_id,
      (select account_key from accounts where provider = :provider and account = :account), :settings, :ready, :now, :now)
    on conflict (shop_key, provider) do update set settings = ${d.merged('connections.settings', ':settings')}, updated_at = :now`,
  // Back to what the platform has it.
  reset_setting: `update connections set settings = ${d.without('settings', 'setting')}, updated_at = :now where shop_key = :shop_key and provider = :provider`,
  delete_connection: 'delete from connections where shop_key = :shop_key and provider = :provider',
  connections: `
    select c.connection_key, c.id, c.provider, c.auth, c.account_id, c.account_key, c.settings, c.ready, c.name, c.set_up, c.oauth, a.account
    from connections c join accounts a on a.account_key = c.account_key where c.shop_key = :shop_key`,
  put_secret: `
    insert into secrets (connection_key, field, key_id, version, sealed)
    values ((select connection_key from connections where shop_key = :shop_key and provider = :provider), :field, :key_id, :version, :sealed)
    on conflict (connection_key, field) do update set key_id = :key_id, version = :version, sealed = :sealed`,
  drop_secrets: 'delete from secrets where connection_key = (select connection_key from connections where shop_key = :shop_key and provider = :provider)',
  secrets: 'select field, key_id, version, sealed from secrets where connection_key = :connection_key',

  ensure_queue: `
    insert into queues (shop_key, channel, setup_group, provider, account_key, held_reason)
    values (:shop_key, :channel, :setup_group, :provider, (select account_key from accounts where provider = :provider and account = :account), :held_reason)
    on conflict (shop_key, channel, setup_group) do update set provider = excluded.provider, account_key = excluded.account_key, held_reason = excluded.held_reason
    where ${d.differs('queues.provider', 'excluded.provider')} or ${d.differs('queues.account_key', 'excluded.account_key')} or ${d.differs('queues.held_reason', 'excluded.held_reason')}`,
  queues: 'select queue_key, channel, setup_group, provider, account_key, held_reason from queues where shop_key = :shop_key',

  audit: 'insert into audit (at, actor, action, shop, subject) values (:at, :actor, :action, :shop, :subject)'
})
