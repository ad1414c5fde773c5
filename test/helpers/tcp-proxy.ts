// A TCP proxy on loopback that spoils what passes through it. The faults are toxiproxy's, and so are their names.

import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import type { Teardown } from './tmp.ts'

/** What becomes of the bytes of one direction. Nothing named: they pass. */
export interface Toxics {
  /** Each piece comes that much later, plus or minus the jitter. */
  latency?: { ms: number, jitterMs?: number }
  bandwidth?: { bytesPerSecond: number }
  /** Cut into pieces of so many bytes. */
  slicer?: { bytes: number, delayMs?: number }
  /** Nothing of a connection passes from then on; it is closed after that time, or never where there is none. */
  timeout?: { ms?: number }
  /** The connection is reset, so long after it began or this was said. */
  resetPeer?: { ms: number }
  /** The connection is closed after so many bytes. */
  limitData?: { bytes: number }
}

/** `up` is towards the target. */
export type Direction = 'up' | 'down'

export interface TcpProxy {
  /** http://127.0.0.1:<port> */
  origin: string
  port: number
  /** Where connections made from now on lead. */
  target: number
  /** Connections taken so far, and bytes passed on. */
  seen: { connections: number, up: number, down: number }
  /** From now on, for connections that are open as well; what was said of the direction before is taken back. */
  spoil (direction: Direction, toxics: Toxics): void
  /** Everything passes again. */
  heal (): void
  /** Nobody listens any more, and what is open is reset, until `up`. */
  down (): Promise<void>
  up (): Promise<void>
}

interface Pair { client: Socket, server: Socket, gone: AbortController }

/** More than that waits at the sender. */
const HELD_BYTES = 1024 * 1024

/** Listens on a free port of loopback until the test ends. `random` spreads the jitter. */
export async function tcpProxy (t: Teardown, target: number, random: () => number = Math.random): Promise<TcpProxy> {
  const pairs = new Set<Pair>()
  const toxics: Record<Direction, Toxics> = { up: {}, down: {} }
  const listener = createServer({ allowHalfOpen: true, noDelay: true }, client => { take(client) })
  const listen = (port: number): Promise<void> => new Promise((resolve, reject) => { listener.once('error', reject).listen(port, '127.0.0.1', () => { listener.off('error', reject); resolve() }) })
  await listen(0)
  const { port } = listener.address() as AddressInfo
  const proxy: TcpProxy = {
    origin: `http://127.0.0.1:${port}`,
    port,
    target,
    seen: { connections: 0, up: 0, down: 0 },
    spoil (direction, said) {
      toxics[direction] = said
      for (const pair of pairs) resetLater(pair, said)
    },
    heal () { toxics.up = {}; toxics.down = {} },
    async down () {
      const closed = new Promise<void>(resolve => { listener.close(() => { resolve() }) })
      for (const pair of pairs) reset(pair)
      await closed
    },
    up: () => listen(port)
  }
  t.teardown(() => listener.listening ? proxy.down() : undefined)
  return proxy

  function take (client: Socket): void {
    proxy.seen.connections++
    const server = connect({ port: proxy.target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const pair: Pair = { client, server, gone: new AbortController() }
    pairs.add(pair)
    server.once('error', () => { reset(pair) })
    client.once('error', () => { reset(pair) })
    for (const socket of [client, server]) socket.once('close', () => { if (client.destroyed && server.destroyed) pairs.delete(pair) })
    pass(pair, 'up')
    pass(pair, 'down')
    for (const said of Object.values(toxics)) resetLater(pair, said)
  }

  function pass (pair: Pair, direction: Direction): void {
    const { client, server, gone } = pair
    const [from, to] = direction === 'up' ? [client, server] : [server, client]
    let passed = 0
    let held = 0
    /** What comes after bytes that were lost is lost as well: TCP leaves no holes. */
    let lost = false
    let last = Promise.resolve()
    from.on('data', (chunk: Buffer) => {
      const cameAt = performance.now()
      held += chunk.length
      if (held > HELD_BYTES) from.pause()
      last = last.then(() => spoilt(chunk, cameAt)).catch(() => {}).then(() => {
        held -= chunk.length
        if (held <= HELD_BYTES) from.resume()
      })
    })
    // Who hangs up before it is answered takes back what is still on its way: nothing arrives after it gave up.
    from.once('end', () => {
      if (direction === 'up') { gone.abort(); client.end(); server.end() }
      else void last.then(() => { to.end(); from.end() })
    })

    async function spoilt (chunk: Buffer, cameAt: number): Promise<void> {
      gone.signal.throwIfAborted()
      const { latency, bandwidth, slicer, timeout, limitData } = toxics[direction]
      if (timeout || lost) {
        lost = true
        if (timeout?.ms === undefined) return
        await later(timeout.ms)
        hangUp(pair)
        return
      }
      if (latency) await later(cameAt + latency.ms + (2 * random() - 1) * (latency.jitterMs ?? 0) - performance.now())
      const left = limitData ? limitData.bytes - passed : Infinity
      const size = slicer?.bytes ?? chunk.length
      for (let at = 0; at < Math.min(chunk.length, left); at += size) {
        const piece = chunk.subarray(at, Math.min(at + size, left))
        if (bandwidth) await later(piece.length / bandwidth.bytesPerSecond * 1000)
        if (slicer && at > 0) await wait(slicer.delayMs ?? 0, undefined, { signal: gone.signal }) // what is written in one turn travels together
        gone.signal.throwIfAborted()
        await new Promise<void>(resolve => { to.write(piece, () => { resolve() }) })
        passed += piece.length
        proxy.seen[direction] += piece.length
      }
      if (chunk.length >= left) hangUp(pair)
    }

    async function later (ms: number): Promise<void> {
      if (ms > 0) await wait(ms, undefined, { signal: gone.signal })
    }
  }

  function resetLater (pair: Pair, { resetPeer }: Toxics): void {
    if (resetPeer) void wait(resetPeer.ms, undefined, { signal: pair.gone.signal }).then(() => { reset(pair) }, () => {})
  }
}

function reset ({ client, server, gone }: Pair): void {
  gone.abort()
  for (const socket of [client, server]) {
    // A reset that meets the end of what was written leaves the handle open, and then the process never exits (Node 24).
    if (socket.writableEnded) socket.destroy()
    else socket.resetAndDestroy()
  }
}

/** What was passed on arrives, and nothing after it. */
function hangUp ({ client, server, gone }: Pair): void {
  gone.abort()
  client.destroySoon()
  server.destroySoon()
}
