import type { LookupAddress } from 'node:dns'
import { createSecureServer } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import type { Answer, PreparedRequest } from '../../gateway/contract.ts'
import { allowsHost, guardedLookup, isLoopback, isPublic } from '../../gateway/delivery/guard.ts'
import { createSender, type SendOptions, type Sender } from '../../gateway/delivery/send.ts'
import { certificates, NO_CERTIFICATES, trusting } from '../helpers/certificates.ts'
import { until } from '../helpers/fake-runtime.ts'
import { closedPort, faultServer, hang, inTurn, rawServer, reset, status } from '../helpers/fault-server.ts'
import { request } from '../helpers/make.ts'
import type { Teardown } from '../helpers/tmp.ts'

const DEADLINE_MS = 300
const LATE_MS = 150

/** Sends to `baseUrl`, which counts as the sandbox's unless said otherwise. */
function sender (t: Teardown, baseUrl: string, more: Partial<SendOptions> = {}): Sender {
  const made = createSender(baseUrl, { deadlineMs: 5000, connections: 8, sandboxOrigin: new URL(baseUrl).origin, now: () => performance.now(), ...more })
  t.teardown(() => made.close())
  return made
}

const send = (to: Sender, more: Partial<PreparedRequest> = {}, signal = new AbortController().signal) => to.send(request(more), { authorization: 'Key k' }, signal)

const kinds = (answers: Answer[]) => answers.map(answer => answer.kind)

// ── as it should be ────────────────────────────────────────────────────────────────────────────

t.test('a request goes out as it was prepared, with the credentials, and its answer comes back', async t => {
  const server = await faultServer(t, status(202, { 'content-type': 'application/json', 'x-request-id': 'r1', 'ratelimit-remaining': '3', 'retry-after': '7', 'set-cookie': 'a=b', server: 's' }, '{"ok":true}'))
  const answer = await send(sender(t, `${server.origin}/alpha/`), { path: '/events?x=1', body: '{"name":"Zoë"}' })
  const date = answer.kind === 'answer' ? answer.headers['date'] : undefined
  t.ok(Math.abs(Date.parse(date ?? '') - Date.now()) < 60_000, 'and the time it is there')
  t.strictSame(answer, {
    kind: 'answer', status: 202, body: '{"ok":true}', cut: false, headers: { date, 'content-type': 'application/json', 'x-request-id': 'r1', 'ratelimit-remaining': '3', 'retry-after': '7' }
  })
  const [received] = server.received
  t.match(received, { method: 'POST', url: '/alpha/events?x=1', body: '{"name":"Zoë"}', headers: { host: `127.0.0.1:${server.port}`, authorization: 'Key k', 'content-type': 'application/json', 'content-length': '15' } })
  t.notOk(received?.headers['accept-encoding'], 'nothing compressed is asked for')
})

t.test('an interim answer is not the answer', async t => {
  const server = await faultServer(t, ({ response }) => {
    response.writeEarlyHints({ link: '</a>; rel=preload' })
    response.writeHead(202).end('done')
  })
  t.match(await send(sender(t, server.origin)), { kind: 'answer', status: 202, body: 'done' })
})

t.test('no more requests are open at the provider than it has connections, and they are used again', async t => {
  const server = await faultServer(t, ({ response }) => { setTimeout(() => { response.writeHead(202).end() }, 5) })
  const to = sender(t, server.origin, { connections: 8 })
  const answers = await Promise.all(Array.from({ length: 100 }, () => send(to)))
  t.strictSame([...new Set(kinds(answers))], ['answer'])
  t.equal(server.received.length, 100)
  t.equal(server.seen.connections, 8)
  t.equal(server.seen.most, 8)
})

// ── not sent, or no answer ─────────────────────────────────────────────────────────────────────

t.test('R46: a refused connection has sent nothing', async t => {
  t.match(await send(sender(t, `http://127.0.0.1:${await closedPort()}`)), { kind: 'not_sent', code: 'ECONNREFUSED' })
})

t.test('R46: a connection cut before the request came, in its middle or after it leaves the outcome open, and nothing is repeated', async t => {
  const before = await rawServer(t, socket => { socket.resetAndDestroy() })
  const during = await rawServer(t, socket => { socket.once('data', () => { socket.resetAndDestroy() }) })
  const after = await faultServer(t, reset)
  const politely = await faultServer(t, ({ socket }) => { socket.end() })
  const inHeaders = await rawServer(t, socket => { socket.once('data', () => { socket.end('HTTP/1.1 202 Acc') }) })
  const inBody = await rawServer(t, socket => { socket.once('data', () => { socket.end('HTTP/1.1 202 OK\r\ncontent-length: 10\r\n\r\nabc') }) })
  const large = 'x'.repeat(8 * 1024 * 1024)

  t.notMatch(await send(sender(t, before.origin, { deadlineMs: DEADLINE_MS })), { kind: 'answer' }, 'at once: it may or may not have been written')
  t.match(await send(sender(t, during.origin), { body: large }), { kind: 'no_answer' }, 'while the body is written')
  t.match(await send(sender(t, after.origin)), { kind: 'no_answer', code: 'ECONNRESET' }, 'reset after it')
  t.match(await send(sender(t, politely.origin)), { kind: 'no_answer' }, 'closed after it')
  t.match(await send(sender(t, inHeaders.origin)), { kind: 'no_answer' }, 'within the head of the answer')
  t.match(await send(sender(t, inBody.origin)), { kind: 'no_answer' }, 'within its body')
  t.equal(after.received.length, 1)
  t.equal(politely.received.length, 1)
  t.strictSame([during, inHeaders, inBody].map(({ sockets }) => sockets.length), [1, 1, 1])
})

t.test('R46: a kept connection that the provider closes between two requests costs nothing', async t => {
  const server = await faultServer(t, inTurn(({ response, socket }) => { response.end('1', () => { socket.end() }) }, status(200, {}, '2')))
  const to = sender(t, server.origin, { connections: 1 })
  t.match(await send(to), { kind: 'answer', body: '1' })
  await until('the provider has closed it', async () => server.seen.open === 0 && await new Promise(resolve => { setImmediate(resolve, true) }))
  t.match(await send(to), { kind: 'answer', body: '2' })
  t.strictSame(server.received.map(({ connection }) => connection), [1, 2])
})

t.test('R46: a kept connection that is cut when the second request comes leaves that one open, and it is not sent again', async t => {
  const server = await faultServer(t, inTurn(status(200), reset, status(200)))
  const to = sender(t, server.origin, { connections: 1 })
  t.strictSame(kinds([await send(to), await send(to)]), ['answer', 'no_answer'])
  t.strictSame(server.received.map(({ connection }) => connection), [1, 1])
  t.match(await send(to), { kind: 'answer' }, 'the next one gets a new connection')
})

t.test('R45: an answer that does not end is given up at the deadline, whatever trickles in', async t => {
  const drip = (head: string, every: string) => rawServer(t, socket => {
    socket.once('data', () => {
      socket.write(head)
      const timer = setInterval(() => { socket.write(every) }, 20)
      socket.once('close', () => { clearInterval(timer) })
    })
  })
  const servers = {
    'no answer': await faultServer(t, hang),
    'a drip of headers': await drip('HTTP/1.1 202 OK\r\n', 'x-a: b\r\n'),
    'a drip of body': await drip('HTTP/1.1 202 OK\r\ncontent-length: 60000\r\n\r\n', 'x'),
    'a drip of chunks': await drip('HTTP/1.1 202 OK\r\ntransfer-encoding: chunked\r\n\r\n', '1\r\nx\r\n'),
    'interim answers for ever': await drip('', 'HTTP/1.1 102 Processing\r\n\r\n'),
    'nothing read': await rawServer(t, socket => { socket.pause() })
  }
  for (const [what, { origin }] of Object.entries(servers)) {
    const startedAt = performance.now()
    t.match(await send(sender(t, origin, { deadlineMs: DEADLINE_MS })), { kind: 'no_answer', code: 'DEADLINE' }, what)
    const ms = performance.now() - startedAt
    t.ok(ms >= DEADLINE_MS - 5 && ms < DEADLINE_MS + LATE_MS, `${what}: after ${Math.round(ms)} ms`)
  }
})

t.test('R45: what no connection was free for until the deadline was not sent, and is not sent later', async t => {
  const server = await faultServer(t, hang)
  const to = sender(t, server.origin, { connections: 1, deadlineMs: DEADLINE_MS })
  t.strictSame(kinds(await Promise.all([send(to), send(to, { path: '/late' })])), ['no_answer', 'not_sent'])
  server.reply = status(200)
  t.match(await send(to, { path: '/next' }), { kind: 'answer' })
  t.strictSame(server.received.map(({ url }) => url), ['/events', '/next'])
})

// ── too much ───────────────────────────────────────────────────────────────────────────────────

t.test('R45: of a body without end 64 KiB are read, and the rest is cut off', async t => {
  let written = 0
  let closed = false
  const server = await rawServer(t, socket => {
    socket.once('data', () => {
      const block = 'x'.repeat(16 * 1024)
      const more = () => { while (!socket.destroyed && socket.write(`4000\r\n${block}\r\n`)) written += block.length }
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
      socket.on('drain', more).once('close', () => { closed = true })
      more()
    })
  })
  const answer = await send(sender(t, server.origin)) as Answer & { kind: 'answer' }
  t.match(answer, { kind: 'answer', status: 200, cut: true })
  t.ok(answer.body.length <= 64 * 1024)
  await until('the connection is closed', () => closed)
  t.ok(written < 64 * 1024 * 1024)
})

t.test('a body of exactly 64 KiB is whole', async t => {
  const server = await faultServer(t, status(200, {}, 'x'.repeat(64 * 1024)))
  const answer = await send(sender(t, server.origin)) as Answer & { kind: 'answer' }
  t.equal(answer.cut, false)
  t.equal(answer.body.length, 64 * 1024)
})

t.test('R48: what comes compressed is not inflated', async t => {
  const bomb = gzipSync(Buffer.alloc(20 * 1024 * 1024, 'a'))
  const server = await faultServer(t, ({ response }) => { response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' }).end(bomb) })
  const before = process.memoryUsage.rss()
  const answer = await send(sender(t, server.origin)) as Answer & { kind: 'answer' }
  t.equal(answer.kind, 'answer')
  t.ok(answer.body.length <= 64 * 1024)
  t.notOk(answer.body.includes('aaaa'), 'it is the compressed text')
  t.ok(process.memoryUsage.rss() - before < 32 * 1024 * 1024)
})

t.test('R48: headers beyond 32 KiB are refused', async t => {
  const cases = {
    'one of 10 MiB': `x-a: ${'x'.repeat(10 * 1024 * 1024)}\r\n`,
    'a thousand': Array.from({ length: 1000 }, (_, i) => `x-${i}: ${'y'.repeat(40)}\r\n`).join('')
  }
  for (const [what, headers] of Object.entries(cases)) {
    const server = await rawServer(t, socket => { socket.once('data', () => { socket.write(`HTTP/1.1 200 OK\r\n${headers}content-length: 0\r\n\r\n`) }) })
    t.match(await send(sender(t, server.origin)), { kind: 'no_answer', code: 'UND_ERR_HEADERS_OVERFLOW' }, what)
  }
})

t.test('one long header is kept short', async t => {
  const server = await faultServer(t, status(200, { 'x-long': 'x'.repeat(5000) }))
  const answer = await send(sender(t, server.origin)) as Answer & { kind: 'answer' }
  t.equal(answer.headers['x-long']?.length, 200)
})

t.test('what is not HTTP leaves the outcome open', async t => {
  for (const text of ['SSH-2.0-OpenSSH_9\r\n', 'HTTP/1.1 abc\r\n\r\n', '\0\0\0\0', 'HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n', 'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n']) {
    const server = await rawServer(t, socket => { socket.once('data', () => { socket.end(text) }) })
    t.match(await send(sender(t, server.origin)), { kind: 'no_answer' }, JSON.stringify(text.slice(0, 20)))
  }
})

t.test('a request that cannot be written is not sent, and throws nothing', async t => {
  const server = await faultServer(t)
  const to = sender(t, server.origin)
  t.match(await send(to, { headers: { 'x-a': 'a\r\nx-b: c' } }), { kind: 'not_sent' })
  t.match(await send(to, { path: '/a b\r\nhost: x' }), { kind: 'not_sent' })
  t.match(await send(to), { kind: 'answer' })
  t.equal(server.received.length, 1)
})

// ── stopping ───────────────────────────────────────────────────────────────────────────────────

t.test('a stop cuts what is on the wire, and what comes after it is not sent', async t => {
  const server = await faultServer(t, hang)
  const stop = new AbortController()
  const to = sender(t, server.origin)
  const sent = send(to, {}, stop.signal)
  await until('it is on the wire', () => server.received.length === 1)
  stop.abort()
  t.match(await sent, { kind: 'no_answer', code: 'STOPPED' })
  t.match(await send(to, {}, stop.signal), { kind: 'not_sent', code: 'STOPPED' })
  await until('the connection is closed', () => server.seen.open === 0)
  t.equal(server.received.length, 1)
})

t.test('a sender that was closed sends nothing and throws nothing', async t => {
  const server = await faultServer(t)
  const to = sender(t, server.origin)
  await to.close()
  t.match(await send(to), { kind: 'not_sent' })
  t.equal(server.received.length, 0)
})

// ── where a request may go ─────────────────────────────────────────────────────────────────────

t.test('R50: a redirect is an answer like any other, and nobody else hears of the request', async t => {
  const canary = await faultServer(t)
  const metadata = 'http://169.254.169.254/latest/meta-data/'
  for (const code of [301, 302, 303, 307, 308]) {
    for (const location of [`${canary.origin}/stolen`, metadata, '/elsewhere', '//other.example/x']) {
      const server = await faultServer(t, status(code, { location }))
      t.match(await send(sender(t, server.origin)), { kind: 'answer', status: code, headers: { location } })
      t.equal(server.received.length, 1)
    }
  }
  t.equal(canary.received.length, 0)
  t.equal(canary.seen.connections, 0)
})

t.test('#59: proxies named by the environment are not used', async t => {
  const canary = await faultServer(t)
  const server = await faultServer(t, status(202))
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy', 'NODE_USE_ENV_PROXY']
  const before = names.map(name => process.env[name])
  t.teardown(() => { for (const [i, name] of names.entries()) if (before[i] === undefined) delete process.env[name]; else process.env[name] = before[i] })
  for (const name of names) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : canary.origin
  t.match(await send(sender(t, server.origin)), { kind: 'answer', status: 202 })
  t.equal(canary.seen.connections, 0)
})

t.test('plain http leaves only for the sandbox\'s own origin, and that only on loopback', async t => {
  const server = await faultServer(t)
  const other = await faultServer(t)
  const refused = { kind: 'not_sent', code: 'ADDRESS_REFUSED' }
  t.match(await send(sender(t, server.origin, { sandboxOrigin: null })), refused, 'no sandbox at all')
  t.match(await send(sender(t, server.origin, { sandboxOrigin: other.origin })), refused, 'another port of loopback')
  t.match(await send(sender(t, server.origin.replace('http', 'https'), { sandboxOrigin: other.origin })), refused, 'another port of loopback, by https')
  t.match(await send(sender(t, 'http://api.alpha.example', { sandboxOrigin: null })), refused, 'a public host')
  t.match(await send(sender(t, 'http://10.0.0.1:8081')), refused, 'a sandbox that is not on loopback')
  t.match(await send(sender(t, `http://localhost:${server.port}`)), { kind: 'answer' }, 'the sandbox by its name')
  t.equal(server.received.length, 1)
})

const DISGUISES = [
  'https://127.0.0.1', 'https://127.1', 'https://2130706433', 'https://0177.0.0.1', 'https://0x7f.0.0.1', 'https://0x7f000001', 'https://0', 'https://0.0.0.0', 'https://１２７.0.0.1', 'https://127.0.0.1.',
  'https://10.0.0.1', 'https://100.64.0.1', 'https://169.254.169.254', 'https://2852039166', 'https://172.16.0.1', 'https://172.31.255.255', 'https://192.168.1.1', 'https://192.0.2.1', 'https://198.18.0.1',
  'https://198.51.100.1', 'https://203.0.113.1', 'https://224.0.0.1', 'https://240.0.0.1', 'https://255.255.255.255', 'https://[::]', 'https://[::1]', 'https://[::127.0.0.1]', 'https://[::ffff:127.0.0.1]', 'https://[::ffff:7f00:1]',
  'https://[::ffff:10.0.0.1]', 'https://[64:ff9b::7f00:1]', 'https://[64:ff9b:1::a00:1]', 'https://[2002:7f00:1::]', 'https://[2001:0:7f00:1::]', 'https://[2001:db8::1]', 'https://[fc00::1]', 'https://[fd12::1]', 'https://[fe80::1]', 'https://[fec0::1]', 'https://[ff02::1]',
  'https://user:pass@127.0.0.1', 'https://api.alpha.example@127.0.0.1', 'https://127.0.0.1#@api.alpha.example', 'https://127.0.0.1\\@api.alpha.example', 'https://12\t7.0.0.1', 'https://%31%32%37.0.0.1'
]

t.test('#53 #54 #55: an address that is not public is refused in every disguise, as the URL is parsed', async t => {
  for (const url of DISGUISES) {
    const { hostname } = new URL(url)
    t.equal(allowsHost(hostname, isPublic), false, `${JSON.stringify(url)} is ${hostname}`)
    t.match(await send(sender(t, url, { sandboxOrigin: null })), { kind: 'not_sent', code: 'ADDRESS_REFUSED' }, url)
  }
  t.throws(() => new URL('https://[fe80::1%25eth0]'), 'a zone is no URL')
  t.equal(isPublic('fe80::1%eth0'), false, 'nor public where a name resolves to one')
  for (const address of ['1.1.1.1', '8.8.8.8', '172.15.255.255', '172.32.0.0', '100.128.0.1', '192.0.1.1', '2606:4700::1111', '2a00:1450::1']) t.equal(isPublic(address), true, address)
  for (const host of ['api.alpha.example', 'localhost', '8.8.8.8', '[2606:4700::1111]']) t.equal(allowsHost(host, isPublic), true, `${host} may be tried`)
  for (const text of ['', 'localhost', '1.2.3', '1.2.3.4.5', ':::']) t.equal(isPublic(text), false, `${JSON.stringify(text)} is no address`)
  t.strictSame(['127.0.0.1', '127.9.9.9', '::1', '10.0.0.1', '8.8.8.8', 'fe80::1'].map(isLoopback), [true, true, true, false, false, false])
})

t.test('#56: a name is judged by what it resolves to when it is connected to, and one bad answer spoils all', async t => {
  const canary = await faultServer(t)
  const cases: LookupAddress[][] = [
    [{ address: '127.0.0.1', family: 4 }],
    [{ address: '8.8.8.8', family: 4 }, { address: '10.0.0.1', family: 4 }],
    [{ address: '2606:4700::1111', family: 6 }, { address: '::ffff:127.0.0.1', family: 6 }],
    [{ address: 'fe80::1%lo', family: 6 }],
    [{ address: '169.254.169.254', family: 4 }]
  ]
  for (const addresses of cases) {
    const asked: string[] = []
    const to = sender(t, `https://api.alpha.example:${canary.port}`, { sandboxOrigin: null, resolve: (host, _options, callback) => { asked.push(host); callback(null, addresses) } })
    t.match(await send(to), { kind: 'not_sent', code: 'ADDRESS_REFUSED' }, JSON.stringify(addresses))
    t.strictSame(asked, ['api.alpha.example'])
  }
  const rebound = sender(t, `https://rebound.example:${canary.port}`, { sandboxOrigin: null, resolve: (_host, _options, callback) => { callback(null, [{ address: '127.0.0.1', family: 4 }]) } })
  for (let i = 0; i < 3; i++) t.match(await send(rebound), { kind: 'not_sent', code: 'ADDRESS_REFUSED' })
  t.equal(canary.seen.connections, 0)
})

t.test('a name that cannot be resolved has sent nothing', async t => {
  const lost = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
  t.match(await send(sender(t, 'https://api.alpha.example', { resolve: (_host, _options, callback) => { callback(lost, []) } })), { kind: 'not_sent', code: 'ENOTFOUND' })
  t.match(await send(sender(t, 'https://api.alpha.example', { resolve: (_host, _options, callback) => { callback(null, []) } })), { kind: 'not_sent' })
})

t.test('the look-up answers in the form its caller asks for', async t => {
  const resolve = guardedLookup(isPublic, (_host, _options, callback) => { callback(null, [{ address: '2606:4700::1111', family: 6 }, { address: '8.8.8.8', family: 4 }]) })
  resolve('a.example', {}, (error, address, family) => { t.strictSame([error, address, family], [null, '2606:4700::1111', 6]) })
  resolve('a.example', { all: true }, (error, addresses) => { t.strictSame([error, (addresses as LookupAddress[]).length], [null, 2]) })
})

// ── TLS ────────────────────────────────────────────────────────────────────────────────────────

const certified = certificates(t)
const skip = certified === null && NO_CERTIFICATES
if (skip) t.comment(skip)

t.test('R49: TLS that cannot be trusted sends nothing, not even in plain text', { skip }, async t => {
  const made = trusting(t, certified)
  const { key } = made
  const good = await faultServer(t, status(202), { key, cert: made.good })
  t.match(await send(sender(t, good.origin)), { kind: 'answer', status: 202 }, 'a good one passes, so the others fail for their own reason')
  const cases = { selfSigned: 'DEPTH_ZERO_SELF_SIGNED_CERT', expired: 'CERT_HAS_EXPIRED', wrongHost: 'ERR_TLS_CERT_ALTNAME_INVALID' } as const
  for (const [name, code] of Object.entries(cases) as Array<[keyof typeof cases, string]>) {
    const server = await faultServer(t, status(202), { key, cert: made[name] })
    t.match(await send(sender(t, server.origin)), { kind: 'not_sent', code }, name)
    t.equal(server.received.length, 0)
  }
  const plain = await faultServer(t)
  t.match(await send(sender(t, plain.origin.replace('http', 'https'))), { kind: 'not_sent' }, 'a port that speaks plain HTTP')
  t.equal(plain.received.length, 0)
  const silent = await rawServer(t, () => {})
  t.match(await send(sender(t, silent.origin.replace('http', 'https'), { deadlineMs: DEADLINE_MS })), { kind: 'not_sent', code: 'DEADLINE' }, 'a handshake that stalls')
})

t.test('HTTP/1.1 is spoken even where the provider offers HTTP/2', { skip }, async t => {
  const made = trusting(t, certified)
  const spoken: Array<string | false | null> = []
  const server = createSecureServer({ key: made.key, cert: made.good, allowHTTP1: true }, (_request, response) => { response.end() })
  server.on('secureConnection', (socket: TLSSocket) => { spoken.push(socket.alpnProtocol) })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => new Promise(resolve => { server.close(resolve) }))
  const to = sender(t, `https://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.match(await send(to), { kind: 'answer', status: 200 })
  t.strictSame(spoken, ['http/1.1'])
})
