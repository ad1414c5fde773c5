// Answers that nobody can read, that are too much, or that lead elsewhere: R47, R48 and R50 of the fault list.

import { execFileSync } from 'node:child_process'
import { createGzip } from 'node:zlib'
import t from 'tap'
import { world } from '../delivery/world.ts'
import { startWorld, targetOf } from '../e2e/world.ts'
import { anEvent, CONFIG, startApp } from '../helpers/app.ts'
import { until } from '../helpers/fake-runtime.ts'
import { faultServer, type Reply, status } from '../helpers/fault-server.ts'
import { eventOf, post } from '../helpers/load.ts'
import { listDeliveries } from '../helpers/oracle.ts'
import type { StandIn } from '../helpers/stand-in.ts'
import { tempDir } from '../helpers/tmp.ts'
import { quiet } from './watch.ts'

const MIB = 1024 * 1024
const json = { 'content-type': 'application/json' }
const html = { 'content-type': 'text/html' }

// ── R47 ──

const READINGS: Record<string, { reply: Reply, warning: string | null }> = {
  'a page': { reply: status(200, html, '<html>Welcome</html>'), warning: 'answer_unreadable' },
  'a page said to be JSON': { reply: status(200, json, '<html>'), warning: 'answer_unreadable' },
  'broken JSON': { reply: status(200, json, '{"id":'), warning: 'answer_unreadable' },
  'nothing': { reply: status(200), warning: null },
  'nothing, said to be JSON': { reply: status(202, json), warning: null },
  'another type': { reply: status(200, { 'content-type': 'application/octet-stream' }, '\0\0\0'), warning: null },
  'errors in JSON': { reply: status(200, json, '{"errors":[{"detail":"no"}]}'), warning: null }
}

t.test('R47: what was answered 2xx is delivered, with a remark where it cannot be read, and is never sent again', async t => {
  const w = await world(t, { providers: [{ uncertain: 'park' }] })
  for (const [what, { reply, warning }] of Object.entries(READINGS)) {
    w.server.reply = reply
    const [id] = await w.accept('a') as [string]
    await w.becomes(id, 'delivered', warning)
    t.equal((await w.delivery(id)).attempts, 1, what)
  }
  w.server.reply = status(202)
  w.runtime.skip(12 * 3_600_000)
  await quiet(w)
  t.equal(w.server.received.length, Object.keys(READINGS).length)
})

t.test('R47: a provider\'s manifest may say otherwise: its own rule for a 202 goes first', async t => {
  const server = await faultServer(t, status(202, { 'x-courier-dropped': 'phone' }, 'not JSON at all'))
  const app = await startApp(t, { config: at(server.origin) })
  await app.attempted(await app.post(anEvent('e1')))
  t.match(await app.delivery('e1'), { state: 'rejected', reason: 'phone_refused', attempts: 1 })
  t.equal(server.received.length, 1)
})

function at (origin: string): string { return CONFIG.replace('sandbox: { enabled: true, port: 0 }', `sandbox: { enabled: true, url: "${origin}" }`) }

// ── R48 ──

/** 200 MiB of nothing, which is 200 KiB on the wire. */
async function bomb (): Promise<Buffer> {
  const gzip = createGzip()
  const chunks: Buffer[] = []
  gzip.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  const ended = new Promise(resolve => { gzip.once('end', resolve) })
  const block = Buffer.alloc(MIB)
  for (let i = 0; i < 200; i++) if (!gzip.write(block)) await new Promise(resolve => { gzip.once('drain', resolve) })
  gzip.end()
  await ended
  return Buffer.concat(chunks)
}

function rssMib (pid: number): number { return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024 }

t.test('R48: a gateway that is answered with a bomb, 10 MiB of header or 1,000 headers neither inflates nor keeps them', async t => {
  const squeezed = await bomb()
  const long = `HTTP/1.1 200 OK\r\nx-a: ${'x'.repeat(10 * MIB)}\r\ncontent-length: 0\r\n\r\n`
  const many = `HTTP/1.1 200 OK\r\n${Array.from({ length: 1000 }, (_, i) => `x-${i}: ${'y'.repeat(40)}\r\n`).join('')}content-length: 0\r\n\r\n`
  const answers: Record<string, { reply: Reply, state: string }> = {
    bomb: { reply: ({ response }) => { response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(squeezed) }, state: 'delivered' },
    'long header': { reply: ({ socket }) => { socket.write(long) }, state: 'unknown' },
    'many headers': { reply: ({ socket }) => { socket.write(many) }, state: 'unknown' }
  }
  const server = await faultServer(t)
  const gateway = await startWorld({
    dir: tempDir(t),
    standIn: { url: server.origin } as StandIn,
    providers: [{ id: 'park', uncertain: 'park', concurrency: 4, windows: [{ max: 1000, perMs: 1000 }] }],
    shops: [{ id: 'shop.example', provider: 'park', account: 'account' }]
  })
  t.teardown(() => gateway.kill('SIGKILL'))
  const send = async (name: string, count: number, state: string): Promise<void> => {
    const before = server.received.length
    for (let i = 0; i < count; i++) t.equal((await post(targetOf(gateway), eventOf({ id: `${name}-${i}`, shop: 'shop.example' })))?.status, 202)
    await until('all have ended', async () => (await listDeliveries(targetOf(gateway), { state })).filter(({ sourceId }) => sourceId.startsWith(`${name}-`)).length === count, 20_000)
    t.equal(server.received.length - before, count, `${name}: each was sent once`)
  }
  await send('warm', 100, 'delivered')
  for (const [name, { reply, state }] of Object.entries(answers)) {
    const before = rssMib(gateway.pid)
    server.reply = reply
    await send(name, 8, state)
    const grown = rssMib(gateway.pid) - before
    t.comment(`${name}: ${grown.toFixed(1)} MiB`)
    t.ok(grown <= 32, `${name}: ${grown.toFixed(1)} MiB more`)
  }
  server.reply = status(202)
  await send('after', 10, 'delivered')
})

// ── R50 ──

t.test('R50: a redirect is refused wherever it leads, and nobody else hears of the request', async t => {
  const canary = await faultServer(t)
  const w = await world(t, { providers: [{ uncertain: 'park' }] })
  const targets = [`${canary.origin}/stolen`, `http://localhost:${canary.port}/`, 'http://169.254.169.254/latest/meta-data/', 'https://other.example/x', '//other.example/x', '/elsewhere', '']
  const before = w.server.seen.connections
  let sent = 0
  for (const code of [301, 302, 303, 307, 308]) {
    for (const location of targets) {
      w.server.reply = status(code, location === '' ? {} : { location })
      const [id] = await w.accept('a') as [string]
      t.match(await w.becomes(id, 'rejected', 'redirect_refused'), { detail: `HTTP ${code}`, attempts: 1 }, `${code} to ${location}`)
      t.equal(w.server.received.length, ++sent)
    }
  }
  w.server.reply = ({ socket }) => { socket.end(`HTTP/1.1 302 Found\r\nlocation: /a\r\n b: ${canary.origin}\r\ncontent-length: 0\r\n\r\n`) }
  const [id] = await w.accept('a') as [string]
  await until('the folded one has ended', async () => ['rejected', 'unknown'].includes((await w.shown(id)).state))
  w.runtime.skip(3_600_000)
  await quiet(w)
  t.equal(w.server.received.length, ++sent)
  t.ok(w.server.seen.connections - before <= 2)
  t.strictSame([canary.seen.connections, canary.received.length], [0, 0])
})
