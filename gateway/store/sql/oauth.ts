// Connections by OAuth: what is known of their tokens, merchants on their way, and grants that are to be ended at the provider.

export const OAUTH = {
  put_grant: 'update connections set oauth = :oauth where shop_key = :shop_key and provider = :provider',
  grant: `
    select c.connection_key, c.id, c.shop_key, s.id as shop, c.provider, c.account_key, c.account_id, c.oauth
    from connections c join shops s on s.shop_key = c.shop_key where c.id = :id`,
  // Who was there first has written another one, and then this does nothing; so does the step after it.
  renew_grant: 'update connections set oauth = :oauth where id = :id and oauth = :oauth_before',
  renew_secret: `
    update secrets set key_id = :key_id, version = :version, sealed = :sealed
    where field = :field and connection_key = (select connection_key from connections where id = :id and oauth = :oauth)`,

  put_flow: `
    insert into oauth_flows (hash, kind, shop_key, provider, step, actor, return_url, created_at)
    values (:hash, 'ticket', :shop_key, :provider, :step, :actor, :return_url, :now)`,
  // For whom a ticket is, for as long as it is good.
  ticket: `
    select shop_key, return_url from oauth_flows
    where hash = :hash and kind = 'ticket' and provider = :provider and used_at is null and created_at > :since and created_at <= :until`,
  // The ticket's end, and the state that follows from it for whoever ended it.
  use_ticket: `
    update oauth_flows set used_at = :now, followed_by = :state_hash
    where hash = :hash and kind = 'ticket' and provider = :provider and used_at is null and created_at > :since and created_at <= :until`,
  put_state: `
    insert into oauth_flows (hash, kind, shop_key, provider, step, actor, return_url, created_at)
    select :state_hash, 'state', shop_key, provider, step, actor, return_url, :now from oauth_flows where hash = :hash and followed_by = :state_hash`,
  use_state: `
    update oauth_flows set used_at = :now
    where hash = :hash and kind = 'state' and provider = :provider and used_at is null and created_at > :since and created_at <= :until
    returning shop_key, step, actor, return_url`,
  forget_flows: 'delete from oauth_flows where created_at <= :before',

  put_revocation: `
    insert into oauth_revocations (id, shop, provider, account_id, key_id, version, sealed, created_at, due_at)
    values (:id, :shop, :provider, :account_id, :key_id, :version, :sealed, :now, :now)`,
  revocations_due: `
    select id, shop, provider, account_id, key_id, version, sealed, tries, created_at from oauth_revocations
    where due_at <= :now order by due_at limit :limit`,
  delay_revocation: 'update oauth_revocations set tries = tries + :paid, due_at = :due_at where id = :id',
  revocations_open: 'select provider, count(*) as grants from oauth_revocations group by provider',
  end_revocation: 'delete from oauth_revocations where id = :id',
  // Tokens that may end with those of an account. Where the provider never said whose some are, a shop has one account.
  grants_beside: `
    select c.oauth, c.shop_key, c.provider, c.account_key from connections c join shops s on s.shop_key = c.shop_key
    where c.provider = :provider and c.oauth is not null
      and (c.account_id = :account_id or (s.id = :shop and (c.account_id = '' or :account_id = '')))`,
  // Merchants who may be about to be connected: whoever has just come back, tokens that are not checked yet, the shop itself on its way.
  merchants_coming: `
    select 1 as coming from oauth_flows
    where provider = :provider and kind = 'state' and created_at > :after
      and (used_at > :since or (used_at is null and shop_key = (select shop_key from shops where id = :shop)))
    union all select 1 from setup_secrets where provider = :provider and field = 'refresh_token'
    limit 1`
} as const
