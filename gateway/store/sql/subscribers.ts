// How people stand on the lists of providers, and what is yet to be asked about them.

import type { Dialect } from '../dialect.ts'

const list = (among: string) => `
    select s.person, s.standing, s.since, s.asked_at, s.checked_at, s.refused, case when q.shop_key = :shop_key then d.id end as delivery
    from subscribers s left join deliveries d on d.delivery_key = s.delivery_key left join queues q on q.queue_key = d.queue_key
    where s.account_key = :account_key and s.person > :after_person ${among} order by s.person limit :limit`

export const subscribers = (d: Dialect) => ({
  subscriber: `
    select standing, since, asked_at, checked_at, due_at, wants, adding, refused, refused_at, ref from subscribers where account_key = :account_key and person = :person`,
  // Of a person about whom nothing is to be asked yet; or sooner, or for sure. At once where what was seen is not so any more.
  want_subscriber: `
    insert into subscribers (account_key, person, standing, since, due_at, wants, doubt, delivery_key)
    values (:account_key, :person, 'unknown', :now, :due_at, 1, :doubt, :delivery_key)
    on conflict (account_key, person) do update set wants = subscribers.wants + 1, delivery_key = :delivery_key,
      doubt = case when :doubt = 1 then 1 else subscribers.doubt end,
      due_at = case when subscribers.standing <> :seen then :now else ${d.least('coalesce(subscribers.due_at, :due_at)', ':due_at')} end`,
  subscribers_due: `
    select s.person, s.standing, s.since, s.asked_at, s.checked_at, s.wants, s.doubt, s.adding, s.refused, s.refused_at, e.type, e.data, q.shop_key
    from subscribers s left join deliveries d on d.delivery_key = s.delivery_key left join events e on e.event_key = d.event_key
      left join queues q on q.queue_key = d.queue_key
    where s.account_key = :account_key and s.due_at is not null and s.due_at <= :now order by s.due_at limit :limit`,
  // Not where it was wanted anew meanwhile.
  defer_subscriber: 'update subscribers set due_at = :due_at where account_key = :account_key and person = :person and wants = :wants',
  subscribers_next: `
    select min(at) as due_at from (
      select min(due_at) as at from subscribers where account_key = :account_key and due_at is not null
      union all select min(due_at) from subscriber_notices where account_key = :account_key
    ) as next`,
  // What the provider said. Who was asked to opt in is not found until they do.
  learn_subscriber: `
    insert into subscribers (account_key, person, standing, since, checked_at, ref) values (:account_key, :person, :standing, :now, :now, :ref)
    on conflict (account_key, person) do update set checked_at = :now, ref = coalesce(:ref, subscribers.ref),
      standing = case when :standing = 'not_found' and subscribers.standing = 'pending' then 'pending' else :standing end,
      since = case when subscribers.standing = :standing or (:standing = 'not_found' and subscribers.standing = 'pending') then subscribers.since else :now end,
      due_at = case when subscribers.wants = :wants then :due_at else subscribers.due_at end,
      doubt = case when subscribers.wants = :wants then 0 else subscribers.doubt end,
      refused = case when subscribers.refused_at > :before then subscribers.refused end`,
  // What the provider told of itself, and cannot be asked about. Word from before what is known changes nothing.
  believe_subscriber: `
    insert into subscribers (account_key, person, standing, since, checked_at, told_at) values (:account_key, :person, :standing, :at, :now, :at)
    on conflict (account_key, person) do update set standing = :standing, since = :at, checked_at = :now, told_at = :at
    where subscribers.since <= :at and (subscribers.told_at is null or subscribers.told_at < :at)`,

  // On disk before the request leaves: whoever else would add the same person sees it.
  begin_add: `
    insert into subscribers (account_key, person, standing, since, asked_at, adding, delivery_key)
    values (:account_key, :person, 'pending', :now, :now, :delivery_key, :delivery_key)
    on conflict (account_key, person) do update set standing = 'pending', asked_at = :now, adding = :delivery_key, delivery_key = :delivery_key,
      since = case when subscribers.standing = 'pending' then subscribers.since else :now end, refused = null, refused_at = null`,
  // What was found out about the person meanwhile stays.
  end_add: `
    update subscribers set adding = :adding, refused = :refused, refused_at = :refused_at, wants = wants + 1,
      standing = case when standing in ('pending', 'not_found', 'unknown') then :standing else standing end,
      doubt = case when :doubt = 1 then 1 else doubt end,
      due_at = case when :due_at is null then due_at else ${d.least('coalesce(due_at, :due_at)', ':due_at')} end
    where account_key = :account_key and person = :person and adding = :delivery_key`,
  adder: `
    select 1 as adds from deliveries d join queues q on q.queue_key = d.queue_key
    where d.delivery_key = :delivery_key and d.finished_at is null and q.account_key = :account_key`,

  // Deliveries that wait for a person at an account.
  waiting_for_person: `
    select d.delivery_key, d.queue_key, d.priority, d.reason from events e join deliveries d on d.event_key = e.event_key join queues q on q.queue_key = d.queue_key
    where e.person = :person and q.account_key = :account_key and d.owner is null and d.due_at is not null and d.due_at > :now
      and d.reason in ('looking_up', 'opt_in_pending') order by d.delivery_key limit :limit`,
  hasten_delivery: 'update deliveries set due_at = :now where delivery_key = :delivery_key and owner is null and due_at is not null and due_at > :now',

  put_notice: `
    insert into subscriber_notices (id, account_key, ref, standing, at, key_id, version, sealed, due_at)
    values (:id, :account_key, :ref, :standing, :at, :key_id, :version, :sealed, :due_at)
    on conflict (id) do update set ref = coalesce(:ref, subscriber_notices.ref), standing = coalesce(:standing, subscriber_notices.standing), at = :at,
      key_id = :key_id, version = :version, sealed = :sealed, due_at = :due_at, tries = 0
    where subscriber_notices.at <= :at`,
  notice: 'select tries from subscriber_notices where id = :id',
  notices_due: `
    select id, ref, standing, at, key_id, version, sealed, tries from subscriber_notices
    where account_key = :account_key and due_at <= :now order by due_at limit :limit`,
  defer_notice: 'update subscriber_notices set due_at = :due_at, tries = tries + :paid where id = :id and at = :at',
  drop_notice: 'delete from subscriber_notices where id = :id and at = :at',
  newest_sign_up: 'select data from events where person = :person and shop_key = :shop_key and type = :type and source <> :except order by event_key desc limit 1',
  connections_of_account: 'select shop_key from connections where account_key = :account_key order by connection_key limit :limit',

  count_subscribers: 'select standing, count(*) as people from subscribers where account_key = :account_key group by standing',
  list_subscribers: list(''),
  list_subscribers_so: list('and s.standing = :standing'),
  // Whoever is on a list is asked about anew when the next message is due. Who wants none stays, as a keyed hash.
  forget_subscribers: `
    delete from subscribers where (account_key, person) in (
      select account_key, person from subscribers
      where due_at is null and adding is null and standing <> 'opted_out' and since <= :before and coalesce(checked_at, since) <= :before and coalesce(asked_at, since) <= :before
      order by since limit :limit)`
})
