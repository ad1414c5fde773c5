// Why a database cannot be used, in words for the person who starts the gateway. The password is in none of them.

import { GatewayError, type Code } from '../../errors.ts'

const UNREACHABLE = new Set(['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT', 'EPIPE', 'ETIMEDOUT', '57P03'])
/** No such user, wrong password, no such database, no right to connect to it, no connection left. */
const REFUSED = new Set(['28000', '28P01', '3D000', '08004', '53300'])
const NO_RIGHT = '42501'
const NO_PASSWORD = /^SASL:.*password/
const TIMEOUT = /timeout|terminated unexpectedly/i

/** As a GatewayError, which it may be already: GW_DATABASE_UNREACHABLE, GW_DATABASE_REFUSED, GW_DATABASE_RIGHTS or GW_DATABASE_UNUSABLE. */
export function openFailure (error: unknown, url: string): GatewayError {
  if (error instanceof GatewayError) return error
  const { message, code = '' } = error as Error & { code?: string }
  const [what, why] = whatOf(code, message)
  return new GatewayError(what, `The database at ${placeOf(url)} ${why}: ${withoutPassword(message || code, url)}.`, { cause: error })
}

function whatOf (code: string, message: string): [Code, string] {
  if (REFUSED.has(code) || NO_PASSWORD.test(message)) return ['GW_DATABASE_REFUSED', 'does not let this gateway in']
  if (code === NO_RIGHT) return ['GW_DATABASE_RIGHTS', 'does not let this gateway make its tables']
  if (UNREACHABLE.has(code) || (code === '' && TIMEOUT.test(message))) return ['GW_DATABASE_UNREACHABLE', 'cannot be reached']
  return ['GW_DATABASE_UNUSABLE', 'cannot be used']
}

function placeOf (text: string): string {
  const url = new URL(text)
  const host = url.searchParams.get('host') ?? url.hostname
  return `${host}:${url.searchParams.get('port') ?? (url.port || '5432')}`
}

/** Servers do not repeat it; what lies between might. */
function withoutPassword (text: string, url: string): string {
  const { password } = new URL(url)
  return [url, password, decodeURIComponent(password)].filter(secret => secret !== '').reduce((shown, secret) => shown.replaceAll(secret, '***'), text)
}
