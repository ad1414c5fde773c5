// R7: the disk of the store fills up at random times, slowly and at once. What comes in stops first, then what is sent;
// both go on by themselves; nothing that was accepted is lost. Needs root, for a disk of its own.

import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import { API_KEY, startWorld, targetOf } from '../e2e/world.ts'
import type { GatewayProcess } from '../helpers/gateway-process.ts'
import { eventOf, Load } from '../helpers/load.ts'
import { drained, type Finding, judge, listDeliveries, readAccepted, readArrivals } from '../helpers/oracle.ts'
import { type StandIn, startStandIn } from '../helpers/stand-in.ts'
import { between, seeded } from './seed.ts'
import { integrityOf, some } from './trial.ts'

export interface DiskOptions {
  /** An empty folder; the disk is mounted within it. */
  dir: string
  seed: number
  rounds: number
}

export interface DiskReport {
  seed: number
  rounds: number
  finding: Finding
  listed: number
  /** What was not as it should be in a round. */
  wrong: string[]
  slowestResumeMs: number
  integrity: string
}

/** Whether a disk can be mounted here. */
export const canMount = process.platform === 'linux' && process.getuid?.() === 0

const SIZE_MIB = 256
const MIB = 1024 * 1024
const SHOP = 'shop.example'
const RATE = 150
/** Takes longer to send than a round lasts. */
const BACKLOG = 4 * RATE
const WITHIN_MS = 20_000
/** Longer than anything that was claimed or on its way. */
const SETTLED_MS = 1500

export async function fillDisk ({ dir, seed, rounds }: DiskOptions): Promise<DiskReport> {
  const disk = join(dir, 'disk')
  mkdirSync(disk)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MIB}m`, 'tmpfs', disk], { encoding: 'utf8' })
  if (mounted.status !== 0) throw new Error(`no disk: ${mounted.stderr}`)
  const unmount = (): void => { spawnSync('umount', ['-l', disk]) }
  process.once('exit', unmount)
  try {
    return await onDisk({ dir, seed, rounds }, disk)
  } finally {
    unmount()
    process.off('exit', unmount)
  }
}

async function onDisk ({ dir, seed, rounds }: DiskOptions, disk: string): Promise<DiskReport> {
  const random = seeded(seed)
  const files = { accepted: join(dir, 'accepted.txt'), received: join(dir, 'received.txt') }
  const standIn = await startStandIn({ file: files.received, latencyMs: between(random, 20, 80) })
  const gateway = await startWorld({
    dir,
    dataDir: disk,
    standIn,
    // Slower than what comes in, so that there is always something to send.
    providers: [{ id: 'repeat', uncertain: 'repeat', concurrency: 32, windows: [{ max: RATE / 3, perMs: 1000 }] }],
    shops: [{ id: SHOP, provider: 'repeat', account: 'account' }],
    more: { config: { delivery: { request_deadline: '30s', retry_schedule: ['1s'] } }, types: {}, env: { TEST_API_KEY: API_KEY } }
  })
  const load = new Load({ target: () => targetOf(gateway), rate: RATE, event: n => eventOf({ id: `d${seed}-${n}`, shop: SHOP }), file: files.accepted })
  const wrong: string[] = []
  let slowestResumeMs = 0
  try {
    for (let i = 0; i < rounds; i++) {
      await wait(between(random, 300, 1500)())
      const round = new Round(disk, gateway, standIn, load)
      if (i % 3 === 2) await round.atOnce(random)
      else await round.inSteps(random)
      slowestResumeMs = Math.max(slowestResumeMs, round.resumedMs)
      wrong.push(...round.wrong.map(what => `round ${i + 1}: ${what}`))
    }
    await load.stop()
    await drained(targetOf(gateway), 600_000)
    const listed = await listDeliveries(targetOf(gateway))
    await gateway.kill('SIGTERM')
    return { seed, rounds, finding: judge(readAccepted(files.accepted), readArrivals(files.received), listed), listed: listed.length, wrong, slowestResumeMs, integrity: integrityOf(disk) }
  } finally {
    await gateway.kill('SIGKILL')
    await standIn.close()
  }
}

class Round {
  readonly wrong: string[] = []
  resumedMs = 0
  #disk: string
  #gateway: GatewayProcess
  #standIn: StandIn
  #load: Load

  constructor (disk: string, gateway: GatewayProcess, standIn: StandIn, load: Load) {
    this.#disk = disk
    this.#gateway = gateway
    this.#standIn = standIn
    this.#load = load
  }

  /** First too little for what comes in, then too little for sends. */
  async inSteps (random: () => number): Promise<void> {
    await this.#until('something waits', async () => this.#load.accepted.length - this.#standIn.arrivals.length >= BACKLOG)
    this.#leave(between(random, 38, 58)())
    await this.#until('intake stops', () => this.#intakeStopped())
    await this.#moves('sends go on while intake stands', true)
    this.#leave(between(random, 8, 26)())
    await this.#until('sends stop', () => this.#sendsStopped())
    await wait(SETTLED_MS)
    await this.#moves('sends stand', false)
    await this.#free()
  }

  /** Not a byte is left, at whatever moment. */
  async atOnce (random: () => number): Promise<void> {
    this.#leave(0)
    await wait(between(random, 500, 4000)())
    await this.#until('intake stops', () => this.#intakeStopped())
    await this.#free()
  }

  async #free (): Promise<void> {
    const startedAt = performance.now()
    const [accepted, arrived] = [this.#load.accepted.length, this.#standIn.arrivals.length]
    rmSync(join(this.#disk, 'filling'), { force: true })
    rmSync(join(this.#disk, 'more'), { force: true })
    await this.#until('both go on', async () => this.#load.accepted.length > accepted && this.#standIn.arrivals.length > arrived)
    this.resumedMs = performance.now() - startedAt
  }

  /** Fills the disk until so many MiB are free. */
  #leave (mib: number): void {
    const { bavail, bsize } = statfsSync(this.#disk)
    const bytes = Math.max(0, Math.floor(bavail * bsize - mib * MIB))
    const name = join(this.#disk, 'filling')
    try {
      writeFileSync(name, Buffer.alloc(bytes + (mib === 0 ? MIB : 0)), { flag: 'a' })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }

  async #intakeStopped (): Promise<boolean> {
    const { statusCode, body } = await request(`${this.#gateway.url}/readyz`)
    await body.dump()
    return statusCode === 503
  }

  async #sendsStopped (): Promise<boolean> {
    const text = await (await request(`${this.#gateway.url}/metrics`)).body.text()
    return /^gateway_disk_sends_open 0$/m.test(text)
  }

  async #moves (what: string, expected: boolean): Promise<void> {
    const before = this.#standIn.arrivals.length
    await wait(SETTLED_MS)
    if (this.#standIn.arrivals.length > before !== expected) this.wrong.push(`not so: ${what}`)
  }

  async #until (what: string, when: () => Promise<boolean>): Promise<void> {
    for (const endsAt = performance.now() + WITHIN_MS; performance.now() < endsAt;) {
      if (await when()) return
      await wait(100)
    }
    this.wrong.push(`not within ${WITHIN_MS} ms: ${what}`)
  }
}

export function judgeDisk ({ seed, rounds, finding, listed, wrong, slowestResumeMs, integrity }: DiskReport): { ok: boolean, line: string } {
  const { accepted, received, lost, unknown, waiting, repeatedKeys, doubled, claimedOnly, unexplained } = finding
  const sets = { lost, unknown, waiting, doubled, 'delivered but never received': claimedOnly, unexplained }
  const ok = Object.values(sets).every(ids => ids.length === 0) && received === accepted && listed === accepted && wrong.length === 0 && integrity === 'ok'
  return { ok, line: `seed ${seed}, ${rounds} rounds on ${SIZE_MIB} MiB, accepted ${accepted}, received ${received}, sent again ${repeatedKeys.length}; ${Object.entries(sets).map(([name, ids]) => some(name, ids)).join(', ')}; slowest to go on ${Math.round(slowestResumeMs)} ms; integrity ${integrity}${wrong.length === 0 ? '' : `; WRONG: ${wrong.join('; ')}`}` }
}
