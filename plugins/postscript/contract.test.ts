// The description of Postscript's API against our requests and our sandbox. It is not part of the project:
// where it does not lie beside it, this says so and skips.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { eventFault, subscriberFault } from './sandbox-body.ts'
import type { Outcome, Provider } from '../../gateway/contract.ts'
import { judge } from '../../gateway/delivery/judge.ts'
import { runCases } from '../../gateway/providers/cases.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { entry, files, loadOne, ROOT } from '../../test/helpers/providers.ts'
import { mutate, seeded } from '../../test/helpers/mutate.ts'

const MUTATIONS = 200
const SEED = 20261121
const DESCRIPTION = join(ROOT, '../shared/reference/postscript.schema.json')
const EVENTS = '/api/v2/events'
const KEY = 'sk_contract_0123456789'
const PARTNER = 'sk_partner_0123456789'

interface Endpoint { method: string, path: string, responses: Record<string, string> }
interface Description { $id: string, $defs: Record<string, object> & { endpointIndex: { const: { baseUrl: string, rateLimitPerSecond: number, endpoints: Endpoint[] } } } }
interface Body { type: string, phone: string, properties: Record<string, unknown> }

const postscript = await loadOne(entry('postscript', import.meta.dirname))
const all = runCases(postscript, files()).results.flatMap(({ case: { name, type }, scope }) => {
  const prepared = postscript.prepare(type, scope)
  return prepared.ok ? [{ name, type, request: prepared.request.name, body: JSON.parse(prepared.request.body as string) as Body }] : []
})
const sent = all.filter(({ request }) => request === 'create_event')
const added = all.filter(({ request }) => request === 'create_subscriber')

if (existsSync(DESCRIPTION)) contract(JSON.parse(readFileSync(DESCRIPTION, 'utf8')) as Description)
else {
  t.comment(`${DESCRIPTION} is not here: the description of Postscript's API is not compared`)
  t.test('the description of Postscript\'s API', { skip: 'its file is not here' }, () => {})
}

function contract (description: Description): void {
  const ajv = new Ajv2020({ strict: false, logger: false })
  ajv.addSchema(description)
  const fits = (name: string) => ajv.compile<unknown>({ $ref: `${description.$id}#/$defs/${name}` })
  const event = fits('createEventRequest')
  const { baseUrl, rateLimitPerSecond, endpoints } = description.$defs.endpointIndex.const

  t.test('the bodies we send fit the description and our sandbox', async t => {
    t.ok(sent.length >= 12)
    const properties = { 'back_in_stock.alert': fits('backInStockProperties'), 'back_in_stock.reminder': fits('backInStockProperties'), 'preorder.confirmed': fits('preorderProperties') }
    const whole: Record<string, ReturnType<typeof fits>> = { back_in_stock_sms_alert: fits('gatewayBackInStockEvent'), preorder_sms_confirmed: fits('gatewayPreorderEvent') }
    for (const { name, type, body } of sent) {
      t.ok(event(body), `${name}: ${JSON.stringify(event.errors)}`)
      const own = properties[type as keyof typeof properties]
      t.ok(own(body.properties), `${name}: ${JSON.stringify(own.errors)}`)
      t.ok(whole[body.type]?.(body) ?? true, `${name}: ${JSON.stringify(whole[body.type]?.errors)}`)
      t.equal(eventFault(body), null, name)
    }
    t.ok(Object.keys(whole).every(type => sent.some(({ body }) => body.type === type)))
  })

  t.test('the people we add fit the description and our sandbox', async t => {
    const [any, ours] = [fits('createSubscriberRequest'), fits('gatewayCreateSubscriberRequest')]
    t.ok(added.length >= 3)
    for (const { name, body } of added) {
      t.ok(any(body), `${name}: ${JSON.stringify(any.errors)}`)
      t.ok(ours(body), `${name}: ${JSON.stringify(ours.errors)}`)
      t.equal(subscriberFault(body), null, name)
    }
  })

  t.test('the headers of both ways to authorize are those of the description', async t => {
    const headers = fits('requestHeaders')
    t.ok(headers(postscript.authorize('shop_key', { shop_key: KEY })))
    t.ok(headers(postscript.authorize('partner', { partner_key: PARTNER, shop_key: KEY })))
    t.notOk(headers(postscript.authorize('shop_key', { shop_key: PARTNER })), 'a partner\'s key alone')
    t.notOk(headers(postscript.authorize('shop_key', { shop_key: 'pk_contract_0123456789' })), 'a public key')
  })

  t.test(`of ${MUTATIONS} mutations (seed ${SEED}) the sandbox refuses every one that the description refuses`, async t => {
    const random = seeded(SEED)
    const { send, close } = await api(postscript)
    t.teardown(close)
    let refused = 0
    for (let i = 0; i < MUTATIONS; i++) {
      const mutation = mutate(sent[i % sent.length]?.body as object, random)
      if (event(mutation.value)) continue
      refused++
      t.equal((await send('POST', EVENTS, { value: mutation.value })).status, 400, mutation.what)
    }
    t.ok(refused > 50, `the description refused ${refused}`)
  })

  t.test('address, requests and limit are those of the description', async t => {
    t.equal(baseUrl, 'https://api.postscript.io')
    t.equal(postscript.baseUrl, baseUrl)
    t.strictSame(Object.values(postscript.groups).map(({ windows }) => windows), [[{ max: rateLimitPerSecond, perMs: 1000 }]], 'all endpoints share one bucket')
    for (const { method, path } of postscript.standIn?.requests ?? []) t.ok(endpoints.some(one => one.method === method && one.path.replaceAll(/\{\w+\}/g, '{}') === path), `${method} ${path}`)
  })

  t.test('the sandbox answers as the description says', async t => {
    const { send, close } = await api(postscript)
    t.teardown(close)
    const documented = async (asked: Parameters<typeof send>, status: number): Promise<void> => {
      const answer = await send(...asked)
      t.equal(answer.status, status, asked.join(' '))
      const path = (asked[1] as string).replace(/\?.*/, '').replace(/(keywords|subscribers)\/.*/, '$1/{id}')
      const responses = endpoints.find(one => one.method === asked[0] && one.path === path)?.responses ?? {}
      const name = responses[status] ?? responses['2XX'] as string
      const schema = fits(name)
      t.ok(schema(answer.body), `${name}: ${JSON.stringify(answer.body)}`)
    }
    const person = await subscriber(send)
    await documented(['GET', '/api/v2/me'], 200)
    await documented(['GET', '/api/v2/me', { headers: { authorization: 'Bearer pk_contract_0123456789' } }], 400)
    await documented(['GET', '/api/v2/keywords'], 200)
    await documented(['GET', '/api/v2/keywords', { headers: { authorization: 'Bearer sk_noplan_0123456789' } }], 403)
    await documented(['GET', `/api/v2/keywords/${person.keyword_id}`], 200)
    await documented(['GET', '/api/v2/keywords/kw_0'], 404)
    await documented(['POST', '/api/v2/subscribers', { value: person }], 200)
    await documented(['POST', '/api/v2/subscribers', { value: person }], 409)
    await documented(['POST', '/api/v2/subscribers', { value: {} }], 400)
    await documented(['GET', '/api/v2/subscribers'], 200)
    await documented(['GET', '/api/v2/subscribers/s_0'], 400)
    await documented(['PATCH', '/api/v2/compliance/unsubscribe', { value: { phone_number: person.phone_number } }], 202)
    await documented(['PATCH', '/api/v2/compliance/unsubscribe', { headers: { authorization: 'Bearer sk_nocompliance_0123456789' } }], 403)
    await documented(['POST', EVENTS, { value: sent[0]?.body }], 202)
    await documented(['POST', EVENTS, { headers: { authorization: undefined } }], 401)
  })
}

t.test('the sandbox refuses what Postscript refuses, with its status and its error body, and each is judged', async t => {
  const { send, close } = await api(postscript)
  t.teardown(close)
  const first = sent[0]?.body as Body
  const event = (change: object): { value: object } => ({ value: { ...first, ...change } })
  const property = (change: object): { value: object } => event({ properties: { ...first.properties, ...change } })
  const auth = (authorization: string | undefined, token?: string): Given => ({ headers: { authorization, ...(token !== undefined && { 'x-postscript-shop-token': token }) }, ...event({}) })
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, 1]))
  const wrong = 'Invalid Authorization header'
  const forbidden = { error: 'You do not have permission to do that.' }
  const table: Array<[string, Given, number, unknown, string]> = [
    ['no credentials', auth(undefined), 401, 'Missing Authorization header', 'hold credentials_refused'],
    ['a public key', auth('Bearer pk_contract_0123456789'), 401, wrong, 'hold credentials_refused'],
    ['a key too short', auth('Bearer sk_short'), 401, wrong, 'hold credentials_refused'],
    ['a key without its scheme', auth(KEY), 401, wrong, 'hold credentials_refused'],
    ['the legacy scheme, which we do not use', auth(`Basic ${Buffer.from(`${KEY}:`).toString('base64')}`), 401, wrong, 'hold credentials_refused'],
    ['a revoked key', auth('Bearer sk_revoked_0123456789'), 401, wrong, 'hold credentials_refused'],
    ['a revoked key of a shop behind a partner', auth(`Bearer ${PARTNER}`, 'sk_revoked_0123456789'), 401, wrong, 'hold credentials_refused'],
    ['a public key behind a partner', auth(`Bearer ${PARTNER}`, 'pk_contract_0123456789'), 401, wrong, 'hold credentials_refused'],
    ['a shop token beside a shop\'s own key', auth(`Bearer ${KEY}`, KEY), 401, wrong, 'hold credentials_refused'],
    ['a partner\'s key alone', auth(`Bearer ${PARTNER}`), 403, forbidden, 'hold scope_missing'],
    ['a plan without an API of its own', auth('Bearer sk_noplan_0123456789'), 403, forbidden, 'hold scope_missing'],
    ['no JSON', { body: '{' }, 400, {}, 'rejected payload_refused'],
    ['JSON that does not say so', { ...event({}), headers: { 'content-type': 'text/plain' } }, 400, {}, 'rejected payload_refused'],
    ['an unknown field', event({ externalId: 'x' }), 400, {}, 'rejected payload_refused'],
    ['the phone under its other name', event({ phone: undefined, phone_number: first.phone }), 400, {}, 'rejected payload_refused'],
    ['no person', event({ phone: undefined }), 400, {}, 'rejected payload_refused'],
    ['a phone that is not E.164', event({ phone: '201-555-0123' }), 400, {}, 'rejected payload_refused'],
    ['no type', event({ type: undefined }), 400, {}, 'rejected payload_refused'],
    ['a type with a space', event({ type: 'back in stock' }), 400, {}, 'rejected payload_refused'],
    ['a type of 256 characters', event({ type: 'x'.repeat(256) }), 400, {}, 'rejected payload_refused'],
    ['a time with T and Z', event({ occurred_at: '2026-11-21T19:20:00Z' }), 400, {}, 'rejected payload_refused'],
    ['a time that is none', event({ occurred_at: '2026-02-31 19:20:00.000000' }), 400, {}, 'rejected payload_refused'],
    ['no id of the event', event({ external_id: undefined }), 400, {}, 'rejected payload_refused'],
    ['101 properties', event({ properties: many }), 400, {}, 'rejected payload_refused'],
    ['a property that is an object', property({ price: { amount: '5' } }), 400, {}, 'rejected payload_refused'],
    ['a list of objects', property({ products: [{ title: 'Mug' }] }), 400, {}, 'rejected payload_refused'],
    ['a property without a value', property({ vendor: null }), 400, {}, 'rejected payload_refused'],
    ['a name that begins with _', property({ _vendor: 'Acme' }), 400, {}, 'rejected payload_refused'],
    ['a name with capitals, lowered without a word by Postscript', property({ Vendor: 'Acme' }), 400, {}, 'rejected payload_refused'],
    ['properties that look like personal data, at a shop that refuses them', auth('Bearer sk_nopersonal_0123456789'), 400, {}, 'rejected payload_refused'],
    ['another path', { ...event({}), path: '/api/v2/custom-events' }, 404, /Not Found/, 'rejected target_gone'],
    ['a person asked for before the opt-in', { method: 'GET', path: '/api/v2/subscribers/s_0' }, 400, {}, 'rejected payload_refused'],
    ['an unknown keyword', { method: 'GET', path: '/api/v2/keywords/kw_0' }, 404, { error_code: 3001, error_message: 'Could not find keyword matching that information', success: false }, 'rejected target_gone'],
    ['no right to unsubscribe', { method: 'PATCH', path: '/api/v2/compliance/unsubscribe', headers: { authorization: 'Bearer sk_nocompliance_0123456789' } }, 403, { errors: [{ loc: [], msg: 'Access denied', type: 'v2.access_denied' }] }, 'hold scope_missing'],
    ['a number already known', { path: '/api/v2/subscribers', value: await subscriber(send, { known: true }) }, 409, { errors: [{ loc: [], msg: 'Subscriber already exists', type: 'v2.entity_conflict' }] }, 'delivered accepted_elsewhere'],
    ['a method that is none there', { ...event({}), method: 'DELETE' }, 405, /Method Not Allowed/, 'rejected request_refused']
  ]
  const settings = { ...postscript.settingsDefaults, send_customer_name: false, send_customer_phone: false }
  for (const [name, given, status, body, outcome] of table) {
    const answer = await send(given.method ?? 'POST', given.path ?? EVENTS, given)
    t.equal(answer.status, status, name)
    if (body instanceof RegExp) t.match(answer.body, body, name)
    else t.strictSame(answer.body, body, name)
    if (status === 400) t.match(answer.headers['x-sandbox-why'], /\S/, `${name}: why is in a header`)
    t.equal(words(judge({ kind: 'answer', status, headers: answer.headers, body: answer.text, cut: false }, postscript, settings, 0)), outcome, name)
  }
})

t.test('a partner acts for the shop, whatever its plan', async t => {
  const { send, requests, close } = await api(postscript)
  t.teardown(close)
  const headers = postscript.authorize('partner', { partner_key: PARTNER, shop_key: 'sk_noplan_0123456789' })
  t.equal((await send('POST', EVENTS, { headers, value: sent[0]?.body })).status, 202)
  t.match((await send('GET', '/api/v2/keywords', { headers })).body, { keywords: [{ keyword: 'BACKINSTOCK' }, { keyword: 'VIP' }] })
  t.match((await send('GET', '/api/v2/me', { headers: { authorization: `Bearer ${PARTNER}` } })).body, { resource_type: 'partner' }, 'alone it is no shop')
  t.strictSame((await send('GET', '/api/v2/keywords', { headers: { authorization: 'Bearer sk_nokeywords_0123456789' } })).body, { keywords: [] })
  const event = (await requests()).find(({ path }) => path === EVENTS)
  t.match(event, { key: 'key-1', status: 202, account: /^partner_\w+\+shop_\w+$/ })
})

t.test('a second event of one external_id is another event: Postscript does not say that it drops it', async t => {
  const { send, requests, close } = await api(postscript)
  t.teardown(close)
  const ids = await Promise.all([1, 2].map(async () => ((await send('POST', EVENTS, { value: sent[0]?.body })).body as { event_ids: string[] }).event_ids[0]))
  t.equal(new Set(ids).size, 2)
  t.strictSame((await requests()).map(({ key, repeat }) => [key, repeat]), [['key-1', undefined], ['key-1', undefined]])
})

t.test('15 a second for each shop, and for each shop of a partner; the 429 does not say how long', async t => {
  let clock = 5_000
  const { send, close } = await api(postscript, () => clock)
  t.teardown(close)
  const status = async (headers: Record<string, string> = {}): Promise<number> => (await send('POST', EVENTS, { headers, value: sent[0]?.body })).status
  for (let i = 0; i < 14; i++) t.equal(await status(), 202)
  t.equal((await send('GET', '/api/v2/keywords')).status, 200, 'another endpoint is counted with it')
  clock += 999
  const full = await send('POST', EVENTS, { value: sent[0]?.body })
  t.equal(full.status, 429)
  t.strictSame(full.body, { error_code: 3002, error_message: 'Rate limit exceeded', success: false })
  t.notOk(Object.keys(full.headers).some(name => /retry-after|ratelimit/i.test(name)))
  t.match(judge({ kind: 'answer', status: 429, headers: full.headers, body: full.text, cut: false }, postscript, postscript.settingsDefaults, 0), { is: 'retry', reason: 'rate_limited', free: true, pause: 'lane' })
  t.equal(await status({ authorization: 'Bearer sk_another_0123456789' }), 202, 'another shop has a window of its own')
  t.equal(await status(postscript.authorize('partner', { partner_key: PARTNER, shop_key: KEY })), 202, 'and so has a partner at the same shop')
  clock += 1
  t.equal(await status(), 202, 'a second after the first')
})

t.test('a person is pending until the opt-in is answered, and has another id then', async t => {
  const { send, close } = await api(postscript)
  t.teardown(close)
  const person = await subscriber(send)
  const find = async (): Promise<Array<Record<string, unknown>>> => ((await send('GET', '/api/v2/subscribers?phone_number__eq=12015550188')).body as { subscribers: Array<Record<string, unknown>> }).subscribers
  const pending = (await send('POST', '/api/v2/subscribers', { value: person })).body as { id: string }
  t.strictSame(await find(), [], 'unknown and pending look the same')
  t.equal((await send('GET', `/api/v2/subscribers/${pending.id}`)).status, 400, 'a pending id is no subscriber\'s')
  t.strictSame((await send('POST', '/_sandbox/opt_ins', { value: { phone_number: person.phone_number } })).body, { opted_in: 1 })
  const [found] = await find()
  t.match(found, { phone_number: '12015550188', email: 'ada@example.com', tags: ['back-in-stock'], subscriptions: { promotional: { can_send: true } } })
  t.not(found?.id, pending.id)
  t.strictSame((await send('GET', `/api/v2/subscribers/${String(found?.id)}`)).body, found)
  t.equal((await send('PATCH', '/api/v2/compliance/unsubscribe', { value: { phone_number: person.phone_number } })).status, 202)
  t.match(await find(), [{ subscriptions: { promotional: { can_send: false } } }])
  const refusals = [{ ...person, keyword_id: 'kw_0' }, { ...person, origin: undefined }, { ...person, keyword_id: undefined }, { ...person, first_name: 'Ada' }, { ...person, phone_number: '201-555-0123' }]
  for (const value of refusals) t.equal((await send('POST', '/api/v2/subscribers', { value })).status, 400, JSON.stringify(value))
  t.equal((await send('GET', '/api/v2/subscribers?phone=1')).status, 400, 'an operator that is none')
})

interface Given { method?: string, path?: string, headers?: Record<string, string | undefined>, value?: unknown, body?: string }
interface Sent { status: number, headers: Record<string, string>, text: string, body: unknown }
type Send = (method: string, path: string, given?: Given) => Promise<Sent>

function words (outcome: Outcome): string {
  return `${outcome.is} ${outcome.is === 'delivered' ? outcome.warning : outcome.reason}`
}

/** A person to add under a keyword of the shop; added before where `known`. */
async function subscriber (send: Send, { known = false } = {}): Promise<Record<string, unknown>> {
  const { keywords } = (await send('GET', '/api/v2/keywords')).body as { keywords: Array<{ id: string }> }
  const value = { phone_number: '+12015550188', keyword_id: keywords[0]?.id, origin: 'website', email: 'ada@example.com', tags: ['back-in-stock'] }
  if (known) await send('POST', '/api/v2/subscribers', { value })
  return value
}

/** The sandbox, and a way to ask it with everything in order but what is given. No window fills unless a clock is given. */
async function api (provider: Provider, clock?: () => number) {
  let minutes = 0
  const { url, close } = await startSandbox({ providers: [provider], port: 0, now: clock ?? (() => { minutes += 60_001; return minutes }) })
  const send: Send = async (method, path, { headers = {}, value, body = value === undefined ? undefined : JSON.stringify(value) } = {}) => {
    const all = Object.entries({ authorization: `Bearer ${KEY}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers })
    const answer = await fetch(`${url}/postscript${path}`, { method, headers: all.filter((pair): pair is [string, string] => pair[1] !== undefined), ...(body !== undefined && { body }) })
    const text = await answer.text()
    const json = answer.headers.get('content-type')?.includes('json') === true
    return { status: answer.status, headers: Object.fromEntries(answer.headers), text, body: json ? JSON.parse(text) as unknown : text }
  }
  const requests = async () => (await (await fetch(`${url}/postscript/_sandbox/requests`)).json() as { items: Array<{ key?: string, repeat?: boolean, path: string, status: number, account: string }> }).items
  return { send, close, requests }
}
