// By what a shop's Admin API is asked: kept sealed, renewed before it ends, by one instance at a time, and given up when
// the shop refuses it.

import type { Row, SourceContext, SourceShop } from '../../../gateway/define.ts'
import { isObject, parseJson, textOf } from '../body.ts'
import { baseOf } from './address.ts'
import { fault, judge, type Fault } from './judge.ts'
import type { AdminOptions } from './options.ts'

const MINUTE_MS = 60_000
/** It is renewed this long before it ends. */
const LEAD_MS = 5 * MINUTE_MS
/** So long one instance has for it; after a failure nobody tries before the pause is over. */
const CLAIM_MS = 60_000
const PAUSE_MS = 10_000
/** How often it is looked whether another instance has it, and how long that is waited for. */
const LOOK_MS = 100
const LOOKS = 50
const TOKEN_CHARS = 4000

export interface Tokens { access_token: string, refresh_token?: string }
export interface Given extends Tokens { expiresAt: number | null, scopes: string | null }

/** What goes along with a question. `grantNo`: what is found out about it is said of this one alone. */
export interface Credentials { token: string, grantNo: number, /** It can be renewed. */ renewable: boolean, /** Something was the matter with it when it was read. */ error: string | null }

export type Got = { ok: true, credentials: Credentials } | { ok: false, fault: Fault }

export interface Access {
  /** What may be asked with, renewed where it is about to end. */
  get (shop: SourceShop): Promise<Got>
  /** The shop refused it: another one, or why there is none. */
  renew (shop: SourceShop, refused: number): Promise<Got>
  /** What was found out about a token; of one that was replaced meanwhile it says nothing. */
  failed (shop: SourceShop, grantNo: number, fault: Fault): Promise<void>
  worked (shop: SourceShop, grantNo: number): Promise<void>
}

const NOT_CONNECTED = fault('not_connected', 'reconnect', 0, 'The gateway has no access token of this shop: PUT /v1/shops/{shop}/shopify/access.')
const ENDED = fault('token_ended', 'reconnect', 0, 'The access token has ended, and there is no refresh token. Give the gateway a new one.')
const REFRESH_REFUSED = fault('token_refused', 'reconnect', 0, 'Shopify refuses the refresh token: it ended, or was replaced elsewhere. Give the gateway a new one.')

export const placeOf = (shop: Pick<SourceShop, 'id'>): string => `${shop.id} shopify access`

type Sleep = (ms: number) => Promise<unknown>

export function access (context: SourceContext, sleep: Sleep): Access {
  const renewing = new Map<number, Promise<Got>>()
  const rowOf = async ({ key }: SourceShop): Promise<Row | undefined> => (await context.read('shopify_access', { shop_key: key }))[0]

  /** Callers of the same moment share one. */
  function renewOnce (shop: SourceShop, row: Row): Promise<Got> {
    const there = renewing.get(shop.key)
    if (there !== undefined) return there
    const made = renewed(context, shop, row, sleep).finally(() => { renewing.delete(shop.key) })
    renewing.set(shop.key, made)
    return made
  }

  return {
    async get (shop) {
      const row = await rowOf(shop)
      const got = standingOf(context, shop, row)
      if (!got.ok || row === undefined || row.expires_at === null || Number(row.expires_at) - context.now() > LEAD_MS) return got
      const good = Number(row.expires_at) > context.now()
      if (!got.credentials.renewable) return good ? got : await givenUp(context, shop, row, ENDED)
      if (good && Number(row.refreshing_until ?? 0) > context.now()) return got // it is being renewed, or was not to be had: good for some minutes yet
      const next = await renewOnce(shop, row)
      return next.ok || !good || next.fault.next === 'reconnect' ? next : got
    },
    async renew (shop, refused) {
      const row = await rowOf(shop)
      const got = standingOf(context, shop, row)
      if (!got.ok || row === undefined || got.credentials.grantNo !== refused) return got
      return await renewOnce(shop, row)
    },
    failed: (shop, grantNo, why) => failed(context, shop, grantNo, why),
    async worked ({ key }, grantNo) { await context.commit([{ name: 'shopify_worked', params: { shop_key: key, grant_no: grantNo } }]) }
  }
}

/** What a row allows just now. */
function standingOf (context: SourceContext, shop: SourceShop, row: Row | undefined): Got {
  if (row === undefined) return { ok: false, fault: NOT_CONNECTED }
  const code = String(row.error ?? 'token_refused') as Fault['code']
  if (row.standing === 'reconnect') return { ok: false, fault: fault(code, 'reconnect', 0, String(row.error_text)) }
  const restMs = Number(row.resume_at ?? 0) - context.now()
  if (row.standing === 'paused' && restMs > 0) return { ok: false, fault: fault(code, 'pause', restMs, String(row.error_text)) }
  const tokens = opened(context, shop, row)
  if (tokens === null) return { ok: false, fault: fault('not_connected', 'reconnect', 0, 'The access token cannot be opened: the key that sealed it is gone from security.encryption_keys. Give the gateway a new token.') }
  return { ok: true, credentials: { token: tokens.access_token, grantNo: Number(row.grant_no), renewable: tokens.refresh_token !== undefined, error: row.error as string | null } }
}

function opened (context: SourceContext, shop: SourceShop, row: Row): Tokens | null {
  const text = context.open({ key_id: String(row.key_id), version: Number(row.version), sealed: row.sealed as Uint8Array }, placeOf(shop))
  return text === null ? null : JSON.parse(text) as Tokens
}

async function failed (context: SourceContext, { key, id }: SourceShop, grantNo: number, { code, text, next, afterMs }: Fault): Promise<void> {
  const now = context.now()
  const standing = next === 'reconnect' ? 'reconnect' : next === 'pause' ? 'paused' : 'connected'
  await context.commit([{ name: 'shopify_failed', params: { shop_key: key, grant_no: grantNo, standing, error: code, error_text: text, error_at: now, resume_at: next === 'pause' ? now + afterMs : null } }])
  if (next === 'reconnect') context.warn({ shop: id, code }, text)
}

async function givenUp (context: SourceContext, shop: SourceShop, row: Row, why: Fault): Promise<Got> {
  await failed(context, shop, Number(row.grant_no), why)
  return { ok: false, fault: why }
}

/** By the instance that claims it; the others wait for what it got. */
async function renewed (context: SourceContext, shop: SourceShop, row: Row, sleep: Sleep): Promise<Got> {
  const grantNo = Number(row.grant_no)
  const refreshToken = opened(context, shop, row)?.refresh_token
  if (refreshToken === undefined) return await givenUp(context, shop, row, fault('token_refused', 'reconnect', 0, 'Shopify refuses the access token, and there is no refresh token. Give the gateway a new one.'))
  const now = context.now()
  const [claim] = await context.commit([{ name: 'shopify_claim_refresh', params: { shop_key: shop.key, grant_no: grantNo, now, refreshing_until: now + CLAIM_MS } }])
  if (claim?.changes !== 1) return await othersGot(context, shop, grantNo, sleep)
  const answered = await asked(context, shop, refreshToken)
  if (!answered.ok) {
    const { fault: why } = answered
    if (why.next === 'reconnect') return await givenUp(context, shop, row, why)
    const at = context.now()
    await context.commit([{ name: 'shopify_refresh_failed', params: { shop_key: shop.key, grant_no: grantNo, refreshing_until: at + PAUSE_MS, error: why.code, error_text: why.text, error_at: at } }])
    return answered
  }
  await context.commit([{ name: 'shopify_refreshed', params: { shop_key: shop.key, grant_no: grantNo, ...sealedOf(context, shop, answered.given), refreshed_at: context.now() } }])
  return standingOf(context, shop, (await context.read('shopify_access', { shop_key: shop.key }))[0])
}

/** Columns of what is kept. */
export function sealedOf (context: SourceContext, shop: SourceShop, { access_token, refresh_token, expiresAt, scopes }: Given): Record<'key_id' | 'version' | 'sealed' | 'scopes' | 'expires_at', string | number | null | Uint8Array> {
  const tokens: Tokens = { access_token, ...(refresh_token !== undefined && { refresh_token }) }
  return { ...context.seal(JSON.stringify(tokens), placeOf(shop)), scopes, expires_at: expiresAt }
}

async function othersGot (context: SourceContext, shop: SourceShop, grantNo: number, sleep: Sleep): Promise<Got> {
  for (let look = 0; look < LOOKS; look++) {
    const [row] = await context.read('shopify_access', { shop_key: shop.key })
    const got = standingOf(context, shop, row)
    if (!got.ok || got.credentials.grantNo !== grantNo) return got
    if (row?.error_at !== null && Number(row?.refreshing_until ?? 0) - context.now() <= PAUSE_MS) break // it failed there
    await sleep(LOOK_MS)
  }
  return { ok: false, fault: fault('unavailable', 'later', PAUSE_MS, 'A new access token is not to be had at the moment.') }
}

/** The answer may be lost: Shopify takes the same refresh token again until the next one was used. */
async function asked (context: SourceContext, shop: SourceShop, refreshToken: string): Promise<{ ok: true, given: Given } | { ok: false, fault: Fault }> {
  const base = baseOf(context, shop)
  const { client_id: clientId } = context.options as unknown as AdminOptions
  if (base === null) return { ok: false, fault: fault('not_a_platform_shop', 'never', 0, 'The shop\'s id is no ….myshopify.com domain.') }
  if (clientId === undefined) return { ok: false, fault: fault('query_refused', 'later', MINUTE_MS, 'sources.shopify.options.client_id is not set: without it no access token can be renewed.') }
  const body = new URLSearchParams({ client_id: clientId, client_secret: context.secrets['client_secret']?.[0] ?? '', grant_type: 'refresh_token', refresh_token: refreshToken })
  const answer = await context.send(base, { method: 'POST', path: '/admin/oauth/access_token', headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }, body: body.toString() })
  if (answer.kind === 'answer' && (answer.status === 400 || answer.status === 401)) return { ok: false, fault: refusalOf(answer.body) }
  if (answer.kind === 'answer' && answer.status === 200 && !answer.cut) {
    const given = givenOf(parseJson(answer.body), context.now())
    return given === null ? { ok: false, fault: fault('unavailable', 'later', PAUSE_MS, 'Shopify answers the refresh token with something that is no token.') } : { ok: true, given }
  }
  const judged = judge(answer)
  return { ok: false, fault: judged.is === 'failed' ? judged.fault : fault('unavailable', 'later', PAUSE_MS, 'Shopify gave no token.') }
}

/** The app's own id or secret may be what is wrong: no shop is given up for that. */
function refusalOf (body: string): Fault {
  const said = parseJson(body)
  const error = isObject(said) ? said['error'] : null
  if (error === 'invalid_client') return fault('query_refused', 'later', MINUTE_MS, 'Shopify refuses the app: look at options.client_id and at the secret client_secret, whose first one counts.')
  return REFRESH_REFUSED
}

function givenOf (body: unknown, now: number): Given | null {
  if (!isObject(body)) return null
  const [token, refresh, scope] = [textOf(body['access_token'], TOKEN_CHARS), textOf(body['refresh_token'], TOKEN_CHARS), textOf(body['scope'], TOKEN_CHARS)]
  const { expires_in: seconds } = body
  if (token === null) return null
  const expiresAt = typeof seconds === 'number' && seconds > 0 && seconds < 1e9 ? now + Math.round(seconds * 1000) : null
  return { access_token: token, ...(refresh !== null && { refresh_token: refresh }), expiresAt, scopes: scope?.replaceAll(',', ' ') ?? null }
}
