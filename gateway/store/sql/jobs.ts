// Everything that happens later or long, and what keeps the tables small.

import type { Dialect } from '../dialect.ts'

// Keys rise with time: the oldest stand first, and a slice of them bounds what one query looks at.
const FORGOTTEN = `
  select event_key from (select event_key, received_at, data is null as purged from events order by event_key limit :limit) as oldest
  where received_at <= :before and purged`

/** A person may have sent it again since it was looked at: then its payload is needed once more. */
const RESTS = 'not exists (select 1 from deliveries d where d.event_key = :event_key and d.finished_at is null)'

/** `background`: 1 for jobs that nobody waits for, which take what places the others leave. */
const put = (background: 0 | 1) => `
    insert into jobs (job_key, id, kind, unique_key, account_key, delivery_key, due_at, created_at, background)
    values (:job_key, :id, :kind, :unique_key, :account_key, :delivery_key, :due_at, :now, ${background})
    on conflict (kind, unique_key) do update set due_at = coalesce(jobs.due_at, :due_at), account_key = :account_key`

/** One that is there is due sooner, where it would not be. */
const putSoon = (d: Dialect, background: 0 | 1) => `
    insert into jobs (job_key, id, kind, unique_key, account_key, delivery_key, due_at, created_at, background)
    values (:job_key, :id, :kind, :unique_key, :account_key, null, :due_at, :now, ${background})
    on conflict (kind, unique_key) do update set due_at = ${d.least('coalesce(jobs.due_at, :due_at)', ':due_at')}`

/** Those about an account go to the instance that works on it. */
const due = (d: Dialect, background: 0 | 1) => `
      background = ${background} and due_at is not null and due_at <= :now and owner is null
      and (account_key is null or account_key % 256 in ${d.listed('slots', 'bigint')})`

const claim = (d: Dialect, background: 0 | 1) => `
    update jobs set due_at = null, owner = :owner, epoch = :epoch, attempts = attempts + 1
    where job_key in (select job_key from jobs where ${due(d, background)} order by due_at limit :limit ${d.skipLocked})
    returning job_key, id, kind, unique_key, account_key, delivery_key, attempts, cursor, progress`

export const jobs = (d: Dialect) => ({
  put_job: put(0),
  put_background_job: put(1),
  // Somebody waits for it now.
  raise_job: `update jobs set background = 0, due_at = ${d.least('due_at', ':now')} where kind = :kind and unique_key = :unique_key and owner is null and due_at is not null`,
  put_job_soon: putSoon(d, 0),
  put_background_job_soon: putSoon(d, 1),
  // A row for each sort of which some are due.
  jobs_are_due: `
    select 0 as background where exists (select 1 from jobs where ${due(d, 0)})
    union all select 1 as background where exists (select 1 from jobs where ${due(d, 1)})`,
  claim_jobs: claim(d, 0),
  claim_background_jobs: claim(d, 1),
  // Done until due again, or until it was asked for meanwhile.
  settle_job: `
    update jobs set due_at = ${d.least(':due_at', 'coalesce(due_at, :due_at)')}, owner = null, cursor = :cursor, progress = :progress, attempts = case when :failed = 1 then attempts else 0 end
    where job_key = :job_key and owner = :owner and epoch = :epoch`,
  // Done for good, unless it was asked for while it ran: then it starts over.
  end_job: 'delete from jobs where job_key = :job_key and owner = :owner and epoch = :epoch and due_at is null',
  restart_job: 'update jobs set owner = null, attempts = 0, cursor = null where job_key = :job_key and owner = :owner and epoch = :epoch',
  adopt_jobs: `
    update jobs set due_at = :now, owner = null
    where owner is not null and owner <> :owner and owner not in (select owner from instances where expires_at > ${d.now})`,
  // What this instance has claimed and not settled; and, of what nobody works on, as if it had not been claimed.
  owned_jobs: 'select job_key from jobs where owner = :owner',
  release_jobs: `
    update jobs set due_at = :now, owner = null, attempts = attempts - 1 where owner = :owner and job_key in ${d.listed('keys', 'bigint')}`,
  job: 'select * from jobs where id = :id',

  // Retention, in slices: the payload first, the identity when nothing refers to it any more.
  // A slice of the oldest events, and which of them have nothing open and may lose their payload.
  payloads_due: `
    select event_key, old, case when purgeable then data end as data from (
      select e.event_key, e.data, ${d.flag('e.received_at <= :before')} as old, e.received_at <= :before and e.data is not null
        and not exists (select 1 from deliveries d where d.event_key = e.event_key and (d.finished_at is null or d.finished_at > :before)) as purgeable
      from events e where e.event_key > :after order by e.event_key limit :limit) as slice`,
  drop_payload: `update events set data = null, digest = :digest, person = null where event_key = :event_key and ${RESTS}`,
  drop_requests: `
    update deliveries set request_head = null, request_body = null, answer = null, detail = null where event_key = :event_key and ${RESTS}`,
  drop_earlier_calls: `delete from calls where delivery_key in (select delivery_key from deliveries where event_key = :event_key) and ${RESTS}`,
  // Of no delivery: questions to a provider, steps of a set-up. No window counts them any more.
  forget_calls: `
    delete from calls where call_key in (select call_key from calls where delivery_key is null order by call_key limit :limit)
      and outcome is not null and coalesce(settled_at, reserved_at) <= :before`,
  // In one unit, the deliveries first: both take the same slice, and neither is ever without the other.
  forget_deliveries: `delete from deliveries where event_key in (${FORGOTTEN})`,
  forget_events: `delete from events where event_key in (${FORGOTTEN})`,
})
