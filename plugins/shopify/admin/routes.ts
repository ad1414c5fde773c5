// /v1/shops/{shop}/shopify/…: the access that a shop gave, a customer's consent, and the subscriptions.

import type { FastifyInstance } from 'fastify'
import { GatewayError } from '../../../gateway/errors.ts'
import type { Row, SourceContext, SourceShop, Step } from '../../../gateway/define.ts'
import { sealedOf, type Given } from './access.ts'
import { baseOf } from './address.ts'
import { customerConsent } from './consent.ts'
import type { Fault } from './judge.ts'
import type { AdminOptions } from './options.ts'
import { jobKey } from './shops.ts'
import { addressOf, keepsThem, SCOPES, TOPICS } from './subscriptions.ts'

const TOKEN = { type: 'string', minLength: 8, maxLength: 4000, pattern: '^[!-~]+$' } as const
const ACCESS = {
  body: {
    type: 'object',
    additionalProperties: false,
    required: ['access_token'],
    properties: { access_token: TOKEN, refresh_token: TOKEN, expires_at: { type: 'string', maxLength: 40, pattern: '^\\d{4}-\\d\\d-\\d\\d[Tt]\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?([Zz]|[+-]\\d\\d:\\d\\d)$' }, scopes: { type: 'string', maxLength: 4000 } }
  }
} as const
const NO_BODY = { body: { anyOf: [{ type: 'null' }, { type: 'object', additionalProperties: false, properties: {} }] } } as const

interface AccessBody { access_token: string, refresh_token?: string, expires_at?: string, scopes?: string }

export function adminRoutes (app: FastifyInstance, context: SourceContext): void {
  const [read, write] = [{ config: { scope: 'shops:read' as const } }, { config: { scope: 'shops:write' as const } }]

  app.get('/access', read, async request => await accessView(context, context.shopOf(request)))

  app.put<{ Body: AccessBody }>('/access', { ...write, schema: ACCESS }, async request => {
    const shop = context.shopOf(request)
    const given = givenIn(context, shop, request.body)
    await context.commit([
      { name: 'shopify_give_access', params: { shop_key: shop.key, ...sealedOf(context, shop, given), given_at: context.now() } },
      ...begin(context, shop),
      context.audit({ actor: context.callerOf(request), action: 'shopify.access_given', shop: shop.id, subject: null })
    ])
    context.look()
    return await accessView(context, shop)
  })

  app.delete('/access', { ...write, schema: NO_BODY }, async (request, reply) => {
    const shop = context.shopOf(request)
    await context.commit([
      { name: 'shopify_forget_access', params: { shop_key: shop.key } },
      context.audit({ actor: context.callerOf(request), action: 'shopify.access_forgotten', shop: shop.id, subject: null })
    ])
    return reply.code(204).send()
  })

  app.get<{ Params: { id: string } }>('/customers/:id/consent', read, async request => {
    const { id } = request.params
    const found = await customerConsent(context, context.shopOf(request), id)
    if (found.is === 'failed') throw errorOf(found.fault)
    if (found.consent === null) throw new GatewayError('GW_NOT_FOUND', 'The shop has no such customer.')
    const { state, level, at } = found.consent
    return { customer: id, state, level, updated_at: timeOrNull(at) }
  })

  app.get('/subscriptions', read, async request => await subscriptionsView(context, context.shopOf(request)))

  app.post('/subscriptions/check', { ...write, schema: NO_BODY }, async (request, reply) => {
    const shop = context.shopOf(request)
    const { connected, text } = await accessView(context, shop)
    if (!connected) throw new GatewayError('GW_CONFLICT', text)
    await context.commit([context.job('shopify_subscriptions', jobKey(shop.key), context.now())])
    context.look()
    return reply.code(202).send(await subscriptionsView(context, shop))
  })
}

/** What follows from a new token: the shop is looked at, and its stock is read. */
function begin (context: SourceContext, shop: SourceShop): Step[] {
  return [context.job('shopify_subscriptions', jobKey(shop.key), context.now()), context.job('shopify_reconcile', jobKey(shop.key), context.now(), { background: true })]
}

function givenIn (context: SourceContext, shop: SourceShop, { access_token, refresh_token, expires_at, scopes }: AccessBody): Given {
  const expiresAt = expires_at === undefined ? null : Date.parse(expires_at)
  const wrong = (path: string, rule: string, message: string): GatewayError => new GatewayError('GW_REQUEST_INVALID', message, { details: [{ path, rule, message }] })
  if (baseOf(context, shop) === null) throw new GatewayError('GW_CONFLICT', `The shop's id is "${shop.id}", and no ….myshopify.com domain: Shopify cannot be asked about it.`)
  if (Number.isNaN(expiresAt)) throw wrong('/expires_at', 'format', 'expires_at is no time that exists')
  if (expiresAt !== null && expiresAt <= context.now() && refresh_token === undefined) throw wrong('/expires_at', 'minimum', 'expires_at has passed, and there is no refresh_token')
  if (refresh_token !== undefined && (context.options as unknown as AdminOptions).client_id === undefined) throw new GatewayError('GW_CONFLICT', 'sources.shopify.options.client_id is not set: without it the refresh_token cannot be used.')
  return { access_token, ...(refresh_token !== undefined && { refresh_token }), expiresAt, scopes: scopes?.split(/[\s,]+/).filter(scope => scope !== '').join(' ') ?? null }
}

interface AccessView {
  connected: boolean
  /** none, connected, paused or reconnect. */
  state: string
  /** What to do, or that nothing is. */
  text: string
  [more: string]: unknown
}

async function accessView (context: SourceContext, { key }: SourceShop): Promise<AccessView> {
  const [row] = await context.read('shopify_access', { shop_key: key })
  if (row === undefined) return { connected: false, state: 'none', text: 'No access token was given.' }
  const state = row.standing === 'paused' && Number(row.resume_at) <= context.now() ? 'connected' : String(row.standing)
  const scopes = row.scopes === null ? null : String(row.scopes).split(' ').filter(scope => scope !== '')
  const missing = scopes === null ? [] : SCOPES.filter(scope => !scopes.includes(scope) && !scopes.includes(scope.replace('read_', 'write_')))
  return {
    connected: state !== 'reconnect',
    state,
    text: row.error_text === null ? missing.length === 0 ? 'Shopify is asked with the token.' : `The app lacks scopes: ${missing.join(', ')}.` : String(row.error_text),
    error: row.error,
    error_at: timeOrNull(row.error_at),
    asked_again_at: state === 'paused' ? timeOrNull(row.resume_at) : null,
    scopes,
    scopes_missing: missing,
    since: timeOrNull(row.given_at),
    expires_at: timeOrNull(row.expires_at),
    refreshed_at: timeOrNull(row.refreshed_at)
  }
}

async function subscriptionsView (context: SourceContext, { key }: SourceShop): Promise<object> {
  const kept = keepsThem(context)
  const rows = new Map((await context.read('shopify_subscriptions_of', { shop_key: key })).map(row => [String(row.topic), row]))
  const address = addressOf(context)
  return {
    managed_by: kept ? 'api' : 'app',
    address,
    text: !kept ? 'The app\'s configuration file keeps the subscriptions.' : address === null ? 'server.public_url is not set: nobody could reach the gateway, and nothing is subscribed to.' : 'They are looked at once a day.',
    items: kept ? TOPICS.map(topic => itemOf(topic, rows.get(topic))) : []
  }
}

function itemOf (topic: string, row: Row | undefined): object {
  return { topic, state: row?.standing ?? 'unknown', id: row?.id ?? null, detail: row?.detail ?? null, checked_at: timeOrNull(row?.checked_at ?? null) }
}

/** What somebody must do first is a conflict; the rest is to be asked again. */
function errorOf ({ next, text }: Fault): GatewayError {
  return new GatewayError(next === 'later' ? 'GW_BUSY' : 'GW_CONFLICT', text)
}

function timeOrNull (at: unknown): string | null { return at === null || at === undefined ? null : new Date(Number(at)).toISOString() }
