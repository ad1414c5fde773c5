// "buoy", a provider made for the tests that tells by itself who may be texted: subscriptions and tokens as its sandbox keeps them,
// and calls made as buoy would, or as somebody else.

import { join } from 'node:path'
import { request } from 'undici'
import { CONFIG, makeApp, until, type Answered, type App, type AppOptions, type Body } from './app.ts'
import type { Folder } from './made-providers.ts'
import { writeFolder } from './providers.ts'
import type { Teardown } from './tmp.ts'

export const SHOP = 'acme.example'
/** Keys of two accounts; what stands between the underscores is the account. */
export const KEY = 'buo_one_0123456789'
export const KEY_OTHER = 'buo_two_0123456789'
export const EVENTS = ['person.in', 'person.out']
export const PHONE = '+12015550123'

export const BUOY_WEBHOOKS = `webhooks:
  list: { request: hooks, items: /hooks, id: /id, event: /on, url: /to }
  subscribe: { request: hook }
  unsubscribe: { request: unhook }
  token: { request: secret, at: /secret, header: x-buoy-token }
  event_at: /what
  repeats: [/what, /who/id, /when]
  notices:
    - { event: person.in, is: subscribed, phone: [/who/phone], ref: [/who/id], at: /when }
    - { event: person.out, is: opted_out, phone: [/who/phone], ref: [/who/id] }
`

const MANIFEST = `contract: 1
id: buoy
title: Buoy
channels: [sms]
needs: [external_sms]
base_url: https://api.buoy.example
account: "{{ connection.account_id }}"
auth:
  api_key: { headers: { authorization: "Bearer {{ secret.api_key }}" } }
limits:
  all: { match: [GET /me, GET /hooks, POST /hooks, "DELETE /hooks/{id}", GET /secret, POST /events], windows: [{ max: 1000, per: 1s }] }
requests:
  me: { method: GET, path: /me }
  hooks: { method: GET, path: /hooks }
  hook: { method: POST, path: /hooks, body: { to: "{{ map.callback_url }}", on: "{{ map.event }}" } }
  unhook: { method: DELETE, path: "/hooks/{{ map.webhook_id }}" }
  secret: { method: GET, path: /secret }
  event: { method: POST, path: /events, body: { key: "{{ delivery.key }}", phone: "{{ data.customer.phone | default: '' }}" } }
uncertain: repeat
outcomes:
  - { status: 401, is: hold, reason: credentials_refused }
  - { status: 403, is: hold, reason: scope_missing }
  - { status: 400, is: rejected, reason: payload_refused, detail: "{{ response.body.error }}" }
  - { status: 404, is: rejected, reason: target_gone }
  - { status: 409, is: delivered, reason: accepted_elsewhere }
events:
${['back_in_stock.alert', 'back_in_stock.reminder', 'preorder.confirmed'].map(type => `  ${type}: { request: event, requires: [{ at: /customer/phone, reason: no_phone }] }`).join('\n')}
${BUOY_WEBHOOKS}setup:
  - { id: key, kind: api_key, title: Connect Buoy, text: Paste the key., auth: api_key, fields: { api_key: { label: Key, example: buo_any_0123456789 } }, check: { request: me, expect: { status: 200 }, save: { account_id: /id } } }
`

export const BUOY: Folder = {
  'provider.yaml': MANIFEST,
  'setup.md': '# Send through Buoy\n',
  'sandbox.ts': `// A key is buo_<account>_<anything>; those that are ordered to be are refused. One subscription for each event, unless ordered otherwise.
const world = () => ({ refused: [], status: null, several: false, forgets: false, hooks: [], secrets: {}, next: 1 })

export default function buoy (app, context) {
  const here = world()
  const json = body => { try { return JSON.parse(String(body)) } catch { return undefined } }
  const accountOf = ({ headers }) => /^Bearer buo_([a-z]+)_/.exec(headers.authorization ?? '')?.[1] ?? 'none'
  const answer = (request, reply, then) => {
    const account = accountOf(request)
    const body = json(request.body) ?? null
    const { status = 200, ...value } = here.refused.includes(account) ? { status: 401 } : then({ account, body, request })
    context.record({ account, method: request.method, path: request.url.split('/buoy')[1], body, status })
    return reply.code(status).send(value)
  }
  const on = (method, url, then) => app.route({ method, url, handler: (request, reply) => answer(request, reply, then) })
  on('GET', '/me', ({ account }) => ({ id: 'ID-' + account }))
  on('GET', '/hooks', ({ account }) => ({ hooks: here.hooks.filter(hook => hook.account === account) }))
  on('POST', '/hooks', ({ account, body }) => {
    if (here.status !== null) return { status: here.status, error: 'cannot call ' + body.to }
    if (!here.several && here.hooks.some(hook => hook.account === account && hook.on === body.on)) return { status: 409 }
    if (!here.forgets) here.hooks.push({ id: 'h' + here.next++, account, ...body })
    return { status: 201 }
  })
  on('DELETE', '/hooks/:id', ({ account, request }) => {
    const at = here.hooks.findIndex(hook => hook.id === request.params.id && hook.account === account)
    return at < 0 ? { status: 404 } : (here.hooks.splice(at, 1), {})
  })
  on('GET', '/secret', ({ account }) => ({ secret: here.secrets[account] ??= 'secret-of-' + account + '-0123456789' }))
  on('POST', '/events', () => ({ status: 202 }))
  app.post('/_sandbox/world', async request => Object.assign(here, json(request.body)))
  app.get('/_sandbox/world', async () => here)
}
`
}

export interface Hook { id: string, account: string, to: string, on: string }
export interface World { refused: string[], status: number | null, several: boolean, forgets: boolean, hooks: Hook[], secrets: Record<string, string> }

/** The usual config with buoy in it. */
export function buoyConfig (change: (config: string) => string = config => config): string {
  return change(CONFIG.replace('providers:\n', 'providers:\n  buoy: { path: providers/buoy }\n'))
}

/** A gateway with buoy in its folder, not started yet. */
export function makeBuoyApp (t: Teardown, options: AppOptions = {}): App {
  const app = makeApp(t, { config: buoyConfig(), ...options })
  writeFolder(join(app.dir, 'providers', 'buoy'), BUOY)
  return app
}

export async function startBuoyApp (t: Teardown, options: AppOptions = {}): Promise<App> {
  const app = makeBuoyApp(t, options)
  await app.start()
  return app
}

/** What there is at buoy, after the changes. */
export async function world (app: App, changes: Partial<World> = {}, sandboxUrl = app.sandboxUrl): Promise<World> {
  const response = await request(`${sandboxUrl}/buoy/_sandbox/world`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(changes) })
  return await response.body.json() as World
}

export async function hooksOf (app: App, account = 'one', sandboxUrl = app.sandboxUrl): Promise<Hook[]> {
  return (await world(app, {}, sandboxUrl)).hooks.filter(hook => hook.account === account)
}

/** By the set-up: its check, then the unit that makes the connection. */
export async function connect (app: App, key = KEY, shop = SHOP): Promise<Answered> {
  return await app.ask('POST', `/v1/shops/${shop}/providers/buoy/setup/key/connect`, { body: { secrets: { api_key: key } } })
}

export async function disconnect (app: App, shop = SHOP): Promise<Answered> {
  return await app.ask('DELETE', `/v1/shops/${shop}/providers/buoy/connection`)
}

/** How it stands, as the API shows it. */
export async function standing (app: App, shop = SHOP, provider = 'buoy'): Promise<Body> {
  const { body } = await app.ask('GET', `/v1/shops/${shop}/providers/${provider}`)
  return (body['connection'] as Body | null)?.['webhooks'] as Body
}

/** Connected, and registered. */
export async function listening (app: App, key = KEY, shop = SHOP): Promise<string> {
  const { status } = await connect(app, key, shop)
  if (status !== 200) throw new Error(`connecting was answered ${status}`)
  await until(async () => (await standing(app, shop))?.['state'] === 'on')
  return addressOf((await hooksOf(app, key.split('_')[1])).find(({ to }) => to.startsWith(app.url)) as Hook)
}

/** The path that is called. */
export function addressOf ({ to }: Hook): string { return new URL(to).pathname }

/** What buoy says of a person. */
export function told (id: string, more: object = {}, what = 'person.in'): Body {
  return { what, when: '2026-11-20T10:00:00', who: { id, phone: PHONE.slice(1) }, ...more }
}

export interface Call { token?: string | string[] | null, headers?: Record<string, string>, raw?: string | Buffer }

/** A call as buoy makes it. `token` null: without. */
export async function call (app: App, path: string, body: unknown, { token = 'secret-of-one-0123456789', headers = {}, raw }: Call = {}): Promise<Answered> {
  const response = await request(app.url + path, { method: 'POST', headers: { 'content-type': 'application/json', ...(token !== null && { 'x-buoy-token': token }), ...headers }, body: raw ?? JSON.stringify(body) })
  const text = await response.body.text()
  return { status: response.statusCode, headers: response.headers, body: text === '' ? {} : JSON.parse(text) as Body }
}

/** Rows of the inbox, as the API shows them, oldest first; those that are being worked on are waited for. */
export async function inboxOf (app: App, source = 'buoy', key: 'all' | 'acme' | 'globex' = 'all'): Promise<Body[]> {
  let items: Body[] = []
  await until(async () => {
    items = (await app.ask('GET', `/v1/inbox?source=${source}`, { key })).body.items as Body[]
    return items.every(({ state }) => state !== 'received')
  })
  return items.toReversed()
}

/** Subscriptions that were made, or asked for. */
export async function made (app: App): Promise<number> {
  return (await app.received('buoy')).filter(({ method, path }) => method === 'POST' && path === '/hooks').length
}

/** Nothing is left to be looked after just now. */
export async function settled (app: App): Promise<boolean> {
  return (await app.query("select 1 from jobs where kind like 'webhooks%'")).length === 0
}
