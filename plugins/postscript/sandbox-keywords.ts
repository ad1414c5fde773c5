// The keywords of the shops in the sandbox: two each, until some are added or deactivated.

import { hash, notFound, ok, shopOf, zoneless } from './sandbox-answers.ts'
import type { Answered, Refusal } from './sandbox-answers.ts'

export interface Keyword { id: string, keyword: string, triggered_count: number, created_at: string, updated_at: string }

const FIRST = ['BACKINSTOCK', 'VIP']
const FIRST_AT = Date.UTC(2026, 0, 5, 9, 0, 0, 306)

export class Keywords {
  /** By shop: name to when it was made; those of a shop that nobody changed are not in it. */
  readonly #changed = new Map<string, ReadonlyMap<string, number>>()

  /** The active ones. */
  list (shopKey: string): Keyword[] {
    const shop = shopOf(shopKey)
    return [...this.#of(shopKey)].map(([keyword, atMs]) => {
      const at = zoneless(atMs)
      return { id: `kw_${hash(`${shop} ${keyword}`)}`, keyword, triggered_count: 10, created_at: at, updated_at: at }
    })
  }

  find (shopKey: string, id: string): Answered | Refusal {
    const found = this.list(shopKey).find(one => one.id === id)
    return found === undefined ? notFound('keyword') : ok(200, found)
  }

  /** One more; under its old id where it was deactivated before. Null where it is active already. */
  add (shopKey: string, keyword: string, nowMs: number): Keyword | null {
    const before = this.#of(shopKey)
    if (before.has(keyword)) return null
    this.#changed.set(shopOf(shopKey), new Map([...before, [keyword, nowMs]]))
    return this.list(shopKey).at(-1) as Keyword
  }

  /** Takes one from the active ones, or all of them where none is named; how many there were. */
  deactivate (shopKey: string, keyword: string | undefined): number {
    const before = this.#of(shopKey)
    const left = new Map([...before].filter(([name]) => keyword !== undefined && name !== keyword))
    this.#changed.set(shopOf(shopKey), left)
    return before.size - left.size
  }

  #of (shopKey: string): ReadonlyMap<string, number> {
    return this.#changed.get(shopOf(shopKey)) ?? new Map(shopKey.includes('nokeywords') ? [] : FIRST.map(name => [name, FIRST_AT]))
  }
}
