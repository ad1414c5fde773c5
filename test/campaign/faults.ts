// Providers that do everything wrong at once, over a network that does too: a real gateway, two accounts at a provider that
// tells repeats apart and two at one that cannot. Judged by what the client was promised and what the provider wrote down.

import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import { API_KEY, startWorld, targetOf } from '../e2e/world.ts'
import { type FaultServer, faultServer, type Order, play, type Reply, status } from '../helpers/fault-server.ts'
import { eventOf, Load } from '../helpers/load.ts'
import { drained, type Finding, judge, listDeliveries, type Listed, readAccepted, readArrivals } from '../helpers/oracle.ts'
import type { Arrival, StandIn } from '../helpers/stand-in.ts'
import { type TcpProxy, tcpProxy, type Toxics } from '../helpers/tcp-proxy.ts'
import { between, seeded } from './seed.ts'

export interface FaultsOptions {
  /** An empty folder. */
  dir: string
  seed: number
  /** How long everything goes wrong. */
  forMs: number
  /** Whether what is unknown and may be repeated is waited for: more than a minute. */
  toTheEnd: boolean
}

export interface FaultsReport {
  seed: number
  /** Without the messages that the provider refused for good. */
  finding: Finding
  /** Deliveries the gateway lists; one per accepted event. */
  listed: number
  accepted: number
  /** Messages that the provider refused for good, and those of them that are not shown as rejected or unknown. */
  refused: { count: number, wrong: string[] }
  /** Rejected by the gateway's word, and not by the provider's. */
  rejectedAlone: string[]
  /** Sent again to the provider that cannot tell repeats apart, though it may have taken it before. */
  sentTwice: string[]
  /** Unknown at the provider that can tell. */
  open: string[]
  /** The most that arrived of one account in one window. */
  most: number
  /** Requests that were answered wrong, or not at all, and times that the network was spoilt. */
  struck: { answers: number, kinds: number, network: number }
}

export const WINDOW = { max: 25, perMs: 1000 }
const RATE = 60
const CONCURRENCY = 16
const DEADLINE_MS = 2000
const FAULT_SHARE = 0.15
const REFUSED_SHARE = 0.03
const REFUSALS = [400, 404, 410, 422, 302, 307]
/** What says that nothing was taken, and asks to come again. */
const UNTOUCHED = new Set([401, 429])
/** Written down for what got no status, and was not taken. */
const NOTHING_TAKEN = 599
const SHOPS = ['repeat', 'park'].flatMap(provider => ['one', 'two'].map(name => ({ id: `${provider}-${name}.example`, provider: provider as 'repeat' | 'park', account: `${provider}-${name}` })))

interface Fate { taken: boolean, status: number, order: Order }
type Random = () => number

const json = { 'content-type': 'application/json' }
const took = (order: Order): Fate => ({ taken: true, status: 202, order })
const left = (order: Order, status = NOTHING_TAKEN): Fate => ({ taken: false, status, order })
const answering = (status: number, headers: Record<string, string> = json, body = '{}'): Order => ({ do: 'answer', status, headers, body })
const one = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)] as T

const FATES: Array<(random: Random) => Fate> = [
  random => took({ do: 'answer', status: 202, afterMs: random() * DEADLINE_MS * 1.2 }),
  () => took({ do: 'hang' }),
  () => took({ do: 'reset' }),
  () => took({ do: 'half_close' }),
  () => took({ do: 'endless' }),
  () => took({ do: 'drip', head: 'HTTP/1.1 202 Accepted\r\ncontent-length: 60000\r\n\r\n', every: 'x', everyMs: 100 }),
  () => took(answering(200, { 'content-type': 'text/html' }, '<html>')),
  () => took(answering(200, json, '{"id":')),
  () => took(answering(500)),
  random => ({ ...took({ do: 'raw', text: one(random, ['SSH-2.0-OpenSSH_9\r\n', 'HTTP/1.1 abc\r\n\r\n', `HTTP/1.1 202 OK\r\nx-a: ${'x'.repeat(100_000)}\r\n\r\n`]) }) }),
  random => left(answering(429, { ...json, 'retry-after': one(random, ['0', '1', '2', new Date(Date.now() + 2000).toUTCString()]) }), 429),
  random => { const code = one(random, [500, 502, 503, 504]); return left(answering(code), code) },
  () => left({ do: 'hang' }),
  () => left({ do: 'reset' })
]

const SPOILS: Array<(random: Random) => { up?: Toxics, down?: Toxics }> = [
  random => ({ up: { latency: { ms: 500 * random(), jitterMs: 300 } }, down: { latency: { ms: 500 * random(), jitterMs: 300 } } }),
  () => ({ up: { bandwidth: { bytesPerSecond: 10_000 } }, down: { bandwidth: { bytesPerSecond: 10_000 } } }),
  () => ({ up: { slicer: { bytes: 1 } }, down: { slicer: { bytes: 1 } } }),
  () => ({ up: { timeout: {} } }),
  () => ({ down: { timeout: { ms: 300 } } }),
  random => ({ up: { resetPeer: { ms: 100 * random() } } }),
  random => ({ up: { limitData: { bytes: Math.ceil(600 * random()) } } }),
  random => ({ down: { limitData: { bytes: Math.ceil(200 * random()) } } })
]

export async function sendThroughFaults ({ dir, seed, forMs, toTheEnd }: FaultsOptions): Promise<FaultsReport> {
  const random = seeded(seed)
  const files = { accepted: join(dir, 'accepted.txt'), received: join(dir, 'received.txt') }
  const cleanUps: Array<() => unknown> = []
  const t = { teardown (clean: () => unknown): void { cleanUps.unshift(clean) } }
  try {
    const server = await faultServer(t)
    const faults = new Faults(server, files.received, random)
    t.teardown(() => { faults.close() })
    const proxy = await tcpProxy(t, server.port, random)
    const gateway = await startFaulty(dir, proxy.origin)
    t.teardown(() => gateway.kill('SIGKILL'))
    const load = new Load({ target: () => targetOf(gateway), rate: RATE, file: files.accepted, event: n => eventOf({ id: `e${seed}-${n}`, shop: (SHOPS[n % SHOPS.length] as typeof SHOPS[number]).id }) })
    t.teardown(() => load.abandon())
    const network = spoil(proxy, random, performance.now() + forMs)
    await wait(forMs * 0.4)
    faults.refuseAccounts(['repeat-two.example', 'park-two.example'])
    await wait(forMs * 0.1)
    faults.refuseAccounts([])
    await wait(forMs * 0.2)
    await connectAgain(gateway.url)
    const spoilt = await network
    faults.stop()
    await load.stop()
    await connectAgain(gateway.url)
    await drained(targetOf(gateway), 120_000)
    if (toTheEnd) await noneOpen(targetOf(gateway), 180_000)
    const listed = await listDeliveries(targetOf(gateway))
    await gateway.kill('SIGTERM')
    return reportOf(seed, readAccepted(files.accepted), readArrivals(files.received), listed, { ...faults.struck, network: spoilt })
  } finally {
    for (const clean of cleanUps) await clean()
  }
}

/** What the provider does, and its book of what arrived. */
class Faults {
  readonly struck = { answers: 0, kinds: 0 }
  #file: number
  #random: Random
  #kinds = new Set<number>()
  #share = FAULT_SHARE
  #refusedAccounts: readonly string[] = []
  /** By key, what a message is refused with whenever it comes; null where it is not. */
  #refusals = new Map<string, number | null>()

  constructor (server: FaultServer, file: string, random: Random) {
    this.#file = openSync(file, 'a')
    this.#random = random
    server.reply = exchange => this.#reply(exchange)
  }

  /** From now on these shops' credentials are refused, and no others. */
  refuseAccounts (shops: readonly string[]): void { this.#refusedAccounts = shops }

  /** What comes now is answered as it should be; what was refused stays refused. */
  stop (): void { this.#share = 0 }

  close (): void { closeSync(this.#file) }

  #reply: Reply = exchange => {
    const at = performance.now()
    const { key, ref, shop } = JSON.parse(exchange.request.body) as Pick<Arrival, 'key' | 'ref' | 'shop'>
    const fate = this.#fate(key, shop)
    writeSync(this.#file, `${JSON.stringify({ at, status: fate?.status ?? 202, provider: exchange.request.url.split('/')[1], key, ref, shop })}\n`)
    if (fate) this.struck.answers++
    return (fate ? play(fate.order) : status(202, json, '{}'))(exchange)
  }

  #fate (key: string, shop: string): Fate | null {
    if (this.#refusedAccounts.includes(shop)) return left(answering(401), 401)
    const refusal = this.#refusals.get(key) ?? (this.#random() < REFUSED_SHARE && !this.#refusals.has(key) && this.#share > 0 ? one(this.#random, REFUSALS) : null)
    this.#refusals.set(key, refusal)
    if (refusal !== null) return left(answering(refusal, { ...json, location: 'http://127.0.0.1/elsewhere' }), refusal)
    if (this.#random() >= this.#share) return null
    const kind = Math.floor(this.#random() * FATES.length)
    this.struck.kinds = this.#kinds.add(kind).size
    return FATES[kind]?.(this.#random) ?? null
  }
}

/** Spoils the network, now so and now so, until the time; how often. */
async function spoil (proxy: TcpProxy, random: Random, until: number): Promise<number> {
  const lasts = between(random, 100, 600)
  let times = 0
  for (; performance.now() < until; times++) {
    await wait(lasts())
    if (random() < 0.1) {
      await proxy.down()
      await wait(lasts() / 2)
      await proxy.up()
      continue
    }
    const { up = {}, down = {} } = one(random, SPOILS)(random)
    proxy.spoil('up', up)
    proxy.spoil('down', down)
    await wait(lasts())
    proxy.heal()
  }
  return times
}

function startFaulty (dir: string, origin: string): ReturnType<typeof startWorld> {
  const key = (name: string): object => ({ file: join(dir, 'keys', name), generate: true })
  return startWorld({
    dir,
    standIn: { url: origin } as StandIn,
    providers: (['repeat', 'park'] as const).map(id => ({ id, uncertain: id, concurrency: CONCURRENCY, windows: [WINDOW] })),
    shops: SHOPS,
    more: {
      types: {},
      env: {},
      config: {
        delivery: { request_deadline: `${DEADLINE_MS}ms`, retry_schedule: ['1s', '2s', '5s'] },
        security: {
          encryption_keys: [{ id: 'k1', ...key('k1.key') }],
          person_key: key('person.key'),
          api_keys: [{ id: 'test', env: 'TEST_API_KEY', scopes: ['events:write', 'deliveries:read', 'shops:read', 'shops:write'], shops: '*' }]
        }
      }
    }
  })
}

/** What a person does whose credentials were refused. */
async function connectAgain (url: string): Promise<void> {
  for (const { id, provider, account } of SHOPS) {
    const response = await request(`${url}/v1/shops/${id}/providers/${provider}/connection`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ secrets: { token: `again-${account}` }, account_id: account, ready: ['back_in_stock', 'preorder'] })
    })
    const text = await response.body.text()
    if (response.statusCode >= 300) throw new Error(`${id}: not connected again: ${response.statusCode} ${text}`)
  }
}

/** Waits until nothing is unknown at the provider that tells repeats apart. */
async function noneOpen (target: { url: string, apiKey: string }, withinMs: number): Promise<void> {
  const endsAt = performance.now() + withinMs
  while ((await listDeliveries(target, { provider: 'repeat', state: 'unknown' })).length > 0 && performance.now() < endsAt) await wait(500)
  await drained(target, withinMs)
}

function reportOf (seed: number, accepted: ReadonlySet<string>, arrivals: readonly Arrival[], listed: readonly Listed[], struck: FaultsReport['struck']): FaultsReport {
  const refs = (among: readonly Arrival[]): Set<string> => new Set(among.map(({ ref }) => ref))
  const inState = (state: string): Set<string> => new Set(listed.filter(one => one.state === state).map(({ sourceId }) => sourceId))
  const at = (provider: string): Arrival[] => arrivals.filter(one => one.provider === provider)
  const refused = refs(arrivals.filter(({ status }) => REFUSALS.includes(status)))
  const [rejected, unknown] = [inState('rejected'), inState('unknown')]
  const finding = judge(new Set([...accepted].filter(id => !refused.has(id))), arrivals, listed)
  const sends = [...Map.groupBy(at('park'), ({ key }) => key)]
  return {
    seed,
    finding,
    listed: listed.length,
    accepted: accepted.size,
    refused: { count: refused.size, wrong: [...refused].filter(ref => !rejected.has(ref) && !unknown.has(ref)) },
    rejectedAlone: [...rejected].filter(ref => !refused.has(ref)),
    sentTwice: sends.filter(([, times]) => times.slice(0, -1).some(({ status }) => !UNTOUCHED.has(status))).map(([key]) => key),
    open: [...unknown].filter(ref => refs(at('repeat')).has(ref)),
    most: Math.max(...SHOPS.map(({ id }) => most(arrivals.filter(({ shop }) => shop === id), WINDOW.perMs))),
    struck
  }
}

function most (arrivals: readonly Arrival[], perMs: number): number {
  let first = 0
  let highest = 0
  for (const [i, { at }] of arrivals.entries()) {
    while ((arrivals[first] as Arrival).at <= at - perMs) first++
    highest = Math.max(highest, i - first + 1)
  }
  return highest
}
