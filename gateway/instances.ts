// One gateway among those that share a store: which accounts are its own, and what the others tell it.

import { SLOTS, type Config, type Extensible, type News, type Runtime, type Store, type StoreEvents } from './contract.ts'
import type { Deliver } from './delivery/deliver.ts'
import type { Jobs } from './jobs/runner.ts'
import type { Logger } from './observe/log.ts'
import type { Shops } from './shops/shops.ts'
import { openSqlite } from './store/sqlite.ts'

/** The store of the config, and the time to go by: instances that share a database go by its clock, unless they are `given` another. */
export async function openStore (config: Config['store'], { runtime, given, log }: { runtime: Runtime, given: boolean, log: Logger }): Promise<{ store: Store & Extensible, runtime: Runtime }> {
  if (config.allowDataLoss) log.warn('store.allow_data_loss: a power cut may lose what was accepted')
  if (config.driver === 'sqlite') return { store: openSqlite({ path: config.path, now: runtime.now, synchronous: config.synchronous }), runtime }
  const { openPostgres } = await import('./store/postgres/store.ts') // an embedded store needs no driver
  const store = await openPostgres({
    url: config.url.reveal(),
    pool: config.pool,
    leaseMs: config.leaseMs,
    allowDataLoss: config.allowDataLoss,
    mono: runtime.mono,
    onError: error => { log.error({ error }, 'the database') }
  })
  return { store, runtime: given ? runtime : { ...runtime, now: () => store.now() } }
}

export interface InstanceParts { deliver: Deliver, shops: Shops, jobs: Jobs, log: Logger }

export function storeEvents ({ deliver, shops, jobs, log }: InstanceParts): StoreEvents {
  const onError = (error: unknown): void => { log.error({ error }, 'the database') }

  async function heard (news: News | null): Promise<void> {
    if (news === null || news.shop !== undefined) shops.forget(news?.shop ?? null)
    if (news === null || news.accounts !== undefined) await deliver.reread(news?.accounts ?? null)
    if (news === null || news.jobs) jobs.look()
  }

  return {
    taken: async slots => {
      const deliveries = await deliver.take(slots)
      if (slots.length < SLOTS) log.info({ slots: slots.length, deliveries }, 'took over accounts')
      else if (deliveries > 0) log.warn({ deliveries }, 'took over what a gateway that was killed left')
    },
    asked: slots => deliver.handOver(slots),
    lost: slots => {
      log.warn({ slots: slots.length }, 'accounts were taken over by another instance')
      deliver.drop(slots)
    },
    work: keys => { for (const key of keys) deliver.wake(key) },
    news: news => { void heard(news).catch(onError) },
    onError
  }
}
