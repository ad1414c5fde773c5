import { dirname, resolve } from 'node:path'
import type { Fault, Files, Secret } from '../contract.ts'
import { CODES } from '../errors.ts'
import type { Cursor } from './cursor.ts'
import { isReadableByOthers, makeSecretFile } from './secret-file.ts'
import { HiddenSecret, secretFault, UnmadeSecret, type SecretUse } from './secret.ts'
import type { Source } from './source.ts'
import type { Environment } from './substitute.ts'

/** A place of the config where a secret is declared. */
export interface Declared { at: Cursor, use: SecretUse }

/** Secrets by the pointer of their declaration. `unmade`: declared to be generated, and not there yet. */
export interface Secrets { found: Map<string, Secret>, unmade: Declared[] }

/** Keys of a declaration whose values may be shown. */
const PUBLIC = new Set(['id', 'env', 'file', 'generate', 'prefix', 'sandbox', 'scopes', 'shops'])

/** Every declaration of a secret; those of the sandbox's shops, accounts and sources only where there is a sandbox. */
export function declaredSecrets (root: Cursor, sandbox: boolean): Declared[] {
  const security = root.get('security')
  const isThere = (at: Cursor): boolean => sandbox || at.get('sandbox').value !== true
  const shops = root.get('shops').items().filter(isThere)
  const folders = ['providers', 'sources'].flatMap(section => root.get(section).entries()).map(([, folder]) => folder)
  return [
    ...security.get('encryption_keys').items().map(at => ({ at, use: 'encryption_key' as const })),
    { at: security.get('person_key'), use: 'person_key' },
    { at: root.get('store', 'url'), use: 'database' },
    ...security.get('api_keys').items().map(at => ({ at, use: 'api_key' as const })),
    ...folders.filter(isThere).flatMap(folder => folder.get('secrets').entries()).flatMap(([, at]) => Array.isArray(at.value) ? at.items() : [at]).filter(isThere)
      .map(at => ({ at, use: 'webhook' as const })),
    ...[...folders.map(folder => folder.get('connection')).filter(isThere), ...shops.flatMap(shop => shop.get('connections').items())]
      .flatMap(connection => connection.get('secrets').entries())
      .map(([, at]) => ({ at, use: 'provider' as const }))
  ]
}

/** Every place that holds secrets by name. */
function secretTables (root: Cursor): Cursor[] {
  const folders = ['providers', 'sources'].flatMap(section => root.get(section).entries()).map(([, folder]) => folder)
  const connections = root.get('shops').items().flatMap(shop => shop.get('connections').items())
  return [...folders, ...folders.map(folder => folder.get('connection')), ...connections].map(at => at.get('secrets'))
}

/** Where a secret may have been written out: no fault of the file shows it, whatever the fault is about. */
export function hideLiterals (file: Source, root: Cursor): void {
  for (const table of secretTables(root)) if (isLiteral(table) || Array.isArray(table.value)) file.hide(table.pointer)
  const declared = declaredSecrets(root, true)
  for (const { at } of declared) {
    if (isLiteral(at)) file.hide(at.pointer)
    for (const [key, child] of at.entries()) if (!PUBLIC.has(key) || child.keys().length > 0) file.hide(child.pointer)
  }
}

/** Secrets that are written in the file itself. */
export function literalFaults (file: Source, declared: Declared[]): Fault[] {
  return declared.filter(({ at }) => isLiteral(at))
    .map(({ at }) => file.fault('GW_CONFIG_SECRET', at.pointer, 'a secret is never written here', 'Write { env: NAME } or { file: path } instead.'))
}

/** Reads what is declared: the file where it exists, else the environment. Two API keys must differ. */
export function readSecrets (file: Source, files: Files, env: Environment, declared: Declared[]): Secrets & { faults: Fault[] } {
  const result: Secrets & { faults: Fault[] } = { found: new Map(), unmade: [], faults: [] }
  const apiKeys = new Set<string>()
  for (const one of declared) {
    const read = readSecret(file, files, env, one)
    result.faults.push(...read.faults)
    if (read.unmade) result.unmade.push(one)
    if (read.text === null || read.faults.length > 0) continue
    if (one.use === 'api_key' && apiKeys.has(read.text)) {
      result.faults.push(file.fault('GW_CONFIG_DUPLICATE', one.at.pointer, 'another caller has the same API key', 'Give each caller a key of its own.'))
    }
    if (one.use === 'api_key') apiKeys.add(read.text)
    result.found.set(one.at.pointer, new HiddenSecret(read.text, read.from))
  }
  return result
}

/** Makes the files of the secrets that are declared to be generated, and reads them. */
export function makeSecrets (file: Source, files: Files, unmade: Declared[]): Secrets & { faults: Fault[] } {
  const faults: Fault[] = []
  for (const { at } of unmade) {
    const path = pathOf(file, at)
    try {
      makeSecretFile(path, at.get('prefix').text() ?? '')
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      faults.push(file.fault('GW_FILE_UNREADABLE', at.get('file').pointer, `the secret's file cannot be made: ${why}`, 'Let the gateway\'s user write there, or make the file yourself.'))
    }
  }
  return faults.length > 0 ? { found: new Map(), unmade: [], faults } : readSecrets(file, files, {}, unmade)
}

/** Stands for a secret that is made at the next start. */
export function unmadeSecret (file: Source, { at }: Declared): Secret {
  return new UnmadeSecret(pathOf(file, at))
}

interface Read { text: string | null, from: string | null, unmade: boolean, faults: Fault[] }

function readSecret (file: Source, files: Files, env: Environment, { at, use }: Declared): Read {
  const nothing: Read = { text: null, from: null, unmade: false, faults: [] }
  const [path, name] = [at.get('file'), at.get('env')]
  if (file.isUnresolved(path.pointer) || file.isUnresolved(name.pointer)) return nothing
  if (path.text() !== null) {
    const { text, faults } = files.text(path.text()!, { file, pointer: path.pointer })
    if (text !== null) return accept(file, path, text, use)
    const missing = faults[0]!.code === 'GW_FILE_MISSING'
    if (!missing || (name.text() === null && at.get('generate').value !== true)) return { ...nothing, faults }
  }
  const value = name.text() === null ? undefined : env[name.text()!]
  if (value !== undefined && value !== '') return accept(file, name, value, use)
  if (path.text() !== null && at.get('generate').value === true) return { ...nothing, unmade: true }
  if (name.text() === null) return nothing
  const message = `the environment variable ${name.text()} is not set`
  return { ...nothing, faults: [file.fault('GW_CONFIG_ENV_UNSET', name.pointer, message, 'Set it to the secret, or give { file: path } instead.')] }
}

function accept (file: Source, from: Cursor, raw: string, use: SecretUse): Read {
  const text = raw.replace(/\r?\n$/, '')
  const why = secretFault(text, use)
  const faults = why === null ? [] : [file.fault('GW_CONFIG_SECRET', from.pointer, why, remedy(use))]
  const path = from.pointer.endsWith('/file') ? resolve(dirname(file.path), from.text()!) : null
  if (use === 'encryption_key' && path !== null && isReadableByOthers(path)) {
    faults.push(file.fault('GW_CONFIG_SECRET', from.pointer, 'others than its owner may read this key', 'Run: chmod 600 on the file.'))
  }
  return { text, from: path, unmade: false, faults }
}

function remedy (use: SecretUse): string {
  if (use === 'provider' || use === 'webhook') return CODES.GW_CONFIG_SECRET.fix
  if (use === 'database') return 'Write it like postgres://user:password@db.example.com:5432/gateway; of the password, each @ : / ? # % as %40 %3A %2F %3F %23 %25.'
  return 'Make one: node -p "crypto.randomBytes(32).toString(\'base64url\')".'
}

function isLiteral (at: Cursor): boolean {
  return ['string', 'number', 'boolean'].includes(typeof at.value)
}

function pathOf (file: Source, at: Cursor): string {
  return resolve(dirname(file.path), at.get('file').text()!)
}
