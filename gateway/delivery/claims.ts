// Deliveries that this instance works on. A claim whose commit was not answered is this instance's in the store, and
// nobody works on it: it is found here, and given back. So is what instances that died since have left.

import type { Row, Store } from '../contract.ts'
import { recoverDead, release, type RecoverOptions } from './recover.ts'

const LOOK_MS = 30_000

export class Claims {
  #working = new Set<number>()
  /** Not worked on when the store was last asked. */
  #idle = new Set<number>()
  #lookedAt = -Infinity

  add (rows: readonly Row[]): void { for (const row of rows) this.#working.add(row.delivery_key as number) }

  done (row: Row): void { this.#working.delete(row.delivery_key as number) }

  /** From time to time; mostly there is nothing. */
  async look (options: RecoverOptions): Promise<void> {
    const mono = options.runtime.mono()
    if (mono - this.#lookedAt < LOOK_MS) return
    this.#lookedAt = mono
    const strays = await this.#strays(options.store)
    if (strays.length > 0) await release(strays, options)
    await recoverDead(options)
  }

  /** Claims of this instance's that nobody worked on at two looks. */
  async #strays (store: Store): Promise<Row[]> {
    const idle = (await store.read('owned', { owner: store.owner })).filter(row => !this.#working.has(row.delivery_key as number))
    const strays = idle.filter(row => this.#idle.has(row.delivery_key as number))
    this.#idle = new Set(idle.map(row => row.delivery_key as number))
    return strays
  }
}
