// Statements that run once for all steps of a group that call them: `p` has a row per step, with its parameters and its
// number `i`. What each step did is told by `i` or, where a row is inserted, by a column whose value the step gave.

import { optedOut } from '../sql/opt-outs.ts'

/** Who opted out after the claim. */
const WANTS_NONE = optedOut('d', '(select q.shop_key from queues q where q.queue_key = d.queue_key)', '(select q.account_key from queues q where q.queue_key = d.queue_key)')

/** One statement for many steps. */
export interface SetSql {
  sql: string
  /** Column of the result that says which step it belongs to, by the parameter of that name; `i` where left out. */
  by?: string
  /** Steps that have the same value of this parameter run one after the other. */
  apart?: string
}

const due = (priority: number) => `
  (select delivery_key from deliveries
    where queue_key = p.queue_key and priority = ${priority} and due_at is not null and due_at <= p.now order by due_at limit p."limit")`

const isDue = (priority: number) => `
  exists (select 1 from deliveries where queue_key = p.queue_key and priority = ${priority} and due_at is not null and due_at <= p.now)`

const soonest = (priority: number) =>
  `((select min(due_at) from deliveries where queue_key = p.queue_key and priority = ${priority} and due_at is not null))`

const EVENT = 'event_key, id, shop_key, source, source_id, type, time_at, received_at, person, data'
const DELIVERY = 'delivery_key, id, event_key, queue_key, state, reason, priority, due_at, expires_at, created_at, finished_at'
const CALL = 'call_no, account_key, lane, reserved_at, settled_at, request_head, request_body, status, answer, outcome, receipt'
const columns = (table: string, names: string): string => names.split(', ').map(name => `${table}.${name}`).join(', ')

/** Conditions stand at the row itself, so that they are looked at again when another transaction has changed it meanwhile. */
export const SETS: Readonly<Record<string, SetSql>> = {
  insert_event: {
    by: 'event_key',
    sql: `insert into events (${EVENT}) select ${columns('p', EVENT)} from p order by p.i
      on conflict (shop_key, source_id, source) do nothing returning event_key`
  },
  insert_event_together: {
    by: 'event_key',
    sql: `insert into events (${EVENT}) select ${columns('p', EVENT)} from p order by p.i returning event_key`
  },
  insert_delivery: {
    by: 'delivery_key',
    sql: `insert into deliveries (${DELIVERY}) select ${columns('p', DELIVERY)} from p
      where exists (select 1 from events e where e.event_key = p.event_key) order by p.i returning delivery_key`
  },

  claim_deliveries: {
    apart: 'queue_key',
    sql: `update deliveries d set due_at = null, owner = c.owner, epoch = c.epoch, claims = d.claims + 1
      from (select p.i, p.owner, p.epoch, found.delivery_key
        from p cross join lateral (select delivery_key from (${due(0)} union all ${due(1)} union all ${due(2)}) as due limit p."limit") as found
        where exists (select 1 from queues q where q.queue_key = p.queue_key and q.account_key = p.account_key and q.held_reason is null)
          and exists (select 1 from slots s where s.slot = p.account_key % 256 and s.owner = p.owner and s.epoch = p.epoch)) as c
      where d.delivery_key = c.delivery_key and d.due_at is not null and d.owner is null
      returning c.i, d.delivery_key`
  },
  refresh_queue: {
    apart: 'queue_key',
    sql: `update queues q set served_at = r.served_at, ready = (r.due_0 or r.due_1 or r.due_2)::int,
        priority = case when r.due_0 then 0 when r.due_1 then 1 else 2 end, next_due_at = r.next_due_at
      from (select p.i, p.queue_key, p.served_at, ${isDue(0)} as due_0, ${isDue(1)} as due_1, ${isDue(2)} as due_2,
          (select min(at) from (values ${soonest(0)}, ${soonest(1)}, ${soonest(2)}) as soonest (at) where at > p.now) as next_due_at
        from p) as r
      where q.queue_key = r.queue_key returning r.i`
  },
  queue_due: {
    sql: `update queues q set
        ready = case when w.at_once is null then q.ready else 1 end,
        priority = least(q.priority, w.at_once),
        next_due_at = least(q.next_due_at, w.later)
      from (select p.queue_key, min(p.i) as i, min(p.priority) filter (where p.due_at <= p.now) as at_once, min(p.due_at) filter (where p.due_at > p.now) as later
        from p group by p.queue_key) as w
      where q.queue_key = w.queue_key returning w.i`
  },
  wake_queue: {
    sql: `update queues q set ready = 1, priority = least(q.priority, w.priority)
      from (select p.queue_key, min(p.i) as i, min(p.priority) as priority from p group by p.queue_key) as w
      where q.queue_key = w.queue_key and (q.ready = 0 or q.priority > w.priority) returning w.i`
  },
  // The same for a queue that another instance works on.
  leave_word: {
    sql: 'insert into wakes (queue_key, priority) select p.queue_key, min(p.priority) from p group by p.queue_key returning 0 as i'
  },

  archive_call: {
    apart: 'delivery_key',
    sql: `insert into calls (call_key, delivery_key, ${CALL}) select p.call_key, d.delivery_key, ${columns('d', CALL)}
      from p join deliveries d on d.delivery_key = p.delivery_key and d.owner = p.owner and d.epoch = p.epoch and d.call_no > 0 and not (${WANTS_NONE}) returning call_key`,
    by: 'call_key'
  },
  start_call: {
    apart: 'delivery_key',
    sql: `update deliveries d set state = 2, account_key = p.account_key, call_no = d.call_no + 1, lane = p.lane, reserved_at = p.reserved_at, settled_at = null,
        request_head = p.request_head, request_body = p.request_body, status = null, answer = null, outcome = null, receipt = null, adjusted = p.adjusted,
        carrier_status = null, carrier_at = null, carrier_code = null, carrier_due_at = null
      from p where d.delivery_key = p.delivery_key and d.owner = p.owner and d.epoch = p.epoch and d.state in (1, 4) and not (${WANTS_NONE}) returning p.i`
  },
  settle_call: {
    apart: 'delivery_key',
    sql: `update deliveries d set state = p.state, reason = p.reason, detail = p.detail, due_at = p.due_at, finished_at = p.finished_at,
        attempts = d.attempts + p.paid, claims = 0, owner = null, settled_at = p.settled_at, status = p.status, answer = p.answer, outcome = p.outcome,
        receipt = p.receipt, adjusted = coalesce(p.adjusted, d.adjusted)
      from p where d.delivery_key = p.delivery_key and d.owner = p.owner and d.epoch = p.epoch and d.state = 2 and d.call_no = coalesce(p.call_no, d.call_no) returning p.i`
  },
  await_carrier: {
    sql: `update deliveries d set carrier_due_at = p.due_at
      from p where d.delivery_key = p.delivery_key and d.state = 3 and d.receipt is not null
        and (d.carrier_status is null or d.carrier_status not in ('delivered', 'undelivered', 'failed', 'read')) returning p.i`
  },
  release_claim: {
    apart: 'delivery_key',
    sql: `update deliveries d set state = p.state, reason = p.reason, detail = p.detail, due_at = p.due_at, finished_at = p.finished_at, claims = 0, owner = null
      from p where d.delivery_key = p.delivery_key and d.owner = p.owner and d.epoch = p.epoch and d.state in (1, 4) returning p.i`
  },

  // The counts of the latest one hold those before it.
  note_health: {
    sql: `update accounts a set health = h.health from (select distinct on (p.account_key) p.account_key, p.i, p.health, p.owner from p order by p.account_key, p.i desc) as h
      where a.account_key = h.account_key and exists (select 1 from slots s where s.slot = a.account_key % 256 and s.owner = h.owner) returning h.i`
  }
}

/** Statements of PostgreSQL's own, and those whose text for all does not fit it. */
export const OWN: Readonly<Record<string, string>> = {
  // A loose scan: an account with many queues costs one step.
  ready_accounts: `
    with recursive found (account_key) as (
      select min(account_key) from queues where ready = 1 and held_reason is null and account_key > :after
      union all
      select (select min(account_key) from queues where ready = 1 and held_reason is null and account_key > found.account_key)
      from found where found.account_key is not null
    ) select f.account_key, a.held_until from (select account_key from found where account_key is not null limit :limit) as f
      join accounts a on a.account_key = f.account_key order by f.account_key`,
  pause_lane: `
    update accounts set pauses = (pauses::jsonb || jsonb_build_object(:lane, greatest(:until, coalesce((pauses::jsonb ->> :lane)::bigint, 0))))::text
    where account_key = :account_key`,
  // As many as are left behind when others take turns with it are few.
  words_left: `
    select 1 as word from wakes w join queues q on q.queue_key = w.queue_key
    where coalesce(q.account_key, 0) % 256 in (select value::bigint from json_array_elements_text(:slots::json)) limit 1`,
  take_words: `
    with taken as (
      delete from wakes where wake_key in (
        select w.wake_key from wakes w join queues q on q.queue_key = w.queue_key
        where coalesce(q.account_key, 0) % 256 in (select value::bigint from json_array_elements_text(:slots::json)) limit :limit)
      returning queue_key, priority
    )
    update queues q set ready = 1, priority = least(q.priority, w.priority)
    from (select queue_key, min(priority) as priority from taken group by queue_key) as w
    where q.queue_key = w.queue_key returning q.account_key`
}
