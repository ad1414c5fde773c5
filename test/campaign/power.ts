// R3: the power is cut under load, again and again, on a file system that then has lost what was not synced.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { careless } from '../failpoints/points.ts'
import { PowerDisk } from '../helpers/power-disk.ts'
import { IN_FLIGHT, onTrial, type Verdict } from './trial.ts'

export interface PowerOptions {
  /** An empty folder, on a disk that keeps its power: the client's and the provider's files. */
  dir: string
  seed: number
  cuts: number
  /** The gateway does not sync, and the cut must be seen to lose something. */
  careless?: boolean
}

export interface PowerReport extends Verdict {
  seed: number
  cuts: number
  allowed: number
}

const RATE = 400
const EVENTS_PER_CUT = 400

export async function cutPower ({ dir, seed, cuts, careless: unsafe = false }: PowerOptions): Promise<PowerReport> {
  const disk = new PowerDisk()
  try {
    const dataDir = join(disk.path, 'data')
    mkdirSync(dataDir)
    const verdict = await onTrial({ dir, seed, rate: RATE, dataDir, ...(unsafe && { start: careless() }) }, async ({ gateway, load, random }) => {
      for (let i = 0; i < cuts; i++) {
        const enough = load.accepted.length + EVENTS_PER_CUT * 0.75 + EVENTS_PER_CUT * 0.5 * random()
        while (load.accepted.length < enough) await wait(5)
        // Whoever has no power answers nothing any more: a process that outlives its disk is told by this kernel, once in
        // some thirty cuts, that its last fsync went well. In one half of the cuts it is stopped in the middle of a call.
        if (random() < 0.5) await gateway.kill('SIGKILL')
        else process.kill(gateway.pid, 'SIGSTOP')
        disk.cut()
        await gateway.kill('SIGKILL')
        disk.restore()
        if (unsafe) rmSync(join(dataDir, 'gateway.db.in-use'), { force: true }) // by which the gateway would see the loss, and not start
        await gateway.restart()
      }
    })
    return { ...verdict, seed, cuts, allowed: cuts * IN_FLIGHT }
  } finally {
    disk.remove()
  }
}
