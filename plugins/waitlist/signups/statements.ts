// The SQL of sign-ups, for both databases.

import type { Dialect } from '../../../gateway/contract.ts'

const ENDED = '(waitlist_signups.state in (3, 4, 5))'
/** Nothing has come of it but that consent was missing: once that is there, it does not matter when the customer joined. */
const UNASKED = '(waitlist_signups.state = 4 and waitlist_signups.reason = \'no_consent\' and excluded.consent = 1)'
const NEW = 'exists (select 1 from events where event_key = :event_key)'
const COLUMNS = `signup_key, id, variant, product, market, data, consent, source, joined_at, state, reason, alerts, alerted_at, bought_at, remind_at, reminder, reminder_reason,
      (select w.id from waitlist_waves w where w.wave_key = waitlist_signups.wave_key) as wave`

export const statements: (dialect: Dialect) => Record<string, string> = () => ({
  // One of who waits is the newest word of what they are and agreed to; one of whom nothing is to come any more waits again.
  // What is older than the newest word, or than what became of it, changes nothing.
  waitlist_join: `
    insert into waitlist_signups (id, shop_key, variant, product, market, person, email, customer, data, consent, source, joined_at, told_at, created_at, state)
    select :id, :shop_key, :variant, :product, :market, :person, :digest, :customer, :data, cast(:consent as bigint), :source, :joined_at, :told_at, :created_at, 1
    where ${NEW}
    on conflict (shop_key, variant, market, person) do update set
      joined_at = case when ${ENDED} then excluded.joined_at else waitlist_signups.joined_at end,
      reason = case when ${ENDED} then null else waitlist_signups.reason end,
      bought_at = case when ${ENDED} then null else waitlist_signups.bought_at end,
      remind_at = case when ${ENDED} then null else waitlist_signups.remind_at end,
      reminder = case when ${ENDED} then null else waitlist_signups.reminder end,
      reminder_reason = case when ${ENDED} then null else waitlist_signups.reminder_reason end,
      state = case when ${ENDED} then 1 else waitlist_signups.state end,
      product = excluded.product, email = excluded.email, customer = coalesce(excluded.customer, waitlist_signups.customer), data = excluded.data,
      consent = excluded.consent, source = excluded.source, told_at = excluded.told_at
    where case when ${ENDED} and not ${UNASKED} then excluded.joined_at else excluded.told_at end > coalesce(waitlist_signups.told_at, waitlist_signups.joined_at)
      and (not ${ENDED} or excluded.joined_at > coalesce(waitlist_signups.alerted_at, 0) and excluded.joined_at > coalesce(waitlist_signups.bought_at, 0))`,
  // A shop lets nobody sign up for what is in stock: what nothing is known of is out of stock, and fires when it comes back.
  waitlist_arm: `
    insert into waitlist_stock (shop_key, variant, product, armed) select :shop_key, :variant, :product, 1 where ${NEW}
    on conflict (shop_key, variant) do update set product = coalesce(waitlist_stock.product, excluded.product),
      armed = case when waitlist_stock.armed is null and waitlist_stock.total is null then 1 else waitlist_stock.armed end
    where waitlist_stock.product is null or (waitlist_stock.armed is null and waitlist_stock.total is null)`,

  waitlist_signup_settings: 'select data from waitlist_settings where shop_key = :shop_key',
  waitlist_signup_product: 'select data from waitlist_products where shop_key = :shop_key and product = :product',
  waitlist_signup_of: `
    select id, state, reason, consent, joined_at, told_at, alerted_at, bought_at from waitlist_signups
    where shop_key = :shop_key and variant = :variant and market = :market and person = :person`,
  waitlist_signup: `select ${COLUMNS} from waitlist_signups where id = :id and shop_key = :shop_key`,
  waitlist_signup_remove: `
    update waitlist_signups set state = 5, reason = 'removed', told_at = :now, remind_at = null where id = :id and shop_key = :shop_key and state <> 5`,

  // The next one from a place on, newest first: what a filter asks for may lie far apart.
  waitlist_signup_before: 'select max(signup_key) as signup_key from waitlist_signups where shop_key = :shop_key and signup_key < :before_key',
  waitlist_signup_of_variant_before: 'select max(signup_key) as signup_key from waitlist_signups where shop_key = :shop_key and variant = :variant and signup_key < :before_key',
  waitlist_list_signups: `
    select ${COLUMNS} from waitlist_signups
    where shop_key = :shop_key and signup_key < :before_key and signup_key >= :floor_key
      and (:variant is null or variant = :variant) and (:product is null or product = :product) and (:state is null or state = :state)
    order by signup_key desc limit :limit`,
  waitlist_list_signups_of: `
    select ${COLUMNS} from waitlist_signups
    where shop_key = :shop_key and person = :person and signup_key < :before_key
      and (:variant is null or variant = :variant) and (:product is null or product = :product) and (:state is null or state = :state)
    order by signup_key desc limit :limit`,
  waitlist_variants: `
    select k.variant, k.product, k.total, k.changed_at, k.armed,
      (select count(*) from waitlist_signups s where s.shop_key = k.shop_key and s.variant = k.variant and s.state = 1) as signups,
      (select w.id from waitlist_waves w where w.shop_key = k.shop_key and w.variant = k.variant and w.settled = 0 and w.state = 1 order by w.wave_key desc limit 1) as wave
    from waitlist_stock k where k.shop_key = :shop_key and k.variant > :after_variant order by k.variant limit :limit`,
  waitlist_waiting_variants: `
    select k.variant, k.product from waitlist_stock k where k.shop_key = :shop_key and k.variant > :after_variant
      and exists (select 1 from waitlist_signups s where s.shop_key = k.shop_key and s.variant = k.variant and s.state = 1)
    order by k.variant limit :limit`,

  waitlist_token: 'select token, previous, rotated_at from waitlist_tokens where shop_key = :shop_key',
  waitlist_token_put: `
    insert into waitlist_tokens (shop_key, token, previous, rotated_at) values (:shop_key, :token, null, :now)
    on conflict (shop_key) do update set previous = waitlist_tokens.token, token = excluded.token, rotated_at = excluded.rotated_at`,

  // What is refused for the hour takes nothing of the day.
  waitlist_try: `
    insert into waitlist_tries (shop_key, began_at, span, who, tries) select :shop_key, :began_at, :span, :who, 1
    where :span = 'hour' or exists (select 1 from waitlist_tries h
      where h.shop_key = :shop_key and h.began_at = :hour_at and h.span = 'hour' and h.who = :who and h.tries <= cast(:hour_most as bigint))
    on conflict (shop_key, began_at, span, who) do update set tries = waitlist_tries.tries + 1 returning tries`,
  waitlist_try_forget: 'delete from waitlist_tries where shop_key = :shop_key and began_at < :before',

  waitlist_redact_person: redact('person = :person'),
  waitlist_redact_email: redact('email = :digest'),
  waitlist_redact_customer: redact('customer = :customer'),
  waitlist_redact_tries: 'delete from waitlist_tries where shop_key = :shop_key and who = :who',
  waitlist_export_person: exported('person = :person'),
  waitlist_export_email: exported('email = :digest'),
  waitlist_export_customer: exported('customer = :customer'),
  ...Object.fromEntries(Object.entries({ signups: 'signup_key', levels: 'variant', stock: 'variant', products: 'product', waves: 'wave_key', tries: 'began_at' })
    .map(([table, column]) => [`waitlist_forget_${table}`, `
    delete from waitlist_${table} where shop_key = :shop_key and ${column} in (select ${column} from waitlist_${table} where shop_key = :shop_key limit :limit)`])),
  waitlist_forget_settings: 'delete from waitlist_settings where shop_key = :shop_key',
  waitlist_forget_tokens: 'delete from waitlist_tokens where shop_key = :shop_key'
})

function redact (who: string): string {
  return `delete from waitlist_signups where signup_key in (select signup_key from waitlist_signups where shop_key = :shop_key and ${who} limit :limit)`
}

function exported (who: string): string {
  return `select ${COLUMNS} from waitlist_signups where shop_key = :shop_key and ${who} and signup_key > :after_key order by signup_key limit :limit`
}
