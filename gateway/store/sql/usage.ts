// What messages cost that the platform pays for: reserved before they are sent, counted when they are accepted.

const SEGMENTS = 'cast(:segments as bigint)'
const MONTH = 'shop_key = :shop_key and provider = :provider and month = :month'
const COUNTED = `(select cast(coalesce(sum(segments), 0) as bigint) from usage where ${MONTH})`
const reserved = (state: string) => `(select cast(coalesce(sum(r.segments), 0) as bigint) from usage_reserved r join deliveries d on d.delivery_key = r.delivery_key
      where r.shop_key = :shop_key and r.provider = :provider and r.month = :month and r.delivery_key <> :delivery_key and (${state}))`
/** Worked on, or perhaps sent: a reservation that a crash left behind is of neither. */
const OPEN = 'd.owner is not null or d.state = 4'
const IS_DELIVERED = 'exists (select 1 from deliveries where delivery_key = :delivery_key and state = 3)'
const THRESHOLD = 'cast(:threshold as bigint)'

export const USAGE = {
  // Within the limit, or not at all.
  reserve_usage: `
    insert into usage_reserved (delivery_key, shop_key, provider, month, country, segments)
    select :delivery_key, :shop_key, :provider, :month, :country, ${SEGMENTS}
    where :limit is null or ${SEGMENTS} + ${COUNTED} + ${reserved(OPEN)} <= :limit
    on conflict (delivery_key) do update set shop_key = excluded.shop_key, provider = excluded.provider, month = excluded.month, country = excluded.country, segments = excluded.segments`,

  // The end of a call, both in the unit that says it. What is counted is reserved no more: nothing is counted twice.
  count_usage: `
    insert into usage (shop_key, provider, month, country, messages, segments)
    select shop_key, provider, month, country, 1, segments from usage_reserved where delivery_key = :delivery_key and ${IS_DELIVERED}
    on conflict (shop_key, provider, month, country) do update set messages = usage.messages + 1, segments = usage.segments + excluded.segments`,
  // One that is worked on may be about to be sent: what was found out about an earlier call of it frees nothing.
  free_usage: `
    delete from usage_reserved where delivery_key = :delivery_key
      and not exists (select 1 from deliveries where delivery_key = :delivery_key and (state in (2, 4) or owner is not null))`,
  // The same beside others who may be about to send it: what they reserved stays.
  free_counted: `delete from usage_reserved where delivery_key = :delivery_key and ${IS_DELIVERED}`,
  forget_reserved: 'delete from usage_reserved where not exists (select 1 from deliveries d where d.delivery_key = usage_reserved.delivery_key)',

  // Once for each part of a limit. Without a threshold it is certain already.
  warn_usage: `
    insert into usage_warnings (shop_key, provider, month, month_limit, percent, delivery_key, at)
    select :shop_key, :provider, :month, :limit, cast(:percent as bigint), :delivery_key, :now
    where ${THRESHOLD} is null or ${COUNTED} >= ${THRESHOLD}
    on conflict (shop_key, provider, month, month_limit, percent) do nothing`,
  audit_usage: `
    insert into audit (at, actor, action, shop, subject) select :now, 'gateway', 'usage.warning', :shop, :subject
    where exists (select 1 from usage_warnings where ${MONTH} and month_limit = :limit and percent = cast(:percent as bigint) and delivery_key = :delivery_key and at = :now)`,

  usage_standing: `
    select ${COUNTED} as counted, ${reserved('d.owner is not null')} as reserved, ${reserved('d.owner is null and d.state = 4')} as unsure,
      (select max(percent) from usage_warnings where ${MONTH} and month_limit = :limit) as warned`,
  usage_of_shop: 'select provider, country, messages, segments from usage where shop_key = :shop_key and month = :month order by provider, segments desc, country',
  reserved_of_shop: `
    select r.provider, count(*) as messages, cast(sum(r.segments) as bigint) as segments from usage_reserved r join deliveries d on d.delivery_key = r.delivery_key
    where r.shop_key = :shop_key and r.month = :month and (${OPEN}) group by r.provider`
}
