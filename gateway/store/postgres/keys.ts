// Integer keys, at hand without asking: the database gives them out in blocks. Blocks are replaced now and then, so that
// keys rise with time also where little happens.

import type { Keyed } from '../../contract.ts'
import { GatewayError } from '../../errors.ts'

/** As the sequences step. */
const BLOCK = 50_000
const TABLES: readonly Keyed[] = ['events', 'deliveries', 'calls', 'jobs', 'inbox']

/** Gives the first key of a new block of each table. */
export const BLOCKS_SQL = `select ${TABLES.map(table => `nextval('next_${table}') as ${table}`).join(', ')}`

interface Block { next: number, end: number }

export class Keys {
  #current = new Map<Keyed, Block>()
  #spare = new Map<Keyed, Block>()
  #ask: () => Promise<Record<string, unknown>>
  #asking: Promise<void> | null = null
  #onError: (error: unknown) => void

  constructor (ask: () => Promise<Record<string, unknown>>, onError: (error: unknown) => void) {
    this.#ask = ask
    this.#onError = onError
  }

  async start (): Promise<void> {
    await this.#refill()
    await this.renew()
  }

  next (table: Keyed): number {
    let block = this.#current.get(table)
    if (!block || block.next === block.end) {
      block = this.#spare.get(table)
      if (!block || block.next === block.end) throw new GatewayError('GW_STORE_FAILED', 'The database has given out no keys for too long.')
      this.#current.set(table, block)
      this.#spare.delete(table)
      void this.#refill().catch(this.#onError)
    }
    return block.next++
  }

  /** What is at hand gives way to newer blocks. */
  async renew (): Promise<void> {
    await this.#refill(true)
    for (const [table, block] of this.#spare) this.#current.set(table, block)
    this.#spare.clear()
    await this.#refill()
  }

  #refill (all = false): Promise<void> {
    this.#asking ??= this.#asked(all).finally(() => { this.#asking = null })
    return this.#asking
  }

  async #asked (all: boolean): Promise<void> {
    const row = await this.#ask()
    for (const table of TABLES) {
      if (!all && this.#spare.has(table)) continue
      const first = Number(row[table])
      this.#spare.set(table, { next: first, end: first + BLOCK })
    }
  }
}
