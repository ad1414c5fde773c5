// A delivery's row and what is made of it: the scope its templates see, its request as it is kept, its answer as it may be.

import type { MappingScope, PreparedRequest, Row, SmsText } from '../contract.ts'
import type { OpenConnection } from '../shops/connections.ts'
import type { ShopState } from '../shops/shops.ts'

/** What templates and hooks read. `data` of a purged event is empty. */
export function scopeOf (row: Row, state: ShopState, connection: Pick<OpenConnection, 'accountId' | 'settings'>): MappingScope {
  const { id, name, domain } = state.shop
  return {
    shop: { id, name, domain },
    connection: { account_id: connection.accountId, settings: settingsOf(row, connection) },
    data: row.data === null ? {} : JSON.parse(row.data as string) as Record<string, unknown>,
    event: { id: row.event_id as string, source: row.source as string, type: row.type as string, time: new Date(row.time_at as number).toISOString() },
    delivery: { id: row.id as string, key: row.id as string, attempt: (row.attempts as number) + 1, record_only: row.record_only === 1 }
  }
}

/** The connection's, and over them what an answer to this delivery asked for. */
function settingsOf ({ adjusted }: Row, { settings }: Pick<OpenConnection, 'settings'>): Record<string, unknown> {
  return adjusted === null ? settings : { ...settings, ...JSON.parse(adjusted as string) as Record<string, unknown> }
}

/** What is kept of a request beside its body: the line, the limit group, the headers, what its text costs. Credentials are not in it. */
export function head (request: PreparedRequest): string {
  const { segments } = request
  const lines = [`${request.method} ${request.path}`, request.name, request.group, JSON.stringify(request.headers)]
  return [...lines, ...(segments === undefined ? [] : [`${segments.encoding} ${segments.segments}`])].join('\n')
}

/** A request as `head` kept it. */
export function headOf (kept: string): Omit<PreparedRequest, 'body'> {
  const [line = '', name = '', group = '', headers = '{}', text] = kept.split('\n')
  const space = line.indexOf(' ')
  const request = { name, group, method: line.slice(0, space), path: line.slice(space + 1), headers: JSON.parse(headers) as Record<string, string> }
  const [encoding, segments] = text?.split(' ') ?? []
  return encoding === undefined ? request : { ...request, segments: { encoding: encoding as SmsText['encoding'], segments: Number(segments) } }
}

/** The bytes of the call before, for a repeat. */
export function stored (row: Row): PreparedRequest {
  return { ...headOf(String(row.request_head)), body: row.request_body as string | null }
}

/** A provider that repeats our credentials in its answer must not bring them into the store. */
export function scrub (text: string | null, connection: OpenConnection): string | null {
  if (text === null) return null
  const secrets = Object.values(connection.secrets).filter(secret => secret.length >= 8)
  let clean = text
  for (const secret of secrets) clean = clean.replaceAll(secret, '***')
  return clean.replace(ENCODED, word => secrets.some(secret => Buffer.from(word, 'base64').includes(secret)) ? '***' : word)
}

/** What may be base64, as Basic credentials are. */
const ENCODED = /[A-Za-z0-9+/_-]{12,}={0,2}/g
