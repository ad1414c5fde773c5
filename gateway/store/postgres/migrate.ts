// Brings the database up to the newest migration, one instance at a time, and looks whether it keeps what it commits.

import type { Client } from 'pg'
import type { StoreExtension } from '../../contract.ts'
import { GatewayError } from '../../errors.ts'
import { newer } from '../extend.ts'
import { migrations } from '../migrate.ts'

/** Any number will do, as long as all instances use the same. */
const LOCK = 7_326_114

/** Each migration and its number go in one transaction. */
export function migrate (client: Client): Promise<void> {
  return alone(client, async () => {
    await client.query('create table if not exists schema_version (version bigint primary key, applied_at timestamptz not null default now())')
    const { rows } = await client.query<{ version: number }>('select coalesce(max(version), 0)::int as version from schema_version')
    const version = rows[0]?.version ?? 0
    const all = migrations('postgres')
    const newest = all.at(-1)?.version ?? 0
    if (version > newest) throw new GatewayError('GW_STORE_NEWER', `The database has tables of version ${version}, this gateway knows ${newest}.`)
    for (const migration of all) {
      if (migration.version <= version) continue
      await client.query(`begin; ${migration.sql}; insert into schema_version (version) values (${migration.version}); commit`)
    }
  })
}

/** The same for the tables of a source. */
export function migrateExtension (client: Client, extension: StoreExtension): Promise<void> {
  const { prefix } = extension
  return alone(client, async () => {
    const { rows } = await client.query<{ version: number }>('select version::int as version from extensions where prefix = $1', [prefix])
    for (const { version, sql } of newer(extension, 'postgres', rows[0]?.version ?? 0)) {
      await client.query(`begin; ${sql}; insert into extensions (prefix, version) values ('${prefix}', ${version}) on conflict (prefix) do update set version = excluded.version; commit`)
    }
  })
}

async function alone (client: Client, work: () => Promise<void>): Promise<void> {
  await client.query('select pg_advisory_lock($1)', [LOCK])
  try {
    await work()
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  } finally {
    await client.query('select pg_advisory_unlock($1)', [LOCK]).catch(() => {}) // it ends with the connection
  }
}

const OLDEST = 15

/** Throws GW_DATABASE_UNUSABLE for a server that is too old. */
export async function checkVersion (client: Pick<Client, 'query'>): Promise<void> {
  const { rows } = await client.query<{ version: string }>('select current_setting(\'server_version\') as version')
  const version = rows[0]?.version ?? ''
  if (Number.parseInt(version, 10) >= OLDEST) return
  throw new GatewayError('GW_DATABASE_UNUSABLE', `The database runs on PostgreSQL ${version}; ${OLDEST} or later is needed.`)
}

const DURABLE = ['fsync', 'synchronous_commit', 'full_page_writes']

/** Throws GW_STORE_UNSAFE where a commit may be lost with the power, unless that is allowed. */
export async function checkDurable (client: Client, allowDataLoss: boolean): Promise<void> {
  const { rows } = await client.query<{ name: string, setting: string }>('select name, setting from pg_settings where name = any($1)', [DURABLE])
  const unsafe = rows.filter(({ setting }) => setting === 'off').map(({ name }) => name)
  if (unsafe.length === 0 || allowDataLoss) return
  throw new GatewayError('GW_STORE_UNSAFE', `The database runs with ${unsafe.map(name => `${name} = off`).join(', ')}: what was accepted may be lost with the power.`)
}
