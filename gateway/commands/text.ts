// Texts for people: tables, durations, and values from outside that must not steer the terminal.

/** Without control characters, which could move the cursor or hide text; `lines` keeps line ends. */
export function printable (text: string, lines = false): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, found => lines && found === '\n' ? found : '\ufffd')
}

/** What is shown for a value in a cell; absent ones as a dash. */
export function cell (value: unknown): string {
  if (value === null || value === undefined || value === '') return '-'
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(cell).join(', ')
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value))
}

/** Rows under their heads, columns as wide as their widest cell; `paint` colours the heads. */
export function table (heads: readonly string[], rows: ReadonlyArray<readonly unknown[]>, paint = (text: string): string => text): string {
  const cells = [heads, ...rows.map(row => row.map(cell))]
  const widths = heads.map((_, at) => Math.max(...cells.map(row => width(row[at] ?? ''))))
  const [head = '', ...lines] = cells.map(row => row.map((text, at) => text + ' '.repeat((widths[at] as number) - width(text))).join('  ').trimEnd())
  return [paint(head), ...lines].join('\n')
}

/** `name  value` lines; those without a value are left out. */
export function pairs (entries: ReadonlyArray<readonly [string, unknown]>): string {
  const there = entries.filter(([, value]) => value !== null && value !== undefined && value !== '')
  const wide = Math.max(0, ...there.map(([name]) => name.length))
  return there.map(([name, value]) => `${name.padEnd(wide)}  ${cell(value)}`).join('\n')
}

export function indent (text: string, by = '  '): string {
  return text.split('\n').map(line => line === '' ? line : by + line).join('\n')
}

/** A body as it reads best: JSON on several lines, anything else as it is. */
export function readable (body: unknown): string {
  const value = typeof body === 'string' ? parsed(body) : body
  return printable(typeof value === 'string' ? value : JSON.stringify(value, null, 2) ?? '', true)
}

/** The JSON that a text holds, or the text itself. */
export function parsed (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const UNITS: ReadonlyArray<readonly [string, number]> = [['d', 86_400_000], ['h', 3_600_000], ['m', 60_000], ['s', 1000], ['ms', 1]]

/** `90 s`, `24 h`: in the largest unit that says it in whole numbers. */
export function duration (ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => ms >= size && ms % size === 0) ?? ['ms', 1]
  return `${ms / size} ${unit}`
}

function width (text: string): number {
  return Array.from(text).length
}
