import { dirname, resolve } from 'node:path'
import type { ApiKeyConfig, Config, ConnectionConfig, EventTypeConfig, ProviderConfig, Scope, Secret, ShopConfig, Window } from '../contract.ts'
import { below, pointer } from './pointer.ts'
import { providerPath } from './semantics.ts'
import type { Source } from './source.ts'
import { durationMs } from './units.ts'

/** The file's value after the schema and its defaults: what YAML calls the members of Config. */
export interface Written {
  server: { host: string, port: number, trust_proxy: string[] }
  log: Config['log']
  store: Config['store']
  sandbox: Config['sandbox']
  security: { encryption_keys: Array<{ id: string }>, api_keys: Array<{ id: string, scopes: Scope[], shops: string[] | '*' }> }
  plans: Record<string, string[]>
  shop_id_pattern: string
  channels: Record<string, { default_provider: string | null }>
  event_types: Record<string, WrittenType>
  providers: Record<string, WrittenProvider>
  delivery: { request_deadline: string, retry_schedule: string[] }
  retention: { identity: string, payload: string }
  shops: WrittenShop[]
}

interface WrittenType { schema: string, channel: string, setup_group: string, kind: EventTypeConfig['kind'], expires_after: string, person: string | null }
interface WrittenProvider { path?: string, coming_soon: boolean, base_url: string | null, concurrency: number | null, limits: Record<string, Array<{ max: number, per: string }>> }
interface WrittenConnection { provider: string, auth: string | null, secrets: Record<string, unknown>, account_id: string | null, settings: Record<string, unknown>, ready: string[] }
interface WrittenShop { id: string, name: string, domain: string, plan: string, sandbox: boolean, channels: Record<string, string>, connections: WrittenConnection[] }

/** Secrets by the pointer of their declaration. */
type Secrets = ReadonlyMap<string, Secret>

/** The frozen Config of a file without faults. Shops of the sandbox are left out where it is off. */
export function buildConfig (file: Source, written: Written, secrets: Secrets): Config {
  const { server, log, store, sandbox, plans, delivery, retention } = written
  return deepFreeze({
    file: file.path,
    server: { host: server.host, port: server.port, trustProxy: server.trust_proxy },
    log: { level: log.level },
    store: { driver: store.driver, path: resolve(dirname(file.path), store.path) },
    sandbox: { enabled: sandbox.enabled, port: sandbox.port, url: sandbox.url },
    security: buildSecurity(written, secrets),
    plans,
    shopIdPattern: written.shop_id_pattern,
    channels: mapValues(written.channels, channel => ({ defaultProvider: channel.default_provider })),
    eventTypes: Object.fromEntries(Object.entries(written.event_types).map(([type, value]) => [type, buildType(file, type, value)])),
    providers: Object.entries(written.providers).map(([id, value]) => buildProvider(file, id, value)),
    shops: buildShops(written, secrets),
    delivery: { requestDeadlineMs: durationMs(delivery.request_deadline), retryScheduleMs: delivery.retry_schedule.map(durationMs) },
    retention: { identityMs: durationMs(retention.identity), payloadMs: durationMs(retention.payload) }
  })
}

function buildSecurity ({ security }: Written, secrets: Secrets): Config['security'] {
  return {
    encryptionKeys: security.encryption_keys.map(({ id }, i) => ({ id, key: secretAt(secrets, pointer('security', 'encryption_keys', i)) })),
    personKey: secretAt(secrets, pointer('security', 'person_key')),
    apiKeys: security.api_keys.map(({ id, scopes, shops }, i): ApiKeyConfig => ({ id, key: secretAt(secrets, pointer('security', 'api_keys', i)), scopes, shops }))
  }
}

function buildType (file: Source, type: string, value: WrittenType): EventTypeConfig {
  return {
    type,
    schema: resolve(dirname(file.path), value.schema),
    channel: value.channel,
    setupGroup: value.setup_group,
    kind: value.kind,
    expiresAfterMs: durationMs(value.expires_after),
    person: value.person
  }
}

function buildProvider (file: Source, id: string, value: WrittenProvider): ProviderConfig {
  return {
    id,
    path: providerPath(file, id, value.path ?? null),
    comingSoon: value.coming_soon,
    baseUrl: value.base_url,
    concurrency: value.concurrency,
    limits: mapValues(value.limits, windows => windows.map(({ max, per }): Window => ({ max, perMs: durationMs(per) })))
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
    secrets: Object.fromEntries(Object.keys(value.secrets).map(field => [field, secretAt(secrets, below(at, field))])),
    accountId: value.account_id,
    settings: value.settings,
    ready: value.ready
  }
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
