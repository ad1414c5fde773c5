// What is in stock: kept in the unit of the event that told it, and a crossing of the threshold is found there.

import type { Dialect } from '../../gateway/define.ts'

/** So long after a later one an older level is kept: totals that arrive late are counted from it. */
export const LEVELS_KEPT_MS = 15 * 60_000

/** A repeat of an event has no row of its own, and changes nothing. */
const IS_NEW = 'exists (select 1 from events where event_key = :event_key)'
const ROW = 'shop_key = :shop_key and variant = :variant'
const THRESHOLD = 'coalesce((select s.threshold from waitlist_settings s where s.shop_key = :shop_key), cast(:threshold as bigint))'
const AUTOMATIC = 'coalesce((select s.automatic from waitlist_settings s where s.shop_key = :shop_key), cast(:automatic as bigint))'

const PLACE = 'm.shop_key = n.shop_key and m.variant = n.variant and m.location = n.location'
const HERE = 'm.shop_key = :shop_key and m.variant = :variant and m.location = :location'
const NEWEST = `select max(m.at) from waitlist_levels m where ${HERE}`

// Order of arrival does not matter: the total is counted anew from all that is known. The last total that was told as one
// counts, and what changed at each location since then; where a location was not known before, what all of them say.
const TOTAL = `
  select case when waitlist_stock.absolute_at is null or count(case when l.at > waitlist_stock.absolute_at and l.base is null then 1 end) > 0 then sum(l.available)
    else waitlist_stock.absolute + coalesce(sum(case when l.at > waitlist_stock.absolute_at then l.available - l.base end), 0) end
  from (select n.at, n.available, (select m.available from waitlist_levels m where ${PLACE} and m.at <= waitlist_stock.absolute_at order by m.at desc limit 1) as base
    from waitlist_levels n where n.shop_key = waitlist_stock.shop_key and n.variant = waitlist_stock.variant and n.at = (select max(m.at) from waitlist_levels m where ${PLACE})) as l`

export const stockStatements = (d: Dialect): Record<string, string> => ({
  // Its row, which everything about the variant waits for.
  waitlist_stock_touch: `
    insert into waitlist_stock (shop_key, variant, product) select :shop_key, :variant, :product where ${IS_NEW}
    on conflict (shop_key, variant) do update set product = coalesce(excluded.product, waitlist_stock.product)`,
  // Of two that were told for the same moment the lower one stands.
  waitlist_level_put: `
    insert into waitlist_levels (shop_key, variant, location, at, available) select :shop_key, :variant, :location, :at, cast(:available as bigint) where ${IS_NEW}
    on conflict (shop_key, variant, location, at) do update set available = ${d.least('waitlist_levels.available', 'excluded.available')}`,
  waitlist_total_put: `
    update waitlist_stock set absolute = case when absolute_at = :at then ${d.least('absolute', 'cast(:available as bigint)')} else cast(:available as bigint) end, absolute_at = :at
    where ${ROW} and ${IS_NEW} and (absolute_at is null or absolute_at <= :at)`,
  // Nothing can be counted from these any more.
  waitlist_levels_prune: `
    delete from waitlist_levels where ${ROW} and location = :location and ${IS_NEW}
      and at < (${NEWEST} and m.at <= (${NEWEST}) - ${LEVELS_KEPT_MS})
      and at <> coalesce((${NEWEST} and m.at <= (select a.absolute_at from waitlist_stock a where a.shop_key = :shop_key and a.variant = :variant)), -1)`,
  // Another threshold changes what is below it, and tells nobody.
  waitlist_rebaseline: `
    update waitlist_stock set armed = case when total is null or armed is null then armed else ${d.flag(`total < ${THRESHOLD}`)} end, threshold = ${THRESHOLD}
    where ${ROW} and ${IS_NEW} and ${d.differs('threshold', THRESHOLD)}`,
  waitlist_count: `update waitlist_stock set total_before = total, total = (${TOTAL}), changed_at = :now where ${ROW} and ${IS_NEW}`,
  waitlist_arm_below: `update waitlist_stock set armed = 1 where ${ROW} and ${IS_NEW} and total < threshold and coalesce(armed, 0) = 0`,
  waitlist_end_sold_out: `
    update waitlist_waves set state = 2, reason = 'sold_out', ended_at = :now
    where ${ROW} and ${IS_NEW} and settled = 0 and state = 1 and kind = 'restock' and exists (select 1 from waitlist_stock t where t.shop_key = :shop_key and t.variant = :variant and t.total < t.threshold)`,
  // One that was never seen below it has not crossed it.
  waitlist_cross: `
    update waitlist_stock set crossed_by = case when armed = 1 then :event_key else crossed_by end, armed = 0
    where ${ROW} and ${IS_NEW} and total >= threshold and coalesce(armed, 1) = 1`,
  waitlist_wave_of_crossing: `
    insert into waitlist_waves (id, shop_key, variant, kind, event_key, stock_before, stock_after, started_at)
    select :id, t.shop_key, t.variant, 'restock', t.crossed_by, t.total_before, t.total, :now from waitlist_stock t
    where t.shop_key = :shop_key and t.variant = :variant and t.crossed_by = :event_key and ${AUTOMATIC} = 1
      and exists (select 1 from waitlist_signups w where w.shop_key = t.shop_key and w.variant = t.variant and w.state = 1)`,
  // Only where a wave is there that may have something to do: most of what is told about stock concerns nobody who waits.
  waitlist_put_job: `
    insert into jobs (job_key, id, kind, unique_key, account_key, delivery_key, due_at, created_at)
    select :job_key, :id, :kind, :unique_key, :account_key, null, :due_at, :now
    where ${IS_NEW} and exists (select 1 from waitlist_waves w where w.shop_key = :shop_key and w.variant = :variant and w.settled = 0)
    on conflict (kind, unique_key) do update set due_at = ${d.least('coalesce(jobs.due_at, :due_at)', ':due_at')}`,
  waitlist_stock: `select * from waitlist_stock where ${ROW}`,

  waitlist_product_put: `
    insert into waitlist_products (shop_key, product, data, at) select :shop_key, :product, :data, :at where ${IS_NEW}
    on conflict (shop_key, product) do update set data = excluded.data, at = excluded.at where excluded.at >= waitlist_products.at`,
  waitlist_product: 'select data from waitlist_products where shop_key = :shop_key and product = :product'
})
