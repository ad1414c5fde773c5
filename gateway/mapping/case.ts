/** The differences of two JSON values, one line each, by JSON pointer; empty where they are equal. Key order does not count. */
export function diff (expected: unknown, actual: unknown, pointer = ''): string[] {
  if (Array.isArray(expected) && Array.isArray(actual)) return lists(expected, actual, pointer)
  if (isObject(expected) && isObject(actual)) return objects(expected, actual, pointer)
  return Object.is(expected, actual) ? [] : [`${pointer || '/'}: expected ${show(expected)}, got ${show(actual)}`]
}

function lists (expected: unknown[], actual: unknown[], pointer: string): string[] {
  const length = Math.max(expected.length, actual.length)
  return Array.from({ length }, (_, i) => member(i < expected.length, i < actual.length, expected[i], actual[i], `${pointer}/${i}`)).flat()
}

function objects (expected: Record<string, unknown>, actual: Record<string, unknown>, pointer: string): string[] {
  const keys = [...new Set([...Object.keys(expected), ...Object.keys(actual)])]
  return keys.flatMap(key => {
    const at = `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
    return member(Object.hasOwn(expected, key), Object.hasOwn(actual, key), expected[key], actual[key], at)
  })
}

function member (wanted: boolean, there: boolean, expected: unknown, actual: unknown, pointer: string): string[] {
  if (!there) return [`${pointer}: expected ${show(expected)}, got nothing`]
  return wanted ? diff(expected, actual, pointer) : [`${pointer}: expected nothing, got ${show(actual)}`]
}

function show (value: unknown): string {
  return JSON.stringify(value) ?? 'nothing'
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
