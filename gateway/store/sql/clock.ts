// What is put right when the clock was set back: nothing waits for a time that had come already.

import type { Dialect } from '../dialect.ts'
import { slotOf } from './slots.ts'

export const clock = (d: Dialect) => ({
  // Keys rise with time: what the clock said when something last came in.
  latest_event: 'select received_at from events order by event_key desc limit 1',
  queues_of_slots: `
    select queue_key, account_key from queues where queue_key > :after and ${slotOf('account_key')} in ${d.listed('slots', 'bigint')}
    order by queue_key limit :limit`,
  // A slice. What may have been sent keeps some time before it is repeated.
  hasten_deliveries: `
    update deliveries set due_at = :now + case when state = 4 then :apart_ms else 0 end
    where owner is null and delivery_key in (select delivery_key from deliveries
      where queue_key = :queue_key and priority = :priority and due_at is not null and due_at > :now
        and due_at > :now + case when state = 4 then :apart_ms else 0 end
      order by due_at limit :limit)`,
  // Nobody had his turn later than now.
  hasten_turns: `
    update queues set served_at = :served_at where served_at > :served_at and ${slotOf('account_key')} in ${d.listed('slots', 'bigint')}`,
  // A question about a request keeps some time as well.
  hasten_jobs: 'update jobs set due_at = :now + :apart_ms where due_at is not null and due_at > :now + :apart_ms',
  hasten_inbox: 'update inbox set due_at = :now where due_at is not null and due_at > :now'
})
