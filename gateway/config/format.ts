import type { Fault } from '../contract.ts'

/** For a person at a terminal: `file:line:column: what. remedy`, the line of the file, a caret under the column. */
export function formatFaults (faults: readonly Fault[]): string {
  return faults.toSorted(byPlace).map(formatFault).join('\n')
}

/** For machines: the same faults in the same order, without the excerpt; names are snake_case already. */
export function faultsAsJson (faults: readonly Fault[]): Array<Record<string, unknown>> {
  return faults.toSorted(byPlace).map(({ code, place, path, message, fix }) => ({ code, file: place.file, line: place.line, column: place.column, path, message, fix }))
}

/** Orders faults by file, line and column. */
export function byPlace (a: Fault, b: Fault): number {
  return compare(a.place.file, b.place.file) || a.place.line - b.place.line || a.place.column - b.place.column
}

function formatFault ({ place, message, fix, excerpt }: Fault): string {
  const head = `${place.file}:${place.line}:${place.column}: ${sentence(message)} ${fix}`
  return excerpt === undefined ? head : `${head}\n${excerpt}`
}

function sentence (message: string): string {
  return /[.?!]$/.test(message) ? message : `${message}.`
}

function compare (a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
