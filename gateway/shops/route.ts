// Whether a shop's messages of one set-up group may go out, and if not, why: one place for API, queue rows and checks.

import type { Provider } from '../contract.ts'
import type { Reason } from '../reasons.ts'

export interface RouteFacts {
  active: boolean
  uninstalled?: boolean
  /** Capabilities of the shop's plan. */
  capabilities: readonly string[]
  provider: Provider | null
  /** A provider was chosen, or a default exists, by this id. */
  chosen: string | null
  /** `secrets` is null where the stored ones cannot be opened; `oauth.brokenAt` is set where its grant has ended. */
  connection: { platform: boolean, ready: readonly string[], setUp: readonly string[], secrets: object | null, oauth?: { brokenAt: number | null } | null } | null
  setupGroup: string
}

/** The reason that holds the queue, null when it may send. The first in the order a merchant would put them right. */
export function heldReason (facts: RouteFacts): Reason | null {
  if (facts.uninstalled === true) return 'shop_uninstalled'
  if (!facts.active) return 'shop_inactive'
  if (facts.chosen === null) return 'no_provider'
  if (facts.provider === null) return 'provider_unknown'
  if (facts.provider.comingSoon) return 'coming_soon'
  if (!planAllows(facts.provider, facts.capabilities)) return 'plan_too_low'
  if (facts.connection === null) return 'not_connected'
  if (facts.connection.secrets === null) return 'credentials_unreadable'
  if ((facts.connection.oauth?.brokenAt ?? null) !== null) return 'credentials_refused'
  if (!isSetUp(facts.connection, facts.setupGroup)) return 'setup_open'
  return null
}

/** Nothing is to be set up at the platform's account. */
export function isSetUp ({ platform, ready, setUp }: { platform: boolean, ready: readonly string[], setUp: readonly string[] }, group: string): boolean {
  return platform || ready.includes(group) || setUp.includes(group)
}

export function planAllows (provider: Provider, capabilities: readonly string[]): boolean {
  return provider.needs.every(need => capabilities.includes(need))
}
