// What a delivery writes on its way: claim, call, settle: three updates of its own row, and its queue's row once per claim.

import type { Dialect } from '../dialect.ts'
import { AGAIN, ALONE } from './again.ts'
import { optedOut } from './opt-outs.ts'
import { slotOf } from './slots.ts'

/** What waits goes to its queue's account, whatever account it was tried on before; all else stays with the one it was sent on. */
const ACCOUNT = 'case when d.state = 1 then q.account_key else coalesce(d.account_key, q.account_key) end'
/** Who works on a delivery: what waits goes to its queue's account. */
const SLOT = slotOf('case when d.state = 1 then q.account_key else d.account_key end')
/** What whoever takes over a claim must know of it. */
const LEFT = `
    select d.delivery_key, d.queue_key, d.account_key, d.state, d.priority, d.claims, d.attempts, d.owner, d.epoch, d.finished_at, a.provider
    from deliveries d join queues q on q.queue_key = d.queue_key left join accounts a on a.account_key = d.account_key`
const EARLIER_CALL = 'delivery_key, call_no, account_key, lane, reserved_at, settled_at, request_head, request_body, status, answer, outcome, receipt'

/** Messages of the provider's that are taken: by another delivery, or by an earlier call. */
export const TAKEN = `
  select 1 as taken from deliveries where account_key = :account_key and receipt = :receipt and delivery_key <> :delivery_key
  union all select 1 from calls where account_key = :account_key and receipt = :receipt`
/** To the same person over the same account: the message that was found may be that one's. The plus keeps to the index of what is owned. */
const onTheWire = ({ same }: Dialect) => `
  select 1 from deliveries w join events e on e.event_key = w.event_key
  where w.owner is not null and w.state = 2 and +w.account_key = :account_key and w.delivery_key <> :delivery_key
    and ${same('e.person', '(select person from events where event_key = deliveries.event_key)')}`

const MAY_CLAIM = `exists (select 1 from queues where queue_key = :queue_key and account_key = :account_key and held_reason is null)
      and exists (select 1 from slots where slot = ${slotOf(':account_key')} and owner = :owner and epoch = :epoch)`
const OWNS = `exists (select 1 from slots where slot = ${slotOf('account_key')} and owner = :owner)`

/** Who opted out after the claim. */
const WANTS_NONE = optedOut('deliveries', '(select q.shop_key from queues q where q.queue_key = deliveries.queue_key)', '(select q.account_key from queues q where q.queue_key = deliveries.queue_key)')

const due = (priority: number) => `
  select delivery_key from (select delivery_key from deliveries
    where queue_key = :queue_key and priority = ${priority} and due_at is not null and due_at <= :now
    order by due_at limit :limit) as due_${priority}`

/** The oldest that was not refused for its account, and the oldest of all, in case there is no such one. */
const probe = (priority: number, { differs }: Dialect) => {
  const oldest = (refused: 0 | 1, among: string) => `
    select delivery_key, refused, due_at from (select delivery_key, ${refused} as refused, due_at from deliveries
      where queue_key = :queue_key and priority = ${priority} and due_at is not null and due_at <= :now ${among} order by due_at limit 1) as oldest_${priority}_${refused}`
  return `${oldest(0, `and ${differs('outcome', "'hold'")}`)} union all ${oldest(1, '')}`
}

const soonestDue = (priority: number) => `
  select ${priority} as priority where exists (
    select 1 from deliveries where queue_key = queues.queue_key and priority = ${priority} and due_at is not null and due_at <= :now)`

const soonest = (priority: number) =>
  `(select min(due_at) from deliveries where queue_key = :queue_key and priority = ${priority} and due_at is not null)`

const list = (among: string, { listed, flag }: Dialect) => `
    select d.delivery_key, d.id, d.state, d.reason, d.detail, d.due_at, d.expires_at, d.created_at, d.finished_at, d.attempts, d.call_no, d.receipt, d.record_only, d.carrier_status, d.carrier_at, d.carrier_code, ${AGAIN},
      e.id as event_id, e.source, e.source_id, e.type, s.id as shop, q.channel, q.setup_group, q.provider, q.held_reason,
      a.held_reason as account_held, a.provider as account_provider
    from deliveries d join events e on e.event_key = d.event_key join queues q on q.queue_key = d.queue_key join shops s on s.shop_key = q.shop_key
      left join accounts a on a.account_key = ${ACCOUNT}
    where d.delivery_key < :before and ${among}
      and (:shop is null or s.id = :shop)
      and (:shops is null or s.id in ${listed('shops', 'text')})
      and (:state is null or d.state = :state)
      and (:held is null or ${flag('d.state = 1 and (q.held_reason is not null or a.held_reason is not null)')} = :held)
      and (:type is null or e.type = :type)
      and (:provider is null or coalesce(a.provider, q.provider) = :provider)
      and (:event_id is null or e.id = :event_id)
      and (:source_id is null or e.source_id = :source_id)
      and (:person is null or e.person = :person)
    order by d.delivery_key desc limit :limit`

export const delivery = (d: Dialect) => ({
  // ── finding work ──
  // Accounts with something due, from a cursor on; a loose scan, so an account with many queues costs one step.
  ready_accounts: `
    with recursive found (account_key) as (
      select min(account_key) from queues where ready = 1 and held_reason is null and account_key > :after
      union all
      select (select min(account_key) from queues where ready = 1 and held_reason is null and account_key > found.account_key)
      from found where found.account_key is not null
      limit :limit
    ) select f.account_key, a.held_until from found f join accounts a on a.account_key = f.account_key`,

  due_queues: `select 1 as due from queues where next_due_at is not null and next_due_at <= :now and ${slotOf('account_key')} in ${d.listed('slots', 'bigint')} limit 1`,

  // Queues whose deferred deliveries have come due.
  wake_due_queues: `
    update queues set ready = 1, next_due_at = null,
      priority = ${d.least('priority', `coalesce((select min(priority) from (${soonestDue(0)} union all ${soonestDue(1)} union all ${soonestDue(2)}) as due), 2)`)}
    where queue_key in (select queue_key from queues where next_due_at is not null and next_due_at <= :now and ${slotOf('account_key')} in ${d.listed('slots', 'bigint')} limit :limit)
    returning account_key`,

  // Priority goes before turn; within it the queue served longest ago is next.
  ready_queues: `
    select queue_key, shop_key, setup_group, provider, priority from queues
    where account_key = :account_key and ready = 1 and held_reason is null and setup_group in ${d.listed('groups', 'text')}
    order by priority, served_at limit :limit`,
  // The same where one message tries whether a held account works again: by turn alone, so that no message is always the one.
  probe_queues: `
    select queue_key, shop_key, setup_group, provider, priority from queues
    where account_key = :account_key and ready = 1 and held_reason is null and setup_group in ${d.listed('groups', 'text')}
    order by served_at, queue_key limit :limit`,

  claim_deliveries: `
    update deliveries set due_at = null, owner = :owner, epoch = :epoch, claims = claims + 1
    where delivery_key in (select delivery_key from (${due(0)} union all ${due(1)} union all ${due(2)} limit :limit) as due)
      and ${MAY_CLAIM}
    returning delivery_key`,
  claim_probe: `
    update deliveries set due_at = null, owner = :owner, epoch = :epoch, claims = claims + 1
    where delivery_key = (select delivery_key from (${probe(0, d)} union all ${probe(1, d)} union all ${probe(2, d)}) as probes order by refused, due_at limit 1)
      and due_at is not null and owner is null and ${MAY_CLAIM}
    returning delivery_key`,

  // After a claim: is more due now, how urgent is it, and when does the next deferred one come due?
  refresh_queue: `
    update queues set served_at = :served_at,
      ready = ${d.flag(`exists (select 1 from (${due(0)} union all ${due(1)} union all ${due(2)}) as due)`)},
      priority = case
        when exists (${due(0)}) then 0 when exists (${due(1)}) then 1 else 2 end,
      next_due_at = (select min(at) from (select ${soonest(0)} as at union all select ${soonest(1)} union all select ${soonest(2)}) as soonest where at > :now)
    where queue_key = :queue_key`,

  claimed: `
    select d.delivery_key, d.id, d.event_key, d.queue_key, d.account_key, d.owner, d.epoch, d.state, d.priority, d.expires_at, d.attempts, d.claims, d.call_no, d.reason,
      d.request_head, d.request_body, d.lane, d.reserved_at, d.settled_at, d.outcome, d.adjusted, d.record_only,
      case when d.adjusted is not null then (select provider from accounts where account_key = d.account_key) end as adjusted_by, e.id as event_id, e.source, e.source_id, e.type, e.time_at, e.received_at, e.data, e.person,
      q.shop_key, q.provider, q.account_key as queue_account_key, s.version as shop_version, s.id as shop,
      ${d.flag('e.redacted_at is not null or exists (select 1 from privacy_marks m where m.shop_key = e.shop_key and m.mark = e.person and (m.at >= e.time_at or m.at >= e.received_at))')} as redacted,
      ${d.flag("exists (select 1 from privacy p where p.shop_key = e.shop_key and p.kind = 'redact' and p.done_at is null)")} as redacting,
      ${d.flag(optedOut('d', 'q.shop_key', 'q.account_key'))} as opted_out
    from deliveries d join events e on e.event_key = d.event_key join queues q on q.queue_key = d.queue_key join shops s on s.shop_key = q.shop_key
    where d.delivery_key in ${d.listed('keys', 'bigint')} order by d.priority, d.delivery_key`,

  // ── working on one ──
  archive_call: `
    insert into calls (call_key, ${EARLIER_CALL}) select :call_key, ${EARLIER_CALL} from deliveries
    where delivery_key = :delivery_key and owner = :owner and epoch = :epoch and call_no > 0 and not (${WANTS_NONE})`,

  start_call: `
    update deliveries set state = 2, account_key = :account_key, call_no = call_no + 1, lane = :lane, reserved_at = :reserved_at, settled_at = null,
      request_head = :request_head, request_body = :request_body, status = null, answer = null, outcome = null, receipt = null, adjusted = :adjusted,
      carrier_status = null, carrier_at = null, carrier_code = null, carrier_due_at = null
    where delivery_key = :delivery_key and owner = :owner and epoch = :epoch and state in (1, 4) and not (${WANTS_NONE})`,

  // The end of a call: of this one, and not of one that came after it, when it is said twice. due_at is set where it is to be tried again; a null settled_at: nothing reached the provider.
  settle_call: `
    update deliveries set state = :state, reason = :reason, detail = :detail, due_at = :due_at, finished_at = :finished_at,
      attempts = attempts + :paid, claims = 0, owner = null, settled_at = :settled_at, status = :status, answer = :answer, outcome = :outcome,
      receipt = :receipt, adjusted = coalesce(:adjusted, adjusted)
    where delivery_key = :delivery_key and owner = :owner and epoch = :epoch and state = 2 and call_no = coalesce(:call_no, call_no)`,

  // A claimed delivery that was not sent: deferred, held, refused by a check, expired, or given back.
  release_claim: `
    update deliveries set state = :state, reason = :reason, detail = :detail, due_at = :due_at, finished_at = :finished_at, claims = 0, owner = null
    where delivery_key = :delivery_key and owner = :owner and epoch = :epoch and state in (1, 4)`,

  // The same for many, when nothing but their keys is known.
  release_queues: `
    update queues set ready = 1, priority = 0 where queue_key in (select queue_key from deliveries where delivery_key in ${d.listed('keys', 'bigint')})`,
  release_claims: `
    update deliveries set due_at = :now, owner = null, claims = 0
    where delivery_key in ${d.listed('keys', 'bigint')} and owner = :owner and epoch = :epoch and state in (1, 4)`,

  // A delivery is due later: its queue must know.
  queue_due: `
    update queues set
      ready = case when :due_at <= :now then 1 else ready end,
      priority = case when :due_at <= :now then ${d.least('priority', ':priority')} else priority end,
      next_due_at = case when :due_at > :now and (next_due_at is null or next_due_at > :due_at) then :due_at else next_due_at end
    where queue_key = :queue_key`,

  // ── what became of a request without an answer. The number of the call: what was asked about one says nothing of the next.
  // What a person has to decide by now is not sent again by word of a question ──
  resolve_unknown: `
    update deliveries set state = :state, reason = :reason, detail = :detail, due_at = :due_at, finished_at = :finished_at
    where delivery_key = :delivery_key and state = 4 and owner is null and call_no = :call_no and (finished_at is null or :finished_at is not null)
      and ${d.differs('reason', "'redacted'")}`,
  // Its answer was found; a message is one delivery's alone. Without a receipt nothing can be told apart.
  adopt_answer: `
    update deliveries set state = :state, reason = :reason, detail = :detail, receipt = :receipt, due_at = null, finished_at = :now
    where delivery_key = :delivery_key and state = 4 and owner is null and call_no = :call_no and ${d.differs('reason', "'redacted'")}
      and not exists (${TAKEN}) and not exists (${onTheWire(d)})`,
  receipt_taken: `${TAKEN} limit 1`,

  // ── accounts and lanes ──
  account: 'select account_key, provider, account, slot, held_reason, held_until, pauses, health from accounts where account_key = :account_key',
  // Something sent after that time was accepted: the account works.
  accepted_since: `
    select 1 as accepted from deliveries
    where account_key = :account_key and settled_at > :since and reserved_at > :since and outcome = 'delivered' limit 1`,
  // One that is free again begins anew. An owner that has lost the account says nothing of it any more; a null one is a person's word.
  hold_account: `
    update accounts set held_reason = :held_reason, held_until = :held_until, health = case when :held_reason is null then '[]' else health end
    where account_key = :account_key and (:owner is null or ${OWNS})`,
  note_health: `update accounts set health = :health where account_key = :account_key and ${OWNS}`,
  held_accounts: 'select provider, held_reason, count(*) as accounts from accounts where held_reason is not null group by provider, held_reason',
  pause_lane: `
    update accounts set pauses = json_set(pauses, '$."' || :lane || '"', max(:until, coalesce(json_extract(pauses, '$."' || :lane || '"'), 0)))
    where account_key = :account_key`,
  lane_history: `
    with same (account_key) as (select :account_key union select inherits from accounts where account_key = :account_key and inherits is not null)
    select settled_at from (
      select settled_at, lane from same join deliveries using (account_key) where settled_at > :since
      union all select settled_at, lane from same join calls using (account_key) where settled_at > :since
    ) as settled where lane = :lane order by settled_at`,

  // ── how long a backlog takes ──
  // A slice of what waits in a queue, from a place on: how many, and where it ends. In two parts, so that many that are due at
  // the same time are not gone through for each slice.
  waiting_slice: `
    with slice as (
      select due_at, delivery_key from (
        select due_at, delivery_key from (select due_at, delivery_key from deliveries
          where queue_key = :queue_key and priority = :priority and due_at = :due_at and delivery_key > :after order by delivery_key limit :limit) as rest
        union all select due_at, delivery_key from (select due_at, delivery_key from deliveries
          where queue_key = :queue_key and priority = :priority and due_at > :due_at order by due_at, delivery_key limit :limit) as more
      ) as both_parts order by due_at, delivery_key limit :limit)
    select (select count(*) from slice) as waiting, due_at, delivery_key from slice order by due_at desc, delivery_key desc limit 1`,
  // From the place taken to the answer.
  answer_times: `
    select cast(avg(settled_at - reserved_at) as integer) as answer_ms from (
      select settled_at, reserved_at from deliveries where account_key = :account_key and settled_at > :since order by settled_at desc limit :limit) as latest`,

  // ── calls that belong to no delivery ──
  open_call: `
    insert into calls (call_key, call_no, account_key, lane, reserved_at, request_head) values (:call_key, 1, :account_key, :lane, :reserved_at, :request_head)`,
  close_call: 'update calls set settled_at = :settled_at, status = :status, outcome = :outcome where call_key = :call_key',
  // Left open by an instance that died: it counts as now.
  adopt_calls: `update calls set settled_at = :now, outcome = 'unknown' where outcome is null and ${slotOf('account_key')} in ${d.listed('slots', 'bigint')}`,

  // ── after a crash: whatever an earlier owner left ──
  orphans: `
    ${LEFT} where d.owner is not null and ${SLOT} in ${d.listed('slots', 'bigint')}
      and not (d.owner = :owner and d.epoch = (select epoch from slots where slot = ${SLOT})) limit :limit`,
  // Of those that died since: the account may have come from a slot that was taken over without it.
  orphans_of_dead: `
    ${LEFT} where d.owner is not null and d.owner <> :owner and d.owner not in (select owner from instances where expires_at > ${d.now})
      and ${SLOT} in ${d.listed('slots', 'bigint')} and exists (select 1 from slots where slot = ${SLOT} and owner = :owner) limit :limit`,
  // What this instance has claimed and not settled.
  owned: `${LEFT} where d.owner = :owner`,
  // It came to its end while it was being claimed: that stays.
  disown_finished: `
    update deliveries set owner = null, claims = 0
    where delivery_key = :delivery_key and owner = :owner and epoch = :epoch and finished_at is not null`,
  adopt_claimed: `
    update deliveries set owner = null, due_at = :due_at, state = :state, reason = coalesce(:reason, reason), finished_at = :finished_at,
      claims = case when :state = 5 then 0 else claims end
    where delivery_key = :delivery_key and owner = :owner and epoch = :epoch and state in (1, 4)`,
  // Claimed at two crashes in a row, the last one or earlier ones, and not tried since.
  suspects: `
    select d.delivery_key, d.queue_key, d.priority from deliveries d join queues q on q.queue_key = d.queue_key
    where d.claims > 1 and d.owner is null and d.due_at is not null and ${slotOf('q.account_key')} in ${d.listed('slots', 'bigint')} order by d.delivery_key`,
  set_apart: 'update deliveries set due_at = :due_at where delivery_key = :delivery_key and owner is null and due_at is not null',
  // It counts as now in its lane: the request may have arrived until this moment.
  adopt_sending: `
    update deliveries set owner = null, state = 4, reason = :reason, due_at = :due_at, finished_at = :finished_at, settled_at = :now, outcome = 'unknown',
      attempts = attempts + 1, claims = 0
    where delivery_key = :delivery_key and owner = :owner and epoch = :epoch and state = 2`,

  // ── expiry of what is held: in slices. The oldest stand in front, so a slice that finds none ends the queue ──
  held_queues: `
    select queue_key from (
      select queue_key from queues where held_reason is not null and queue_key > :after
      union
      select q.queue_key from accounts a cross join queues q
      where a.held_reason is not null and q.account_key = a.account_key and q.ready = 1 and q.held_reason is null and q.queue_key > :after
    ) as held order by queue_key limit :limit`,
  expire_waiting: `
    update deliveries set state = 6, due_at = null, finished_at = :now,
      reason = coalesce(:reason, case reason when 'rate_limited' then 'expired_rate_limited' when 'opt_in_pending' then 'expired_opt_in_pending' when 'quiet_hours' then 'expired_quiet_hours' else 'expired' end)
    where state = 1 and owner is null and due_at is not null and expires_at <= :now and delivery_key in (select delivery_key from (
      select delivery_key, expires_at from deliveries where queue_key = :queue_key and due_at is not null order by priority, due_at limit :limit
    ) as oldest where expires_at <= :now)`,

  // ── views ──
  delivery_by_id: `
    select d.*, ${AGAIN}, e.id as event_id, e.source, e.source_id, e.type, e.time_at, e.received_at, e.data, e.person, e.redacted_at,
      s.id as shop, q.channel, q.setup_group, q.provider, q.held_reason, a.held_reason as account_held, a.provider as account_provider, a.account
    from deliveries d join events e on e.event_key = d.event_key join queues q on q.queue_key = d.queue_key join shops s on s.shop_key = q.shop_key
      left join accounts a on a.account_key = ${ACCOUNT}
    where d.id = :id`,
  delivery_by_key: `
    select d.*, e.id as event_id, e.source, e.type, e.time_at, e.data, q.shop_key, q.account_key as queue_account_key, a.provider as account_provider
    from deliveries d join events e on e.event_key = d.event_key join queues q on q.queue_key = d.queue_key
      left join accounts a on a.account_key = d.account_key where d.delivery_key = :delivery_key`,
  calls_of_delivery: 'select * from calls where delivery_key = :delivery_key order by call_no',

  newest_delivery_before: 'select max(delivery_key) as delivery_key from deliveries where delivery_key < :before',
  account_of_queue: 'select account_key from queues where queue_key = :queue_key and held_reason is null',

  // Newest first; every filter may be null. The floor bounds how many rows one query looks at.
  list_deliveries: list('d.delivery_key >= :floor', d),
  list_of_person: list('d.event_key in (select event_key from events where person = :person)', d),
  list_of_source_id: list('d.event_key in (select event_key from events where shop_key = (select shop_key from shops where id = :shop) and source_id = :source_id)', d),

  retry_delivery: `
    update deliveries set state = 1, reason = null, detail = null, due_at = :now, expires_at = :expires_at, finished_at = null, claims = 0
    where delivery_key = :delivery_key and owner is null and (state in (1, 5, 6) or state = 4 and :unknown = 1) and ${d.differs('reason', "'redacted'")}
      and ${ALONE}`
})
