// What others send here is on disk before it is answered, and understood afterwards: a crash between the two loses
// nothing. One source's rows are worked on oldest first; what comes of a row and its end are one unit of work.

import { setImmediate, setTimeout as wait } from 'node:timers/promises'
import type { InboundContext, Received, Row, Runtime, SourceEvent, Step, Store, Translated } from '../contract.ts'
import { GatewayError, type Code } from '../errors.ts'
import { Claims } from './claims.ts'
import { atMost, inTime } from './in-time.ts'
import { arrival, INBOX_REASONS, INBOX_STATE, receivedOf, type InboxReason, type InboxState } from './rows.ts'
import { checkTranslated, type Later } from './translated.ts'

const POLL_MS = 1000
const BATCH = 20
const STORE_AGAIN_MS = 1000
/** How often it is looked for what instances that are gone were working on, and for what is this one's and nobody works on. */
const ADOPT_MS = 10_000
const CLAIMS_MAX = 3
const STORES_FAULT = new Set<Code>(['GW_STORE_FAILED', 'GW_STORE_UNSURE'])
const DETAIL_CAP = 1000
/** Waits after the first, second, … failure of a translation; after as many failures it is parked. */
const AGAIN_MS = [5000, 30_000, 120_000, 600_000] as const
/** One that hangs must not be waited for without end. */
const TRANSLATION_MS = 30_000
/** Nor keep its source from all else: what takes longer goes on beside the next ones, as long as there are not too many of its kind. */
const PATIENCE_MS = 250
const SLOW_MAX = 20

/** The door as the inbox needs it: all events in one unit with further steps, or none; those whose id was taken are left out of it, where another is new. */
export interface Together {
  acceptTogether (
    items: readonly unknown[],
    caller: { mode: 'plain', defaultSource: string, mayUse (shop: string): boolean },
    steps: (entered: readonly Entered[]) => Step[]
  ): Promise<{ entered: readonly Entered[] } | { refused: { error?: Refused } }>
}

interface Refused { code: Code, message: string, details: ReadonlyArray<{ path: string, message: string }> }
/** `error`: of one whose id was taken by another event, which stays; `eventId` is that one's then. */
interface Entered { eventId: string, receipt: { status: string, error?: Refused } }

/** A source as its rows are worked on. */
export interface Translator { id: string, translate (received: Received): Translated | Later | Promise<Translated | Later> }

/** The end of a row, for log and metrics. `waitedMs`: since it was received. */
export interface Settled { inbox: string, source: string, topic: string, shop: string | null, state: InboxState, reason: string | null, events: number, waitedMs: number }

export interface InboxOptions {
  store: Store
  runtime: Runtime
  /** Instead of half a minute: a translation that takes longer counts as failed. */
  translationMs?: number
  /** Told of everything that came: new, or a repeat. */
  onReceived (source: string, result: 'new' | 'repeat' | 'failed'): void
  onSettled (settled: Settled): void
  onError (error: unknown, row: { inbox: string, source: string } | null): void
}

interface Claimed { key: number, attempts: number, source: string, received: Received }

interface End { state: InboxState, reason: string | null, detail: string | null, events: unknown[] }

export class Inbox {
  /** Monotonic. */
  #adoptedAt = 0
  #o: InboxOptions
  #door: Together | null = null
  #sources: ReadonlyMap<string, Translator> = new Map()
  #draining = new Map<string, Promise<void>>()
  /** Per source what it is working on, slow ones of earlier batches included. */
  #working = new Map<string, Set<Promise<void>>>()
  #claims = new Claims()
  #again = new Set<string>()
  /** Per source how many rows stand in front that were being worked on when a gateway died. */
  #suspects = new Map<string, number>()
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> = Promise.resolve()
  #accepting = new Set<Promise<unknown>>()
  #stopped = false

  constructor (options: InboxOptions) { this.#o = options }

  /** Another generation: what is worked on now ends with the sources and the door it began with. */
  use (door: Together, sources: ReadonlyMap<string, Translator>): void {
    this.#door = door
    this.#sources = sources
    for (const id of sources.keys()) this.#wake(id)
  }

  /** Whether there is somebody to work on what this one receives. */
  knows (source: string): boolean { return this.#sources.has(source) }

  /** Takes over what a gateway that died was working on, then works. Answers how many those are. */
  async start (): Promise<number> {
    const adopted = await this.#adopt()
    this.#tick()
    return adopted
  }

  /** What instances that are gone were working on is worked on again. Returns how many. */
  async #adopt (): Promise<number> {
    const { store, runtime } = this.#o
    this.#adoptedAt = runtime.mono()
    const [adopted] = await store.commit([{ name: 'adopt_inbox', params: { owner: store.owner, claims_max: CLAIMS_MAX, parked: INBOX_STATE.parked, reason: 'crashed_gateway' satisfies InboxReason, detail: INBOX_REASONS.crashed_gateway, now: runtime.now() } }])
    for (const row of adopted?.rows ?? []) {
      if (row.state === INBOX_STATE.received) this.#suspects.set(String(row.source), (this.#suspects.get(String(row.source)) ?? 0) + 1)
      else this.#o.onSettled({ ...factsOf(row), state: 'parked', reason: 'crashed_gateway', events: 0, waitedMs: runtime.now() - (row.received_at as number) })
    }
    await this.#claims.release(store)
    return adopted?.rows.length ?? 0
  }

  /** Claims nothing more and gives back what is not being accepted at this moment. A translation has done nothing yet: it is not waited for. */
  async stop (): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#looking
    await Promise.allSettled(this.#accepting)
    const { store } = this.#o
    await store.commit([{ name: 'release_inbox', params: { owner: store.owner, epoch: store.epoch } }]).catch(() => {}) // the next start takes them over
  }

  /** On disk when it answers; a repeat by one of its keys is not kept. `to`: what a provider's own routes receive is recorded. Throws GW_STORE_FAILED. */
  async receive (source: string, to: 'received' | 'recorded', received: Parameters<InboundContext['receive']>[0]): Promise<'new' | 'repeat'> {
    const { store, runtime, onReceived, onSettled } = this.#o
    const { row, steps } = arrival(store, runtime.id('inb_'), source, received, runtime.now(), to)
    const [inserted] = await store.commit(steps).catch((error: unknown) => { onReceived(source, 'failed'); throw error })
    const result = inserted?.changes === 1 ? 'new' : 'repeat'
    onReceived(source, result)
    if (result === 'repeat') return result
    if (row.state === INBOX_STATE.received) this.#wake(source)
    else onSettled({ ...factsOf(row), state: row.state === INBOX_STATE.parked ? 'parked' : 'recorded', reason: row.reason as string | null, events: 0, waitedMs: 0 })
    return result
  }

  /** A person has looked at it: it is worked on anew, whatever became of it. False where it is being worked on, or has no body. */
  async retry (row: Row, actor: string): Promise<boolean> {
    const { store, runtime } = this.#o
    const now = runtime.now()
    const which = { inbox_key: row.inbox_key as number, received: INBOX_STATE.received }
    const [, retried] = await store.commit([
      { name: 'audit_inbox_retry', params: { ...which, at: now, actor } }, // before it, while the row still tells whether it will be
      { name: 'retry_inbox', params: { ...which, now } }
    ])
    this.#wake(String(row.source))
    return retried?.changes === 1
  }

  #tick (): void {
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().catch(error => { this.#o.onError(error, null) }).finally(() => { if (!this.#stopped) this.#tick() })
    }, POLL_MS)
  }

  async #look (): Promise<void> {
    const { store, runtime } = this.#o
    if (runtime.mono() - this.#adoptedAt >= ADOPT_MS) await this.#adopt()
    for (const source of this.#sources.keys()) {
      if ((await store.read('inbox_is_due', { source, now: runtime.now() })).length > 0) this.#wake(source)
    }
  }

  #wake (source: string): void {
    if (this.#stopped || !this.#sources.has(source)) return
    if (this.#draining.has(source)) { this.#again.add(source); return }
    const drained = this.#drain(source)
      .catch((error: unknown) => { this.#o.onError(error, null) }) // the look of the next second goes on
      .finally(() => {
        this.#draining.delete(source)
        if (this.#again.delete(source)) this.#wake(source)
      })
    this.#draining.set(source, drained)
  }

  async #drain (id: string): Promise<void> {
    const working = this.#working.get(id) ?? new Set()
    this.#working.set(id, working)
    for (;;) {
      if (working.size >= SLOW_MAX) await Promise.race(working)
      const [source, door] = [this.#sources.get(id), this.#door]
      if (this.#stopped || !source || !door) return
      const alone = (this.#suspects.get(id) ?? 0) > 0
      const rows = await this.#claim(id)
      if (rows.length === 0) return
      const batch = Promise.all(rows.map(row => this.#begin(row, source, door, working)))
      await (alone ? batch : atMost(batch, PATIENCE_MS))
    }
  }

  #begin (row: Claimed, source: Translator, door: Together, working: Set<Promise<void>>): Promise<void> {
    this.#claims.add(row.key)
    const begun = setImmediate() // large bodies one after the other, and others between them
      .then(() => this.#stopped ? undefined : this.#work(row, source, door))
      .catch((error: unknown) => { this.#o.onError(error, { inbox: row.received.id, source: row.source }) })
      .finally(() => {
        working.delete(begun)
        this.#claims.done(row.key)
      })
    working.add(begun)
    return begun
  }

  /** One alone while there are suspects, so that the one that kills the gateway takes no others with it. */
  async #claim (source: string): Promise<Claimed[]> {
    const { store, runtime } = this.#o
    const suspects = this.#suspects.get(source) ?? 0
    const [claimed] = await store.commit([{ name: 'claim_inbox', params: { source, now: runtime.now(), owner: store.owner, epoch: store.epoch, limit: suspects > 0 ? 1 : BATCH } }])
    if (suspects > 0) this.#suspects.set(source, suspects - 1)
    return (claimed?.rows ?? [])
      .map(row => ({ key: row.inbox_key as number, attempts: row.attempts as number, source, received: receivedOf(row) }))
      .toSorted((a, b) => a.key - b.key)
  }

  async #work (row: Claimed, source: Translator, door: Together): Promise<void> {
    let translated: Translated | Later
    try {
      translated = checkTranslated(await inTime(source.translate(row.received), this.#o.translationMs ?? TRANSLATION_MS))
    } catch (error) {
      if (!this.#stopped) await this.#failed(row, error)
      return
    }
    if (this.#stopped) return
    const ended = translated.is === 'later' ? this.#insist(row, this.#deferStep(row, translated.afterMs, 0, null, null)) : this.#end(row, translated, door)
    this.#accepting.add(ended)
    await ended.finally(() => { this.#accepting.delete(ended) })
  }

  async #end (row: Claimed, translated: Translated, door: Together): Promise<void> {
    try {
      const end = translated.is === 'events' && translated.events.length > 0 ? await this.#accept(row, translated, door) : await this.#settle(row, endOf(translated), stepsOf(translated))
      if (end !== null) this.#tell(row, end)
    } catch (error) {
      if (error instanceof GatewayError && STORES_FAULT.has(error.code)) await this.#storeFailed(row, error)
      else await this.#failed(row, error)
    }
  }

  /**
   * Events, deliveries and the end of the row in one unit. What the door refuses is parked with its words, and enters nothing;
   * of an id that was taken the first event stays, and the others enter.
   */
  async #accept (row: Claimed, translated: Extract<Translated, { is: 'events' }>, door: Together): Promise<End | null> {
    const { reason = null, detail = null, events, steps = [] } = translated
    const items = events.map(event => itemOf(event, row.received.shop))
    const end: End = { state: 'done', reason, detail: short(detail), events: [] }
    const answer = await door.acceptTogether(items, { mode: 'plain', defaultSource: `/sources/${row.source}`, mayUse: () => true }, entered => {
      end.events = events.map(({ id, type }, at) => ({ id, type, event_id: entered[at]?.eventId, status: entered[at]?.receipt.error ? 'conflict' : entered[at]?.receipt.status }))
      const taken = entered.flatMap(({ receipt: { error } }) => error ? [error] : [])
      if (taken.length > 0) Object.assign(end, { reason: 'event_conflict' satisfies InboxReason, detail: short([...taken.map(wordsOf), detail ?? ''].join(' ').trim()) })
      return [...steps, this.#settleStep(row, end)]
    })
    return 'entered' in answer ? end : await this.#settle(row, refusedEnd(answer.refused.error))
  }

  /** Null where it was somebody else's by then. */
  async #settle (row: Claimed, end: End, steps: readonly Step[] = []): Promise<End | null> {
    const [settled] = await this.#o.store.commit([this.#settleStep(row, end), ...steps])
    return settled?.changes === 1 ? end : null
  }

  #settleStep ({ key }: Claimed, { state, reason, detail, events }: End): Step {
    const { store, runtime } = this.#o
    return { name: 'settle_inbox', params: { inbox_key: key, owner: store.owner, epoch: store.epoch, state: INBOX_STATE[state], reason, detail, events: events.length > 0 ? JSON.stringify(events) : null, settled_at: runtime.now() } }
  }

  async #failed (row: Claimed, error: unknown): Promise<void> {
    this.#o.onError(error, { inbox: row.received.id, source: row.source })
    const said = short(error instanceof Error ? error.message : String(error))
    const afterMs = AGAIN_MS[row.attempts]
    if (afterMs === undefined) {
      const end: End = { state: 'parked', reason: 'translation_failed' satisfies InboxReason, detail: said, events: [] }
      await this.#insist(row, this.#settleStep(row, end))
      this.#tell(row, end)
    } else await this.#insist(row, this.#deferStep(row, afterMs, 1, 'translation_failed', said))
  }

  /** It is no fault of the row. Where its end was kept all the same, this changes nothing. */
  async #storeFailed (row: Claimed, error: GatewayError): Promise<void> {
    this.#o.onError(error, { inbox: row.received.id, source: row.source })
    await this.#insist(row, this.#deferStep(row, STORE_AGAIN_MS, 0, null, null))
  }

  #deferStep ({ key }: Claimed, afterMs: number, paid: 0 | 1, reason: InboxReason | null, detail: string | null): Step {
    const { store, runtime } = this.#o
    return { name: 'defer_inbox', params: { inbox_key: key, owner: store.owner, epoch: store.epoch, due_at: runtime.now() + afterMs, paid, reason, detail } }
  }

  /** A row that is not given back would not be worked on again before the next start. */
  async #insist (row: Claimed, step: Step): Promise<void> {
    for (let told = false; !this.#stopped; told = true) {
      try {
        await this.#o.store.commit([step])
        return
      } catch (error) {
        if (!told) this.#o.onError(error, { inbox: row.received.id, source: row.source })
        await wait(STORE_AGAIN_MS, undefined, { ref: false })
      }
    }
  }

  #tell ({ source, received: { id, topic, shop, receivedAt } }: Claimed, { state, reason, events }: End): void {
    this.#o.onSettled({ inbox: id, source, topic, shop, state, reason, events: events.length, waitedMs: this.#o.runtime.now() - receivedAt })
  }
}

/** The same envelope as anybody's, so that one door looks at all of them. */
function itemOf ({ id, type, timeAt, data }: SourceEvent, shop: string | null): unknown {
  return { id, type, shop, time: new Date(timeAt).toISOString(), data }
}

function endOf (translated: Translated): End {
  const { reason = null, detail = null } = translated
  return { state: translated.is !== 'events' ? translated.is : stepsOf(translated).length > 0 ? 'done' : 'recorded', reason, detail: short(detail), events: [] }
}

function stepsOf (translated: Translated): readonly Step[] { return translated.is === 'parked' ? [] : translated.steps ?? [] }

const REFUSALS: Partial<Record<Code, InboxReason>> = { GW_EVENT_CONFLICT: 'event_conflict', GW_SHOP_UNKNOWN: 'shop_unknown' }

function refusedEnd (error: Refused | undefined): End {
  return { state: 'parked', reason: error && (REFUSALS[error.code] ?? 'event_refused') || 'event_refused', detail: short(error ? wordsOf(error) : ''), events: [] }
}

function wordsOf ({ message, details }: Refused): string {
  return [message, ...details.map(({ path, message }) => `${path}: ${message}.`)].join(' ')
}

function factsOf (row: Row): Pick<Settled, 'inbox' | 'source' | 'topic' | 'shop'> {
  return { inbox: String(row.id), source: String(row.source), topic: String(row.topic), shop: row.shop as string | null }
}

function short (text: string | null): string | null { return text === null ? null : text.slice(0, DETAIL_CAP).toWellFormed() }
