// Klaviyo's OAuth server: the page a merchant allows an app on, the token calls, and the end of a grant.
// Any client id and secret will do that do not hold "wrong"; any account of six characters can be chosen.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { SandboxContext } from '../../gateway/define.ts'
import { bytes, shortId } from './sandbox-answers.ts'
import type { Grants, Refused } from './sandbox-grants.ts'

const FORM = 'application/x-www-form-urlencoded'
const SCOPE = /^[a-z]+(-[a-z]+)*:(read|write)$/

interface Wanted { clientId: string, redirectUri: string, state: string, challenge: string, scopes: string[] }

export function oauth (app: FastifyInstance, context: SandboxContext, grants: Grants): void {
  app.get('/oauth/authorize', (request, reply) => {
    const wanted = wantedOf(request)
    return typeof wanted === 'string' ? refusedPage(reply, wanted) : page(reply, 200, `Connect ${wanted.clientId}`, consent(wanted))
  })
  app.post('/oauth/authorize', (request, reply) => decide(request, reply, grants))
  app.post('/oauth/token', (request, reply) => token(request, reply, context, grants))
  app.post('/oauth/revoke', (request, reply) => revoke(request, reply, context, grants))
}

/** What the app asks for; or why it is refused, and nobody sent back: who asks so may be anyone. */
function wantedOf ({ url }: FastifyRequest): Wanted | string {
  const query = pairsOf(url.includes('?') ? url.slice(url.indexOf('?') + 1) : '')
  if (query === null) return 'A parameter is given twice.'
  const { response_type: type, client_id: clientId = '', redirect_uri: redirectUri = '', scope = '', state = '', code_challenge: challenge = '', code_challenge_method: method } = query
  if (clientId === '') return 'client_id is missing.'
  if (!isAddress(redirectUri)) return 'redirect_uri is missing, or no absolute address.'
  if (type !== 'code') return 'response_type must be code.'
  if (state === '') return 'state is missing.'
  if (method !== 'S256') return 'code_challenge_method must be S256.'
  if (!/^[A-Za-z0-9_-]{43}$/.test(challenge)) return 'code_challenge is missing, or no SHA-256 in base64url.'
  const scopes = scopesOf(scope)
  return scopes === null || scopes.length === 0 ? 'scope is missing, or names one that does not exist.' : { clientId, redirectUri, state, challenge, scopes }
}

/** The query goes along with the form: what is allowed is what was asked for, or less. */
function decide (request: FastifyRequest, reply: FastifyReply, grants: Grants): FastifyReply {
  const wanted = wantedOf(request)
  if (typeof wanted === 'string') return refusedPage(reply, wanted)
  const form = formOf(request)
  const { decision, scope, account = shortId(`client ${wanted.clientId}`) } = form ?? {}
  if (decision !== 'allow' && decision !== 'deny') return refusedPage(reply, 'decision must be allow or deny.')
  if (!/^[A-Za-z0-9]{6}$/.test(account)) return refusedPage(reply, 'account must have six letters and digits.')
  const scopes = scope === undefined ? wanted.scopes : scopesOf(scope)
  if (scopes === null || !scopes.every(one => wanted.scopes.includes(one))) return refusedPage(reply, 'scope names one that was not asked for.')
  const back = new URL(wanted.redirectUri)
  if (decision === 'deny') back.searchParams.set('error', 'access_denied')
  else back.searchParams.set('code', grants.code({ clientId: wanted.clientId, redirectUri: wanted.redirectUri, challenge: wanted.challenge, scopes, account }))
  back.searchParams.set('state', wanted.state)
  return reply.code(303).header('location', back.href).send()
}

function token (request: FastifyRequest, reply: FastifyReply, context: SandboxContext, grants: Grants): FastifyReply {
  const client = clientOf(request)
  const form = formOf(request)
  const answer = client === null ? INVALID_CLIENT : form === null ? NO_FORM : tokensFor(client, form, grants)
  const status = 'tokens' in answer ? 200 : answer === INVALID_CLIENT ? 401 : 400
  const repeat = 'reuse' in answer && { key: form?.['grant_type'] ?? '', repeat: true }
  context.record({ account: answer.account ?? 'nobody', method: 'POST', path: '/oauth/token', body: { grant_type: form?.['grant_type'] ?? null }, status, ...repeat })
  if (answer === INVALID_CLIENT) reply.header('www-authenticate', 'Basic')
  const body = 'tokens' in answer ? answer.tokens : { error: answer.error, error_description: answer.error_description }
  return reply.code(status).headers({ 'content-type': 'application/json', 'cache-control': 'no-store' }).send(bytes(body))
}

function tokensFor (client: string, form: Record<string, string>, grants: Grants): ReturnType<Grants['redeem']> {
  if (form['grant_type'] === 'authorization_code') return grants.redeem(client, form)
  if (form['grant_type'] === 'refresh_token') return grants.renew(client, form['refresh_token'])
  return { error: 'invalid_grant_type', error_description: 'grant_type must be authorization_code or refresh_token.' }
}

/** Answered without a body, and so without JSON. */
function revoke (request: FastifyRequest, reply: FastifyReply, context: SandboxContext, grants: Grants): FastifyReply {
  const client = clientOf(request)
  const given = formOf(request)?.['token']
  const fault = client === null ? INVALID_CLIENT : given === undefined ? { ...NO_FORM, error: 'invalid_request' } : null
  const account = client !== null && given !== undefined ? grants.revoke(client, given) : null
  const status = fault === null ? 200 : fault === INVALID_CLIENT ? 401 : 400
  context.record({ account: account ?? 'nobody', method: 'POST', path: '/oauth/revoke', body: null, status })
  return fault === null ? reply.code(200).send() : reply.code(status).header('content-type', 'application/json').send(bytes({ error: fault.error, error_description: fault.error_description }))
}

const INVALID_CLIENT: Refused = { error: 'invalid_client', error_description: 'The client id, its secret or the Basic header is wrong.' }
const NO_FORM: Refused = { error: 'invalid_grant_type', error_description: `The body must be ${FORM}, each name once.` }

/** The id of a client that proved itself by Basic; null for any other. */
function clientOf ({ headers }: FastifyRequest): string | null {
  const given = /^Basic ([A-Za-z0-9+/]+={0,2})$/.exec(headers.authorization ?? '')?.[1]
  const pair = Buffer.from(given ?? '', 'base64').toString('utf8')
  const [, id, secret] = /^([^:]+):(.+)$/.exec(pair) ?? []
  return id === undefined || secret === undefined || pair.includes('wrong') ? null : id
}

function formOf ({ headers, body }: FastifyRequest): Record<string, string> | null {
  if ((headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() !== FORM) return null
  return pairsOf(Buffer.isBuffer(body) ? body.toString('utf8') : '')
}

/** Names to values; null where one comes twice. */
function pairsOf (text: string): Record<string, string> | null {
  const pairs = [...new URLSearchParams(text)]
  const table = Object.fromEntries(pairs)
  return Object.keys(table).length === pairs.length ? table : null
}

function scopesOf (text: string): string[] | null {
  const scopes = text.split(' ').filter(scope => scope !== '')
  return scopes.every(scope => SCOPE.test(scope)) ? scopes : null
}

function isAddress (text: string): boolean {
  return URL.canParse(text) && ['https:', 'http:'].includes(new URL(text).protocol) && !text.includes('#')
}

function consent ({ clientId, scopes }: Wanted): string {
  const account = shortId(`client ${clientId}`)
  const form = (decision: string, label: string, fields: string): string => `<form method="post"><input type="hidden" name="decision" value="${decision}">${fields}<button>${label}</button></form>`
  return `<p>${escaped(clientId)} asks for:</p><ul>${scopes.map(scope => `<li>${escaped(scope)}</li>`).join('')}</ul>` +
    form('allow', 'Allow', `<label>Account <input name="account" value="${account}" pattern="[A-Za-z0-9]{6}"></label>`) + form('deny', 'Deny', '')
}

function refusedPage (reply: FastifyReply, why: string): FastifyReply {
  return page(reply, 400, 'This link does not work', `<p>${escaped(why)}</p>`)
}

function page (reply: FastifyReply, status: number, title: string, html: string): FastifyReply {
  return reply.code(status).headers({ 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', 'content-security-policy': "default-src 'none'", 'x-frame-options': 'DENY' })
    .send(`<!doctype html><html lang="en"><title>Sandbox: ${escaped(title)}</title><h1>${escaped(title)}</h1>${html}</html>`)
}

function escaped (text: string): string {
  return text.replaceAll(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
