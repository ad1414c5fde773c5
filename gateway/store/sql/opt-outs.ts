// People who want no more messages. One list for all providers of a shop, and one for whoever sends over an account.

/** Of a delivery `d`: its person is on the list of its shop, or of the account it would go over. One that texts nobody goes all the same. No `or`: it would read the whole list. */
export const optedOut = (d: string, shopKey: string, accountKey: string): string => `
    ${d}.record_only = 0 and exists (select 1 from opt_outs o
      where o.person = (select v.person from events v where v.event_key = ${d}.event_key) and o.lifted_at is null
        and o.scope_key = case o.scope when 'shop' then ${shopKey} else ${accountKey} end)`

const COLUMNS = 'person, scope, scope_key, at, via, by_account_key, reason'

/** Said again it stays as it was; said by others too, it is not taken back where it was said first. What was lifted later stays lifted. */
const SAID = `
    on conflict (person, scope, scope_key) do update set
      at = case when opt_outs.lifted_at is null then opt_outs.at else excluded.at end,
      via = case when opt_outs.lifted_at is null then opt_outs.via else excluded.via end,
      reason = case when opt_outs.lifted_at is null then opt_outs.reason else excluded.reason end,
      by_account_key = case when opt_outs.lifted_at is not null or opt_outs.by_account_key = excluded.by_account_key then excluded.by_account_key end,
      lifted_at = null, lifted_via = null, lift_reason = null
    where opt_outs.lifted_at is null or opt_outs.lifted_at <= excluded.at`

/** Of a row `o`: it concerns a shop. One that had no event yet has no queue, and may send over any account of the platform's. */
const CONCERNS = `
      (o.scope = 'shop' and o.scope_key = :shop_key
        or o.scope = 'account' and o.scope_key in (select account_key from queues where shop_key = :shop_key)
        or o.scope = 'account' and not exists (select 1 from queues where shop_key = :shop_key) and exists (select 1 from accounts own where own.account_key = o.scope_key and own.declared is not null))`

export const OPT_OUTS = {
  opt_out_shop: `
    insert into opt_outs (${COLUMNS}) values (:person, 'shop', :shop_key, :at, :via, :by_account_key, :reason) ${SAID}`,
  // Whoever is connected to the account.
  opt_out_connected: `
    insert into opt_outs (${COLUMNS})
    select :person, 'shop', c.shop_key, :at, :via, c.account_key, null from connections c where c.account_key = :account_key ${SAID}`,
  // What is said to a sender that shops share concerns each of them that texted the person, and goes with it to another provider.
  opt_out_account: `
    insert into opt_outs (${COLUMNS}) select :person, 'account', account_key, :at, :via, account_key, null from accounts where account_key = :account_key ${SAID}`,
  opt_out_texted: `
    insert into opt_outs (${COLUMNS})
    select distinct :person, 'shop', q.shop_key, :at, :via, d.account_key, null
    from events e join deliveries d on d.event_key = e.event_key join queues q on q.queue_key = d.queue_key
    where e.person = :person and d.account_key = :account_key and d.call_no > 0 ${SAID}`,
  // The provider refused a message for it.
  opt_out_refused: `
    insert into opt_outs (${COLUMNS})
    select e.person, 'shop', q.shop_key, :now, :via, d.account_key, null
    from deliveries d join events e on e.event_key = d.event_key join queues q on q.queue_key = d.queue_key
    where d.delivery_key = :delivery_key and d.reason = 'opted_out' and e.person is not null ${SAID}`,

  lift_account: `
    update opt_outs set lifted_at = :at, lifted_via = :via, lift_reason = null
    where person = :person and lifted_at is null and at <= :at and (scope = 'account' and scope_key = :account_key or scope = 'shop' and by_account_key = :account_key)`,
  lift_shop: `
    update opt_outs set lifted_at = :at, lifted_via = :via, lift_reason = :reason
    where person = :person and lifted_at is null and at <= :at and scope = 'shop' and scope_key = :shop_key`,

  // Of a shop, and of the accounts that it sends over: a row where the person is to get nothing from it.
  opt_out_of: `
    select o.scope, o.at, o.via from opt_outs o where o.person = :person and o.lifted_at is null and ${CONCERNS} order by o.at limit 1`,
  opt_outs_seen: `
    select o.scope, o.at, o.via, o.reason, o.lifted_at, o.lifted_via, o.lift_reason, a.provider
    from opt_outs o left join accounts a on a.account_key = case when o.scope = 'account' then o.scope_key else o.by_account_key end
    where o.person = :person and ${CONCERNS} order by o.scope desc, o.scope_key`,
  audit_opt_out: `
    insert into audit (at, actor, action, shop, subject, reason) values (:at, :actor, :action, :shop, :subject, :reason)`,
  account_of: 'select account_key from accounts where provider = :provider and account = :account'
} as const
