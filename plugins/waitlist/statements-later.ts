// Orders, reminders and settings.

import type { Dialect } from '../../gateway/define.ts'

export const laterStatements = (d: Dialect): Record<string, string> => ({
  // Any variant of the product: who has one does not wait for it. `digest`: keyed hash of the e-mail address.
  waitlist_bought: `
    update waitlist_signups set bought_at = case when bought_at > :at then bought_at else :at end,
      reason = case when state = 1 then 'bought_since' else reason end, state = case when state = 1 then 4 else state end
    where shop_key = :shop_key and (person = :person or customer = :customer or email = :digest) and joined_at <= :at
      and (product in ${d.listed('products', 'text')} or variant in ${d.listed('variants', 'text')})
      and exists (select 1 from events where event_key = :event_key)`,

  waitlist_reminder_shops: `
    select shop_key from waitlist_signups where remind_at is not null and remind_at <= :now and shop_key > :after_key group by shop_key order by shop_key limit :limit`,
  waitlist_reminders_due: `
    select s.signup_key, s.id, s.variant, s.product, s.person, s.data, s.consent, s.state, s.alerts, s.alert_id, s.joined_at, s.remind_at, s.bought_at, t.total
    from waitlist_signups s left join waitlist_stock t on t.shop_key = s.shop_key and t.variant = s.variant
    where s.shop_key = :shop_key and s.remind_at is not null and s.remind_at <= :now order by s.remind_at, s.signup_key limit :limit`,
  waitlist_reminded: `
    update waitlist_signups set remind_at = null, reminder = 'made', reminder_reason = null where state = 3 and remind_at is not null and signup_key in ${d.listed('keys', 'bigint')}`,
  waitlist_all_reminded: `
    insert into waitlist_guards (refused) select 1
    where (select count(*) from waitlist_signups where state = 3 and remind_at is null and reminder = 'made' and signup_key in ${d.listed('keys', 'bigint')}) <> cast(:count as bigint)`,
  waitlist_unreminded: `
    update waitlist_signups set remind_at = null, reminder = 'dropped', reminder_reason = :reason where remind_at is not null and signup_key in ${d.listed('keys', 'bigint')}`,

  // Retention, in slices. Who has a reminder to come, or an alert under way, stays.
  waitlist_over_signups: `
    delete from waitlist_signups where signup_key in (
      select signup_key from waitlist_signups where state in (3, 4, 5) and coalesce(alerted_at, told_at, joined_at) <= :before and remind_at is null and pending = 0
      order by coalesce(alerted_at, told_at, joined_at) limit :limit)`,
  waitlist_over_waves: `
    delete from waitlist_waves where wave_key in (
      select wave_key from waitlist_waves where settled = 1 and ended_at <= :before order by wave_key limit :limit)`,

  waitlist_settings: 'select data from waitlist_settings where shop_key = :shop_key',
  waitlist_settings_put: `
    insert into waitlist_settings (shop_key, data, threshold, automatic, updated_at) values (:shop_key, :data, cast(:threshold as bigint), cast(:automatic as bigint), :now)
    on conflict (shop_key) do update set data = ${d.merged('waitlist_settings.data', 'excluded.data')}, threshold = coalesce(excluded.threshold, waitlist_settings.threshold),
      automatic = coalesce(excluded.automatic, waitlist_settings.automatic), updated_at = excluded.updated_at`
})
