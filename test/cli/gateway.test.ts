import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { mkdirSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { cli, project, within, type CliOptions, type Ended } from './cli.ts'

interface Seen { method: string, url: string, type: string | undefined, key: string | undefined, body: unknown }
type Reply = { status?: number, body: unknown }

interface Played {
  url: string
  seen: Seen[]
  /** Runs a command against it. */
  ask (argv: string[], options?: CliOptions): Promise<Ended>
}

/** A server that plays the gateway's API. What it is asked is kept; `reply` answers. */
async function play (t: Test, reply: (seen: Seen) => Reply): Promise<Played> {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    void textOf(request).then(text => {
      const one = { method: request.method ?? '', url: request.url ?? '', type: request.headers['content-type'], key: request.headers.authorization, body: text === '' ? null : JSON.parse(text) as unknown }
      seen.push(one)
      const { status = 200, body } = reply(one)
      response.writeHead(status, { 'content-type': 'application/json' }).end(typeof body === 'string' ? body : JSON.stringify(body))
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, seen, ask: (argv, options = {}) => within(argv, { ...options, env: { GATEWAY_URL: url, GATEWAY_API_KEY: 'key-of-the-test', ...options.env } }, { sleep: async () => {} }) }
}

async function textOf (request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk as string
  return text
}

const ID = 'dlv_0199f3a1-7c00-7000-8000-000000000001'
const DELIVERY = {
  id: ID, shop: 'acme.example', channel: 'sms', setup_group: 'back_in_stock', provider: 'courier', state: 'rejected', reason: 'payload_refused',
  sentence: 'Courier refused the message.', detail: 'no such metric', event: { id: 'evt_1', source: '/cli', type: 'back_in_stock.alert', source_id: 'e-1' },
  attempts: 1, due_at: null, expires_at: '2026-11-22T00:00:00.000Z', created_at: '2026-11-21T00:00:00.000Z', finished_at: '2026-11-21T00:00:01.000Z'
}
const DETAILS = {
  ...DELIVERY,
  event: { ...DELIVERY.event, time: '2026-11-21T00:00:00.000Z', received_at: '2026-11-21T00:00:00.000Z', data: { customer: { name: 'Ada \u001b[2J' } } },
  calls: [{ number: 1, lane: 'events', reserved_at: '2026-11-21T00:00:00.100Z', settled_at: '2026-11-21T00:00:00.900Z', request: { name: 'create_event', method: 'POST', path: '/api/events', headers: { accept: 'application/json' }, body: { data: { type: 'event' } } }, status: 400, answer: '{"errors":[{"detail":"no such metric"}]}', outcome: 'rejected' }]
}

function refusal (code: string): object {
  return { error: { code, message: 'It is not possible', fix: 'Do it otherwise.', request_id: 'req_1', details: [{ path: '/shop', rule: 'scope', message: 'not yours', got: 'x' }] } }
}

t.test('inbox list reads on over pages on which nothing fits, and does not say that nothing came while there is more', async t => {
  const row = { id: 'inb_1', source: 'hook', topic: 'thing', shop: null, subject: null, state: 'parked', reason: null, detail: null, events: [], attempts: 0, received_at: '2026-11-21T00:00:00.000Z', due_at: null, settled_at: null }
  const found = await play(t, ({ url }) => ({ body: url.includes('cursor=c3') ? { items: [row], next_cursor: null } : { items: [], next_cursor: `c${Number(/cursor=c(\d)/.exec(url)?.[1] ?? 0) + 1}` } }))
  const listed = await found.ask(['inbox', 'list', '--state', 'parked', '--subject', 'order-1'])
  t.match(listed, { code: 0, out: /inb_1/, err: '' })
  t.strictSame(found.seen.map(({ url }) => Object.fromEntries(new URL(url, 'http://x').searchParams)), [{}, { cursor: 'c1' }, { cursor: 'c2' }, { cursor: 'c3' }].map(more => ({ state: 'parked', subject: 'order-1', ...more })))
  const endless = await play(t, () => ({ body: { items: [], next_cursor: 'on' } }))
  const { code, out, err } = await endless.ask(['inbox', 'list'])
  t.strictSame([code, out, err], [0, '', 'there may be more: --cursor on\n'])
  t.equal(endless.seen.length, 50, 'and there is an end to it')
  t.match(await (await play(t, () => ({ body: { items: [], next_cursor: null } }))).ask(['inbox', 'list']), { code: 0, err: /nothing came in/ })
})

t.test('events send posts a CloudEvent with an identity of its own and the key', async t => {
  const { ask, seen } = await play(t, () => ({ status: 202, body: { id: 'e-1', status: 'accepted', deliveries: [{ id: ID, provider: 'courier', state: 'waiting' }] } }))
  const { code, out } = await ask(['events', 'send', 'back_in_stock.alert', '--shop', 'acme.example', '--example', '0', '--json'])
  t.equal(code, 0)
  t.match(JSON.parse(out), { status: 'accepted', deliveries: [{ id: ID }] })
  t.match(seen, [{ method: 'POST', url: '/v1/events', type: 'application/cloudevents+json', key: 'Bearer key-of-the-test', body: { specversion: '1.0', id: '00000000-0000-4000-8000-000000000001', source: '/cli', type: 'back_in_stock.alert', shop: 'acme.example', time: '2026-11-21T00:00:00.000Z', data: { customer: Object } } }])
})

t.test('events send takes a whole event from standard input, and options go before what it says', async t => {
  const { ask, seen } = await play(t, () => ({ status: 202, body: { id: 'e-1', status: 'duplicate', deliveries: [] } }))
  const event = { specversion: '1.0', id: 'e-1', source: '/shop', type: 'a.b', shop: 'acme.example', time: '2026-11-20T00:00:00Z', data: { x: 1 } }
  const input = JSON.stringify(event)
  t.equal((await ask(['events', 'send', 'a.b', '--data', '-'], { input })).code, 0)
  t.equal((await ask(['events', 'send', 'a.b', '--data', '-', '--id', 'e-2', '--source', '/other', '--shop', 'globex.example'], { input })).code, 0)
  t.equal((await ask(['events', 'send', 'a.b', '--data', '-', '--shop', 'acme.example', '--id', 'e-3'], { input: '{"x":2}' })).code, 0)
  t.strictSame(seen.map(({ body }) => body), [event, { ...event, id: 'e-2', source: '/other', shop: 'globex.example' }, { ...event, id: 'e-3', source: '/cli', time: '2026-11-21T00:00:00.000Z', data: { x: 2 } }])
})

t.test('events send --wait follows each delivery to its end, and is fine only when all were delivered', async t => {
  for (const [end, expected] of [['delivered', 0], ['held', 1], ['rejected', 1], ['expired', 1], ['unknown', 1]] as const) {
    const states = ['waiting', 'sending', end]
    const { ask, seen } = await play(t, ({ method }) => method === 'POST'
      ? { status: 202, body: { id: 'e-1', status: 'accepted', deliveries: [{ id: ID, provider: 'courier', state: 'waiting' }] } }
      : { body: { ...DETAILS, state: states.shift() } })
    const { code, out } = await ask(['events', 'send', 'a.b', '--shop', 'acme.example', '--data', '-', '--wait', '--json'], { input: '{}' })
    t.equal(code, expected, end)
    t.match(JSON.parse(out), { deliveries: [{ id: ID, state: end, sentence: 'Courier refused the message.' }] })
    t.equal(seen.filter(({ url }) => url === `/v1/deliveries/${ID}`).length, 3)
  }
})

t.test('events send --wait gives up after a minute', async t => {
  const { url } = await play(t, ({ method }) => method === 'POST'
    ? { status: 202, body: { id: 'e-1', status: 'accepted', deliveries: [{ id: ID, provider: 'courier', state: 'waiting' }] } }
    : { body: { ...DETAILS, state: 'waiting', reason: 'rate_limited' } })
  let nowMs = 0
  const { code, out } = await within(['events', 'send', 'a.b', '--shop', 's', '--data', '-', '--wait', '--json', '--url', url, '--key', 'k'], { input: '{}' }, { now: () => nowMs, sleep: async ms => { nowMs += ms } })
  t.equal(code, 1)
  t.match(JSON.parse(out), { deliveries: [{ state: 'waiting', reason: 'rate_limited' }] })
  t.ok(nowMs >= 60_000 && nowMs < 62_000, `${nowMs} ms`)
})

t.test('a refusal of the gateway is shown with its code, remedy, request and details', async t => {
  const { ask } = await play(t, () => ({ status: 422, body: refusal('GW_EVENT_INVALID') }))
  const { code, out, err } = await ask(['events', 'send', 'a.b', '--shop', 'x', '--data', '-', '--json'], { input: '{}' })
  t.equal(code, 1)
  t.strictSame(JSON.parse(out), refusal('GW_EVENT_INVALID'))
  for (const part of ['GW_EVENT_INVALID', 'Do it otherwise.', 'req_1', '/shop: not yours (got "x")']) t.match(err, part)
})

t.test('a code that this version does not know is passed on', async t => {
  const { ask } = await play(t, () => ({ status: 409, body: { error: { code: 'GW_OF_TOMORROW', message: 'New' } } }))
  const { code, out } = await ask(['shops', 'list', '--json'])
  t.equal(code, 1)
  t.match(JSON.parse(out), { error: { code: 'GW_OF_TOMORROW' } })
})

t.test('deliveries list hands on every filter and says how to go on', async t => {
  const { ask, seen } = await play(t, () => ({ body: { items: [DELIVERY], next_cursor: 'c.2' } }))
  const filters = ['--shop', 'acme.example', '--state', 'rejected', '--type', 'a.b', '--provider', 'courier', '--event-id', 'evt_1', '--source-id', 'e-1', '--phone', '+12015550123', '--limit', '1', '--cursor', 'c.1']
  const { code, out, err } = await ask(['deliveries', 'list', ...filters])
  t.equal(code, 0)
  t.match(out, new RegExp(`^ID +CREATED.*\n${ID} .* back_in_stock.alert .* rejected .* payload_refused `))
  t.match(err, '--cursor c.2')
  t.strictSame(Object.fromEntries(new URL(seen[0]?.url ?? '', 'http://x').searchParams), { shop: 'acme.example', state: 'rejected', type: 'a.b', provider: 'courier', event_id: 'evt_1', source_id: 'e-1', phone: '+12015550123', limit: '1', cursor: 'c.1' })
  t.match(JSON.parse((await ask(['deliveries', 'list', '--json'])).out), { items: [{ id: ID }], next_cursor: 'c.2' })
  t.equal(seen[1]?.url, '/v1/deliveries')
})

t.test('deliveries show tells state, reason, event and each call, and what it shows cannot steer the terminal', async t => {
  const { ask, seen } = await play(t, () => ({ body: DETAILS }))
  const { code, out } = await ask(['deliveries', 'show', ID])
  t.equal(code, 0)
  for (const part of ['rejected', 'Courier refused the message.', 'no such metric', 'e-1', '"customer"', 'POST /api/events', 'accept: application/json', '400', '"errors"']) t.match(out, part)
  t.notMatch(out, '\u001b')
  t.strictSame(JSON.parse((await ask(['deliveries', 'show', ID, '--json'])).out), DETAILS)
  await ask(['deliveries', 'show', '../shops?x'])
  t.equal(seen.at(-1)?.url, '/v1/deliveries/..%2Fshops%3Fx')
})

t.test('deliveries retry tries each, and one that is refused keeps no other from it', async t => {
  const { ask, seen } = await play(t, ({ url }) => url.includes('bad') ? { status: 409, body: refusal('GW_CONFLICT') } : { status: 202, body: { ...DELIVERY, state: 'waiting' } })
  const { code, out } = await ask(['deliveries', 'retry', 'bad', ID, '--json'])
  t.equal(code, 1)
  t.match(JSON.parse(out), { items: [{ id: 'bad', error: { code: 'GW_CONFLICT' } }, { id: ID, delivery: { state: 'waiting' } }] })
  t.match(seen, [{ method: 'POST', url: '/v1/deliveries/bad/retry', type: 'application/json', body: {} }, { url: `/v1/deliveries/${ID}/retry` }])
  t.equal((await ask(['deliveries', 'retry', ID])).code, 0)
})

t.test('shops list and show', async t => {
  const shop = { id: 'acme.example', name: 'Acme', domain: 'acme.example', plan: 'free', active: true }
  const details = {
    ...shop,
    channels: { sms: { provider: 'courier', chosen: true, queues: [{ setup_group: 'preorder', held_reason: 'plan_too_low', sentence: 'Upgrade.' }], providers: [] } },
    connections: [{ id: 'con_1', provider: 'courier', auth: 'api_key', account_id: 'ABC', status: 'refused', reason: 'credentials_refused', settings: {}, ready: [], secrets: {} }]
  }
  const { ask } = await play(t, ({ url }) => ({ body: url === '/v1/shops' ? { items: [shop], next_cursor: null } : details }))
  t.match((await ask(['shops', 'list'])).out, /acme\.example +Acme +acme\.example +free +active/)
  const { code, out } = await ask(['shops', 'show', 'acme.example'])
  t.equal(code, 0)
  for (const part of ['sms', 'plan_too_low', 'Upgrade.', 'credentials_refused']) t.match(out, part)
  t.strictSame(JSON.parse((await ask(['shops', 'show', 'acme.example', '--json'])).out), details)
})

t.test('forecast tells how long what waits takes, or what it waits for, of one channel or of all', async t => {
  const told = (setup_group: string, more: object) => ({ setup_group, waiting: 0, at_least: false, held_reason: null, sentence: null, seconds: 0, until: '2026-11-22T00:00:00.000Z', limited_by: 'nothing', ...more })
  const body = {
    ...told('', {}), shop: 'acme.example', channel: 'sms', provider: 'courier',
    queues: [told('idle', {}), told('wave', { waiting: 100_000, at_least: true, seconds: 7511.4, limited_by: 'window' }), told('held', { waiting: 3, held_reason: 'setup_open', sentence: 'Not finished.', seconds: null, until: null, limited_by: null })]
  }
  const { ask, seen } = await play(t, ({ url }) => ({ body: url.endsWith('/forecast') ? body : { channels: { sms: {}, mail: {} } } }))
  const { code, out } = await ask(['forecast', 'acme.example', 'sms'])
  t.equal(code, 0)
  t.match(out, /wave +at least 100000 +at least 2 h 5 m \(2026-11-22T00:00:00\.000Z\) +window/)
  t.match(out, /held +3 +held {2}setup_open: Not finished\./)
  t.match(out, /idle +0 +- +-/)
  t.strictSame(JSON.parse((await ask(['forecast', 'acme.example', '--json'])).out), { items: [body, body] })
  t.strictSame(seen.map(({ url }) => url), ['/v1/shops/acme.example/channels/sms/forecast', '/v1/shops/acme.example', '/v1/shops/acme.example/channels/sms/forecast', '/v1/shops/acme.example/channels/mail/forecast'])
})

t.test('doctor tells what is wrong, where, and what to do; a guess is told as one, and makes nothing fail', async t => {
  const certain = { code: 'flow_not_live', certain: true, sentence: 'The flow is a draft\u001b[2J.', fix: 'Turn it on.', where: { step: 'flow', subject: 'preorder.confirmed' }, since: '2026-11-22T00:00:00.000Z' }
  const guess = { code: 'quiet_hours', certain: false, sentence: 'It may be night.', fix: 'Wait.', where: { step: null, subject: null, delivery: ID } }
  const told = (causes: object[], healthy: boolean) => ({ shop: 'acme.example', channel: 'sms', provider: 'courier', healthy, causes })
  let body = told([certain, guess], false)
  const { ask, seen } = await play(t, () => ({ body }))
  const ill = await ask(['doctor', 'acme.example', '--person', '+12015550123'])
  t.equal(ill.code, 1)
  t.match(ill.out, /^sms: courier {2}something is wrong\n\nflow_not_live\n {2}The flow is a draft\ufffd\[2J\.\n {2}Fix: Turn it on\.\n {2}At: step flow, for preorder\.confirmed, since 2026-11-22T00:00:00\.000Z\n\nquiet_hours {2}\(possible\)\n {2}It may be night\.\n {2}Fix: Wait\.\n {2}At: dlv_/)
  body = told([guess], true)
  t.equal((await ask(['doctor', 'acme.example', 'sms'])).code, 0)
  t.strictSame(JSON.parse((await ask(['doctor', 'acme.example', '--json'])).out), body)
  t.strictSame(seen.map(({ url }) => url), ['/v1/shops/acme.example/diagnosis?person=%2B12015550123', '/v1/shops/acme.example/diagnosis?channel=sms', '/v1/shops/acme.example/diagnosis'])
})

t.test('a gateway that is not there, or is none, is told as such', async t => {
  const gone = await within(['shops', 'list', '--json', '--url', 'http://127.0.0.1:1', '--key', 'k'])
  t.equal(gone.code, 1)
  t.match(JSON.parse(gone.out), { error: { code: 'GW_UNREACHABLE' } })
  const { ask } = await play(t, () => ({ body: '<html>' }))
  t.match(JSON.parse((await ask(['shops', 'list', '--json'])).out), { error: { code: 'GW_UNREACHABLE' } })
  const event = await within(['events', 'send', 'a.b', '--shop', 's', '--data', '-', '--url', 'http://127.0.0.1:1', '--key', 'k'], { input: '{}' })
  t.match(event.err, '--id 00000000-0000-4000-8000-000000000001', 'and how to repeat an event without doubling it')
})

t.test('address and key come from the config where nothing else names them', async t => {
  const { url, seen } = await play(t, () => ({ body: { items: [], next_cursor: null } }))
  const dir = project(t, text => text)
  const env = { PORT: new URL(url).port }
  const unmade = await cli(['shops', 'list', '--json'], { cwd: dir, env })
  t.equal(unmade.code, 1)
  t.match(JSON.parse(unmade.out), { error: { code: 'GW_UNREACHABLE' } }, 'before the first start there is no key')
  mkdirSync(join(dir, 'data/keys'), { recursive: true })
  writeFileSync(join(dir, 'data/keys/local.api-key'), `gw_local_${'a1B2'.repeat(8)}\n`, { mode: 0o600 })
  const { code, err } = await cli(['shops', 'list'], { cwd: dir, env })
  t.equal(code, 0, err)
  t.equal(seen[0]?.key, `Bearer gw_local_${'a1B2'.repeat(8)}`)
})

t.test('the key of the local config is not shown to a gateway elsewhere', async t => {
  const { code } = await within(['shops', 'list', '--url', 'https://gateway.example'])
  t.equal(code, 2)
  t.equal((await within(['shops', 'list', '--url', 'gateway.example'])).code, 2)
})
