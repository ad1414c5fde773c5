// A source's context for tests: its own tables in memory, by its own migration and statements, and a door that keeps each id once.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { Received, Row, SourceContext, SourceEvent, Step, StepResult, Translated } from '../../gateway/define.ts'
import { checkTranslated } from '../../gateway/sources/translated.ts'
import { SQLITE } from '../../gateway/store/dialect.ts'
import type { LookUps } from './look-ups.ts'
import { OPTIONS } from './options.ts'
import { statements } from './statements.ts'
import { translator } from './translate.ts'

export const SHOP = 'example-shop.myshopify.com'
export const OTHER_SHOP = 'acme.myshopify.com'

const fits = new Ajv2020({ useDefaults: true }).compile(OPTIONS)
const SQL = statements(SQLITE)
const MIGRATION = readFileSync(join(import.meta.dirname, 'migrations/0001_items.sqlite.sql'), 'utf8')
const CORE = 'create table events (shop_key integer, source text, source_id text, type text, data text, primary key (shop_key, source, source_id)); create table inbox_keys (source text, key text); create table inbox (id text, topic text, shop text, subject text, headers text, body text, received_at integer)'

export const NOW = Date.parse('2026-11-16T15:15:05Z')

/** Options as the core hands them over. */
export function optionsOf (given: object = {}): Record<string, unknown> {
  const options: unknown = structuredClone(given)
  if (!fits(options)) throw new Error('the options do not fit')
  return options as Record<string, unknown>
}

export const NOBODY: LookUps = { variants: async () => 'unavailable', sellingPlans: async () => 'unavailable', orderLines: async () => 'unavailable' }

export interface FakeOptions { options?: object, lookUps?: Partial<LookUps>, shops?: Record<string, number> }

/** What came of a row: its events as the door took them. */
export interface Came { result: Translated, accepted: SourceEvent[], conflicts: string[] }

export class Fake {
  readonly db = new DatabaseSync(':memory:')
  readonly context: SourceContext
  /** In the order they entered. */
  readonly entered: SourceEvent[] = []
  /** Jobs that were put. */
  readonly jobs: Array<Step['params']> = []
  #translate: ReturnType<typeof translator>
  #shops: Record<string, number>

  constructor ({ options = {}, lookUps = {}, shops = { [SHOP]: 1, [OTHER_SHOP]: 2 } }: FakeOptions = {}) {
    this.db.exec(`${MIGRATION};${CORE}`)
    this.#shops = shops
    this.#translate = translator(() => ({ ...NOBODY, ...lookUps }))
    const used: Partial<SourceContext> = {
      id: 'shopify',
      options: optionsOf(options),
      now: () => NOW,
      read: async (name, params) => this.run({ name, params }).rows,
      job: (kind, uniqueKey, dueAt) => ({ name: 'put_job_soon', params: { kind, unique_key: uniqueKey, due_at: dueAt } }),
      accept: async (events, steps) => {
        const taken = events.filter(({ id }) => this.entered.some(first => first.id === id))
        for (const { shop: _, ...event } of events) if (!taken.some(({ id }) => id === event.id)) this.entered.push(event)
        for (const step of steps) this.run(step)
        return { is: 'accepted', events: events.map(({ id }) => ({ sourceId: id, status: 'accepted' })) }
      },
      commit: async steps => steps.map(step => this.run(step)),
      shop: async id => this.#shops[id] === undefined ? null : { key: this.#shops[id], id, name: 'Acme', domain: 'acme.example', plan: 'pro', capabilities: [] }
    }
    this.context = used as SourceContext
  }

  run ({ name, params }: Step): StepResult {
    if (name === 'put_job_soon') {
      this.jobs.push(params)
      return { changes: 1, rows: [] }
    }
    const statement = this.db.prepare(SQL[name] as string)
    const rows = statement.all(params) as Row[]
    const { n } = this.db.prepare('select changes() as n').get() as { n: number }
    return { changes: n, rows }
  }

  translate (received: Received): Promise<Translated> { return this.#translate(received, this.context) }

  /** Translates a row, and ends it as the core does. */
  async work (received: Received): Promise<Came> {
    const { id, topic, shop, subject, headers, body, receivedAt } = received
    this.db.prepare('insert into inbox values (?, ?, ?, ?, ?, ?, ?)').run(id, topic, shop, subject, JSON.stringify(headers), body, receivedAt)
    const result = checkTranslated(await this.translate(received)) as Translated as Translated
    const accepted: SourceEvent[] = []
    const conflicts: string[] = []
    for (const event of result.is === 'events' ? result.events : []) {
      const key = this.#shops[String(received.shop)] ?? 0
      const [first] = this.db.prepare('select data from events where shop_key = ? and source_id = ?').all(key, event.id) as Row[]
      if (first === undefined) {
        this.db.prepare('insert into events values (?, ?, ?, ?, ?)').run(key, '/sources/shopify', event.id, event.type, JSON.stringify(event.data))
        accepted.push(event)
      } else if (first.data !== JSON.stringify(event.data)) conflicts.push(event.id)
    }
    if (result.is !== 'parked') for (const step of result.steps ?? []) this.run(step)
    this.entered.push(...accepted)
    return { result, accepted, conflicts }
  }

  close (): void { this.db.close() }
}

let rows = 0

/** A row of the inbox. */
export function rowOf (topic: string, body: unknown, { shop = SHOP, headers = {}, receivedAt = NOW }: { shop?: string | null, headers?: Record<string, string>, receivedAt?: number } = {}): Received {
  return { id: `inb_${++rows}`, receivedAt, topic, shop, subject: null, headers: { 'api-version': '2026-10', 'webhook-id': `webhook-${rows}`, ...headers }, body: typeof body === 'string' || body === null ? body : JSON.stringify(body) }
}
