// What the Admin API adds to the source, for its index.ts.

import type { SourceCode, SourceContext } from '../../../gateway/define.ts'
import { objectOf } from '../body.ts'
import { reconcileJob, toldOf } from './reconcile.ts'
import { adminRoutes } from './routes.ts'
import { adminStatements } from './statements.ts'
import { subscriptionsJob } from './subscriptions.ts'

const FORGET = ['access', 'plans', 'subscriptions', 'told'] as const

type Consume = NonNullable<SourceCode['consumes']>[string]

export const CONSUMES = {
  'stock.changed': toldOf,
  // The app was taken out: its tokens are worth nothing any more.
  'shop.updated': ({ shop, timeAt, data }) => objectOf(data)['status'] === 'uninstalled' ? [{ name: 'shopify_forget_access_before', params: { shop_key: shop.key, before: timeAt } }] : []
} satisfies SourceCode['consumes']

function both (one: Consume | undefined, other: Consume): Consume { return (event, context) => [...one?.(event, context) ?? [], ...other(event, context)] }

/** The source, and beside its own parts those of the Admin API. */
export function withAdmin (own: SourceCode): SourceCode {
  const { events, statements, consumes = {}, jobs, recurring = [], api, privacy } = own
  return {
    ...own,
    events: [...new Set([...events, 'stock.changed'])],
    statements: d => ({ ...statements?.(d), ...adminStatements(d) }),
    consumes: { ...consumes, ...Object.fromEntries(Object.entries(CONSUMES).map(([type, steps]) => [type, both(consumes[type], steps)])) },
    jobs: { ...jobs, shopify_subscriptions: subscriptionsJob, shopify_reconcile: reconcileJob },
    recurring: [...recurring, 'shopify_subscriptions', 'shopify_reconcile'],
    async api (app, context) {
      await api?.(app, context)
      adminRoutes(app, context)
    },
    privacy: {
      redact: async (...given) => { await privacy?.redact(...given) },
      export: async (...given) => await privacy?.export(...given) ?? null,
      async forgetShop (shopKey, context) {
        await privacy?.forgetShop(shopKey, context)
        await forgetAdmin(shopKey, context)
      }
    }
  }
}

/** All that is kept of a shop here; none of it is about people. */
export async function forgetAdmin (shopKey: number, context: SourceContext): Promise<void> {
  const params = { shop_key: shopKey }
  await context.commit([...FORGET.map(name => ({ name: `shopify_forget_${name}`, params })), { name: 'shopify_forget_absent', params: { ...params, before: context.now() } }])
}
