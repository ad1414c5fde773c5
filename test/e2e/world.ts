// A small world for a gateway that runs as a process: its configuration, providers made of YAML, shops on their accounts.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Kind, Uncertain, Window } from '../../gateway/contract.ts'
import { type GatewayProcess, startGatewayProcess } from '../helpers/gateway-process.ts'
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
}

/** Writes the world's files into its folder and starts a gateway in it. */
export async function startWorld (world: World): Promise<GatewayProcess> {
  for (const provider of world.providers) writeProvider(world.dir, provider)
  return await startGatewayProcess({ config: { text: JSON.stringify(configOf(world), null, 2) }, dataDir: world.dir, env: { TEST_API_KEY: API_KEY, ...world.more?.env } })
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

function configOf ({ dir, standIn, providers, shops, more }: World): object {
  const key = (name: string): object => ({ file: join(dir, 'keys', name), generate: true })
  return {
    version: 1,
    server: { port: 0 },
    log: { level: 'warn' },
    store: { driver: 'sqlite', path: join(dir, 'gateway.db') },
    sandbox: { enabled: true, url: standIn.url },
    security: {
      encryption_keys: [{ id: 'k1', ...key('k1.key') }],
      person_key: key('person.key'),
      api_keys: [{ id: 'test', env: 'TEST_API_KEY', scopes: ['events:write', 'deliveries:read'], shops: '*' }]
    },
    plans: { pro: [] },
    channels: { sms: {} },
    event_types: {
      'back_in_stock.alert': typeOf('back_in_stock.alert', 'back_in_stock', 'marketing'),
      'preorder.confirmed': typeOf('preorder.confirmed', 'preorder', 'transactional'),
      ...more?.types
    },
    providers: Object.fromEntries(providers.map(({ id }) => [id, { path: join(dir, 'providers', id) }])),
    delivery: { request_deadline: '5s' },
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
