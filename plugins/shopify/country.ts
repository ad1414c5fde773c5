// Which codes are countries: as the schemas of events have it.

const NAMES = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' })
/** Codes with a name that are none: groupings, reserved and test codes, and islands with a post code of their own. */
const NONE = new Set(['AC', 'CP', 'CQ', 'DG', 'EA', 'EU', 'EZ', 'IC', 'QO', 'TA', 'UN', 'XA', 'XB', 'ZZ'])
const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']

/** ISO 3166-1 alpha-2 in capitals, and XK for Kosovo. */
export const COUNTRIES: ReadonlySet<string> = new Set(LETTERS.flatMap(first => LETTERS.map(second => first + second)).filter(isOne))

export function isCountry (value: unknown): value is string { return typeof value === 'string' && COUNTRIES.has(value) }

// A withdrawn code still has a name: its successor's.
function isOne (code: string): boolean {
  return !NONE.has(code) && NAMES.of(code) !== undefined && Intl.getCanonicalLocales(`und-${code}`)[0] === `und-${code}`
}
