// What the door writes: per event one row of events, one of deliveries per delivery, and, when its queue was idle, one of queues.

import type { Dialect } from '../dialect.ts'

export const intake = (d: Dialect) => ({
  insert_event: `
    insert into events (event_key, id, shop_key, source, source_id, type, time_at, received_at, person, data)
    values (:event_key, :id, :shop_key, :source, :source_id, :type, :time_at, :received_at, :person, :data)
    on conflict (shop_key, source_id, source) do nothing`,

  // One that a delivery asks for, while whoever asks still has it: where it was erased meanwhile nothing of it lives on.
  insert_event_for: `
    insert into events (event_key, id, shop_key, source, source_id, type, time_at, received_at, person, data)
    select :event_key, :id, :shop_key, :source, :source_id, :type, :time_at, :received_at, :person, :data
    where exists (select 1 from deliveries where delivery_key = :delivery_key and owner = :owner and epoch = :epoch)
    on conflict (shop_key, source_id, source) do nothing`,

  // Only where the event was new: a repeat makes no second delivery.
  insert_delivery: `
    insert into deliveries (delivery_key, id, event_key, queue_key, state, reason, detail, priority, due_at, expires_at, created_at, finished_at)
    select :delivery_key, :id, :event_key, :queue_key, :state, :reason, null, :priority, :due_at, :expires_at, :created_at, :finished_at
    where exists (select 1 from events where event_key = :event_key)`,

  // A busy queue is left alone, so this writes once per burst.
  wake_queue: `
    update queues set ready = 1, priority = ${d.least('priority', ':priority')}
    where queue_key = :queue_key and (ready = 0 or priority > :priority)`,

  event_by_identity: `
    select event_key, id, type, data, digest from events
    where shop_key = :shop_key and source = :source and source_id = :source_id`,

  known_identities: `
    select source_id from events where shop_key = :shop_key and source = :source and source_id in ${d.listed('source_ids', 'text')}`,

  deliveries_of_event: `
    select d.id, d.state, d.reason, d.due_at, q.provider, q.held_reason, a.held_reason as account_held, a.provider as account_provider
    from deliveries d join queues q on q.queue_key = d.queue_key left join accounts a on a.account_key = case when d.state = 1 then q.account_key else coalesce(d.account_key, q.account_key) end
    where d.event_key = :event_key order by d.delivery_key`
})
