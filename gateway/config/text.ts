import type { Fault, Place } from '../contract.ts'
import type { Code } from '../errors.ts'

/** Columns of a line shown in an excerpt; longer lines are shown around the fault. */
const SHOWN = 160

/** The text of a file that can turn an offset into a place and an excerpt. */
export class SourceText {
  /** Path as people read it: relative to the working directory where it lies below it. */
  readonly shown: string
  readonly text: string
  readonly #starts: number[] = [0]
  readonly #hidden: Array<{ from: number, to: number }> = []

  constructor (shown: string, text: string) {
    this.shown = shown
    this.text = text
    for (let i = text.indexOf('\n'); i !== -1; i = text.indexOf('\n', i + 1)) this.#starts.push(i + 1)
  }

  /** From now on excerpts show `***` instead of this part: something that may be a secret was written there. */
  hide (from: number, to: number): void {
    this.#hidden.push({ from, to })
  }

  place (offset: number): Place {
    const at = Math.max(0, Math.min(offset, this.text.length))
    const line = this.#lineOf(at)
    return { file: this.shown, line: line + 1, column: at - this.#starts[line]! + 1 }
  }

  /** The line an offset is on, as written. */
  lineAt (offset: number): string {
    const line = this.#lineOf(Math.min(offset, this.text.length))
    return this.text.slice(this.#starts[line]!, this.#endOf(line))
  }

  fault (code: Code, offset: number, path: string, message: string, fix: string): Fault {
    const place = this.place(offset)
    return { code, place, path, message, fix, excerpt: this.#excerpt(place) }
  }

  /** The same fault, showing nothing that was hidden since it was made. */
  shownAgain (fault: Fault): Fault {
    return { ...fault, excerpt: this.#excerpt(fault.place) }
  }

  #excerpt (place: Place): string {
    const start = this.#starts[place.line - 1]!
    const { line, column } = this.#masked(start, this.#endOf(place.line - 1), place.column - 1)
    const from = column > SHOWN - 20 ? column - SHOWN / 2 : 0
    const shown = printable(line.slice(from, from + SHOWN))
    const gutter = String(place.line).padStart(5)
    const caret = shown.slice(0, column - from).replaceAll(/[^\t]/g, ' ').padEnd(column - from) + '^'
    return `${gutter} | ${shown}\n${' '.repeat(gutter.length)} | ${caret}`
  }

  // A masked part is shorter or longer than it was, so the column moves with it.
  #masked (start: number, end: number, column: number): { line: string, column: number } {
    let line = ''
    let shift = 0
    let at = start
    for (const part of this.#hidden.filter(part => part.to > start && part.from < end).toSorted((a, b) => a.from - b.from)) {
      const from = Math.max(part.from, at)
      const to = Math.min(part.to, end)
      if (to <= from) continue
      line += this.text.slice(at, from) + '***'
      if (to - start <= column) shift += 3 - (to - from)
      else if (from - start < column) shift += from - start - column
      at = to
    }
    return { line: line + this.text.slice(at, end), column: column + shift }
  }

  #endOf (line: number): number {
    const next = this.#starts[line + 1]
    const end = next === undefined ? this.text.length : next - 1
    return this.text[end - 1] === '\r' && end > this.#starts[line]! ? end - 1 : end
  }

  #lineOf (offset: number): number {
    let low = 0
    let high = this.#starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.#starts[middle]! <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}

// A file must not be able to move the cursor of the terminal it is shown on.
function printable (text: string): string {
  return text.replaceAll(/(?!\t)[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, '·')
}
