// All SQL of the gateway, by name, and how a named statement becomes a positional one.

import { type Dialect, SQLITE } from './dialect.ts'
import { SEND_AGAIN } from './sql/again.ts'
import { audit } from './sql/audit.ts'
import { carrier } from './sql/carrier.ts'
import { clock } from './sql/clock.ts'
import { delivery } from './sql/delivery.ts'
import { inbox } from './sql/inbox.ts'
import { intake } from './sql/intake.ts'
import { jobs } from './sql/jobs.ts'
import { OAUTH } from './sql/oauth.ts'
import { OPT_OUTS } from './sql/opt-outs.ts'
import { privacy } from './sql/privacy.ts'
import { SETUP } from './sql/setup.ts'
import { shops } from './sql/shops.ts'
import { slots } from './sql/slots.ts'
import { sources } from './sql/sources.ts'
import { subscribers } from './sql/subscribers.ts'
import { USAGE } from './sql/usage.ts'
import { webhooks } from './sql/webhooks.ts'

/** What every database runs, in one's own words. */
export function statements (dialect: Dialect): Record<string, string> {
  return {
    ...intake(dialect),
    ...delivery(dialect),
    ...shops(dialect),
    ...jobs(dialect),
    ...inbox(dialect),
    ...slots(dialect),
    ...audit(dialect),
    ...clock(dialect),
    ...subscribers(dialect),
    ...webhooks(dialect),
    ...sources(dialect),
    ...carrier(dialect),
    ...privacy(dialect),
    ...SEND_AGAIN,
    ...USAGE,
    ...SETUP,
    ...OAUTH,
    ...OPT_OUTS
  }
}

/** The embedded database's. */
export const STATEMENTS: Readonly<Record<string, string>> = statements(SQLITE)

/** SQL with numbered places, and the names of the parameters in that order. */
export interface Statement { sql: string, names: string[] }

/** `:name` becomes `?1`, `?2`, …; the same name keeps its number. `place` says how a numbered place is written. */
export function positional (sql: string, place: (number: number, name: string) => string = number => `?${number}`): Statement {
  const names: string[] = []
  const numbered = sql.replace(/(?<!:):([a-z_]+)/g, (_, name: string) => {
    let at = names.indexOf(name)
    if (at < 0) at = names.push(name) - 1
    return place(at + 1, name)
  })
  return { sql: numbered, names }
}
