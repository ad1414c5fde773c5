// The statements as PostgreSQL runs them: each prepared once per connection, with its parameters typed by their names.

import type { Value } from '../../contract.ts'
import { POSTGRES, type SqlType } from '../dialect.ts'
import { positional, statements } from '../statements.ts'
import { OWN, SETS } from './sets.ts'

export interface Compiled {
  name: string
  text: string
  /** Of a statement that runs by itself: its parameters in their order. Of one for many steps: those that make a row of `p`. */
  names: string[]
  /** Null for one that runs by itself. */
  set: { by: string, apart: string | null } | null
}

/** All that does not hold text. */
const NUMBERS = /^(.*_key|.*_at|.*_until|owner|epoch|now|limit|priority|state|status|paid|call_no|active|version|until|since|after|before|floor|held|unknown|failed|slot|lease_ms|apart_ms|at|received|parked|claims_max|expired|record_only|wants|doubt|adding|tries)$/
const BYTES = new Set(['person', 'after_person', 'digest', 'sealed', 'mark'])
/** Keys that are words all the same, in one statement or in all. */
const WORDS = new Set(['unique_key', 'inherit_account before', 'list_shops after', 'put_setup state'])

function typeOf (name: string, statement: string): SqlType {
  if (BYTES.has(name)) return 'bytea'
  return NUMBERS.test(name) && !WORDS.has(name) && !WORDS.has(`${statement} ${name}`) ? 'bigint' : 'text'
}

/** A statement that runs by itself. */
export function one (name: string, sql: string): Compiled {
  const { sql: text, names } = positional(sql, (number, param) => `$${number}::${typeOf(param, name)}`)
  return { name, text, names, set: null }
}

function many (name: string): Compiled {
  const { sql, by = 'i', apart = null } = SETS[name] as typeof SETS[string]
  const names = [...new Set([...sql.matchAll(/\bp\."?([a-z_]+)"?/g)].map(([, field]) => field as string))].filter(field => field !== 'i')
  const row = ['i bigint', ...names.map(field => `"${field}" ${typeOf(field, name)}`)].join(', ')
  return { name, text: `with p as materialized (select * from json_to_recordset($1::json) as p (${row})) ${sql}`, names, set: { by, apart } }
}

const plain = { ...statements(POSTGRES), ...OWN }

export const COMPILED: Readonly<Record<string, Compiled>> = Object.fromEntries(
  [...new Set([...Object.keys(plain), ...Object.keys(SETS)])].map(name => [name, name in SETS ? many(name) : one(name, plain[name] as string)]))

/** A parameter as it is bound. Text of PostgreSQL holds no NUL and no half of a surrogate pair. */
export function bound (value: Value | undefined, statement: string, name: string): string | number | Uint8Array | null {
  if (value === undefined) throw new Error(`statement "${statement}" was given no "${name}"`)
  if (typeof value !== 'string') return value
  return storable(value)
}

/** The same within JSON, where bytes are written in hexadecimal. */
export function boundInJson (value: Value | undefined, statement: string, name: string): string | number | null {
  const given = bound(value, statement, name)
  return given instanceof Uint8Array ? `\\x${Buffer.from(given).toString('hex')}` : given
}

function storable (text: string): string {
  const whole = text.isWellFormed() ? text : text.toWellFormed()
  return whole.includes('\0') ? whole.replaceAll('\0', '\ufffd') : whole
}
