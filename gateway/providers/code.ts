// The code beside a manifest, imported from the resolved folder and from nowhere else.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { GatewayError } from '../errors.ts'
import type { ProviderCode, SandboxPlugin } from '../contract.ts'
import { within } from './manifest.ts'

/** The default export of index.ts, an empty one where there is no index.ts, or why it cannot be used. */
export async function providerCode (id: string, dir: string): Promise<{ code: ProviderCode } | { problem: string, id?: string }> {
  if (!existsSync(join(dir, 'index.ts'))) return { code: { id } }
  const found = await defaultExport(dir, 'index.ts')
  if ('problem' in found) return found
  const code = found.value
  if (!isCode(code)) return { problem: 'index.ts has no default export made by defineProvider' }
  return code.id === id ? { code } : { problem: `index.ts says it is "${code.id}"`, id: code.id }
}

/** The default export of sandbox.ts, or null where there is no sandbox.ts. Throws GW_PROVIDER_CODE where it cannot be used. */
export async function sandboxCode (dir: string): Promise<SandboxPlugin | null> {
  if (!existsSync(join(dir, 'sandbox.ts'))) return null
  const found = await defaultExport(dir, 'sandbox.ts')
  if ('problem' in found) throw new GatewayError('GW_PROVIDER_CODE', `${dir}: ${found.problem}`)
  if (typeof found.value !== 'function') throw new GatewayError('GW_PROVIDER_CODE', `${dir}: sandbox.ts has no function as its default export`)
  return found.value as SandboxPlugin
}

async function defaultExport (dir: string, name: string): Promise<{ value: unknown } | { problem: string }> {
  const path = within(dir, name)
  if (path === null) return { problem: `${name} lies outside the provider's folder` }
  try {
    const module = await import(pathToFileURL(path).href) as { default?: unknown }
    return { value: module.default }
  } catch (error) {
    return { problem: `${name} does not load: ${error instanceof Error ? error.message : String(error)}` }
  }
}

function isCode (value: unknown): value is ProviderCode {
  if (value === null || typeof value !== 'object') return false
  const { id, check, reconcile, routes, understand, reported, secrets = [], tasks = {} } = value as Record<string, unknown>
  return typeof id === 'string' && Array.isArray(secrets) && tasks !== null && typeof tasks === 'object' && [check, reconcile, routes, understand, reported].every(hook => hook === undefined || typeof hook === 'function')
}
