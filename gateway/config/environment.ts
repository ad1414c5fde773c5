import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import type { Environment } from './substitute.ts'

/**
 * The process's environment, and under it what a `.env` file of the folder says. The file never overrides
 * the environment, and is not read where NODE_ENV is production.
 */
export function readEnvironment (cwd: string, env: Environment = process.env): Environment {
  if (env['NODE_ENV'] === 'production') return { ...env }
  return { ...dotEnv(join(cwd, '.env')), ...env }
}

function dotEnv (path: string): Environment {
  try {
    return parseEnv(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw error
  }
}
