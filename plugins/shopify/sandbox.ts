// Shopify's Admin API for the gateway's questions: below /{shop}/admin, since the shop's own host cannot be played.
// What a shop has and may is set by POST /{shop}/_data; shops whose names begin with one of REFUSED answer so always.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { execute, GraphQLError, parse, validate, type DocumentNode, type GraphQLSchema } from 'graphql'
import type { SandboxContext } from '../../gateway/define.ts'
import { isObject, objectOf, parseJson } from './body.ts'
import { costOf } from './sandbox-cost.ts'
import { schemaOf } from './sandbox-schema.ts'
import { SandboxShop, type ShopData } from './sandbox-shop.ts'
import { SandboxTokens } from './sandbox-tokens.ts'

const QUERY_POINTS_MAX = 1000
const IDS_MAX = 250
const VERSION = /^(20\d\d-(01|04|07|10)|unstable)$/

/** By the beginning of the shop's name. */
const REFUSED: Readonly<Record<string, { status: number, body: unknown }>> = {
  frozen: { status: 402, body: { errors: 'Unavailable Shop' } },
  forbidden: { status: 403, body: { errors: 'Access to this shop is forbidden' } },
  gone: { status: 404, body: { errors: 'Not Found' } },
  locked: { status: 423, body: { errors: 'This shop is currently locked' } },
  rejected: { status: 430, body: { errors: 'Shopify Security Rejection' } },
  inactive: { status: 200, body: { errors: [{ message: 'Shop is inactive', extensions: { code: 'SHOP_INACTIVE' } }] } },
  broken: { status: 500, body: { errors: 'Internal Server Error' } }
}

interface Answered { status: number, body: unknown }
interface Params { shop: string, version: string }

export default function sandbox (app: FastifyInstance, context: SandboxContext): void {
  const shops = new Map<string, SandboxShop>()
  const tokens = new SandboxTokens()
  const shopOf = (domain: string): SandboxShop => {
    const shop = shops.get(domain) ?? new SandboxShop(domain)
    shops.set(domain, shop)
    return shop
  }

  app.post<{ Params: Params }>('/:shop/_data', async (request, reply) => {
    const data = jsonIn(request)
    if (!isObject(data)) return reply.code(400).send({ error: 'a shop\'s data is an object of JSON' })
    shopOf(request.params.shop).set(data as ShopData)
    return reply.code(204).send()
  })

  app.post<{ Params: Params }>('/:shop/admin/oauth/access_token', async (request, reply) => {
    const { shop } = request.params
    const form = new URLSearchParams(String(request.body))
    const { token_life_s: lifeS, revoked } = shopOf(shop).data
    const { status, body } = tokens.refresh(form, lifeS, context.wallNow(), revoked)
    context.record({ account: shop, method: 'POST', path: '/admin/oauth/access_token', body: { grant_type: form.get('grant_type') }, status })
    return reply.code(status).send(body)
  })

  app.post<{ Params: Params }>('/:shop/admin/api/:version/graphql.json', async (request, reply) => {
    const { shop: domain, version } = request.params
    const question = jsonIn(request)
    const { status, body } = await answer(request, question, shopOf(domain), version, tokens, context)
    const { query, variables } = objectOf(question)
    const name = typeof query === 'string' ? /^\s*(?:query|mutation)\s+(\w+)/.exec(query)?.[1] ?? null : null
    context.record({ account: domain, method: 'POST', path: `/admin/api/${version}/graphql.json`, body: { name, variables: variables ?? null }, status, ...(name !== null && { key: name }) })
    return reply.code(status).send(body)
  })

  app.setNotFoundHandler((_request: FastifyRequest, reply: FastifyReply) => reply.code(404).send({ errors: 'Not Found' }))
}

async function answer (request: FastifyRequest, question: unknown, shop: SandboxShop, version: string, tokens: SandboxTokens, context: SandboxContext): Promise<Answered> {
  const refused = REFUSED[Object.keys(REFUSED).find(name => shop.domain.startsWith(`${name}-`)) ?? '']
  if (refused !== undefined) return refused
  const status = tokens.refuses(request.headers['x-shopify-access-token'], shop.data, context.wallNow())
  if (status === 403) return { status, body: { errors: 'Non-expiring access tokens are no longer accepted for the Admin API. Start using expiring offline tokens.' } }
  if (status === 401) return { status, body: { errors: '[API] Invalid API key or access token (unrecognized login or wrong password)' } }
  if (!VERSION.test(version)) return { status: 404, body: { errors: 'Not Found' } }
  if (!String(request.headers['content-type']).startsWith('application/json')) return { status: 415, body: { errors: 'Unsupported Media Type' } }
  const { query, variables } = objectOf(question)
  if (!isObject(question) || typeof query !== 'string') return { status: 400, body: { errors: { query: 'Required parameter missing or invalid' } } }
  return await run(query, objectOf(variables), schemaOf(version), shop, context)
}

async function run (query: string, variables: Record<string, unknown>, schema: GraphQLSchema, shop: SandboxShop, context: SandboxContext): Promise<Answered> {
  const document = parsed(query)
  if (document instanceof GraphQLError) return refusal(document.message, 'syntaxError')
  const [fault] = validate(schema, document)
  if (fault !== undefined) return refusal(fault.message, /Cannot query field/.test(fault.message) ? 'undefinedField' : 'argumentLiteralsIncompatible')
  const { ids } = variables
  if (Array.isArray(ids) && ids.length > IDS_MAX) return refusal(`The input array size of ${ids.length} is greater than the maximum allowed of ${IDS_MAX}.`, 'MAX_INPUT_SIZE_EXCEEDED')
  const requested = costOf(document, schema, variables)
  if (requested > QUERY_POINTS_MAX) return refusal(`Query cost is ${requested}, which exceeds the single query max cost limit (${QUERY_POINTS_MAX}).`, 'MAX_COST_EXCEEDED', { cost: requested, maxCost: QUERY_POINTS_MAX })
  const available = shop.available(context.now())
  const { maximum, per_second: perSecond, status = 200 } = shop.points
  const cost = (left: number, actual: number | null): object => ({ requestedQueryCost: requested, actualQueryCost: actual, throttleStatus: { maximumAvailable: maximum, currentlyAvailable: Math.floor(left), restoreRate: perSecond } })
  if (requested > available) return { status, body: { errors: [{ message: 'Throttled', extensions: { code: 'THROTTLED', documentation: 'https://shopify.dev/api/usage/rate-limits' } }], extensions: { cost: cost(available, null) } } }
  shop.pay(requested)
  const { data, errors } = await execute({ schema, document, rootValue: shop.root, variableValues: variables })
  return { status: 200, body: { ...(data !== undefined && { data }), ...(errors !== undefined && { errors: errors.map(error => error.toJSON()) }), extensions: { cost: cost(available - requested, requested) } } }
}

function refusal (message: string, code: string, more: object = {}): Answered {
  return { status: 200, body: { errors: [{ message, locations: [{ line: 1, column: 1 }], path: ['query'], extensions: { code, ...more } }] } }
}

function parsed (query: string): DocumentNode | GraphQLError {
  try {
    return parse(query, { maxTokens: 1000 })
  } catch (error) {
    if (error instanceof GraphQLError) return error
    throw error
  }
}

function jsonIn ({ body }: FastifyRequest): unknown { return Buffer.isBuffer(body) ? parseJson(body.toString('utf8')) : undefined }
