// TLS that cannot be trusted: R49 of the fault list.

import { once } from 'node:events'
import { connect } from 'node:tls'
import t from 'tap'
import { world } from '../delivery/world.ts'
import { type Certificates, certificates, NO_CERTIFICATES, trusting } from '../helpers/certificates.ts'
import { until } from '../helpers/fake-runtime.ts'
import { faultServer, rawServer, status } from '../helpers/fault-server.ts'
import { tcpProxy } from '../helpers/tcp-proxy.ts'
import type { Teardown } from '../helpers/tmp.ts'
import { quiet } from './watch.ts'

const RETRY_MS = 6000
const OLD = { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const

const certified = certificates(t)
const skip = certified === null && NO_CERTIFICATES
if (skip) t.comment(skip)

interface Bad { port: number, received (): number, code: RegExp }

async function bad (t: Teardown, made: Certificates): Promise<Record<string, Bad>> {
  const { key } = made
  const server = async (code: RegExp, options: object): Promise<Bad> => {
    const { port, received } = await faultServer(t, status(202), { key, cert: made.good, ...options })
    return { port, received: () => received.length, code }
  }
  const plain = await faultServer(t)
  return {
    expired: await server(/CERT_HAS_EXPIRED/, { cert: made.expired }),
    'self-signed': await server(/DEPTH_ZERO_SELF_SIGNED_CERT/, { cert: made.selfSigned }),
    'for another host': await server(/ERR_TLS_CERT_ALTNAME_INVALID/, { cert: made.wrongHost }),
    'TLS 1.0': await server(/ERR_SSL_/, OLD),
    'plain HTTP': { port: plain.port, received: () => plain.received.length, code: /ERR_SSL_|ECONNRESET|EPROTO/ }
  }
}

t.test('R49: TLS that cannot be trusted gets no request, and the message goes out when it can be', { skip }, async t => {
  const made = trusting(t, certified)
  const good = await faultServer(t, status(202), { key: made.key, cert: made.good })
  const servers = await bad(t, made)
  const proxy = await tcpProxy(t, good.port)
  // A provider that cannot tell repeats apart: were anything written, none of these could be tried again.
  const w = await world(t, { origin: `https://127.0.0.1:${proxy.port}`, providers: [{ uncertain: 'park' }] })
  await w.all(await w.accept('a'), 'delivered')
  let sent = 1
  for (const [what, { port, received, code }] of Object.entries(servers)) {
    proxy.target = port
    await proxy.down()
    await proxy.up()
    const [id] = await w.accept('a') as [string]
    t.match(await w.becomes(id, 'waiting', 'not_connected_to_provider'), { detail: code, settled_at: null }, what)
    t.equal(received(), 0, `${what}: nothing was sent`)
    proxy.target = good.port
    w.runtime.skip(RETRY_MS)
    await w.becomes(id, 'delivered')
    t.equal(good.received.length, ++sent, what)
  }
})

t.test('R49: the TLS 1.0 of the bench is spoken by whoever wants to', { skip }, async t => {
  const made = trusting(t, certified)
  const server = await faultServer(t, status(202), { key: made.key, cert: made.good, ...OLD })
  const socket = connect({ port: server.port, host: '127.0.0.1', ...OLD })
  t.teardown(() => { socket.destroy() })
  await once(socket, 'secureConnect')
  t.equal(socket.getProtocol(), 'TLSv1')
})

t.test('R49: a handshake that stalls is given up at the deadline with nothing sent, and not a word in the clear', { skip }, async t => {
  const heard: Buffer[] = []
  const silent = await rawServer(t, socket => { socket.on('data', (chunk: Buffer) => { heard.push(chunk) }) })
  const w = await world(t, { origin: `https://127.0.0.1:${silent.port}`, providers: [{ uncertain: 'park', deadlineMs: 5000 }] })
  const [id] = await w.accept('a') as [string]
  await until('the handshake has begun', () => heard.length > 0)
  w.runtime.skip(4000)
  await quiet(w)
  t.equal((await w.shown(id)).state, 'sending')
  w.runtime.skip(1000)
  t.match(await w.becomes(id, 'waiting', 'not_connected_to_provider'), { detail: /DEADLINE/, settled_at: null })
  w.runtime.skip(RETRY_MS)
  await until('it is tried again', () => silent.sockets.length === 2)
  t.notMatch(Buffer.concat(heard).toString('latin1'), /POST|authorization|secret-of-a/i)
})
