// A shop connected to Klaviyo's sandbox, which outlives the gateway; time that a test moves, for both of them.

import type { Test } from 'tap'
import { request } from 'undici'
import type { Runtime } from '../../gateway/contract.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { CONFIG, makeApp, until, type App, type AppOptions, type Body } from '../../test/helpers/app.ts'
import { entry, loadOne } from '../../test/helpers/providers.ts'
import { act, itemOf, pathOf, shown, SHOP, type ItemView } from '../../test/helpers/setup.ts'
import { FOLDER } from './automatic.test-folder.ts'

export const KLAVIYO = pathOf('klaviyo')
export const KEY = 'pk_0123456789abcdef'
export const STOCK = ['STOQ - Back in stock SMS alert (STOQ)', 'STOQ - Back in stock SMS reminder 1 (STOQ)']
const METRICS = STOCK.map(name => name.replace('STOQ - ', ''))
const HEADERS = { authorization: `Klaviyo-API-Key ${KEY}`, revision: '2026-07-15', 'content-type': 'application/vnd.api+json' }
/** Between two looks at a task, 20 ms apart. */
const STEP_MS = 200

export interface Link { title: string, url: string }
export interface Flow { id: string, name: string, status: string, archived: boolean, metric_id: string, actions: Array<{ status: string, message: Record<string, unknown> }> }
export interface TaskItem extends ItemView {
  detail: string | null
  progress: { text: string, phases: Array<Body & { title: string, state: string }>, waiting: { reason: string, text: string, until: string } | null } | null
  banner: string | null
  links: Link[]
  made: Link[]
}

/** Both clocks of a gateway; or that on the wall alone, since the other one counts the lease of its accounts, of ten minutes. */
export interface Clock { runtime: Runtime, advance (ms: number): void, wall (ms: number): void }
export interface World { app: App, clock: Clock, url: string, account: string }

function clocks (): Clock {
  const system = systemRuntime()
  let [ahead, wall] = [0, 0]
  return { runtime: { ...system, now: () => system.now() + ahead + wall, mono: () => system.mono() + ahead }, advance (ms) { ahead += ms }, wall (ms) { wall += ms } }
}

/** Klaviyo connected, nothing chosen yet; events are seen at once. `known`: Klaviyo has had events of the group's metrics. */
export async function connected (t: Test, { known = true, ...options }: AppOptions & { known?: boolean } = {}): Promise<World> {
  const clock = clocks()
  const sandbox = await startSandbox({ providers: [await loadOne(entry('klaviyo', import.meta.dirname))], port: 0, now: () => clock.runtime.mono(), wallNow: () => clock.runtime.now() })
  t.teardown(() => sandbox.close())
  const url = `${sandbox.url}/klaviyo`
  await order({ url }, 'POST', '/_sandbox/listing_delay', { ms: 0 })
  if (known) for (const metric of METRICS) await order({ url }, 'POST', '/api/events', eventOf(metric))
  const app = makeApp(t, { config: configAt(sandbox.url), runtime: clock.runtime, ...options })
  await app.start()
  await done(app, 'key/connect', { secrets: { api_key: KEY } })
  const { body: { connection } } = await app.ask('GET', `/v1/shops/${SHOP}/providers/klaviyo`)
  return { app, clock, url, account: (connection as { account_id: string }).account_id }
}

function eventOf (metric: string): object {
  return { data: { type: 'event', attributes: { unique_id: 'own', backfill: true, properties: {}, metric: { data: { type: 'metric', attributes: { name: metric } } }, profile: { data: { type: 'profile', attributes: { external_id: 'own' } } } } } }
}

/** By name. */
export async function metricsOf (world: Pick<World, 'url'>): Promise<Array<{ id: string, attributes: { name: string } }>> {
  const { data } = await order(world, 'GET', '/api/metrics?filter=equals(integration.name,%22API%22)')
  return (data as Array<{ id: string, attributes: { name: string } }>).toSorted((a, b) => a.attributes.name < b.attributes.name ? -1 : 1)
}

/** Another sandbox plays the providers: this one does not end with the gateway. */
export function configAt (sandboxUrl: string): string {
  return CONFIG.replace('providers:\n', `providers:\n  klaviyo: { path: ${FOLDER} }\n`).replace('sandbox: { enabled: true, port: 0 }', `sandbox: { enabled: true, url: ${JSON.stringify(sandboxUrl)} }`)
}

/** A call that is none of the gateway's: of a test, of the merchant, or of another app at Klaviyo. */
export async function order ({ url }: Pick<World, 'url'>, method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: object): Promise<Body> {
  const response = await request(url + path, { method, headers: !path.startsWith('/_sandbox') ? HEADERS : body === undefined ? {} : { 'content-type': 'application/json' }, ...(body !== undefined && { body: JSON.stringify(body) }) })
  const text = await response.body.text()
  if (response.statusCode >= 400) throw new Error(`${method} ${path} answered ${response.statusCode}: ${text}`)
  return text === '' ? {} : JSON.parse(text) as Body
}

/** `path` null: any. */
export async function fault (world: World, method: string, path: string | null, more: object): Promise<void> {
  await order(world, 'POST', '/_sandbox/faults', { match: { method, ...(path !== null && { path }) }, ...more })
}

export async function heal (world: World): Promise<void> { await order(world, 'DELETE', '/_sandbox/faults') }

/** What a merchant does; anything but a success is thrown. */
export async function done (app: App, what: string, body: object): Promise<void> {
  const answer = await act(app, what, body, KLAVIYO)
  if (answer.status >= 300) throw new Error(`${what} answered ${answer.status}: ${JSON.stringify(answer.body.error)}`)
}

export async function begin ({ app }: World, group = 'back_in_stock'): Promise<void> {
  await done(app, 'method/choose', { subject: group, value: 'automatic' })
  await done(app, 'automatic/start', { subject: group })
}

export async function task ({ app }: Pick<World, 'app'>, group = 'back_in_stock'): Promise<TaskItem> {
  return itemOf(await shown(app, KLAVIYO), 'automatic', group) as TaskItem
}

/** Lets time pass until it is so; with `stepMs` on the wall alone. */
export async function passes (world: World, is: (item: TaskItem) => boolean, group = 'back_in_stock', stepMs?: number): Promise<TaskItem> {
  let item = await task(world, group)
  await until(async () => {
    if (is(item)) return true
    if (stepMs === undefined) world.clock.advance(STEP_MS)
    else world.clock.wall(stepMs)
    item = await task(world, group)
    return is(item)
  })
  return item
}

export async function over (world: World, group?: string, stepMs?: number): Promise<TaskItem> {
  return await passes(world, ({ state }) => state !== 'running', group, stepMs)
}

/** It has come to a fault, and waits. */
export async function waits (world: World): Promise<TaskItem> {
  return await passes(world, ({ progress }) => progress?.waiting != null && progress.waiting.reason !== 'deferred')
}

/** By name. */
export async function flows (world: Pick<World, 'url' | 'account'>): Promise<Flow[]> {
  return ((await order(world, 'GET', `/_sandbox/flows?account=${world.account}`)).items as unknown as Flow[]).toSorted((a, b) => a.name < b.name ? -1 : 1)
}

/** What Klaviyo was asked, oldest first, ids left out. */
export async function asked (world: Pick<World, 'url'>): Promise<string[]> {
  const { items = [] } = await order(world, 'GET', '/_sandbox/requests?limit=10000')
  return items.toReversed().map(({ method, path, status }) => `${String(method)} ${String(path).replace(/\/[A-Z0-9]{6}(?=\/|$)/, '/{id}')} ${String(status)}`)
}

export async function creates (world: Pick<World, 'url'>): Promise<number> {
  return (await asked(world)).filter(line => line === 'POST /api/flows 201').length
}

/** Each metric of the group has one flow, and it is live. */
export async function onePerMetric (t: Test, world: Pick<World, 'url' | 'account'>): Promise<void> {
  const made = await flows(world)
  t.strictSame(made.map(({ name, status }) => [name, status]), STOCK.map(name => [name, 'live']))
  t.equal(new Set(made.map(flow => flow.metric_id)).size, STOCK.length)
}
