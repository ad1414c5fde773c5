// The bench itself: a fault that did nothing would prove nothing.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { until } from '../helpers/fake-runtime.ts'
import { rawServer } from '../helpers/fault-server.ts'
import { tcpProxy, type TcpProxy } from '../helpers/tcp-proxy.ts'
import type { Teardown } from '../helpers/tmp.ts'

interface Talk { socket: Socket, pieces: string[], ended: boolean, error: string | null }

/** Sends what it got back, and says "bye" to the end of what it got. */
async function echo (t: Teardown): Promise<{ proxy: TcpProxy, heard: string[], dial (): Promise<Talk> }> {
  const heard: string[] = []
  const server = await rawServer(t, socket => { socket.on('data', chunk => { heard.push(chunk.toString()); socket.write(chunk) }) })
  const proxy = await tcpProxy(t, server.port, () => 0.5)
  return { proxy, heard, dial: () => dial(t, proxy.port) }
}

async function dial (t: Teardown, port: number): Promise<Talk> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const talk: Talk = { socket, pieces: [], ended: false, error: null }
  socket.on('data', chunk => { talk.pieces.push(chunk.toString()) })
  socket.once('end', () => { talk.ended = true })
  socket.on('error', (error: NodeJS.ErrnoException) => { talk.error = error.code ?? error.message })
  t.teardown(() => { socket.destroy() })
  await once(socket, 'connect').catch(() => {})
  return talk
}

t.test('without faults everything passes, both ways, and so does the end', async t => {
  const { proxy, dial } = await echo(t)
  const { socket, pieces } = await dial()
  const long = 'x'.repeat(3 * 1024 * 1024)
  socket.write(long)
  await until('all came back', () => pieces.join('').length === long.length)
  t.strictSame(proxy.seen, { connections: 1, up: long.length, down: long.length })
  const polite = await rawServer(t, socket => { socket.once('data', () => { socket.end('bye') }) })
  proxy.target = polite.port
  const other = await dial()
  other.socket.write('x')
  await until('the end', () => other.ended)
  t.strictSame(other.pieces, ['bye'])
})

t.test('latency, bandwidth and slices hold up what passes, in order, and lose none of it', async t => {
  const { proxy, dial } = await echo(t)
  const { socket, pieces } = await dial()
  const spent = async (text: string): Promise<number> => {
    pieces.length = 0
    const startedAt = performance.now()
    socket.write(text)
    await until('it came back', () => pieces.join('') === text)
    return performance.now() - startedAt
  }
  proxy.spoil('up', { latency: { ms: 100, jitterMs: 50 } })
  t.ok(await spent('late') >= 99)
  proxy.heal()
  proxy.spoil('down', { bandwidth: { bytesPerSecond: 1000 } })
  t.ok(await spent('y'.repeat(150)) >= 149)
  proxy.spoil('down', { slicer: { bytes: 1 } })
  await spent('slices')
  t.ok(pieces.length > 3, `in ${pieces.length} pieces`)
})

t.test('timeout lets nothing through, limit_data only so much, and neither is heard of by the other side', async t => {
  const { proxy, heard, dial } = await echo(t)
  proxy.spoil('up', { timeout: {} })
  const silent = await dial()
  silent.socket.write('lost')
  proxy.spoil('down', { limitData: { bytes: 3 } })
  const short = await dial()
  proxy.spoil('up', {})
  short.socket.write('long enough')
  await until('the connection is closed', () => short.ended || short.error !== null)
  t.equal(short.pieces.join(''), 'lon')
  t.strictSame([heard, silent.pieces, silent.ended], [['long enough'], [], false])
  proxy.spoil('up', { timeout: { ms: 10 } })
  const closed = await dial()
  closed.socket.write('x')
  await until('the connection is closed', () => closed.ended || closed.error !== null)
})

t.test('reset_peer and down reset what is open, and after down nobody listens until it is up again', async t => {
  const { proxy, dial } = await echo(t)
  const open = await dial()
  proxy.spoil('down', { resetPeer: { ms: 0 } })
  await until('it is reset', () => open.error !== null)
  t.equal(open.error, 'ECONNRESET')
  proxy.heal()
  const next = await dial()
  await proxy.down()
  await until('it is reset', () => next.error !== null)
  t.equal((await dial()).error, 'ECONNREFUSED')
  await proxy.up()
  const again = await dial()
  again.socket.write('hello')
  await until('it came back', () => again.pieces.join('') === 'hello')
})

t.test('who hangs up takes back what has not passed', async t => {
  const { proxy, heard, dial } = await echo(t)
  proxy.spoil('up', { latency: { ms: 50 } })
  const { socket } = await dial()
  socket.end('regretted')
  await once(socket, 'close')
  const last = await dial()
  last.socket.write('kept')
  await until('the other', () => heard.length > 0)
  t.strictSame(heard, ['kept'])
})
