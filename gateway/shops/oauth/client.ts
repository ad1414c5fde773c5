// The calls to a provider's token and revocation endpoints. Answers are read strictly; nothing is tried again here.

import * as oauth from 'oauth4webapi'
import type { Answer, Config, OAuth2, PreparedRequest } from '../../contract.ts'
import { TokensRefused, tokensOf, tidied, type Tokens } from './answers.ts'

const DEADLINE_MS = 10_000
/** What a provider says of a refresh token that it takes no more. */
const DEAD: ReadonlySet<string> = new Set(['invalid_grant', 'invalid_grant_type'])
/** What it says of our own app. */
const OURS: ReadonlySet<string> = new Set(['invalid_client', 'unauthorized_client'])

/** Total time of one call. A gateway is sure of its accounts for as long as a delivery may take. */
export function deadlineMs ({ delivery }: Config): number { return Math.min(DEADLINE_MS, delivery.requestDeadlineMs) }

/** Sends a request to one origin within the deadline, and never throws. */
export interface TokenSender {
  send (request: PreparedRequest, credentials: Record<string, string>, signal: AbortSignal): Promise<Answer>
  close (): Promise<void>
}

/** The platform's app at a provider. */
export interface App { id: string, secret: string }

export interface Calling {
  sender (origin: string): TokenSender
  signal: AbortSignal
  /** Told of what was wrong with an answer that is used all the same. */
  warn (message: string): void
}

/** `dead`: the grant has ended. `ours`: the app is refused, whoever asks. `failing`: nothing is known. */
export type Granted =
  | { is: 'tokens', tokens: Tokens }
  | { is: 'dead' | 'ours' | 'failing', detail: string }

/** Tokens for a code. `callback` is the query as it came, its state and issuer checked here once more. */
export async function exchange (way: OAuth2, app: App, { callback, state, redirectUri, verifier }: { callback: URLSearchParams, state: string, redirectUri: string, verifier: string }, calling: Calling): Promise<Granted> {
  return await granted(async () => {
    const parameters = oauth.validateAuthResponse(server(way), { client_id: app.id }, callback, state)
    const answer = await oauth.authorizationCodeGrantRequest(server(way), { client_id: app.id }, basic(app), parameters, redirectUri, verifier, options(way.tokenUrl, calling))
    return tokensOf(await oauth.processAuthorizationCodeResponse(server(way), { client_id: app.id }, answer), { first: true })
  })
}

/** New tokens for a refresh token. */
export async function refresh (way: OAuth2, app: App, refreshToken: string, calling: Calling): Promise<Granted> {
  return await granted(async () => {
    const answer = await oauth.refreshTokenGrantRequest(server(way), { client_id: app.id }, basic(app), refreshToken, options(way.tokenUrl, calling))
    return tokensOf(await oauth.processRefreshTokenResponse(server(way), { client_id: app.id }, answer), { first: false })
  })
}

/** Null when the grant is ended there, or was not alive; else why it is not known. */
export async function revoke (way: OAuth2, app: App, refreshToken: string, calling: Calling): Promise<string | null> {
  if (way.revokeUrl === null) return null
  try {
    const answer = await oauth.revocationRequest(server(way), { client_id: app.id }, basic(app), refreshToken, { ...options(way.revokeUrl, calling), additionalParameters: { token_type_hint: 'refresh_token' } })
    await oauth.processRevocationResponse(answer)
    return null
  } catch (error) {
    if (error instanceof oauth.ResponseBodyError && (DEAD.has(error.error) || error.error === 'invalid_token')) return null
    return detailOf(error)
  }
}

async function granted (ask: () => Promise<Tokens>): Promise<Granted> {
  try {
    return { is: 'tokens', tokens: await ask() }
  } catch (error) {
    const code = error instanceof oauth.ResponseBodyError ? error.error : ''
    return { is: DEAD.has(code) ? 'dead' : OURS.has(code) ? 'ours' : 'failing', detail: detailOf(error) }
  }
}

/** Never an answer's body: it may hold tokens. */
function detailOf (error: unknown): string {
  if (error instanceof oauth.ResponseBodyError) return `HTTP ${error.status} ${error.error.slice(0, 60)}`
  if (error instanceof NoAnswer || error instanceof TokensRefused || error instanceof Error) return error.message.slice(0, 200)
  return 'unknown'
}

function server ({ authorizeUrl, tokenUrl, revokeUrl }: OAuth2): oauth.AuthorizationServer {
  return { issuer: new URL(authorizeUrl).origin, authorization_endpoint: authorizeUrl, token_endpoint: tokenUrl, ...(revokeUrl !== null && { revocation_endpoint: revokeUrl }) }
}

/** Written as a form would, so that hyphens and dots stay as they are: not every provider decodes them. */
function basic ({ id, secret }: App): oauth.ClientAuth {
  const encoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)
  return (_server, _client, _body, headers) => { headers.set('authorization', `Basic ${Buffer.from(`${encoded(id)}:${encoded(secret)}`).toString('base64')}`) }
}

class NoAnswer extends Error {}

/** Plain http is the sandbox's alone: the sender refuses any other. */
function options (url: string, { sender, signal, warn }: Calling) {
  const { origin } = new URL(url)
  return {
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: async (asked: string, { method, headers: { authorization = '', ...headers }, body }: oauth.CustomFetchOptions<'POST', URLSearchParams>) => {
      const request = { name: 'token', group: '', method, path: new URL(asked).pathname, headers, body: String(body) }
      const answer = await sender(origin).send(request, { authorization }, signal)
      if (answer.kind !== 'answer') throw new NoAnswer(`${answer.code}: ${answer.message}`)
      if (answer.cut) throw new NoAnswer('the answer is too large')
      const empty = answer.status === 204 || answer.status === 205 || answer.status === 304
      return new Response(empty ? null : tidied(answer, warn), { status: answer.status, headers: answer.headers })
    }
  }
}
