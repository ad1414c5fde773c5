// The door over real HTTP: what is taken, what is refused and how that is said.

import t, { type Test } from 'tap'
import { request } from 'undici'
import { anEvent, CONFIG, startApp, type Answered, type App, type Body, type Who } from '../helpers/app.ts'

/** One gateway for most of the file: events have ids of their own. */
const app = await startApp(t, { config: `${CONFIG}  - { id: empty.example, name: Empty, domain: empty.example, plan: pro }\n` })

const codeOf = ({ body }: Answered) => body.error?.code
const CLOUD = 'application/cloudevents+json'
const BATCH = 'application/cloudevents-batch+json'
const cloud = (id: string, shop = 'acme.example') => ({ specversion: '1.0', source: '/checkout', ...anEvent(id, { shop }) })

const idsOf = (item?: Body) => (item?.deliveries as Body[] | undefined)?.map(({ id }) => id)

async function stored (id: string): Promise<number> {
  const { body } = await app.ask('GET', `/v1/deliveries?source_id=${id}`)
  return body.items?.length as number
}

t.test('an event is taken as CloudEvent, in a batch of them, and as plain JSON', async t => {
  const single = await app.post(cloud('single-1'), { headers: { 'content-type': CLOUD } })
  t.equal(single.status, 202)
  const [delivery] = single.body.deliveries as Body[]
  t.match(delivery?.id, /^dlv_[0-9a-f-]{36}$/)
  t.strictSame(single.body, { id: 'single-1', status: 'accepted', deliveries: [{ id: delivery?.id, provider: 'courier', state: 'waiting' }] })

  const batch = await app.post([cloud('batch-1'), cloud('batch-2', 'globex.example')], { headers: { 'content-type': BATCH } })
  t.equal(batch.status, 202)
  t.strictSame(batch.body.items?.map(({ id, status, deliveries }) => [id, status, (deliveries as Body[])[0]?.provider]), [['batch-1', 'accepted', 'courier'], ['batch-2', 'accepted', 'herald']])

  t.equal((await app.post(anEvent('plain-1'))).status, 202)
  const plain = await app.delivery('plain-1')
  t.match(plain, { shop: 'acme.example', event: { source: '/api-keys/all', source_id: 'plain-1', type: 'back_in_stock.alert' } })
  t.strictSame((await app.post([anEvent('plain-2'), anEvent('plain-3')])).body.items?.map(({ status }) => status), ['accepted', 'accepted'])
})

t.test('a delivery is shown with its event, and then with the request that was sent', async t => {
  const answered = await app.post(anEvent('shown-1', { type: 'preorder.confirmed' }))
  t.match(await app.attempted(answered), { provider: 'courier', outcome: 'delivered', attempt: 1, shop: 'acme.example' })
  const [delivery] = answered.body.deliveries as Body[]
  const { body } = await app.ask('GET', `/v1/deliveries/${String(delivery?.id)}`)
  t.match(body, { state: 'delivered', reason: null, sentence: 'Accepted by Courier.', attempts: 1, event: { data: anEvent('shown-1', { type: 'preorder.confirmed' }).data } })
  t.match(body.calls, [{ number: 1, status: 202, outcome: 'delivered', request: { method: 'POST', path: '/api/events' } }])
  const received = (await app.received('courier')).find(({ key }) => key === delivery?.id)
  const [call] = body.calls as Body[]
  t.strictSame(received?.body, (call?.request as Body | undefined)?.body, 'what is shown is what was received')
})

t.test('the same shop, source and id is the same event', async t => {
  const first = await app.post(cloud('same-1'), { headers: { 'content-type': CLOUD } })
  await app.attempted(first)
  const reordered = Object.fromEntries(Object.entries(cloud('same-1')).toReversed())
  const again = await app.post(reordered, { headers: { 'content-type': CLOUD } })
  t.equal(again.status, 202)
  t.strictSame(again.body, { id: 'same-1', status: 'duplicate', deliveries: [{ id: (first.body.deliveries as Body[])[0]?.id, provider: 'courier', state: 'delivered' }] })

  const other = { ...cloud('same-1'), data: { ...cloud('same-1').data, customer: { name: 'Bea', phone: '+12015550124', country: 'US' } } }
  const conflict = await app.post(other, { headers: { 'content-type': CLOUD } })
  t.match(conflict, { status: 409, body: { error: { code: 'GW_EVENT_CONFLICT', details: [{ path: '/id' }] } } })
  t.match(await app.post({ ...anEvent('same-1', { type: 'preorder.confirmed' }), source: '/checkout' }), { status: 409 }, 'another type')

  t.match(await app.post({ ...cloud('same-1'), source: '/elsewhere' }), { status: 202, body: { status: 'accepted' } })
  t.match(await app.post({ ...anEvent('same-1', { shop: 'globex.example' }), source: '/checkout' }), { status: 202, body: { status: 'accepted' } })
  t.equal(await stored('same-1'), 3)
})

t.test('the same event twice in one batch is one event, and ten posts at once are one', async t => {
  const batch = await app.post([anEvent('twin-1'), anEvent('twin-1')])
  t.strictSame(batch.body.items?.map(({ status }) => status), ['accepted', 'duplicate'])
  const [first, second] = batch.body.items ?? []
  t.strictSame(idsOf(first), idsOf(second))
  const answers = await Promise.all(Array.from({ length: 10 }, () => app.post(anEvent('twin-2'))))
  t.strictSame(answers.map(({ body }) => body.status).toSorted(), ['accepted', ...Array.from({ length: 9 }, () => 'duplicate')])
  t.equal(await stored('twin-2'), 1)
})

t.test('a shop that is not set up gets its events held, with the reason', async t => {
  const { status, body } = await app.post(anEvent('held-1', { shop: 'empty.example' }))
  t.match({ status, body }, { status: 202, body: { status: 'accepted', deliveries: [{ provider: 'courier', state: 'held', reason: 'not_connected' }] } })
  t.match(await app.delivery('held-1'), { state: 'held', reason: 'not_connected', sentence: 'Connect your Courier account.', calls: [] })
  t.equal((await app.ask('GET', '/v1/deliveries?state=held&shop=empty.example')).body.items?.length, 1)
  t.equal((await app.ask('GET', '/v1/deliveries?state=waiting&shop=empty.example')).body.items?.length, 0)
})

t.test('what is refused is named, and nothing of it is stored', async t => {
  const good = anEvent('no-1')
  const data = good.data as Record<string, unknown>
  const cases: Array<[string, () => Promise<Answered>, number, string, string?]> = [
    ['malformed JSON', () => app.post({}, { raw: '{"id":"no-1",' }), 400, 'GW_JSON'],
    ['an empty body', () => app.post({}, { raw: '' }), 400, 'GW_JSON'],
    ['__proto__', () => app.post({}, { raw: JSON.stringify(good).replace('"data":{', '"data":{"__proto__":{"x":1},') }), 400, 'GW_JSON'],
    ['constructor.prototype', () => app.post({}, { raw: JSON.stringify(good).replace('"data":{', '"data":{"constructor":{"prototype":{}},') }), 400, 'GW_JSON'],
    ['no id', () => app.post({ ...good, id: undefined }), 422, 'GW_EVENT_INVALID', '/id'],
    ['a key of ours misspelt', () => app.post({ ...good, shopp: 'x' }), 422, 'GW_EVENT_INVALID', '/shopp'],
    ['a type that is none', () => app.post({ ...good, type: 'back_in_stock.alarm' }), 422, 'GW_EVENT_TYPE_UNKNOWN', '/type'],
    ['a shop that is none', () => app.post({ ...good, shop: 'nobody.example' }), 422, 'GW_SHOP_UNKNOWN', '/shop'],
    ['a shop of another key', () => app.post(good, { key: 'globex' }), 403, 'GW_FORBIDDEN', '/shop'],
    ['a shop that is none, of another key', () => app.post({ ...good, shop: 'nobody.example' }, { key: 'globex' }), 403, 'GW_FORBIDDEN', '/shop'],
    ['data with a key too many', () => app.post({ ...good, data: { ...data, extra: 1 } }), 422, 'GW_EVENT_INVALID', '/data/extra'],
    ['a phone number that is none', () => app.post({ ...good, data: { ...data, customer: { name: 'Ada', phone: '0123', country: 'US' } } }), 422, 'GW_EVENT_INVALID', '/data/customer/phone'],
    ['an event that is a list in CloudEvents', () => app.post([good], { headers: { 'content-type': CLOUD } }), 422, 'GW_EVENT_INVALID', ''],
    ['a batch that is none', () => app.post(good, { headers: { 'content-type': BATCH } }), 422, 'GW_EVENT_INVALID', ''],
    ['an empty batch', () => app.post([]), 422, 'GW_EVENT_INVALID', ''],
    ['an event over 64 KiB', () => app.post({ ...good, data: { ...data, pad: 'x'.repeat(65_536) } }), 413, 'GW_TOO_LARGE'],
    ['a batch over 1,000 events', () => app.post(Array.from({ length: 1001 }, () => ({}))), 413, 'GW_TOO_LARGE'],
    ['a batch over 4 MiB', () => app.post({}, { raw: `["${'x'.repeat(4 * 1024 * 1024)}"]` }), 413, 'GW_TOO_LARGE']
  ]
  for (const [name, send, status, code, path] of cases) {
    const answered = await send()
    t.match({ status: answered.status, code: codeOf(answered) }, { status, code }, name)
    t.match(answered.body.error, { request_id: /^req_/, fix: /.\.$/ }, `${name}: with the remedy`)
    if (path !== undefined) t.ok(answered.body.error?.details.some(detail => detail.path === path), `${name}: at ${path}`)
  }
  t.equal(await stored('no-1'), 0)
  t.match(await app.post(good), { status: 202, body: { status: 'accepted' } }, 'its id is as free as before')
})

t.test('every fault of an event is named at once', async t => {
  const { body } = await app.post({ ...anEvent('all-faults'), data: { customer: { name: 7, phone: 'x' }, product: {}, variant: {} } })
  const paths = body.error?.details.map(({ path }) => path) ?? []
  for (const path of ['/data/customer/name', '/data/customer/phone', '/data/product/title', '/data/variant/price']) t.ok(paths.includes(path), path)
  t.ok(body.error?.details.every(({ rule, message }) => typeof rule === 'string' && typeof message === 'string'))
})

t.test('a body in another form is not read, and tricks with its name change nothing', async t => {
  const raw = JSON.stringify(anEvent('media-1'))
  const refused: Array<Record<string, string>> = [
    { 'content-type': 'text/plain' },
    { 'content-type': 'multipart/form-data; boundary=x' },
    { 'content-type': 'application/x-www-form-urlencoded' },
    { 'content-type': 'application/json garbage' },
    { 'content-type': 'application/jsonp' },
    { 'content-type': 'application/cloudevents' },
    { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    { 'content-type': 'application/json', 'content-encoding': 'identity' },
    { 'content-type': 'application/json,application/xml' }
  ]
  for (const headers of refused) t.match(codeOf(await app.post({}, { raw, headers })), 'GW_MEDIA_TYPE', JSON.stringify(headers))
  t.equal(await stored('media-1'), 0)
  const bare = await request(`${app.url}/v1/events`, { method: 'POST', headers: { authorization: `Bearer ${app.keyOf('all')}` }, body: Buffer.from(raw) })
  t.equal(bare.statusCode, 415, 'none at all')
  await bare.body.dump()

  // Whatever a charset says, the body is UTF-8 and checked as such.
  const wrong = JSON.stringify({ ...anEvent('media-2'), data: {} })
  for (const type of ['application/json; charset=utf-7', 'application/json;charset=utf-16', 'APPLICATION/JSON', 'application/json\t; charset=utf-8']) {
    const answered = await app.post({}, { raw: wrong, headers: { 'content-type': type } })
    t.ok([415, 422].includes(answered.status), type)
  }
  t.equal(await stored('media-2'), 0)
})

t.test('a batch is taken as far as it is in order, item by item', async t => {
  const items = [anEvent('part-1'), { ...anEvent('part-2'), type: 'nothing' }, 7, anEvent('part-4', { shop: 'globex.example' }), { ...anEvent('part-5'), shop: 'nobody.example' }]
  const mixed = await app.post(items, { key: 'acme' })
  t.equal(mixed.status, 202)
  t.strictSame(mixed.body.items?.map(({ id, status, error }) => [id, status, (error as Body | undefined)?.code]), [
    ['part-1', 'accepted', undefined],
    ['part-2', 'refused', 'GW_EVENT_TYPE_UNKNOWN'],
    [null, 'refused', 'GW_EVENT_INVALID'],
    ['part-4', 'refused', 'GW_FORBIDDEN'],
    ['part-5', 'refused', 'GW_FORBIDDEN']
  ])
  t.equal(await stored('part-4'), 0)
  const none = await app.post(items.slice(1), { key: 'acme' })
  t.equal(none.status, 422)
  t.equal(none.body.items?.length, 4, 'refused in full, and still item by item')
})

t.test('a thousand events at once', async t => {
  const { status, body } = await app.post(Array.from({ length: 1000 }, (_, i) => anEvent(`many-${i}`, { shop: 'empty.example' })))
  t.equal(status, 202)
  t.strictSame(body.items?.map(({ id, status }) => [id, status]), Array.from({ length: 1000 }, (_, i) => [`many-${i}`, 'accepted']))
})

t.test('who has no key, a wrong one, or one for something else, gets nothing', async t => {
  const event = anEvent('key-1')
  for (const authorization of ['', 'Bearer', 'Bearer ', 'Bearer wrong', `Basic ${app.keyOf('all')}`, app.keyOf('all'), `Bearer ${app.keyOf('all')}x`, `Bearer x ${app.keyOf('all')}`]) {
    const answered = await app.post(event, { key: null, headers: authorization === '' ? {} : { authorization } })
    t.match(answered, { status: 401, headers: { 'www-authenticate': 'Bearer' }, body: { error: { code: 'GW_UNAUTHENTICATED' } } }, authorization.replace(app.keyOf('all'), '<key>'))
  }
  for (const name of ['key', 'api_key', 'token', 'access_token', 'authorization']) {
    t.equal((await app.ask('POST', `/v1/events?${name}=${app.keyOf('all')}`, { key: null, body: event })).status, 401, `?${name}=`)
  }
  t.match(await app.post(event, { key: 'reader' }), { status: 403, body: { error: { code: 'GW_FORBIDDEN' } } })
  t.equal(await stored('key-1'), 0)
})

t.test('another method is told the ones there are; another path, nothing', async t => {
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
    const answered = await app.ask(method, '/v1/events')
    t.match(answered, { status: 405, headers: { allow: 'POST' }, body: { error: { code: 'GW_METHOD' } } }, method)
  }
  t.match((await app.ask('POST', '/v1/shops/acme.example')).headers.allow, 'GET, PUT')
  for (const path of ['/', '/v2/events', '/v1/events/', '/v1//events', '/v1/events%00']) {
    t.match(await app.ask('POST', path, { body: {} }), { status: 404, body: { error: { code: 'GW_NOT_FOUND' } } }, path)
  }
})

async function holds (t: Test, app: App, who: Who, path: string): Promise<string[]> {
  const { status, body } = await app.ask('GET', path, { key: who })
  t.equal(status, 200, path)
  return [...new Set(body.items?.map(item => String(item.shop ?? item.id)))].toSorted()
}

t.test('lists show the caller\'s shops alone', async t => {
  await app.post([anEvent('mine-1'), anEvent('mine-2', { shop: 'globex.example' })])
  t.strictSame(await holds(t, app, 'acme', '/v1/deliveries?limit=200'), ['acme.example'])
  t.strictSame(await holds(t, app, 'globex', '/v1/deliveries?limit=200'), ['globex.example'])
  t.strictSame(await holds(t, app, 'globex', '/v1/deliveries?shop=acme.example'), [])
  t.strictSame(await holds(t, app, 'globex', '/v1/deliveries?source_id=mine-1'), [])
  t.strictSame(await holds(t, app, 'globex', '/v1/shops'), ['globex.example'])
  t.strictSame(await holds(t, app, 'reader', '/v1/shops'), ['acme.example', 'empty.example', 'globex.example'])
})

t.test('a person\'s deliveries are found by the phone number', async t => {
  const event = anEvent('person-1')
  const customer = { name: 'Bea', phone: '+12015550177', country: 'US' }
  await app.post({ ...event, data: { ...event.data, customer } })
  const { body } = await app.ask('GET', `/v1/deliveries?phone=${encodeURIComponent(customer.phone)}`)
  t.strictSame(body.items?.map(item => (item.event as Body).source_id), ['person-1'])
})

t.test('pages join without a gap, and a cursor is good for who got it and what was asked', async t => {
  await app.post(Array.from({ length: 7 }, (_, i) => anEvent(`page-${i}`, { shop: 'globex.example' })))
  const ids: unknown[] = []
  let cursor: unknown = null
  let second = ''
  do {
    const { body } = await app.ask('GET', `/v1/deliveries?limit=3${cursor === null ? '' : `&cursor=${String(cursor)}`}`, { key: 'globex' })
    ids.push(...(body.items as Body[]).map(({ id }) => id))
    cursor = body.next_cursor
    if (second === '') second = String(cursor)
  } while (cursor !== null)
  const { body } = await app.ask('GET', '/v1/deliveries?limit=200', { key: 'globex' })
  t.strictSame(ids, body.items?.map(({ id }) => id))

  const asked = async (cursor: string, who: Who = 'globex', more = '') => codeOf(await app.ask('GET', `/v1/deliveries?limit=3&cursor=${encodeURIComponent(cursor)}${more}`, { key: who }))
  t.equal(await asked(second), undefined)
  t.equal(await asked(second, 'acme'), 'GW_REQUEST_INVALID', 'of another key')
  t.equal(await asked(second, 'globex', '&shop=acme.example'), 'GW_REQUEST_INVALID', 'for another shop')
  for (const bad of [`z${second}`, second.slice(0, -2), second.split('.')[0] as string, '1.', '.', 'x', '9007199254740991']) t.equal(await asked(bad), 'GW_REQUEST_INVALID', bad)

  const shops = await app.ask('GET', '/v1/shops?limit=1')
  const next = String(shops.body.next_cursor)
  t.strictSame((await app.ask('GET', `/v1/shops?limit=1&cursor=${encodeURIComponent(next)}`)).body.items?.map(({ id }) => id), ['empty.example'])
  for (const [cursor, who] of [[next, 'reader'], [`${next}x`, 'all'], ['acme.example', 'all']] as const) {
    t.match(await app.ask('GET', `/v1/shops?limit=1&cursor=${encodeURIComponent(cursor)}`, { key: who }), { status: 422, body: { error: { code: 'GW_REQUEST_INVALID' } } }, `shops: ${who}`)
  }
})

t.test('queries are checked', async t => {
  for (const query of ['limit=0', 'limit=201', 'limit=x', 'state=gone', 'phone=123', 'unknown=1', 'view=all']) {
    t.match(await app.ask('GET', `/v1/deliveries?${query}`), { status: 422, body: { error: { code: 'GW_REQUEST_INVALID' } } }, query)
  }
})
