// The real SQLite store with failpoints: between its statements, and around its units of work.

import { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Store } from '../../gateway/contract.ts'
import { openSqlite as open } from '../../gateway/store/sqlite.ts'
import { isWanted, pass } from './pass.ts'
import { pieces } from './pieces.ts'
import { watched } from './store.ts'

export function openSqlite (options: Parameters<typeof open>[0]): Store { return watched(open(options)) }

let withEvent = false
const { exec } = DatabaseSync.prototype
const { all, run } = StatementSync.prototype

DatabaseSync.prototype.exec = function (sql) {
  if (/^begin\b/i.test(sql)) withEvent = false
  if (/^commit\b/i.test(sql) && withEvent) pass('before_commit')
  if (sql.includes('pragma user_version =') && isWanted('in_migration')) {
    for (const piece of pieces(sql)) {
      exec.call(this, piece)
      pass('in_migration')
    }
  } else exec.call(this, process.env['NEVER_SYNC'] === undefined ? sql : sql.replace(/synchronous = \w+/, 'synchronous = off'))
}

StatementSync.prototype.run = function (this: StatementSync, ...values: unknown[]) {
  about(this.sourceSQL)
  return Reflect.apply(run, this, values) as ReturnType<typeof run>
} as typeof run

StatementSync.prototype.all = function (this: StatementSync, ...values: unknown[]) {
  about(this.sourceSQL)
  return Reflect.apply(all, this, values) as ReturnType<typeof all>
} as typeof all

function about (sql: string): void {
  if (sql.includes('insert into events')) withEvent = true
  if (sql.includes('insert into deliveries')) pass('in_group')
}
