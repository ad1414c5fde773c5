// A shop from its rows, with all that sending needs.

import type { Provider, Row, Store } from '../contract.ts'
import { readConnection } from './connections.ts'
import { platformConnection, type PlatformAccounts } from './platform.ts'
import { queueOf, shopOf, type ShopState } from './state.ts'
import type { Vault } from './vault.ts'

export async function loadShop (row: Row, { store, vault, providers, platform }: { store: Store, vault: Vault, providers: ReadonlyMap<string, Provider>, platform: PlatformAccounts }): Promise<ShopState> {
  const shop = shopOf(row)
  const params = { shop_key: shop.key }
  const [channels, connections, queues] = await Promise.all([store.read('channels', params), store.read('connections', params), store.read('queues', params)])
  const state: ShopState = {
    shop,
    channels: new Map(channels.map(({ channel, provider }) => [String(channel), String(provider)])),
    connections: new Map(),
    queues: new Map(queues.map(queue => [`${queue.channel}/${queue.setup_group}`, queueOf(queue)]))
  }
  for (const row of connections) {
    const id = String(row.provider)
    if (providers.get(id)?.connection !== 'gateway') state.connections.set(id, await readConnection(shop, row, store, vault))
  }
  for (const [id, account] of platform) state.connections.set(id, platformConnection(account, connections.find(row => row.provider === id)))
  return state
}
