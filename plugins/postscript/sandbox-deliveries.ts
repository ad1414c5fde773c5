// Deliveries of webhooks: posted to the subscription's address until answered 200, every five minutes for an hour.
// Only to addresses of this machine: a sandbox speaks to nobody else.

/** Sent or waiting for a repeat at once; beyond them an event is lost. */
const OPEN_MAX = 100
/** Deliveries kept for reading; the oldest goes first. */
const KEPT_MAX = 1000
const TIMEOUT_MS = 5000
const SPACING_MS = 5 * 60_000
/** The first, and one every five minutes of an hour. */
const ATTEMPTS_MAX = 13

/** Where a delivery goes, and its headers. */
export interface Target { url: string, headers: Record<string, string> }

/** The body of a delivery. `webhook_id` names the subscription. */
export interface WebhookBody { webhook_id: string, resource_type: 'shop', resource_id: string, event_time: string, event: string, event_data: object }

/** `at` is epoch milliseconds; `status` is null where there was no answer. */
export interface WebhookAnswer { at: number, url: string, status: number | null, error?: string }

export interface Delivery {
  /** Counted from 1. */
  id: number
  at: number
  /** Id of the delivery that this one repeats, null where it is the first of its event. */
  repeats: number | null
  /** waiting: for its answer, or for the next attempt. not_sent: its address is not of this machine. */
  state: 'waiting' | 'delivered' | 'lost' | 'not_sent'
  body: WebhookBody
  answers: WebhookAnswer[]
}

export class Deliveries {
  readonly #wallNow: () => number
  readonly #targetOf: (webhookId: string) => Target | null
  readonly #timeoutMs: number
  #kept: Delivery[] = []
  #next = 1
  #spacingMs = SPACING_MS
  #stopped = false
  /** Those between two attempts. */
  readonly #waiting = new Map<Delivery, NodeJS.Timeout>()
  /** Those on their way. */
  readonly #flights = new Map<AbortController, Promise<void>>()

  /** `targetOf`: where a subscription's deliveries go now; null ends them. */
  constructor (wallNow: () => number, targetOf: (webhookId: string) => Target | null, timeoutMs = TIMEOUT_MS) {
    this.#wallNow = wallNow
    this.#targetOf = targetOf
    this.#timeoutMs = timeoutMs
  }

  /** Sends an event, or the same one again. */
  send (body: WebhookBody, repeats: number | null = null): Delivery {
    const open = this.#waiting.size + this.#flights.size
    const delivery: Delivery = { id: this.#next++, at: this.#wallNow(), repeats, state: open < OPEN_MAX && !this.#stopped ? 'waiting' : 'lost', body, answers: [] }
    this.#kept.push(delivery)
    if (this.#kept.length > KEPT_MAX) this.#kept.shift()
    if (delivery.state === 'waiting') this.#fly(delivery)
    return delivery
  }

  /** Newest first. */
  list (): Delivery[] { return this.#kept.toReversed() }

  find (id: number): Delivery | null { return this.#kept.find(one => one.id === id) ?? null }

  get spacingMs (): number { return this.#spacingMs }

  /** Counts anew for those that wait, too. */
  set spacingMs (spacingMs: number) {
    this.#spacingMs = spacingMs
    for (const [delivery, timer] of this.#waiting) {
      clearTimeout(timer)
      this.#wait(delivery)
    }
  }

  /** Breaks off what is on its way and forgets what waits; resolves when nothing of it is left. */
  async stop (): Promise<void> {
    this.#stopped = true
    for (const timer of this.#waiting.values()) clearTimeout(timer)
    this.#waiting.clear()
    for (const controller of this.#flights.keys()) controller.abort()
    await Promise.all(this.#flights.values())
  }

  #wait (delivery: Delivery): void {
    this.#waiting.set(delivery, setTimeout(() => {
      this.#waiting.delete(delivery)
      this.#fly(delivery)
    }, this.#spacingMs).unref())
  }

  #fly (delivery: Delivery): void {
    const target = this.#targetOf(delivery.body.webhook_id)
    const url = URL.parse(target?.url ?? '')
    if (target === null || url === null) delivery.state = 'lost'
    else if (!isLoopback(url)) delivery.state = 'not_sent'
    else {
      const controller = new AbortController()
      this.#flights.set(controller, this.#attempt(delivery, target, controller))
    }
  }

  /** Never rejects. */
  async #attempt (delivery: Delivery, target: Target, controller: AbortController): Promise<void> {
    const timer = setTimeout(() => { controller.abort() }, this.#timeoutMs)
    const answer = await post(target, JSON.stringify(delivery.body), controller.signal)
    clearTimeout(timer)
    this.#flights.delete(controller)
    if (this.#stopped) return
    delivery.answers.push({ at: this.#wallNow(), url: target.url, ...answer })
    if (answer.status === 200) delivery.state = 'delivered'
    else if (delivery.answers.length >= ATTEMPTS_MAX) delivery.state = 'lost'
    else this.#wait(delivery)
  }
}

/** Whether an address is of this machine, in any notation that URLs know. */
export function isLoopback ({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

/** A redirect is an answer, and followed nowhere. */
async function post ({ url, headers }: Target, body: string, signal: AbortSignal): Promise<{ status: number | null, error?: string }> {
  try {
    const answer = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal })
    await answer.body?.cancel()
    return { status: answer.status }
  } catch (error) {
    const { message, cause } = error as Error
    return { status: null, error: cause instanceof Error ? cause.message : message }
  }
}
