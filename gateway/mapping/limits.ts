import { MappingError } from '../errors.ts'

/** Characters that one leaf, and one filter, may give. */
export const MAX_TEXT = 64 * 1024
/** Characters of all texts and keys of one rendered tree. */
export const MAX_TREE = 256 * 1024
/** Levels of a tree of templates, of tags within one template, and of what is rendered. */
export const MAX_DEPTH = 32

const MAX_STEPS = 20_000
const MAX_MS = 50

/**
 * What the rendering of one tree may take. Steps are counted (tags, texts, filters, comparisons), because they are
 * the same on any machine; time is the second fence. A machine may stall for longer than any rendering takes, so when
 * the clock says that it is over, what this thread itself works from then on decides. Stands in for the engine's own
 * time limit, which calls `check` with the time before each tag and text.
 */
export class Budget {
  #steps = MAX_STEPS
  #text = MAX_TREE
  readonly #endMs = performance.now() + MAX_MS
  #lateSinceMs: number | null = null

  check (nowMs: number): void {
    if (--this.#steps < 0) throw new MappingError(`takes more than ${MAX_STEPS} steps`)
    if (nowMs > this.#endMs) this.#late()
  }

  #late (): void {
    const { user, system } = process.threadCpuUsage()
    const workedMs = (user + system) / 1000
    this.#lateSinceMs ??= workedMs
    if (workedMs - this.#lateSinceMs > MAX_MS) throw new MappingError(`takes longer than ${MAX_MS} ms`)
  }

  /** Takes from the size of the whole result. */
  spend (length: number): void {
    this.#text -= length
    if (this.#text < 0) throw new MappingError(`gives more than ${MAX_TREE / 1024} KiB`)
  }
}
