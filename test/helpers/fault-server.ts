// A provider on loopback that does what a test tells it to, and remembers what it was sent.

import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import { createServer as createRawServer, type AddressInfo, type Server as RawServer, type Socket } from 'node:net'
import type { Teardown } from './tmp.ts'

/** One request as it arrived, whole. */
export interface Received {
  method: string
  url: string
  headers: Record<string, string>
  body: string
  /** Milliseconds, monotonic: when all of it was there. */
  at: number
  /** Counts connections from 1; requests on the same one carry the same number. */
  connection: number
}

export interface Exchange { request: Received, response: ServerResponse, socket: Socket }
export type Reply = (exchange: Exchange) => void | Promise<void>

export interface FaultServer {
  origin: string
  port: number
  received: Received[]
  /** Connections accepted so far, and requests being answered at the moment and at most. */
  seen: { connections: number, open: number, most: number }
  /** How requests are answered from now on. */
  reply: Reply
}

/** Listens on a free port of loopback until the test ends; answers 202 unless told otherwise. */
export async function faultServer (t: Teardown, reply: Reply = status(202), tls?: ServerOptions): Promise<FaultServer> {
  const numbers = new WeakMap<Socket, number>()
  const listener: RequestListener = (message, response) => { void serve(message, response) }
  const server = tls ? createTlsServer(tls, listener) : createServer(listener)
  server.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    numbers.set(socket, ++result.seen.connections)
    socket.on('error', () => {})
  })
  const port = await listening(server)
  t.teardown(() => closed(server, () => { server.closeAllConnections() }))
  const result: FaultServer = { origin: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`, port, received: [], seen: { connections: 0, open: 0, most: 0 }, reply }
  return result

  async function serve (message: IncomingMessage, response: ServerResponse): Promise<void> {
    const { seen } = result
    seen.most = Math.max(seen.most, ++seen.open)
    response.once('close', () => { seen.open-- })
    const request = await whole(message, numbers.get(message.socket) ?? 0)
    if (!request) return
    result.received.push(request)
    await result.reply({ request, response, socket: message.socket })
  }
}

/** Null when the other side went away before all of it was there. */
async function whole (message: IncomingMessage, connection: number): Promise<Received | null> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of message) chunks.push(chunk as Buffer)
  } catch {
    return null
  }
  return {
    method: message.method ?? '',
    url: message.url ?? '',
    headers: message.headers as Record<string, string>,
    body: Buffer.concat(chunks).toString('utf8'),
    at: performance.now(),
    connection
  }
}

/** Below HTTP: gets each connection as it is. Returns its origin and the sockets it accepted. */
export async function rawServer (t: Teardown, onConnection: (socket: Socket) => void): Promise<{ origin: string, port: number, sockets: Socket[] }> {
  const sockets: Socket[] = []
  const server = createRawServer(socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  const port = await listening(server)
  t.teardown(() => closed(server, () => { for (const socket of sockets) socket.destroy() }))
  return { origin: `http://127.0.0.1:${port}`, port, sockets }
}

/** A port of loopback that nobody listens on. */
export async function closedPort (): Promise<number> {
  const server = createRawServer()
  const port = await listening(server)
  await closed(server, () => {})
  return port
}

function listening (server: RawServer): Promise<number> {
  return new Promise(resolve => { server.listen(0, '127.0.0.1', () => { resolve((server.address() as AddressInfo).port) }) })
}

function closed (server: RawServer, cut: () => void): Promise<void> {
  return new Promise(resolve => { server.close(() => { resolve() }); cut() })
}

// ── answers ────────────────────────────────────────────────────────────────────────────────────

export function status (code: number, headers: Record<string, string | string[]> = {}, body = ''): Reply {
  return ({ response }) => { response.writeHead(code, headers).end(body) }
}

/** Takes the request and says nothing. */
export const hang: Reply = () => {}

/** Takes the request and cuts the connection. */
export const reset: Reply = ({ socket }) => { socket.resetAndDestroy() }

/** Takes the request and closes its own half of the connection, politely. */
export const halfClose: Reply = ({ socket }) => { socket.end() }

/** These bytes, whatever they are, and the connection stays open. */
export function raw (text: string): Reply {
  return ({ socket }) => { socket.write(text) }
}

/** These bytes, and then those again and again. */
export function drip (head: string, every: string, everyMs: number): Reply {
  return ({ socket }) => {
    socket.write(head)
    const timer = setInterval(() => { socket.write(every) }, everyMs)
    socket.once('close', () => { clearInterval(timer) })
  }
}

/** A body that goes on as long as somebody reads it. */
export const endless: Reply = ({ response }) => {
  const block = 'x'.repeat(16 * 1024)
  const more = (): void => { while (!response.destroyed && response.write(block)); }
  response.writeHead(200, { 'content-type': 'application/json' }).on('drain', more)
  more()
}

/** The next requests get these answers in turn, all later ones the last. */
export function inTurn (...replies: Reply[]): Reply {
  let n = 0
  return exchange => replies[Math.min(n++, replies.length - 1)]?.(exchange)
}

// ── scripts ────────────────────────────────────────────────────────────────────────────────────

/** What is done with one request, as plain data: a script is a list of them. */
export type Order =
  | { do: 'answer', status: number, headers?: Record<string, string | string[]>, body?: string, afterMs?: number }
  | { do: 'raw', text: string }
  | { do: 'drip', head: string, every: string, everyMs: number }
  | { do: 'hang' | 'reset' | 'half_close' | 'endless' }

/** Answers the next requests as the orders say, all later ones as the last of them. */
export function script (orders: readonly Order[]): Reply { return inTurn(...orders.map(play)) }

export function play (order: Order): Reply {
  switch (order.do) {
    case 'answer': return later(order.afterMs ?? 0, status(order.status, order.headers, order.body))
    case 'raw': return raw(order.text)
    case 'drip': return drip(order.head, order.every, order.everyMs)
    case 'hang': return hang
    case 'reset': return reset
    case 'half_close': return halfClose
    case 'endless': return endless
  }
}

function later (ms: number, reply: Reply): Reply {
  return ms === 0 ? reply : exchange => { setTimeout(() => { void reply(exchange) }, ms).unref() }
}
