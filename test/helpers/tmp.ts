// Folders that a test makes for itself and leaves nothing of.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What of a test is needed to clean up after it. */
export interface Teardown { teardown (clean: () => unknown): void }

/** A new empty folder, removed when the test ends. */
export function tempDir (t: Teardown): string {
  const path = mkdtempSync(join(tmpdir(), 'gateway-test-'))
  t.teardown(() => { rmSync(path, { recursive: true, force: true }) })
  return path
}
