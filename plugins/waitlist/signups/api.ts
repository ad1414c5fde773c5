// Who waits, and what became of them; signing up and taking off with an API key. Below /v1/shops/{shop}/waitlist.

import { timingSafeEqual } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { GatewayError } from '../../../gateway/errors.ts'
import type { Row, SourceContext, SourceShop } from '../../../gateway/contract.ts'
import { historyOf } from './history.ts'
import { importRoute } from './import.ts'
import { knownProduct, settingsOf } from './settings.ts'
import { shapeOf } from './shape.ts'
import { signupOf } from './signup.ts'
import { refused } from './storefront.ts'
import { SIGNUP_STATE, take } from './take.ts'
import { tokenRoutes } from './tokens.ts'
import { SIGNUP_STATES, signupView, variantView, type SignupState } from './views.ts'

/** Rows looked at for one page: bounds how long a filter that fits nothing may search. */
const SLICE = 5000
const SLICES = 20

const PHONE = { type: 'string', pattern: '^\\+[1-9][0-9]{6,14}$' } as const
const PAGE = { limit: { type: 'integer', minimum: 1, maximum: 200, default: 50 }, cursor: { type: 'string', maxLength: 400 } } as const
const ID = { type: 'string', maxLength: 200 } as const
const LIST = { querystring: { type: 'object', additionalProperties: false, properties: { variant: ID, product: ID, phone: PHONE, state: { enum: SIGNUP_STATES }, ...PAGE } } } as const
const VARIANTS = { querystring: { type: 'object', additionalProperties: false, properties: PAGE } } as const
const BY_ID = { params: { type: 'object', properties: { id: { type: 'string', maxLength: 60 } } } } as const

interface Filters { variant?: string, product?: string, phone?: string, state?: SignupState }
interface Page { limit: number, cursor?: string }

export function api (app: FastifyInstance, context: SourceContext): void {
  const { shopOf, callerOf, read, commit, audit, now } = context

  app.get<{ Querystring: Filters & Page }>('/signups', { config: { scope: 'deliveries:read' }, schema: LIST }, async request => {
    const { rows, next } = await search(request, context)
    return { items: rows.map(signupView), next_cursor: next }
  })

  app.get<{ Params: { id: string } }>('/signups/:id', { config: { scope: 'deliveries:read' }, schema: BY_ID }, async request => {
    const shop = shopOf(request)
    const row = await find(request.params.id, shop, context)
    return { ...signupView(row), messages: await historyOf(row, shop, context) }
  })

  app.post('/signups', { config: { scope: 'events:write' } }, async (request, reply) => {
    const shop = shopOf(request)
    const shape = shapeOf(request.body)
    if ('faults' in shape) throw refused(shape.faults)
    const [settings, known] = await Promise.all([settingsOf(shop.key, context), knownProduct(shop.key, shape.given.product.id, context)])
    const signup = signupOf(shape.given, { shop, settings, known, trusted: true, withoutConsent: false, now: now() })
    if ('faults' in signup) throw refused(signup.faults)
    const taken = await take(signup, 'api', shop, context)
    if (taken.is === 'refused') throw refused([{ path: '', rule: 'event', message: taken.message }])
    const [row] = await read('waitlist_list_signups_of', { shop_key: shop.key, person: context.person(signup.phone), before_key: Number.MAX_SAFE_INTEGER, variant: signup.variant, product: null, state: null, limit: 1 })
    return reply.code(taken.is === 'joined' ? 201 : 200).send({ status: taken.is, signup: row ? signupView(row) : null })
  })

  app.delete<{ Params: { id: string } }>('/signups/:id', { config: { scope: 'deliveries:write' }, schema: BY_ID }, async request => {
    const shop = shopOf(request)
    const { id } = request.params
    await find(id, shop, context)
    await commit([
      { name: 'waitlist_signup_remove', params: { id, shop_key: shop.key, now: now() } },
      audit({ actor: callerOf(request), action: 'waitlist.remove', shop: shop.id, subject: id })
    ])
    return signupView(await find(id, shop, context))
  })

  app.get<{ Querystring: Page }>('/variants', { config: { scope: 'shops:read' }, schema: VARIANTS }, async request => {
    const shop = shopOf(request)
    const { limit, cursor } = request.query
    const bound = ['variants', shop.id]
    const after = cursor === undefined ? '' : opened(cursor, bound, context)
    const rows = await read('waitlist_variants', { shop_key: shop.key, after_variant: after, limit })
    return { items: rows.map(variantView), next_cursor: rows.length === limit ? sealed(String(rows.at(-1)?.variant), bound, context) : null }
  })

  tokenRoutes(app, context)
  importRoute(app, context)
}

async function find (id: string, { key }: SourceShop, { read }: SourceContext): Promise<Row> {
  const [row] = await read('waitlist_signup', { id, shop_key: key })
  if (!row) throw new GatewayError('GW_NOT_FOUND', 'No sign-up of the shop has this id.')
  return row
}

async function search (request: FastifyRequest<{ Querystring: Filters & Page }>, context: SourceContext): Promise<{ rows: Row[], next: string | null }> {
  const shop = context.shopOf(request)
  const { variant = null, product = null, phone = null, state: name, limit, cursor } = request.query
  const bound = ['signups', shop.id, variant, product, phone, name ?? null]
  let before = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(opened(cursor, bound, context))
  const filters = { shop_key: shop.key, variant, product, state: name === undefined ? null : SIGNUP_STATE[name] }
  const rows: Row[] = []
  const next = (): string => sealed(String(before), bound, context)
  if (phone !== null) {
    rows.push(...await context.read('waitlist_list_signups_of', { ...filters, person: context.person(phone), before_key: before, limit }))
    before = Number(rows.at(-1)?.signup_key)
    return { rows, next: rows.length === limit ? next() : null }
  }
  for (let slice = 0; slice < SLICES && rows.length < limit; slice++) {
    const [newest] = await context.read(variant === null ? 'waitlist_signup_before' : 'waitlist_signup_of_variant_before', { shop_key: shop.key, before_key: before, ...(variant !== null && { variant }) })
    if (newest?.signup_key == null) return { rows, next: null }
    const floor = Number(newest.signup_key) - SLICE
    rows.push(...await context.read('waitlist_list_signups', { ...filters, before_key: before, floor_key: floor, limit: limit - rows.length }))
    before = rows.length === limit ? Number(rows.at(-1)?.signup_key) : floor
    await setImmediate() // others have their turn between two slices
  }
  return { rows, next: next() }
}

/** Bound to the shop and to what was asked, so that nobody pages through what is not theirs. */
function sealed (position: string, bound: unknown[], context: SourceContext): string {
  return `${Buffer.from(position).toString('base64url')}.${macOf(position, bound, context).toString('base64url')}`
}

/** Throws GW_REQUEST_INVALID. */
function opened (cursor: string, bound: unknown[], context: SourceContext): string {
  const [at = '', given = ''] = cursor.split('.')
  const position = Buffer.from(at, 'base64url').toString()
  const [mac, bytes] = [macOf(position, bound, context), Buffer.from(given, 'base64url')]
  if (bytes.length === mac.length && timingSafeEqual(bytes, mac)) return position
  throw new GatewayError('GW_REQUEST_INVALID', 'The cursor is not one of this list.', { details: [{ path: '/cursor', rule: 'signature', message: 'start again without a cursor' }] })
}

function macOf (position: string, bound: unknown[], { person }: SourceContext): Buffer {
  return Buffer.from(person(JSON.stringify(['waitlist cursor', position, ...bound])))
}
