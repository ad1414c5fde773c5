// The few words in which the databases differ, so that most statements have one text for all of them.

/** What JSON lists and parameters hold, as PostgreSQL calls it. */
export type SqlType = 'bigint' | 'text' | 'bytea'

export interface Dialect {
  /** The smaller of two values. */
  least (a: string, b: string): string
  /** Equality by which null equals null. */
  same (a: string, b: string): string
  differs (a: string, b: string): string
  /** A condition as 1 or 0. */
  flag (condition: string): string
  /** A JSON list in a parameter, for `in`. */
  listed (param: string, type: SqlType): string
  /** The same as a table with one column, `value`. */
  each (param: string, type: SqlType): string
  /** A JSON object with the members of another one put over its own. */
  merged (object: string, other: string): string
  /** Epoch milliseconds, for what instances must agree on. */
  now: string
  /** Rows that another transaction works on are passed over. */
  skipLocked: string
}

export const SQLITE: Dialect = {
  least: (a, b) => `min(${a}, ${b})`,
  same: (a, b) => `${a} is ${b}`,
  differs: (a, b) => `${a} is not ${b}`,
  flag: condition => `(${condition})`,
  listed: param => `(select value from json_each(:${param}))`,
  each: param => `json_each(:${param})`,
  merged: (object, other) => `json_patch(${object}, ${other})`,
  now: ':now',
  skipLocked: ''
}

export const POSTGRES: Dialect = {
  least: (a, b) => `least(${a}, ${b})`,
  same: (a, b) => `${a} is not distinct from ${b}`,
  differs: (a, b) => `${a} is distinct from ${b}`,
  flag: condition => `(${condition})::int`,
  listed: (param, type) => `(select value::${type} from json_array_elements_text(:${param}::json))`,
  each: (param, type) => `(select value::${type} from json_array_elements_text(:${param}::json)) as each`,
  merged: (object, other) => `(${object}::jsonb || ${other}::jsonb)::text`,
  // The database's own: instances have clocks of their own.
  now: '(extract(epoch from clock_timestamp()) * 1000)::bigint',
  skipLocked: 'for update skip locked'
}
