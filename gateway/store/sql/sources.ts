// What the core lends to sources: about the messages of events that they made themselves.

import type { Dialect } from '../dialect.ts'

const OWN = (d: Dialect) => `
      select event_key from events where shop_key = :shop_key and source = :source and source_id in ${d.listed('source_ids', 'text')}`

export const sources = (d: Dialect) => ({
  // Each message of the events, and its end where it has one.
  message_ends: `
    select e.source_id, d.id, d.state, d.reason, d.finished_at from events e join deliveries d on d.event_key = e.event_key
    where e.shop_key = :shop_key and e.source = :source and e.source_id in ${d.listed('source_ids', 'text')} order by d.delivery_key`,
  // What nobody works on just now; what is being sent goes on.
  withdraw_deliveries: `
    update deliveries set state = 5, reason = :reason, due_at = null, finished_at = :now
    where state = 1 and owner is null and event_key in (${OWN(d)})`
})
