// Rows of the inbox that this instance works on. A claim whose commit was not answered may have been kept, and nobody works
// on it: it is found here, and given back.

import type { Store } from '../contract.ts'

export class Claims {
  #working = new Set<number>()
  /** Not worked on at the last look. */
  #idle = new Set<number>()

  add (key: number): void { this.#working.add(key) }

  done (key: number): void { this.#working.delete(key) }

  /** What is this instance's and nobody works on at two looks waits again. */
  async release (store: Store): Promise<void> {
    const owned = (await store.read('owned_inbox', { owner: store.owner })).map(row => row.inbox_key as number)
    const idle = owned.filter(key => !this.#working.has(key))
    const strays = idle.filter(key => this.#idle.has(key))
    this.#idle = new Set(idle)
    if (strays.length > 0) await store.commit([{ name: 'release_owned_inbox', params: { owner: store.owner, keys: JSON.stringify(strays) } }])
  }
}
