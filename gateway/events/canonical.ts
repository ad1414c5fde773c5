/**
 * One text per JSON value, whatever the order of its keys (RFC 8785 for values that passed `inspect`):
 * two events are the same when their texts are.
 */
export function canonicalJson (value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null'
  const object = value as Record<string, unknown>
  const members: string[] = []
  // RFC 8785 sorts by UTF-16 code units, which is what toSorted() does
  for (const key of Object.keys(object).toSorted()) {
    if (object[key] !== undefined) members.push(`${JSON.stringify(key)}:${canonicalJson(object[key])}`)
  }
  return `{${members.join(',')}}`
}
