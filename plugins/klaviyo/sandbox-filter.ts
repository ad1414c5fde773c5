// The filter language of lists: equals(name,"A b"),greater-or-equal(created,2026-01-01T00:00:00Z), a comma for "and".

/** What a field may be asked for, and of what kind its value is. */
export type Filters = Record<string, { kind: 'text' | 'texts' | 'flag' | 'time', operators: readonly string[] }>

interface Condition { operator: string, field: string, value: string | boolean | number | string[] }

type Values = Record<string, string | boolean | number | null>

export const TIMES = ['equals', 'greater-or-equal', 'greater-than', 'less-or-equal', 'less-than'] as const

const CONDITION = /([a-z-]+)\(([a-z_.]+),("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^"(),[\]\s]+)\)(,|$)/y
const TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?$/

/** A test for an item's values by field; or a text saying what is wrong with the filter. */
export function compileFilter (text: string, filters: Filters): ((values: Values) => boolean) | string {
  const conditions: Condition[] = []
  for (let at = 0; at < text.length;) {
    CONDITION.lastIndex = at
    const match = CONDITION.exec(text)
    if (match === null || (match[4] === ',' && CONDITION.lastIndex === text.length)) return `The filter cannot be read from character ${at} on.`
    const condition = conditionOf(match[1] as string, match[2] as string, match[3] as string, filters)
    if (typeof condition === 'string') return condition
    conditions.push(condition)
    at = CONDITION.lastIndex
  }
  return conditions.length === 0 ? 'The filter is empty.' : values => conditions.every(condition => holds(condition, values[condition.field] ?? null))
}

function conditionOf (operator: string, field: string, raw: string, filters: Filters): Condition | string {
  const filter = Object.hasOwn(filters, field) ? filters[field] : undefined
  if (filter === undefined) return `There is no filter on ${field}.`
  if (!filter.operators.includes(operator)) return `${field} takes ${filter.operators.join(', ')}, not ${operator}.`
  const value = valueOf(raw, filter.kind)
  return value === null ? `${raw.slice(0, 60)} is no value for ${field}.` : { operator, field, value }
}

function valueOf (raw: string, kind: Filters[string]['kind']): Condition['value'] | null {
  if (kind === 'flag') return raw === 'true' ? true : raw === 'false' ? false : null
  if (kind === 'time') return TIME.test(raw) && !Number.isNaN(Date.parse(raw)) ? Date.parse(raw) : null
  try {
    const value = JSON.parse(raw) as unknown
    if (kind === 'text') return typeof value === 'string' ? value : null
    return Array.isArray(value) && value.every(item => typeof item === 'string') ? value : null
  } catch {
    return null
  }
}

/** Letters' case does not count: Klaviyo does not say whether it does, so that whoever relies on it is found out. */
function holds ({ operator, value }: Condition, given: Values[string]): boolean {
  if (given === null) return false
  if (Array.isArray(value)) return value.includes(String(given))
  if (typeof value === 'string') return compared(operator, String(given).toLowerCase(), value.toLowerCase())
  return compared(operator, given, value)
}

function compared (operator: string, given: string | boolean | number, value: string | boolean | number): boolean {
  switch (operator) {
    case 'contains': return String(given).includes(String(value))
    case 'starts-with': return String(given).startsWith(String(value))
    case 'ends-with': return String(given).endsWith(String(value))
    case 'greater-or-equal': return given >= value
    case 'greater-than': return given > value
    case 'less-or-equal': return given <= value
    case 'less-than': return given < value
    default: return given === value
  }
}
