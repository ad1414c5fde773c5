// SQL of the Admin API's part: tokens, what was looked up, subscriptions, and what was told of stock.

import type { Dialect } from '../../../gateway/define.ts'

export function adminStatements (d: Dialect): Record<string, string> {
  const known = 'grant_no = cast(:grant_no as bigint)'
  return {
    shopify_access: `
      select grant_no, standing, key_id, version, sealed, scopes, given_at, expires_at, refreshing_until, refreshed_at, error, error_text, error_at, resume_at
      from shopify_access where shop_key = :shop_key`,
    shopify_connected_after: "select shop_key from shopify_access where shop_key > :after and standing <> 'reconnect' order by shop_key limit :limit",
    // Given by a person: whatever was the matter with the ones before is forgotten.
    shopify_give_access: `
      insert into shopify_access (shop_key, grant_no, standing, key_id, version, sealed, scopes, given_at, expires_at)
      values (:shop_key, 1, 'connected', :key_id, :version, :sealed, :scopes, :given_at, :expires_at)
      on conflict (shop_key) do update set grant_no = shopify_access.grant_no + 1, standing = 'connected', key_id = :key_id, version = :version, sealed = :sealed,
        scopes = :scopes, given_at = :given_at, expires_at = :expires_at, refreshing_until = null, refreshed_at = null, error = null, error_text = null, error_at = null, resume_at = null`,
    shopify_claim_refresh: `
      update shopify_access set refreshing_until = :refreshing_until
      where shop_key = :shop_key and ${known} and standing <> 'reconnect' and (refreshing_until is null or refreshing_until <= :now)`,
    shopify_refreshed: `
      update shopify_access set grant_no = grant_no + 1, standing = 'connected', key_id = :key_id, version = :version, sealed = :sealed, scopes = coalesce(:scopes, scopes),
        expires_at = :expires_at, refreshing_until = null, refreshed_at = :refreshed_at, error = null, error_text = null, error_at = null, resume_at = null
      where shop_key = :shop_key and ${known}`,
    // The next try to get a token is not before then.
    shopify_refresh_failed: `
      update shopify_access set refreshing_until = :refreshing_until, error = :error, error_text = :error_text, error_at = :error_at
      where shop_key = :shop_key and ${known}`,
    shopify_failed: `
      update shopify_access set standing = :standing, error = :error, error_text = :error_text, error_at = :error_at, resume_at = :resume_at
      where shop_key = :shop_key and ${known}`,
    shopify_worked: `
      update shopify_access set standing = 'connected', error = null, error_text = null, error_at = null, resume_at = null
      where shop_key = :shop_key and ${known} and standing <> 'reconnect'`,
    shopify_scopes: `update shopify_access set scopes = :scopes where shop_key = :shop_key and ${known}`,
    shopify_forget_access: 'delete from shopify_access where shop_key = :shop_key',
    // The app was taken out: what was given after that is of a later installation.
    shopify_forget_access_before: 'delete from shopify_access where shop_key = :shop_key and given_at <= :before',

    shopify_plans_of: `select plan, category, timeline from shopify_plans where shop_key = :shop_key and asked_at > :since and plan in ${d.listed('plans', 'text')}`,
    shopify_put_plan: `
      insert into shopify_plans (shop_key, plan, category, timeline, asked_at) values (:shop_key, :plan, :category, :timeline, :asked_at)
      on conflict (shop_key, plan) do update set category = :category, timeline = :timeline, asked_at = :asked_at`,
    shopify_absent_of: `select id from shopify_absent where shop_key = :shop_key and kind = :kind and asked_at > :since and id in ${d.listed('ids', 'text')}`,
    shopify_put_absent: `
      insert into shopify_absent (shop_key, kind, id, asked_at) values (:shop_key, :kind, :id, :asked_at)
      on conflict (shop_key, kind, id) do update set asked_at = :asked_at`,
    shopify_forget_absent: 'delete from shopify_absent where shop_key = :shop_key and asked_at <= :before',

    shopify_subscriptions_of: 'select topic, id, uri, standing, detail, checked_at from shopify_subscriptions where shop_key = :shop_key order by topic',
    shopify_put_subscription: `
      insert into shopify_subscriptions (shop_key, topic, id, uri, standing, detail, checked_at) values (:shop_key, :topic, :id, :uri, :standing, :detail, :checked_at)
      on conflict (shop_key, topic) do update set id = :id, uri = :uri, standing = :standing, detail = :detail, checked_at = :checked_at`,
    shopify_forget_subscription: 'delete from shopify_subscriptions where shop_key = :shop_key and topic = :topic',

    shopify_told_of: `select variant, total from shopify_told where shop_key = :shop_key and total is not null and variant in ${d.listed('variants', 'text')}`,
    shopify_variants_after: 'select variant from shopify_items where shop_key = :shop_key and variant > :after_variant order by variant limit :limit',
    shopify_tell_total: `
      insert into shopify_told (shop_key, variant, total, told_at) values (:shop_key, :variant, cast(:total as bigint), :told_at)
      on conflict (shop_key, variant) do update set total = excluded.total, told_at = excluded.told_at where shopify_told.told_at <= excluded.told_at`,
    shopify_tell_level: 'update shopify_told set total = null where shop_key = :shop_key and variant = :variant',

    shopify_forget_plans: 'delete from shopify_plans where shop_key = :shop_key',
    shopify_forget_subscriptions: 'delete from shopify_subscriptions where shop_key = :shop_key',
    shopify_forget_told: 'delete from shopify_told where shop_key = :shop_key'
  }
}
