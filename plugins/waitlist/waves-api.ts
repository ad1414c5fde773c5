// Waves as merchants see them, and by hand: to all who wait for a variant or to one of them, after a rehearsal if they like.

import type { FastifyInstance } from 'fastify'
import { GatewayError } from '../../gateway/errors.ts'
import type { Row, SourceContext, SourceShop } from '../../gateway/define.ts'
import { jobKeyOf, WAVE_JOB } from './stock.ts'
import { ALERT, placesOf } from './wave.ts'

const VARIANT = { type: 'string', minLength: 1, maxLength: 100 } as const
const ID = { type: 'string', minLength: 1, maxLength: 60 } as const
const BY_ID = { params: { type: 'object', properties: { id: ID } } } as const
const NO_BODY = { anyOf: [{ type: 'null' }, { type: 'object', additionalProperties: false, properties: {} }] } as const
const SEND = {
  body: { type: 'object', additionalProperties: false, required: ['variant'], properties: { variant: VARIANT, signup: ID, rehearse: { type: 'boolean' } } }
} as const
const LIST = {
  querystring: { type: 'object', additionalProperties: false, properties: { variant: VARIANT, limit: { type: 'integer', minimum: 1, maximum: 200, default: 50 }, cursor: ID } }
} as const

interface Send { variant: string, signup?: string, rehearse?: boolean }

export function waveRoutes (app: FastifyInstance, context: SourceContext): void {
  app.post<{ Body: Send }>('/waves', { config: { scope: 'deliveries:write' }, schema: SEND }, async (request, reply) => {
    const shop = context.shopOf(request)
    const { signup } = request.body
    if (signup !== undefined) await checkSignUp(request.body, shop, context)
    if (request.body.rehearse === true) return await rehearsal(request.body, shop, context)
    const id = await start(request.body, { shop, actor: context.callerOf(request), context })
    return await reply.code(202).send(view(await find(id, shop, context)))
  })

  app.get<{ Querystring: { variant?: string, limit: number, cursor?: string } }>('/waves', { config: { scope: 'deliveries:read' }, schema: LIST }, async request => {
    const { variant, limit, cursor } = request.query
    const rows = await context.read('waitlist_wave_list', { shop_key: context.shopOf(request).key, variant: variant ?? null, before_id: cursor ?? null, limit })
    return { items: rows.map(view), next_cursor: rows.length < limit ? null : rows.at(-1)?.id }
  })

  app.get<{ Params: { id: string } }>('/waves/:id', { config: { scope: 'deliveries:read' }, schema: BY_ID }, async request => view(await find(request.params.id, context.shopOf(request), context)))

  app.post<{ Params: { id: string } }>('/waves/:id/stop', { config: { scope: 'deliveries:write' }, schema: { ...BY_ID, body: NO_BODY } }, async request => {
    const shop = context.shopOf(request)
    const { id, variant } = await find(request.params.id, shop, context)
    const [stopped] = await context.commit([
      { name: 'waitlist_wave_stop', params: { shop_key: shop.key, id: id as string, now: context.now() } },
      context.audit({ actor: context.callerOf(request), action: 'waitlist.stop', shop: shop.id, subject: id as string }),
      context.job(WAVE_JOB, jobKeyOf(shop.key, variant as string), context.now())
    ])
    if (stopped?.changes !== 1) throw new GatewayError('GW_CONFLICT', 'This wave has ended already.')
    context.look()
    return view(await find(request.params.id, shop, context))
  })
}

async function start ({ variant, signup }: Send, { shop, actor, context }: { shop: SourceShop, actor: string, context: SourceContext }): Promise<string> {
  const id = context.newId('wav_')
  const [made] = await context.commit([
    { name: 'waitlist_wave_by_hand', params: { id, shop_key: shop.key, variant, actor, signup: signup ?? null, now: context.now() } },
    context.audit({ actor, action: 'waitlist.send', shop: shop.id, subject: signup ?? variant }),
    context.job(WAVE_JOB, jobKeyOf(shop.key, variant), context.now())
  ])
  if (made?.changes !== 1) throw new GatewayError('GW_CONFLICT', 'All who wait for this variant are being told by hand already.')
  context.look()
  return id
}

async function checkSignUp ({ variant, signup }: Send, shop: SourceShop, context: SourceContext): Promise<void> {
  const [row] = await context.read('waitlist_one', { shop_key: shop.key, id: signup as string })
  if (row === undefined || row.variant !== variant) throw new GatewayError('GW_NOT_FOUND', 'Nobody with this id waits for this variant.')
  if (row.state !== 1) throw new GatewayError('GW_CONFLICT', 'This customer does not wait any more.')
}

/** What a wave would do just now; nothing is written. */
async function rehearsal ({ variant, signup }: Send, shop: SourceShop, context: SourceContext): Promise<Record<string, unknown>> {
  const [one] = signup === undefined ? [] : await context.read('waitlist_one', { shop_key: shop.key, id: signup })
  const [all] = one === undefined ? await context.read('waitlist_count_waiting', { shop_key: shop.key, variant }) : [{ waiting: 1, reachable: one.consent as number }]
  const { waiting = 0, reachable = 0 } = all ?? {}
  const { provider, held } = await context.ahead(shop.key, ALERT)
  const durationMs = await context.duration(shop.key, ALERT, Number(reachable))
  return { waiting: Number(waiting), reachable: Number(reachable), duration_seconds: durationMs === null ? null : Math.ceil(durationMs / 1000), provider, held }
}

async function find (id: string, shop: SourceShop, context: SourceContext): Promise<Row> {
  const [row] = await context.read('waitlist_wave_by_id', { shop_key: shop.key, id })
  if (row === undefined) throw new GatewayError('GW_NOT_FOUND', 'No wave of this shop has this id.')
  return row
}

function view (row: Row): Record<string, unknown> {
  const { batch_no: no, batch_size: size, made, alerted, skipped, returned } = row as Record<string, number | null>
  return {
    id: row.id, variant: row.variant, started_by: row.kind, actor: row.actor, signup: row.signup,
    state: row.state === 1 ? 'running' : row.settled === 1 ? 'ended' : 'ending', reason: row.reason,
    stock_before: row.stock_before, stock_after: row.stock_after,
    batch: size === null ? null : { number: no, size, places_left: placesOf(row), next_at: time(row.next_batch_at) },
    made, alerted, skipped, returned,
    started_at: time(row.started_at), ended_at: time(row.ended_at)
  }
}

function time (at: unknown): string | null { return at === null ? null : new Date(at as number).toISOString() }
