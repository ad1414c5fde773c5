// A large backlog and everybody else: a neighbour is served as if it were not there, a provider that is down for long costs
// no memory, and holding, releasing or switching a queue costs the same however much waits in it.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import { API_KEY, type onPostgres, startWorld, targetOf, type World } from '../e2e/world.ts'
import type { GatewayProcess } from '../helpers/gateway-process.ts'
import { eventOf, post } from '../helpers/load.ts'
import { get, listDeliveries } from '../helpers/oracle.ts'
import { placeOf, preload } from '../helpers/preload.ts'
import { type StandIn, startStandIn } from '../helpers/stand-in.ts'
import { most } from './windows.ts'

type On = ReturnType<typeof onPostgres> | undefined
interface Judged { ok: boolean, line: string }
const BATCH = 1000
const WITHIN = 1.5

/** Milliseconds that all but one percent of them took. */
export function p99 (ms: readonly number[]): number { return ms.toSorted((a, b) => a - b)[Math.ceil(ms.length * 0.99) - 1] ?? NaN }

async function accept (gateway: GatewayProcess, events: ReturnType<typeof eventOf>[]): Promise<number> {
  const answer = await post(targetOf(gateway), events.length === 1 ? events[0] as object : events)
  if (answer?.status !== 202) throw new Error(`not accepted: ${JSON.stringify(answer)}`)
  return performance.now()
}

/** The same world, started when its tables are there and its queues hold one delivery of each shop that was sent. */
async function filled (world: World, like: { shop: string, count: number }): Promise<GatewayProcess> {
  const gateway = await startWorld(world)
  const seeds = world.shops.map(({ id }) => eventOf({ id: `seed-${id}`, shop: id }))
  for (const seed of seeds) await accept(gateway, [seed])
  const sent = new Set(world.shops.map(({ provider, account }) => `${provider} ${account}`)).size
  await world.standIn.until(() => world.standIn.arrivals.filter(({ ref }) => ref.startsWith('seed-')).length >= sent)
  await gateway.kill('SIGTERM')
  await preload(placeOf(world as { dir: string, start?: { env?: Record<string, string> } }), { like: `seed-${like.shop}`, prefix: `p-${like.count}-`, count: like.count })
  await gateway.restart()
  return gateway
}

// ── a neighbour beside 10,000 that wait ──

export interface NeighbourReport {
  /** From the answer to the arrival at the provider, at another account of the provider, and at the same one. */
  beside: number[]
  alone: number[]
  sameAccount: number[]
  /** Without a mapping: rejected, and how many of them at the first attempt. */
  poison: { posted: number, rejected: number }
  /** The most of the account's that arrived in one second. */
  most: number
}

const CAP = { max: 100, perMs: 1000 }
const EVERY_MS = 40
/** What waits for an answer costs a window its length once more: a longer one loses less by it. */
const DRAIN_CAP = { max: 250, perMs: 5000 }
const DRAIN_PER_S = 50
const NO_MAPPING = 'preorder.changed'

/** Two gateways side by side, one with the backlog and one without; each has its neighbour's events in turn. */
export async function neighbours ({ dir, waiting, poison, samples, on }: { dir: string, waiting: number, poison: number, samples: number, on?: On }): Promise<NeighbourReport> {
  const standIns = [await startStandIn({ latencyMs: () => 5 }), await startStandIn({ latencyMs: () => 5 })] as const
  const shops = [['a', 'one'], ['b', 'two'], ['c', 'one']].map(([name, account]) => ({ id: `${name as string}.example`, provider: 'shared', account: account as string }))
  const schema = join(import.meta.dirname, '../../schemas/events/preorder.confirmed.schema.json')
  const more: World['more'] = { config: {}, env: {}, types: { [NO_MAPPING]: { schema, channel: 'sms', setup_group: 'preorder', kind: 'marketing', expires_after: '24h' } } }
  const worldOf = (standIn: StandIn, name: string): World => ({ dir, dataDir: join(dir, name), standIn, shops, more, providers: [{ id: 'shared', uncertain: 'repeat', concurrency: 16, windows: [CAP] }] })
  const gateways = [await startIn(worldOf(standIns[0], 'beside'), on), await startIn(worldOf(standIns[1], 'alone'))] as const
  try {
    const [beside] = gateways
    for (let n = 0; n < waiting; n += BATCH) await accept(beside, Array.from({ length: Math.min(BATCH, waiting - n) }, (_, i) => eventOf({ id: `a-${n + i}`, shop: 'a.example' })))
    for (let n = 0; n < poison; n++) await accept(beside, [{ ...eventOf({ id: `poison-${n}`, shop: 'b.example', type: 'preorder.confirmed' }), type: NO_MAPPING as 'preorder.confirmed' }])
    const acceptedAt = new Map<string, number>()
    for (let n = 0; n < samples; n++) {
      for (const [i, gateway] of gateways.entries()) {
        const id = `b-${i}-${n}`
        acceptedAt.set(id, await accept(gateway, [eventOf({ id, shop: 'b.example' })]))
        await wait(EVERY_MS / 2)
      }
      if (n % 10 === 0) acceptedAt.set(`c-${n}`, await accept(beside, [eventOf({ id: `c-${n}`, shop: 'c.example' })]))
    }
    const arrived = (standIn: StandIn, prefix: string): number[] => standIn.arrivals.filter(({ ref }) => ref.startsWith(prefix)).map(({ ref, at }) => Math.max(0, at - (acceptedAt.get(ref) as number)))
    await Promise.all(standIns.map((standIn, i) => standIn.until(() => arrived(standIn, `b-${i}-`).length >= samples)))
    await standIns[0].until(() => arrived(standIns[0], 'c-').length >= Math.ceil(samples / 10))
    const rejected = (await listDeliveries(targetOf(beside), { state: 'rejected' })).filter(({ sourceId }) => sourceId.startsWith('poison-')).length
    const ofAccount = standIns[0].arrivals.filter(({ shop }) => shop !== 'b.example')
    return { beside: arrived(standIns[0], 'b-0-'), alone: arrived(standIns[1], 'b-1-'), sameAccount: arrived(standIns[0], 'c-'), poison: { posted: poison, rejected }, most: most(ofAccount, CAP.perMs) }
  } finally {
    for (const gateway of gateways) await gateway.kill('SIGKILL')
    for (const standIn of standIns) await standIn.close()
  }
}

async function startIn (world: World, on?: On): Promise<GatewayProcess> {
  mkdirSync(world.dataDir as string, { recursive: true })
  return await startWorld({ ...world, ...on })
}

export function judgeNeighbours ({ beside, alone, sameAccount, poison, most: highest }: NeighbourReport): Judged {
  const ratio = p99(beside) / p99(alone)
  const ok = ratio <= WITHIN && poison.rejected === poison.posted && highest <= CAP.max
  return { ok, line: `p99 from accepted to arrival ${p99(beside).toFixed(1)} ms beside the backlog, ${p99(alone).toFixed(1)} ms without it: ${ratio.toFixed(2)} (aim <= ${WITHIN}); on the same account ${p99(sameAccount).toFixed(0)} ms; ${beside.length} and ${alone.length} events; ${poison.rejected} of ${poison.posted} without a mapping rejected and shown; at most ${highest}/${CAP.max}` }
}

// ── R53: a provider that is down while 360,000 wait ──

export interface OutageReport {
  waiting: number
  /** Resident memory while it is down, MiB. */
  rssMib: { few: number, many: number }
  reason: string | null
  /** Requests that were sent to it while it was down. */
  tried: number
  /** Per second, and the most in one window, after it came back. */
  drainedPerS: number
  fewPerS: number
  most: number
  neighbour: { few: number[], many: number[] }
}

export interface OutageOptions { dir: string, few: number, many: number, samples: number, windows: number, on?: [On, On] }

/** Two gateways side by side whose provider does not serve shop a: one with few that wait, one with many. */
export async function outage ({ dir, few, many, samples, windows, on = [undefined, undefined] }: OutageOptions): Promise<OutageReport> {
  const sides: Side[] = []
  try {
    sides.push(await whileDown({ dir: join(dir, 'few'), waiting: few, on: on[0] }))
    sides.push(await whileDown({ dir: join(dir, 'many'), waiting: many, on: on[1] }))
    const [one, other] = sides as [Side, Side]
    const neighbour = { few: [] as number[], many: [] as number[] }
    for (let n = 0; n < samples; n++) {
      neighbour.few.push(await latency(one))
      neighbour.many.push(await latency(other))
    }
    const [held] = (await get(targetOf(other.gateway), '/v1/deliveries?state=held&limit=1') as { items: Array<{ reason: string }> }).items
    const rssMib = { few: rss(one.gateway), many: rss(other.gateway) }
    const tried = other.ofA().length
    const fewPerS = (await drain(one, windows)).drainedPerS
    await one.gateway.kill('SIGKILL')
    return { waiting: many, rssMib, reason: held?.reason ?? null, tried, neighbour, fewPerS, ...await drain(other, windows) }
  } finally {
    for (const { gateway, standIn } of sides) {
      await gateway.kill('SIGKILL')
      await standIn.close()
    }
  }
}

interface Side { gateway: GatewayProcess, standIn: StandIn, ofA (): StandIn['arrivals'], comeBack (): void }

async function whileDown ({ dir, waiting, on }: { dir: string, waiting: number, on: On }): Promise<Side> {
  let down = false
  const standIn = await startStandIn({ latencyMs: () => 5, status: shop => down && shop === 'a.example' ? 503 : 202 })
  const shops = [{ id: 'a.example', provider: 'shared', account: 'one' }, { id: 'b.example', provider: 'shared', account: 'two' }]
  mkdirSync(dir, { recursive: true })
  void standIn.until(() => standIn.arrivals.length === shops.length).then(() => { down = true })
  const gateway = await filled({ dir, standIn, shops, providers: [{ id: 'shared', uncertain: 'repeat', concurrency: 16, windows: [DRAIN_CAP] }], ...on }, { shop: 'a.example', count: waiting })
  const from = standIn.arrivals.length
  return { gateway, standIn, ofA: () => standIn.arrivals.slice(from).filter(({ shop }) => shop === 'a.example'), comeBack () { down = false } }
}

/** Over whole windows, from the first place of the second one to the first of the last: counting to any other moment would tell where it lies. */
async function drain ({ standIn, ofA, comeBack }: Side, windows: number): Promise<{ drainedPerS: number, most: number }> {
  const from = ofA().length + DRAIN_CAP.max
  const to = from + windows * DRAIN_CAP.max
  comeBack()
  await standIn.until(() => ofA().length > to)
  const all = ofA()
  return { drainedPerS: (to - from) / ((all[to]?.at as number) - (all[from]?.at as number)) * 1000, most: most(all, DRAIN_CAP.perMs) }
}

let serial = 0
async function latency ({ gateway, standIn }: Side): Promise<number> {
  const id = `n-${serial++}`
  const acceptedAt = await accept(gateway, [eventOf({ id, shop: 'b.example' })])
  const arrival = () => standIn.arrivals.findLast(({ ref }) => ref === id)
  await standIn.until(() => arrival() !== undefined)
  await wait(EVERY_MS)
  return Math.max(0, (arrival()?.at as number) - acceptedAt)
}

function rss ({ pid }: GatewayProcess): number { return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024 }

export function judgeOutage ({ waiting, rssMib, reason, tried, drainedPerS, fewPerS, most: highest, neighbour }: OutageReport): Judged {
  const ratio = p99(neighbour.many) / p99(neighbour.few)
  const ok = rssMib.many <= rssMib.few * 1.25 && reason === 'provider_not_answering' && highest <= DRAIN_CAP.max && drainedPerS >= Math.min(DRAIN_PER_S, fewPerS) * 0.95 && ratio <= WITHIN
  return { ok, line: `${waiting} waiting while the provider is down: ${tried} requests tried, held as ${reason}, RSS ${Math.round(rssMib.many)} MiB (${Math.round(rssMib.few)} MiB with few); back again ${drainedPerS.toFixed(1)}/s of ${DRAIN_PER_S} (${fewPerS.toFixed(1)} with few), at most ${highest}/${DRAIN_CAP.max} in ${DRAIN_CAP.perMs / 1000} s; a neighbour's p99 ${p99(neighbour.many).toFixed(1)} ms, ${p99(neighbour.few).toFixed(1)} ms with few: ${ratio.toFixed(2)} (aim <= ${WITHIN})` }
}

// ── holding, releasing and switching a queue with 1,000,000 waiting ──

export interface SwitchReport {
  waiting: number
  /** By what is done: how long the call took, and the slowest probe during it. */
  few: Record<string, number[]>
  many: Record<string, number[]>
  probes: { few: number[], many: number[] }
  /** Another shop's events that arrived in the meantime, of those that were accepted. */
  others: { accepted: number, arrived: number }
}

const MOVES = [['hold', 'none'], ['release', 'slow'], ['switch', 'alt'], ['switch back', 'slow']] as const

export async function switchQueues ({ dir, waiting, rounds, on }: { dir: string, waiting: number, rounds: number, on?: On }): Promise<SwitchReport> {
  const standIn = await startStandIn({ latencyMs: () => 2 })
  const full = { uncertain: 'repeat', concurrency: 8, windows: [{ max: 1, perMs: 3_600_000 }] } as const
  const shops = [{ id: 'few.example', provider: 'slow', account: 'few' }, { id: 'many.example', provider: 'slow', account: 'many' }, { id: 'other.example', provider: 'wide', account: 'other' }]
  const providers = [{ id: 'slow', ...full }, { id: 'alt', ...full }, { id: 'none', ...full }, { id: 'wide', uncertain: 'repeat' as const, concurrency: 8, windows: [{ max: 1000, perMs: 1000 }] }]
  const gateway = await filled({ dir, standIn, shops, providers, ...on }, { shop: 'many.example', count: waiting })
  const report: SwitchReport = { waiting, few: {}, many: {}, probes: { few: [], many: [] }, others: { accepted: 0, arrived: 0 } }
  const put = async (path: string, body: object): Promise<void> => {
    const answer = await request(gateway.url + path, { method: 'PUT', headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' }, body: JSON.stringify(body) })
    const text = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode} ${text}`)
  }
  try {
    await accept(gateway, Array.from({ length: 10 }, (_, n) => eventOf({ id: `few-${n}`, shop: 'few.example' })))
    for (const size of ['few', 'many']) await put(`/v1/shops/${size}.example/providers/alt/connection`, { secrets: { token: 'token-0123456789' }, account_id: size, ready: ['back_in_stock', 'preorder'] })
    const other = background(gateway)
    for (let round = 0; round < rounds; round++) {
      for (const size of ['few', 'many'] as const) {
        for (const [name, provider] of MOVES) {
          const probing = probe(gateway)
          const startedAt = performance.now()
          await put(`/v1/shops/${size}.example/channels/sms`, { provider })
          ;(report[size][name] ??= []).push(performance.now() - startedAt)
          report.probes[size].push(await probing())
        }
      }
    }
    report.others.accepted = await other()
    const arrived = (): number => standIn.arrivals.filter(({ ref }) => ref.startsWith('o-')).length
    await standIn.until(() => arrived() >= report.others.accepted)
    report.others.arrived = arrived()
    return report
  } finally {
    await gateway.kill('SIGKILL')
    await standIn.close()
  }
}

/** Asks for what touches no store until the function it gives is called; that tells the slowest answer. */
function probe (gateway: GatewayProcess): () => Promise<number> {
  const end = new AbortController()
  let slowest = 0
  const asking = (async () => {
    do {
      const startedAt = performance.now()
      await (await request(`${gateway.url}/healthz`)).body.dump()
      slowest = Math.max(slowest, performance.now() - startedAt)
    } while (!end.signal.aborted)
  })()
  return async () => { end.abort(); await asking; return slowest }
}

/** Another shop's events, one after the other; the function it gives tells how many were accepted. */
function background (gateway: GatewayProcess): () => Promise<number> {
  const end = new AbortController()
  let n = 0
  const posting = (async () => {
    while (!end.signal.aborted) {
      await accept(gateway, [eventOf({ id: `o-${n++}`, shop: 'other.example' })])
      await wait(EVERY_MS)
    }
  })()
  return async () => { end.abort(); await posting; return n }
}

function median (ms: readonly number[]): number { return ms.toSorted((a, b) => a - b)[Math.floor(ms.length / 2)] ?? NaN }

export function judgeSwitch ({ waiting, few, many, probes, others }: SwitchReport): Judged {
  const moves = MOVES.map(([name]) => ({ name, ratio: median(many[name] ?? []) / median(few[name] ?? []) }))
  const probed = median(probes.many) / median(probes.few)
  const ok = moves.every(({ ratio }) => ratio <= 2) && probed <= 2 && others.arrived === others.accepted
  const shown = moves.map(({ name, ratio }) => `${name} ${median(many[name] ?? []).toFixed(1)} ms against ${median(few[name] ?? []).toFixed(1)} (${ratio.toFixed(2)})`)
  return { ok, line: `${waiting} waiting against 10: ${shown.join(', ')}; slowest probe beside it ${median(probes.many).toFixed(1)} ms against ${median(probes.few).toFixed(1)} (${probed.toFixed(2)}); ${others.arrived} of ${others.accepted} events of another shop arrived meanwhile` }
}
