// What a sandbox received: kept for reading, counted, and written to a file where one is named.

import { createWriteStream } from 'node:fs'
import type { WriteStream } from 'node:fs'
import type { SandboxEntry } from '../contract.ts'

const KEPT_MAX = 10_000

export interface Kept extends SandboxEntry {
  /** Counted from 1, never given twice. */
  id: number
  /** Epoch milliseconds. */
  at: number
}

/** Appends a JSON line per arrival: {t, provider, account, key, method, path, status, repeat}. */
export class Recorder {
  readonly #stream: WriteStream

  constructor (path: string) { this.#stream = createWriteStream(path, { flags: 'a' }) }

  write (provider: string, { at, account, key, method, path, status, repeat }: Kept): void {
    this.#stream.write(JSON.stringify({ t: at, provider, account, key: key ?? null, method, path, status, repeat: repeat ?? false }) + '\n')
  }

  /** Resolves when all lines are with the operating system. */
  close (): Promise<void> { return new Promise(resolve => { this.#stream.end(resolve) }) }
}

/** The latest entries of one provider, and the counts of all. */
export class Records {
  #kept: Kept[] = []
  #next = 1
  #counts = { accepted: 0, refused: 0, status_429: 0, repeats: 0 }

  add (entry: SandboxEntry, at: number): Kept {
    const kept = { ...entry, id: this.#next++, at }
    this.#kept.push(kept)
    if (this.#kept.length >= 2 * KEPT_MAX) this.#kept = this.#kept.slice(-KEPT_MAX)
    if (entry.status < 300) this.#counts.accepted++
    else this.#counts.refused++
    if (entry.status === 429) this.#counts.status_429++
    if (entry.repeat === true) this.#counts.repeats++
    return kept
  }

  /** Newest first; with `after`, only what came after that id. `dropped` were received and are not kept any more. */
  list (limit: number, after: number): { items: Kept[], dropped: number } {
    const kept = this.#kept.slice(-KEPT_MAX)
    const items = kept.filter(({ id }) => id > after).slice(-limit).toReversed()
    return { items, dropped: (kept[0]?.id ?? this.#next) - 1 }
  }

  counts (): Readonly<{ accepted: number, refused: number, status_429: number, repeats: number }> { return { ...this.#counts } }

  /** Forgets entries and counts. */
  clear (): void {
    this.#kept = []
    this.#counts = { accepted: 0, refused: 0, status_429: 0, repeats: 0 }
  }
}
