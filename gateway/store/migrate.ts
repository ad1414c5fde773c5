// Brings a database up to the newest migration. Migrations are numbered files and only ever add.

import { readdirSync, readFileSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { GatewayError } from '../errors.ts'

const FOLDER = new URL('./migrations/', import.meta.url)

export interface Migration { version: number, sql: string }

/** Of the core, or of another folder. */
export function migrations (dialect: 'sqlite' | 'postgres', folder: URL = FOLDER): Migration[] {
  return readdirSync(folder)
    .filter(name => name.endsWith(`.${dialect}.sql`))
    .toSorted()
    .map(name => ({ version: Number(name.slice(0, 4)), sql: readFileSync(new URL(name, folder), 'utf8') }))
}

/** Each migration and its number go in one transaction, so a crash between two leaves a usable file. */
export function migrate (db: DatabaseSync): void {
  const version = () => Number(db.prepare('pragma user_version').get()?.user_version)
  const all = migrations('sqlite')
  const newest = all.at(-1)?.version ?? 0
  if (version() > newest) throw new GatewayError('GW_STORE_NEWER', `The file has tables of version ${version()}, this gateway knows ${newest}.`)
  for (const migration of all) {
    if (migration.version <= version()) continue
    db.exec(`begin immediate; ${migration.sql}; pragma user_version = ${migration.version}; commit`)
  }
}
