// A channel as it is shown: who sends on it, what is held and why, and what follows from choosing another provider.

import type { Provider } from '../contract.ts'
import { sentence, type Reason } from '../reasons.ts'
import { heldReason, isSetUp } from './route.ts'
import type { Shops, ShopState } from './shops.ts'
import { countOf, sumOf, waitingView, type Waiting, type WaitingByGroup } from './waiting.ts'

/** What holds accounts, by key. */
export type Held = ReadonlyMap<number, Reason>

export interface ChannelOptions {
  shops: Shops
  providers: ReadonlyMap<string, Provider>
  /** Set-up groups of a channel's kinds of message. */
  groupsOf (channel: string): readonly string[]
}

export function titleOf (id: string | null, channel: string, { providers, shops }: Pick<ChannelOptions, 'providers' | 'shops'>): string {
  return id === null ? '' : shops.choicesOf(channel)?.[id] ?? providers.get(id)?.title ?? id
}

export function channelView (state: ShopState, channel: string, held: Held, options: ChannelOptions): object {
  const { shops } = options
  const provider = shops.providerOf(state, channel)
  const title = titleOf(provider, channel, options)
  const queues = [...state.queues.values()].filter(queue => queue.channel === channel)
  return {
    provider,
    chosen: state.channels.has(channel),
    sends: shops.choicesOf(channel) === null,
    queues: queues.map(queue => {
      const reason = queue.held ?? held.get(queue.accountKey ?? 0) ?? null
      return { setup_group: queue.setupGroup, held_reason: reason, sentence: reason && sentence(reason, title) }
    }),
    providers: shops.providersOf(channel).map(id => {
      const refusal = refusalOf(state, id, channel, options)
      return { id, title: titleOf(id, channel, options), available: refusal === null, ...(refusal && { reason: refusal, sentence: sentence(refusal, titleOf(id, channel, options)) }) }
    })
  }
}

interface Warning { code: string, text: string, setup_groups?: string[], waiting: number, waiting_at_least: boolean }

/** The same, and with each provider how far it is set up and what would be held if it were chosen now; `warnings` are those of the one that is. */
export function choiceView (state: ShopState, channel: string, held: Held, waiting: WaitingByGroup, options: ChannelOptions): object {
  const view = channelView(state, channel, held, options) as { providers: Array<{ id: string }> }
  const active = options.shops.providerOf(state, channel)
  return {
    ...view,
    providers: view.providers.map(shown => ({ ...shown, ...choice(state, shown.id, channel, held, waiting, options) })),
    warnings: active === null ? [] : warningsOf(state, active, channel, held, waiting, options)
  }
}

/** Where nothing is sent nothing can be held: only whether the shop has a connection there is told. */
function choice (state: ShopState, id: string, channel: string, held: Held, waiting: WaitingByGroup, options: ChannelOptions): object {
  const connection = state.connections.get(id)
  const connected = connection !== undefined && connection.secrets !== null
  if (options.shops.choicesOf(channel) !== null) return { connected, set_up: {}, warnings: [] }
  return {
    connected,
    set_up: Object.fromEntries(options.groupsOf(channel).map(group => [group, connected && isSetUp(connection, group)])),
    warnings: refusalOf(state, id, channel, options) ? [] : [...switching(state, id, channel, waiting, options), ...warningsOf(state, id, channel, held, waiting, options)]
  }
}

function switching (state: ShopState, id: string, channel: string, waiting: WaitingByGroup, options: ChannelOptions): Warning[] {
  const active = options.shops.providerOf(state, channel)
  if (active === id || active === null) return []
  const all = sumOf(waiting.values())
  const moves = all.waiting === 0 ? '' : ` ${waits(all)} now, and ${all.waiting === 1 ? 'moves' : 'move'} there too.`
  return [{ code: 'switch', text: `${titleOf(active, channel, options)} stops sending now, ${titleOf(id, channel, options)} starts.${moves}`, ...waitingView(all) }]
}

/** What holds messages at a provider, or would, by reason. */
function warningsOf (state: ShopState, id: string, channel: string, held: Held, waiting: WaitingByGroup, { shops, providers, groupsOf }: ChannelOptions): Warning[] {
  const provider = providers.get(id) ?? null
  if (shops.choicesOf(channel) !== null) return []
  const connection = state.connections.get(id) ?? null
  const title = provider?.title ?? id
  const groups = groupsOf(channel)
  const byReason = Map.groupBy(groups, setupGroup => heldReason({ active: state.shop.active, capabilities: shops.capabilities(state.shop), provider, chosen: id, connection, setupGroup }))
  const account = connection === null ? null : held.get(connection.accountKey) ?? null
  return [
    ...(account === null ? [] : [warning(account, sentence(account, title), groups, waiting)]),
    ...[...byReason].flatMap(([reason, held]) => reason === null ? [] : [warning(reason, reason === 'setup_open' ? `${title} setup incomplete for ${held.join(', ')}.` : sentence(reason, title), held, waiting)])
  ]
}

function warning (code: Reason, text: string, groups: readonly string[], waiting: WaitingByGroup): Warning {
  const held = sumOf(groups.map(group => waiting.get(group)))
  return { code, text: `${text} Messages are held until then${held.waiting === 0 ? '.' : `; ${waits(held)} now.`}`, setup_groups: [...groups], ...waitingView(held) }
}

function refusalOf (state: ShopState, id: string, channel: string, { shops, providers }: ChannelOptions): Reason | null {
  const provider = providers.get(id)
  return provider === undefined || shops.choicesOf(channel) !== null ? null : shops.refusal(state.shop, provider)
}

function waits (n: Waiting): string { return `${countOf(n)} ${n.waiting === 1 ? 'waits' : 'wait'}` }
