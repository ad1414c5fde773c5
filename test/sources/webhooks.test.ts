// The way in from outside: who may, what is read, what is answered; and what is told of it to whom.

import { connect } from 'node:net'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createHttp } from '../../gateway/http.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { Bodies } from '../../gateway/sources/bodies.ts'
import { webhookRoutes } from '../../gateway/sources/webhooks.ts'
import { makeApp, movable, ROOT, until, type Body } from '../helpers/app.ts'
import { within } from '../cli/cli.ts'
import { configWith, HOOK, hooked, rowOf, settled, shared, TOKENS, writeSource } from './hook.ts'

const CALLBACK = `
import { defineProvider, WEBHOOK_CAP_BYTES } from '${ROOT}/gateway/define.ts'
export default defineProvider({
  id: 'courier',
  secrets: ['callback'],
  routes (app, context) {
    app.post('/status/:delivery', async (request, reply) => {
      if (!context.secrets.callback.includes(request.headers['x-token'])) return reply.code(403).send()
      await context.receive({ topic: 'status', shop: null, subject: request.params.delivery, headers: {}, body: request.body.toString(), keys: [] })
      context.warn({ delivery: request.params.delivery }, 'called back')
      return reply.code(204).send()
    })
  }
})
`

const app = makeApp(t, {
  config: configWith(`${HOOK}\n  lock: { path: sources/lock, secrets: { token: { env: HOOK_TOKEN } }, options: { most: 3 } }`).replace('courier: { path: providers/courier }', 'courier: { path: providers/courier, secrets: { callback: { env: HOOK_TOKEN } } }'),
  env: TOKENS
})
writeSource(app.dir, 'hook')
writeSource(app.dir, 'lock')
mkdirSync(join(app.dir, 'providers', 'courier'), { recursive: true })
writeFileSync(join(app.dir, 'providers', 'courier', 'index.ts'), CALLBACK)
await app.start()

const RECORDED = { is: 'recorded', reason: 'noted', detail: 'Kept.' }
const count = async (): Promise<number> => ((await app.ask('GET', '/v1/inbox?limit=200')).body.items as Body[]).length

t.test('no API key is asked for there, and none helps: the source\'s own secrets do, each of a rotation', async t => {
  for (const token of Object.values(TOKENS)) t.equal((await hooked(app, RECORDED, { token })).status, 200)
  const before = await count()
  for (const token of ['', 'wrong', app.keyOf('all')]) t.equal((await hooked(app, RECORDED, { token })).status, 401)
  t.equal((await app.ask('POST', '/webhooks/hook', { key: 'all', body: RECORDED })).status, 401)
  t.equal((await hooked(app, RECORDED, { id: 'lock', token: TOKENS.HOOK_OLD })).status, 401, 'one source\'s secret opens no other')
  t.equal(await count(), before)
  t.equal((await app.ask('GET', '/v1/inbox', { key: null })).status, 401, 'the inbox itself is not open')
})

t.test('a source has its own options, with its schema\'s defaults', async t => {
  t.strictSame((await app.ask('GET', '/webhooks/hook/options', { key: null })).body, { prefix: '' })
  t.strictSame((await app.ask('GET', '/webhooks/lock/options', { key: null })).body, { prefix: '', most: 3 })
})

t.test('bodies come as the bytes they were, whatever is said of them', async t => {
  const raw = '{ "is":"recorded",\t"reason":"noted", "detail":"caf\u00e9 \\u0041." }\n'
  for (const [i, type] of ['application/json', 'application/json; charset=utf-7', 'text/plain', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded', 'x/y'].entries()) {
    t.match(await hooked(app, null, { raw, topic: `bytes-${i}`, headers: { 'content-type': type } }), { status: 200, body: { bytes: Buffer.byteLength(raw) } }, type)
    await settled(app, `bytes-${i}`)
    t.equal((await rowOf(app, `bytes-${i}`)).body, raw, type)
  }
  for (const type of ['application/json\tx', 'nonsense', 'application/json garbage']) {
    const { status } = await hooked(app, null, { raw, topic: 'odd', headers: { 'content-type': type } })
    t.ok(status === 200 || status === 415, `${type}: ${status}`)
  }
  t.match(await hooked(app, null, { raw: '', topic: 'empty' }), { status: 200, body: { bytes: 0 } })
})

t.test('keys that reach into prototypes are only text in a body, and no parser of ours meets them', async t => {
  const raw = '{"__proto__":{"polluted":1},"\\u0063onstructor":{"prototype":{"polluted":1}},"is":"recorded","reason":"noted","detail":"Kept."}'
  t.equal((await hooked(app, null, { raw, topic: 'proto', headers: { '__proto__': 'x' } })).status, 200)
  t.match(await settled(app, 'proto'), { state: 'recorded' })
  t.equal(({} as { polluted?: number }).polluted, undefined)
})

t.test('compressed bodies are not read', async t => {
  for (const encoding of ['gzip', 'br', 'deflate, gzip']) t.match(await hooked(app, RECORDED, { headers: { 'content-encoding': encoding } }), { status: 415, body: { error: { code: 'GW_MEDIA_TYPE' } } }, encoding)
})

t.test('what is larger than is kept is known to have come, and parked; what is larger than is read is refused', async t => {
  t.match(await hooked(app, null, { raw: Buffer.alloc(2 * 1024 * 1024 + 1, 0x20), topic: 'large', keys: ['large'] }), { status: 200, body: { result: 'new' } })
  t.match(await settled(app, 'large'), { level: 40, state: 'parked', reason: 'too_large' })
  const row = await rowOf(app, 'large')
  t.match(row, { body: null, detail: /larger/ })
  t.notOk(shared.calls.some(({ topic }) => topic === 'large'), 'nobody works on it')
  t.match(await app.ask('POST', `/v1/inbox/${String(row.id)}/retry`), { status: 409, body: { error: { code: 'GW_CONFLICT' } } })
  t.match(await hooked(app, null, { raw: Buffer.alloc(2 * 1024 * 1024 + 1, 0x20), topic: 'large', keys: ['large'] }), { body: { result: 'repeat' } })
  const fits = JSON.stringify({ ...RECORDED, detail: 'x'.repeat(2 * 1024 * 1024 - 60) })
  t.equal((await hooked(app, null, { raw: fits, topic: 'fits' })).status, 200)
  t.match(await settled(app, 'fits'), { state: 'recorded' })
  t.equal(String((await rowOf(app, 'fits')).detail).length, 1000)
  t.match(await hooked(app, null, { raw: Buffer.alloc(8 * 1024 * 1024 + 1, 0x20) }), { status: 413, body: { error: { code: 'GW_TOO_LARGE' } } })
})

t.test('what is refused leaves a trace: counted by source and status, told once in a while', async t => {
  const { runtime, advance } = movable()
  const app = makeApp(t, { config: configWith(HOOK), env: TOKENS, runtime })
  writeSource(app.dir, 'hook')
  await app.start()
  const told = () => app.lines.map(line => JSON.parse(line) as Body).filter(({ msg }) => msg === 'calls from outside were refused').map(({ level, source, status, count }) => [level, source, status, count])
  const counted = async (status: number): Promise<number> => Number(new RegExp(`gateway_inbox_refused_total\\{source="hook",status="${status}"\\} (\\d+)`).exec(String((await app.ask('GET', '/metrics')).body.text))?.[1] ?? 0)
  for (let i = 0; i < 5; i++) await hooked(app, RECORDED, { token: 'wrong' })
  await until(async () => await counted(401) === 5)
  t.strictSame(told(), [[40, 'hook', 401, 1]])
  await hooked(app, RECORDED, { headers: { 'content-encoding': 'gzip' } })
  await hooked(app, null, { raw: Buffer.alloc(8 * 1024 * 1024 + 1, 0x20) })
  await hooked(app, {}, { path: '/breaks' })
  await until(async () => await counted(415) + await counted(413) + await counted(500) === 3)
  t.strictSame(told().slice(1).map(([, , status]) => status).toSorted(), [413, 415, 500])
  advance(60_000)
  await hooked(app, RECORDED, { token: 'wrong' })
  await until(async () => await counted(401) === 6)
  t.strictSame(told().at(-1), [40, 'hook', 401, 5])
  await hooked(app, RECORDED)
  t.notMatch(String((await app.ask('GET', '/metrics')).body.text), /refused_total\{source="hook",status="2/)
  t.notOk(app.lines.some(line => line.includes('127.0.0.1')), 'nor is the caller named')
})

t.test('all bodies together take no more than there is room for, and give it back', async t => {
  const bodies = new Bodies(1000)
  const refused: number[] = []
  let [let1, let2] = [(): void => {}, (): void => {}]
  const gates = [new Promise<void>(resolve => { let1 = resolve }), new Promise<void>(resolve => { let2 = resolve })]
  const http = createHttp({ runtime: systemRuntime(), trustProxy: [], onError () {} })
  t.teardown(() => http.close())
  const routes = (scope: typeof http): void => {
    scope.post('/', async request => { await gates.pop(); return { bytes: (request.body as Buffer).length } })
    scope.post('/small', { bodyLimit: 10 }, async () => ({}))
  }
  webhookRoutes(http, ['one', 'two'].map(id => ({ id, routes, context: {} as never })), { open () {}, bodies, onRefused: ({ status }) => { refused.push(status) } })
  const url = await http.listen({ port: 0, host: '127.0.0.1' })
  const post = (id: string, bytes: number) => fetch(`${url}/webhooks/${id}`, { method: 'POST', body: Buffer.alloc(bytes, 0x20) })
  const held = [post('one', 600), post('two', 300)]
  await until(async () => bodies.held === 900 && gates.length === 0)
  const busy = await post('two', 200)
  t.equal(busy.status, 503)
  t.equal(busy.headers.get('retry-after'), '1')
  t.match(await busy.json(), { error: { code: 'GW_BUSY' } })
  t.equal((await post('one/small', 11)).status, 413, 'a route may take less')
  let1()
  let2()
  t.strictSame((await Promise.all((await Promise.all(held)).map(answer => answer.json()))), [{ bytes: 600 }, { bytes: 300 }])
  await until(async () => bodies.held === 0)
  t.equal((await post('two', 1000)).status, 200)
  t.equal((await post('two', 1001)).status, 503)
  await until(async () => bodies.held === 0)
  const cut = connect(Number(new URL(url).port), '127.0.0.1', () => { cut.write('POST /webhooks/one HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n' + 'x'.repeat(500)) })
  cut.on('error', () => {})
  await until(async () => bodies.held === 500)
  cut.destroy()
  await until(async () => bodies.held === 0)
  t.strictSame(refused.filter(status => status !== 400), [503, 413, 503])
})

t.test('methods and paths that are none are answered in our form', async t => {
  for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']) {
    const answered = await app.ask(method, '/webhooks/hook', { key: null })
    t.match(answered, { status: 405, headers: { allow: 'POST' } }, method)
  }
  t.match(await spoken('HEAD /webhooks/hook HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'), /^HTTP\/1\.1 405 /)
  t.equal((await hooked(app, RECORDED, { method: 'GET', headers: { 'x-http-method-override': 'POST' }, raw: '' })).status, 405)
  for (const path of ['/webhooks', '/webhooks/', '/webhooks/nobody', '//webhooks/hook', '/webhooks//hook', '/webhooks/./hook', '/webhooks/hook/../lock', '/webhooks/%2e%2e/v1/inbox', '/webhooks%2Fhook', '/webhooks/hook;x=1', '/webhooks/hook.', '/Webhooks/Hook', '/webhooks/herald']) {
    const raw = await spoken(`POST ${path} HTTP/1.1\r\nhost: x\r\nx-token: ${TOKENS.HOOK_TOKEN}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`)
    t.match(raw, /^HTTP\/1\.1 404 [^]*"GW_NOT_FOUND"/, path)
  }
})

t.test('what a source throws is told in our form: its own refusals as they are, its faults without a word of them', async t => {
  t.match(await hooked(app, {}, { path: '/refuses' }), { status: 404, body: { error: { code: 'GW_NOT_FOUND', request_id: /^req_/ } } })
  const broken = await hooked(app, {}, { path: '/breaks' })
  t.match(broken, { status: 500, body: { error: { code: 'GW_INTERNAL' } } })
  t.notMatch(JSON.stringify(broken.body), /secret detail/)
})

t.test('requests that two servers could read differently are refused, and the connection is closed', async t => {
  const head = `POST /webhooks/hook HTTP/1.1\r\nhost: x\r\nx-token: ${TOKENS.HOOK_TOKEN}\r\n`
  const before = await count()
  for (const rest of ['content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', 'content-length: 2\r\ncontent-length: 3\r\n\r\n{}', 'content-length : 2\r\n\r\n{}', 'transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n', 'transfer-encoding: xchunked\r\n\r\n{}', 'content-length: +2\r\n\r\n{}']) {
    t.match(await spoken(head + rest), /^HTTP\/1\.1 400 /, JSON.stringify(rest))
  }
  t.equal(await count(), before)
})

t.test('a hundred callers that never finish keep nobody else waiting', async t => {
  const slow = Array.from({ length: 100 }, () => {
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1')
    socket.on('error', () => {})
    socket.write('POST /webhooks/hook HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{')
    return socket
  })
  t.teardown(() => { for (const socket of slow) socket.destroy() })
  t.equal((await hooked(app, RECORDED)).status, 200)
})

t.test('a provider\'s call-back is proved by its own code, and recorded for the delivery it names', async t => {
  const call = (token: string) => app.ask('POST', '/webhooks/courier/status/dlv_1', { key: null, raw: 'MessageStatus=sent', headers: { 'x-token': token, 'content-type': 'application/x-www-form-urlencoded' } })
  t.equal((await call('wrong')).status, 403)
  t.equal((await call(TOKENS.HOOK_TOKEN)).status, 204)
  t.match(await settled(app, 'status'), { source: 'courier', state: 'recorded', reason: 'callback' })
  t.match(await rowOf(app, 'status'), { source: 'courier', subject: 'dlv_1', shop: null, body: 'MessageStatus=sent', events: [] })
  await app.logged(entry => entry.msg === 'called back' && entry.from === 'courier')
  const { items } = (await app.ask('GET', '/v1/inbox?subject=dlv_1')).body as { items: Body[] }
  t.match(items, [{ source: 'courier', subject: 'dlv_1' }])
  t.strictSame((await app.ask('GET', '/v1/inbox?subject=dlv_2')).body.items, [])
  t.match(await app.ask('POST', `/v1/inbox/${String(items[0]?.id)}/retry`), { status: 409, body: { error: { code: 'GW_CONFLICT' } } }, 'nothing is made of it')
})

t.test('each sees of the inbox what concerns its shops; the list holds no body, and pages', async t => {
  for (const shop of ['acme.example', 'globex.example', null]) for (const n of [1, 2]) await hooked(app, RECORDED, { topic: 'seen', shop, keys: [`seen-${shop}-${n}`] })
  const shops = async (key: 'all' | 'acme' | 'globex' | 'reader', query = '') => ((await app.ask('GET', `/v1/inbox?topic=seen${query}`, { key })).body.items as Body[]).map(({ shop }) => shop)
  t.strictSame(await shops('acme'), ['acme.example', 'acme.example'])
  t.strictSame(await shops('acme', '&shop=globex.example'), [])
  t.strictSame(await shops('all'), [null, null, 'globex.example', 'globex.example', 'acme.example', 'acme.example'])
  t.strictSame(await shops('reader', '&shop=globex.example'), ['globex.example', 'globex.example'])
  t.equal((await app.ask('GET', '/v1/inbox', { key: 'events' })).status, 403)
  const { items } = (await app.ask('GET', '/v1/inbox?topic=seen')).body as { items: Body[] }
  t.strictSame(Object.keys(items[0] as Body), ['id', 'source', 'topic', 'shop', 'subject', 'state', 'reason', 'detail', 'events', 'attempts', 'received_at', 'due_at', 'settled_at'])
  for (const { id, shop } of items) {
    t.equal((await app.ask('GET', `/v1/inbox/${String(id)}`, { key: 'acme' })).status, shop === 'acme.example' ? 200 : 404, String(shop))
    t.equal((await app.ask('POST', `/v1/inbox/${String(id)}/retry`, { key: 'acme' })).status, shop === 'acme.example' ? 202 : 404, String(shop))
  }
  t.equal((await app.ask('GET', '/v1/inbox/inb_none')).status, 404)
  const found: unknown[] = []
  let cursor = ''
  for (let page = 0; page < 3; page++) {
    const { body } = await app.ask('GET', `/v1/inbox?topic=seen&limit=2${cursor}`)
    found.push(...(body.items as Body[]).map(({ id }) => id))
    cursor = `&cursor=${String(body.next_cursor)}`
  }
  t.strictSame(found, items.map(({ id }) => id))
  for (const query of [`topic=seen&limit=2${cursor}x`, `topic=other${cursor}`, 'state=lost', 'shopp=x', 'limit=0']) t.equal((await app.ask('GET', `/v1/inbox?${query}`)).status, 422, query)
  t.equal((await app.ask('GET', `/v1/inbox?topic=seen${cursor}`, { key: 'acme' })).status, 422, 'a cursor is its caller\'s')
})

t.test('the command line lists, shows and retries', async t => {
  const shop = 'not-yet.example'
  await hooked(app, { is: 'events', events: [{ id: 'cli-1', type: 'noted.thing', timeAt: Date.now(), data: {} }] }, { topic: 'cli', shop })
  await settled(app, 'cli')
  const env = { GATEWAY_URL: app.url, GATEWAY_API_KEY: app.keyOf('all') }
  const listed = await within(['inbox', 'list', '--topic', 'cli', '--state', 'parked'], { env })
  t.match(listed, { code: 0, out: /event_refused/ })
  const { id } = await rowOf(app, 'cli')
  t.match(await within(['inbox', 'show', String(id)], { env }), { code: 0, out: /parked[^]*event_refused[^]*x-topic: cli[^]*"noted\.thing"/ })
  t.match(await within(['inbox', 'retry', 'inb_none', String(id)], { env }), { code: 1, out: /^inb_none .*GW_NOT_FOUND[^]*received/ }, 'each on its own')
  await until(async () => (await rowOf(app, 'cli')).state === 'parked')
  t.match(await within(['inbox', 'retry', String(id)], { env }), { code: 0 })
  await until(async () => (await rowOf(app, 'cli')).state === 'parked')
  t.match(await within(['inbox', 'list', '--subject', 'dlv_1'], { env }), { code: 0, out: /courier/ })
  t.match(await within(['inbox', 'list', '--topic', 'no-such', '--json'], { env }), { code: 0, out: /"items": \[\]/ })
  t.match(await within(['inbox', 'show', 'inb_none'], { env }), { code: 1, err: /GW_NOT_FOUND/ })
})

t.test('no answer, log line or metric holds a source\'s secret', async t => {
  const told = [...app.lines, ...app.out, String((await app.ask('GET', '/metrics')).body.text)].join('\n')
  for (const token of Object.values(TOKENS)) t.notOk(told.includes(token))
})

/** What is answered to these very bytes; the end of the connection is waited for. */
function spoken (bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1', () => { socket.write(bytes) })
    socket.setEncoding('utf8').on('data', chunk => { answer += String(chunk) }).once('close', () => { resolve(answer) }).once('error', reject)
  })
}
