// Whether everything that was accepted is accounted for, looked at in slices: each delivery is in one of its states, in order,
// and somebody works on it, will, or need not any more.

import type { Dialect } from '../dialect.ts'

/** Of a delivery `d`, its queue `q`; the first that holds is its fault. */
const FAULTS = `
  case
    when not exists (select 1 from events e where e.event_key = d.event_key) then 'event_gone'
    when q.queue_key is null then 'queue_gone'
    when d.state not in (1, 2, 3, 4, 5, 6) then 'no_state'
    when d.owner is not null and d.due_at is not null then 'claimed_and_due'
    when d.finished_at is not null and (d.state in (1, 2) or d.owner is not null or d.due_at is not null) then 'ended_and_goes_on'
    when d.finished_at is null and d.state in (3, 5, 6) then 'ended_without_time'
    when d.state = 2 and d.owner is null then 'sent_by_nobody'
    when d.owner is not null and d.owner not in (select owner from instances) then 'owner_gone'
    when d.state = 1 and d.owner is null and d.due_at is null then 'never_due'
    when d.state = 4 and d.owner is null and d.due_at is null and d.finished_at is null
      and not exists (select 1 from jobs j where j.kind = 'reconcile' and j.unique_key = cast(d.delivery_key as text)) then 'nobody_asks'
    when d.due_at is not null and q.ready = 0 and (q.next_due_at is null or (q.next_due_at > d.due_at and q.next_due_at > :now)) then 'overslept'
  end`

export const audit = (d: Dialect) => ({
  // Where the next slices end; null where there is nothing more.
  audit_slices: `
    select
      (select max(delivery_key) from (select delivery_key from deliveries where delivery_key > :after_delivery_key order by delivery_key limit :limit) as slice) as delivery_key,
      (select max(event_key) from (select event_key from events where event_key > :after_event_key order by event_key limit :limit) as slice) as event_key`,
  audit_deliveries: `
    select id, fault, queue_key, account_key, priority from (
      select d.id, d.delivery_key, d.queue_key, q.account_key, d.priority, ${FAULTS} as fault
      from deliveries d left join queues q on q.queue_key = d.queue_key
      where d.delivery_key > :after and d.delivery_key <= :until_key
    ) as slice where fault is not null order by delivery_key`,
  // Events of types that make a message, and none was made.
  audit_events: `
    select e.id, e.type, e.received_at, 'no_delivery' as fault from events e
    where e.event_key > :after and e.event_key <= :until_key and e.type in ${d.listed('types', 'text')}
      and not exists (select 1 from deliveries d where d.event_key = e.event_key) order by e.event_key`,
  audited: "select cursor from jobs where kind = 'audit'"
})
