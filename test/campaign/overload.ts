// R65 and R66: three times the events that can be taken, and webhooks all the while. Every post is answered, with a time
// where it is refused; webhooks are taken quickly; memory stays; afterwards it is as fast as before; nothing is lost.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { type onPostgres, targetOf, type World } from '../e2e/world.ts'
import { spawnNode } from '../helpers/gateway-process.ts'
import { type Finding, judge, listDeliveries, readAccepted, readArrivals } from '../helpers/oracle.ts'
import type { FloodArguments, FloodResult } from './flood.ts'
import { onWorld } from './on-world.ts'
import { some } from './trial.ts'

export interface OverloadOptions {
  /** An empty folder. */
  dir: string
  seed: number
  /** Of the flood. */
  seconds: number
  /** Instead of the config's defaults, and connections beyond them. */
  marks?: Record<string, unknown>
  connections?: number
  /** Another store than a SQLite file. */
  on?: ReturnType<typeof onPostgres> | undefined
}

export interface OverloadReport {
  seed: number
  /** Accepted per second when as much is posted as is answered. */
  intakePerS: number
  before: FloodResult
  flood: FloodResult
  after: FloodResult
  webhooks: { sent: number, refused: number, slowestMs: number, p99Ms: number }
  /** How long a question that touches no store took, asked ten times a second: the event loop seen from outside. */
  healthP99Ms: number
  peakRssMib: number
  finding: Finding
  listed: number
}

const ROOT = join(import.meta.dirname, '..', '..')
const SHOP = 'shop.example'
const WEBHOOKS_EVERY_MS = 100
const CONNECTIONS = 16
/** More than may be in flight. */
const FLOOD_CONNECTIONS = 700
const FACTOR = 3
const CALM_PER_S = 200
const SHORT_S = 3
const TOKEN = 'hook-token-0123456789'
/** A platform that sends something with a key of its own; nothing follows from it. */
const SOURCE = `import { defineSource } from '${ROOT}/gateway/define.ts'
export default defineSource({
  id: 'hook',
  secrets: ['token'],
  events: [],
  routes (app, context) {
    app.post('/', async (request, reply) => {
      if (!context.secrets.token.includes(request.headers['x-token'])) return reply.code(401).send({})
      const key = request.body.toString()
      return { result: await context.receive({ topic: 'thing', shop: '${SHOP}', subject: null, headers: {}, body: key, keys: [key] }) }
    })
  },
  translate () { return { is: 'recorded', reason: 'noted', detail: 'Kept.' } }
})
`

export async function overload ({ dir, seed, seconds, marks = {}, connections = FLOOD_CONNECTIONS, on }: OverloadOptions): Promise<OverloadReport> {
  const files = { accepted: join(dir, 'accepted.txt'), received: join(dir, 'received.txt') }
  const source = join(dir, 'sources/hook')
  mkdirSync(source, { recursive: true })
  writeFileSync(join(source, 'index.ts'), SOURCE)
  const world: Omit<World, 'standIn'> = {
    dir,
    providers: [{ id: 'wide', uncertain: 'repeat', concurrency: 64, windows: [{ max: 100_000, perMs: 1000 }] }],
    shops: [{ id: SHOP, provider: 'wide', account: 'account' }],
    more: {
      config: { server: { port: 0, overload: marks }, sources: { hook: { path: source, secrets: { token: { env: 'HOOK_TOKEN' } } } } },
      types: {},
      env: { HOOK_TOKEN: TOKEN }
    },
    ...on
  }
  return await onWorld(world, { file: files.received, latencyMs: () => 5 }, async gateway => {
    const run = (prefix: string, more: Pick<FloodArguments, 'connections' | 'rate' | 'seconds'>): Promise<FloodResult> =>
      flood({ ...targetArguments(targetOf(gateway)), shop: SHOP, prefix: `${prefix}${seed}`, file: files.accepted, ...more })
    const full = await run('full', { connections: CONNECTIONS, rate: null, seconds: SHORT_S })
    const before = await run('before', { connections: CONNECTIONS, rate: CALM_PER_S, seconds: SHORT_S })
    const hooks = new Pinger(() => webhook(gateway.url), WEBHOOKS_EVERY_MS)
    const health = new Pinger(() => healthy(gateway.url), WEBHOOKS_EVERY_MS)
    const flooded = await run('flood', { connections, rate: full.accepted_per_second * FACTOR, seconds })
    const webhooks = await hooks.stop()
    const healthP99Ms = (await health.stop()).p99Ms
    const after = await run('after', { connections: CONNECTIONS, rate: CALM_PER_S, seconds: SHORT_S })
    const peakRssMib = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))?.[1]) / 1024
    await gateway.kill('SIGTERM')
    await gateway.restart()
    const listed = await listDeliveries(targetOf(gateway))
    const finding = judge(readAccepted(files.accepted), readArrivals(files.received), listed)
    return { seed, intakePerS: full.accepted_per_second, before, flood: flooded, after, webhooks, healthP99Ms, peakRssMib, finding, listed: listed.length }
  })
}

export function judgeOverload ({ seed, intakePerS, before, flood, after, webhooks, healthP99Ms, peakRssMib, finding, listed }: OverloadReport): { ok: boolean, line: string } {
  const { lost, doubled, claimedOnly, unexplained, waiting, accepted } = finding
  const statuses = Object.keys(flood.statuses)
  const ok = statuses.every(status => ['202', '429', '503'].includes(status)) && flood.without_retry_after === 0 && webhooks.refused === 0 && webhooks.slowestMs < 1000 &&
    peakRssMib <= 400 && lost.length + doubled.length + claimedOnly.length + unexplained.length === 0 && listed === accepted && Object.keys(after.statuses).join() === '202'
  const answers = Object.entries(flood.statuses).map(([status, n]) => `${status} × ${n}`).join(', ')
  const sets = [some('lost', lost), some('doubled', doubled), some('delivered but never received', claimedOnly), some('unexplained', unexplained)].join(', ')
  return {
    ok,
    line: `seed ${seed}, intake ${intakePerS}/s, offered ${flood.offered_per_second}/s, answers ${answers}, ${flood.without_retry_after} without Retry-After, accepted ${flood.accepted_per_second}/s with p99 ${flood.accepted_p99_ms} ms; ` +
      `webhooks ${webhooks.sent}, refused ${webhooks.refused}, p99 ${webhooks.p99Ms} ms, slowest ${webhooks.slowestMs} ms; /healthz p99 ${healthP99Ms} ms; RSS at most ${Math.round(peakRssMib)} MiB; ` +
      `calm p50 ${before.accepted_p50_ms} ms before, ${after.accepted_p50_ms} ms after; accepted ${accepted} in all, waiting ${waiting.length}; ${sets}`
  }
}

function targetArguments ({ url, apiKey }: { url: string, apiKey: string }): Pick<FloodArguments, 'url' | 'api_key'> { return { url, api_key: apiKey } }

async function flood (args: FloodArguments): Promise<FloodResult> {
  const child = spawnNode({ args: [join(import.meta.dirname, 'flood.ts'), JSON.stringify(args)] })
  let out = ''
  child.stdout?.on('data', chunk => { out += String(chunk) })
  child.stderr?.on('data', chunk => { process.stderr.write(chunk) })
  await new Promise(resolve => { child.once('close', resolve) })
  return JSON.parse(out) as FloodResult
}

const agent = new Agent({ connections: 16 })
let serial = 0

async function webhook (url: string): Promise<boolean> {
  const key = `webhook-${serial++}`
  const { statusCode, body } = await request(`${url}/webhooks/hook`, { method: 'POST', dispatcher: agent, headers: { 'x-token': TOKEN }, body: key })
  await body.dump()
  return statusCode === 200
}

async function healthy (url: string): Promise<boolean> {
  const { statusCode, body } = await request(`${url}/readyz`, { dispatcher: agent })
  await body.dump()
  return statusCode === 200
}

/** Asks at a steady pace, whatever the answers take. */
class Pinger {
  #tookMs: number[] = []
  #refused = 0
  #open = new Set<Promise<void>>()
  #timer: NodeJS.Timeout

  constructor (ask: () => Promise<boolean>, everyMs: number) {
    this.#timer = setInterval(() => {
      const startedAt = performance.now()
      const one: Promise<void> = ask().then(ok => { if (!ok) this.#refused++ }, () => { this.#refused++ }).finally(() => {
        this.#tookMs.push(performance.now() - startedAt)
        this.#open.delete(one)
      })
      this.#open.add(one)
    }, everyMs)
  }

  async stop (): Promise<OverloadReport['webhooks']> {
    clearInterval(this.#timer)
    await Promise.race([Promise.all(this.#open), wait(10_000)])
    const sorted = this.#tookMs.toSorted((a, b) => a - b)
    return { sent: sorted.length + this.#open.size, refused: this.#refused + this.#open.size, slowestMs: Math.round(sorted.at(-1) ?? 0), p99Ms: Math.round(sorted[Math.floor(sorted.length * 0.99)] ?? 0) }
  }
}
