// What a shop lets an app ask of its Admin API: points that run out and come back, as each answer says anew.

/** A standard shop's, until an answer says otherwise. */
const START = { maximum: 2000, perSecond: 100 }
/** What nobody waits for leaves so much of it to those that somebody waits for. */
const BACKGROUND_LEAVES = 0.3
/** A plan's figures are believed within these. */
const MOST = 1_000_000

/** Of an answer's extensions.cost. */
export interface Cost {
  requested: number | null
  throttle: { maximum: number, available: number, perSecond: number } | null
}

/** Times are monotonic milliseconds. */
export class Bucket {
  #maximum = START.maximum
  #perSecond = START.perSecond
  #available = START.maximum
  #at: number
  /** Points of what is being asked. */
  #asked = 0

  constructor (now: number) { this.#at = now }

  /** Milliseconds until a question of so many points may go; 0: now. */
  wait (points: number, now: number, background = false): number {
    this.#fill(now)
    const needed = Math.min(points + (background ? this.#maximum * BACKGROUND_LEAVES : 0), this.#maximum)
    return needed <= this.#available ? 0 : Math.ceil((needed - this.#available) / this.#perSecond * 1000)
  }

  take (points: number, now: number): void {
    this.#fill(now)
    this.#available -= points
    this.#asked += points
  }

  /** Of each question that was taken for, whatever came of it; null where its answer says nothing of it. */
  settle (points: number, cost: Cost | null, now: number): void {
    this.#fill(now)
    this.#asked = Math.max(0, this.#asked - points)
    if (cost === null || cost.throttle === null) return
    const { maximum, available, perSecond } = cost.throttle
    if (!(maximum >= 1 && maximum <= MOST && perSecond >= 1 && perSecond <= MOST)) return
    this.#maximum = maximum
    this.#perSecond = perSecond
    // What else is on its way may not be in that number yet.
    this.#available = Math.min(available, maximum) - this.#asked
  }

  /** It was refused for want of points, and the answer does not say how many there are. */
  empty (now: number): void {
    this.#fill(now)
    this.#available = Math.min(this.#available, 0)
  }

  #fill (now: number): void {
    this.#available = Math.min(this.#maximum, this.#available + Math.max(0, now - this.#at) / 1000 * this.#perSecond)
    this.#at = Math.max(this.#at, now)
  }
}
