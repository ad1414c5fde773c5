// "beacon", a provider made for the tests with every kind of set-up step, whose lists and keys change on order, and what a
// merchant does with it over HTTP.

import { join } from 'node:path'
import { request } from 'undici'
import { CONFIG, makeApp, type Answered, type App, type AppOptions, type Body } from './app.ts'
import type { Folder } from './made-providers.ts'
import { writeFolder } from './providers.ts'
import type { Teardown } from './tmp.ts'

export const BEACON_ENTRY = '  beacon: { path: providers/beacon }\n'
export const SHOP = 'acme.example'
/** Keys of two accounts; what stands between the underscores is the account. */
export const KEY = 'bea_one_0123456789'
export const KEY_AGAIN = 'bea_one_9876543210'
export const KEY_OTHER = 'bea_two_0123456789'
/** Has the right form, and is nobody's. */
export const KEY_WRONG = 'bea_none_0123456789'

const TYPES = ['back_in_stock.alert', 'back_in_stock.reminder', 'preorder.confirmed'] as const

export const BEACON_SETUP = `setup:
  - id: key
    kind: api_key
    title: Connect Beacon
    text: Paste the key.
    auth: api_key
    fields: { api_key: { label: Key, hint: It begins with bea_., example: bea_any_0123456789, pattern: "^bea_[!-~]{6,}$" } }
    check: { request: me, expect: { status: 200, body_at: { pointer: /kind, equals: shop } }, save: { account_id: /id, account_name: /name } }
    says: { credentials_refused: Invalid Beacon key., scope_missing: The key may not be used here. }
  - id: pair
    kind: api_key
    title: Connect Beacon by a pair
    text: Paste both.
    auth: pair
    fields: { api_key: { label: Key, example: bea_any_0123456789 }, token: { label: Token, example: token-any } }
    check: { request: lists, expect: { status: 200 } }
  - id: list
    kind: select
    needs: [key]
    title: Select a list
    text: Choose one.
    options: { request: lists, items: /lists, value: /id, label: /name }
    setting: list_id
    empty: No lists yet. Create one, then Refresh.
    recheck: warn
  - id: method
    kind: choice
    per: setup_group
    needs: [key]
    title: Choose a method
    text: Choose one.
    choices:
      - { value: checked, title: Checked, text: We look it up., ways: [api_key], otherwise: Not with a pair. }
      - { value: trusted, title: Trusted, text: We believe you. }
  - id: test
    kind: test_event
    per: alert_type
    needs: [key]
    optional: true
    title: Send test event
    text: Send one.
  - id: flow
    kind: verify
    per: alert_type
    needs: [method]
    when: { step: method, is: checked }
    title: Create a flow
    text: Create one.
    action: Verify flow
    fields: { flow_name: { label: Flow name } }
    look_up:
      flow: { request: flows, items: /flows, next: { at: /next, parameter: cursor }, match: { /name: "{{ input.flow_name }}" }, near: /name }
      topic: { request: topics, items: /topics, match: { /name: "{{ trigger }}" } }
      listening: { request: topic_flows, with: { topic: "{{ found.topic.id }}" }, items: /flows, match: { /id: "{{ found.flow.id }}" } }
      second: { request: topic_flows, with: { topic: "{{ found.topic.id }}" }, items: /flows, match: { /status: live }, unless: { /id: "{{ found.flow.id }}" } }
    findings:
      name: { of: flow, text: A flow has this name., otherwise: No flow has this name. }
      topic: { of: topic, text: The topic is known., otherwise: The topic is not known yet. }
      trigger: { of: listening, text: It listens to our topic., otherwise: It does not listen to our topic. }
      live: { of: flow, at: /status, equals: live, text: It is live., otherwise: It is not live yet. }
      only: { of: second, absent: true, warns: true, text: No other listens., otherwise: Another live flow listens too. }
    says: { not_verified: The flow is not as it must be. }
  - id: built
    kind: confirm
    per: alert_type
    needs: [method]
    when: { step: method, is: trusted }
    title: Create a flow by yourself
    text: Create one and say so.
    action: I've created it
`

const MANIFEST = `contract: 1
id: beacon
title: Beacon
channels: [sms]
needs: [external_sms]
base_url: https://api.beacon.example
account: "{{ connection.account_id }}"
auth:
  api_key: { headers: { authorization: "Bearer {{ secret.api_key }}" } }
  pair: { headers: { authorization: "Bearer {{ secret.api_key }}", x-token: "{{ secret.token }}" } }
headers: { accept: application/json }
limits:
  all: { match: [GET /me, GET /lists, GET /flows, GET /topics, "GET /topics/{id}/flows", POST /events], windows: [{ max: 1000, per: 1s }] }
requests:
  me: { method: GET, path: /me }
  lists: { method: GET, path: /lists }
  flows: { method: GET, path: /flows, query: { cursor: "{{ map.page_cursor | default: nil }}" } }
  topics: { method: GET, path: /topics }
  topic_flows: { method: GET, path: "/topics/{{ map.topic }}/flows" }
  event: { method: POST, path: /events, body: mapping/event.yaml }
settings:
  list_id: { title: List, description: Id of the list., type: string, default: "" }
  send_name: { title: Name, description: Whether the name goes along., type: boolean, default: true }
uncertain: repeat
outcomes:
  - { status: 400, body_at: { pointer: /error, contains: name }, setting: { name: send_name, equals: true }, is: retry, reason: personal_data_refused, with: { send_name: false } }
  - { status: 401, is: hold, reason: credentials_refused, detail: "{{ response.body.error }}" }
events:
${TYPES.map(type => `  ${type}: { request: event, requires: [{ at: /customer/phone, reason: no_phone }], trigger: "topic ${type}", variables: properties, map: { topic: "topic ${type}", properties: mapping/${type.startsWith('back') ? 'stock' : 'preorder'}.yaml } }`).join('\n')}
reset: Flows at Beacon stay.
${BEACON_SETUP}`

export const BEACON: Folder = {
  'provider.yaml': MANIFEST,
  'mapping/event.yaml': `topic: "{{ map.topic }}"
key: "{{ delivery.key }}"
to: { phone: "{{ data.customer.phone | default: '' }}", name: "{% if connection.settings.send_name %}{{ data.customer.name }}{% endif %}" }
list: "{{ connection.settings.list_id }}"
properties: "{{ map.properties }}"
`,
  'mapping/stock.yaml': 'product_title: "{{ data.product.title }}"\nvendor: "{{ data.product.vendor }}"\nshop_name: "{{ shop.name }}"\n',
  'mapping/preorder.yaml': 'order_name: "{{ data.order.name }}"\nshop_name: "{{ shop.name }}"\n',
  'setup.md': '# Send through Beacon\n',
  'sandbox.ts': `// A key is bea_<account>_<anything>; the account "none" is unknown, and those that are ordered to be are refused.
const PAGE = 2
const world = () => ({
  refused: [], kind: 'shop', plain: false, bulk: 0,
  lists: [{ id: 'l1', name: 'News' }, { id: 'l2', name: 'Alerts' }],
  topics: [], flows: [], events: [], lost: false
})

export default function beacon (app, context) {
  const here = world()
  const json = body => { try { return JSON.parse(String(body)) } catch { return undefined } }
  const accountOf = ({ headers }) => /^Bearer bea_([a-z]+)_/.exec(headers.authorization ?? '')?.[1] ?? 'none'
  const isRefused = account => account === 'none' || here.refused.includes(account)
  const answer = (request, reply, then) => {
    const account = accountOf(request)
    const body = json(request.body) ?? null
    const { status = 200, ...value } = isRefused(account) ? { status: 401, error: 'who is that?' } : then({ account, body })
    context.record({ account, method: request.method, path: request.url.split('/beacon')[1], body, status, ...(body?.key && { key: body.key }) })
    return reply.code(status).send(value)
  }
  const get = (path, then) => app.get(path, (request, reply) => answer(request, reply, asked => then({ ...asked, request })))
  get('/me', ({ account }) => ({ id: 'ID-' + account, name: 'Shop ' + account, kind: here.kind }))
  get('/lists', () => ({ lists: here.lists, more: 'x'.repeat(here.bulk) }))
  get('/flows', ({ request }) => {
    const from = Number(request.query.cursor ?? 0)
    return { more: 'x'.repeat(here.bulk), flows: here.flows.slice(from, from + PAGE), ...(here.flows.length > from + PAGE && { next: 'https://api.beacon.example/flows?cursor=' + (from + PAGE) }) }
  })
  get('/topics', () => ({ topics: here.topics.map(name => ({ id: name.replace('topic ', ''), name })) }))
  get('/topics/:id/flows', ({ request }) => ({ flows: here.flows.filter(({ topic }) => topic === 'topic ' + request.params.id) }))
  get('/events', () => ({ events: here.lost ? [] : here.events }))
  app.post('/events', (request, reply) => answer(request, reply, ({ body }) => {
    if (here.plain && body.to.name !== '') return { status: 400, error: 'no name is taken' }
    if (!here.topics.includes(body.topic)) here.topics.push(body.topic)
    here.events.push(body)
    return { status: 202 }
  }))
  app.post('/_sandbox/world', async request => Object.assign(here, json(request.body)))
}
`
}

export interface Flow { id: string, name: string, status: 'live' | 'draft', topic: string | null }
/** `bulk`: bytes that each page of lists and flows has besides. */
export interface World { events?: object[], refused?: string[], kind?: string, plain?: boolean, bulk?: number, /** Of what was sent nothing is listed. */ lost?: boolean, lists?: Array<{ id: string, name: string }>, topics?: string[], flows?: Flow[] }

/** The usual config with beacon in it; courier stays what shops send through until another is chosen. */
export function setupConfig (change: (config: string) => string = config => config): string {
  return change(CONFIG.replace('providers:\n', `providers:\n${BEACON_ENTRY}`))
}

/** A gateway with beacon in its folder, not started yet. */
export function makeSetupApp (t: Teardown, options: AppOptions & { manifest?: (text: string) => string } = {}): App {
  const { manifest = text => text, ...more } = options
  const app = makeApp(t, { config: setupConfig(), ...more })
  writeFolder(join(app.dir, 'providers', 'beacon'), { ...BEACON, 'provider.yaml': manifest(MANIFEST) })
  return app
}

export async function startSetupApp (t: Teardown, options: Parameters<typeof makeSetupApp>[1] = {}): Promise<App> {
  const app = makeSetupApp(t, options)
  await app.start()
  return app
}

/** Sets what is there at beacon from now on. */
export async function world (app: App, changes: World): Promise<void> {
  const response = await request(`${app.sandboxUrl}/beacon/_sandbox/world`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(changes) })
  await response.body.dump()
}

export interface ItemView extends Body {
  subject: string | null
  state: string
  reason: string | null
  sentence: string | null
  missing: string[]
  actions: Array<{ action: string, label: string, method: string, path: string, allowed: boolean, why: string | null }>
}
export interface StepView extends Body { id: string, kind: string, state: string, items: ItemView[] }
export interface SetupView extends Body {
  connected: boolean
  account_name: string | null
  available: boolean
  summary: string
  active: string[]
  steps: StepView[]
  warnings: Array<Body & { code: string, text: string }>
  setup_groups: Array<{ setup_group: string, ready: boolean, declared: boolean, waiting: number, event_types: string[] }>
  event_types: Array<{ event_type: string, ready: boolean }>
  reset: { text: string, method: string, path: string }
}

export function pathOf (provider = 'beacon', shop = SHOP): string { return `/v1/shops/${shop}/providers/${provider}/setup` }

export async function shown (app: App, path = pathOf()): Promise<SetupView> {
  const { status, body } = await app.ask('GET', path)
  if (status !== 200) throw new Error(`${path} answered ${status}`)
  return body as SetupView
}

/** What a merchant does: `step/action`, with what is given. */
export async function act (app: App, what: string, body?: object, path = pathOf()): Promise<Answered & { body: SetupView }> {
  return await app.ask('POST', `${path}/${what}`, body === undefined ? {} : { body }) as Answered & { body: SetupView }
}

export function stepOf (view: SetupView, id: string): StepView {
  const found = view.steps.find(step => step.id === id)
  if (found === undefined) throw new Error(`there is no step ${id}`)
  return found
}

export function itemOf (view: SetupView, id: string, subject: string | null = null): ItemView {
  const found = stepOf(view, id).items.find(item => item.subject === subject)
  if (found === undefined) throw new Error(`the step ${id} has no ${subject}`)
  return found
}

/** State of the one thing a step is about. */
export async function stateOf (app: App, id: string, subject: string | null = null, path = pathOf()): Promise<string> {
  return itemOf(await shown(app, path), id, subject).state
}

/** A flow at beacon for each of the event types, live, that listens to its own topic. */
export function flowsFor (types: readonly string[] = TYPES): Flow[] {
  return types.map(type => ({ id: `f-${type}`, name: `Flow ${type}`, status: 'live', topic: `topic ${type}` }))
}

/** Everything a merchant does until all groups are set up by looking things up. */
export async function setUpAll (app: App, key = KEY, path = pathOf()): Promise<void> {
  await world(app, { flows: flowsFor(), topics: TYPES.map(type => `topic ${type}`) })
  const steps: Array<[string, object]> = [
    ['key/connect', { secrets: { api_key: key } }], ['list/refresh', {}], ['list/select', { value: 'l1' }],
    ...['back_in_stock', 'preorder'].map((group): [string, object] => ['method/choose', { subject: group, value: 'checked' }]),
    ...TYPES.map((type): [string, object] => ['flow/verify', { subject: type, input: { flow_name: `Flow ${type}` } }])
  ]
  for (const [what, body] of steps) {
    const { status, body: answer } = await act(app, what, body, path)
    if (status !== 200) throw new Error(`${what} answered ${status}: ${JSON.stringify(answer.error)}`)
  }
}

/** Beacon for the shop's messages. */
export async function choose (app: App, provider = 'beacon', shop = SHOP): Promise<Answered> {
  return await app.ask('PUT', `/v1/shops/${shop}/channels/sms`, { body: { provider } })
}
