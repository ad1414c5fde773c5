// Randomness that can be had again: a run is repeated by its seed.

/** 0 ≤ x < 1, the same row for the same seed (mulberry32). */
export function seeded (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let x = state
    x = Math.imul(x ^ (x >>> 15), x | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return ((x ^ (x >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A function that gives a value between the two, evenly spread. */
export function between (random: () => number, least: number, most: number): () => number {
  return () => least + (most - least) * random()
}
