// A store with the waiting list's tables and no gateway: events are written one by one, as the door writes them.

import type { Test } from 'tap'
import type { Entering, Row, SourceContext, Step } from '../../gateway/define.ts'
import type { Extensible, Store } from '../../gateway/contract.ts'
import { newPlace, openAlone, query } from '../../test/helpers/stores.ts'
import waitlist from './index.ts'

export const SHOP = { key: 1, id: 'acme.example' }
const START = 1_800_000_000_000

export interface Stock { total: number | null, armed: number | null, waves: number, running: number, levels: number }

export class World {
  store: Store
  now = START
  options: Record<string, unknown> = { threshold: 1, automatic: true, batches: null, reminder_after_days: null }
  #place: string
  #ids = 0

  constructor (store: Store, place: string) {
    this.store = store
    this.#place = place
  }

  /** What of a source's context its steps are made with. */
  get context (): SourceContext {
    const { store } = this
    const newId = (prefix: string): string => `${prefix}${String(++this.#ids).padStart(8, '0')}`
    return {
      id: 'waitlist', options: this.options, now: () => this.now, newId,
      person: (text: string) => Buffer.from(text), read: (name: string, params: Step['params']) => store.read(name, params), commit: (steps: Step[]) => store.commit(steps),
      job: (kind: string, uniqueKey: string, dueAt: number): Step => ({ name: 'put_job_soon', params: { job_key: store.nextKey('jobs'), id: newId('job_'), kind, unique_key: uniqueKey, account_key: null, due_at: dueAt, now: this.now } })
    } as unknown as SourceContext
  }

  /** Accepts an event; one whose id was accepted before changes nothing. */
  async event (id: string, type: string, data: Record<string, unknown>, person: Uint8Array | null = null): Promise<void> {
    const key = this.store.nextKey('events')
    const event: Entering = { key, id: `evt_${key}`, shop: SHOP, type, source: '/test', sourceId: id, timeAt: this.now, receivedAt: this.now, person, data }
    const consumed = waitlist.consumes?.[type]?.(event, this.context) ?? []
    await this.store.commit([{ name: 'insert_event', params: { event_key: key, id: event.id, shop_key: SHOP.key, source: '/test', source_id: id, type, time_at: this.now, received_at: this.now, person, data: '{}' } }, ...consumed])
  }

  /** So much is available, as of a number of seconds after the start; the total where no location is named. */
  async stock (id: string, available: number, atSeconds: number, { variant = 'v', location }: { variant?: string, location?: string } = {}): Promise<void> {
    await this.event(id, 'stock.changed', { variant: { id: variant }, product: { id: 'p' }, available, at: new Date(START + atSeconds * 1000).toISOString(), ...(location !== undefined && { location }) })
  }

  /** Someone waits, since a while ago; the variant is known to be out of stock by that. */
  async waits (id: string, { variant = 'v', person = id, state = 1, customer = null as string | null, email = null as string | null } = {}): Promise<void> {
    const hash = (text: string): string => Buffer.from(text).toString('hex')
    const bytes = (text: string | null): string => text === null ? 'null' : this.#place.startsWith('postgres') ? `'\\x${hash(text)}'::bytea` : `x'${hash(text)}'`
    const text = (value: string | null): string => value === null ? 'null' : `'${value}'`
    await this.sql(`insert into waitlist_signups (id, shop_key, variant, product, person, email, customer, data, consent, source, joined_at, created_at, state)
      values ('${id}', ${SHOP.key}, '${variant}', 'p', ${bytes(person)}, ${bytes(email)}, ${text(customer)}, '{}', 1, 'test', ${START - 60_000}, ${START}, ${state})`)
    await this.sql(`insert into waitlist_stock (shop_key, variant, product, armed) values (${SHOP.key}, '${variant}', 'p', 1) on conflict do nothing`)
  }

  sql (text: string): Promise<Row[]> { return query(this.#place, text) }

  async seen (variant = 'v'): Promise<Stock> {
    const [stock] = await this.sql(`select total, armed from waitlist_stock where variant = '${variant}'`)
    const [waves] = await this.sql(`select count(*) as waves, coalesce(sum(case when state = 1 then 1 else 0 end), 0) as running from waitlist_waves where variant = '${variant}'`)
    const [levels] = await this.sql(`select count(*) as levels from waitlist_levels where variant = '${variant}'`)
    const number = (value: unknown): number | null => value === null || value === undefined ? null : Number(value)
    return { total: number(stock?.total), armed: number(stock?.armed), waves: Number(waves?.waves), running: Number(waves?.running), levels: Number(levels?.levels) }
  }
}

export async function makeWorld (t: Test): Promise<World> {
  const place = await newPlace(t)
  const store = await openAlone(t, place, () => START)
  await (store as Store & Extensible).extend({ prefix: 'waitlist_', migrations: `${import.meta.dirname}/migrations`, statements: dialect => waitlist.statements?.(dialect) ?? {} })
  return new World(store, place)
}
