// The Admin API's part without a gateway around it: its SQL on a database in memory, the sandbox over real HTTP, and one
// clock for both, which moves when somebody sleeps.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Answer, Provider, Row, SourceContext, SourceEvent, SourceShop, Step, Value } from '../../../gateway/contract.ts'
import { startSandbox } from '../../../gateway/providers/sandbox.ts'
import { SQLITE } from '../../../gateway/store/dialect.ts'
import type { Teardown } from '../../../test/helpers/tmp.ts'
import type { ShopData } from '../sandbox-shop.ts'
import { adminOf } from './admin.ts'
import { client } from './client.ts'
import { adminStatements } from './statements.ts'

export const SHOP: SourceShop = { key: 1, id: 'example-shop.myshopify.com', name: 'Example', domain: 'example.com', plan: 'pro', capabilities: [] }
export const TOKEN = 'shpat_0123456789abcdef'
/** As the source's first migration makes it. */
const ITEMS = 'create table shopify_items (shop_key integer, variant text, item text, product text, quantity integer, at integer, primary key (shop_key, variant))'

type Entry = Record<string, unknown> & { account: string, path: string, status: number, body: { name: string | null, variables: Record<string, unknown> } }

export interface World {
  context: SourceContext
  /** Moves its clock. */
  advance (ms: number): void
  /** Moves its clock too, as the sleep of a client. */
  sleep (ms: number): Promise<void>
  /** How long was slept in all. */
  slept: number[]
  /** What a shop of the sandbox has, and how it behaves. */
  data (data: ShopData, shop?: string): Promise<void>
  fault (order: object): Promise<void>
  /** Questions that came, oldest first; tokens that were asked for have no name. */
  asked (): Promise<Entry[]>
  /** Gives a shop access, as the API does. */
  give (tokens?: { access_token: string, refresh_token?: string }, expiresAt?: number | null, shop?: SourceShop): Promise<void>
  rows (sql: string): Row[]
  events: Array<SourceEvent & { shop: string }>
  /** Jobs that were made due, latest last. */
  jobs: Array<{ kind: string, key: string, dueAt: number, /** Those that nobody waits for. */ background?: true }>
  warnings: string[]
  shops: Map<string, SourceShop>
}

export interface WorldOptions { options?: Record<string, unknown>, publicUrl?: string | null, live?: boolean, /** In place of HTTP. */ send?: SourceContext['send'] }

export async function world (t: Teardown, { options = {}, publicUrl = 'https://gateway.example', live = false, send }: WorldOptions = {}): Promise<World> {
  let ahead = 0
  const start = Date.UTC(2026, 10, 20, 12)
  const clock = { now: () => start + ahead, mono: () => ahead }
  const played = { id: 'shopify', title: 'Shopify', dir: join(import.meta.dirname, '..'), groups: {} } as Partial<Provider> as Provider
  const { url, close } = await startSandbox({ providers: [played], port: 0, now: clock.mono, wallNow: clock.now })
  const db = new DatabaseSync(':memory:')
  db.exec(readFileSync(join(import.meta.dirname, '../migrations/0002_admin.sqlite.sql'), 'utf8'))
  db.exec(ITEMS)
  t.teardown(async () => { db.close(); await close() })
  const sql: Record<string, string> = adminStatements(SQLITE)
  const shops = new Map([[SHOP.id, SHOP]])
  const [events, jobs, warnings]: [World['events'], World['jobs'], string[]] = [[], [], []]

  const prepare = (name: string, params: Record<string, Value>) => {
    const text = sql[name]
    if (text === undefined) throw new Error(`no statement ${name}`)
    const used = new Set([...text.matchAll(/:([a-z_]+)/g)].map(([, param]) => param as string))
    for (const param of used) if (params[param] === undefined) throw new Error(`statement ${name} was given no ${param}`)
    return { statement: db.prepare(text), given: Object.fromEntries(Object.entries(params).filter(([param]) => used.has(param))) }
  }
  const context: SourceContext = {
    id: 'shopify',
    payloadMs: 30 * 24 * 3_600_000,
    options: { api_version: '2026-10', client_id: 'client_0123456789', subscriptions: 'app', reconcile_minutes: 15, ...options },
    secrets: { client_secret: ['shopify_test_client_secret_0001'] },
    publicUrl,
    sandboxUrl: live ? null : `${url}/shopify`,
    ...clock,
    random: () => 0.5,
    newId: prefix => `${prefix}1`,
    has: name => sql[name] !== undefined,
    async read (name, params) {
      const { statement, given } = prepare(name, params)
      return statement.all(given).map(row => ({ ...row })) as Row[]
    },
    async commit (steps) {
      return steps.map(({ name, params }) => {
        if (name === 'put_job') { jobs.push({ kind: String(params.kind), key: String(params.unique_key), dueAt: Number(params.due_at), ...(params.background === 1 && { background: true }) }); return { changes: 1, rows: [] } }
        const { statement, given } = prepare(name, params)
        return { changes: Number(statement.run(given).changes), rows: [] }
      })
    },
    person: text => Buffer.from(text),
    shop: async id => shops.get(id) ?? null,
    shopByKey: async key => [...shops.values()].find(shop => shop.key === key) ?? null,
    shopOf: () => SHOP,
    callerOf: () => 'test',
    async accept (made) {
      events.push(...made)
      return { is: 'accepted', events: made.map(({ id }) => ({ sourceId: id, status: 'accepted' })) }
    },
    ahead: async () => ({ room: 0, waiting: 0, provider: null, held: null }),
    duration: async () => null,
    withdraw: async () => 0,
    job: (kind, key, dueAt, { background = false } = {}): Step => ({ name: 'put_job', params: { kind, unique_key: key, due_at: dueAt, background: background ? 1 : 0 } }),
    look () {},
    audit: () => ({ name: 'put_job', params: { kind: 'audit', unique_key: '', due_at: 0 } }),
    send: send ?? overHttp,
    seal: (text, place) => ({ key_id: 'k1', version: 1, sealed: Buffer.from(JSON.stringify([place, text])) }),
    open ({ sealed }, place) {
      const [where, text] = JSON.parse(Buffer.from(sealed).toString()) as [string, string]
      return where === place ? text : null
    },
    warn (_fields, message) { warnings.push(message) }
  }
  const order = async (path: string, body: object): Promise<void> => {
    const { ok } = await fetch(`${url}/shopify${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    if (!ok) throw new Error(`${path} was refused`)
  }
  const slept: number[] = []
  const sleep = async (ms: number): Promise<void> => { slept.push(ms); ahead += ms; await new Promise(resolve => { setImmediate(resolve) }) }
  adminOf(context, () => client(context, sleep))
  return {
    context,
    advance (ms) { ahead += ms },
    sleep,
    slept,
    data: (data, shop = SHOP.id) => order(`/${shop}/_data`, data),
    fault: body => order('/_sandbox/faults', body),
    async asked () { return (await (await fetch(`${url}/shopify/_sandbox/requests?limit=10000`)).json() as { items: Entry[] }).items.toReversed() },
    async give (tokens = { access_token: TOKEN }, expiresAt = null, shop = SHOP) {
      const params = { shop_key: shop.key, scopes: null, given_at: clock.now(), expires_at: expiresAt, ...context.seal(JSON.stringify(tokens), `${shop.id} shopify access`) }
      await context.commit([{ name: 'shopify_give_access', params }])
    },
    rows: text => db.prepare(text).all().map(row => ({ ...row })) as Row[],
    events,
    jobs,
    warnings,
    shops
  }
}

async function overHttp (baseUrl: string, { method, path, headers, body }: { method: string, path: string, headers: Record<string, string>, body: string | null }, credentials: Record<string, string> = {}): Promise<Answer> {
  try {
    const answer = await fetch(baseUrl + path, { method, headers: { ...headers, ...credentials }, body, redirect: 'manual' })
    return { kind: 'answer', status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text(), cut: false }
  } catch (error) {
    return { kind: 'no_answer', code: 'RESET', message: String(error) }
  }
}
