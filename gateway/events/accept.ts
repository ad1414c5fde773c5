// The door: every event comes in here, whatever brought it. An event is answered `accepted` only when it is on disk.

import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Config, Consumer, Detail, Entering, EventTypeConfig, GatewayEvent, RecordedTypeConfig, Row, Runtime, State, Step, StepResult, Store } from '../contract.ts'
import { PRIORITY, STATE } from '../contract.ts'
import type { Code } from '../errors.ts'
import { stateOfRow, type Reason } from '../reasons.ts'
import { canonicalJson } from './canonical.ts'
import { readEnvelope } from './envelope.ts'
import { inspect } from './inspect.ts'
import type { EventSchema } from './schemas.ts'

const EVENT_CAP_BYTES = 64 * 1024
/** Events of a batch that are looked at in one go; then others have their turn, a webhook above all. */
const GO = 50
/** Statements that make a job due. */
const JOB = /(^|_)put_(background_)?job/

/** What became of one event. `error` only where it was refused. */
export interface Receipt {
  id: string | null
  status: 'accepted' | 'duplicate' | 'refused'
  deliveries: Array<{ id: string, provider: string | null, state: State | 'held', reason?: Reason }>
  error?: { code: Code, message: string, details: Detail[] }
}

/** Where a shop's events of a type go. */
export interface Route { shopKey: number, queueKey: number, provider: string | null, accountKey: number | null, held: Reason | null }

export interface DoorOptions {
  store: Store
  runtime: Runtime
  config: Config
  schemas: ReadonlyMap<string, EventSchema>
  /** Null for a shop that does not exist. Answers at once where it can: a promise per event costs more than the look-up. */
  route (shop: string, type: EventTypeConfig): Route | null | Promise<Route | null>
  /** For a type that makes no message: null for a shop that does not exist. */
  shopKey (shop: string): number | null | Promise<number | null>
  /** Stands for a person: a keyed hash of the phone number. */
  person (phone: string): Uint8Array
  /** A job was put beside an event. */
  look? (): void
  /** Something is due on this account. */
  wake (accountKey: number): void
  /** Who acts on events, by their type. */
  consumers?: ReadonlyMap<string, readonly Consumer[]>
  /** Types that change a shop, or erase data and hand them out. */
  governing?: ReadonlySet<string>
  /** Those were accepted of a shop that somebody acts on. */
  consumed? (shop: string, types: ReadonlySet<string>): void
  /** Told of every event: its type, `unknown` where it is none of ours, and what became of it. */
  onReceipt (type: string, status: Receipt['status']): void
}

/** `governs` false: may not say what is to become of a shop, or of people's data. */
export interface Caller { mode: 'cloudevents' | 'plain', defaultSource: string, mayUse (shop: string): boolean, governs?: boolean }

/** An event on its way in: where it goes and what is written for it. `going` is null where its type makes no message. */
interface Admitted { at: number, event: GatewayEvent, shopKey: number, eventId: string, text: string, steps: Step[], going: { route: Route, deliveryId: string } | null }

/** What became of one of several events that are accepted together. `eventId` is the gateway's own. */
export interface Entered { eventId: string, receipt: Receipt }

export class Door {
  #o: DoorOptions
  #shopPattern: RegExp
  #persons = new Map<string, string[]>()

  constructor (options: DoorOptions) {
    this.#o = options
    this.#shopPattern = new RegExp(options.config.shopIdPattern)
    const { eventTypes, recordedTypes } = options.config
    for (const { type, person } of [...Object.values(eventTypes), ...Object.values(recordedTypes)]) if (person !== null) this.#persons.set(type, person.split('/').slice(1))
  }

  /** Receipts in the order of the events. Throws GW_STORE_FAILED when the store took none of them. */
  async accept (items: readonly unknown[], caller: Caller): Promise<Receipt[]> {
    const receipts: Receipt[] = []
    const admitted: Admitted[] = []
    for (let at = 0; at < items.length; at++) {
      const admission = this.#admit(items[at], at, caller)
      const settled = admission instanceof Promise ? await admission : admission
      if ('status' in settled) receipts[at] = settled
      else admitted.push(settled)
      if (at % GO === GO - 1) await setImmediate()
    }
    if (admitted.length > 0) await this.#write(admitted, receipts)
    for (const [at, receipt] of receipts.entries()) this.#o.onReceipt(this.#typeOf(items[at]), receipt.status)
    return receipts
  }

  #typeOf (item: unknown): string {
    const type = (item as { type?: unknown } | null)?.type
    return typeof type === 'string' && this.#o.schemas.has(type) ? type : 'unknown'
  }

  #admit (item: unknown, at: number, caller: Caller): Admitted | Receipt | Promise<Admitted | Receipt> {
    const { config, runtime, schemas } = this.#o
    const structure = inspect(item)
    if (structure) return refused(idOf(item), 'GW_EVENT_INVALID', 'The event holds what no event may hold.', [structure])
    const read = readEnvelope(item, { mode: caller.mode, defaultSource: caller.defaultSource, nowAt: runtime.now(), shopPattern: this.#shopPattern })
    if ('details' in read) return refused(idOf(item), 'GW_EVENT_INVALID', 'The envelope of the event is not valid.', read.details)
    const { event } = read
    const type = config.eventTypes[event.type] ?? config.recordedTypes[event.type]
    const schema = schemas.get(event.type)
    if (!type || !schema) return refused(event.id, 'GW_EVENT_TYPE_UNKNOWN', `No event type is called "${event.type}".`, [{ path: '/type', rule: 'enum', message: `one of ${[...schemas.keys()].join(', ')}`, got: event.type }])
    if (!schema.valid(event.data)) return refused(event.id, 'GW_EVENT_INVALID', `The data does not fit the schema of ${event.type}.`, schema.faults(event.data).map(fault => ({ ...fault, path: `/data${fault.path}` })))
    if (!caller.mayUse(event.shop)) return refused(event.id, 'GW_FORBIDDEN', `This API key is not for the shop "${event.shop}".`, [{ path: '/shop', rule: 'scope', message: 'not among the shops of the API key', got: event.shop }])
    if (caller.governs === false && this.#o.governing?.has(event.type)) return refused(event.id, 'GW_FORBIDDEN', `This API key lacks the scope "shops:write", which ${event.type} needs.`, [{ path: '/type', rule: 'scope', message: 'needs the scope shops:write too', got: event.type }])
    const text = JSON.stringify(event.data)
    if (tooLarge(text)) return refused(event.id, 'GW_TOO_LARGE', 'The event is larger than 64 KiB.', [{ path: '/data', rule: 'size', message: 'at most 64 KiB', got: Buffer.byteLength(text) }])
    return this.#place(event, at, type, text)
  }

  #place (event: GatewayEvent, at: number, type: EventTypeConfig | RecordedTypeConfig, text: string): Admitted | Receipt | Promise<Admitted | Receipt> {
    if ('channel' in type) {
      const route = this.#o.route(event.shop, type)
      return route instanceof Promise ? route.then(loaded => this.#send(event, at, type, text, loaded)) : this.#send(event, at, type, text, route)
    }
    const shopKey = this.#o.shopKey(event.shop)
    return shopKey instanceof Promise ? shopKey.then(loaded => this.#keep(event, at, text, loaded)) : this.#keep(event, at, text, shopKey)
  }

  #send (event: GatewayEvent, at: number, type: EventTypeConfig, text: string, route: Route | null): Admitted | Receipt {
    if (!route) return noShop(event)
    const { store, runtime } = this.#o
    const now = runtime.now()
    const eventKey = store.nextKey('events')
    const eventId = runtime.id('evt_')
    const deliveryId = runtime.id('dlv_')
    return {
      at,
      event,
      shopKey: route.shopKey,
      eventId,
      text,
      steps: [
        this.#eventStep(event, eventKey, eventId, route.shopKey, now, text),
        { name: 'insert_delivery', params: { delivery_key: store.nextKey('deliveries'), id: deliveryId, event_key: eventKey, queue_key: route.queueKey, state: STATE.waiting, reason: null, priority: PRIORITY[type.kind], due_at: now, expires_at: event.timeAt + type.expiresAfterMs, created_at: now, finished_at: null } },
        ...this.#consumed(event, { key: eventKey, id: eventId, shopKey: route.shopKey, receivedAt: now })
      ],
      going: { route, deliveryId }
    }
  }

  #keep (event: GatewayEvent, at: number, text: string, shopKey: number | null): Admitted | Receipt {
    if (shopKey === null) return noShop(event)
    const { store, runtime } = this.#o
    const [key, id, now] = [store.nextKey('events'), runtime.id('evt_'), runtime.now()]
    return { at, event, shopKey, eventId: id, text, steps: [this.#eventStep(event, key, id, shopKey, now, text), ...this.#consumed(event, { key, id, shopKey, receivedAt: now })], going: null }
  }

  #eventStep (event: GatewayEvent, eventKey: number, id: string, shopKey: number, now: number, text: string): Step {
    return { name: 'insert_event', params: { event_key: eventKey, id, shop_key: shopKey, source: event.source, source_id: event.id, type: event.type, time_at: event.timeAt, received_at: now, person: this.#person(event), data: text } }
  }

  /** What those who act on it write with it. */
  #consumed (event: GatewayEvent, { key, id, shopKey, receivedAt }: { key: number, id: string, shopKey: number, receivedAt: number }): Step[] {
    const { source, id: sourceId, type, shop, timeAt, data } = event
    const entering = (): Entering => ({ key, id, shop: { key: shopKey, id: shop }, type, source, sourceId, timeAt, receivedAt, person: this.#person(event), data })
    return this.#o.consumers?.get(type)?.flatMap(consumer => consumer(entering())) ?? []
  }

  async #write (admitted: Admitted[], receipts: Receipt[]): Promise<void> {
    const results = await this.#o.store.commit([...byKind(admitted), ...this.#wakeSteps(admitted)])
    const made: Admitted[] = []
    for (const [i, one] of admitted.entries()) {
      const inserted = results[i] as StepResult
      if (inserted.changes === 0) {
        receipts[one.at] = (await this.#seen(one))?.receipt ?? conflict(one.event)
        continue
      }
      receipts[one.at] = acceptedOf(one)
      made.push(one)
    }
    this.#wake(made)
  }

  /** A queue that was idle is looked at again, in the unit that gives it something. */
  #wakeSteps (admitted: readonly Admitted[]): Step[] {
    const woken = new Map<number, { account: number | null, priority: number }>()
    for (const { going, event } of admitted) {
      if (going === null) continue
      const { queueKey, accountKey } = going.route
      const priority = PRIORITY[(this.#o.config.eventTypes[event.type] as EventTypeConfig).kind]
      woken.set(queueKey, { account: accountKey, priority: Math.min(priority, woken.get(queueKey)?.priority ?? priority) })
    }
    return [...woken].map(([queueKey, { account, priority }]) => ({ name: 'wake_queue', params: { queue_key: queueKey, account_key: account, priority } }))
  }

  #wake (made: readonly Admitted[]): void {
    const consumed = made.filter(({ event }) => this.#o.consumers?.has(event.type))
    for (const [shop, those] of Map.groupBy(consumed, ({ event }) => event.shop)) this.#o.consumed?.(shop, new Set(those.map(({ event }) => event.type)))
    const accounts = new Set<number>()
    for (const { going } of made) if (going !== null && going.route.accountKey !== null && !going.route.held) accounts.add(going.route.accountKey)
    for (const account of accounts) this.#o.wake(account)
    if (made.some(({ steps }) => steps.some(({ name }) => JOB.test(name)))) this.#o.look?.()
  }

  /**
   * Accepts all of the events or none, in one unit with `steps`, which is given what the receipts will say. An event seen
   * before is a duplicate and enters nothing; so does one whose id was taken by another event, which stays, as long as there
   * is one that is new. `refused` is the first one that was refused, and then nothing was written.
   * Throws GW_STORE_FAILED, also when an identity was taken at this very moment: done again, it is found.
   */
  async acceptTogether (items: readonly unknown[], caller: Caller, steps: (entered: readonly Entered[]) => Step[]): Promise<{ entered: Entered[] } | { refused: Receipt }> {
    const admitted: Admitted[] = []
    for (const [at, item] of items.entries()) {
      const admission = await this.#admit(item, at, caller)
      if ('status' in admission) return this.#refused(item, admission)
      if (admitted.some(({ event }) => event.id === admission.event.id)) return this.#refused(item, conflict(admission.event))
      admitted.push(admission)
    }
    const entered: Entered[] = []
    const made: Admitted[] = []
    const known = await this.#known(admitted)
    for (const one of admitted) {
      const seen = known.has(identityOf(one)) ? await this.#seen(one) : null
      if (seen === null) made.push(one)
      entered.push(seen ?? { eventId: one.eventId, receipt: acceptedOf(one) })
    }
    const taken = entered.findIndex(({ receipt }) => receipt.error !== undefined)
    if (made.length === 0 && taken !== -1) return this.#refused(items[taken], (entered[taken] as Entered).receipt)
    const strict = made.flatMap(one => one.steps.map(step => step.name === 'insert_event' ? { ...step, name: 'insert_event_together' } : step))
    await this.#o.store.commit([...strict, ...this.#wakeSteps(made), ...steps(entered)])
    for (const { at } of admitted) this.#o.onReceipt(this.#typeOf(items[at]), (entered[at] as Entered).receipt.status)
    this.#wake(made)
    return { entered }
  }

  #refused (item: unknown, receipt: Receipt): { refused: Receipt } {
    this.#o.onReceipt(this.#typeOf(item), 'refused')
    return { refused: receipt }
  }

  /** Identities of those that came before: one question for all of a shop and source. */
  async #known (admitted: readonly Admitted[]): Promise<ReadonlySet<string>> {
    const known = new Set<string>()
    for (const those of Map.groupBy(admitted, ({ shopKey, event }) => `${shopKey} ${event.source}`).values()) {
      const { shopKey, event } = those[0] as Admitted
      const rows = await this.#o.store.read('known_identities', { shop_key: shopKey, source: event.source, source_ids: JSON.stringify(those.map(({ event: { id } }) => id)) })
      for (const row of rows) known.add(identityOf({ shopKey, event: { source: event.source, id: String(row.source_id) } }))
    }
    return known
  }

  /** Null where the identity is new. The same event is a duplicate, another one under its id is a conflict. */
  async #seen ({ event, shopKey, text }: Admitted): Promise<Entered | null> {
    const [first] = await this.#o.store.read('event_by_identity', { shop_key: shopKey, source: event.source, source_id: event.id })
    if (!first) return null
    const eventId = String(first.id)
    if (first.type !== event.type || !sameData(first, text, event.data)) return { eventId, receipt: conflict(event) }
    const rows = await this.#o.store.read('deliveries_of_event', { event_key: first.event_key as number })
    return { eventId, receipt: { id: event.id, status: 'duplicate', deliveries: rows.map(receiptOf) } }
  }

  #person (event: GatewayEvent): Uint8Array | null {
    const path = this.#persons.get(event.type)
    if (!path) return null
    let value: unknown = event.data
    for (const key of path) value = (value as Record<string, unknown> | undefined)?.[key]
    return typeof value === 'string' ? this.#o.person(value) : null
  }
}

/** The events first, then their deliveries: what is alike goes to the database together. */
function byKind (admitted: readonly Admitted[]): Step[] {
  return [...admitted.map(({ steps }) => steps[0] as Step), ...admitted.flatMap(({ steps }) => steps.slice(1))]
}

function identityOf ({ shopKey, event: { source, id } }: { shopKey: number, event: Pick<GatewayEvent, 'source' | 'id'> }): string { return JSON.stringify([shopKey, source, id]) }

/** A character has at most three bytes of UTF-8 per unit of its length, so most need not be counted. */
function tooLarge (text: string): boolean { return text.length * 3 > EVENT_CAP_BYTES && Buffer.byteLength(text) > EVENT_CAP_BYTES }

/** SHA-256 of the canonical JSON: kept instead of the data when its retention ends. */
export function digest (data: unknown): Buffer { return createHash('sha256').update(canonicalJson(data)).digest() }

function sameData (first: Row, text: string, data: unknown): boolean {
  if (first.data === null) return Buffer.from(first.digest as Uint8Array).equals(digest(data))
  return first.data === text || canonicalJson(JSON.parse(first.data as string)) === canonicalJson(data)
}

function receiptOf (row: Row): Receipt['deliveries'][number] {
  const { state, reason } = stateOfRow(row)
  return { id: String(row.id), provider: (row.account_provider ?? row.provider) as string | null, state, ...(reason && { reason }) }
}

function acceptedOf ({ event, going }: Admitted): Receipt {
  if (going === null) return { id: event.id, status: 'accepted', deliveries: [] }
  const { route: { provider, held }, deliveryId } = going
  return { id: event.id, status: 'accepted', deliveries: [{ id: deliveryId, provider, state: held ? 'held' : 'waiting', ...(held && { reason: held }) }] }
}

function noShop ({ id, shop }: GatewayEvent): Receipt {
  return refused(id, 'GW_SHOP_UNKNOWN', `No shop is called "${shop}".`, [{ path: '/shop', rule: 'exists', message: 'no such shop', got: shop }])
}

function conflict ({ id, source }: GatewayEvent): Receipt {
  return refused(id, 'GW_EVENT_CONFLICT', `The id "${id}" of source "${source}" was used for another event.`, [{ path: '/id', rule: 'unique', message: 'same shop, source and id, other type or data' }])
}

function refused (id: string | null, code: Code, message: string, details: Detail[]): Receipt {
  return { id, status: 'refused', deliveries: [], error: { code, message, details } }
}

function idOf (item: unknown): string | null {
  const id = (item as { id?: unknown } | null)?.id
  return typeof id === 'string' ? id.slice(0, 200) : null
}
