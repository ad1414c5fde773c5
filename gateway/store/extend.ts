// Tables and statements that sources bring along: named by their source, so that none meets the core's or another one's.

import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import type { Dialect, StoreExtension } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { migrations, type Migration } from './migrate.ts'

/** Its statements by name. Throws GW_SOURCE_CODE for one that does not begin with the prefix. */
export function statementsOf ({ prefix, statements }: StoreExtension, dialect: Dialect): Array<[name: string, sql: string]> {
  const named = Object.entries(statements(dialect))
  const foreign = named.find(([name]) => !name.startsWith(prefix))
  if (foreign) throw new GatewayError('GW_SOURCE_CODE', `the statement "${foreign[0]}" must begin with "${prefix}"`)
  return named
}

/** Those that are newer than what was applied. Throws GW_STORE_NEWER. */
export function newer ({ prefix, migrations: folder }: StoreExtension, dialect: 'sqlite' | 'postgres', version: number): Migration[] {
  const all = folder === null || !existsSync(folder) ? [] : migrations(dialect, pathToFileURL(`${folder}/`))
  const newest = all.at(-1)?.version ?? 0
  if (version > newest) throw new GatewayError('GW_STORE_NEWER', `The tables of "${prefix}" are of version ${version}, its folder knows ${newest}.`)
  return all.filter(migration => migration.version > version)
}
