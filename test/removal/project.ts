// A copy of the project without one of its providers: the folder gone, and what the config says of it.

import { cpSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { configWithout, foldersOf } from '../helpers/shipped.ts'
import { ROOT } from '../helpers/sources.ts'

/** Not copied: what is made here, and what was sent. */
const LEFT = new Set(['.git', '.tap', '.setup.lock', 'node_modules', 'data'])

/**
 * Copies the project into an empty folder, without the provider. Its node_modules is a link to the project's own:
 * never run npm, or gateway/bootstrap.mjs, in there.
 */
export function projectWithout (id: string, dir: string): void {
  cpSync(ROOT, dir, { recursive: true, filter: source => !LEFT.has(relative(ROOT, source)) })
  symlinkSync(realpathSync(join(ROOT, 'node_modules')), join(dir, 'node_modules'))
  for (const folder of foldersOf(id)) rmSync(join(dir, folder), { recursive: true, force: true })
  const file = join(dir, 'gateway.config.yaml')
  writeFileSync(file, configWithout(id, readFileSync(file, 'utf8')))
}

/** The environment of a program in there: nothing of the runner that may have started this one, nor of this machine's that the gateway minds. */
export function environmentThere (): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(_?TAP|NODE_OPTIONS$|NODE_V8_COVERAGE$|GATEWAY_|SANDBOX_|PORT$|HOST$|LOG_LEVEL$)/.test(name)))
}
