// Who may see and do what: every route there is, with no key, with another shop's key, with more in the body than belongs there.

import t from 'tap'
import { createHttp } from '../../gateway/http.ts'
import { authenticate } from '../../gateway/auth.ts'
import { buildGeneration, type GenerationParts } from '../../gateway/generation.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { anEvent, startApp, type Body } from '../helpers/app.ts'

const app = await startApp(t)
const answered = await app.post(anEvent('seen-1'))
await app.attempted(answered)
const deliveryId = String((answered.body.deliveries as Body[])[0]?.id)

/** Method and path of every route of the app, as the app itself names them. */
async function routes (): Promise<Array<{ method: string, url: string }>> {
  const found: Array<{ method: string, url: string }> = []
  const nothing = new Map()
  const generation = await buildGeneration({
    config: { server: { trustProxy: [] }, security: { apiKeys: [] }, channels: {}, plans: {}, eventTypes: {}, recordedTypes: {}, sources: [], providers: [], shopIdPattern: '.' } as unknown as GenerationParts['config'],
    schemas: nothing, providers: nothing, sources: nothing, outgoing: {} as never, sandboxUrl: null, inbox: {} as never, intake: { capacity: { guardEvents () {}, guardWebhooks () {} } } as never, store: {} as never, runtime: systemRuntime(), vault: {} as never, shops: {} as never, deliver: {} as never, setup: {} as never, grants: {} as never, webhooks: {} as never, publicUrl: () => null, look () {}, metrics: {} as never, log: {} as never,
    ready: () => true,
    onRefused () {},
    onRoute: ({ method, url }) => { found.push({ method: String(method), url }) }
  })
  await generation.close()
  return found
}

const PUBLIC = new Set(['/healthz', '/readyz', '/metrics'])
const all = await routes()
const pathOf = (url: string, shop = 'acme.example') => url.replace(':shop', shop).replace(':channel', 'sms').replace(':provider', 'courier').replace(':type', 'back_in_stock.alert').replace(':id', deliveryId)

t.test('every route wants a key but the three that tell how the gateway is', async t => {
  t.ok(all.length > 10)
  for (const { method, url } of all) {
    const { status } = await app.ask(method, pathOf(url), { key: null, ...(method !== 'GET' && { body: {} }) })
    t.equal(status, PUBLIC.has(url) ? 200 : 401, `${method} ${url}`)
  }
  t.strictSame(all.filter(({ url }) => PUBLIC.has(url)).map(({ method }) => method), ['GET', 'GET', 'GET'])
})

t.test('a route that names no scope does not come up', async t => {
  const http = createHttp({ runtime: systemRuntime(), trustProxy: [], onError: () => {} })
  authenticate(http, [])
  t.throws(() => { http.get('/open', async () => ({})) }, /names no scope/)
  await http.close()
})

t.test('with another shop\'s key, what takes an id answers as if there were nothing', async t => {
  const bodies: Record<string, unknown> = {
    'POST /v1/deliveries/:id/send-again': { mode: 'send', reason: 'theirs' },
    'PUT /v1/shops/:shop/opt-outs': { phone: '+12015550123' },
    'POST /v1/shops/:shop/opt-outs/lift': { phone: '+12015550123', reason: 'theirs' },
    'POST /v1/shops/:shop/privacy/redactions': { customer: { phone: '+12015550123' } },
    'PUT /v1/shops/:shop/providers/:provider/texts/:type': { text: 'x' },
    'POST /v1/shops/:shop/providers/:provider/texts/:type/preview': {},
    'PATCH /v1/shops/:shop/providers/:provider/settings': { settings: {} },
    'PUT /v1/shops/:shop': { name: 'X', domain: 'x.example', plan: 'pro' },
    'PUT /v1/shops/:shop/channels/:channel': { provider: 'herald' },
    'POST /v1/shops/:shop/providers/:provider/subscribers/check': { phone: '+12015550123' },
    'PUT /v1/shops/:shop/providers/:provider/connection': { secrets: { api_key: 'key_stolen_0123456789' } }
  }
  const before = await app.ask('GET', '/v1/shops/acme.example')
  const taking = all.filter(({ url }) => url.includes(':'))
  t.ok(taking.length >= 8)
  for (const { method, url } of taking) {
    const body = bodies[`${method} ${url}`]
    const theirs = await app.ask(method, pathOf(url), { key: 'globex', ...(body !== undefined && { body }) })
    const none = await app.ask(method, pathOf(url, 'nobody.example').replace(deliveryId, 'dlv_none'), { key: 'globex', ...(body !== undefined && { body }) })
    t.match(theirs, { status: 404, body: { error: { code: 'GW_NOT_FOUND' } } }, `${method} ${url}`)
    t.strictSame({ ...theirs.body.error, request_id: '' }, { ...none.body.error, request_id: '' }, 'and no one can tell the two apart')
  }
  t.strictSame((await app.ask('GET', '/v1/shops/acme.example')).body, before.body)
  t.equal((await app.ask('POST', `/v1/deliveries/${deliveryId}/retry`)).status, 409, 'what was delivered is not sent again by its own shop either')
})

t.test('a scope that is missing closes the route', async t => {
  for (const { method, url } of all.filter(({ url }) => !PUBLIC.has(url) && url !== '/v1/events')) {
    t.equal((await app.ask(method, pathOf(url), { key: 'events' })).status, 403, `${method} ${url}`)
  }
  // A preview keeps nothing: whoever may read may ask for one.
  for (const { method, url } of all.filter(({ method, url }) => method !== 'GET' && !url.endsWith('/preview'))) {
    t.equal((await app.ask(method, pathOf(url), { key: 'reader', body: {} })).status, 403, `${method} ${url}`)
  }
})

t.test('what a caller may not set is refused, not dropped', async t => {
  const shop = { name: 'Acme', domain: 'acme.example', plan: 'pro' }
  const refused: Array<[string, object, string]> = [
    ['/v1/shops/acme.example', { ...shop, shop_key: 1 }, '/shop_key'],
    ['/v1/shops/acme.example', { ...shop, id: 'globex.example' }, '/id'],
    ['/v1/shops/acme.example', { ...shop, role: 'admin' }, '/role'],
    ['/v1/shops/acme.example', { ...shop, active: 'true' }, '/active'],
    ['/v1/shops/acme.example', { ...shop, plan: 'platinum' }, '/plan'],
    ['/v1/shops/acme.example', { name: 'Acme' }, '/domain'],
    ['/v1/shops/acme.example/channels/sms', { provider: 'courier', shop: 'globex.example' }, '/shop'],
    ['/v1/shops/acme.example/channels/sms', { provider: 'nobody' }, '/provider'],
    ['/v1/shops/acme.example/providers/courier/connection', { secrets: { api_key: 'key_new_0123456789abc' }, account_key: 2 }, '/account_key'],
    ['/v1/shops/acme.example/providers/courier/connection', { secrets: { api_key: 'key_new_0123456789abc', sealed: 'x' } }, '/secrets/sealed'],
    ['/v1/shops/acme.example/providers/courier/connection', { secrets: {} }, '/secrets/api_key'],
    ['/v1/shops/acme.example/providers/courier/connection', { secrets: { api_key: 'key_new_0123456789abc' }, ready: ['nothing'] }, '/ready/0'],
    ['/v1/shops/acme.example/providers/courier/connection', { secrets: { api_key: 'key_new_0123456789abc' }, settings: { link_to: 'moon' } }, '/settings/link_to'],
    ['/v1/shops/acme.example/providers/courier/connection', { secrets: { api_key: 'key_new_0123456789abc' }, settings: { other: 1 } }, '/settings/other'],
    ['/v1/shops/acme.example/providers/courier/connection', { auth: 'oauth9', secrets: { api_key: 'key_new_0123456789abc' } }, '/auth']
  ]
  const before = await app.ask('GET', '/v1/shops/acme.example')
  for (const [path, body, at] of refused) {
    const { status, body: { error } } = await app.ask('PUT', path, { body })
    t.match({ status, code: error?.code }, { status: 422, code: 'GW_REQUEST_INVALID' }, `${path} ${at}`)
    t.ok(error?.details.some(detail => detail.path === at), at)
    t.notMatch(JSON.stringify(error), /key_new/, 'no secret is repeated')
  }
  t.match(await app.ask('PUT', `/v1/shops/${encodeURIComponent('No Shop!')}`, { body: shop }), { status: 422, body: { error: { details: [{ path: '/shop' }] } } })
  t.strictSame((await app.ask('GET', '/v1/shops/acme.example')).body, before.body)
})

t.test('no answer, log line or metric holds a secret, a key of a row or, outside of an event, a phone number', async t => {
  const secrets = Object.values(app.env)
  const inner = /"(?:shop_key|event_key|delivery_key|queue_key|account_key|connection_key|owner|epoch|claims|sealed|digest|person)"/
  for (const { method, url } of all.filter(({ method }) => method === 'GET')) {
    const text = JSON.stringify(await app.ask(method, pathOf(url)))
    for (const secret of secrets) t.notOk(text.includes(secret), `${url} holds a secret`)
    t.notMatch(text, inner, url)
    if (url !== '/v1/deliveries/:id') t.notMatch(text, /\+1201555/, url)
  }
  const { text } = (await app.ask('GET', '/metrics')).body
  t.notMatch(text, /acme|globex|\+1201555/)
  t.match(text, /gateway_events_total\{type="back_in_stock.alert",status="accepted"\} 1/)
  const lines = [...app.lines, ...app.out].join('\n')
  for (const secret of secrets) t.notOk(lines.includes(secret))
  t.notMatch(app.lines.join('\n'), /\+1201555/)
})

t.test('fields of the main answers', async t => {
  const { body: delivery } = await app.ask('GET', `/v1/deliveries/${deliveryId}`)
  t.strictSame(Object.keys(delivery), ['id', 'shop', 'channel', 'setup_group', 'provider', 'state', 'reason', 'sentence', 'detail', 'event', 'attempts', 'provider_message_id', 'carrier', 'due_at', 'expires_at', 'created_at', 'finished_at', 'mode', 'again_of', 'sent_again', 'adjusted_settings', 'calls'])
  t.strictSame(Object.keys(delivery.event as Body), ['id', 'source', 'type', 'source_id', 'time', 'received_at', 'data'])
  t.strictSame(Object.keys((delivery.calls as Body[])[0] as Body), ['number', 'lane', 'reserved_at', 'settled_at', 'request', 'status', 'answer', 'outcome', 'provider_message_id'])
  const { body: shop } = await app.ask('GET', '/v1/shops/acme.example')
  t.strictSame(Object.keys(shop), ['id', 'name', 'domain', 'plan', 'active', 'status', 'status_at', 'warnings', 'channels', 'connections'])
  t.strictSame(Object.keys((shop.connections as Body[])[0] as Body), ['id', 'provider', 'connection', 'auth', 'account_id', 'account_name', 'status', 'reason', 'settings', 'ready', 'set_up', 'secrets'])
  t.strictSame(((shop.connections as Body[])[0] as Body).secrets, { api_key: `…${(app.env.ACME_KEY as string).slice(-4)}` })
})
