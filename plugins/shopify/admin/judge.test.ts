// Every way the Admin API refuses, as the sandbox plays it, and what is made of it (shopify.md 8).

import t from 'tap'
import type { Answer } from '../../../gateway/contract.ts'
import { world, SHOP, TOKEN } from './admin.test-world.ts'
import { CONSENT, DOCUMENTS, ITEMS } from './documents.ts'
import { judge, type FaultCode, type Next } from './judge.ts'

interface Case {
  what: string
  shop?: string
  token?: string | null
  version?: string
  body?: unknown
  fault?: object
  data?: object
  /** What the sandbox answers: the status, and a part of the body. */
  status: number
  says: RegExp
  code: FaultCode
  next: Next
  afterMs?: number
}

const GQL = (code: string, message = 'no'): object => ({ errors: [{ message, extensions: { code } }] })
const faulty = (status: number, body: unknown, headers: Record<string, string> = {}): object => ({ kind: 'status', status, body, headers, times: 1 })
const HOUR_MS = 3_600_000

const CASES: Case[] = [
  { what: 'no token', token: null, status: 401, says: /Invalid API key or access token/, code: 'token_refused', next: 'reconnect' },
  { what: 'a token that was revoked', token: 'shpat_revoked0123456789', status: 401, says: /Invalid API key/, code: 'token_refused', next: 'reconnect' },
  { what: 'a token of another form', token: 'Bearer x', status: 401, says: /Invalid API key/, code: 'token_refused', next: 'reconnect' },
  { what: 'a token that never ends, where only those that end are taken', data: { expiring_only: true }, status: 403, says: /Non-expiring access tokens are no longer accepted/, code: 'token_refused', next: 'reconnect' },
  { what: 'a frozen shop', shop: 'frozen-shop.myshopify.com', status: 402, says: /Unavailable Shop/, code: 'shop_frozen', next: 'pause', afterMs: HOUR_MS },
  { what: 'a shop the app may not see', shop: 'forbidden-shop.myshopify.com', status: 403, says: /forbidden/, code: 'forbidden', next: 'pause', afterMs: HOUR_MS },
  { what: 'a shop that is gone', shop: 'gone-shop.myshopify.com', status: 404, says: /Not Found/, code: 'shop_gone', next: 'pause', afterMs: 6 * HOUR_MS },
  { what: 'a version that does not exist', version: '1999-01', status: 404, says: /Not Found/, code: 'shop_gone', next: 'pause' },
  { what: 'a locked shop', shop: 'locked-shop.myshopify.com', status: 423, says: /locked/, code: 'shop_locked', next: 'pause', afterMs: HOUR_MS / 4 },
  { what: 'a security rejection', shop: 'rejected-shop.myshopify.com', status: 430, says: /Security Rejection/, code: 'security_rejection', next: 'pause', afterMs: HOUR_MS },
  { what: 'a shop that is not active', shop: 'inactive-shop.myshopify.com', status: 200, says: /SHOP_INACTIVE/, code: 'shop_inactive', next: 'pause', afterMs: HOUR_MS },
  { what: 'no points left', data: { points: { maximum: 1, per_second: 50 } }, status: 200, says: /THROTTLED.*requestedQueryCost/, code: 'throttled', next: 'later' },
  { what: 'no points left, told by the status', data: { points: { maximum: 1, per_second: 50, status: 429 } }, status: 429, says: /THROTTLED/, code: 'throttled', next: 'later' },
  { what: '429 that says when', fault: faulty(429, '', { 'retry-after': '2.0' }), status: 429, says: /^$/, code: 'throttled', next: 'later', afterMs: 2000 },
  { what: 'THROTTLED without a cost', fault: faulty(200, GQL('THROTTLED')), status: 200, says: /THROTTLED/, code: 'throttled', next: 'later', afterMs: 1000 },
  { what: 'Throttled as older texts have it', fault: faulty(200, { errors: [{ message: 'Throttled' }] }), status: 200, says: /Throttled/, code: 'throttled', next: 'later', afterMs: 1000 },
  { what: 'a question that costs too much', body: { query: ITEMS.text, variables: { ids: Array.from({ length: 100 }, (_, i) => `gid://shopify/InventoryItem/${i + 1}`) } }, status: 200, says: /exceeds the single query max cost limit/, code: 'too_costly', next: 'split' },
  { what: 'a scope that is missing', data: { scopes: [] }, body: { query: CONSENT.text, variables: { id: 'gid://shopify/Customer/1' } }, status: 200, says: /ACCESS_DENIED/, code: 'access_denied', next: 'never' },
  { what: 'trouble of Shopify\'s own, in a 200', fault: faulty(200, GQL('INTERNAL_SERVER_ERROR')), status: 200, says: /INTERNAL_SERVER_ERROR/, code: 'unavailable', next: 'later' },
  { what: 'trouble of Shopify\'s own', shop: 'broken-shop.myshopify.com', status: 500, says: /Internal Server Error/, code: 'unavailable', next: 'later' },
  { what: 'a page of HTML before it', fault: faulty(503, '<html><body>Service Unavailable</body></html>', { 'content-type': 'text/html', 'retry-after': '30' }), status: 503, says: /^<html>/, code: 'unavailable', next: 'later', afterMs: 30_000 },
  { what: 'a page of HTML in a 200', fault: faulty(200, '<html></html>', { 'content-type': 'text/html' }), status: 200, says: /^<html>/, code: 'unavailable', next: 'later' },
  { what: 'neither data nor errors', fault: faulty(200, {}), status: 200, says: /^\{\}$/, code: 'unavailable', next: 'later' },
  { what: 'a field the version does not have', version: '2025-10', status: 200, says: /Cannot query field .*variants/, code: 'query_refused', next: 'never' },
  { what: 'a question that is none', body: { query: 'query {' }, status: 200, says: /Syntax Error/, code: 'query_refused', next: 'never' },
  { what: 'a body without a question', body: { variables: {} }, status: 400, says: /Required parameter/, code: 'query_refused', next: 'never' },
  { what: 'a redirect', fault: faulty(302, '', { location: 'https://elsewhere.example' }), status: 302, says: /^$/, code: 'query_refused', next: 'never' }
]

t.test('every refusal of shopify.md 8: what the sandbox answers, and what is made of it', async t => {
  const { context, data, fault } = await world(t)
  t.ok(CASES.length >= 15)
  for (const { what, shop = `${what.replaceAll(/\W+/g, '-')}.myshopify.com`, token = TOKEN, version = '2026-10', body, fault: order, data: set, status, says, code, next, afterMs } of CASES) {
    if (order !== undefined) await fault(order)
    if (set !== undefined) await data(set, shop)
    const answer = await context.send(`${String(context.sandboxUrl)}/${shop}`, {
      method: 'POST',
      path: `/admin/api/${version}/graphql.json`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body ?? { query: ITEMS.text, variables: { ids: ['gid://shopify/InventoryItem/1'] } })
    }, token === null ? {} : { 'x-shopify-access-token': token })
    t.match(answer, { kind: 'answer', status, body: says }, what)
    const judged = judge(answer)
    t.match(judged, { is: 'failed', fault: { code, next, ...(afterMs !== undefined && { afterMs }) } }, what)
    if (judged.is === 'failed') t.match(judged.fault.text, /^(The|Shopify|No) .{10,}\./s, `${what}: in a sentence`)
  }
})

t.test('what did not come back is asked again later; a part of the data is taken, with what is missing of it', async t => {
  const lost: Answer[] = [{ kind: 'no_answer', code: 'DEADLINE', message: 'late' }, { kind: 'not_sent', code: 'ENOTFOUND', message: 'gone' }]
  for (const answer of lost) t.match(judge(answer), { is: 'failed', fault: { code: 'no_answer', next: 'later', text: /DEADLINE|ENOTFOUND/ } })
  const body = JSON.stringify({ data: { nodes: [null, { id: '1' }] }, errors: [{ message: 'broken', path: ['nodes', 0], extensions: { code: 'INTERNAL_SERVER_ERROR' } }], extensions: { cost: { requestedQueryCost: 4, throttleStatus: { maximumAvailable: 2000, currentlyAvailable: 1996, restoreRate: 100 } } } })
  t.match(judge({ kind: 'answer', status: 200, headers: {}, body, cut: false }), { is: 'answered', data: { nodes: [null, { id: '1' }] }, errors: [{ code: 'INTERNAL_SERVER_ERROR', path: ['nodes', 0] }], cost: { requested: 4, throttle: { maximum: 2000, available: 1996, perSecond: 100 } } })
  t.match(judge({ kind: 'answer', status: 200, headers: {}, body, cut: true }), { is: 'failed', fault: { next: 'split' } }, 'an answer that is too large is asked for in parts')
})

t.test('what hostile or broken answers hold is judged, and thrown for never', async t => {
  const bodies = ['', 'null', '[]', '"x"', '{"errors":"x"}', '{"errors":{"a":1}}', '{"data":null}', '{"data":[],"errors":[null,1,{"path":{}}]}', '{"extensions":{"cost":{"throttleStatus":null}}}', '{"data":{"a":1},"extensions":{"cost":"x"}}', '\0', '{"__proto__":{"data":{}}}']
  for (const body of bodies) for (const status of [200, 201, 301, 400, 422, 429, 500, 503]) t.ok(judge({ kind: 'answer', status, headers: { 'retry-after': 'soon' }, body, cut: false }))
})

t.test('all questions fit the schema of 2026-10 and cost less than one may', async t => {
  const { context } = await world(t)
  const ids = Array.from({ length: 40 }, (_, i) => `gid://shopify/InventoryItem/${i + 1}`)
  const variables: Record<string, object> = { Items: { ids }, Plans: { ids }, Stock: { ids }, OrderLines: { id: 'gid://shopify/Order/1', after: null }, Consent: { id: 'gid://shopify/Customer/1' }, Subscribe: { topic: 'ORDERS_PAID', subscription: { uri: 'https://gateway.example/x', format: 'JSON', name: 'a-b' } }, Unsubscribe: { id: 'gid://shopify/WebhookSubscription/1' } }
  for (const { name, text, points: { fixed, perId } } of DOCUMENTS) {
    const answer = await context.send(`${String(context.sandboxUrl)}/${SHOP.id}`, { method: 'POST', path: '/admin/api/2026-10/graphql.json', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: text, variables: variables[name] ?? {} }) }, { 'x-shopify-access-token': TOKEN })
    const judged = judge(answer)
    t.match(judged, { is: 'answered', errors: [] }, name)
    const thought = fixed + (name === 'Items' || name === 'Plans' || name === 'Stock' ? ids.length * perId : 0)
    t.ok(Math.abs((judged.cost?.requested ?? 0) - thought) <= Math.max(20, thought / 5), `${name}: thought to cost ${thought}, costs ${judged.cost?.requested}`)
  }
})
