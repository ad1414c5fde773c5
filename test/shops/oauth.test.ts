// Answers of a token endpoint, what becomes of failures, and when a token is due.

import t from 'tap'
import type { Answer, OAuth2, PreparedRequest } from '../../gateway/contract.ts'
import { exchange, refresh, revoke, type Calling } from '../../gateway/shops/oauth/client.ts'
import { ageOf, leadMs } from '../../gateway/shops/oauth/fresh.ts'
import { quoted } from '../../gateway/shops/oauth/pages.ts'
import { missingScopes, notPossible } from '../../gateway/shops/oauth/platform-app.ts'
import { HiddenSecret } from '../../gateway/config/secret.ts'
import { answer, config, provider } from '../helpers/make.ts'

const WAY: OAuth2 = { authorizeUrl: 'https://lantern.example/oauth/authorize', tokenUrl: 'https://api.lantern.example/oauth/token', revokeUrl: 'https://api.lantern.example/oauth/revoke', scopes: ['a', 'b'] }
const APP = { id: 'app-1.x', secret: 'se:cret&=~_-' }
const GOOD = { access_token: 'at-1', token_type: 'Bearer', expires_in: 120, refresh_token: 'rt-2', scope: 'a b' }

/** Answers all with the same; keeps what was sent. */
function calling (given: Answer): Calling & { sent: Array<PreparedRequest & { credentials: Record<string, string>, origin: string }>, warned: string[] } {
  const sent: Array<PreparedRequest & { credentials: Record<string, string>, origin: string }> = []
  const warned: string[] = []
  return {
    sent,
    warned,
    signal: new AbortController().signal,
    warn: message => { warned.push(message) },
    sender: origin => ({
      async send (request, credentials) {
        sent.push({ ...request, credentials, origin })
        return given
      },
      async close () {}
    })
  }
}

const json = (body: unknown, status = 200): Answer => answer({ status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

t.test('a refresh is a form with Basic credentials to the token endpoint, and its answer is read', async t => {
  const calls = calling(json(GOOD))
  t.strictSame(await refresh(WAY, APP, 'rt-1', calls), { is: 'tokens', tokens: { accessToken: 'at-1', refreshToken: 'rt-2', lifeMs: 120_000, scopes: ['a', 'b'] } })
  t.match(calls.sent, [{ origin: 'https://api.lantern.example', method: 'POST', path: '/oauth/token', headers: { 'content-type': /^application\/x-www-form-urlencoded/ } }])
  t.strictSame(Object.fromEntries(new URLSearchParams(calls.sent[0]?.body ?? '')), { refresh_token: 'rt-1', grant_type: 'refresh_token' })
  t.notOk(Object.hasOwn(calls.sent[0]?.headers ?? {}, 'authorization'), 'credentials travel apart')
  t.equal(Buffer.from(calls.sent[0]?.credentials['authorization']?.slice(6) ?? '', 'base64').toString(), 'app-1.x:se%3Acret%26%3D%7E_-', 'hyphens and dots stay: not every provider decodes them')
})

t.test('#49: what of an answer is taken, and what is not', async t => {
  const read = async (change: Record<string, unknown>) => await refresh(WAY, APP, 'rt-1', calling(json({ ...GOOD, ...change })))
  for (const life of [60, 31_536_000]) t.match(await read({ expires_in: life }), { is: 'tokens', tokens: { lifeMs: life * 1000 } })
  for (const life of [undefined, null, 59, 0, -5, 31_536_001, 1e12, 60.5, '120', {}, NaN]) t.match(await read({ expires_in: life }), { is: 'tokens', tokens: { lifeMs: 3_600_000 } }, String(life))
  t.match(await read({ refresh_token: undefined }), { is: 'tokens', tokens: { refreshToken: null } }, 'the one before stays')
  t.match(await read({ scope: undefined }), { is: 'tokens', tokens: { scopes: null } })
  t.match(await read({ scope: '' }), { is: 'tokens', tokens: { scopes: [] } })
  t.match(await read({ scope: ' a  c ' }), { is: 'tokens', tokens: { scopes: ['a', 'c'] } })
  for (const change of [{ token_type: 'mac' }, { token_type: 'dpop' }, { token_type: undefined }, { access_token: '' }, { access_token: 'a\nb' }, { access_token: 5 }, { access_token: 'a'.repeat(4097) }, { refresh_token: 'a b' }, { scope: ['a'] }]) {
    t.match(await read(change), { is: 'failing' }, JSON.stringify(change).slice(0, 60))
  }
  const told = calling(json({ ...GOOD, expires_in: -1 }))
  await refresh(WAY, APP, 'rt-1', told)
  t.match(told.warned, [/3600 s are assumed/])
  t.notMatch(told.warned.join(), /at-1|rt-2/)
})

t.test('only what the provider says of the grant itself ends it; our own app is the operator\'s affair; all else passes', async t => {
  const result = async (given: Answer) => await refresh(WAY, APP, 'rt-1', calling(given))
  t.match(await result(json({ error: 'invalid_grant' }, 400)), { is: 'dead', detail: 'HTTP 400 invalid_grant' })
  t.match(await result(json({ error: 'invalid_grant_type' }, 400)), { is: 'dead' })
  t.match(await result(json({ error: 'invalid_client' }, 401)), { is: 'ours' })
  t.match(await result(json({ error: 'unauthorized_client' }, 400)), { is: 'ours' })
  const html = { 'content-type': 'text/html' }
  const passing: Answer[] = [
    json({ error: 'invalid_request' }, 400), json({ error: 'server_error' }, 500), json({}, 503), json({ error: 'invalid_grant' }, 500), json([], 200), json(null, 200),
    answer({ status: 403, headers: html, body: '<h1>no</h1>' }), answer({ status: 200, headers: html, body: '<p>' }), answer({ status: 429, body: '' }), answer({ status: 204 }),
    answer({ status: 302, headers: { location: 'https://evil.example/' } }), answer({ headers: { 'content-type': 'application/json' }, body: '{', cut: false }), answer({ ...json(GOOD), cut: true } as Answer & { kind: 'answer' }),
    { kind: 'no_answer', code: 'DEADLINE', message: 'late' }, { kind: 'not_sent', code: 'ECONNREFUSED', message: 'no' }
  ]
  for (const given of passing) t.match(await result(given), { is: 'failing' }, JSON.stringify(given).slice(0, 80))
  const leaked = await result(json({ ...GOOD, token_type: 'mac' }))
  t.notMatch(JSON.stringify(leaked), /at-1|rt-2/, 'no token in what is logged')
})

t.test('#41, #46: a code is exchanged only with its state, its verifier, and no other issuer', async t => {
  const tried = async (query: string, calls = calling(json(GOOD))) => ({ ...await exchange(WAY, APP, { callback: new URLSearchParams(query), state: 's', redirectUri: 'https://gw.example/cb', verifier: 'v'.repeat(43) }, calls), sent: calls.sent })
  const { is, sent } = await tried('code=c&state=s')
  t.equal(is, 'tokens')
  t.strictSame(Object.fromEntries(new URLSearchParams(sent[0]?.body ?? '')), { redirect_uri: 'https://gw.example/cb', code: 'c', code_verifier: 'v'.repeat(43), grant_type: 'authorization_code' })
  t.match(await tried('code=c&state=s&iss=https%3A%2F%2Flantern.example'), { is: 'tokens' })
  for (const query of ['code=c', 'code=c&state=t', 'state=s', 'code=c&code=d&state=s', 'code=c&state=s&iss=https%3A%2F%2Fevil.example', 'code=c&state=s&response=x', 'code=c&state=s&error=x']) {
    t.match(await tried(query), { is: 'failing', sent: [] }, query)
  }
  t.match(await tried('code=c&state=s', calling(json({ ...GOOD, refresh_token: undefined }))), { is: 'failing', detail: 'there is no refresh token' })
})

t.test('#52: a grant is ended by its refresh token; one that is dead is ended already', async t => {
  const calls = calling(answer({ status: 200 }))
  t.equal(await revoke(WAY, APP, 'rt-1', calls), null)
  t.match(calls.sent, [{ path: '/oauth/revoke', body: 'token_type_hint=refresh_token&token=rt-1' }])
  t.equal(await revoke(WAY, APP, 'rt-1', calling(json({ error: 'invalid_grant' }, 400))), null)
  t.match(await revoke(WAY, APP, 'rt-1', calling(json({ error: 'invalid_client' }, 401))), /invalid_client/)
  t.match(await revoke(WAY, APP, 'rt-1', calling(answer({ status: 503 }))), /./)
  t.match(await revoke(WAY, APP, 'rt-1', calling({ kind: 'no_answer', code: 'DEADLINE', message: 'late' })), /DEADLINE/)
  const none = calling(answer())
  t.equal(await revoke({ ...WAY, revokeUrl: null }, APP, 'rt-1', none), null)
  t.equal(none.sent.length, 0)
})

t.test('a token is due a minute before its end, or at a tenth of its life, and never before half of it', async t => {
  const grant = (lifeMs: number) => ({ version: 1, obtainedAt: 1000, expiresAt: 1000 + lifeMs, scopes: [], brokenAt: null })
  t.strictSame([60_000, 100_000, 300_000, 3_600_000, 36_000_000].map(lifeMs => leadMs(grant(lifeMs))), [30_000, 50_000, 60_000, 360_000, 3_600_000])
  const hour = grant(3_600_000)
  t.equal(ageOf(hour, 1000 + 3_600_000 - 360_001), 'good')
  t.equal(ageOf(hour, 1000 + 3_600_000 - 360_000), 'due')
  t.equal(ageOf(hour, 1000 + 3_600_000), 'spent')
  t.equal(ageOf({ ...hour, expiresAt: 0 }, 5), 'spent', 'R60: one that ends before it began')
})

t.test('#48: words of others are cut, and hold no line of their own', async t => {
  t.equal(quoted('x'.repeat(500)).length, 200)
  t.equal(quoted('a\n\u202eb'), 'a  b')
  t.equal(quoted(['a', 'b']), '["a","b"]')
})

t.test('whether a merchant can be sent there, and what a grant lacks', async t => {
  const lantern = provider({ id: 'lantern', title: 'Lantern', auth: { oauth: { fields: ['access_token'], oauth2: WAY } } })
  const secrets = { client_id: [new HiddenSecret('id', null)], client_secret: [new HiddenSecret('new', null), new HiddenSecret('old', null)] }
  const entry = { id: 'lantern', path: '/', comingSoon: false, baseUrl: null, concurrency: null, limits: {}, options: {}, secrets, connection: null }
  t.equal(notPossible(lantern, config({ providers: [entry] }), 'https://gw.example'), null)
  t.match(notPossible(lantern, config({ providers: [entry] }), null), /server\.public_url/)
  t.match(notPossible(lantern, config({ providers: [{ ...entry, secrets: {} }] }), 'https://gw.example'), /registered no app with Lantern/)
  t.strictSame(missingScopes(lantern, { scopes: ['b', 'z'] }), ['a'])
  t.strictSame(missingScopes(lantern, null), [])
})
