// Postscript's API as its documentation has it, for the endpoints this folder uses or will use. The strict party:
// where the documentation leaves room, this refuses. Keys it takes: sk_… of at least eight more characters, and
// sk_partner_… with the shop's in X-Postscript-Shop-Token. What a shop's key holds makes it a special one:
// "revoked" is answered 401, "noplan" 403 (without a partner), "nokeywords" has none, "nopersonal" refuses
// properties that look like personal data, "nocompliance" may not unsubscribe, "sandbox" (a demo shop's) has subscribed
// the customer of the examples, +12015550123.
// What people do at Postscript itself is done below /_sandbox (sandbox-controls.ts): a pending person opts in by
// POST /_sandbox/opt_ins {"phone_number"}, in place of the text they would answer, and the shop's webhooks are told; by
// POST /_sandbox/subscribers {"shop_key", "phone_number"} a person texts the keyword and opts in at once.

import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { SandboxContext } from '../../gateway/define.ts'
import { API, NO_JSON, bad, forbidden, hash, idIn, json, listed, ok, page, parsed, shopOf, unauthorized } from './sandbox-answers.ts'
import type { Answered, Caller, Endpoint, Method, Refusal } from './sandbox-answers.ts'
import { eventFault, personalProperty, subscriberFault, unsubscribeFault } from './sandbox-body.ts'
import type { EventBody, SubscriberBody } from './sandbox-body.ts'
import { controls } from './sandbox-controls.ts'
import type { Controlled } from './sandbox-controls.ts'
import { Deliveries } from './sandbox-deliveries.ts'
import { Keywords } from './sandbox-keywords.ts'
import { People } from './sandbox-people.ts'
import { personData } from './sandbox-webhook-events.ts'
import { Webhooks, publish, webhookEndpoints } from './sandbox-webhooks.ts'

const SHOP_KEY = /^sk_(?!partner_)[!-~]{8,}$/
const PARTNER_KEY = /^sk_partner_[!-~]{8,}$/
const EXAMPLE = '+12015550123'
const METHODS: readonly Method[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
const ME = `${API}/me`

export default function postscript (app: FastifyInstance, context: SandboxContext): void {
  const people = new People()
  const keywords = new Keywords()
  const webhooks = new Webhooks()
  const deliveries = new Deliveries(context.wallNow, id => webhooks.target(id))
  const tell: Controlled['tell'] = (event, changed) => {
    for (const person of changed) publish(webhooks, deliveries, person.shop, event, personData(person), context.wallNow())
  }
  const endpoints: Array<[Method, string, Endpoint]> = [
    ['GET', `${API}/keywords`, ({ shopKey }) => ok(200, { keywords: keywords.list(shopKey) })],
    ['GET', `${API}/keywords/:id`, ({ shopKey }, request) => keywords.find(shopKey, idIn(request))],
    ['POST', `${API}/events`, ({ shopKey }, request) => createEvent(shopKey, request)],
    ['POST', `${API}/subscribers`, (caller, request) => createSubscriber(caller, request, people, keywords, context.wallNow())],
    ['GET', `${API}/subscribers`, ({ shop, shopKey }, request) => {
      if (shopKey.includes('sandbox')) people.know(shop, EXAMPLE, context.wallNow())
      return listSubscribers(shop, request, people)
    }],
    ['GET', `${API}/subscribers/:id`, ({ shop }, request) => oneSubscriber(shop, request, people)],
    ['PATCH', `${API}/compliance/unsubscribe`, (caller, request) => unsubscribe(caller, request, people, tell)],
    ...webhookEndpoints(webhooks, deliveries, context.wallNow)
  ]
  app.get(ME, (request, reply) => me(request, reply, context))
  for (const [method, url, endpoint] of endpoints) app.route({ method, url, handler: (request, reply) => served(request, reply, context, endpoint) })
  for (const [url, methods] of Map.groupBy([['GET', ME] as const, ...endpoints], ([, path]) => path)) {
    const known = new Set<Method>(methods.map(([method]) => method))
    app.route({ method: METHODS.filter(method => !known.has(method)), url, handler: (_request, reply) => page(reply, 405, 'Method Not Allowed') })
  }
  controls(app, { people, keywords, deliveries, wallNow: context.wallNow, tell })
  app.addHook('onClose', () => deliveries.stop())
  app.setNotFoundHandler((_request, reply) => page(reply, 404, 'Not Found'))
}

/** What every call but `me` goes through: who asks, how often, and whether the key may. */
function served (request: FastifyRequest, reply: FastifyReply, context: SandboxContext, endpoint: Endpoint): FastifyReply {
  const caller = identify(request)
  const answer = 'why' in caller ? caller : limited(caller, context) ?? permitted(caller) ?? endpoint(caller as Caller & { shop: string }, request)
  return answered(request, reply, context, 'why' in caller ? 'nobody' : caller.account, answer)
}

/** Its documented failure is a 400 with a list of errors; a partner that acts for no shop is answered too. */
function me (request: FastifyRequest, reply: FastifyReply, context: SandboxContext): FastifyReply {
  const caller = identify(request)
  if ('why' in caller) {
    const malformed = request.headers.authorization !== undefined && keyOf(request.headers.authorization) === null
    const refusal = malformed ? listed(400, 'v2.invalid_request', caller.why) : caller
    return answered(request, reply, context, 'nobody', refusal)
  }
  const { account, shop } = caller
  const identity = { resource_id: shop ?? account, resource_name: 'Sandbox', resource_type: shop === null ? 'partner' : 'shop' }
  return answered(request, reply, context, account, limited(caller, context) ?? planned(caller) ?? ok(200, identity))
}

/** Records what came and how it was answered. */
function answered (request: FastifyRequest, reply: FastifyReply, context: SandboxContext, account: string, answer: Answered | Refusal): FastifyReply {
  const body = parsed(request.body) ?? null
  const path = request.url.slice(request.url.indexOf(API)).split('?')[0] as string
  const key = path === `${API}/events` ? (body as { external_id?: unknown } | null)?.external_id : undefined
  context.record({ account, method: request.method, path, body, status: answer.status, ...(typeof key === 'string' && { key }) })
  reply.code(answer.status)
  if ('why' in answer) reply.header('x-sandbox-why', answer.why.replaceAll(/[^ -~]/g, '?'))
  return typeof answer.body === 'string' ? reply.type('text/plain; charset=utf-8').send(answer.body) : reply.type('application/json').send(answer.body)
}

function identify ({ headers }: FastifyRequest): Caller | Refusal {
  const { authorization } = headers
  if (authorization === undefined) return { status: 401, body: 'Missing Authorization header', why: 'no Authorization' }
  const key = keyOf(authorization)
  const token = headers['x-postscript-shop-token']
  if (key === null) return unauthorized('no private key: public keys, Basic and other schemes are refused')
  if (key.includes('revoked') || String(token).includes('revoked')) return unauthorized('a revoked key')
  const partner = PARTNER_KEY.test(key)
  if (!partner) return token === undefined ? { account: shopOf(key), shop: shopOf(key), shopKey: key, partner } : unauthorized('a shop token beside a shop\'s own key')
  const partnerId = `partner_${hash(key)}`
  if (token === undefined) return { account: partnerId, shop: null, shopKey: '', partner }
  if (typeof token !== 'string' || !SHOP_KEY.test(token)) return unauthorized('the shop token is no private key of a shop')
  return { account: `${partnerId}+${shopOf(token)}`, shop: shopOf(token), shopKey: token, partner }
}

/** The private key of a bearer header; null where there is none. */
function keyOf (authorization: string): string | null {
  const key = /^Bearer (.*)$/.exec(authorization)?.[1] ?? ''
  return SHOP_KEY.test(key) || PARTNER_KEY.test(key) ? key : null
}

function limited ({ account }: Caller, context: SandboxContext): Refusal | null {
  const waitMs = context.take('api', account)
  return waitMs === null ? null : { status: 429, body: { error_code: 3002, error_message: 'Rate limit exceeded', success: false }, why: `room in ${Math.ceil(waitMs)} ms` }
}

function permitted (caller: Caller): Refusal | null {
  return caller.shop === null ? forbidden('a partner key without the shop\'s') : planned(caller)
}

/** Some plans let a shop's key be used by a partner only. */
function planned ({ partner, shopKey }: Caller): Refusal | null {
  return !partner && shopKey.includes('noplan') ? forbidden('the shop\'s plan has no API access of its own') : null
}

function createEvent (shopKey: string, request: FastifyRequest): Answered | Refusal {
  const body = json(request)
  const fault = body === undefined ? NO_JSON : eventFault(body)
  if (fault !== null) return bad(fault)
  const personal = shopKey.includes('nopersonal') ? personalProperty(body as EventBody) : null
  if (personal !== null) return bad(`/properties/${personal} looks like personal data`)
  return ok(202, { event_ids: [randomUUID()] }) // whether anybody matches is found out later, and not told
}

function createSubscriber ({ shop, shopKey }: Caller & { shop: string }, request: FastifyRequest, people: People, keywords: Keywords, nowMs: number): Answered | Refusal {
  const body = json(request)
  const fault = body === undefined ? NO_JSON : subscriberFault(body)
  if (fault !== null) return bad(fault)
  const person = body as SubscriberBody
  if (!keywords.list(shopKey).some(({ id, keyword }) => id === person.keyword_id || keyword === person.keyword)) return listed(400, 'v2.invalid_request', 'Keyword is not active')
  const pendingId = people.add(shop, person, nowMs)
  if (pendingId === null) return listed(409, 'v2.entity_conflict', 'Subscriber already exists')
  return ok(200, { id: pendingId, phone_number: person.phone_number.slice(1), email: person.email ?? null, tags: person.tags ?? [], properties: person.properties ?? {} })
}

function listSubscribers (shop: string, { query }: FastifyRequest, people: People): Answered | Refusal {
  const { phone_number__eq: phone, email__eq: email, page: number = '1', ...others } = query as Record<string, string | undefined>
  if (Object.keys(others).length > 0) return bad(`?${Object.keys(others)[0]} is not played here`)
  if (number !== '1') return bad('?page is beyond the last')
  return ok(200, { page_info: { page: 1, total_pages: 1 }, subscribers: people.list(shop, { phone, email }) })
}

function oneSubscriber (shop: string, request: FastifyRequest, people: People): Answered | Refusal {
  const found = people.find(shop, idIn(request))
  return found === null ? bad('no subscriber has this id; a pending id is none') : ok(200, found)
}

function unsubscribe ({ shop, shopKey }: Caller & { shop: string }, request: FastifyRequest, people: People, tell: Controlled['tell']): Answered | Refusal {
  if (shopKey.includes('nocompliance')) return listed(403, 'v2.access_denied', 'Access denied')
  const body = json(request)
  const fault = body === undefined ? NO_JSON : unsubscribeFault(body)
  if (fault !== null) return bad(fault)
  tell('shop.subscriber.opt_out', people.optOut(shop, body as object))
  return ok(202, { message: 'OK' })
}
