/** JSON pointer (RFC 6901) of a path of keys and indexes; `''` for none. */
export function pointer (...segments: Array<string | number>): string {
  return segments.map(segment => '/' + escape(String(segment))).join('')
}

/** One step below a pointer. */
export function below (parent: string, segment: string | number): string {
  return parent + pointer(segment)
}

/** The pointer of what holds this value; null for the whole. */
export function parentOf (child: string): string | null {
  if (child === '') return null
  return child.slice(0, child.lastIndexOf('/'))
}

function escape (segment: string): string {
  return segment.replaceAll('~', '~0').replaceAll('/', '~1')
}
