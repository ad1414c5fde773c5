// R27: twenty producers and twenty consumers on four stores of one database: each job is done once, and nobody's are left behind.

import { setTimeout as wait } from 'node:timers/promises'
import { Jobs } from '../../gateway/jobs/runner.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { openPostgres, type PostgresStore } from '../../gateway/store/postgres/store.ts'
import { between, seeded } from './seed.ts'
import { some } from './trial.ts'

const STORES = 4
const CONSUMERS_PER_STORE = 5
const PRODUCERS = 20
const KIND = 'counted'
const DONE_WITHIN_MS = 60_000
const ACCOUNTS = 1000

export interface ConsumersOptions {
  /** An empty database. */
  url: string
  seed: number
  jobs: number
}

export interface ConsumersReport {
  seed: number
  jobs: number
  /** Jobs that were never done, and those that were done more than once. */
  missing: string[]
  repeated: string[]
  /** How many each consumer did. */
  shares: number[]
  errors: string[]
}

export async function produceAndConsume ({ url, seed, jobs }: ConsumersOptions): Promise<ConsumersReport> {
  const random = seeded(seed)
  const pauseMs = between(random, 0, 20)
  const takesMs = between(random, 0, 5)
  const errors: string[] = []
  const onError = (error: unknown): void => { errors.push(String(error)) }
  const done = new Map<string, number>()
  const shares: number[] = []
  const stores: PostgresStore[] = []
  const consumers: Jobs[] = []
  try {
    for (let i = 0; i < STORES; i++) stores.push(await listening(url, consumers, onError))
    for (const store of stores) {
      const runtime = { ...systemRuntime(), now: () => store.now() }
      for (let i = 0; i < CONSUMERS_PER_STORE; i++) {
        const mine = shares.push(0) - 1
        const work = async ({ uniqueKey }: { uniqueKey: string }): Promise<null> => {
          await wait(takesMs())
          done.set(uniqueKey, (done.get(uniqueKey) ?? 0) + 1)
          shares[mine] = (shares[mine] as number) + 1
          return null
        }
        const consumer = new Jobs({ store, runtime, handlers: { [KIND]: work }, onError })
        consumers.push(consumer)
        await consumer.start([])
      }
    }
    await Promise.all(Array.from({ length: PRODUCERS }, async (_, producer) => {
      const store = stores[producer % STORES] as PostgresStore
      for (let n = producer; n < jobs; n += PRODUCERS) {
        // Some are about an account, which one instance alone works on; of the others each may take any.
        const accountKey = n % 2 === 0 ? Math.floor(random() * ACCOUNTS) : null
        await store.commit([{ name: 'put_job', params: { job_key: store.nextKey('jobs'), id: `job_${seed}_${n}`, kind: KIND, unique_key: `${seed}-${n}`, account_key: accountKey, delivery_key: null, due_at: store.now(), now: store.now() } }])
        store.tell({ jobs: true })
        await wait(pauseMs())
      }
    }))
    for (const endsAt = performance.now() + DONE_WITHIN_MS; done.size < jobs && performance.now() < endsAt;) await wait(20)
    await wait(200) // one that is done a second time
  } finally {
    await Promise.all(consumers.map(consumer => consumer.stop()))
    for (const store of stores) await store.close()
  }
  const all = Array.from({ length: jobs }, (_, n) => `${seed}-${n}`)
  return { seed, jobs, missing: all.filter(key => !done.has(key)), repeated: all.filter(key => (done.get(key) ?? 0) > 1), shares, errors }
}

async function listening (url: string, consumers: readonly Jobs[], onError: (error: unknown) => void): Promise<PostgresStore> {
  const store = await openPostgres({ url, pool: 4, leaseMs: 3000, allowDataLoss: false, mono: () => performance.now(), onError })
  await store.listen({
    taken: async () => {},
    asked: async () => {},
    lost () {},
    work () {},
    news: news => { if (news === null || news.jobs) for (const consumer of consumers) consumer.look() },
    onError
  })
  return store
}

export function consumersFaults ({ missing, repeated, shares, errors }: ConsumersReport): string[] {
  return [
    ...(missing.length > 0 ? [some('never done', missing)] : []),
    ...(repeated.length > 0 ? [some('done more than once', repeated)] : []),
    ...(shares.includes(0) ? ['a consumer got nothing'] : []),
    ...(errors.length > 0 ? [some('errors', errors)] : [])
  ]
}

export function consumersLine ({ seed, jobs, missing, repeated, shares }: ConsumersReport): string {
  return `seed ${seed}, ${jobs} jobs, ${some('never done', missing)}, ${some('done more than once', repeated)}, each of ${shares.length} consumers did ${Math.min(...shares)} to ${Math.max(...shares)}`
}
