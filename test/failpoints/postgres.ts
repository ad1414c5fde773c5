// The real PostgreSQL store with failpoints: between the statements it sends, and around its units of work.

import { Client } from 'pg'
import { openPostgres as open, type PostgresStore } from '../../gateway/store/postgres/store.ts'
import { isWanted, pass } from './pass.ts'
import { pieces } from './pieces.ts'
import { watched } from './store.ts'

export async function openPostgres (options: Parameters<typeof open>[0]): Promise<PostgresStore> { return watched(await open(options)) }

/** Connections in the middle of a transaction with an event. */
const withEvent = new WeakSet<Client>()
const ask = Client.prototype.query as (this: Client, ...given: unknown[]) => unknown

Client.prototype.query = function (this: Client, ...given: unknown[]) {
  const sql = textOf(given[0])
  if (sql.includes('insert into schema_version') && isWanted('in_migration')) return inPieces(this, sql)
  if (sql.includes('insert into events')) withEvent.add(this)
  if (sql.includes('insert into deliveries')) pass('in_group')
  if (/^commit\b/i.test(sql) && withEvent.delete(this)) pass('before_commit')
  return Reflect.apply(ask, this, given)
} as typeof Client.prototype.query

function textOf (query: unknown): string {
  return typeof query === 'string' ? query : String((query as { text?: string } | undefined)?.text ?? '')
}

async function inPieces (client: Client, sql: string): Promise<void> {
  for (const piece of pieces(sql)) {
    await Reflect.apply(ask, client, [piece])
    pass('in_migration')
  }
}
