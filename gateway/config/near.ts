/** The candidate a mistyped word most likely meant, or null where none is near enough to be worth saying. */
export function nearest (word: string, candidates: Iterable<string>): string | null {
  const allowed = Math.max(1, Math.floor(word.length / 3))
  let best: { candidate: string, distance: number } | null = null
  for (const candidate of candidates) {
    if (candidate === word || Math.abs(candidate.length - word.length) > allowed) continue
    const distance = edits(word.toLowerCase(), candidate.toLowerCase())
    if (distance <= allowed && (best === null || distance < best.distance)) best = { candidate, distance }
  }
  return best?.candidate ?? null
}

/** "Did you mean …?" where something is near, else the remedy given. */
export function didYouMean (word: string, candidates: Iterable<string>, otherwise: string): string {
  const near = nearest(word, candidates)
  return near === null ? otherwise : `Did you mean "${near}"?`
}

// Insertions, deletions, replacements and swapped neighbours (optimal string alignment).
function edits (a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) row.push(cell(a, b, i, j, row, last, beforeLast))
    beforeLast = last
    last = row
  }
  return last[b.length]!
}

function cell (a: string, b: string, i: number, j: number, row: number[], last: number[], beforeLast: number[]): number {
  const same = a[i - 1] === b[j - 1]
  const plain = Math.min(row[j - 1]! + 1, last[j]! + 1, last[j - 1]! + (same ? 0 : 1))
  const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
  return swapped ? Math.min(plain, beforeLast[j - 2]! + 1) : plain
}
