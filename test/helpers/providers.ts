// Providers loaded as the gateway loads them, from the shipped folders or from one made in a test.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createFiles } from '../../gateway/config/files.ts'
import { HiddenSecret } from '../../gateway/config/secret.ts'
import { createMapper } from '../../gateway/mapping/mapper.ts'
import { loadProviders } from '../../gateway/providers/load.ts'
import type { Fault, Files, GatewayConnectionConfig, JsonSchema, Provider, ProviderConfig, SourceFile } from '../../gateway/contract.ts'

export const ROOT = join(import.meta.dirname, '..', '..')

/** The event types that the shipped config declares. */
export const EVENT_TYPES: Record<string, JsonSchema> = Object.fromEntries(['back_in_stock.alert', 'back_in_stock.reminder', 'preorder.confirmed', 'waitlist.joined'].map(type =>
  [type, JSON.parse(readFileSync(join(ROOT, 'schemas/events', `${type}.schema.json`), 'utf8')) as JsonSchema]))

export function files (): Files {
  return createFiles({ cwd: ROOT, env: {} })
}

/** A config's entry for a folder, relative to the project or absolute. */
export function entry (id: string, path: string, more: Partial<ProviderConfig> = {}): ProviderConfig {
  return { id, path: join(path.startsWith('/') ? '' : ROOT, path), comingSoon: false, baseUrl: null, concurrency: null, limits: {}, options: {}, secrets: {}, connection: null, ...more }
}

interface Declared { path?: string, options?: Record<string, unknown>, secrets?: object, connection?: { auth?: string, account_id?: string, secrets: object } }

/** The folders that gateway.config.yaml declares, with the platform's own accounts and secrets, which are made up. */
export function declared (): ProviderConfig[] {
  const { providers } = shippedConfig().value as { providers: Record<string, Declared> }
  return Object.entries(providers).map(([id, { path = `plugins/${id}`, options = {}, secrets = {}, connection }]) =>
    entry(id, path, { options, secrets: Object.fromEntries(Object.keys(secrets).map(name => [name, [madeUp()]])), connection: connection ? account(connection) : null }))
}

function account ({ auth, account_id: accountId, secrets }: NonNullable<Declared['connection']>): GatewayConnectionConfig {
  return { auth: auth ?? null, accountId: accountId ?? null, secrets: Object.fromEntries(Object.keys(secrets).map(field => [field, madeUp()])) }
}

const madeUp = (): HiddenSecret => new HiddenSecret('made-up-0123456789', null)

export function shippedConfig (): SourceFile {
  return readFile(join(ROOT, 'gateway.config.yaml'))
}

function readFile (path: string): SourceFile {
  const { file } = files().read(path, { substitute: true })
  if (file === null) throw new Error(`cannot read ${path}`)
  return file
}

/** Loads entries; `from` is the config that names them. */
export function load (configs: ProviderConfig[], { sandboxUrl = null, publicUrl = null, from = shippedConfig(), eventTypes = EVENT_TYPES }: { sandboxUrl?: string | null, publicUrl?: string | null, from?: SourceFile, eventTypes?: Record<string, JsonSchema> } = {}): Promise<{ providers: Map<string, Provider>, faults: Fault[] }> {
  return loadProviders({ configs, eventTypes, files: files(), mapper: createMapper(), from, sandboxUrl, publicUrl })
}

/** Loads one provider, which must be in order. */
export async function loadOne (config: ProviderConfig, sandboxUrl: string | null = null): Promise<Provider> {
  const { providers, faults } = await load([config], { sandboxUrl })
  const provider = providers.get(config.id)
  if (provider === undefined) throw new Error(faults.map(({ place, message }) => `${place.file}:${place.line}:${place.column} ${message}`).join('\n'))
  return provider
}

/** Writes files of a folder: name to text. */
export function writeFolder (dir: string, texts: Record<string, string>): string {
  for (const [name, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), text)
  }
  return dir
}
