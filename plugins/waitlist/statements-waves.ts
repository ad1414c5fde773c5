// Waves: who is taken next, what became of them, and how a wave ends. `turn` is changed by each unit of a wave's job, and a
// unit that was built on an older one fails as a whole.

import type { Dialect } from '../../gateway/define.ts'

const NUMBER = (name: string): string => `cast(:${name} as bigint)`
const WAITS = 'w.shop_key = :shop_key and w.variant = :variant and w.state = 1'
const taken = (d: Dialect): string => `signup_key in ${d.listed('keys', 'bigint')}`
const pending = (d: Dialect): string => `wave_key = :wave_key and pending = 1 and ${taken(d)}`

export const waveStatements = (d: Dialect): Record<string, string> => ({
  waitlist_waves_open: 'select * from waitlist_waves where shop_key = :shop_key and variant = :variant and settled = 0 order by wave_key limit :limit',

  // A wave that runs takes no one any more from the moment it has ended.
  waitlist_wave_turn: `update waitlist_waves set turn = :next_turn where wave_key = :wave_key and turn = :turn and state = :state and settled = 0`,
  waitlist_wave_turned: `insert into waitlist_guards (refused) select 1 where not exists (select 1 from waitlist_waves where wave_key = :wave_key and turn = :next_turn)`,

  // Oldest first; behind the last one that was taken, and once more from the start, for those who came late.
  waitlist_next: `
    select w.signup_key, w.id, w.data, w.product, w.consent, w.alerts, w.joined_at from waitlist_signups w
    where ${WAITS} and w.pending = 0 and w.joined_at <= :before and (w.joined_at, w.signup_key) > (:after_at, :after_key) and ${d.differs('w.wave_key', ':wave_key')}
    order by w.joined_at, w.signup_key limit :limit`,
  waitlist_next_one: `
    select w.signup_key, w.id, w.data, w.product, w.consent, w.alerts, w.joined_at from waitlist_signups w
    where ${WAITS} and w.pending = 0 and w.id = :id and ${d.differs('w.wave_key', ':wave_key')}`,
  waitlist_take: `
    update waitlist_signups set state = 2, reason = null, wave_key = :wave_key, pending = 1, alerts = alerts + 1, alert_id = id || '/alert/' || (alerts + 1)
    where state = 1 and pending = 0 and ${taken(d)}`,
  // All of them or none: an event was made for each.
  waitlist_took: `
    insert into waitlist_guards (refused) select 1
    where (select count(*) from waitlist_signups where state = 2 and wave_key = :wave_key and ${taken(d)}) <> ${NUMBER('count')}`,
  waitlist_pass_over: `update waitlist_signups set state = 4, reason = :reason where state = 1 and ${taken(d)}`,
  waitlist_wave_made: `
    update waitlist_waves set made = made + ${NUMBER('count')}, batch_made = batch_made + ${NUMBER('count')}, skipped = skipped + ${NUMBER('skipped')}, after_at = :after_at, after_key = :after_key
    where wave_key = :wave_key`,
  waitlist_batch: `
    update waitlist_waves set batch_no = batch_no + 1, batch_made = 0, batch_freed = 0, next_batch_at = :next_batch_at, after_at = 0, after_key = 0,
      batch_size = coalesce((select case when t.total > 0 then t.total * ${NUMBER('multiplier')} else 0 end from waitlist_stock t where t.shop_key = waitlist_waves.shop_key and t.variant = waitlist_waves.variant), 0)
    where wave_key = :wave_key`,
  waitlist_unbatch: 'update waitlist_waves set batch_size = null, next_batch_at = null where wave_key = :wave_key',

  // What became of those who were taken. Who was removed meanwhile, or waits again, stays so.
  waitlist_pending: `
    select signup_key, alert_id, state from waitlist_signups where wave_key = :wave_key and pending = 1 and signup_key > :after_key order by signup_key limit :limit`,
  waitlist_told: `
    update waitlist_signups set pending = 0, alerted_at = :alerted_at, remind_at = case when state = 2 then :remind_at end, state = case when state = 2 then 3 else state end where ${pending(d)}`,
  waitlist_skip: `
    update waitlist_signups set pending = 0, reason = case when state = 2 then :reason else reason end, state = case when state = 2 then 4 else state end where ${pending(d)}`,
  waitlist_return: `
    update waitlist_signups set pending = 0, reason = case when state = 2 then :reason else reason end, state = case when state = 2 then 1 else state end where ${pending(d)}`,
  waitlist_wave_seen: `
    update waitlist_waves set alerted = alerted + ${NUMBER('alerted')}, skipped = skipped + ${NUMBER('skipped')}, returned = returned + ${NUMBER('returned')},
      batch_freed = batch_freed + ${NUMBER('skipped')} + ${NUMBER('returned')}
    where wave_key = :wave_key`,
  // Ended by itself, or by somebody; and done with, once nothing is open.
  waitlist_wave_end: `update waitlist_waves set state = 2, reason = :reason, ended_at = :now where wave_key = :wave_key and state = 1`,
  waitlist_wave_settle: `
    update waitlist_waves set settled = 1 where wave_key = :wave_key and state = 2 and not exists (select 1 from waitlist_signups s where s.wave_key = :wave_key and s.pending = 1)`,

  // By hand.
  waitlist_wave_by_hand: `
    insert into waitlist_waves (id, shop_key, variant, kind, actor, signup, stock_before, stock_after, started_at)
    select :id, :shop_key, :variant, 'manual', :actor, :signup, (select t.total from waitlist_stock t where t.shop_key = :shop_key and t.variant = :variant),
      (select t.total from waitlist_stock t where t.shop_key = :shop_key and t.variant = :variant), :now
    where :signup is not null or not exists (select 1 from waitlist_waves o where o.shop_key = :shop_key and o.variant = :variant and o.state = 1 and o.settled = 0 and o.kind = 'manual' and o.signup is null)`,
  waitlist_wave_by_id: 'select * from waitlist_waves where shop_key = :shop_key and id = :id',
  waitlist_wave_list: `
    select * from waitlist_waves where shop_key = :shop_key and (:variant is null or variant = :variant)
      and (:before_id is null or wave_key < (select o.wave_key from waitlist_waves o where o.shop_key = :shop_key and o.id = :before_id)) order by wave_key desc limit :limit`,
  waitlist_wave_stop: `update waitlist_waves set state = 2, reason = 'stopped', ended_at = :now where shop_key = :shop_key and id = :id and state = 1`,
  waitlist_count_waiting: `
    select count(*) as waiting, coalesce(sum(w.consent), 0) as reachable from waitlist_signups w where ${WAITS}`,
  waitlist_one: 'select id, variant, state, consent from waitlist_signups where shop_key = :shop_key and id = :id',

  // For the check before a send: the sign-up, its wave and the stock, in one look.
  waitlist_message: `
    select s.state, s.consent, s.bought_at, s.joined_at, s.pending, s.alert_id, w.kind, w.state as wave_state, w.reason as wave_reason, t.total, t.threshold, p.data as product
    from waitlist_signups s left join waitlist_waves w on w.wave_key = s.wave_key
      left join waitlist_stock t on t.shop_key = s.shop_key and t.variant = s.variant
      left join waitlist_products p on p.shop_key = s.shop_key and p.product = s.product
    where s.shop_key = :shop_key and s.id = :id`
})
