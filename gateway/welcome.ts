// What a person reads after a start: where it listens, whether anything real is reached, and what to paste.

import type { Config } from './contract.ts'
import type { EventSchema } from './events/schemas.ts'

export interface WelcomeFacts { config: Config, url: string, sandboxUrl: string | null, schemas: ReadonlyMap<string, EventSchema> }

export function welcome ({ config, url, sandboxUrl, schemas }: WelcomeFacts): string[] {
  const lines = ['', `gateway listening on ${url}`]
  if (sandboxUrl === null) lines.push('LIVE: messages go to the real providers.')
  else lines.push(`SANDBOX: nothing leaves this machine; the providers are played at ${sandboxUrl}`)
  const shop = config.shops.find(({ connections }) => connections.length > 0)
  const type = [...schemas.values()].find(({ examples }) => examples.length > 0)
  if (!shop || !type) return [...lines, 'Create a shop: PUT /v1/shops/{shop}; then post events to /v1/events.', '']
  return [...lines, ...tryIt(config, url, shop.id, type), '']
}

function tryIt (config: Config, url: string, shop: string, type: EventSchema): string[] {
  const keyFile = config.security.apiKeys[0]?.key.file
  if (!keyFile) return [`Shops: ${config.shops.map(({ id }) => id).join(', ')}.`]
  const event = JSON.stringify({ id: 'first-1', shop, type: type.type, data: type.examples[0] })
  return [
    '',
    'Paste this to send an event:',
    '',
    `  curl -s ${url}/v1/events -H "authorization: Bearer $(cat ${keyFile})" -H 'content-type: application/json' -d '${event.replaceAll('\'', '\'\\\'\'')}'`,
    '',
    'and this to see what became of it, with the request the provider got:',
    '',
    `  curl -s "${url}/v1/deliveries?source_id=first-1&view=full" -H "authorization: Bearer $(cat ${keyFile})"`,
    '',
    `Shops to try: ${config.shops.map(({ id }) => id).join(', ')}`
  ]
}
