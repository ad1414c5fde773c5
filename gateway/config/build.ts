import { dirname, resolve } from 'node:path'
import type { ApiKeyConfig, Config, ConnectionConfig, EventTypeConfig, GatewayConnectionConfig, OverloadConfig, ProviderConfig, RecordedTypeConfig, Scope, Secret, ShopConfig, SourceConfig, SqliteConfig, Window } from '../contract.ts'
import { below, pointer } from './pointer.ts'
import { providerPath, sourcePath } from './semantics.ts'
import type { Source } from './source.ts'
import { durationMs } from './units.ts'

const MIB = 1024 * 1024

/** The file's value after the schema and its defaults: what YAML calls the members of Config. */
export interface Written {
  server: { host: string, port: number, trust_proxy: string[], public_url: string | null, overload: { requests: number, body_mib: number, loop_delay: string, memory_mib: number } }
  log: Config['log']
  store: WrittenStore
  sandbox: Config['sandbox']
  security: { encryption_keys: Array<{ id: string }>, api_keys: Array<{ id: string, scopes: Scope[], shops: string[] | '*' }> }
  plans: Record<string, string[]>
  shop_id_pattern: string
  channels: Record<string, { default_provider: string | null, choices: Record<string, string> | null }>
  event_types: Record<string, WrittenType>
  providers: Record<string, WrittenProvider>
  sources: Record<string, WrittenSource>
  delivery: { request_deadline: string, retry_schedule: string[] }
  retention: { identity: string, payload: string }
  shops: WrittenShop[]
}

/** Of the members those of the other driver have their defaults, or are not there. */
interface WrittenStore {
  driver: Config['store']['driver']
  path?: string
  synchronous: SqliteConfig['synchronous']
  allow_data_loss: boolean
  intake_free_mib: number
  send_free_mib: number
  pool: number
  lease: string
}
interface WrittenMessage { channel: string, setup_group: string, kind: EventTypeConfig['kind'], expires_after: string }
type WrittenType = { schema: string, person: string | null } & { [Key in keyof WrittenMessage]: WrittenMessage[Key] | null }
interface WrittenProvider {
  path?: string
  coming_soon: boolean
  base_url: string | null
  concurrency: number | null
  limits: Record<string, Array<{ max: number, per: string }>>
  options: Record<string, unknown>
  secrets: Record<string, unknown>
  connection: WrittenAccount | null
}
interface WrittenAccount { sandbox: boolean, auth: string | null, secrets: Record<string, unknown>, account_id: string | null }
interface WrittenSource { path?: string, sandbox: boolean, secrets: Record<string, unknown>, options: Record<string, unknown> }
interface WrittenConnection { provider: string, auth: string | null, secrets: Record<string, unknown>, account_id: string | null, settings: Record<string, unknown>, ready: string[] }
interface WrittenShop { id: string, name: string, domain: string, plan: string, sandbox: boolean, channels: Record<string, string>, connections: WrittenConnection[] }

/** Secrets by the pointer of their declaration. */
type Secrets = ReadonlyMap<string, Secret>

/** The frozen Config of a file without faults. Shops of the sandbox are left out where it is off. */
export function buildConfig (file: Source, written: Written, secrets: Secrets): Config {
  const { server, log, store, sandbox, plans, delivery, retention } = written
  return deepFreeze({
    file: file.path,
    server: { host: server.host, port: server.port, trustProxy: server.trust_proxy, publicUrl: publicUrl(written), overload: buildOverload(written) },
    log: { level: log.level },
    store: buildStore(file, store, secrets),
    sandbox: { enabled: sandbox.enabled, port: sandbox.port, url: sandbox.url },
    security: buildSecurity(written, secrets),
    plans,
    shopIdPattern: written.shop_id_pattern,
    channels: mapValues(written.channels, channel => ({ defaultProvider: channel.default_provider, choices: channel.choices })),
    ...buildTypes(file, written),
    providers: Object.entries(written.providers).map(([id, value]) => buildProvider(file, id, value, written, secrets)),
    sources: Object.entries(written.sources).map(([id, value]) => buildSource(file, id, value, written, secrets)),
    shops: buildShops(written, secrets),
    delivery: { requestDeadlineMs: durationMs(delivery.request_deadline), retryScheduleMs: delivery.retry_schedule.map(durationMs) },
    retention: { identityMs: durationMs(retention.identity), payloadMs: durationMs(retention.payload) }
  })
}

function buildStore (file: Source, { driver, path = '', allow_data_loss: allowDataLoss, ...store }: WrittenStore, secrets: Secrets): Config['store'] {
  if (driver === 'postgres') return { driver, url: secretAt(secrets, pointer('store', 'url')), pool: store.pool, leaseMs: durationMs(store.lease), allowDataLoss }
  return {
    driver,
    path: resolve(dirname(file.path), path),
    synchronous: store.synchronous,
    allowDataLoss,
    intakeFreeBytes: store.intake_free_mib * MIB,
    sendFreeBytes: store.send_free_mib * MIB
  }
}

function buildSecurity ({ security }: Written, secrets: Secrets): Config['security'] {
  return {
    encryptionKeys: security.encryption_keys.map(({ id }, i) => ({ id, key: secretAt(secrets, pointer('security', 'encryption_keys', i)) })),
    personKey: secretAt(secrets, pointer('security', 'person_key')),
    apiKeys: security.api_keys.map(({ id, scopes, shops }, i): ApiKeyConfig => ({ id, key: secretAt(secrets, pointer('security', 'api_keys', i)), scopes, shops }))
  }
}

function buildOverload ({ server: { overload } }: Written): OverloadConfig {
  const { requests, body_mib: bodyMib, loop_delay: loopDelay, memory_mib: memoryMib } = overload
  return { requests, bodyBytes: bodyMib * MIB, loopDelayMs: durationMs(loopDelay), memoryBytes: memoryMib * MIB }
}

/** Without a slash at the end. In a sandbox of known port nobody but this machine calls back, so that is its address. */
function publicUrl ({ server, sandbox }: Written): string | null {
  if (server.public_url !== null) return server.public_url.replace(/\/+$/, '')
  return sandbox.enabled && server.port !== 0 ? `http://127.0.0.1:${server.port}` : null
}

/** Types that make a message say how it goes; the others have nothing to say. */
function buildTypes (file: Source, { event_types: types }: Written): Pick<Config, 'eventTypes' | 'recordedTypes'> {
  const eventTypes: Config['eventTypes'] = {}
  const recordedTypes: Config['recordedTypes'] = {}
  for (const [type, value] of Object.entries(types)) {
    const recorded: RecordedTypeConfig = { type, schema: resolve(dirname(file.path), value.schema), person: value.person }
    if (isMessage(value)) eventTypes[type] = { ...recorded, channel: value.channel, setupGroup: value.setup_group, kind: value.kind, expiresAfterMs: durationMs(value.expires_after) }
    else recordedTypes[type] = recorded
  }
  return { eventTypes, recordedTypes }
}

function isMessage (value: WrittenType): value is WrittenType & WrittenMessage {
  return value.channel !== null
}

function buildProvider (file: Source, id: string, value: WrittenProvider, { sandbox }: Written, secrets: Secrets): ProviderConfig {
  const at = pointer('providers', id)
  const { connection } = value
  const played = connection?.sandbox === true && !sandbox.enabled
  return {
    id,
    path: providerPath(file, id, value.path ?? null),
    comingSoon: value.coming_soon || played,
    baseUrl: value.base_url,
    concurrency: value.concurrency,
    limits: mapValues(value.limits, windows => windows.map(({ max, per }): Window => ({ max, perMs: durationMs(per) }))),
    options: value.options,
    secrets: buildRotations(thereOf(value.secrets, sandbox.enabled), below(at, 'secrets'), secrets),
    connection: connection === null || played ? null : buildAccount(connection, below(below(at, 'connection'), 'secrets'), secrets)
  }
}

function buildAccount (value: WrittenAccount, at: string, secrets: Secrets): GatewayConnectionConfig {
  return { auth: value.auth, secrets: buildSecrets(value.secrets, at, secrets), accountId: value.account_id }
}

function buildSource (file: Source, id: string, value: WrittenSource, { sandbox }: Written, secrets: Secrets): SourceConfig {
  const off = value.sandbox && !sandbox.enabled
  return {
    id,
    off,
    path: sourcePath(file, id, value.path ?? null),
    secrets: off ? {} : buildRotations(value.secrets, pointer('sources', id, 'secrets'), secrets),
    options: value.options
  }
}

function buildShops ({ shops, sandbox }: Written, secrets: Secrets): ShopConfig[] {
  return shops.flatMap((shop, i): ShopConfig[] => {
    if (shop.sandbox && !sandbox.enabled) return []
    const { id, name, domain, plan, channels } = shop
    const connections = shop.connections.map((connection, j) => buildConnection(connection, pointer('shops', i, 'connections', j, 'secrets'), secrets))
    return [{ id, name, domain, plan, channels, connections, sandbox: shop.sandbox }]
  })
}

function buildConnection (value: WrittenConnection, at: string, secrets: Secrets): ConnectionConfig {
  return {
    provider: value.provider,
    auth: value.auth,
    secrets: buildSecrets(value.secrets, at, secrets),
    accountId: value.account_id,
    settings: value.settings,
    ready: value.ready
  }
}

function buildSecrets (written: Record<string, unknown>, at: string, secrets: Secrets): Record<string, Secret> {
  return Object.fromEntries(Object.keys(written).map(field => [field, secretAt(secrets, below(at, field))]))
}

/** Of each name one secret, or those of a rotation in their order. */
function buildRotations (written: Record<string, unknown>, at: string, secrets: Secrets): Record<string, Secret[]> {
  return Object.fromEntries(Object.entries(written).map(([field, value]) => {
    const place = below(at, field)
    return [field, Array.isArray(value) ? value.map((_, i) => secretAt(secrets, below(place, i))) : [secretAt(secrets, place)]]
  }))
}

/** Without the secrets of the sandbox alone where that is off. */
function thereOf (written: Record<string, unknown>, sandbox: boolean): Record<string, unknown> {
  return sandbox ? written : Object.fromEntries(Object.entries(written).filter(([, value]) => (value as { sandbox?: boolean }).sandbox !== true))
}

function secretAt (secrets: Secrets, at: string): Secret {
  const secret = secrets.get(at)
  if (secret === undefined) throw new Error(`no secret was read for ${at}`)
  return secret
}

function mapValues<A, B> (record: Record<string, A>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]))
}

function deepFreeze<T> (value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const child of Object.values(value)) deepFreeze(child)
  return Object.freeze(value)
}
