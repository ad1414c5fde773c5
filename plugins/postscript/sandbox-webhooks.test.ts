// The sandbox's webhooks and keywords as a gateway and a test see them: over HTTP.

import t, { type Test } from 'tap'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { until } from '../../test/helpers/app.ts'
import { faultServer, inTurn, status, type FaultServer } from '../../test/helpers/fault-server.ts'
import { entry, loadOne } from '../../test/helpers/providers.ts'

const WEBHOOKS = '/api/v2/webhooks'
const KEY = 'sk_webhooks_0123456789'
const OTHER = 'sk_another_0123456789'
const PARTNER = 'sk_partner_0123456789'
const PHONE = '+12015550188'
const NOW = Date.UTC(2026, 10, 21, 19, 20, 0, 25)
const OPT_IN = 'shop.subscriber.opt_in'
const OPT_OUT = 'shop.subscriber.opt_out'

type Data = Record<string, unknown>
interface Given { key?: string | null, token?: string, value?: unknown, body?: string, type?: string }
interface Sent { status: number, why: string | null, body: Data }

const postscript = await loadOne(entry('postscript', import.meta.dirname))

/** The sandbox, and a way to ask it with everything in order but what is given. No window ever fills. */
async function played (t: Test) {
  let minutes = 0
  const { url, close } = await startSandbox({ providers: [postscript], port: 0, now: () => { minutes += 60_001; return minutes }, wallNow: () => NOW })
  t.teardown(close)
  const send = async (method: string, path: string, { key = KEY, token, value, body = value === undefined ? undefined : JSON.stringify(value), type = 'application/json' }: Given = {}): Promise<Sent> => {
    const headers = { ...(key !== null && { authorization: `Bearer ${key}` }), ...(token !== undefined && { 'x-postscript-shop-token': token }), ...(body !== undefined && { 'content-type': type }) }
    const answer = await fetch(`${url}/postscript${path}`, { method, headers, ...(body !== undefined && { body }) })
    const text = await answer.text()
    const isJson = answer.headers.get('content-type')?.includes('json') === true
    return { status: answer.status, why: answer.headers.get('x-sandbox-why'), body: (isJson ? JSON.parse(text) : text) as Data }
  }
  const subscribe = async (callback_url: string, event: string, more: Data = {}): Promise<Data> => (await send('POST', WEBHOOKS, { value: { callback_url, event, ...more } })).body
  const deliveries = async (): Promise<Data[]> => (await send('GET', '/_sandbox/webhook_deliveries')).body.items as Data[]
  /** Of the latest delivery: how many answers there were. */
  const answered = async (): Promise<unknown> => ((await deliveries())[0]?.answers as Data[] | undefined)?.length
  return { send, subscribe, deliveries, answered, close }
}

type Played = Awaited<ReturnType<typeof played>>

/** A person who is pending, at the shop of a key. */
async function pending ({ send }: Played, key = KEY): Promise<void> {
  const { keywords } = (await send('GET', '/api/v2/keywords', { key })).body as { keywords: Array<{ id: string }> }
  t.equal((await send('POST', '/api/v2/subscribers', { key, value: { phone_number: PHONE, keyword_id: keywords[0]?.id, origin: 'website' } })).status, 200)
}

const optIn = async ({ send }: Played): Promise<unknown> => (await send('POST', '/_sandbox/opt_ins', { value: { phone_number: PHONE } })).body
const bodies = ({ received }: FaultServer): Data[] => received.map(({ body }) => JSON.parse(body) as Data)
const shopOf = async ({ send }: Played): Promise<unknown> => (await send('GET', '/api/v2/me')).body.resource_id

t.test('the sandbox refuses what is wrong with webhooks, each with its status and its error body', async t => {
  const at = await played(t)
  const { id } = await at.subscribe('https://gateway.example/hook', 'shop.test')
  const url = 'https://gateway.example/hook'
  const webhook = (change: Data): Given => ({ value: { callback_url: url, event: OPT_IN, ...change } })
  const forbidden = { error: 'You do not have permission to do that.' }
  const gone = (what: string): Data => ({ error_code: 3001, error_message: `Could not find ${what} matching that information`, success: false })
  const list = (msg: string | RegExp, type = 'v2.invalid_request'): Data => ({ errors: [{ loc: [], msg, type }] })
  const table: Array<[string, string, string, Given, number, unknown]> = [
    ['no credentials', 'GET', WEBHOOKS, { key: null }, 401, 'Missing Authorization header'],
    ['a revoked key', 'POST', WEBHOOKS, { ...webhook({}), key: 'sk_revoked_0123456789' }, 401, 'Invalid Authorization header'],
    ['a partner\'s key alone', 'GET', WEBHOOKS, { key: PARTNER }, 403, forbidden],
    ['a plan without an API', 'POST', WEBHOOKS, { ...webhook({}), key: 'sk_noplan_0123456789' }, 403, forbidden],
    ['no JSON', 'POST', WEBHOOKS, { body: '{' }, 400, {}],
    ['JSON that does not say so', 'POST', WEBHOOKS, { ...webhook({}), type: 'text/plain' }, 400, {}],
    ['no address', 'POST', WEBHOOKS, webhook({ callback_url: undefined }), 400, {}],
    ['an address that is none', 'POST', WEBHOOKS, webhook({ callback_url: 'gateway.example/hook' }), 400, {}],
    ['plain http to elsewhere', 'POST', WEBHOOKS, webhook({ callback_url: 'http://gateway.example/hook' }), 400, {}],
    ['plain http to a name that begins like this machine', 'POST', WEBHOOKS, webhook({ callback_url: 'http://localhost.example/hook' }), 400, {}],
    ['another scheme', 'POST', WEBHOOKS, webhook({ callback_url: 'ftp://127.0.0.1/hook' }), 400, {}],
    ['an address with a password', 'POST', WEBHOOKS, webhook({ callback_url: 'https://user:pass@gateway.example/' }), 400, {}],
    ['no event', 'POST', WEBHOOKS, webhook({ event: undefined }), 400, {}],
    ['an event that is none', 'POST', WEBHOOKS, webhook({ event: 'shop.message.delivered' }), 400, {}],
    ['an event by the name of its deliveries', 'POST', WEBHOOKS, webhook({ event: 'shop.email_collected' }), 400, {}],
    ['several events', 'POST', WEBHOOKS, webhook({ event: [OPT_IN, OPT_OUT] }), 400, {}],
    ['an unknown key', 'POST', WEBHOOKS, webhook({ events: [OPT_IN] }), 400, {}],
    ['headers that are no texts', 'POST', WEBHOOKS, webhook({ headers: { 'x-gateway-shop': 7 } }), 400, {}],
    ['a header with a line break', 'POST', WEBHOOKS, webhook({ headers: { 'x-gateway-shop': 'a\nb' } }), 400, {}],
    ['a name that no header has', 'POST', WEBHOOKS, webhook({ headers: { 'x gateway': 'a' } }), 400, {}],
    ['a header that is Postscript\'s own', 'POST', WEBHOOKS, webhook({ headers: { 'POSTSCRIPT-Signature': 'a' } }), 400, {}],
    ['a second subscription to an event', 'POST', WEBHOOKS, webhook({ event: 'shop.test' }), 400, list('Webhook subscription already exists', 'v2.entity_conflict')],
    ['an unknown subscription', 'GET', `${WEBHOOKS}/0`, {}, 404, gone('webhook subscription')],
    ['another shop\'s subscription', 'GET', `${WEBHOOKS}/${String(id)}`, { key: OTHER }, 404, gone('webhook subscription')],
    ['another shop\'s, to delete', 'DELETE', `${WEBHOOKS}/${String(id)}`, { key: OTHER }, 404, gone('webhook subscription')],
    ['a change of the event', 'PATCH', `${WEBHOOKS}/${String(id)}`, { value: { event: OPT_IN } }, 400, {}],
    ['a change of nothing', 'PATCH', `${WEBHOOKS}/${String(id)}`, { value: {} }, 400, {}],
    ['a change to plain http', 'PATCH', `${WEBHOOKS}/${String(id)}`, { value: { callback_url: 'http://gateway.example/' } }, 400, {}],
    ['a change that is no JSON', 'PATCH', `${WEBHOOKS}/${String(id)}`, { body: 'null' }, 400, {}],
    ['the token before the first subscription', 'GET', `${WEBHOOKS}/token`, { key: OTHER }, 404, gone('webhook token')],
    ['an example of nothing', 'GET', `${WEBHOOKS}/example`, {}, 400, {}],
    ['an example of an event that is none', 'GET', `${WEBHOOKS}/example?event=shop.clicked`, {}, 400, {}],
    ['an example with another parameter', 'GET', `${WEBHOOKS}/example?event=shop.test&x=1`, {}, 400, {}],
    ['a test that is no JSON', 'POST', `${WEBHOOKS}/test`, { body: '{' }, 400, list('the body is no JSON that says so')],
    ['a test of an event that is none', 'POST', `${WEBHOOKS}/test`, { value: { event: 'shop.clicked' } }, 400, list('/event is none of the events')],
    ['a test of what nobody subscribed to', 'POST', `${WEBHOOKS}/test`, { value: { event: OPT_OUT } }, 400, list('No webhook subscription for this event')],
    ['a method that is none there', 'PUT', `${WEBHOOKS}/token`, { value: {} }, 405, /Method Not Allowed/],
    ['another path', 'GET', `${WEBHOOKS}/token/1`, {}, 404, /Not Found/]
  ]
  for (const [name, method, path, given, status, body] of table) {
    const answer = await at.send(method, path, given)
    t.equal(answer.status, status, name)
    if (body instanceof RegExp) t.match(answer.body, body, name)
    else t.strictSame(answer.body, body, name)
    if (status === 400) t.match(answer.why, /\S/, `${name}: why is in a header`)
  }
  t.equal(((await at.send('GET', WEBHOOKS)).body.webhook_subscriptions as Data[]).length, 1, 'and nothing was made or lost by it')
})

t.test('a subscription is made, listed, read, changed and deleted, at its shop alone', async t => {
  const { send, subscribe } = await played(t)
  const made = await subscribe('https://gateway.example/hook', OPT_IN, { headers: { 'x-gateway-shop': 'acme' } })
  t.match(made, { id: /^[0-9a-f-]{36}$/, callback_url: 'https://gateway.example/hook', event: OPT_IN, headers: { 'x-gateway-shop': 'acme' }, created_at: '2026-11-21T19:20:00Z' })
  const plain = await subscribe('http://127.0.0.1:9/hook', 'shop.shop.email_collected')
  t.strictSame([plain.headers, plain.event], [{}, 'shop.shop.email_collected'])
  t.strictSame((await send('GET', WEBHOOKS)).body, { webhook_subscriptions: [made, plain] })
  t.strictSame((await send('GET', WEBHOOKS, { key: OTHER })).body, { webhook_subscriptions: [] })
  t.strictSame((await send('GET', WEBHOOKS, { key: PARTNER, token: KEY })).body, { webhook_subscriptions: [made, plain] }, 'a partner sees the shop\'s')
  const path = `${WEBHOOKS}/${String(made.id)}`
  t.strictSame((await send('GET', path)).body, made)
  const changed = (await send('PATCH', path, { value: { callback_url: 'https://gateway.example/new' } })).body
  t.strictSame(changed, { ...made, callback_url: 'https://gateway.example/new' })
  const { token } = (await send('GET', `${WEBHOOKS}/token`)).body
  t.match(token, /^whtok_[0-9a-f]{32}$/)
  t.strictSame(await send('DELETE', path), { status: 200, why: null, body: {} })
  t.equal((await send('DELETE', path)).status, 404)
  t.strictSame((await send('GET', WEBHOOKS)).body, { webhook_subscriptions: [plain] })
  t.match(await subscribe('https://gateway.example/hook', OPT_IN), { event: OPT_IN }, 'the event is free again')
  t.equal((await send('GET', `${WEBHOOKS}/token`)).body.token, token, 'the token stays')
})

t.test('webhooks are counted with all other calls of the shop', async t => {
  const { url, close } = await startSandbox({ providers: [postscript], port: 0, now: () => 5000 })
  t.teardown(close)
  const status = async (): Promise<number> => (await fetch(`${url}/postscript${WEBHOOKS}`, { headers: { authorization: `Bearer ${KEY}` } })).status
  for (let i = 0; i < 15; i++) t.equal(await status(), 200)
  t.equal(await status(), 429)
})

t.test('who answers Y is told to the subscribed shop, signed with its token and with the headers given', async t => {
  const at = await played(t)
  const hook = await faultServer(t, status(200))
  const { id } = await at.subscribe(`${hook.origin}/hooks/1`, OPT_IN, { headers: { 'x-gateway-shop': 'acme' } })
  await pending(at)
  await pending(at, OTHER)
  t.strictSame(await optIn(at), { opted_in: 2 }, 'at both shops; only one of them listens')
  await until(async () => (await at.deliveries())[0]?.state === 'delivered')
  const { subscribers } = (await at.send('GET', '/api/v2/subscribers')).body as { subscribers: Data[] }
  t.equal(hook.received.length, 1)
  t.match(hook.received[0], { method: 'POST', url: '/hooks/1', headers: { 'content-type': 'application/json', 'x-gateway-shop': 'acme', 'postscript-signature': (await at.send('GET', `${WEBHOOKS}/token`)).body.token } })
  t.strictSame(bodies(hook), [{ webhook_id: id, resource_type: 'shop', resource_id: await shopOf(at), event_time: '2026-11-21T19:20:00.025000', event: OPT_IN, event_data: { id: subscribers[0]?.id, phone_number: '12015550188' } }])
  t.match(await at.deliveries(), [{ id: 1, repeats: null, state: 'delivered', answers: [{ status: 200, url: `${hook.origin}/hooks/1` }] }])
  t.strictSame(await optIn(at), { opted_in: 0 }, 'a second Y changes nothing')
  t.equal((await at.deliveries()).length, 1)
})

t.test('who opts out is told, by a text of theirs or by the API, and once', async t => {
  const at = await played(t)
  const hook = await faultServer(t, status(200))
  await at.subscribe(hook.origin, OPT_OUT)
  await pending(at)
  const optOut = async (): Promise<unknown> => (await at.send('POST', '/_sandbox/opt_outs', { value: { phone_number: PHONE } })).body
  t.strictSame(await optOut(), { opted_out: 0 }, 'one who is pending has nothing to leave')
  await optIn(at)
  t.strictSame(await optOut(), { opted_out: 1 })
  t.match((await at.send('GET', '/api/v2/subscribers')).body.subscribers, [{ subscriptions: { promotional: { can_send: false } } }])
  await optIn(at)
  for (let i = 0; i < 2; i++) t.equal((await at.send('PATCH', '/api/v2/compliance/unsubscribe', { value: { phone_number: PHONE } })).status, 202)
  await until(async () => (await at.deliveries()).every(({ state }) => state === 'delivered'))
  t.equal(hook.received.length, 2)
  for (const told of bodies(hook)) t.match(told, { event: OPT_OUT, event_data: { id: /^s_/, phone_number: '12015550188' } })
})

t.test('what is not answered 200 is sent again until it is, at the address of the day', async t => {
  const at = await played(t)
  const hook = await faultServer(t, inTurn(status(202), status(503), status(302, { location: '/elsewhere' }), status(200)))
  t.strictSame((await at.send('GET', '/_sandbox/webhook_spacing')).body, { spacing_ms: 300_000 })
  const { id } = await at.subscribe(`${hook.origin}/old`, 'shop.test')
  t.strictSame(await at.send('POST', `${WEBHOOKS}/test`, { value: { event: 'shop.test' } }), { status: 202, why: null, body: { message: 'OK' } })
  await until(async () => (await at.answered()) === 1)
  t.match(await at.deliveries(), [{ state: 'waiting', answers: [{ status: 202 }] }], '202 is not 200')
  await at.send('PATCH', `${WEBHOOKS}/${String(id)}`, { value: { callback_url: `${hook.origin}/new` } })
  t.strictSame((await at.send('PUT', '/_sandbox/webhook_spacing', { value: { spacing_ms: 10 } })).body, { spacing_ms: 10 })
  await until(async () => (await at.deliveries())[0]?.state === 'delivered')
  t.match(await at.deliveries(), [{ answers: [{ status: 202 }, { status: 503 }, { status: 302 }, { status: 200 }] }])
  t.strictSame(hook.received.map(({ url }) => url), ['/old', '/new', '/new', '/new'], 'a redirect is followed nowhere')
  t.equal(new Set(hook.received.map(({ body }) => body)).size, 1, 'the same to the byte')
})

t.test('the same event may come twice, also after it was answered', async t => {
  const at = await played(t)
  const hook = await faultServer(t, status(200))
  await at.subscribe(hook.origin, OPT_IN)
  await pending(at)
  await optIn(at)
  t.match(await at.send('POST', '/_sandbox/webhook_deliveries/1/repeat'), { status: 200, body: { id: 2, repeats: 1 } })
  await until(async () => (await at.deliveries()).every(({ state }) => state === 'delivered'))
  t.equal(hook.received.length, 2)
  t.equal(hook.received[0]?.body, hook.received[1]?.body)
  t.equal((await at.send('POST', '/_sandbox/webhook_deliveries/9/repeat')).status, 404)
})

t.test('nothing is sent to another machine, and nothing after the subscription is deleted', async t => {
  const at = await played(t)
  await at.subscribe('https://gateway.example/hook', 'shop.test')
  t.equal((await at.send('POST', `${WEBHOOKS}/test`, { value: { event: 'shop.test' } })).status, 202)
  t.strictSame((await at.deliveries()).map(({ state, answers }) => [state, answers]), [['not_sent', []]])
  const hook = await faultServer(t, status(500))
  const { id } = await at.subscribe(hook.origin, OPT_IN)
  await at.send('POST', `${WEBHOOKS}/test`, { value: { event: OPT_IN } })
  await until(async () => (await at.answered()) === 1)
  await at.send('DELETE', `${WEBHOOKS}/${String(id)}`)
  await at.send('PUT', '/_sandbox/webhook_spacing', { value: { spacing_ms: 0 } })
  await until(async () => (await at.deliveries())[0]?.state === 'lost')
  t.equal(hook.received.length, 1)
})

t.test('an example of each event is shaped as its delivery would be', async t => {
  const at = await played(t)
  const shown = async (event: string): Promise<Data> => (await at.send('GET', `${WEBHOOKS}/example?event=${event}`)).body
  t.match(await shown(OPT_IN), { resource_type: 'shop', resource_id: await shopOf(at), event: OPT_IN, event_data: { id: /^s_/, phone_number: /^\d+$/ } })
  t.match(await shown('shop.incoming_message'), { event_data: { id: /^im_/, subscriber_id: /^s_/, from_number: /^\+/, body: /\w/ } })
  t.equal((await shown('shop.shop.email_collected')).event, 'shop.email_collected')
  t.equal((await shown('shop.email_collected')).event, 'shop.email_collected')
})

t.test('a sandbox that closes leaves its deliveries behind: nothing arrives any more', async t => {
  const at = await played(t)
  const hook = await faultServer(t, inTurn(status(500), () => {}))
  await at.subscribe(hook.origin, 'shop.test')
  await at.send('PUT', '/_sandbox/webhook_spacing', { value: { spacing_ms: 0 } })
  await at.send('POST', `${WEBHOOKS}/test`, { value: { event: 'shop.test' } })
  await until(async () => hook.received.length === 2)
  t.equal(hook.seen.open, 1, 'the second hangs')
  await at.close()
  await until(async () => hook.seen.open === 0)
  await new Promise(resolve => { setTimeout(resolve, 50) })
  t.equal(hook.received.length, 2, 'though the next would have been due at once')
})

t.test('the keywords of a shop are added and deactivated, each shop\'s its own', async t => {
  const { send } = await played(t)
  const names = async (key = KEY): Promise<string[]> => ((await send('GET', '/api/v2/keywords', { key })).body.keywords as Array<{ keyword: string }>).map(({ keyword }) => keyword)
  const change = (path: string, value: Data): Promise<Sent> => send('POST', `/_sandbox/keywords${path}`, { value })
  t.strictSame(await names(), ['BACKINSTOCK', 'VIP'])
  const added = (await change('', { shop_key: KEY, keyword: 'RESTOCK' })).body
  t.match(added, { id: /^kw_/, keyword: 'RESTOCK', created_at: '2026-11-21T19:20:00.025000' })
  t.strictSame((await send('GET', `/api/v2/keywords/${String(added.id)}`)).body, added)
  t.equal((await change('', { shop_key: KEY, keyword: 'RESTOCK' })).status, 409)
  t.strictSame((await change('/deactivate', { shop_key: KEY, keyword: 'RESTOCK' })).body, { deactivated: 1 })
  t.match(await send('GET', `/api/v2/keywords/${String(added.id)}`), { status: 404, body: { error_code: 3001 } }, 'the one saved is gone')
  const person = { phone_number: PHONE, keyword_id: added.id, origin: 'website' }
  t.match(await send('POST', '/api/v2/subscribers', { value: person }), { status: 400, body: { errors: [{ msg: 'Keyword is not active' }] } })
  t.strictSame((await change('/deactivate', { shop_key: KEY })).body, { deactivated: 2 })
  t.strictSame(await names(), [], 'no keywords yet')
  t.equal((await change('', { shop_key: KEY, keyword: 'RESTOCK' })).body.id, added.id)
  t.strictSame(await names(), ['RESTOCK'], 'and one after a refresh')
  t.equal((await send('POST', '/api/v2/subscribers', { value: person })).status, 200)
  t.strictSame(await names(OTHER), ['BACKINSTOCK', 'VIP'])
  t.strictSame(await names('sk_nokeywords_0123456789'), [])
  await change('', { shop_key: 'sk_nokeywords_0123456789', keyword: 'VIP' })
  t.strictSame(await names('sk_nokeywords_0123456789'), ['VIP'])
})

t.test('a control with a body that is not in order says what is wrong, and does nothing', async t => {
  const { send } = await played(t)
  for (const [method, path, value] of [
    ['POST', 'opt_ins', {}], ['POST', 'opt_outs', { phone: PHONE }], ['POST', 'keywords', { shop_key: KEY }], ['POST', 'keywords', { shop_key: PARTNER, keyword: 'VIP' }],
    ['POST', 'keywords', { shop_key: KEY, keyword: 'two words' }], ['POST', 'keywords/deactivate', { keyword: 'VIP' }], ['PUT', 'webhook_spacing', { spacing_ms: -1 }], ['PUT', 'webhook_spacing', { spacing: 1 }]
  ] as const) t.match(await send(method, `/_sandbox/${path}`, { value }), { status: 400, body: { error: /\w/ } }, `${path} ${JSON.stringify(value)}`)
  t.equal((await send('POST', '/_sandbox/opt_ins')).status, 400, 'no body')
})
