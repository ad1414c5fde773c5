// The gateway within the test's own process: real HTTP on free ports, data of its own, the providers played by the
// sandbox. It stops when the test ends.

import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { request } from 'undici'
import { startGateway, type Gateway } from '../../gateway/app.ts'
import type { Row, Runtime } from '../../gateway/contract.ts'
import type { FreeBytes } from '../../gateway/pressure.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { eventOf } from './load.ts'
import { MADE_FILES } from './made-providers.ts'
import { writeFolder } from './providers.ts'
import { newPlace, query, storeConfig, storeKind, type Place } from './stores.ts'
import { tempDir, type Teardown } from './tmp.ts'

export const ROOT = join(import.meta.dirname, '..', '..')

const SECRETS = ['KEY_ONE', 'PERSON', 'KEY_ALL', 'KEY_ACME', 'KEY_GLOBEX', 'KEY_EVENTS', 'KEY_READER']

const STORE = 'store: { path: data/gateway.db }'

/** Two shops at two providers made for the tests, API keys for all, for each, and for one thing only. Changed by replacing parts of it. */
export const CONFIG = `version: 1
server: { host: 127.0.0.1, port: 0 }
log: { level: info }
${STORE}
sandbox: { enabled: true, port: 0 }
security:
  encryption_keys: [{ id: k1, env: KEY_ONE }]
  person_key: { env: PERSON }
  api_keys:
    - { id: all, env: KEY_ALL, scopes: [events:write, deliveries:read, deliveries:write, shops:read, shops:write], shops: "*" }
    - { id: acme, env: KEY_ACME, scopes: [events:write, deliveries:read, deliveries:write, shops:read, shops:write], shops: [acme.example] }
    - { id: globex, env: KEY_GLOBEX, scopes: [events:write, deliveries:read, deliveries:write, shops:read, shops:write], shops: [globex.example] }
    - { id: events, env: KEY_EVENTS, scopes: [events:write], shops: "*" }
    - { id: reader, env: KEY_READER, scopes: [deliveries:read, shops:read], shops: "*" }
plans:
  free: []
  pro: [external_sms]
channels:
  sms: { default_provider: courier }
event_types:
  back_in_stock.alert: { schema: ${ROOT}/schemas/events/back_in_stock.alert.schema.json, channel: sms, setup_group: back_in_stock, kind: marketing, expires_after: 24h, person: /customer/phone }
  back_in_stock.reminder: { schema: ${ROOT}/schemas/events/back_in_stock.reminder.schema.json, channel: sms, setup_group: back_in_stock, kind: marketing, expires_after: 24h, person: /customer/phone }
  preorder.confirmed: { schema: ${ROOT}/schemas/events/preorder.confirmed.schema.json, channel: sms, setup_group: preorder, kind: transactional, expires_after: 72h, person: /customer/phone }
  waitlist.joined: { schema: ${ROOT}/schemas/events/waitlist.joined.schema.json, channel: sms, setup_group: back_in_stock, kind: sync, expires_after: 30d, person: /customer/phone }
providers:
  courier: { path: providers/courier }
  herald: { path: providers/herald }
shops:
  - id: acme.example
    name: Acme
    domain: acme.example
    plan: pro
    channels: { sms: courier }
    connections: [{ provider: courier, secrets: { api_key: { env: ACME_KEY } }, ready: [back_in_stock, preorder] }]
  - id: globex.example
    name: Globex
    domain: globex.example
    plan: pro
    channels: { sms: herald }
    connections: [{ provider: herald, secrets: { api_key: { env: GLOBEX_KEY } }, ready: [back_in_stock, preorder] }]
`

export type Who = 'all' | 'acme' | 'globex' | 'events' | 'reader'

export interface AppOptions {
  config?: string
  /** Data folder to go on with. */
  dir?: string
  runtime?: Runtime
  env?: Record<string, string>
  port?: number
  /** Instead of the disk's own word. */
  freeBytes?: FreeBytes
}

export interface Answered { status: number, headers: Record<string, string | string[] | undefined>, body: Body }
/** JSON as it came; a test says what it expects of it. */
export type Body = Record<string, unknown> & { items?: Body[], error?: { code: string, details: Array<Record<string, unknown>>, request_id: string, fix: string } }

export interface Asked { key?: Who | null, body?: unknown, headers?: Record<string, string>, raw?: string | Buffer }

/** The gateway, its files, what it said, and ways to ask it. */
export class App {
  readonly dir: string
  readonly env: Record<string, string>
  /** What the person who started it reads. */
  readonly out: string[] = []
  /** Log lines as they were written. */
  readonly lines: string[] = []
  #t: Teardown
  #gateway!: Gateway
  #running = false
  #options: AppOptions
  #waiting: Array<{ fits: (entry: Body) => boolean, resolve: (entry: Body) => void }> = []

  constructor (t: Teardown, dir: string, options: AppOptions) {
    this.#t = t
    this.dir = dir
    this.#options = options
    this.env = { ...Object.fromEntries(SECRETS.map(name => [name, randomBytes(32).toString('base64url')])), ACME_KEY: `courier_${randomBytes(16).toString('hex')}`, GLOBEX_KEY: `herald_${randomBytes(16).toString('hex')}`, ...options.env }
    writeFolder(join(dir, 'providers'), MADE_FILES)
    this.write(options.config ?? CONFIG)
  }

  get url (): string { return this.#gateway.url }
  get sandboxUrl (): string { return this.#gateway.sandboxUrl as string }
  /** Where its data are. */
  get place (): Place { return storeKind === 'postgres' ? this.env.DATABASE_URL as string : join(this.dir, 'data', 'gateway.db') }

  /** Replaces the config; `start` or `reload` reads it. */
  write (config: string): void { writeFileSync(join(this.dir, 'gateway.config.yaml'), onStore(config)) }

  /** Rows of one statement, as another process would see them; or writes. */
  query (sql: string): Promise<Row[]> { return query(this.place, sql) }

  async start (): Promise<void> {
    if (storeKind === 'postgres') this.env.DATABASE_URL ??= await newPlace(this.#t)
    this.#t.teardown(() => this.close())
    this.#gateway = await startGateway({
      file: 'gateway.config.yaml',
      cwd: this.dir,
      env: this.env,
      sandbox: null,
      port: this.#options.port ?? null,
      out: line => { this.out.push(line) },
      log: line => { this.#read(line) },
      ...(this.#options.runtime && { runtime: this.#options.runtime }),
      ...(this.#options.freeBytes && { freeBytes: this.#options.freeBytes })
    })
    this.#running = true
  }

  async close (): Promise<void> {
    if (!this.#running) return
    this.#running = false
    await this.#gateway.close()
  }

  async restart (): Promise<void> {
    await this.close()
    await this.start()
  }

  reload (): Promise<boolean> { return this.#gateway.reload() }

  /** One request. `key` null sends no credentials; a body is sent as JSON, `raw` as it is. */
  async ask (method: string, path: string, { key = 'all', body, headers = {}, raw }: Asked = {}): Promise<Answered> {
    const response = await request(this.url + path, {
      method,
      headers: { ...(key !== null && { authorization: `Bearer ${this.keyOf(key)}` }), ...((body !== undefined || raw !== undefined) && { 'content-type': 'application/json' }), ...headers },
      ...(raw !== undefined ? { body: raw } : body !== undefined ? { body: JSON.stringify(body) } : {})
    })
    const text = await response.body.text()
    const json = (response.headers['content-type'] ?? '').includes('json')
    return { status: response.statusCode, headers: response.headers, body: json ? JSON.parse(text) as Body : { text } }
  }

  keyOf (who: Who): string { return this.env[`KEY_${who.toUpperCase()}`] as string }

  /** Posts an event of ordinary size, or what is given of it. */
  post (event: object | object[], asked: Asked = {}): Promise<Answered> { return this.ask('POST', '/v1/events', { body: event, ...asked }) }

  /** The only delivery of an event, by the event's own id. */
  async delivery (sourceId: string): Promise<Body> {
    const { body } = await this.ask('GET', `/v1/deliveries?view=full&source_id=${encodeURIComponent(sourceId)}`)
    return body.items?.[0] as Body
  }

  /** The log line that fits, as soon as it is written, or one that was. */
  logged (fits: (entry: Body) => boolean): Promise<Body> {
    const found = this.lines.map(line => JSON.parse(line) as Body).find(fits)
    if (found) return Promise.resolve(found)
    return new Promise(resolve => { this.#waiting.push({ fits, resolve }) })
  }

  /** The end of the attempt at an accepted event's delivery. */
  attempted ({ body }: Pick<Answered, 'body'>): Promise<Body> {
    const { id } = deliveryOf({ body })
    return this.logged(entry => entry.msg === 'attempt' && entry.delivery === id)
  }

  /** The attempt that handed an accepted event's delivery over, whenever that is. */
  delivered (answered: Answered): Promise<Body> {
    const { id } = deliveryOf(answered)
    return this.logged(entry => entry.msg === 'attempt' && entry.delivery === id && entry.outcome === 'delivered')
  }

  /** What a provider's sandbox received, oldest first. */
  async received (provider: string): Promise<Body[]> {
    const response = await request(`${this.sandboxUrl}/${provider}/_sandbox/requests`)
    return ((await response.body.json() as Body).items as Body[]).toReversed()
  }

  async fault (provider: string, order: object): Promise<void> {
    const response = await request(`${this.sandboxUrl}/${provider}/_sandbox/faults`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(order) })
    await response.body.dump()
    if (response.statusCode !== 201) throw new Error(`the fault was refused: ${response.statusCode}`)
  }

  /** Ends the faults of a provider; how often they struck in all. */
  async heal (provider: string): Promise<number> {
    const url = `${this.sandboxUrl}/${provider}/_sandbox/faults`
    const { items } = await (await request(url)).body.json() as { items: Array<{ struck: number }> }
    await (await request(url, { method: 'DELETE' })).body.dump()
    return items.reduce((sum, { struck }) => sum + struck, 0)
  }

  #read (line: string): void {
    this.lines.push(line)
    const entry = JSON.parse(line) as Body
    const due = this.#waiting.filter(({ fits }) => fits(entry))
    this.#waiting = this.#waiting.filter(waiting => !due.includes(waiting))
    for (const { resolve } of due) resolve(entry)
  }
}

/** A config as it is written above, with the store that the tests run on. */
export function onStore (config: string): string {
  return storeKind === 'sqlite' ? config : config.replace(STORE, `store: ${JSON.stringify(storeConfig('').config)}`)
}

/** A started gateway. */
export async function startApp (t: Teardown, options: AppOptions = {}): Promise<App> {
  const app = makeApp(t, options)
  await app.start()
  return app
}

/** One that is not started yet. */
export function makeApp (t: Teardown, options: AppOptions = {}): App {
  return new App(t, options.dir ?? tempDir(t), options)
}

/** An event of ordinary size at a shop. */
export function anEvent (id: string, { shop = 'acme.example', ...more }: { shop?: string, type?: 'back_in_stock.alert' | 'preorder.confirmed' } = {}) {
  return eventOf({ id, shop, ...more })
}

/** Time that a test moves by hand; everything else is real. */
export function movable (): { runtime: Runtime, advance (ms: number): void } {
  const system = systemRuntime()
  let ahead = 0
  return { runtime: { ...system, now: () => system.now() + ahead }, advance (ms) { ahead += ms } }
}

/** The delivery that a receipt names. */
export function deliveryOf ({ body }: Pick<Answered, 'body'>): Body { return (body.deliveries as Body[])[0] as Body }

/** Asks until it is so; each question is a request of its own. */
export async function until (question: () => Promise<boolean>): Promise<void> {
  while (!await question()) await new Promise(resolve => { setTimeout(resolve, 20) })
}

/** A post whose body is not finished yet, and that the gateway has begun to read. */
export async function halfway (app: App, body: object, key: Who = 'all'): Promise<{ finish (): Promise<number> }> {
  const text = JSON.stringify(body)
  const headers = { authorization: `Bearer ${app.keyOf(key)}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), expect: '100-continue' }
  const going = httpRequest(`${app.url}/v1/events`, { method: 'POST', headers })
  const answered = new Promise<number>((resolve, reject) => {
    going.once('error', reject)
    going.once('response', response => { response.resume().once('end', () => { resolve(response.statusCode as number) }) })
  })
  answered.catch(() => {}) // whoever finishes it hears of it
  await new Promise<void>(resolve => { going.once('continue', resolve); going.flushHeaders() })
  going.write(text.slice(0, 10))
  return { finish () { going.end(text.slice(10)); return answered } }
}
