// The few words in which the databases differ, so that most statements have one text for all of them.

import type { Dialect } from '../contract.ts'

export type { Dialect, SqlType } from '../contract.ts'

export const SQLITE: Dialect = {
  least: (a, b) => `min(${a}, ${b})`,
  same: (a, b) => `${a} is ${b}`,
  differs: (a, b) => `${a} is not ${b}`,
  flag: condition => `(${condition})`,
  listed: param => `(select value from json_each(:${param}))`,
  each: param => `json_each(:${param})`,
  merged: (object, other) => `json_patch(${object}, ${other})`,
  without: (object, param) => `json_remove(${object}, '$."' || :${param} || '"')`,
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
  without: (object, param) => `(${object}::jsonb - :${param})::text`,
  // The database's own: instances have clocks of their own.
  now: '(extract(epoch from clock_timestamp()) * 1000)::bigint',
  skipLocked: 'for update skip locked'
}
