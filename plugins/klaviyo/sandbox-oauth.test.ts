// Klaviyo's OAuth server as the sandbox plays it: what it refuses, and tokens that are good once.

import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { entry, loadOne, ROOT } from '../../test/helpers/providers.ts'
import { sandboxClient } from '../../test/helpers/sandbox-client.ts'
import type { SandboxClient, Sent } from '../../test/helpers/sandbox-client.ts'

const klaviyo = await loadOne(entry('klaviyo', import.meta.dirname))
const HEADERS = { revision: '2026-07-15', accept: 'application/vnd.api+json', 'content-type': 'application/vnd.api+json' }
const BASIC = { authorization: `Basic ${Buffer.from('client-1:secret-1').toString('base64')}` }
const BACK = 'https://gateway.example/oauth/callback?shop=acme'
const VERIFIER = 'v'.repeat(43)
const ALL = 'accounts:read events:read events:write flows:read flows:write lists:write metrics:read profiles:read profiles:write subscriptions:write'
const DESCRIPTION = join(ROOT, '../shared/reference/klaviyo.openapi.json')

interface Tokens { access_token: string, refresh_token: string, token_type: string, expires_in: number, scope: string }
interface Grants { grants: number, refreshes: number, second_uses: number, second_codes: number, revocations: number, uninstalls: number, items: Array<{ account: string, scope: string, revoked: string | null }> }

interface Api extends SandboxClient {
  clock: { now: number }
  /** The merchant allows: the code. */
  allow (form?: Record<string, string>, query?: Record<string, string | undefined>): Promise<string>
  token (form: Record<string, string>, headers?: Record<string, string | undefined>): Promise<Sent>
  redeem (code: string, change?: Record<string, string>): Promise<Sent>
  connect (form?: Record<string, string>): Promise<Tokens>
  renew (token: string): Promise<Sent>
  ask (token: string, path?: string): Promise<Sent>
  grants (): Promise<Grants>
}

async function api (t: Test): Promise<Api> {
  const clock = { now: Date.parse('2026-11-21T19:20:00Z') }
  const client = await sandboxClient(klaviyo, HEADERS, { wallNow: () => clock.now })
  t.teardown(client.close)
  const token: Api['token'] = (form, headers = {}) => client.send('POST', '/oauth/token', { form, headers: { ...BASIC, ...headers } })
  const allow: Api['allow'] = async (form = {}, query = {}) => {
    const { headers } = await client.send('POST', authorize(query), { form: { decision: 'allow', ...form } })
    return new URL(headers['location'] as string).searchParams.get('code') as string
  }
  const redeem: Api['redeem'] = (code, change = {}) => token({ grant_type: 'authorization_code', code, code_verifier: VERIFIER, redirect_uri: BACK, ...change })
  return {
    ...client,
    clock,
    allow,
    token,
    redeem,
    connect: async form => (await redeem(await allow(form))).json as Tokens,
    renew: given => token({ grant_type: 'refresh_token', refresh_token: given }),
    ask: (given, path = '/api/accounts') => client.send('GET', path, { headers: { authorization: `Bearer ${given}` } }),
    grants: () => client.inspect('grants') as Promise<Grants>
  }
}

/** The address a merchant's browser is sent to. */
function authorize (change: Record<string, string | undefined> = {}): string {
  const challenge = createHash('sha256').update(VERIFIER).digest('base64url')
  const query = { response_type: 'code', client_id: 'client-1', redirect_uri: BACK, scope: ALL, state: 'state&1', code_challenge: challenge, code_challenge_method: 'S256', ...change }
  return `/oauth/authorize?${new URLSearchParams(Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined)).toString()}`
}

t.test('a request that is not in order gets a page, and its merchant is sent nowhere (#44: PKCE with S256 always)', async t => {
  const { send } = await api(t)
  const table: Array<[string, Record<string, string | undefined>]> = [
    ['no state', { state: undefined }],
    ['an empty state', { state: '' }],
    ['no challenge', { code_challenge: undefined }],
    ['a challenge too short', { code_challenge: 'abc' }],
    ['a plain challenge', { code_challenge_method: 'plain' }],
    ['no method of the challenge', { code_challenge_method: undefined }],
    ['a token at once', { response_type: 'token' }],
    ['no response type', { response_type: undefined }],
    ['no client', { client_id: undefined }],
    ['no way back', { redirect_uri: undefined }],
    ['a way back that is no address', { redirect_uri: '/callback' }],
    ['a way back that runs code', { redirect_uri: 'javascript:alert(1)' }],
    ['a way back with a fragment', { redirect_uri: 'https://gateway.example/#x' }],
    ['no scope', { scope: undefined }],
    ['a scope that is none', { scope: 'flows:delete' }]
  ]
  for (const [name, change] of table) {
    for (const answer of [await send('GET', authorize(change)), await send('POST', authorize(change), { form: { decision: 'allow' } })]) {
      t.match(answer, { status: 400, type: 'text/html; charset=utf-8' }, name)
      t.notOk(answer.headers['location'], name)
    }
  }
  t.equal((await send('GET', `${authorize()}&state=other`)).status, 400, 'a parameter given twice')
})

t.test('the page has Allow and Deny, and shows what was sent as text', async t => {
  const { send } = await api(t)
  const page = await send('GET', authorize({ client_id: '<script>alert(1)</script>' }))
  t.equal(page.status, 200)
  t.match(page.text, /name="decision" value="allow"[^]*name="decision" value="deny"/)
  t.notMatch(page.text, '<script>')
  t.match(page.headers, { 'content-security-policy': "default-src 'none'", 'x-frame-options': 'DENY' })
  for (const form of [{ decision: 'maybe' }, { decision: 'allow', scope: 'webhooks:read' }, { decision: 'allow', account: 'too-long-1' }]) t.equal((await send('POST', authorize(), { form })).status, 400, JSON.stringify(form))
})

t.test('what a merchant decides goes back with the state', async t => {
  const { send } = await api(t)
  const allowed = await send('POST', authorize(), { form: { decision: 'allow' } })
  t.equal(allowed.status, 303)
  const { searchParams } = new URL(allowed.headers['location'] as string)
  t.strictSame([searchParams.get('shop'), searchParams.get('state'), searchParams.get('error')], ['acme', 'state&1', null])
  t.match(searchParams.get('code'), /^[A-Za-z0-9_-]{43}$/)
  const denied = await send('POST', authorize(), { form: { decision: 'deny' } })
  t.equal(denied.headers['location'], `${BACK}&error=access_denied&state=state%261`)
})

t.test('the token calls refuse what is wrong, with their status and their error (#44, #47)', async t => {
  const { token, redeem, allow, connect, clock } = await api(t)
  const { refresh_token: refresh } = await connect()
  const late = await allow()
  clock.now += 300_000
  const code = await allow()
  const renewal = { grant_type: 'refresh_token', refresh_token: refresh }
  const basic = (pair: string): { authorization: string } => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` })
  const table: Array<[string, () => Promise<Sent>, number, string]> = [
    ['no client', () => token(renewal, { authorization: undefined }), 401, 'invalid_client'],
    ['a bearer as the client', () => token(renewal, { authorization: 'Bearer x' }), 401, 'invalid_client'],
    ['a client in the body', () => token({ ...renewal, client_id: 'client-1', client_secret: 'secret-1' }, { authorization: undefined }), 401, 'invalid_client'],
    ['a wrong secret', () => token(renewal, basic('client-1:wrong')), 401, 'invalid_client'],
    ['a wrong id', () => token(renewal, basic('wrong-client:secret-1')), 401, 'invalid_client'],
    ['no secret', () => token(renewal, basic('client-1:')), 401, 'invalid_client'],
    ['a JSON body', () => token(renewal, { 'content-type': 'application/json' }), 400, 'invalid_grant_type'],
    ['a grant type of none', () => token({ grant_type: 'password' }), 400, 'invalid_grant_type'],
    ['no grant type', () => token({ refresh_token: refresh }), 400, 'invalid_grant_type'],
    ['no code', () => token({ grant_type: 'authorization_code', code_verifier: VERIFIER, redirect_uri: BACK }), 400, 'invalid_request'],
    ['a verifier of 42', () => redeem(code, { code_verifier: 'v'.repeat(42) }), 400, 'invalid_request'],
    ['a verifier of 129', () => redeem(code, { code_verifier: 'v'.repeat(129) }), 400, 'invalid_request'],
    ['a verifier with a space', () => redeem(code, { code_verifier: `${VERIFIER} ` }), 400, 'invalid_request'],
    ['another verifier', () => redeem(code, { code_verifier: 'w'.repeat(43) }), 400, 'invalid_grant'],
    ['another way back', () => redeem(code, { redirect_uri: 'https://gateway.example/oauth/callback' }), 400, 'invalid_grant'],
    ['a code that never was', () => redeem('nonsense'), 400, 'invalid_grant'],
    ['a code after five minutes', () => redeem(late), 400, 'invalid_grant'],
    ['a code of another client', () => token({ grant_type: 'authorization_code', code, code_verifier: VERIFIER, redirect_uri: BACK }, basic('client-2:secret-1')), 400, 'invalid_grant'],
    ['a refresh token that never was', () => token({ ...renewal, refresh_token: 'nonsense' }), 400, 'invalid_grant'],
    ['a refresh token of another client', () => token(renewal, basic('client-2:secret-1')), 400, 'invalid_grant'],
    ['no refresh token', () => token({ grant_type: 'refresh_token' }), 400, 'invalid_grant']
  ]
  for (const [name, asking, status, error] of table) {
    const answer = await asking()
    t.equal(answer.status, status, name)
    t.equal(answer.type, 'application/json', name)
    t.match(answer.json, { error, error_description: String }, name)
  }
  t.equal((await redeem(code)).status, 200, 'and with everything in order it is taken')
  t.equal((await token(renewal)).status, 200)
})

t.test('a code gives tokens of an account, once: a second use ends them (#45)', async t => {
  const { redeem, allow, ask, grants } = await api(t)
  const code = await allow({ account: 'ACME01' })
  const answer = await redeem(code)
  t.match(answer.headers, { 'cache-control': 'no-store' })
  const tokens = answer.json as Tokens
  t.match(tokens, { token_type: 'bearer', expires_in: 3600, scope: ALL, access_token: String, refresh_token: String })
  t.match((await ask(tokens.access_token)).json, { data: [{ id: 'ACME01' }] })
  t.match(await redeem(code), { status: 400, json: { error: 'invalid_grant' } })
  t.equal((await ask(tokens.access_token)).status, 401)
  t.match(await grants(), { grants: 1, second_codes: 1, revocations: 1, items: [{ account: 'ACME01', revoked: 'second use of its code' }] })
})

t.test('a refresh gives new tokens of both kinds; the old refresh token used again ends the grant, and is counted (R61)', async t => {
  const { connect, renew, ask, grants, inspect } = await api(t)
  const first = await connect()
  const second = (await renew(first.refresh_token)).json as Tokens
  t.not(second.refresh_token, first.refresh_token)
  t.equal((await ask(first.access_token)).status, 200, 'the old access token lives out its time')
  t.equal((await ask(second.access_token)).status, 200)
  t.match(await grants(), { refreshes: 1, second_uses: 0 })
  t.match(await renew(first.refresh_token), { status: 400, json: { error: 'invalid_grant' } })
  for (const { access_token: access } of [first, second]) t.match(await ask(access), { status: 401, json: { errors: [{ code: 'authentication_failed' }] } })
  t.equal((await renew(second.refresh_token)).status, 400)
  t.match(await grants(), { refreshes: 1, second_uses: 1, revocations: 1, items: [{ revoked: 'second use of a refresh token' }] })
  const { items } = await inspect('requests') as { items: Array<{ path: string, repeat?: boolean }> }
  t.equal(items.filter(({ path, repeat }) => path === '/oauth/token' && repeat === true).length, 1)
  t.notMatch(JSON.stringify(items), second.refresh_token, 'tokens are not among what was received')
})

t.test('an access token ends with its time, which can be set; at once where that is ordered', async t => {
  const { connect, renew, ask, order, clock } = await api(t)
  const { access_token: access, refresh_token: refresh } = await connect()
  clock.now += 3_599_999
  t.equal((await ask(access)).status, 200)
  clock.now += 1
  t.match(await ask(access), { status: 401, json: { errors: [{ code: 'authentication_failed', detail: 'The access token has expired.' }] } })
  await order('token_lifetime', { seconds: 60 })
  const next = (await renew(refresh)).json as Tokens
  t.equal(next.expires_in, 60)
  t.match((await order('expiries', {})).json, { expired: 1 })
  t.equal((await ask(next.access_token)).status, 401)
  t.equal((await renew(next.refresh_token)).status, 200, 'the grant stays')
})

t.test('a revoked or uninstalled app has no grant any more: 401 to its calls, invalid_grant to its refresh', async t => {
  const { connect, renew, ask, order, send, grants } = await api(t)
  const one = await connect({ account: 'ACME01' })
  const two = await connect({ account: 'ACME01' })
  const other = await connect({ account: 'ACME02' })
  const revoke = (token: string, headers: Record<string, string> = BASIC): Promise<Sent> => send('POST', '/oauth/revoke', { form: { token, token_type_hint: 'refresh_token' }, headers })
  t.match(await revoke(one.refresh_token, { authorization: 'Basic wrong' }), { status: 401, json: { error: 'invalid_client' } })
  t.match(await revoke(one.refresh_token), { status: 200, text: '' }, 'without JSON')
  t.equal((await ask(one.access_token)).status, 401)
  t.match(await renew(one.refresh_token), { status: 400, json: { error: 'invalid_grant' } })
  t.equal((await revoke('nonsense')).status, 200, 'a token that is none is revoked already')
  t.match((await order('uninstalls', { account: 'ACME01' })).json, { revoked: 1 })
  t.equal((await ask(two.access_token)).status, 401)
  t.match(await renew(two.refresh_token), { status: 400, json: { error: 'invalid_grant' } })
  t.equal((await ask(other.access_token)).status, 200)
  t.match(await grants(), { grants: 3, revocations: 2, uninstalls: 1, second_uses: 0 })
})

t.test('events that come by a grant make metrics of the app, not of the API', async t => {
  const { connect, send, order } = await api(t)
  await order('listing_delay', { ms: 0 })
  const { access_token: access } = await connect()
  const headers = { authorization: `Bearer ${access}` }
  await send('POST', '/api/events', { headers, value: { data: { type: 'event', attributes: { properties: {}, metric: { data: { type: 'metric', attributes: { name: 'M' } } }, profile: { data: { type: 'profile', attributes: { external_id: '1' } } } } } } })
  const listed = async (name: string): Promise<unknown[]> => ((await send('GET', `/api/metrics?filter=equals(integration.name,"${name}")`, { headers })).json as { data: unknown[] }).data
  t.equal((await listed('STOQ')).length, 1)
  t.equal((await listed('API')).length, 0)
})

t.test('each call needs the scopes that Klaviyo documents, and no others', { skip: existsSync(DESCRIPTION) ? false : 'its description is not here' }, async t => {
  const { paths } = JSON.parse(readFileSync(DESCRIPTION, 'utf8')) as { paths: Record<string, Record<string, { 'x-klaviyo-scopes': string[] }>> }
  const { connect, send } = await api(t)
  for (const { match } of Object.values(klaviyo.groups)) {
    const { method, path } = match[0] as { method: string, path: string }
    const needed = paths[path]?.[method.toLowerCase()]?.['x-klaviyo-scopes'] as string[]
    const asked = async (scope: string): Promise<Sent> => {
      const { access_token: access } = await connect({ scope })
      return send(method, path.replace('{id}', 'NOSUCH'), { headers: { authorization: `Bearer ${access}` }, ...(['POST', 'PATCH'].includes(method) && { value: {} }) })
    }
    t.not((await asked(needed.join(' '))).status, 403, `${method} ${path} with ${needed.join(' ')}`)
    for (const scope of needed) {
      const others = ALL.split(' ').filter(one => one !== scope).join(' ')
      t.match(await asked(others), { status: 403, json: { errors: [{ code: 'permission_denied', detail: new RegExp(scope) }] } }, `${method} ${path} without ${scope}`)
    }
  }
})

t.test('orders are read strictly', async t => {
  const { order, token, connect, send } = await api(t)
  for (const [what, value] of [['token_lifetime', { seconds: 0 }], ['token_lifetime', {}], ['listing_delay', { ms: '1' }], ['uninstalls', {}], ['expiries', { acount: 'ACME01' }]] as const) t.equal((await order(what, value)).status, 400, what)
  const { refresh_token: refresh } = await connect()
  await order('faults', { kind: 'status', status: 403, times: 1, headers: { 'content-type': 'text/html' }, body: '<h1>Blocked</h1>', match: { method: 'POST', path: '/oauth/token' } })
  t.match(await token({ grant_type: 'refresh_token', refresh_token: refresh }), { status: 403, type: 'text/html', text: '<h1>Blocked</h1>' }, 'a guard in front is ordered like other faults')
  t.equal((await token({ grant_type: 'refresh_token', refresh_token: refresh })).status, 200, 'and used nothing up')
  t.equal((await send('GET', '/oauth/token')).status, 404)
})
