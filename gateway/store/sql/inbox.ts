// What others sent here: kept once, worked on by one instance at a time, settled with what came of it.

import type { Dialect } from '../dialect.ts'

const SUMMARY = 'inbox_key, id, source, topic, shop, subject, received_at, state, reason, detail, events, due_at, attempts, settled_at'

export const inbox = (d: Dialect) => ({
  // A row and its keys, in one unit: where one of the keys is known, neither is written.
  insert_inbox: `
    insert into inbox (inbox_key, id, source, topic, shop, subject, headers, body, received_at, state, reason, detail, due_at, settled_at)
    select :inbox_key, :id, :source, :topic, :shop, :subject, :headers, :body, :received_at, :state, :reason, :detail, :due_at, :settled_at
    where not exists (select 1 from inbox_keys where source = :source and key in ${d.listed('keys', 'text')})`,
  insert_inbox_keys: `
    insert into inbox_keys (source, key, received_at)
    select :source, value, :received_at from ${d.each('keys', 'text')} where exists (select 1 from inbox where inbox_key = :inbox_key)
    on conflict (source, key) do nothing`,

  inbox_is_due: 'select 1 as due from inbox where source = :source and due_at is not null and due_at <= :now limit 1',
  // Oldest first. The order of what is returned is not kept by every database: the caller sorts.
  claim_inbox: `
    update inbox set due_at = null, owner = :owner, epoch = :epoch, claims = claims + 1
    where inbox_key in (select inbox_key from inbox where source = :source and due_at is not null and due_at <= :now order by due_at, inbox_key limit :limit ${d.skipLocked})
    returning inbox_key, id, topic, shop, subject, headers, body, received_at, attempts`,
  // What came of it before it was worked on again stays told.
  settle_inbox: `
    update inbox set state = :state, reason = :reason, detail = :detail, events = coalesce(:events, events), settled_at = :settled_at, due_at = null, owner = null, claims = 0
    where inbox_key = :inbox_key and owner = :owner and epoch = :epoch`,
  // To be tried again; a failure of the store costs no attempt.
  defer_inbox: `
    update inbox set due_at = :due_at, attempts = attempts + :paid, reason = :reason, detail = :detail, owner = null, claims = 0
    where inbox_key = :inbox_key and owner = :owner and epoch = :epoch`,
  // At a stop: as if they had not been claimed.
  release_inbox: `
    update inbox set due_at = received_at, claims = claims - 1, owner = null where owner = :owner and epoch = :epoch`,
  owned_inbox: 'select inbox_key from inbox where owner = :owner',
  // Of what is owned and nobody works on: the same.
  release_owned_inbox: `
    update inbox set due_at = received_at, claims = claims - 1, owner = null where owner = :owner and inbox_key in ${d.listed('keys', 'bigint')}`,
  // Left by one that died: before all others, so that they are claimed one by one; the third time it is set aside.
  adopt_inbox: `
    update inbox set owner = null,
      due_at = case when claims >= :claims_max then null else 0 end,
      state = case when claims >= :claims_max then :parked else state end,
      reason = case when claims >= :claims_max then :reason else reason end,
      detail = case when claims >= :claims_max then :detail else detail end,
      settled_at = case when claims >= :claims_max then :now else settled_at end
    where owner is not null and owner <> :owner and owner not in (select owner from instances where expires_at > ${d.now})
    returning id, source, topic, shop, received_at, state`,
  retry_inbox: `
    update inbox set state = :received, reason = null, detail = null, due_at = :now, attempts = 0, claims = 0, settled_at = null
    where inbox_key = :inbox_key and state <> :received and body is not null`,
  audit_inbox_retry: `
    insert into audit (at, actor, action, shop, subject)
    select :at, :actor, 'inbox.retry', shop, id from inbox where inbox_key = :inbox_key and state <> :received and body is not null`,

  // As the door's own, but a unit in which the identity is taken fails as a whole: all events of a row, or none.
  insert_event_together: `
    insert into events (event_key, id, shop_key, source, source_id, type, time_at, received_at, person, data)
    values (:event_key, :id, :shop_key, :source, :source_id, :type, :time_at, :received_at, :person, :data)`,

  inbox_by_id: `select ${SUMMARY}, headers, body from inbox where id = :id`,
  newest_inbox_before: 'select max(inbox_key) as inbox_key from inbox where inbox_key < :before',
  // By an index of their own: few among many.
  newest_parked_inbox_before: 'select max(inbox_key) as inbox_key from inbox where state = 4 and inbox_key < :before',
  newest_inbox_of_subject_before: 'select max(inbox_key) as inbox_key from inbox where subject = :subject and inbox_key < :before',
  list_inbox: `
    select ${SUMMARY} from inbox
    where inbox_key < :before and inbox_key >= :floor
      and (:source is null or source = :source) and (:topic is null or topic = :topic) and (:state is null or state = :state)
      and (:subject is null or subject = :subject) and (:shop is null or shop = :shop) and (:shops is null or shop in ${d.listed('shops', 'text')})
    order by inbox_key desc limit :limit`,

  // Retention, in slices. What waits to be worked on stays, however old.
  forget_inbox: `
    delete from inbox where inbox_key in (select inbox_key from inbox where settled_at is not null and settled_at <= :before order by settled_at limit :limit)`,
  forget_inbox_keys: `
    delete from inbox_keys where (source, key) in (select source, key from inbox_keys where received_at <= :before order by received_at limit :limit)`
})
