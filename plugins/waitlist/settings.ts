// What a shop chooses: when those who wait are told, how many at once, and whether they are reminded.

import type { FastifyInstance } from 'fastify'
import { GatewayError } from '../../gateway/errors.ts'
import type { SourceContext, SourceShop } from '../../gateway/define.ts'
import { CHOICES, type Batches, type WaitlistOptions } from './options.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

export interface Settings extends WaitlistOptions { storefront_origins: string[] }

const SCHEMA = {
  body: {
    type: 'object',
    additionalProperties: false,
    minProperties: 1,
    properties: {
      ...CHOICES,
      storefront_origins: { description: 'Where the storefront is, such as https://shop.example.', type: 'array', maxItems: 20, uniqueItems: true, items: { type: 'string', maxLength: 260, pattern: '^https://[a-z0-9.-]+(:[0-9]{1,5})?$' } }
    }
  }
} as const

/** As the shop chose it, and as the platform did where the shop has not. */
export async function settingsOf (context: SourceContext, shopKey: number): Promise<Settings> {
  const [row] = await context.read('waitlist_settings', { shop_key: shopKey })
  const chosen = row === undefined ? {} : JSON.parse(row.data as string) as Record<string, unknown>
  const off = Object.fromEntries(Object.entries(chosen).map(([name, value]) => [name, value === false && name !== 'automatic' ? null : value]))
  return { ...context.options as unknown as WaitlistOptions, storefront_origins: [], ...off }
}

/** Null where everybody is told at once: chosen so, or the plan has no batches. */
export function batchesOf ({ batches }: Settings, { capabilities }: SourceShop): { multiplier: number, intervalMs: number } | null {
  return batches === null || !capabilities.includes('batches') ? null : { multiplier: batches.multiplier, intervalMs: batches.interval_minutes * MINUTE_MS }
}

export function reminderAfterMs ({ reminder_after_days: days }: Settings): number | null { return days === null ? null : days * DAY_MS }

function view (settings: Settings, shop: SourceShop): Record<string, unknown> {
  const { automatic, threshold, batches, reminder_after_days: reminder, allowed_countries: countries, currency, storefront_origins: origins } = settings
  return {
    automatic, threshold, batches, reminder_after_days: reminder, allowed_countries: countries, currency, storefront_origins: origins,
    ...(batches !== null && batchesOf(settings, shop) === null && { batches_ignored: `The plan "${shop.plan}" has no batches: everybody is told at once.` })
  }
}

export function settingsRoutes (app: FastifyInstance, context: SourceContext): void {
  app.get('/settings', { config: { scope: 'shops:read' } }, async request => {
    const shop = context.shopOf(request)
    return view(await settingsOf(context, shop.key), shop)
  })

  app.patch<{ Body: Partial<Settings> }>('/settings', { config: { scope: 'shops:write' }, schema: SCHEMA }, async request => {
    const shop = context.shopOf(request)
    const { threshold, automatic, batches } = request.body
    if (batches !== undefined) checkPlan(batches, shop)
    // A member that is null would be taken out of the JSON, and the platform's choice hold again.
    const data = JSON.stringify(request.body, (_key, value: unknown) => value === null ? false : value)
    await context.commit([
      { name: 'waitlist_settings_put', params: { shop_key: shop.key, data, threshold: threshold ?? null, automatic: automatic === undefined ? null : Number(automatic), now: context.now() } },
      context.audit({ actor: context.callerOf(request), action: 'waitlist.settings', shop: shop.id, subject: Object.keys(request.body).join(',') })
    ])
    return view(await settingsOf(context, shop.key), shop)
  })
}

function checkPlan (batches: Batches | null, shop: SourceShop): void {
  if (batches !== null && !shop.capabilities.includes('batches')) throw new GatewayError('GW_PLAN_TOO_LOW', `The plan "${shop.plan}" has no batches.`)
}
