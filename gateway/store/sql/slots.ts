// Which instance works on which accounts: an account belongs to slot `account_key % 256`, a slot to one instance at a time.
// Times are the database's own, where it has a clock.

import type { Dialect } from '../dialect.ts'

/** The slot of an account; what has no account yet belongs to slot 0. */
export const slotOf = (accountKey: string): string => `(coalesce(${accountKey}, 0) % 256)`

export const slots = (d: Dialect) => ({
  // It has a name, and counts as one that could take slots when it is renewed for the first time.
  join_instances: `insert into instances (expires_at) values (${d.now}) returning owner`,
  // Also after it was taken for dead and its row is gone.
  renew_instance: `
    insert into instances (owner, expires_at) values (:owner, ${d.now} + :lease_ms)
    on conflict (owner) do update set expires_at = excluded.expires_at`,
  leave_instances: 'delete from instances where owner = :owner',
  forget_instances: `delete from instances where expires_at < ${d.now} - :lease_ms * 10`,
  live_instances: `select count(*) as live, ${d.now} as now from instances where expires_at > ${d.now}`,

  // A lease that ran out is as good as new while nobody has taken the slot.
  renew_slots: `update slots set expires_at = ${d.now} + :lease_ms where owner = :owner returning slot, epoch, expires_at`,
  take_slots: `
    update slots set owner = :owner, epoch = epoch + 1, expires_at = ${d.now} + :lease_ms
    where slot in (select slot from slots where expires_at <= ${d.now} and owner <> :owner order by random() limit :limit ${d.skipLocked})
      and expires_at <= ${d.now} and owner <> :owner
    returning slot, epoch, expires_at`,
  // One that is carried out late, after the lease was renewed, gives up nothing.
  give_slots: `
    update slots set owner = 0, expires_at = 0
    where owner = :owner and expires_at <= :known_until and slot in ${d.listed('slots', 'bigint')} returning slot`
})
