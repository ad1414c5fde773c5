// The provider of the bench, as a process: answers 202 as fast as node:http can, and counts.
//
//   POST /<provider>/…       202, counted; or what /control/answer set
//   GET  /control/until?n=   answers when n more were counted since the last reset: { count, first_at, last_at } in epoch ms
//   POST /control/reset      counts from 0
//   POST /control/answer?status=429&retry_after=2&after_ms=40   after_ms: how long each answer takes
//
// An argument names an append-only file of the keys received with their time of arrival.

import { createWriteStream, type WriteStream } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const JSON_TYPE = { 'content-type': 'application/json', 'content-length': '2' }

let count = 0
let firstAt = 0
let lastAt = 0
let status = 202
let afterMs = 0
let head: Record<string, string> = JSON_TYPE
let awaited: { n: number, response: ServerResponse } | null = null
const [path] = process.argv.slice(2)
const file: WriteStream | null = path === undefined ? null : createWriteStream(path, { flags: 'a' })

const now = (): number => performance.timeOrigin + performance.now()

function counted (): void {
  if (status !== 202) return
  count++
  lastAt = now()
  if (count === 1) firstAt = lastAt
  if (awaited !== null && count >= awaited.n) tell(awaited.response)
}

function tell (response: ServerResponse): void {
  awaited = null
  response.end(JSON.stringify({ count, first_at: firstAt, last_at: lastAt }))
}

function control (url: URL, response: ServerResponse): void {
  if (url.pathname === '/control/until') {
    awaited = { n: Number(url.searchParams.get('n')), response }
    if (count >= awaited.n) tell(response)
    return
  }
  if (url.pathname === '/control/reset') count = 0
  if (url.pathname === '/control/answer') {
    status = Number(url.searchParams.get('status'))
    afterMs = Number(url.searchParams.get('after_ms'))
    const retryAfter = url.searchParams.get('retry_after')
    head = retryAfter === null ? JSON_TYPE : { ...JSON_TYPE, 'retry-after': retryAfter }
  }
  response.end('{}')
}

function keep (request: IncomingMessage, to: WriteStream): void {
  const chunks: Buffer[] = []
  const at = now()
  request.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  request.on('end', () => {
    const { data } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { data: { attributes: { unique_id: string } } }
    to.write(`${data.attributes.unique_id} ${at}\n`)
  })
}

const server = createServer((request, response) => {
  if (request.url?.startsWith('/control/')) { control(new URL(request.url, 'http://stand-in'), response); return }
  if (file === null) request.resume()
  else keep(request, file)
  request.on('end', () => {
    counted()
    if (afterMs > 0) setTimeout(() => { answer(response) }, afterMs)
    else answer(response)
  })
})

function answer (response: ServerResponse): void {
  response.writeHead(status, head)
  response.end('{}')
}

server.keepAliveTimeout = 600_000
server.listen(0, '127.0.0.1', () => { console.log(`stand-in listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`) })
