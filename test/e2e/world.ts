// A small world for a gateway that runs as a process: its configuration, providers made of YAML, shops on their accounts.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Kind, Uncertain, Window } from '../../gateway/contract.ts'
import { type GatewayProcess, startGatewayProcess, type StartChange } from '../helpers/gateway-process.ts'
import type { StandIn } from '../helpers/stand-in.ts'

const ROOT = join(import.meta.dirname, '..', '..')
export const API_KEY = 'gw_test_0123456789abcdefghijklmnopqrst'

export interface WorldProvider { id: string, uncertain: Uncertain, concurrency: number, windows: readonly Window[] }
export interface WorldShop { id: string, provider: string, account: string }
export interface World {
  dir: string
  standIn: StandIn
  providers: readonly WorldProvider[]
  shops: readonly WorldShop[]
  /** More of the config, by its keys, and the environment that needs. */
  more?: { config: Record<string, unknown>, types: Record<string, unknown>, env: Record<string, string> }
  /** The gateway's own folder, with its keys and its SQLite file, where it is not the world's. */
  dataDir?: string
  /** What the config says of the store; else a SQLite file in the data folder. */
  store?: Record<string, unknown>
  /** How its process is started. */
  start?: StartChange
  /** As the config says it; 5s without it. */
  requestDeadline?: string
}

/** What of a world is another way on PostgreSQL. The lease is short, so that the next process takes over soon. */
export function onPostgres (url: string): Pick<World, 'store' | 'start' | 'requestDeadline'> {
  return { store: { driver: 'postgres', url: { env: 'DATABASE_URL' }, lease: '3s' }, start: { env: { DATABASE_URL: url } }, requestDeadline: '1s' }
}

/** Writes the world's files into its folder and starts a gateway in it. */
export async function startWorld (world: World): Promise<GatewayProcess> {
  for (const provider of world.providers) writeProvider(world.dir, provider)
  const config = writeConfig(world)
  return await startGatewayProcess({ config: { file: config }, dataDir: world.dataDir ?? world.dir, ...world.start, env: { TEST_API_KEY: API_KEY, ...world.more?.env, ...world.start?.env } })
}

/** Writes the config as the world says it; a gateway that runs reads it at SIGHUP. Returns its path. */
export function writeConfig (world: World): string {
  const file = join(world.dir, 'gateway.config.yaml')
  writeFileSync(file, JSON.stringify(configOf(world), null, 2))
  return file
}

export function targetOf (gateway: { url: string }): { url: string, apiKey: string } {
  return { url: gateway.url, apiKey: API_KEY }
}

/** JSON is YAML. */
function writeProvider (dir: string, { id, uncertain, concurrency, windows }: WorldProvider): void {
  const path = join(dir, 'providers', id)
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, 'provider.yaml'), JSON.stringify({
    contract: 1,
    id,
    title: id,
    channels: ['sms'],
    base_url: `https://${id}.example`,
    auth: { key: { headers: { authorization: 'Bearer {{ secret.token }}' } } },
    headers: { 'content-type': 'application/json' },
    concurrency,
    limits: { send: { match: ['POST /send'], windows: windows.map(({ max, perMs }) => ({ max, per: `${perMs}ms` })) } },
    requests: { send: { method: 'POST', path: '/send', body: { key: '{{ delivery.key }}', ref: '{{ data.customer.id | default: "" }}', shop: '{{ shop.id }}' } } },
    uncertain,
    events: { 'back_in_stock.alert': { request: 'send' }, 'preorder.confirmed': { request: 'send' } },
    setup: [{ id: 'key', kind: 'api_key', title: 'Key', text: 'Any text.', fields: { token: { label: 'Token' } } }]
  }, null, 2))
}

function configOf ({ dir, dataDir = dir, standIn, providers, shops, more, store, requestDeadline = '5s' }: World): object {
  const key = (name: string): object => ({ file: join(dataDir, 'keys', name), generate: true })
  return {
    version: 1,
    server: { port: 0 },
    log: { level: 'warn' },
    store: store ?? { driver: 'sqlite', path: join(dataDir, 'gateway.db') },
    sandbox: { enabled: true, url: standIn.url },
    security: {
      encryption_keys: [{ id: 'k1', ...key('k1.key') }],
      person_key: key('person.key'),
      api_keys: [{ id: 'test', env: 'TEST_API_KEY', scopes: ['events:write', 'deliveries:read', 'shops:read', 'shops:write'], shops: '*' }]
    },
    plans: { pro: [] },
    channels: { sms: {} },
    event_types: {
      'back_in_stock.alert': typeOf('back_in_stock.alert', 'back_in_stock', 'marketing'),
      'preorder.confirmed': typeOf('preorder.confirmed', 'preorder', 'transactional'),
      ...more?.types
    },
    providers: Object.fromEntries(providers.map(({ id }) => [id, { path: join(dir, 'providers', id) }])),
    delivery: { request_deadline: requestDeadline },
    ...more?.config,
    shops: shops.map(({ id, provider, account }) => ({
      id,
      name: 'Acme',
      domain: 'acme.example',
      plan: 'pro',
      channels: { sms: provider },
      connections: [{ provider, secrets: { token: key(`${id}.token`) }, account_id: account, ready: ['back_in_stock', 'preorder'] }]
    }))
  }
}

function typeOf (name: string, setupGroup: string, kind: Kind): object {
  return { schema: join(ROOT, 'schemas/events', `${name}.schema.json`), channel: 'sms', setup_group: setupGroup, kind, expires_after: '24h', person: '/customer/phone' }
}
