// R2: the gateway ends itself at chosen points, under load, again and again.

import { setTimeout as wait } from 'node:timers/promises'
import { type onPostgres, writeConfig } from '../e2e/world.ts'
import { dieAt, type LoadPoint, RELOAD_STEPS, upgraded } from '../failpoints/points.ts'
import { IN_FLIGHT, onTrial, type Trial, type Verdict } from './trial.ts'

export interface FailpointOptions {
  /** An empty folder. */
  dir: string
  seed: number
  /** Taken in turns. */
  points: readonly LoadPoint[]
  /** At each of them. */
  kills: number
  /** Events per second; 300 without it. */
  rate?: number
  /** Another store than a SQLite file. */
  on?: ReturnType<typeof onPostgres>
}

export interface FailpointReport extends Verdict {
  seed: number
  kills: number
  /** As many sends may have been open at all kills together. */
  allowed: number
}

const RATE = 300
/** A point that is not passed within this is no point. */
const DEAD_WITHIN_MS = 30_000
/** The highest number of passes before the end: about half a second of load, or as often as a point is passed at all. */
const PASSES: Record<LoadPoint, number> = {
  body_read: 150, before_commit: 50, before_answer: 150, in_group: 150, after_claim: 30, before_send: 100, before_outcome: 100, in_migration: 5, in_reload: RELOAD_STEPS
}

export async function killAtPoints ({ dir, seed, points, kills, rate = RATE, on }: FailpointOptions): Promise<FailpointReport> {
  let allowed = 0
  const verdict = await onTrial({ dir, seed, rate, ...on }, async trial => {
    const round = new Round(trial, rate / RATE)
    await trial.gateway.kill('SIGKILL')
    for (let i = 0; i < kills; i++) for (const point of points) await round.kill(point)
    await trial.gateway.restart(round.release)
    allowed = round.kills * IN_FLIGHT
  })
  return { ...verdict, seed, kills: kills * points.length, allowed }
}

/** One gateway that dies at one point after another; it is dead before each and after each. */
class Round {
  /** Every kill, those that make way for the next one too. */
  kills = 1
  #trial: Trial
  #share: number
  #upgrades = 0
  #shops = 0

  /** `share` of the usual load: what it brings is passed so much less often. */
  constructor (trial: Trial, share: number) {
    this.#trial = trial
    this.#share = share
  }

  /** What has been migrated stays so. */
  get release (): ReturnType<typeof upgraded> { return upgraded(this.#upgrades) }

  async kill (point: LoadPoint): Promise<void> {
    this.kills++
    if (point === 'in_migration') await this.#upgrade()
    else if (point === 'in_reload') await this.#reload()
    else {
      await this.#start(point)
      await this.#died(point)
    }
  }

  async #start (point: LoadPoint): Promise<void> {
    const most = point === 'in_migration' || point === 'in_reload' ? PASSES[point] : PASSES[point] * this.#share
    const death = dieAt(point, 1 + Math.floor(this.#trial.random() * most))
    await this.#trial.gateway.restart({ ...death, env: { ...this.release.env, ...death.env } })
  }

  async #died (point: LoadPoint): Promise<void> {
    const { gateway } = this.#trial
    const enough = new AbortController()
    const exit = await Promise.race([gateway.exited, wait(DEAD_WITHIN_MS, null, { signal: enough.signal, ref: false }).catch(() => null)])
    enough.abort()
    if (exit?.signal !== 'SIGKILL') throw new Error(`${point} was not passed: ${JSON.stringify(exit)}\n${gateway.lines.join('\n')}`)
  }

  /** A release with one migration more is started on what the one before it left, and dies half way; then it works for a while. */
  async #upgrade (): Promise<void> {
    const { gateway, random } = this.#trial
    this.#upgrades++
    const ended = await this.#start('in_migration').then(() => 'it is up', (error: Error) => error.message)
    if (!ended.includes('SIGKILL')) throw new Error(`the migration was not passed: ${ended}`)
    await gateway.restart(this.release)
    await wait(300 + 300 * random())
    await gateway.kill('SIGKILL')
    this.kills++
  }

  /** The config has a shop more. Whatever came of the reload that was cut, the next start has it. */
  async #reload (): Promise<void> {
    const { gateway, world, addressed, random } = this.#trial
    await this.#start('in_reload')
    await wait(300 * random())
    const shop = { id: `more-${++this.#shops}.example`, provider: 'repeat', account: 'repeat' } as const
    world.shops = [...world.shops, shop]
    writeConfig(world)
    process.kill(gateway.pid, 'SIGHUP')
    await this.#died('in_reload')
    addressed.push({ id: shop.id, policy: shop.provider })
  }
}
