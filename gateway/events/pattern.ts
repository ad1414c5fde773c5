/** Repeats beyond this many count as endless: their combinations grow as fast. */
const MANY = 20

type CharSet = Set<number>

interface Item {
  set: CharSet
  min: number
  max: number
  /** Present where the item is a group. */
  branches: Item[][] | null
}

/**
 * Why a regular expression of a schema must not be used, or null. Backtracking takes exponential time on shapes
 * like (a+)+, (a|a)* and a*a*, so what is allowed is narrow: no look-around, no back references, and nothing
 * repeated that can be read in two ways.
 */
export function patternFault (pattern: string): string | null {
  if (pattern.length > 500) return 'is longer than 500 characters'
  try {
    void new RegExp(pattern, 'u')
  } catch {
    return 'is no regular expression'
  }
  try {
    return branchesFault(new Reader(pattern).branches())
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
}

class Refusal extends Error {}

class Reader {
  readonly #text: string
  #at = 0

  constructor (text: string) {
    this.#text = text
  }

  branches (): Item[][] {
    const found: Item[][] = [[]]
    while (this.#at < this.#text.length && this.#text[this.#at] !== ')') {
      if (this.#text[this.#at] === '|') {
        this.#at++
        found.push([])
        continue
      }
      const item = this.#item()
      if (item !== null) found.at(-1)!.push(item)
    }
    return found
  }

  // Null for ^, $, \b and \B, which take no character.
  #item (): Item | null {
    if (this.#take(/\^|\$|\\[bB]/y) !== null) return null
    const group = this.#take(/\((?:\?:)?/y)
    if (group === null) return this.#quantified(this.#atom(), null)
    if (this.#text[this.#at] === '?') throw new Refusal('uses look-around or a named group')
    const branches = this.branches()
    this.#at++
    return this.#quantified(union(branches.flat().map(item => item.set)), branches)
  }

  #atom (): CharSet {
    if (this.#take(/\\(?:[1-9]|k<)/y) !== null) throw new Refusal('uses a back reference')
    const source = this.#take(/\[(?:\\.|[^\]\\])*\]|\\[pP]\{[^}]*\}|\\u\{[^}]*\}|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\c[A-Za-z]|\\.|[^]/yu)!
    return charactersOf(source)
  }

  #quantified (set: CharSet, branches: Item[][] | null): Item {
    const text = this.#take(/(?:[*+?]|\{\d+(?:,\d*)?\})\??/y)
    if (text === null) return { set, min: 1, max: 1, branches }
    const [, from, comma, to] = /^\{(\d+)(,?)(\d*)\}/.exec(text) ?? []
    if (from !== undefined) return { set, min: Number(from), max: comma === '' ? Number(from) : to === '' ? Infinity : Number(to), branches }
    return { set, min: text.startsWith('+') ? 1 : 0, max: text.startsWith('?') ? 1 : Infinity, branches }
  }

  #take (shape: RegExp): string | null {
    shape.lastIndex = this.#at
    const found = shape.exec(this.#text)?.[0] ?? null
    this.#at += found?.length ?? 0
    return found
  }
}

function branchesFault (branches: Item[][]): string | null {
  for (const branch of branches) {
    const fault = sequenceFault(branch)
    if (fault !== null) return fault
  }
  return null
}

function sequenceFault (items: Item[]): string | null {
  for (const item of items) {
    if (item.branches === null) continue
    const fault = branchesFault(item.branches) ?? (item.max > 1 ? repeatedFault(item.branches) : null)
    if (fault !== null) return fault
  }
  return adjacentFault(items)
}

// What is repeated must tell by its first (or last) character where each round begins (or ends).
function repeatedFault (branches: Item[][]): string | null {
  if (branches.length > 1 && overlapping(branches.map(firstSet))) return 'repeats a group whose alternatives can begin alike'
  for (const branch of branches) {
    const loose = branch.filter(item => item.min !== item.max || item.branches !== null)
    if (loose.length > 0 && !fenced(branch, loose)) return 'repeats a group that holds another repeat or an option'
  }
  return null
}

function fenced (branch: Item[], loose: Item[]): boolean {
  return [branch[0]!, branch.at(-1)!].some(post =>
    !loose.includes(post) && post.min >= 1 && !loose.some(item => meet(item.set, post.set)))
}

// Two long repeats of the same characters, side by side or thrice in one line, share them in too many ways.
function adjacentFault (items: Item[]): string | null {
  const long = items.map((item, i) => ({ item, i })).filter(({ item }) => item.max > MANY)
  for (const { item, i } of long) {
    const next = items.slice(i + 1)
    const wall = next.findIndex(other => other.min > 0 && !meet(other.set, item.set))
    const reach = wall === -1 ? next : next.slice(0, wall)
    if (reach.some(other => other.max > MANY && meet(begin(other), end(item)))) return 'repeats the same characters twice in a row'
    if (long.filter(other => meet(other.item.set, item.set)).length > 2) return 'repeats the same characters three times'
  }
  return null
}

// What a group of many characters begins with and ends in keeps it apart from its neighbours: \d+(,\d+)*
function begin (item: Item): CharSet {
  return item.branches === null ? item.set : union(item.branches.map(firstSet))
}

function end (item: Item): CharSet {
  return item.branches === null ? item.set : union(item.branches.map(branch => firstSet(branch.toReversed())))
}

function firstSet (branch: Item[]): CharSet {
  const until = branch.findIndex(item => item.min > 0)
  return union((until === -1 ? branch : branch.slice(0, until + 1)).map(item => item.set))
}

// ASCII by character; 128 stands for everything beyond it, taken to overlap.
function charactersOf (source: string): CharSet {
  const shape = new RegExp(`^(?:${source})$`, 'u')
  const found = new Set<number>()
  for (let code = 0; code < 128; code++) if (shape.test(String.fromCharCode(code))) found.add(code)
  if (found.size === 0 || source === '.' || /^\[|^\\[pPDWSu]/.test(source) && !/^\[[\x20-\x5b\x5d\x5f-\x7e][\x20-\x5b\x5d-\x7e]*\]$/.test(source)) found.add(128)
  return found
}

function overlapping (sets: CharSet[]): boolean {
  return sets.some((set, i) => set.size === 0 || sets.slice(i + 1).some(other => meet(set, other)))
}

function meet (a: CharSet, b: CharSet): boolean {
  for (const code of a) if (b.has(code)) return true
  return false
}

function union (sets: CharSet[]): CharSet {
  return new Set(sets.flatMap(set => [...set]))
}
