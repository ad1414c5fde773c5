// Sending again: the deliveries that one event has in one queue, and another one of them.

/** The first delivery and all that send it again. */
const FAMILY = 'f.event_key = :event_key and coalesce(f.again_of, f.delivery_key) = :first_key'
/** The same, seen from a row of `deliveries` that is written. */
const OTHERS = `
  select 1 from deliveries o where o.event_key = deliveries.event_key and o.delivery_key <> deliveries.delivery_key
    and coalesce(o.again_of, o.delivery_key) = coalesce(deliveries.again_of, deliveries.delivery_key)`

/** Of a row of `deliveries`: no other one of its family is on its way, nor may have arrived, unless a person says that twice is acceptable. */
export const ALONE = `not exists (${OTHERS} and o.finished_at is null)
      and (:unknown = 1 or not exists (${OTHERS} and o.state in (3, 4)))`

/** Of the row `d`: what it sends again, and what sends it again. */
export const AGAIN = `
      (select f.id from deliveries f where f.delivery_key = d.again_of) as first_id,
      (select string_agg(g.id, ' ' order by g.delivery_key) from deliveries g where g.again_of = d.delivery_key) as sent_again`

export const SEND_AGAIN = {
  family: `select f.delivery_key, f.id, f.state, f.created_at, f.finished_at, f.again_of, f.record_only from deliveries f where ${FAMILY} order by f.delivery_key`,
  route_of_queue: `
    select q.provider, q.account_key, q.held_reason, a.held_reason as account_held
    from queues q left join accounts a on a.account_key = q.account_key where q.queue_key = :queue_key`,

  // Whoever sends again or retries one of a family does so after the other: the statements that follow see what it left.
  lock_family: 'update deliveries set again_of = again_of where delivery_key = :first_key',
  insert_again: `
    insert into deliveries (delivery_key, id, event_key, queue_key, state, priority, due_at, expires_at, created_at, again_of, record_only)
    select :delivery_key, :id, d.event_key, d.queue_key, 1, d.priority, :now, :expires_at, :now, d.delivery_key, :record_only
    from deliveries d join events e on e.event_key = d.event_key join queues q on q.queue_key = d.queue_key left join accounts a on a.account_key = q.account_key
    where d.delivery_key = :first_key and e.data is not null and q.held_reason is null and a.held_reason is null
      and not exists (select 1 from deliveries f where ${FAMILY} and f.finished_at is null)
      and not exists (select 1 from deliveries f where ${FAMILY} and f.again_of is not null and f.created_at > :since)
      and (:unknown = 1 or not exists (select 1 from deliveries f where ${FAMILY} and f.state in (3, 4)))
    on conflict (again_of) where again_of is not null and finished_at is null do nothing`,
  // Only what was done.
  audit_again: `
    insert into audit (at, actor, action, shop, subject, reason) select :at, :actor, :action, :shop, :subject, :reason
    where exists (select 1 from deliveries where delivery_key = :delivery_key)`
} as const
