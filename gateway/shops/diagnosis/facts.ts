// What a diagnosis is made from: how the shop stands at the provider of a channel, what waits, and what became of its messages lately.

import type { Config, EventTypeConfig, Kind, PossibleCause, Provider, State } from '../../contract.ts'
import type { Reason } from '../../reasons.ts'
import { isSetUp } from '../route.ts'
import type { Standing } from '../setup/progress.ts'
import type { Standings } from '../setup/setup.ts'
import type { Queue, Shops, ShopState } from '../shops.ts'

/** A delivery of the shop, or of one of its customers. Times are epoch milliseconds. */
export interface Recent { id: string, type: string, provider: string | null, state: State | 'held', reason: Reason | null, createdAt: number }

/** What waits of a set-up group; `ms` null where it is held. */
export interface Backlog { setupGroup: string, waiting: number, ms: number | null, limitedBy: string | null }

/** Kinds of message of one set-up group. `supported`: the provider can send it. */
export interface GroupFacts { group: string, types: Array<{ type: string, kind: Kind, supported: boolean }>, ready: boolean, declared: boolean }

export interface DiagnosisFacts {
  active: boolean
  uninstalled?: boolean
  /** Id of the provider of the channel, null where there is none. */
  chosen: string | null
  /** Null where it is not available any more. */
  provider: { title: string, possibleCauses: readonly PossibleCause[] } | null
  refusal: 'coming_soon' | 'plan_too_low' | null
  /** `platform`: the account is not the shop's, and nothing is to be set up. */
  connection: { platform: boolean, readable: boolean } | null
  /** What holds the account. */
  held: Reason | null
  groups: GroupFacts[]
  standings: readonly Standing[]
  backlogs: readonly Backlog[]
  /** Newest first. */
  recent: readonly Recent[]
  /** Only of one customer. */
  ofPerson: boolean
  /** When the provider last said that this customer wants no texts, which it keeps from them; absent or null where that is not known. Epoch milliseconds. */
  optedOutAt?: number | null
}

export interface FactsOptions {
  shops: Shops
  config: Config
  providers: ReadonlyMap<string, Provider>
  standings (state: ShopState, provider: Provider): Promise<Standings>
  forecast (queues: readonly Queue[]): Promise<Backlog[]>
  /** The newest deliveries of a channel of the shop, or of a customer by phone number. */
  recent (shop: string, channel: string, person: string | null): Promise<Recent[]>
  /** When the provider of an account last said that a customer wants no texts, which it keeps from them; null where that is not known. */
  optedOutAt (provider: Provider, accountKey: number, person: string): Promise<number | null>
}

/** How a shop stands on a channel. */
export async function factsFor (state: ShopState, channel: string, person: string | null, options: FactsOptions): Promise<DiagnosisFacts> {
  const { shops, providers, config } = options
  const chosen = shops.providerOf(state, channel)
  const provider = chosen === null ? undefined : providers.get(chosen)
  const connection = provider && state.connections.get(provider.id)
  const queues = [...state.queues.values()].filter(queue => queue.channel === channel)
  const [standings, backlogs, recent, optedOutAt] = await Promise.all([
    provider && options.standings(state, provider), options.forecast(queues), options.recent(state.shop.id, channel, person),
    provider && connection && person !== null ? options.optedOutAt(provider, connection.accountKey, person) : null
  ])
  return {
    active: state.shop.active,
    uninstalled: state.shop.status === 'uninstalled',
    chosen,
    provider: provider ?? null,
    refusal: provider ? shops.refusal(state.shop, provider) : null,
    connection: connection ? { platform: connection.platform, readable: connection.secrets !== null } : null,
    held: standings?.held ?? null,
    groups: groupsOf(Object.values(config.eventTypes).filter(type => type.channel === channel && type.kind !== 'sync'), provider, connection),
    standings: standings?.standings ?? [],
    backlogs,
    recent: recent.filter(one => one.provider === chosen),
    ofPerson: person !== null,
    optedOutAt
  }
}

function groupsOf (types: readonly EventTypeConfig[], provider: Provider | undefined, connection: Parameters<typeof isSetUp>[0] | undefined): GroupFacts[] {
  return [...Map.groupBy(types, ({ setupGroup }) => setupGroup)].map(([group, all]) => ({
    group,
    types: all.map(({ type, kind }) => ({ type, kind, supported: provider !== undefined && Object.hasOwn(provider.events, type) })),
    ready: connection !== undefined && isSetUp(connection, group),
    declared: connection?.ready.includes(group) ?? false
  }))
}
