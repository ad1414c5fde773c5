// /oauth/<provider>/callback: where a merchant's browser comes back from a provider that it left for at …/start. No API key is
// asked for: a ticket that the merchant's app was given opens the one, what the browser kept the other.

import { timingSafeEqual } from 'node:crypto'
import oauth2, { type OAuth2Namespace } from '@fastify/oauth2'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config, OAuth2, Provider } from '../../contract.ts'
import { GatewayError } from '../../errors.ts'
import { sentence } from '../../reasons.ts'
import type { Setup } from '../setup/setup.ts'
import type { Shops } from '../shops.ts'
import type { Tokens } from './answers.ts'
import { exchange, type App, type Calling } from './client.ts'
import { begin, finish, FLOW_MS, type Flow, type FlowOptions } from './flows.ts'
import { Expired, leavingRoutes, nameOf, type Query } from './leaving.ts'
import { page, quoted, sentOn } from './pages.ts'
import { appOf, callbackPath, wayOf } from './platform-app.ts'
import { revocationStep } from './revocations.ts'

export interface OAuthRoutesOptions extends FlowOptions {
  config: Config
  providers: ReadonlyMap<string, Provider>
  setup: Setup
  shops: Pick<Shops, 'byKey'>
  /** Lets anyone in. */
  open (scope: FastifyInstance): void
  publicUrl (): string | null
  calling (provider: string): Calling
  onError (error: unknown): void
}

const EXPIRED = 'This link has expired. Start again from your app. If you have just connected, nothing is wrong: your app shows it.'
/** Our own page sends none of them. */
const REFUSED_BODIES: ReadonlySet<string> = new Set(['FST_ERR_CTP_INVALID_MEDIA_TYPE', 'FST_ERR_CTP_BODY_TOO_LARGE', 'FST_ERR_CTP_EMPTY_JSON_BODY', 'FST_ERR_CTP_INVALID_JSON_BODY', 'FST_ERR_CTP_INVALID_CONTENT_LENGTH'])
const VERIFIER = /^[A-Za-z0-9._~-]{43,128}$/

/** A scope of its own for each provider that the platform has an app at. */
export function oauthRoutes (app: FastifyInstance, options: OAuthRoutesOptions): void {
  for (const provider of options.providers.values()) {
    const way = wayOf(provider)?.oauth2
    const client = appOf(options.config, provider.id)
    if (way === undefined || client === null || provider.comingSoon) continue
    app.register(async scope => {
      options.open(scope)
      await between(scope, { provider, way, client }, options)
    })
  }
}

interface Party { provider: Provider, way: OAuth2, client: App }

async function between (scope: FastifyInstance, { provider, way, client }: Party, options: OAuthRoutesOptions): Promise<void> {
  const https = options.config.server.publicUrl?.startsWith('https:') === true
  const prefix = https ? '__Host-' : '' // such a cookie comes from this host alone, and over https alone
  const names = { state: `${prefix}oauth2-redirect-state`, verifier: `${prefix}oauth2-code-verifier` }
  const cookie = { path: '/', secure: https, httpOnly: true, sameSite: 'lax' as const }
  const redirectUri = (): string => `${options.publicUrl()}${callbackPath(provider.id)}`
  const { origin, pathname } = new URL(way.authorizeUrl)
  const name = `oauth_${provider.id}`
  await scope.register(oauth2, {
    name,
    pkce: 'S256',
    scope: way.scopes,
    hostPrefixedCookies: https,
    cookie: { ...cookie, maxAge: FLOW_MS / 1000 },
    credentials: { client, auth: { authorizeHost: origin, authorizePath: pathname, tokenHost: new URL(way.tokenUrl).origin } },
    callbackUri: redirectUri,
    // Called with one argument, both of them: by their length the plugin tells what they return.
    generateStateFunction: async (request: FastifyRequest) => {
      const state = await begin(provider.id, (request.query as Query)['ticket'], options)
      if (state === null) throw new Expired()
      return state
    },
    checkStateFunction: async (request: FastifyRequest) => isSame((request.query as Query)['state'], request.cookies[names.state])
  })
  const redirect = scope.getDecorator<OAuth2Namespace>(name)
  const failed = (reply: FastifyReply, text: string, status = 400): FastifyReply => page(reply, status, `${provider.title} is not connected`, text)
  const forget = (reply: FastifyReply): void => { for (const one of Object.values(names)) void reply.clearCookie(one, cookie) }

  scope.setErrorHandler((error, _request, reply) => {
    if (error instanceof Expired || REFUSED_BODIES.has((error as FastifyError).code)) return page(reply, 400, 'This link is used up or too old', EXPIRED)
    if (error instanceof GatewayError && error.statusCode < 500) return failed(reply, `${error.message} Start again from your app.`)
    options.onError(error)
    return failed(reply, 'Something went wrong on our side. Start again from your app in a moment.', 503)
  })

  const { store, vault, runtime, publicUrl, shops } = options
  leavingRoutes(scope, {
    store, vault, runtime, publicUrl, provider, way,
    shop: async key => (await shops.byKey(key)).shop,
    leave: async (request, reply) => await redirect.generateAuthorizationUri(request, reply)
  })

  scope.get<{ Querystring: Query }>(callbackPath(provider.id), async (request, reply) => {
    const { query, cookies } = request
    forget(reply)
    const state = isSame(query['state'], cookies[names.state]) ? query['state'] as string : null
    const verifier = cookies[names.verifier]
    if (state === null || verifier === undefined || !VERIFIER.test(verifier)) throw new Expired()
    const flow = await finish(provider.id, state, options)
    if (flow === null) throw new Expired()
    if (query['error'] !== undefined) return failed(reply, `${provider.title} answered: ${quoted(query['error_description'] ?? query['error'])}. Start again from your app.`)
    const callback = new URLSearchParams(request.url.slice(request.url.indexOf('?') + 1))
    const granted = await exchange(way, client, { callback, state, redirectUri: redirectUri(), verifier }, options.calling(provider.id))
    if (granted.is === 'ours') options.onError(new Error(`${provider.id} refuses the platform's app: ${granted.detail}`))
    if (granted.is !== 'tokens') return failed(reply, `${granted.is === 'ours' ? sentence('platform_account_refused', provider.title) : `${provider.title} gave no access (${quoted(granted.detail)}).`} Start again from your app.`)
    const { account, reason } = await options.setup.granted({ ...flow, provider }, granted.tokens).catch(async (error: unknown) => {
      await giveUp(flow, provider, granted.tokens, options)
      throw error
    })
    if (reason !== null) return failed(reply, reason)
    if (flow.returnUrl !== null) return sentOn(reply, flow.returnUrl)
    const who = nameOf((await shops.byKey(flow.shopKey)).shop)
    return account === null
      ? page(reply, 200, `${provider.title} is being checked`, `Go back to your app: it shows the connection of ${who} in a moment.`)
      : page(reply, 200, `Connected as ${account || provider.title}`, `${who} is connected to this ${provider.title} account now. You can close this page and go back to your app.`)
  })
}

/** Nobody keeps these tokens: the grant is to end. Where they were kept all the same, the account is connected, and it does not. */
async function giveUp ({ shopKey }: Flow, { id }: Provider, { refreshToken }: Tokens, options: OAuthRoutesOptions): Promise<void> {
  const { shop } = await options.shops.byKey(shopKey)
  if (refreshToken !== null) await options.store.commit([revocationStep({ shop: shop.id, provider: id, accountId: '', refreshToken }, options)])
}

/** Takes as long whether they differ at the first character or at the last. */
function isSame (one: unknown, other: string | undefined): boolean {
  if (typeof one !== 'string' || other === undefined || one === '') return false
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
