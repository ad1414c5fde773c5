/**
 * Why a regular expression cannot be used, or null. One that can take exponential time is refused: a
 * repeated group whose inside may match in several ways, as `(a+)*` or `(a|ab)*`, or a back reference.
 */
export function patternFault (pattern: string): string | null {
  return syntaxFault(pattern) ?? (isRisky(pattern) ? 'it repeats a group that can match in several ways, which may take for ever' : null)
}

function syntaxFault (pattern: string): string | null {
  try {
    RegExp(pattern, 'u')
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

// An escape, a class, an opening, a closing with what repeats it, a repetition, an alternative.
const PARTS = /\\.|\[(?:\\.|[^\]\\])*\]|\((?:\?<?[=!]|\?:|\?<[^>]*>)?|\)(?<repeat>[*+]|\{\d+(?:,\d*)?\}|\?)?|[*+?]|\{\d+(?:,\d*)?\}|\|/gu

function isRisky (pattern: string): boolean {
  const varies = [false] // per open group: may its inside match in several ways?
  for (const { 0: part, groups } of pattern.matchAll(PARTS)) {
    if (/^\\[1-9k]/.test(part)) return true
    if (part.startsWith('\\') || part.startsWith('[')) continue
    if (part.startsWith('(')) varies.push(false)
    else if (!part.startsWith(')')) varies[varies.length - 1] = true
    else if (closes(varies, groups?.['repeat'])) return true
  }
  return false
}

function closes (varies: boolean[], repeat: string | undefined): boolean {
  const inside = varies.pop() ?? false
  if (inside && repeat !== undefined && repeat !== '?') return true
  if (inside || repeat !== undefined) varies[varies.length - 1] = true
  return false
}
