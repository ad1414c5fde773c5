// What the carrier says of a message: later words only, the first end stays, and what failed there was not delivered.

import type { Dialect } from '../dialect.ts'
import { TAKEN } from './delivery.ts'

/** Words in their order; one that has none stands before all. */
const rank = (word: string): string => `case ${word} when 'accepted' then 1 when 'sending' then 2 when 'sent' then 3 when 'delivered' then 4 when 'undelivered' then 4 when 'failed' then 4 when 'read' then 5 else 0 end`
const FAILED = 'carrier_status in (\'undelivered\', \'failed\')'
const ENDED = 'carrier_status in (\'delivered\', \'undelivered\', \'failed\', \'read\')'
const FACTS = `
    select d.delivery_key, d.id, d.state, d.owner, d.call_no, d.outcome, d.receipt, d.account_key, d.record_only, d.settled_at, a.provider, a.account, e.redacted_at
    from`

export const carrier = (d: Dialect) => ({
  carrier_subject: `${FACTS} deliveries d join events e on e.event_key = d.event_key left join accounts a on a.account_key = d.account_key where d.id = :id`,
  carrier_subject_by_receipt: `${FACTS} accounts a join deliveries d on d.account_key = a.account_key and d.receipt = :receipt join events e on e.event_key = d.event_key where a.provider = :provider limit 1`,
  earlier_receipt: 'select 1 as earlier from calls where delivery_key = :delivery_key and receipt = :receipt',

  // The message is there, so a request without an answer has made it: nothing is sent any more.
  prove_created: `
    update deliveries set state = 3, reason = :reason, detail = null, receipt = :receipt, due_at = null, finished_at = :now, carrier_due_at = :due_at
    where delivery_key = :delivery_key and state in (1, 4, 5, 6) and owner is null and receipt is null and outcome = 'unknown' and call_no = :call_no and ${d.differs('reason', "'redacted'")}
      and not exists (${TAKEN})`,
  carrier_word: `
    update deliveries set carrier_status = :word, carrier_at = :at, carrier_code = :code,
      carrier_due_at = case when :word in ('delivered', 'undelivered', 'failed', 'read') then null else carrier_due_at end
    where delivery_key = :delivery_key and receipt = :receipt and ${rank(':word')} > ${rank('carrier_status')} and (carrier_status is null or not ${FAILED})`,
  // After its word: only where that was taken, or is the same.
  carrier_refused: `
    update deliveries set state = 5, reason = :reason, detail = :detail, due_at = null, finished_at = :now
    where delivery_key = :delivery_key and receipt = :receipt and state = 3 and owner is null and ${FAILED}`,

  // ── what the carrier does not say by itself ──
  await_carrier: `
    update deliveries set carrier_due_at = :due_at
    where delivery_key = :delivery_key and state = 3 and receipt is not null and (carrier_status is null or not ${ENDED})`,
  accounts_to_poll: `
    select a.account_key from accounts a
    where a.account_key > :after and a.provider in ${d.listed('providers', 'text')}
      and exists (select 1 from deliveries d where d.account_key = a.account_key and d.carrier_due_at is not null and d.carrier_due_at <= :now)
    order by a.account_key limit :limit`,
  carrier_due: `
    select d.delivery_key, d.receipt, d.settled_at, d.carrier_due_at, q.shop_key from deliveries d join queues q on q.queue_key = d.queue_key
    where d.account_key = :account_key and d.carrier_due_at is not null and d.carrier_due_at <= :now order by d.carrier_due_at limit :limit`,
  // Not where it was set anew meanwhile.
  carrier_asked: 'update deliveries set carrier_due_at = :due_at where delivery_key = :delivery_key and carrier_due_at = :before'
})
