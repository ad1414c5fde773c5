// R71 and R72: little memory with much that waits, and few descriptors with many who call.

import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import { targetOf, type World } from '../e2e/world.ts'
import type { GatewayProcess } from '../helpers/gateway-process.ts'
import { eventOf, Load, post } from '../helpers/load.ts'
import { drained, type Finding, judge, listDeliveries, readAccepted, readArrivals } from '../helpers/oracle.ts'
import { onWorld } from './on-world.ts'
import { some } from './trial.ts'

const SHOP = 'shop.example'
const BATCH = 1000

export interface MemoryReport {
  waiting: number
  heapMib: number
  /** Resident, at most: while they came in, and after another start. */
  peakRssMib: { intake: number, after: number }
  /** Handed over beside them after the start, though all of them wait. */
  sent: number
  ends: string
}

const HEAP_MIB = 256
const SENT = 20

/** So many wait at an account that takes one a second; then it is started again, and others are sent all the same. */
export async function waitInLittleMemory ({ dir, waiting }: { dir: string, waiting: number }): Promise<MemoryReport> {
  const world: Omit<World, 'standIn'> = {
    dir,
    providers: [{ id: 'slow', uncertain: 'repeat', concurrency: 8, windows: [{ max: 1, perMs: 1000 }] }],
    shops: [{ id: SHOP, provider: 'slow', account: 'full' }, { id: 'other.example', provider: 'slow', account: 'empty' }],
    start: { nodeArgs: [`--max-old-space-size=${HEAP_MIB}`] }
  }
  return await onWorld(world, {}, async (gateway, standIn) => {
    for (let n = 0; n < waiting;) {
      const answer = await post(targetOf(gateway), Array.from({ length: Math.min(BATCH, waiting - n) }, (_, i) => eventOf({ id: `m-${n + i}`, shop: SHOP })))
      if (answer?.status === 202) n += BATCH
      else if (answer === null) throw new Error(`the gateway ended:\n${gateway.lines.join('\n')}`)
      else await wait(1000)
    }
    const intake = peakRssMib(gateway)
    await gateway.kill('SIGTERM')
    await gateway.restart()
    for (let n = 0; n < SENT; n++) await post(targetOf(gateway), eventOf({ id: `o-${n}`, shop: 'other.example' }))
    const others = () => standIn.arrivals.filter(({ shop }) => shop === 'other.example').length
    await standIn.until(() => others() >= 3)
    const after = peakRssMib(gateway)
    const { code, signal } = await gateway.kill('SIGTERM')
    return { waiting, heapMib: HEAP_MIB, peakRssMib: { intake, after }, sent: others(), ends: String(code ?? signal) }
  })
}

export function judgeMemory ({ waiting, heapMib, peakRssMib, sent, ends }: MemoryReport): { ok: boolean, line: string } {
  return { ok: ends === '0' && sent >= 3, line: `${waiting} waiting with --max-old-space-size=${heapMib}: RSS at most ${Math.round(peakRssMib.intake)} MiB while they came in, ${Math.round(peakRssMib.after)} MiB after a start; another account's sent meanwhile: ${sent}; ended with ${ends}` }
}

export interface DescriptorReport {
  descriptors: number
  connected: number
  /** Connections that were answered, by status; `closed` without an answer. */
  answers: Record<string, number>
  recoveredMs: number
  finding: Finding
  listed: number
}

const DESCRIPTORS = 256
const RATE = 50

/** Many connections at once that ask and stay, while others post; then they go. */
export async function callWithFewDescriptors ({ dir, connections }: { dir: string, connections: number }): Promise<DescriptorReport> {
  const files = { accepted: join(dir, 'accepted.txt'), received: join(dir, 'received.txt') }
  const world: Omit<World, 'standIn'> = {
    dir,
    providers: [{ id: 'repeat', uncertain: 'repeat', concurrency: 32, windows: [{ max: 100_000, perMs: 1000 }] }],
    shops: [{ id: SHOP, provider: 'repeat', account: 'account' }],
    start: { through: ['sh', '-c', `ulimit -n ${DESCRIPTORS} && exec "$@"`, 'sh'] }
  }
  return await onWorld(world, { file: files.received, latencyMs: () => 20 }, async gateway => {
    const load = new Load({ target: () => targetOf(gateway), rate: RATE, event: n => eventOf({ id: `f-${n}`, shop: SHOP }), file: files.accepted })
    try {
      await wait(500)
      const answers: Record<string, number> = {}
      const sockets = await Promise.all(Array.from({ length: connections }, () => asked(gateway.url, status => { answers[status] = (answers[status] ?? 0) + 1 })))
      await wait(1000)
      for (const socket of sockets) socket.destroy()
      const startedAt = performance.now()
      const accepted = load.accepted.length
      for (const { apiKey } = targetOf(gateway); load.accepted.length < accepted + RATE || await ask(gateway.url, apiKey) !== 200;) {
        if (performance.now() - startedAt > 30_000) break
        await wait(50)
      }
      const recoveredMs = performance.now() - startedAt
      await load.stop()
      await drained(targetOf(gateway), 60_000)
      const listed = await listDeliveries(targetOf(gateway))
      return { descriptors: DESCRIPTORS, connected: connections, answers, recoveredMs, finding: judge(readAccepted(files.accepted), readArrivals(files.received), listed), listed: listed.length }
    } finally {
      await load.abandon()
    }
  })
}

export function judgeDescriptors ({ descriptors, connected, answers, recoveredMs, finding, listed }: DescriptorReport): { ok: boolean, line: string } {
  const { accepted, received, lost, waiting, unknown, doubled, claimedOnly, unexplained } = finding
  const sets = { lost, waiting, unknown, doubled, 'delivered but never received': claimedOnly, unexplained }
  const polite = Object.keys(answers).every(status => ['202', '422', '429', '503', 'closed'].includes(status))
  const ok = polite && Object.values(sets).every(ids => ids.length === 0) && received === accepted && listed === accepted && recoveredMs < 10_000
  return { ok, line: `ulimit -n ${descriptors}, ${connected} connections at once: ${Object.entries(answers).map(([status, n]) => `${status} × ${n}`).join(', ')}; as before after ${Math.round(recoveredMs)} ms; accepted ${accepted}, received ${received}; ${Object.entries(sets).map(([name, ids]) => some(name, ids)).join(', ')}` }
}

/** A connection that posts something refused and stays open. */
function asked (url: string, answered: (status: string) => void): Promise<Socket> {
  const { hostname, port, host } = new URL(url)
  return new Promise(resolve => {
    const socket = connect({ host: hostname, port: Number(port) })
    let status = 'closed'
    const done = (): void => { answered(status); resolve(socket) }
    socket.on('error', () => {})
    socket.once('close', () => { if (status === 'closed') done() })
    socket.once('data', chunk => {
      status = chunk.toString('latin1').slice(9, 12)
      done()
    })
    socket.once('connect', () => { socket.write(`POST /v1/events HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${targetOf({ url }).apiKey}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`) })
  })
}

async function ask (url: string, apiKey: string): Promise<number | null> {
  try {
    const { statusCode, body } = await request(`${url}/v1/deliveries?limit=1`, { headers: { authorization: `Bearer ${apiKey}` } })
    await body.dump()
    return statusCode
  } catch {
    return null
  }
}

function peakRssMib ({ pid }: Pick<GatewayProcess, 'pid'>): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
