// The token that a shop's pages send along: anybody can read it there. It says which shop is meant, and one that is
// misused is replaced.

import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { GatewayError } from '../../../gateway/errors.ts'
import type { Row, SourceContext, SourceShop } from '../../../gateway/contract.ts'

const BYTES = 18

export function tokenRoutes (app: FastifyInstance, context: SourceContext): void {
  const { shopOf, callerOf, commit, audit, now } = context

  app.get('/storefront-token', { config: { scope: 'shops:read' } }, async request => {
    const row = await rowOf(shopOf(request).key, context)
    if (row === null) throw new GatewayError('GW_NOT_FOUND', 'The shop has no storefront token yet; a POST makes one.')
    return view(row)
  })

  app.post('/storefront-token', { config: { scope: 'shops:write' } }, async (request, reply) => {
    const shop = shopOf(request)
    const token = `wl_${randomBytes(BYTES).toString('base64url')}`
    await commit([
      { name: 'waitlist_token_put', params: { shop_key: shop.key, token, now: now() } },
      audit({ actor: callerOf(request), action: 'waitlist.storefront_token', shop: shop.id, subject: null })
    ])
    return reply.code(201).send(view(await rowOf(shop.key, context) as Row))
  })
}

/** Throws GW_STOREFRONT_TOKEN, the same for a shop that does not exist. */
export async function admitted (shopId: string, token: unknown, context: SourceContext): Promise<SourceShop> {
  const shop = await context.shop(shopId)
  const row = shop && await rowOf(shop.key, context)
  const good = [row?.token, row?.previous].filter(one => typeof one === 'string')
  if (!shop || typeof token !== 'string' || !good.some(one => same(one, token))) throw new GatewayError('GW_STOREFRONT_TOKEN', 'The storefront token is missing, or not the shop\'s.')
  return shop
}

/** How long it takes tells nothing of the token. */
function same (one: string, other: string): boolean { return timingSafeEqual(hash('sha256', one, 'buffer'), hash('sha256', other, 'buffer')) }

async function rowOf (shopKey: number, { read }: Pick<SourceContext, 'read'>): Promise<Row | null> {
  const [row] = await read('waitlist_token', { shop_key: shopKey })
  return row ?? null
}

function view ({ token, previous, rotated_at: rotatedAt }: Row): object {
  return { token, previous, rotated_at: new Date(rotatedAt as number).toISOString() }
}
