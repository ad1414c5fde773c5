// Connections by OAuth: what is known of their tokens, merchants on their way, and grants that are to be ended at the provider.

export const OAUTH = {
  put_grant: 'update connections set oauth = :oauth where shop_key = :shop_key and provider = :provider',
  grant: `
    select c.connection_key, c.id, c.shop_key, s.id as shop, c.provider, c.account_key, c.oauth
    from connections c join shops s on s.shop_key = c.shop_key where c.id = :id`,
  // Who was there first has written another one, and then this does nothing; so does the step after it.
  renew_grant: 'update connections set oauth = :oauth where id = :id and oauth = :oauth_before',
  renew_secret: `
    update secrets set key_id = :key_id, version = :version, sealed = :sealed
    where field = :field and connection_key = (select connection_key from connections where id = :id and oauth = :oauth)`,

  put_flow: `
    insert into oauth_flows (hash, kind, shop_key, provider, step, actor, return_url, created_at)
    values (:hash, 'ticket', :shop_key, :provider, :step, :actor, :return_url, :now)`,
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
    insert into oauth_revocations (id, shop, provider, key_id, version, sealed, due_at) values (:id, :shop, :provider, :key_id, :version, :sealed, :now)`,
  revocations_due: 'select id, shop, provider, key_id, version, sealed, tries from oauth_revocations where due_at <= :now order by due_at limit :limit',
  delay_revocation: 'update oauth_revocations set tries = tries + 1, due_at = :due_at where id = :id',
  end_revocation: 'delete from oauth_revocations where id = :id'
} as const
