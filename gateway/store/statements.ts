// All SQL of the gateway, by name, and how a named statement becomes a positional one.

import { DELIVERY } from './sql/delivery.ts'
import { INBOX } from './sql/inbox.ts'
import { INTAKE } from './sql/intake.ts'
import { JOBS } from './sql/jobs.ts'
import { SHOPS } from './sql/shops.ts'

export const STATEMENTS: Readonly<Record<string, string>> = { ...INTAKE, ...DELIVERY, ...SHOPS, ...JOBS, ...INBOX }

/** SQL with numbered places, and the names of the parameters in that order. */
export interface Statement { sql: string, names: string[] }

/** `:name` becomes `?1`, `?2`, …; the same name keeps its number. */
export function positional (sql: string): Statement {
  const names: string[] = []
  const numbered = sql.replace(/:([a-z_]+)/g, (_, name: string) => {
    let at = names.indexOf(name)
    if (at < 0) at = names.push(name) - 1
    return `?${at + 1}`
  })
  return { sql: numbered, names }
}
