// node test/removal/run.ts: each provider removed in turn from a copy of the project, and all the rest still passes.
//
//   node test/removal/run.ts              the command line's checks, and the tests that read the shipped config
//   node test/removal/run.ts --all        with every test there is
//   node test/removal/run.ts <id> …       only these providers

import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { shipped } from '../helpers/shipped.ts'
import { environmentThere, projectWithout } from './project.ts'

/** These read the shipped config, or the folders it declares. A folder's own tests read their folder alone. */
const READERS = ['test/{architecture,errors,readme}.test.ts', 'test/cli/shipped.test.ts', 'test/config/load.test.ts', 'test/conformance/provider.test.ts']
/** These must not; so once is enough to see that they do not. */
const OTHERS = ['test/{app,cli,config,providers}/*.test.ts']

/** One program in a copy; its output is shown where it fails. */
function passes (dir: string, name: string, args: readonly string[]): boolean {
  const { status, signal, error, stdout, stderr } = spawnSync(process.execPath, args, { cwd: dir, env: environmentThere(), encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 })
  if (status === 0) return true
  console.log(`NOT OK ${name}: ended with ${error?.message ?? signal ?? status}\n${stdout}${stderr}`)
  return false
}

/** Whether all is well without the provider. `tests` are globs; none means every test there is. */
function staysWhole (id: string, tests: readonly string[]): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'gateway-without-'))
  const startedAt = performance.now()
  try {
    projectWithout(id, dir)
    const tap = [join('node_modules', '.bin', 'tap'), ...new Set(globSync(tests, { cwd: dir }))]
    const ran = ([['validate', ['gateway/cli.ts', 'validate']], ['the mapping cases', ['gateway/cli.ts', 'test']], ['the tests', tap]] as const)
      .map(([name, args]) => passes(dir, `without ${id}: ${name}`, args))
    const ok = ran.every(Boolean)
    console.log(`${ok ? 'ok    ' : 'NOT OK'} without ${id} (${Math.round((performance.now() - startedAt) / 1000)} s)`)
    return ok
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Removes each in turn; the number of those without which something failed. */
export function removeEach (ids: readonly string[], all: boolean): number {
  return ids.filter((id, i) => !staysWhole(id, all ? [] : i === 0 ? [...READERS, ...OTHERS] : READERS)).length
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { all: { type: 'boolean', default: false } } })
  const ids = positionals.length > 0 ? positionals : Object.keys(shipped.providers)
  if (ids.length === 0) throw new Error('no provider is declared')
  process.exitCode = removeEach(ids, values.all) === 0 ? 0 : 1
}
