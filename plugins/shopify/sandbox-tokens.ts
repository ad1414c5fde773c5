// Access tokens and refresh tokens as the sandbox gives them out: a refresh token is good until its successor is used.

import { randomBytes } from 'node:crypto'

const LIFE_S = 3600
const REFRESH_LIFE_S = 90 * 24 * 3600
const TOKEN = /^shp(at|ca|ua)_[0-9a-zA-Z]{8,}$/
const REFRESH = /^shprt_[0-9a-zA-Z]{8,}$/

export class SandboxTokens {
  /** Epoch milliseconds, by the token. */
  #endsAt = new Map<string, number>()
  /** The refresh token by whose use each was given out. */
  #before = new Map<string, string>()
  #retired = new Set<string>()

  /** Why it is refused; null where it is good. */
  refuses (token: unknown, { revoked = [], expiring_only: expiringOnly = false }: { revoked?: string[], expiring_only?: boolean }, now: number): 401 | 403 | null {
    if (typeof token !== 'string' || !TOKEN.test(token) || token.includes('revoked') || revoked.includes(token)) return 401
    const endsAt = this.#endsAt.get(token)
    if (endsAt === undefined) return expiringOnly ? 403 : null
    return endsAt <= now ? 401 : null
  }

  refresh (form: URLSearchParams, lifeS: number = LIFE_S, now: number, revoked: readonly string[] = []): { status: number, body: object } {
    const given = form.get('refresh_token') ?? ''
    if ((form.get('client_secret') ?? '') === '' || (form.get('client_id') ?? 'wrong').includes('wrong')) return { status: 401, body: { error: 'invalid_client', error_description: 'The client is not known.' } }
    if (form.get('grant_type') !== 'refresh_token') return { status: 400, body: { error: 'unsupported_grant_type' } }
    if (!REFRESH.test(given) || given.includes('revoked') || revoked.includes(given) || this.#retired.has(given)) return { status: 400, body: { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' } }
    const before = this.#before.get(given)
    if (before !== undefined) this.#retired.add(before)
    const [token, next] = [`shpat_${randomBytes(16).toString('hex')}`, `shprt_${randomBytes(16).toString('hex')}`]
    this.#endsAt.set(token, now + lifeS * 1000)
    this.#before.set(next, given)
    return { status: 200, body: { access_token: token, expires_in: lifeS, refresh_token: next, refresh_token_expires_in: REFRESH_LIFE_S, scope: 'read_products,read_inventory,read_orders,read_customers' } }
  }
}
