// What merchants granted to an app: codes, refresh tokens that are good for one use, access tokens with an end.

import { createHash, randomBytes } from 'node:crypto'
import type { Caller } from './sandbox-answers.ts'

const CODE_MS = 5 * 60_000
const VERIFIER = /^[a-zA-Z0-9\-._~]{43,128}$/
/** Tokens and codes that are remembered; of more, the oldest are forgotten. */
const REMEMBERED_MAX = 100_000

export interface Asked { clientId: string, redirectUri: string, challenge: string, scopes: string[], account: string }

/** A merchant's consent and all that was ever given for it. */
interface Grant { clientId: string, account: string, scopes: string[], refreshes: number, revoked: string | null }

export interface Tokens { access_token: string, token_type: 'bearer', expires_in: number, refresh_token: string, scope: string }
export interface Refused { error: string, error_description: string, account?: string, reuse?: true }

export class Grants {
  readonly #wallNow: () => number
  readonly #grants: Grant[] = []
  readonly #codes = new Map<string, Asked & { endsAt: number, grant: Grant | null }>()
  readonly #refresh = new Map<string, { grant: Grant, used: boolean }>()
  readonly #access = new Map<string, { grant: Grant, endsAt: number }>()
  readonly #counts = { grants: 0, refreshes: 0, second_uses: 0, second_codes: 0, revocations: 0, uninstalls: 0 }
  /** Seconds that access tokens live which are made from now on. */
  lifetime = 3600
  /** The name of every app, whatever its client id: what comes by a grant is of the integration of this name. */
  app = 'STOQ'

  constructor (wallNow: () => number) { this.#wallNow = wallNow }

  /** A code for what a merchant allowed. */
  code (asked: Asked): string {
    return this.#remember(this.#codes, { ...asked, endsAt: this.#wallNow() + CODE_MS, grant: null })
  }

  /** The tokens for a code: once. A second use ends what the first one gave. */
  redeem (clientId: string, { code, code_verifier: verifier, redirect_uri: redirectUri }: Record<string, string>): { tokens: Tokens, account: string } | Refused {
    if (code === undefined || redirectUri === undefined) return { error: 'invalid_request', error_description: 'code and redirect_uri are required.' }
    if (verifier === undefined || !VERIFIER.test(verifier)) return { error: 'invalid_request', error_description: 'Invalid "code_verifier".' }
    const asked = this.#codes.get(code)
    if (asked === undefined || asked.clientId !== clientId) return { error: 'invalid_grant', error_description: 'Invalid "code".' }
    const { account } = asked
    if (asked.grant !== null) {
      this.#counts.second_codes++
      this.#revoke(asked.grant, 'second use of its code')
      return { error: 'invalid_grant', error_description: 'The "code" was used before.', account, reuse: true }
    }
    if (this.#wallNow() >= asked.endsAt) return { error: 'invalid_grant', error_description: 'The "code" has expired.', account }
    if (asked.redirectUri !== redirectUri) return { error: 'invalid_grant', error_description: 'Invalid "redirect_uri".', account }
    if (createHash('sha256').update(verifier).digest('base64url') !== asked.challenge) return { error: 'invalid_grant', error_description: 'Code challenge failed.', account }
    asked.grant = { clientId, account, scopes: asked.scopes, refreshes: 0, revoked: null }
    this.#grants.push(asked.grant)
    if (this.#grants.length > REMEMBERED_MAX) this.#grants.shift()
    this.#counts.grants++
    return { tokens: this.#tokens(asked.grant), account }
  }

  /** New tokens for a refresh token: once. A second use ends the grant, for one of the two who had it stole it. */
  renew (clientId: string, token: string | undefined): { tokens: Tokens, account: string } | Refused {
    const known = this.#refresh.get(token ?? '')
    if (known === undefined || known.grant.clientId !== clientId) return { error: 'invalid_grant', error_description: 'Invalid "refresh_token".' }
    const { grant, used } = known
    const { account } = grant
    if (used) {
      this.#counts.second_uses++
      this.#revoke(grant, 'second use of a refresh token')
      return { error: 'invalid_grant', error_description: 'The "refresh_token" was used before.', account, reuse: true }
    }
    if (grant.revoked !== null) return { error: 'invalid_grant', error_description: 'The "refresh_token" was revoked.', account }
    known.used = true
    grant.refreshes++
    this.#counts.refreshes++
    return { tokens: this.#tokens(grant), account }
  }

  /** Ends a grant by its refresh token, or one access token; the account it was of. A token that is none is no fault. */
  revoke (clientId: string, token: string): string | null {
    const access = this.#access.get(token)
    const grant = access?.grant ?? this.#refresh.get(token)?.grant
    if (grant === undefined || grant.clientId !== clientId) return null
    if (access === undefined) this.#revoke(grant, 'revoked by the app')
    this.#access.delete(token)
    return grant.account
  }

  /** The merchant removes every app: how many grants that ended. */
  uninstall (account: string): number {
    this.#counts.uninstalls++
    const grants = this.#grants.filter(grant => grant.account === account && grant.revoked === null)
    for (const grant of grants) this.#revoke(grant, 'uninstalled')
    return grants.length
  }

  /** Ends the access tokens of an account, or of all: how many. The grants stay. */
  expire (account: string | undefined): number {
    const now = this.#wallNow()
    const good = [...this.#access.values()].filter(({ grant, endsAt }) => endsAt > now && (account === undefined || grant.account === account))
    for (const token of good) token.endsAt = now
    return good.length
  }

  /** Who calls with an access token; a text where it is good no more, null where it never was. */
  caller (token: string): Caller | string | null {
    const known = this.#access.get(token)
    if (known === undefined) return null
    const { account, scopes, revoked } = known.grant
    if (revoked !== null) return 'The access token was revoked.'
    return this.#wallNow() < known.endsAt ? { account, integration: this.app, scopes: new Set(scopes) } : 'The access token has expired.'
  }

  report (): object {
    return { ...this.#counts, items: this.#grants.map(({ clientId, account, scopes, refreshes, revoked }) => ({ client_id: clientId, account, scope: scopes.join(' '), refreshes, revoked })) }
  }

  #tokens (grant: Grant): Tokens {
    const access = this.#remember(this.#access, { grant, endsAt: this.#wallNow() + this.lifetime * 1000 })
    const refresh = this.#remember(this.#refresh, { grant, used: false })
    return { access_token: access, token_type: 'bearer', expires_in: this.lifetime, refresh_token: refresh, scope: grant.scopes.join(' ') }
  }

  #revoke (grant: Grant, why: string): void {
    if (grant.revoked !== null) return
    grant.revoked = why
    this.#counts.revocations++
  }

  #remember<T> (table: Map<string, T>, value: T): string {
    const token = randomBytes(32).toString('base64url')
    table.set(token, value)
    if (table.size > REMEMBERED_MAX) table.delete(table.keys().next().value as string)
    return token
  }
}
