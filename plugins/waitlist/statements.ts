// All SQL of the waiting list but that of its sign-ups.

import type { Dialect } from '../../gateway/define.ts'
import { laterStatements } from './statements-later.ts'
import { stockStatements } from './statements-stock.ts'
import { waveStatements } from './statements-waves.ts'

export function statements (dialect: Dialect): Record<string, string> {
  return { ...stockStatements(dialect), ...waveStatements(dialect), ...laterStatements(dialect) }
}
