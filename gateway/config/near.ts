import { nearest } from '../errors.ts'

/** "Did you mean …?" where something is near, else the remedy given. */
export function didYouMean (word: string, candidates: Iterable<string>, otherwise: string): string {
  const near = nearest(word, candidates)
  return near === null ? otherwise : `Did you mean "${near}"?`
}
