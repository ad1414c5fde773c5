// Everything that happens later or long, and what keeps the tables small.

// Keys rise with time: the oldest stand first, and a slice of them bounds what one query looks at.
const FORGOTTEN = `
  select event_key from (select event_key, received_at, data is null as purged from events order by event_key limit :limit)
  where received_at <= :before and purged`

export const JOBS = {
  put_job: `
    insert into jobs (job_key, id, kind, unique_key, account_key, delivery_key, due_at, created_at)
    values (:job_key, :id, :kind, :unique_key, :account_key, :delivery_key, :due_at, :now)
    on conflict (kind, unique_key) do update set due_at = coalesce(jobs.due_at, :due_at)`,
  jobs_are_due: 'select 1 as due from jobs where due_at is not null and due_at <= :now and owner is null limit 1',
  claim_jobs: `
    update jobs set due_at = null, owner = :owner, epoch = :epoch, attempts = attempts + 1
    where job_key in (select job_key from jobs where due_at is not null and due_at <= :now and owner is null order by due_at limit :limit)
    returning job_key, id, kind, unique_key, account_key, delivery_key, attempts, cursor, progress`,
  // Done until due again, or until it was asked for meanwhile.
  settle_job: `
    update jobs set due_at = min(:due_at, coalesce(due_at, :due_at)), owner = null, cursor = :cursor, progress = :progress, attempts = case when :failed = 1 then attempts else 0 end
    where job_key = :job_key and owner = :owner and epoch = :epoch`,
  // Done for good, unless it was asked for while it ran: then it starts over.
  end_job: 'delete from jobs where job_key = :job_key and owner = :owner and epoch = :epoch and due_at is null',
  restart_job: 'update jobs set owner = null, attempts = 0, cursor = null where job_key = :job_key and owner = :owner and epoch = :epoch',
  adopt_jobs: 'update jobs set due_at = :now, owner = null where owner is not null and owner <> :owner',
  job: 'select * from jobs where id = :id',

  // Retention, in slices: the payload first, the identity when nothing refers to it any more.
  // A slice of the oldest events, and which of them have nothing open and may lose their payload.
  payloads_due: `
    select event_key, old, case when purgeable then data end as data from (
      select e.event_key, e.data, e.received_at <= :before as old, e.received_at <= :before and e.data is not null
        and not exists (select 1 from deliveries d where d.event_key = e.event_key and (d.finished_at is null or d.finished_at > :before)) as purgeable
      from events e where e.event_key > :after order by e.event_key limit :limit)`,
  drop_payload: 'update events set data = null, digest = :digest, person = null where event_key = :event_key',
  drop_requests: `
    update deliveries set request_head = null, request_body = null, answer = null, detail = null where event_key = :event_key`,
  drop_earlier_calls: 'delete from calls where delivery_key in (select delivery_key from deliveries where event_key = :event_key)',
  // Of no delivery: questions to a provider, steps of a set-up. No window counts them any more.
  forget_calls: `
    delete from calls where call_key in (select call_key from calls where delivery_key is null order by call_key limit :limit)
      and outcome is not null and coalesce(settled_at, reserved_at) <= :before`,
  // In one unit, the deliveries first: both take the same slice, and neither is ever without the other.
  forget_deliveries: `delete from deliveries where event_key in (${FORGOTTEN})`,
  forget_events: `delete from events where event_key in (${FORGOTTEN})`,

  take_slots: `
    insert into slots (slot, owner, epoch, expires_at) select value, :owner, 1, :expires_at from json_each(:slots) where true
    on conflict (slot) do update set owner = :owner, epoch = slots.epoch + 1, expires_at = :expires_at`,
  epoch: 'select max(epoch) as epoch, max(owner) as owner from slots'
} as const
