// A disk of its own for a test, that fills up on order. Needs root.

import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { exists } from './postgres-processes.ts'
import { SCRATCH, type Teardown } from './tmp.ts'

const MIB = 1024 * 1024
/** None of the folders that any test sweeps: a disk must be unmounted first. */
const PREFIX = 'gateway-disk-'

export interface SmallDisk {
  dir: string
  /** Not a byte is left. */
  fill (): void
  /** What filled it is gone. */
  clear (): void
}

/** Gone when the test ends. */
export function smallDisk (t: Teardown, mib = 32): SmallDisk {
  sweep()
  const dir = mkdtempSync(join(SCRATCH, `${PREFIX}${process.pid}-`))
  t.teardown(() => { remove(dir) })
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'tmpfs', dir], { encoding: 'utf8' })
  if (mounted.status !== 0) throw new Error(`no disk: ${mounted.stderr}`)
  const filler = join(dir, 'filler')
  return {
    dir,
    fill () {
      const file = openSync(filler, 'a')
      try {
        for (let bytes = MIB; bytes >= 1; bytes = Math.floor(bytes / 2)) writeAll(file, Buffer.alloc(bytes))
      } finally {
        closeSync(file)
      }
    },
    clear () { rmSync(filler, { force: true }) }
  }
}

/** Those of processes that were killed. */
function sweep (): void {
  for (const name of readdirSync(SCRATCH)) {
    const [, pid] = new RegExp(`^${PREFIX}(\\d+)-`).exec(name) ?? []
    if (pid !== undefined && !exists(Number(pid))) remove(join(SCRATCH, name))
  }
}

function remove (dir: string): void {
  spawnSync('umount', ['-l', dir])
  rmSync(dir, { recursive: true, force: true })
}

/** Again and again, until there is no room for it. */
function writeAll (file: number, bytes: Buffer): void {
  try {
    while (writeSync(file, bytes) > 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
