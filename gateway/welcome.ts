// What a person reads after a start: where it listens, whether anything real is reached, and what to paste.

import type { ApiKeyConfig, Config, Scope, ShopConfig } from './contract.ts'
import type { EventSchema } from './events/schemas.ts'

export interface WelcomeFacts { config: Config, url: string, sandboxUrl: string | null, schemas: ReadonlyMap<string, EventSchema> }

const EVENT_ID = 'first-1'

/** Lines for a terminal. What is to be pasted is indented, runs in any folder, and is offered only where nothing real is reached. */
export function welcome ({ config, url, sandboxUrl, schemas }: WelcomeFacts): string[] {
  const lines = ['', `gateway listening on ${url}`]
  if (sandboxUrl === null) return [...lines, 'LIVE: messages go to the real providers.', shopsOf(config), 'Ctrl-C stops it.', '']
  lines.push(`SANDBOX: nothing leaves this machine; the providers are played at ${sandboxUrl}`)
  const shop = config.shops.find(shop => isConnected(shop, config))
  if (shop) lines.push(...tryIt(config, url, shop, schemas), '', `All that the provider got: ${sandboxUrl}/${providerOf(shop)}/_sandbox/requests`)
  else lines.push('')
  return [...lines, shopsOf(config), 'Ctrl-C stops it; what was accepted is there again at the next start.', '']
}

/** Nothing where no API key in a file may do it: one from the environment is not for showing how to read. */
function tryIt (config: Config, url: string, shop: ShopConfig, schemas: ReadonlyMap<string, EventSchema>): string[] {
  const sender = keyFile(config.security.apiKeys, 'events:write', shop.id)
  const reader = keyFile(config.security.apiKeys, 'deliveries:read', shop.id)
  const type = [...schemas.values()].find(({ type, examples }) => config.eventTypes[type] && examples.length > 0)
  if (sender === null || reader === null || !type) return []
  const event = JSON.stringify({ id: EVENT_ID, shop: shop.id, type: type.type, data: type.examples[0] })
  return [
    '',
    'Paste this to send an event (pasted again it is a duplicate: one id is one event):',
    '',
    `  curl -sS ${url}/v1/events \\`,
    `    -H ${bearer(sender)} -H 'content-type: application/json' \\`,
    `    -d ${quoted(event)}`,
    '',
    'and a moment later this, to see what became of it, with the request that the provider got:',
    '',
    `  curl -sS '${url}/v1/deliveries?source_id=${EVENT_ID}&view=full' \\`,
    `    -H ${bearer(reader)}`
  ]
}

function shopsOf ({ shops }: Config): string {
  if (shops.length === 0) return 'No shop is declared: PUT /v1/shops/{shop} makes one.'
  return `Shops of the config: ${shops.map(shop => `${shop.id} (${providerOf(shop)})`).join(', ')}`
}

/** By itself, or at an account of the platform's. */
function isConnected ({ channels, connections }: ShopConfig, { providers }: Config): boolean {
  return connections.length > 0 || providers.some(({ id, connection }) => connection !== null && Object.values(channels).includes(id))
}

function providerOf ({ channels, connections }: ShopConfig): string {
  return Object.values(channels)[0] ?? connections[0]?.provider ?? 'the default provider'
}

function keyFile (keys: readonly ApiKeyConfig[], scope: Scope, shop: string): string | null {
  const fits = keys.find(({ key, scopes, shops }) => key.file !== null && scopes.includes(scope) && (shops === '*' || shops.includes(shop)))
  return fits?.key.file ?? null
}

/** The key itself is not shown: terminals are recorded. */
function bearer (file: string): string {
  return `"authorization: Bearer $(cat ${quoted(file)})"`
}

/** One word of a POSIX shell, whatever is in it. */
function quoted (text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll('\'', '\'\\\'\'')}'`
}
