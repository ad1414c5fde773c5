// More events than can be taken, as a process: a steady number of posts per second over many connections, whatever is
// answered. Posts that find no connection free are counted and not made up for.
//
//   node flood.ts '{"url":…,"api_key":…,"shop":…,"prefix":"f","connections":400,"rate":9000,"seconds":20,"file":"accepted.txt"}'
//
// Prints one line of JSON when it ends: FloodResult.

import { closeSync, openSync, writeSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { eventOf } from '../helpers/load.ts'

export interface FloodArguments {
  url: string
  api_key: string
  shop: string
  /** Begins the ids. */
  prefix: string
  connections: number
  /** Posts per second; null posts as fast as answers come. */
  rate: number | null
  seconds: number
  /** Append-only file of the ids that were answered 202, one per line. */
  file: string
}

export interface FloodResult {
  /** Handed to the gateway, per second. */
  offered_per_second: number
  /** Answers by status; `none` for a connection that broke. */
  statuses: Record<string, number>
  accepted_per_second: number
  /** Refusals to be sent again that name no time. */
  without_retry_after: number
  accepted_p50_ms: number
  accepted_p99_ms: number
  refused_p99_ms: number
}

const options = JSON.parse(process.argv[2] as string) as FloodArguments
const { hostname, port, host } = new URL(options.url)
const ID = '@@@@@@@@@@'
/** The event's JSON around its id, which stands there twice. */
const PARTS = JSON.stringify(eventOf({ id: ID, shop: options.shop })).split(ID)
const HEAD = `POST /v1/events HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${options.api_key}\r\ncontent-type: application/json\r\ncontent-length: `
const file = openSync(options.file, 'a')
const statuses: Record<string, number> = {}
const took = { accepted: [] as number[], refused: [] as number[] }
const free: Connection[] = []
const open = new Set<Connection>()
let offered = 0
let withoutTime = 0
let ending = false

class Connection {
  static open (): Connection { return new Connection() }

  #socket: Socket
  #text = ''
  #id = ''
  #sentAt = 0

  private constructor () {
    open.add(this)
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true })
    this.#socket.once('connect', () => { this.#ready() })
    this.#socket.on('data', chunk => { this.#read(chunk.toString('latin1')) })
    this.#socket.on('error', () => {})
    this.#socket.once('close', () => { this.#closed() })
  }

  post (): void {
    this.#id = `${options.prefix}-${offered++}`
    this.#text = ''
    this.#sentAt = performance.now()
    const body = PARTS.join(this.#id)
    this.#socket.write(`${HEAD}${body.length}\r\n\r\n${body}`, 'latin1')
  }

  end (): void { this.#socket.destroy() }

  get busy (): boolean { return this.#id !== '' }

  #read (chunk: string): void {
    this.#text += chunk
    const bodyAt = this.#text.indexOf('\r\n\r\n') + 4
    if (bodyAt < 4) return
    const head = this.#text.slice(0, bodyAt)
    if (this.#text.length < bodyAt + Number(/content-length: (\d+)/i.exec(head)?.[1])) return
    this.#answered(Number(head.slice(9, 12)), head)
    if (/connection: close/i.test(head)) this.#socket.end()
    else this.#ready()
  }

  #answered (status: number, head: string): void {
    const ms = performance.now() - this.#sentAt
    statuses[status] = (statuses[status] ?? 0) + 1
    if (status === 202) writeSync(file, `${this.#id}\n`)
    else if ((status === 503 || status === 429) && !/retry-after: \d/i.test(head)) withoutTime++
    took[status === 202 ? 'accepted' : 'refused'].push(ms)
    this.#id = ''
  }

  #ready (): void {
    if (options.rate === null && !ending) this.post()
    else free.push(this)
  }

  #closed (): void {
    open.delete(this)
    if (free.includes(this)) free.splice(free.indexOf(this), 1)
    if (this.#id !== '') statuses['none'] = (statuses['none'] ?? 0) + 1
    if (!ending) setTimeout(() => { if (!ending) Connection.open() }, 20)
  }
}

function p (sorted: readonly number[], share: number): number { return Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 10) / 10 }

for (let i = 0; i < options.connections; i++) Connection.open()
const startedAt = performance.now()
const endsAt = startedAt + options.seconds * 1000
let owed = 0
for (let last = startedAt; performance.now() < endsAt;) {
  await wait(2)
  const now = performance.now()
  owed += (now - last) * (options.rate ?? 0) / 1000
  last = now
  for (; owed >= 1 && free.length > 0; owed--) (free.shift() as Connection).post()
  owed = Math.min(owed, options.connections)
}
const seconds = (performance.now() - startedAt) / 1000
ending = true
for (const until = performance.now() + 15_000; [...open].some(({ busy }) => busy) && performance.now() < until;) await wait(20)
for (const one of open) one.end()
closeSync(file)
const accepted = took.accepted.toSorted((a, b) => a - b)
const result: FloodResult = {
  offered_per_second: Math.round(offered / seconds),
  statuses,
  accepted_per_second: Math.round(accepted.length / seconds),
  without_retry_after: withoutTime,
  accepted_p50_ms: p(accepted, 0.5),
  accepted_p99_ms: p(accepted, 0.99),
  refused_p99_ms: p(took.refused.toSorted((a, b) => a - b), 0.99)
}
console.log(JSON.stringify(result))
