// What internal services do: post events, and post again what got no answer.

import { closeSync, openSync, writeSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { Agent, request } from 'undici'

export type EventType = 'back_in_stock.alert' | 'preorder.confirmed'

export interface SentEvent { id: string, type: EventType, shop: string, data: object }

/** An event of ordinary size. `customer.id` repeats the event's id, so that a mapping can carry it to the other end. */
export function eventOf ({ id, shop, type = 'back_in_stock.alert' }: { id: string, shop: string, type?: EventType }): SentEvent {
  const customer = { name: 'Ada Example', phone: '+12015550123', email: 'ada@example.com', country: 'US', locale: 'en-US', time_zone: 'America/New_York', id }
  if (type === 'preorder.confirmed') {
    return { id, type, shop, data: { customer, order: { id: '9001', name: '#1001', number: 1001 }, products: [{ title: 'Floral Shirt', quantity: 1 }] } }
  }
  return {
    id,
    type,
    shop,
    data: {
      customer,
      product: { id: '7001', title: 'Floral Shirt', vendor: 'Acme', url: 'https://acme.example/products/floral-shirt', image_url: 'https://cdn.example/floral-shirt.jpg' },
      variant: {
        id: '8001',
        title: 'Medium',
        price: { amount: '49.90', currency: 'USD' },
        url: 'https://acme.example/products/floral-shirt?variant=8001',
        checkout_url: 'https://acme.example/cart/8001:1'
      }
    }
  }
}

/** Posts one event or a batch; null when there was no full answer. */
export async function post (target: { url: string, apiKey: string }, body: object, agent?: Agent): Promise<{ status: number, body: unknown } | null> {
  try {
    const response = await request(`${target.url}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${target.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...(agent && { dispatcher: agent })
    })
    return { status: response.statusCode, body: await response.body.json() }
  } catch {
    return null
  }
}

const CONNECTIONS = 64

export interface LoadOptions {
  /** Asked before each attempt: a gateway that was started again has another port. */
  target (): { url: string, apiKey: string }
  /** Events per second. */
  rate: number
  /** The event of a number, counted from 0. */
  event (n: number): SentEvent
  /** Append-only file of the ids that were answered 2xx, one per line. */
  file?: string
}

/** Posts single events at a steady rate; an event without an answer, or with a 429 or 5xx, is posted again under its id. */
export class Load {
  /** Ids answered 2xx, in the order of the answers. */
  readonly accepted: string[] = []
  /** Answers that were neither 2xx nor to be sent again. */
  readonly refused: Array<{ id: string, status: number }> = []
  /** Posts that had to be repeated. */
  repeats = 0
  /** Told of each answer and how long it took; null for none. */
  onAnswer: ((status: number | null, ms: number) => void) | null = null
  #options: LoadOptions
  #agent = new Agent({ connections: CONNECTIONS })
  #file: number | null
  #open = new Set<Promise<void>>()
  #posting: Promise<void>
  #paused = false
  #stopping = false
  #abandoned = false
  #n = 0

  constructor (options: LoadOptions) {
    this.#options = options
    this.#file = options.file === undefined ? null : openSync(options.file, 'a')
    this.#posting = this.#post()
  }

  /** Events handed to the gateway so far, answered or not. */
  get posted (): number { return this.#n }

  pause (): void { this.#paused = true }
  resume (): void { this.#paused = false }

  /** Posts nothing new, waits until all that was posted is answered. */
  async stop (): Promise<void> {
    this.#stopping = true
    await this.#posting
    await Promise.all(this.#open)
    if (!this.#agent.closed) await this.#agent.close()
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
  }

  /** Posts nothing any more, whatever is not answered yet. */
  async abandon (): Promise<void> {
    this.#abandoned = true
    await this.stop()
  }

  async #post (): Promise<void> {
    let owed = 0
    let last = performance.now()
    const most = Math.max(CONNECTIONS, this.#options.rate / 4)
    while (!this.#stopping) {
      await wait(5)
      const now = performance.now()
      // While nothing can be posted nothing is owed: a pause is no burst afterwards.
      owed = this.#paused || this.#open.size > most ? 0 : Math.min(owed + (now - last) * this.#options.rate / 1000, this.#options.rate)
      last = now
      for (; owed >= 1; owed--) this.#send(this.#options.event(this.#n++))
    }
  }

  #send (event: SentEvent): void {
    const sending: Promise<void> = this.#untilAnswered(event).finally(() => { this.#open.delete(sending) })
    this.#open.add(sending)
  }

  async #untilAnswered (event: SentEvent): Promise<void> {
    while (!this.#abandoned) {
      const askedAt = performance.now()
      const answer = await post(this.#options.target(), event, this.#agent)
      this.onAnswer?.(answer?.status ?? null, performance.now() - askedAt)
      if (answer && answer.status < 300) { this.#keep(event.id); return }
      if (answer && answer.status < 500 && answer.status !== 429) { this.refused.push({ id: event.id, status: answer.status }); return }
      this.repeats++
      await wait(250)
    }
  }

  #keep (id: string): void {
    this.accepted.push(id)
    if (this.#file !== null) writeSync(this.#file, `${id}\n`)
  }
}
