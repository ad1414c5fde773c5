// JSON pointers (RFC 6901) into plain data.

/** One more step of a pointer, escaped. */
export function step (key: string): string {
  return '/' + key.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** The keys a pointer goes through. */
export function keysOf (pointer: string): string[] {
  return pointer.split('/').slice(1).map(key => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** The value at a pointer, own properties only; undefined where there is none. */
export function valueAt (value: unknown, pointer: string): unknown {
  let at = value
  for (const key of keysOf(pointer)) {
    if (at === null || typeof at !== 'object' || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<string, unknown>)[key]
  }
  return at
}
