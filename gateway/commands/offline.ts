// What the commands share that work on the files alone.

import type { Config } from '../contract.ts'
import { nearest, type Code } from '../errors.ts'
import { loadSound, type Loaded } from '../load.ts'
import type { Call } from './command.ts'
import { Problem } from './problem.ts'

/** All that the config names. Makes no file. Throws FaultsFound. */
export function load (call: Call, sandbox: boolean | null = null): Promise<Loaded> {
  const { file, io: { cwd, env } } = call
  return loadSound({ file, cwd, env, createSecrets: false, sandbox, sandboxUrl: sandboxOf })
}

/** The member of that name. Throws `code` with what was most likely meant, or with all there is. */
export function pick<T> (what: string, name: string, members: ReadonlyMap<string, T>, code: Code): T {
  const found = members.get(name)
  if (found !== undefined) return found
  const near = nearest(name, members.keys())
  const fix = near === null ? `There is: ${[...members.keys()].join(', ') || 'none'}.` : `Did you mean "${near}"?`
  throw new Problem({ code, message: `There is no ${what} "${name}"`, fix })
}

function sandboxOf ({ sandbox }: Config): string | null {
  if (!sandbox.enabled) return null
  return sandbox.url ?? `http://127.0.0.1:${sandbox.port}`
}
