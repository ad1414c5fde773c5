// What a provider's messages may cost a shop in a month, as the platform's options and the shop's settings say.

import type { Metered } from '../contract.ts'
import type { Manifest } from './manifest.ts'
import { known, type Report } from './report.ts'

const AT = { phone: '/customer/phone', country: '/customer/country' }

/** `options` are the platform's, with their defaults. */
export function meteredOf ({ metered: source }: Manifest, options: Record<string, unknown>): Metered | null {
  if (source === undefined) return null
  const { by_plan: byPlan, by_shop: byShop, cap } = source
  return {
    at: { ...AT, ...source.at },
    limit ({ id, plan }, settings) {
      const given = byShop === undefined ? undefined : numberAt(options[byShop], id)
      const own = cap === undefined ? null : settings[cap] as number | null | undefined ?? null
      const limits = [given === undefined ? numberAt(options[byPlan], plan) : given, own].filter(limit => typeof limit === 'number')
      return limits.length === 0 ? null : Math.min(...limits)
    }
  }
}

export function checkMetered ({ metered: source, options, settings }: Manifest, report: Report): void {
  for (const key of ['by_plan', 'by_shop'] as const) {
    const name = source?.[key]
    if (name !== undefined && !Object.hasOwn(options, name)) report(`/metered/${key}`, `no option "${name}"`, known(options))
  }
  if (source?.cap !== undefined && !Object.hasOwn(settings, source.cap)) report('/metered/cap', `no setting "${source.cap}"`, known(settings))
}

/** Undefined where it is not named. */
function numberAt (table: unknown, name: string): number | null | undefined {
  return typeof table === 'object' && table !== null && Object.hasOwn(table, name) ? (table as Record<string, number | null>)[name] : undefined
}
