// What erases, and what gathers, all that is stored of a person or of a shop; and what is written of a shop's life.

import type { Dialect } from '../dialect.ts'

/** Events of a person that happened, or came, until the person asked. */
const OF_PERSON = `
  event_key in (select event_key from events where person = :person and shop_key = :shop_key and (time_at <= :at or received_at <= :at))
      and exists (select 1 from privacy where id = :id)`
/** Whoever has claimed it finds its claim gone. */
const REJECTED = "state = 5, reason = 'redacted', detail = null, due_at = null, owner = null, claims = 0, finished_at = :now"
/** It may have been sent: that stays, and nobody asks or repeats. */
const ENDED = "reason = 'redacted', detail = null, due_at = null, owner = null, claims = 0, finished_at = :now"
const NEW_EVENT = '(:event_key is null or exists (select 1 from events where event_key = :event_key))'
const ITS_DELIVERIES = 'select delivery_key from deliveries where event_key = :event_key'
/** Nobody is connected to the account any more, and it is not the platform's, which every shop sends over. */
const NOBODYS = 'not exists (select 1 from connections where account_key = :account_key) and not exists (select 1 from accounts where account_key = :account_key and declared is not null)'
const UNBOXED = `
      body = null, headers = '{}', detail = null, reason = 'redacted', state = case when state = 1 then 3 else state end, due_at = null, owner = null,
      settled_at = coalesce(settled_at, :now)`

export const privacy = (d: Dialect) => ({
  // ── what is asked for. `event_key`: the event that asks; a repeat of it has no row of that key, and asks for nothing ──
  put_privacy: `
    insert into privacy (id, shop_key, kind, at, marks, key_id, version, sealed)
    select :id, :shop_key, :kind, :at, :marks, :key_id, :version, :sealed
    where ${NEW_EVENT}
      and (:kind <> 'forget' or (exists (select 1 from shops where shop_key = :shop_key and status = 'erasing')
        and not exists (select 1 from privacy where shop_key = :shop_key and kind = 'forget' and done_at is null)))`,
  audit_privacy: `
    insert into audit (at, actor, action, shop, subject) select :at, :actor, :action, :shop, :id where exists (select 1 from privacy where id = :id)`,
  put_mark: `
    insert into privacy_marks (shop_key, mark, at) select :shop_key, :mark, :at where exists (select 1 from privacy where id = :id)
    on conflict (shop_key, mark) do update set at = case when privacy_marks.at > excluded.at then privacy_marks.at else excluded.at end`,
  // From the commit of the request on nothing is sent to the person: what was claimed, and is not on its way, is claimed no more.
  redact_waiting_of: `update deliveries set ${REJECTED} where state = 1 and ${OF_PERSON}`,
  redact_unsure_of: `update deliveries set ${ENDED} where state = 4 and finished_at is null and ${OF_PERSON}`,
  // A shop that was installed again since is not meant.
  erase_shop_begin: `
    update shops set status = 'erasing', status_at = :at, version = version + 1
    where shop_key = :shop_key and status in ('installed', 'uninstalled') and (status = 'uninstalled' or status_at <= :at) and ${NEW_EVENT}`,

  // The one that was begun goes first, whatever the clock says.
  open_privacy: `
    select id, kind, at, marks, key_id, version, sealed from privacy where shop_key = :shop_key and done_at is null
    order by case when id = :id then 0 else 1 end, at, id limit 1`,
  open_redactions: "select id, at, key_id, version, sealed from privacy where shop_key = :shop_key and kind = 'redact' and done_at is null",
  end_privacy: 'update privacy set done_at = :now, found = :found, key_id = null, version = null, sealed = null where id = :id and done_at is null',
  privacy_by_id: `
    select p.id, p.kind, p.at, p.found, p.done_at, (select min(created_at) from privacy_parts where id = p.id) as gathered_at
    from privacy p where p.id = :id and p.shop_key = :shop_key`,
  list_privacy: `
    select p.id, p.kind, p.at, p.found, p.done_at, (select min(created_at) from privacy_parts where id = p.id) as gathered_at
    from privacy p where p.shop_key = :shop_key and p.id < :before_id order by p.id desc limit :limit`,
  gathered_of_shop: `
    select id, marks from privacy p where shop_key = :shop_key and kind = 'export' and exists (select 1 from privacy_parts where id = p.id)`,
  put_part: `
    insert into privacy_parts (id, part, key_id, version, sealed, created_at) values (:id, :part, :key_id, :version, :sealed, :now)
    on conflict (id, part) do update set key_id = :key_id, version = :version, sealed = :sealed`,
  parts: 'select part, key_id, version, sealed from privacy_parts where id = :id order by part',
  drop_parts: 'delete from privacy_parts where id = :id',
  forget_marks: 'delete from privacy_marks where shop_key = :shop_key',
  forget_privacy_marks: "update privacy set marks = '[]' where shop_key = :shop_key and done_at is not null",

  // ── events, and what came of them ──
  events_of_shop: `
    select event_key, id, source, source_id, type, time_at, received_at, person, data, redacted_at from events
    where shop_key = :shop_key and (source_id, source) > (:after_id, :after_source) order by source_id, source limit :limit`,
  redact_event: 'update events set data = null, digest = :digest, person = null, redacted_at = :now where event_key = :event_key and data is not null',
  redact_waiting: `update deliveries set ${REJECTED} where state = 1 and event_key = :event_key`,
  redact_unsure: `update deliveries set ${ENDED} where state = 4 and finished_at is null and event_key = :event_key`,
  redact_contents: `
    update deliveries set request_head = null, request_body = null, answer = null, detail = null, receipt = null, adjusted = null, carrier_due_at = null where event_key = :event_key`,
  // Of no delivery any more: they count in their windows, and go when no window counts them.
  redact_calls: `
    update calls set delivery_key = null, request_head = null, request_body = null, answer = null, receipt = null where delivery_key in (${ITS_DELIVERIES})`,
  redact_reports: `update inbox set ${UNBOXED} where subject in (select id from deliveries where event_key = :event_key)`,
  // One that came after its message was erased.
  redact_report: `update inbox set ${UNBOXED} where id = :id`,
  redact_reasons: `
    update audit set reason = null where shop = :shop and reason is not null
      and exists (select 1 from deliveries g where g.event_key = :event_key and g.again_of is not null and audit.subject like '%' || g.id)`,
  // On the wire at this moment: what comes of it is written later.
  still_sent: `select distinct event_key from deliveries where event_key in ${d.listed('keys', 'bigint')} and finished_at is null`,
  deliveries_of_person: `
    select q.channel, d.id, d.state, d.reason, d.attempts, d.created_at, d.finished_at, d.request_body, d.answer, d.carrier_status, d.carrier_at, a.provider, q.held_reason, ah.held_reason as account_held, q.provider as queue_provider
    from deliveries d join queues q on q.queue_key = d.queue_key left join accounts a on a.account_key = d.account_key left join accounts ah on ah.account_key = q.account_key
    where d.event_key = :event_key order by d.delivery_key`,
  calls_of_event: `select delivery_key, reserved_at, request_body, answer from calls where delivery_key in (${ITS_DELIVERIES}) order by call_key`,

  // ── what came from outside ──
  inbox_slice: 'select max(inbox_key) as inbox_key from (select inbox_key from inbox where inbox_key > :after_key order by inbox_key limit :limit) as slice',
  inbox_of_shop: `
    select inbox_key, id, source, topic, state, owner, received_at, body from inbox
    where inbox_key > :after_key and inbox_key <= :until_key and shop = :shop and body is not null and received_at <= :at order by inbox_key limit :limit`,
  redact_inbox: `update inbox set subject = null, ${UNBOXED} where inbox_key = :inbox_key and (owner is null or state <> 1)`,
  forget_inbox_of_shop: 'delete from inbox where inbox_key > :after_key and inbox_key <= :until_key and shop = :shop and owner is null',

  // ── lists of people. Who is another shop's customer too, at the same account, stays ──
  forget_subscriber: `
    delete from subscribers where person = :person
      and account_key in (
        select account_key from connections where shop_key = :shop_key
        union select account_key from queues where shop_key = :shop_key and account_key is not null
        union select s.account_key from events e join deliveries s on s.event_key = e.event_key where e.person = :person and e.shop_key = :shop_key and s.account_key is not null)
      and not exists (${othersPerson('subscribers')})`,
  forget_notice: `delete from subscriber_notices where id = :id and not exists (${othersPerson('subscriber_notices')})`,
  accounts_of_shop: `
    select account_key from connections where shop_key = :shop_key
    union select account_key from queues where shop_key = :shop_key and account_key is not null`,
  standings_of_person: `
    select a.provider, s.standing, s.since, s.asked_at, s.checked_at from subscribers s join accounts a on a.account_key = s.account_key
    where s.person = :person and s.account_key in (
      select account_key from connections where shop_key = :shop_key
      union select account_key from queues where shop_key = :shop_key and account_key is not null) order by a.provider`,

  // ── why somebody wants no more messages: that they want none stays, as a keyed hash ──
  redact_opt_out: `
    update opt_outs set reason = null, lift_reason = null
    where person = :person and scope = 'shop' and scope_key = :shop_key and (reason is not null or lift_reason is not null)`,
  redact_opt_out_audit: `
    update audit set reason = null where shop = :shop and subject = :subject and action in ('opt_out.put', 'opt_out.lift') and reason is not null`,
  forget_opt_outs_of: `
    update opt_outs set reason = null, lift_reason = null where scope = 'shop' and scope_key = :shop_key and (reason is not null or lift_reason is not null)`,

  // ── the phone a test went to ──
  setup_of_shop: 'select provider, step, subject, given, found from setup where shop_key = :shop_key',
  redact_setup: `
    update setup set given = :given, found = :found
    where shop_key = :shop_key and provider = :provider and step = :step and subject = :subject and given = :given_before`,

  // ── a shop's end ──
  forget_setup_of: 'delete from setup where shop_key = :shop_key',
  forget_setup_secrets_of: 'delete from setup_secrets where shop_key = :shop_key',
  // What the set-up was to do later, and asks the provider for.
  forget_setup_jobs_of: "delete from jobs where kind in ('setup', 'setup_recheck', 'setup_arrival') and unique_key like :prefix and owner is null",
  forget_flows_of: 'delete from oauth_flows where shop_key = :shop_key',
  forget_channels_of: 'delete from channels where shop_key = :shop_key',
  forget_reasons_of: 'update audit set reason = null where shop = :shop and reason is not null',
  forget_tasks_of: `delete from setup_tasks where account_key = :account_key and ${NOBODYS}`,
  forget_notices_of: `delete from subscriber_notices where account_key = :account_key and ${NOBODYS}`,
  forget_list_of: `
    delete from subscribers where account_key = :account_key and person in (select person from subscribers where account_key = :account_key limit :limit)
      and ${NOBODYS}`,
  erase_shop_end: "update shops set name = '', domain = '', plan_told = null, status = 'erased', version = version + 1 where shop_key = :shop_key and status = 'erasing'",

  // ── a shop's life: what is older than what is known changes nothing ──
  set_shop_status: `
    update shops set status = :life, status_at = :at, version = version + 1, updated_at = :now
    where shop_key = :shop_key and status in ('installed', 'uninstalled') and status_at <= :at and ${NEW_EVENT}`,
  hold_shop: `
    update queues set held_reason = 'shop_uninstalled'
    where shop_key = :shop_key and exists (select 1 from shops where shop_key = :shop_key and status <> 'installed')`,
  set_shop_plan: `
    update shops set plan = :plan, plan_at = :at, plan_told = null, version = version + 1, updated_at = :now
    where shop_key = :shop_key and status in ('installed', 'uninstalled') and plan_at <= :at and ${NEW_EVENT}`,
  note_shop_plan: `
    update shops set plan_told = :plan, plan_at = :at, version = version + 1, updated_at = :now
    where shop_key = :shop_key and status in ('installed', 'uninstalled') and plan_at <= :at and ${NEW_EVENT}`,
  set_shop_profile: `
    update shops set name = coalesce(:name, name), domain = coalesce(:domain, domain), profile_at = :at, version = version + 1, updated_at = :now
    where shop_key = :shop_key and status in ('installed', 'uninstalled') and profile_at <= :at and ${NEW_EVENT}`,

  // ── retention, in slices ──
  forget_privacy_parts: `
    delete from privacy_parts where (id, part) in (select id, part from privacy_parts where created_at <= :before order by created_at limit :limit)`,
  forget_notices: 'delete from subscriber_notices where id in (select id from subscriber_notices where at <= :before order by at limit :limit)',
  forget_webhook_removals: 'delete from webhook_removals where id in (select id from webhook_removals where created_at <= :before order by created_at limit :limit)'
})

/** The same person at another shop that goes over the account of this row. */
function othersPerson (table: string): string {
  return `
        select 1 from events o where o.person = :person and o.shop_key <> :shop_key and (
          exists (select 1 from connections c where c.shop_key = o.shop_key and c.account_key = ${table}.account_key)
          or exists (select 1 from queues q where q.shop_key = o.shop_key and q.account_key = ${table}.account_key))`
}
