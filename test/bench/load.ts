// The load generator, as a process: keep-alive HTTP over plain sockets, so that it costs less than what it measures.
//
//   node load.ts '{"url":…,"api_key":…,"shop":…,"connections":64,"batch":1,"seconds":4,"warm_up_seconds":1}'
//   node load.ts '{…,"batch":100,"events":20000}'
//
// Every event has an id of its own. Prints one line of JSON when it ends: Result.

import { connect, type Socket } from 'node:net'
import { eventOf } from '../helpers/load.ts'

export interface LoadArguments {
  url: string
  api_key: string
  /** One, or several that take turns. */
  shop: string | readonly string[]
  /** Begins the ids, so that two runs share none. */
  prefix: string
  connections: number
  /** Events per request; 1 posts single events. */
  batch: number
  /** Either a number of events or a time. */
  events?: number
  seconds?: number
  /** Not counted: what is not compiled yet is slow. */
  warm_up_seconds?: number
}

export interface Result {
  /** Events answered as accepted, warm-up included. */
  accepted: number
  /** Answers that were no 202, or events within that were not accepted. */
  other: number
  /** The first of those, cut. */
  odd: string | null
  /** Accepted per second, after the warm-up. */
  per_second: number
  /** Epoch ms of the first request. */
  first_at: number
  p50_ms: number
  p99_ms: number
}

const options = JSON.parse(process.argv[2] as string) as LoadArguments
const { hostname, port, host } = new URL(options.url)
const ID = '@@@@@@@@@@'
const shops = [options.shop].flat().map(parts)

/** The event's JSON before and after its id. */
function parts (shop: string): [string, string] {
  const text = JSON.stringify({ ...eventOf({ id: '6001', shop }), id: ID })
  return text.split(ID) as [string, string]
}

const HEAD = `POST /v1/events HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${options.api_key}\r\ncontent-type: application/json\r\ncontent-length: `
let n = 0
let accepted = 0
let other = 0
let odd: string | null = null
let open = 0
let warmAccepted = 0
let warmAt = 0
const durations: number[] = []
const startedAt = performance.now()
const endsAt = options.seconds === undefined ? Infinity : startedAt + options.seconds * 1000
const most = options.events ?? Infinity

function nextRequest (): string | null {
  if (n >= most || performance.now() >= endsAt) return null
  const count = Math.min(options.batch, most - n)
  let body = ''
  for (let i = 0; i < count; i++) {
    const [before, after] = shops[n % shops.length] as [string, string]
    body += `${i === 0 ? '' : ','}${before}${options.prefix}-${n++}${after}`
  }
  if (options.batch > 1) body = `[${body}]`
  return `${HEAD}${body.length}\r\n\r\n${body}`
}

/** One connection: a request, its answer, the next request. */
function run (socket: Socket): void {
  let sentAt = 0
  let text = ''
  let bodyAt = -1
  let length = 0
  const send = (): void => {
    const request = nextRequest()
    if (request === null) { socket.end(); return }
    text = ''
    bodyAt = -1
    sentAt = performance.now()
    socket.write(request, 'latin1')
  }
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
    if (bodyAt < 0) {
      const end = text.indexOf('\r\n\r\n')
      if (end < 0) return
      bodyAt = end + 4
      length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1])
    }
    if (text.length < bodyAt + length) return
    count(text, performance.now() - sentAt)
    send()
  })
  socket.on('close', () => { if (--open === 0) report() })
  socket.on('error', error => { console.error(error.message); process.exitCode = 1 })
  send()
}

function count (answer: string, ms: number): void {
  const good = answer.startsWith('HTTP/1.1 202') ? answer.split('"status":"accepted"').length - 1 : 0
  accepted += good
  if (good === 0) {
    other++
    odd ??= answer.slice(0, 500)
  }
  if (warmAt === 0 && performance.now() - startedAt >= (options.warm_up_seconds ?? 0) * 1000) {
    warmAt = performance.now()
    warmAccepted = accepted
  }
  if (warmAt > 0) durations.push(ms)
}

function report (): void {
  const sorted = durations.toSorted((a, b) => a - b)
  const result: Result = {
    accepted,
    other,
    odd,
    per_second: (accepted - warmAccepted) / (performance.now() - warmAt) * 1000,
    first_at: performance.timeOrigin + startedAt,
    p50_ms: sorted[Math.floor(sorted.length * 0.5)] ?? 0,
    p99_ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0
  }
  console.log(JSON.stringify(result))
}

for (let i = 0; i < options.connections; i++) {
  open++
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  socket.once('connect', () => { run(socket) })
}
