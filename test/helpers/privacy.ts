// What platforms say about people's data and about shops, and looking for what may be nowhere any more.

import { CONFIG, ROOT, startApp, until, type Answered, type App, type AppOptions, type Body } from './app.ts'
import { eventOf } from './load.ts'
import { storeKind } from './stores.ts'
import type { Teardown } from './tmp.ts'

export const SHOP = 'acme.example'
export const OTHER = 'globex.example'
export const ADA = { name: 'Ada Example', phone: '+12015550123', email: 'ada@example.com', id: '600100200' }
export const BEN = { name: 'Ben Sample', phone: '+12015550124', email: 'ben@example.com', id: '600100300' }
export type Somebody = typeof ADA

const TYPES = ['customer.redact', 'customer.data_request', 'shop.updated', 'shop.redact']
const RECORDED = TYPES.map(type => `  ${type}: { schema: ${ROOT}/schemas/events/${type}.schema.json }\n`).join('')

/** The config given, with the types that say what is to be done with data. */
export function withPrivacy (config = CONFIG): string { return config.replace('event_types:\n', `event_types:\n${RECORDED}`) }

export function startPrivacyApp (t: Teardown, { config, ...options }: AppOptions = {}): Promise<App> {
  return startApp(t, { config: withPrivacy(config), ...options })
}

/** An alert for somebody, or an order. */
export function about ({ name, phone, email, id }: Somebody, event: string, { shop = SHOP, ...more }: { shop?: string, type?: 'back_in_stock.alert' | 'preorder.confirmed', time?: string } = {}): Body {
  const { data, ...rest } = eventOf({ id: event, shop, ...(more.type && { type: more.type }) })
  const { customer } = data as { customer: object }
  return { ...rest, ...(more.time !== undefined && { time: more.time }), data: { ...data, customer: { ...customer, name, phone, email, id } } }
}

let told = 0

/** As a platform's source would say it. */
export async function tell (app: App, type: string, data: object, { shop = SHOP, id = `told-${++told}` }: { shop?: string, id?: string } = {}): Promise<Answered> {
  const answered = await app.post({ id, shop, type, data })
  if (answered.status !== 202) throw new Error(`${type} was answered ${answered.status}: ${JSON.stringify(answered.body)}`)
  return answered
}

export async function redact (app: App, customer: object, { shop = SHOP, orders = [] as string[], id }: { shop?: string, orders?: string[], id?: string } = {}): Promise<void> {
  await tell(app, 'customer.redact', { customer, orders }, { shop, ...(id !== undefined && { id }) })
  await settled(app)
}

/** Nothing is left to be done with anybody's data, or to be followed of a shop. */
export async function settled (app: App): Promise<void> {
  await until(async () => (await app.query("select 1 as open from privacy where done_at is null union all select 1 from jobs where kind in ('privacy', 'shop_life')")).length === 0)
}

/** Where any of these words stands, in whatever table of the store: `table.column`. */
export async function found (app: App, words: readonly string[]): Promise<string[]> {
  const tables = storeKind === 'postgres' ? "select tablename as name from pg_tables where schemaname = 'public'" : "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'"
  const places = new Set<string>()
  for (const { name } of await app.query(tables)) {
    for (const row of await app.query(`select * from ${String(name)}`)) {
      for (const [column, value] of Object.entries(row)) if (words.some(word => String(value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value).includes(word))) places.add(`${String(name)}.${column}`)
    }
  }
  return [...places].toSorted()
}

export function wordsOf ({ name, phone, email, id }: Somebody): string[] { return [name, phone.slice(1), email, id] }
