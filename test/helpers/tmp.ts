// Folders that a test makes for itself and leaves nothing of.

import { accessSync, constants, mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exists } from './postgres-processes.ts'

/** What of a test is needed to clean up after it. */
export interface Teardown { teardown (clean: () => unknown): void }

const MEMORY = '/dev/shm'
const ENOUGH_BYTES = 4 * 1024 ** 3
const PREFIX = 'gateway-test-'

/**
 * Where tests keep what they need for seconds. In memory where there is plenty: each commit waits for its file to be on
 * disk, and a suite of them would mostly wait. What disks do and fail to do is tested on disks of the test's own.
 */
export const SCRATCH = process.env.TMPDIR === undefined && hasRoomInMemory() ? MEMORY : tmpdir()

function hasRoomInMemory (): boolean {
  try {
    accessSync(MEMORY, constants.W_OK)
    const { bavail, bsize } = statfsSync(MEMORY)
    return bavail * bsize >= ENOUGH_BYTES
  } catch {
    return false
  }
}

let swept = false

/** A new empty folder, removed when the test ends. */
export function tempDir (t: Teardown): string {
  if (!swept) sweep()
  const path = mkdtempSync(join(SCRATCH, `${PREFIX}${process.pid}-`))
  t.teardown(() => { rmSync(path, { recursive: true, force: true }) })
  return path
}

/** Memory is not to be filled by what killed processes left. */
function sweep (): void {
  swept = true
  for (const name of readdirSync(SCRATCH)) {
    const [, pid] = new RegExp(`^${PREFIX}(\\d+)-`).exec(name) ?? []
    if (pid !== undefined && !exists(Number(pid))) rmSync(join(SCRATCH, name), { recursive: true, force: true })
  }
}
