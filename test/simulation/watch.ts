// What must be true of every row of a delivery, at every moment, whoever writes it: looked at by triggers of the database.

import type { DatabaseSync } from 'node:sqlite'

/** Of a row as it is after a write; each with what is said of it where it holds. */
const NEVER: Record<string, string> = {
  'is claimed and due': 'new.owner is not null and new.due_at is not null',
  'is sent by nobody': 'new.state = 2 and new.owner is null',
  'waits, and is never due': 'new.state = 1 and new.owner is null and new.due_at is null',
  'waits, and has ended': 'new.state in (1, 2) and new.finished_at is not null',
  'has ended, and goes on': 'new.state in (3, 5, 6) and (new.owner is not null or new.due_at is not null or new.finished_at is null)',
  'is in no state': 'new.state not in (1, 2, 3, 4, 5, 6)'
}

/** Of a row before and after. A person may let what was refused or expired wait again. */
const NEVER_BECOMES: Record<string, string> = {
  'lost an attempt': 'new.attempts < old.attempts',
  'lost a call': 'new.call_no < old.call_no',
  'was delivered and is not': 'old.state = 3 and new.state <> 3',
  'was changed by an instance that had not claimed it, nor taken it over': `
    old.owner is not null and (new.owner is not old.owner or new.state <> old.state) and new.reason is not 'redacted'
    and (select owner from actor) <> old.owner
    and not exists (select 1 from slots where owner = (select owner from actor)
      and slot = coalesce(case when old.state = 1 then (select account_key from queues where queue_key = old.queue_key) else old.account_key end, 0) % 256)`,
  'was claimed by an instance without its slot': `
    new.owner is not null and old.owner is null and not exists (select 1 from slots where owner = new.owner and epoch = new.epoch
      and slot = (select account_key from queues where queue_key = new.queue_key) % 256)`,
  'went from one end to another': 'old.state in (5, 6) and new.state not in (1, old.state)',
  'was sent without a claim': 'new.state = 2 and old.state not in (1, 2, 4)'
}

const seen = (what: string): string => `insert into wrong (what) values (new.id || ' ${what}: state ' || new.state || ' owner ' || coalesce(new.owner, '-') || ' by ' || (select owner from actor))`

const watching = (name: string, when: string, conditions: Record<string, string>): string =>
  Object.entries(conditions).map(([what, condition], i) => `create trigger ${name}_${i} after ${when} on deliveries when ${condition} begin ${seen(what)}; end;`).join('\n')

const WATCH = `
  create table actor (owner integer);
  insert into actor values (0);
  create table wrong (what text);
  create table born (id text primary key);
  create table purged (id text primary key, state integer, finished_at integer);
  create trigger born_now after insert on deliveries begin insert into born values (new.id); end;
  create trigger purged_now after delete on deliveries begin insert into purged values (old.id, old.state, old.finished_at); end;
  ${watching('row', 'update', NEVER)}
  ${watching('new_row', 'insert', NEVER)}
  ${watching('change', 'update', NEVER_BECOMES)}
`

/** Begins to look. What it gives tells what was seen since it was last asked. */
export function watch (db: DatabaseSync): () => string[] {
  db.exec(WATCH)
  const seen = db.prepare('select what from wrong')
  return () => {
    const rows = seen.all()
    if (rows.length > 0) db.exec('delete from wrong')
    return rows.map(({ what }) => String(what))
  }
}

/** Looked at now and then: nothing vanishes, and what nobody works on has somebody who will. */
export function vanished (db: { query (sql: string): Array<Record<string, unknown>> }): string[] {
  const ids = (sql: string, what: string): string[] => db.query(sql).map(({ id }) => `${String(id)} ${what}`)
  return [
    ...ids('select id from born where id not in (select id from deliveries) and id not in (select id from purged)', 'vanished'),
    ...ids('select id from purged where state not in (3, 4, 5, 6) or finished_at is null', 'was purged before it had ended'),
    ...ids('select id from events where not exists (select 1 from deliveries where event_key = events.event_key)', 'has no delivery'),
    ...ids(`select id from deliveries d where state = 4 and owner is null and due_at is null and finished_at is null
      and not exists (select 1 from jobs where kind = 'reconcile' and delivery_key = d.delivery_key)`, 'is unknown, and nobody asks')
  ]
}
