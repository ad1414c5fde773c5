// Whose turn it is: how many of the free places each queue of an account gets.

import type { EventTypeConfig, Provider, Row, Runtime, Step, Store } from '../contract.ts'
import type { OpenAccount } from './account.ts'

export interface Share { queueKey: number, n: number }

/** Set-up groups with room for at least one, and for how many: what fits the fullest limit group of a queue's event types fits all. */
export function roomByQueue (provider: Provider, types: Record<string, EventTypeConfig>, roomOf: (group: string) => number): Map<string, number> {
  const room = new Map<string, number>()
  for (const { type, setupGroup } of Object.values(types)) {
    const event = provider.events[type]
    if (event) room.set(setupGroup, Math.min(room.get(setupGroup) ?? Infinity, roomOf(event.group)))
  }
  // A queue whose events have no mapping any more is taken too, so that they are told why they do not go.
  for (const { setupGroup } of Object.values(types)) if (!room.has(setupGroup)) room.set(setupGroup, 1)
  for (const [group, n] of room) if (n < 1) room.delete(group)
  return room
}

/** Queues with something due, in the order of their turn. `waiting`: by shop, what is passed over; a shop has a queue for each channel and group at most. */
export async function readyQueues ({ key, held }: OpenAccount, { groups, limit, waiting, channels }: { groups: readonly string[], limit: number, waiting: ReadonlyMap<number, unknown>, channels: number }, store: Store): Promise<Row[]> {
  const passedOver = waiting.size * groups.length * channels
  const queues = await store.read(held ? 'probe_queues' : 'ready_queues', { account_key: key, groups: JSON.stringify(groups), limit: limit + passedOver })
  return queues.filter(queue => !waiting.has(queue.shop_key as number))
}

/**
 * Only the most urgent queues have their turn; the others come in the next round, if there is still room then.
 * Among those each gets one place before any gets its second, those served longest ago first. `queues` come in that order.
 */
export function share (queues: readonly Row[], limit: number, room: ReadonlyMap<string, number>): Share[] {
  const turn = queues.filter(queue => queue.priority === queues[0]?.priority).slice(0, limit)
  const each = Math.floor(limit / turn.length)
  const more = limit % turn.length
  return turn.map((queue, i) => ({ queueKey: queue.queue_key as number, n: Math.min(each + (i < more ? 1 : 0), room.get(queue.setup_group as string) ?? 0) }))
}

/** What is claimed, with the turn of each queue. A held account is tried with one message, and none is always the one. */
export function claimSteps (shares: readonly Share[], { key, held }: OpenAccount, { served, now, owner, epoch }: { served: number, now: number, owner: number, epoch: number }): Step[] {
  const name = held ? 'claim_probe' : 'claim_deliveries'
  return [
    ...shares.map(({ queueKey, n }) => ({ name, params: { queue_key: queueKey, account_key: key, owner, epoch, now, limit: n } })),
    ...shares.map(({ queueKey }) => ({ name: 'refresh_queue', params: { queue_key: queueKey, served_at: served, now, limit: 1 } }))
  ]
}

/** How many places of each limit group these deliveries will take. */
export function groupsOf (rows: readonly Row[], provider: Provider): Map<string, number> {
  const groups = new Map<string, number>()
  for (const row of rows) {
    const group = provider.events[row.type as string]?.group
    if (group !== undefined) groups.set(group, (groups.get(group) ?? 0) + 1)
  }
  return groups
}

/** The claimed deliveries with their events; a read that fails gives the claim back. */
export async function claimedRows (keys: readonly number[], epoch: number, { store, runtime, insist }: { store: Store, runtime: Runtime, insist (steps: Step[]): Promise<void> }): Promise<Row[]> {
  const list = JSON.stringify(keys)
  try {
    return await store.read('claimed', { keys: list })
  } catch (error) {
    const mine = { keys: list, owner: store.owner, epoch, now: runtime.now() }
    await insist([{ name: 'release_queues', params: { keys: list } }, { name: 'release_claims', params: mine }])
    throw error
  }
}
