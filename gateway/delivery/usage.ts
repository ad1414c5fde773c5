// GET /v1/shops/{shop}/usage: what a shop's messages took of a month, for providers that the platform pays.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Provider, Row, Runtime, Store } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { monthOf } from './metering.ts'

const WARN_PERCENT = 80

export interface UsageShop { key: number, id: string, plan: string }

export interface UsageRoutesOptions {
  store: Store
  runtime: Runtime
  providers: ReadonlyMap<string, Provider>
  caller (request: FastifyRequest): { mayUse (shop: string): boolean }
  /** A shop, and its settings at a provider; null where there is none. */
  shop (id: string): Promise<{ shop: UsageShop, settings (provider: string): Record<string, unknown> } | null>
}

const QUERY = { querystring: { type: 'object', additionalProperties: false, properties: { month: { type: 'string', pattern: '^20[0-9]{2}-(0[1-9]|1[0-2])$' } } } } as const

export function usageRoutes (app: FastifyInstance, options: UsageRoutesOptions): void {
  const { store, runtime, providers, caller } = options
  app.get<{ Params: { shop: string }, Querystring: { month?: string } }>('/v1/shops/:shop/usage', { config: { scope: 'shops:read' }, schema: QUERY }, async request => {
    const { shop: id } = request.params
    const found = caller(request).mayUse(id) ? await options.shop(id) : null
    if (!found) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
    const { month = monthOf(runtime.now()) } = request.query
    const at = { shop_key: found.shop.key, month }
    const [counted, reserved] = [await store.read('usage_of_shop', at), await store.read('reserved_of_shop', at)]
    const metered = [...providers.values()].filter(provider => provider.metered).map(provider => provider.id)
    const shown = [...new Set([...metered, ...counted.map(row => String(row.provider))])]
    return {
      shop: id,
      month,
      providers: shown.map(provider => {
        const limit = providers.get(provider)?.metered?.limit(found.shop, found.settings(provider)) ?? null
        return viewOf(provider, limit, { counted: counted.filter(row => row.provider === provider), reserved: reserved.find(row => row.provider === provider) })
      })
    }
  })
}

/** The limit is that of now, whatever it was in the month asked for. */
function viewOf (provider: string, limit: number | null, { counted, reserved }: { counted: readonly Row[], reserved: Row | undefined }): object {
  const segments = counted.reduce((sum, row) => sum + Number(row.segments), 0)
  return {
    provider,
    limit,
    segments,
    messages: counted.reduce((sum, row) => sum + Number(row.messages), 0),
    /** Being sent, or perhaps sent: they count for the limit. */
    under_way: { messages: Number(reserved?.messages ?? 0), segments: Number(reserved?.segments ?? 0) },
    by_country: counted.map(({ country, messages, segments }) => ({ country, messages: Number(messages), segments: Number(segments) })),
    warning: warningOf(segments, limit)
  }
}

function warningOf (segments: number, limit: number | null): object | null {
  if (limit === null || segments * 100 < limit * WARN_PERCENT) return null
  return segments >= limit
    ? { percent: 100, text: `All ${limit} segments of the month are used: further messages are refused until the next month, or a higher limit.` }
    : { percent: WARN_PERCENT, text: `${segments} of ${limit} segments of the month are used. At the limit messages are refused, and not sent later.` }
}
