// What the machine says: how late the event loop runs, how much memory the process has, what is free on the store's disk.

import { statfs } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const SAMPLE_MS = 500
const DISK_MS = 1000
const RESOLUTION_MS = 10
/** What was stopped goes on when so much more than the mark is free: it does not flutter around it. */
const RESUME_FACTOR = 1.25

/** Free bytes of the disk that a folder is on. */
export type FreeBytes = (folder: string) => Promise<number>

export interface PressureOptions {
  /** The folder of the embedded store, and what must be free there; null where the store has a disk of its own. */
  disk: { folder: string, intakeFreeBytes: number, sendFreeBytes: number } | null
  /** Told when intake or sending stops or goes on for the disk's sake. */
  onDisk (change: { freeBytes: number, intake: boolean, sends: boolean }): void
  onError (error: unknown): void
  freeBytes?: FreeBytes
}

export class Pressure {
  /** Mean over the last half second. */
  loopDelayMs = 0
  memoryBytes = 0
  /** Null where no disk is watched. */
  diskFreeBytes: number | null = null
  intakePaused = false
  sendsPaused = false
  #o: PressureOptions
  #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  #sampling: NodeJS.Timeout | null = null
  #looking: NodeJS.Timeout | null = null
  #stopped = false

  constructor (options: PressureOptions) { this.#o = options }

  /** Knows the disk when it answers. */
  async start (): Promise<void> {
    this.#histogram.enable()
    this.#sampling = setInterval(() => { this.#sample() }, SAMPLE_MS)
    await this.look()
    this.#later()
  }

  stop (): void {
    this.#stopped = true
    this.#histogram.disable()
    if (this.#sampling) clearInterval(this.#sampling)
    if (this.#looking) clearTimeout(this.#looking)
  }

  /** Asks for the free space now. What cannot be asked changes nothing. */
  async look (): Promise<void> {
    const { disk, freeBytes = freeOf, onDisk, onError } = this.#o
    if (disk === null) return
    try {
      const free = this.diskFreeBytes = await freeBytes(disk.folder)
      const intake = short(free, disk.intakeFreeBytes, this.intakePaused)
      const sends = short(free, disk.sendFreeBytes, this.sendsPaused)
      if (intake === this.intakePaused && sends === this.sendsPaused) return
      this.intakePaused = intake
      this.sendsPaused = sends
      onDisk({ freeBytes: free, intake: !intake, sends: !sends })
    } catch (error) {
      onError(error)
    }
  }

  #later (): void {
    if (!this.#stopped) this.#looking = setTimeout(() => { void this.look().finally(() => { this.#later() }) }, DISK_MS)
  }

  #sample (): void {
    const mean = this.#histogram.mean / 1e6
    // Without a single measurement the loop has not turned in all that time.
    this.loopDelayMs = Number.isNaN(mean) ? SAMPLE_MS : Math.max(0, mean - RESOLUTION_MS)
    this.#histogram.reset()
    this.memoryBytes = process.memoryUsage.rss()
  }
}

function short (free: number, mark: number, paused: boolean): boolean {
  return free < (paused ? mark * RESUME_FACTOR : mark)
}

async function freeOf (folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}
