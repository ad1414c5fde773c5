// Routes of sources below /v1/shops/:shop/<id>: who calls is known and may use the shop, and the shop exists.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import { callerOfRequest } from './auth.ts'
import type { SourceShop } from './contract.ts'
import { GatewayError } from './errors.ts'
import type { Shops } from './shops/shops.ts'
import type { Working } from './sourcing.ts'

export interface SourceRoutesOptions { working: ReadonlyMap<string, Working>, shops: Shops }

export function sourceRoutes (app: FastifyInstance, { working, shops }: SourceRoutesOptions): void {
  for (const { source: { id, code }, context } of working.values()) {
    const { api } = code
    if (api === undefined) continue
    app.register(async scope => {
      scope.decorateRequest<SourceShop | null, 'sourceShop'>('sourceShop', null)
      scope.addHook('preParsing', async request => {
        const { shop } = request.params as { shop: string }
        const state = callerOfRequest(request).mayUse(shop) ? await shops.get(shop) : null
        if (state === null) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
        const found = await context.shop(shop)
        ;(request as FastifyRequest & { sourceShop: SourceShop | null }).sourceShop = found
      })
      await api(scope, context)
    }, { prefix: `/v1/shops/:shop/${id}` })
  }
}
