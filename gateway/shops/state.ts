// A shop as it is held in memory, and from which rows it is made.

import type { Row } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import type { Connection } from './connections.ts'

/** Of the app at the shop. Of one that is `erasing` or `erased` nothing is known any more but that. */
export type ShopStatus = 'installed' | 'uninstalled' | 'erasing' | 'erased'

/** `version` rises with every change of the shop, of its connections and choices. */
export interface Shop {
  version: number
  key: number
  id: string
  name: string
  domain: string
  plan: string
  active: boolean
  status: ShopStatus
  /** Epoch milliseconds; 0 where nobody ever said. */
  statusAt: number
  /** A plan that the platform named, and the config does not have; `plan` stayed. */
  planTold: string | null
}

export interface Queue { key: number, channel: string, setupGroup: string, provider: string | null, accountKey: number | null, held: Reason | null }

/** A shop with all that sending needs. */
export interface ShopState {
  shop: Shop
  channels: Map<string, string>
  connections: Map<string, Connection>
  queues: Map<string, Queue>
}

/** As much of a connection as decides it. */
type Routed = Pick<Connection, 'platform' | 'account' | 'ready' | 'setUp' | 'secrets'> & Partial<Pick<Connection, 'oauth'>>

/** As much of a shop as decides where its queues go. */
export interface RouteState {
  shop: Shop
  channels: ReadonlyMap<string, string>
  connections: ReadonlyMap<string, Routed>
  queues: ReadonlyMap<string, Queue>
}

export function shopOf (row: Row): Shop {
  return { version: Number(row.version), key: Number(row.shop_key), id: String(row.id), name: String(row.name), domain: String(row.domain), plan: String(row.plan), active: row.active === 1, status: row.status as ShopStatus, statusAt: Number(row.status_at), planTold: row.plan_told as string | null }
}

/** Null for a shop that is erased, or just being: for everybody but who erases it there is none. */
export function present<S extends ShopState> (state: S | null | undefined): S | null {
  return state == null || state.shop.status === 'erasing' || state.shop.status === 'erased' ? null : state
}

export function queueOf (row: Row): Queue {
  return {
    key: Number(row.queue_key),
    channel: String(row.channel),
    setupGroup: String(row.setup_group),
    provider: row.provider as string | null,
    accountKey: row.account_key as number | null,
    held: row.held_reason as Reason | null
  }
}

/** The state as it will be with this connection, or without one. */
export function withConnection (state: ShopState, provider: string, connection: Routed | null): RouteState {
  const connections = new Map<string, Routed>(state.connections)
  if (connection) connections.set(provider, connection)
  else connections.delete(provider)
  return { ...state, connections }
}
