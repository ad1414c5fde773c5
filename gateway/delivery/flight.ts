// A delivery's row and what is made of it: the scope its templates see, its request as it is kept, its answer as it may be.

import type { MappingScope, PreparedRequest, Row } from '../contract.ts'
import type { OpenConnection } from '../shops/connections.ts'
import type { ShopState } from '../shops/shops.ts'

/** What templates and hooks read. `data` of a purged event is empty. */
export function scopeOf (row: Row, state: ShopState, connection: Pick<OpenConnection, 'accountId' | 'settings'>): MappingScope {
  const { id, name, domain } = state.shop
  return {
    shop: { id, name, domain },
    connection: { account_id: connection.accountId, settings: connection.settings },
    data: row.data === null ? {} : JSON.parse(row.data as string) as Record<string, unknown>,
    event: { id: row.event_id as string, source: row.source as string, type: row.type as string, time: new Date(row.time_at as number).toISOString() },
    delivery: { id: row.id as string, key: row.id as string, attempt: (row.attempts as number) + 1 }
  }
}

/** What is kept of a request beside its body: the line, the limit group and the headers. Credentials are not in it. */
export function head (request: PreparedRequest): string {
  return `${request.method} ${request.path}\n${request.name}\n${request.group}\n${JSON.stringify(request.headers)}`
}

/** The bytes of the call before, for a repeat. */
export function stored (row: Row): PreparedRequest {
  const [line = '', name = '', group = '', headers = '{}'] = String(row.request_head).split('\n')
  const space = line.indexOf(' ')
  return { name, group, method: line.slice(0, space), path: line.slice(space + 1), headers: JSON.parse(headers) as Record<string, string>, body: row.request_body as string | null }
}

/** A provider that repeats our credentials in its answer must not bring them into the store. */
export function scrub (text: string | null, connection: OpenConnection): string | null {
  if (text === null) return null
  let clean = text
  for (const secret of Object.values(connection.secrets)) if (secret.length >= 8) clean = clean.replaceAll(secret, '***')
  return clean
}
