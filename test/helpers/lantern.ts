// "lantern", a provider made for the tests that merchants allow in the browser. Its OAuth server gives refresh tokens that are good
// once, and ends the whole grant at a second use. What else it does is ordered; what happened there can be asked for.

import { join } from 'node:path'
import type { Test } from 'tap'
import { request } from 'undici'
import { CONFIG, makeApp, type Answered, type App, type AppOptions, type Body } from './app.ts'
import type { Folder } from './made-providers.ts'
import { writeFolder } from './providers.ts'
import { type SetupView, SHOP } from './setup.ts'
import type { Teardown } from './tmp.ts'

export const LANTERN_ENTRY = '  lantern: { path: providers/lantern, secrets: { client_id: { env: LANTERN_ID }, client_secret: { env: LANTERN_SECRET } } }\n'
export const LANTERN_ENV = { LANTERN_ID: 'lantern-app.0123456789', LANTERN_SECRET: 'lantern-secret_0123456789~' }
export const SCOPES = ['me:read', 'messages:write', 'flows:write']
const TYPES = ['back_in_stock.alert', 'back_in_stock.reminder', 'preorder.confirmed']

export const LANTERN_MANIFEST = `contract: 1
id: lantern
title: Lantern
channels: [sms]
needs: [external_sms]
base_url: https://api.lantern.example
auth:
  key: { headers: { authorization: "Key {{ secret.api_key }}" } }
  oauth:
    headers: { authorization: "Bearer {{ secret.access_token }}" }
    oauth2:
      authorize_url: https://lantern.example/oauth/authorize
      token_url: https://api.lantern.example/oauth/token
      revoke_url: https://api.lantern.example/oauth/revoke
      scopes: [${SCOPES.join(', ')}]
headers: { accept: application/json }
limits:
  all: { match: [GET /me, POST /messages], windows: [{ max: 1000, per: 1s }] }
requests:
  me: { method: GET, path: /me }
  message: { method: POST, path: /messages, body: mapping/message.yaml }
uncertain: repeat
events:
${TYPES.map(type => `  ${type}: { request: message, map: { name: ${type} } }`).join('\n')}
setup:
  - { id: allow, kind: oauth2, title: Connect Lantern, text: Allow the app., auth: oauth, check: { request: me, expect: { status: 200 }, save: { account_id: /id, account_name: /name } }, says: { credentials_refused: Lantern takes our access no more. } }
  - { id: key, kind: api_key, title: Key, text: Paste it., auth: key, fields: { api_key: { label: Key } }, check: { request: me, expect: { status: 200 }, save: { account_id: /id } } }
  - { id: ready, kind: confirm, needs: [allow], title: Ready, text: Say so. }
`

export const LANTERN: Folder = {
  'provider.yaml': LANTERN_MANIFEST,
  'mapping/message.yaml': 'key: "{{ delivery.key }}"\nname: "{{ map.name }}"\n',
  'setup.md': '# Send through Lantern\n',
  'sandbox.ts': `import { createHash, randomBytes } from 'node:crypto'
const here = {
  account: 'one', lifetime: 3600, granted: null, answer: {}, rotate: true, down: null, refuseApp: false, refuseTokens: false, endsAll: false, revokeSlowMs: 0, meDown: null, meSlowMs: 0,
  codes: new Map(), access: new Map(), refresh: new Map(), grants: [], asked: [],
  counts: { exchanges: 0, refreshes: 0, second_uses: 0, second_codes: 0, dead_uses: 0, revocations: 0, revoke_calls: 0 }
}
const token = () => randomBytes(24).toString('base64url')
const form = body => Object.fromEntries(new URLSearchParams(String(body)))
const json = body => { try { return JSON.parse(String(body)) } catch { return undefined } }

export default function lantern (app, context) {
  const tokensOf = grant => {
    const [access, refresh] = [token(), token()]
    here.access.set(access, { grant, endsAt: context.wallNow() + here.lifetime * 1000 })
    if (here.rotate) here.refresh.set(refresh, { grant, used: false })
    const all = { access_token: access, token_type: 'Bearer', expires_in: here.lifetime, refresh_token: refresh, scope: grant.scopes.join(' '), ...here.answer }
    if (!here.rotate) delete all.refresh_token
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null))
  }
  const fail = (reply, status, error) => reply.code(status).header('content-type', 'application/json').send(JSON.stringify({ error }))

  app.get('/oauth/authorize', (request, reply) => {
    const query = request.query
    here.asked.push(query)
    const code = token()
    here.codes.set(code, { query, used: null })
    return reply.code(303).header('location', query.redirect_uri + '?code=' + code + '&state=' + query.state).send()
  })
  app.post('/oauth/token', async (request, reply) => {
    const given = form(request.body)
    const { down } = here
    if (given.grant_type === 'refresh_token') here.counts.refreshes++
    else here.counts.exchanges++
    if (down === 'html') return reply.code(403).header('content-type', 'text/html').send('<h1>no</h1>')
    if (down === 'slow' || down === 'late') { await new Promise(resolve => { setTimeout(resolve, here.slowMs) }) }
    if (down === 'late') return reply.code(503).send({ error: 'server_error' })
    if (typeof down === 'number') return reply.code(down).send({ error: 'server_error' })
    const basic = 'Basic ' + Buffer.from('${LANTERN_ENV.LANTERN_ID}:' + encodeURIComponent('${LANTERN_ENV.LANTERN_SECRET}').replace('~', '%7E')).toString('base64')
    if (here.refuseApp || request.headers.authorization !== basic) return reply.header('www-authenticate', 'Basic') && fail(reply, 401, 'invalid_client')
    if (given.grant_type === 'authorization_code') {
      const asked = here.codes.get(given.code)
      if (!asked) return fail(reply, 400, 'invalid_grant')
      if (asked.used) { here.counts.second_codes++; asked.used.revoked = true; return fail(reply, 400, 'invalid_grant') }
      const challenge = createHash('sha256').update(given.code_verifier ?? '').digest('base64url')
      if (challenge !== asked.query.code_challenge || asked.query.code_challenge_method !== 'S256' || given.redirect_uri !== asked.query.redirect_uri) return fail(reply, 400, 'invalid_grant')
      asked.used = { account: here.account, scopes: here.granted ?? asked.query.scope.split(' '), revoked: false }
      here.grants.push(asked.used)
      return tokensOf(asked.used)
    }
    const known = here.refresh.get(given.refresh_token)
    if (!known) return fail(reply, 400, 'invalid_grant')
    if (known.used) { here.counts.second_uses++; known.grant.revoked = true; return fail(reply, 400, 'invalid_grant') }
    if (known.grant.revoked) { here.counts.dead_uses++; return fail(reply, 400, 'invalid_grant') }
    if (here.rotate) known.used = true
    if (down === 'lost') { tokensOf(known.grant); return reply.raw.destroy() }
    return tokensOf(known.grant)
  })
  app.post('/oauth/revoke', async (request, reply) => {
    here.counts.revoke_calls++
    if (here.revokeSlowMs > 0) await new Promise(resolve => { setTimeout(resolve, here.revokeSlowMs) })
    if (typeof here.down === 'number') return reply.code(here.down).send({ error: 'server_error' })
    const known = here.refresh.get(form(request.body).token)
    const ended = here.grants.filter(grant => !grant.revoked && known && (grant === known.grant || (here.endsAll && grant.account === known.grant.account)))
    for (const grant of ended) { grant.revoked = true; here.counts.revocations++ }
    return reply.code(200).send()
  })
  const caller = request => {
    const [, kind, secret] = /^(Bearer|Key) (.+)$/.exec(request.headers.authorization ?? '') ?? []
    if (kind === 'Key') return 'keyed'
    const known = here.access.get(secret)
    return here.refuseTokens || !known || known.grant.revoked || context.wallNow() >= known.endsAt ? null : known.grant.account
  }
  const served = (method, path, status, then) => app.route({ method, url: path, handler: async (request, reply) => {
    if (path === '/me' && here.meSlowMs > 0) await new Promise(resolve => { setTimeout(resolve, here.meSlowMs) })
    if (path === '/me' && here.meDown !== null) return reply.code(here.meDown).send({ error: 'down' })
    const account = caller(request)
    const body = json(request.body) ?? null
    context.record({ account: account ?? 'nobody', method, path, body, status: account === null ? 401 : status, ...(account !== null && body?.key && { key: body.key }) })
    return account === null ? reply.code(401).send({ error: 'who is that?' }) : reply.code(status).send(then(account))
  } })
  served('GET', '/me', 200, account => ({ id: 'ID-' + account, name: 'Shop ' + account }))
  served('POST', '/messages', 202, () => ({}))
  app.post('/_sandbox/world', async request => {
    const { expire, uninstall, ...changes } = json(request.body)
    Object.assign(here, changes)
    if (uninstall) for (const grant of here.grants) grant.revoked = true
    if (expire) for (const one of here.access.values()) one.endsAt = 0
    return {}
  })
  app.get('/_sandbox/seen', async () => ({ ...here.counts, live: here.grants.filter(({ revoked }) => !revoked).length, asked: here.asked }))
}
`
}

export interface World {
  account?: string
  lifetime?: number
  /** Scopes of grants from now on; null: as asked for. */
  granted?: string[] | null
  /** Members of answers with tokens that are otherwise; null leaves one out. */
  answer?: Record<string, unknown>
  rotate?: boolean
  /** The token endpoint: answers so; slowly, but right; too late, and wrong; not at all, after it has acted. */
  down?: number | 'html' | 'slow' | 'late' | 'lost' | null
  slowMs?: number
  refuseApp?: boolean
  refuseTokens?: boolean
  /** One token that is revoked ends all grants of its account. */
  endsAll?: boolean
  revokeSlowMs?: number
  /** What GET /me answers, in place of whose the token is. */
  meDown?: number | null
  meSlowMs?: number
  /** Ends all access tokens now. */
  expire?: boolean
  /** Ends all grants now. */
  uninstall?: boolean
}

export interface Seen { exchanges: number, refreshes: number, second_uses: number, second_codes: number, dead_uses: number, revocations: number, revoke_calls: number, live: number, asked: Array<Record<string, string>> }

export function lanternConfig (change: (config: string) => string = config => config): string {
  return change(CONFIG.replace('providers:\n', `providers:\n${LANTERN_ENTRY}`))
}

/** A gateway with lantern in its folder, not started yet. */
export function makeLanternApp (t: Teardown, options: AppOptions & { manifest?: (text: string) => string } = {}): App {
  const { manifest = text => text, ...more } = options
  const app = makeApp(t, { config: lanternConfig(), ...more, env: { ...LANTERN_ENV, ...more.env } })
  writeFolder(join(app.dir, 'providers', 'lantern'), { ...LANTERN, 'provider.yaml': manifest(LANTERN_MANIFEST) })
  return app
}

export async function startLanternApp (t: Teardown, options: Parameters<typeof makeLanternApp>[1] = {}): Promise<App> {
  const app = makeLanternApp(t, options)
  await app.start()
  return app
}

const sandbox = (app: Pick<App, 'sandboxUrl'>): string => `${app.sandboxUrl}/lantern/_sandbox`

/** What lantern does from now on. */
export async function order (app: Pick<App, 'sandboxUrl'>, changes: World): Promise<void> {
  await (await request(`${sandbox(app)}/world`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(changes) })).body.dump()
}

export async function seen (app: Pick<App, 'sandboxUrl'>): Promise<Seen> {
  return await (await request(`${sandbox(app)}/seen`)).body.json() as Seen
}

/** An answer to a browser, and the cookies it keeps. */
export interface Page { status: number, headers: Record<string, string | string[] | undefined>, text: string, location: string }

/** A merchant's browser: follows nothing by itself and keeps cookies of one host. */
export class Browser {
  readonly cookies = new Map<string, string>()

  get (url: string, headers: Record<string, string> = {}): Promise<Page> { return this.#ask('GET', url, headers) }

  /** A form without fields, as a page of this very address sends it; other headers make it another's. */
  post (url: string, headers: Record<string, string> = { origin: new URL(url).origin, 'sec-fetch-site': 'same-origin' }): Promise<Page> {
    return this.#ask('POST', url, { 'content-type': 'application/x-www-form-urlencoded', ...headers })
  }

  /** Reads the page of a link and presses its button. What is not that page is given as it is. */
  async leave (url: string): Promise<Page> {
    const page = await this.get(url)
    return page.text.includes('<form method="post">') ? await this.post(url) : page
  }

  async #ask (method: 'GET' | 'POST', url: string, headers: Record<string, string>): Promise<Page> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await request(url, { method, headers: { ...(cookie !== '' && { cookie }), ...headers } })
    for (const line of [response.headers['set-cookie'] ?? []].flat()) this.#keep(line)
    return { status: response.statusCode, headers: response.headers, text: await response.body.text(), location: String(response.headers['location'] ?? '') }
  }

  #keep (line: string): void {
    const [pair = '', ...rest] = line.split('; ')
    const [name = '', value = ''] = pair.split('=')
    if (rest.some(one => /^max-age=0$|^expires=thu, 01 jan 1970/i.test(one)) || value === '') this.cookies.delete(name)
    else this.cookies.set(name, value)
  }
}

export type Started = Answered & { body: SetupView & { authorize: { url: string, expires_at: string } } }

/** Who can be asked over HTTP. */
export type Asks = Pick<App, 'ask'>

/** The merchant's app asks for a link. */
export async function link (app: Asks, { shop = SHOP, provider = 'lantern', step = 'allow', body = {} }: { shop?: string, provider?: string, step?: string, body?: object } = {}): Promise<Started> {
  return await app.ask('POST', `/v1/shops/${shop}/providers/${provider}/setup/${step}/connect`, { body }) as Started
}

/** From a link to where the provider sends the browser back to. */
export async function allowed (browser: Browser, url: string): Promise<string> {
  const there = await browser.leave(url)
  if (there.status !== 303) throw new Error(`the link answered ${there.status}: ${there.text}`)
  return (await new Browser().get(there.location)).location
}

/** All of it. */
export async function connect (app: Asks, { shop = SHOP, ready = true }: { shop?: string, ready?: boolean } = {}): Promise<Page> {
  const browser = new Browser()
  const started = await link(app, { shop })
  if (started.status !== 200) throw new Error(JSON.stringify(started.body))
  const back = await browser.get(await allowed(browser, started.body.authorize.url))
  if (ready) await app.ask('POST', `/v1/shops/${shop}/providers/lantern/setup/ready/confirm`, { body: {} })
  return back
}

/** Shops send through lantern from now on. */
export async function choose (app: Asks, shop = SHOP): Promise<void> {
  await app.ask('PUT', `/v1/shops/${shop}/channels/sms`, { body: { provider: 'lantern' } })
}

export async function connectionOf (app: Asks, shop = SHOP): Promise<Body> {
  return (await app.ask('GET', `/v1/shops/${shop}/providers/lantern`)).body.connection as Body
}

/** No page of ours tells anybody else anything, runs anything or is kept. */
export function harmless (t: Test, { headers }: Page, referrer: 'no-referrer' | 'same-origin' = 'no-referrer'): void {
  t.match(headers, { 'referrer-policy': referrer, 'cache-control': 'no-store', 'content-security-policy': /default-src 'none'/, 'x-content-type-options': 'nosniff' })
}

/** A refusal in words, on such a page. */
export function refused (t: Test, page: Page, text: RegExp, name: string): void {
  t.equal(page.status, 400, name)
  t.match(page.text, text, name)
  harmless(t, page)
}
