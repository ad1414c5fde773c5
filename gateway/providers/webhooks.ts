// What a manifest says of webhooks that a provider sends per account, and every fault of it that its schema lets through.

import type { ProviderWebhooks } from '../contract.ts'
import { step } from '../json-pointer.ts'
import type { Manifest, RequestSource } from './manifest.ts'
import { known, type Report } from './report.ts'

/** Headers that any HTTP request has, or that others on the way may set: none of them proves who is calling. */
const COMMON: ReadonlySet<string> = new Set(['accept', 'connection', 'content-encoding', 'content-length', 'content-type', 'date', 'forwarded', 'host', 'transfer-encoding', 'user-agent'])

export function webhooksOf ({ webhooks }: Manifest): ProviderWebhooks | undefined {
  if (webhooks === undefined) return undefined
  const { event_at: eventAt, notices, ...others } = webhooks
  return { ...others, eventAt, notices: notices.map(({ event, is, phone = [], ref = [], at = null }) => ({ event, is, phone, ref, at })) }
}

export function checkWebhooks (manifest: Manifest, report: Report): void {
  const { webhooks, connection, requests } = manifest
  if (webhooks === undefined) return
  if (connection === 'gateway') report('/webhooks', 'they are registered with a shop\'s own account, and the account is the platform\'s', 'Remove it, or let "connection" be shop.', 'GW_CONFIG_VALUE', true)
  const { list, subscribe, unsubscribe, token, notices } = webhooks
  for (const [key, { request }] of Object.entries({ list, subscribe, unsubscribe, token })) {
    if (!Object.hasOwn(requests, request)) report(`/webhooks/${key}/request`, `no request "${request}"`, known(requests))
  }
  for (const [key, { request }, names] of [['subscribe', subscribe, ['callback_url', 'event']], ['unsubscribe', unsubscribe, ['webhook_id']]] as const) {
    const source = Object.hasOwn(requests, request) ? requests[request] as RequestSource : null
    for (const name of names) {
      if (source !== null && !reads(source, name)) report(`/webhooks/${key}/request`, `requests${step(request)} does not read map.${name}`, `Write {{ map.${name} }} in it.`)
    }
  }
  if (COMMON.has(token.header)) report('/webhooks/token/header', `"${token.header}" proves nothing: it is in other requests too`, 'Name the header that carries the token.', 'GW_CONFIG_VALUE')
  notices.forEach(({ event }, i) => {
    if (notices.findIndex(one => one.event === event) < i) report(`/webhooks/notices/${i}/event`, `${event} is named twice`, 'Say all of it in one entry.', 'GW_CONFIG_DUPLICATE')
  })
}

/** A body in a mapping file is taken at its word: what it lacks the provider's own tests tell. */
function reads ({ path, query, headers, body }: RequestSource, name: string): boolean {
  return (typeof body === 'string' && body.endsWith('.yaml')) || new RegExp(`\\bmap\\.${name}\\b`).test(JSON.stringify([path, query, headers, body]))
}
