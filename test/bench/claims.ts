// What a claim costs beside a large backlog: the store alone, filled by SQL, claimed from as the deliveries do.

import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { Client } from 'pg'
import { ALL_SLOTS, slotOf, type Store, type StoreEvents } from '../../gateway/contract.ts'
import { openPostgres } from '../../gateway/store/postgres/store.ts'
import { openSqlite } from '../../gateway/store/sqlite.ts'
import { median } from './parts.ts'

export type Kind = 'sqlite' | 'postgres'

const NOW = 1_800_000_000_000
const CLAIMS = 300
/** What an account's round takes when a few places are free. */
const TAKEN = 4
const nothing: StoreEvents = { taken: async () => {}, asked: async () => {}, lost: () => {}, work: () => {}, news: () => {}, onError: error => { throw error } }

export interface Place { kind: Kind, /** Folder of the file, or URL of an empty database. */ at: string }

export interface Side { place: Place, waiting: number, accounts: number }

/**
 * Median milliseconds of one claim on each side, from the look at the queues to the rows in hand: `waiting` deliveries are spread over
 * `accounts`. All sides are filled first, then claimed from by turns, so that whatever else the machine does meets them alike.
 */
export async function claimMs (sides: readonly Side[]): Promise<number[]> {
  for (const { place } of sides) await (await opened(place)).close() // makes the tables
  for (const side of sides) await fill(side)
  const stores = await Promise.all(sides.map(({ place }) => opened(place)))
  const times = sides.map((): number[] => [])
  try {
    for (let i = 0; i < CLAIMS; i++) {
      for (const [n, { accounts }] of sides.entries()) {
        const startedAt = performance.now()
        await claim(stores[n] as Store, 1 + Math.floor(i * accounts / CLAIMS) % accounts)
        times[n]?.push(performance.now() - startedAt)
      }
    }
  } finally {
    await Promise.all(stores.map(store => store.close()))
  }
  return times.map(each => median(each.slice(CLAIMS / 10))) // the first find nothing prepared
}

async function claim (store: Store, account: number): Promise<void> {
  const epoch = store.slots.epoch(slotOf(account)) as number
  const [queue] = await store.read('ready_queues', { account_key: account, groups: '["things"]', limit: TAKEN })
  const [claimed] = await store.commit([
    { name: 'claim_deliveries', params: { queue_key: queue?.queue_key as number, account_key: account, owner: store.owner, epoch, now: NOW, limit: TAKEN } },
    { name: 'refresh_queue', params: { queue_key: queue?.queue_key as number, served_at: NOW, now: NOW, limit: 1 } }
  ])
  const keys = claimed?.rows.map(row => row.delivery_key as number) ?? []
  if (keys.length === 0) throw new Error(`account ${account} had nothing to claim`)
  await store.read('claimed', { keys: JSON.stringify(keys) })
}

async function opened ({ kind, at }: Place): Promise<Store> {
  const store = kind === 'sqlite'
    ? openSqlite({ path: join(at, 'gateway.db'), now: () => NOW })
    : await openPostgres({ url: at, pool: 2, leaseMs: 60_000, allowDataLoss: false, mono: () => performance.now(), onError: error => { console.error(error) } })
  await store.listen(nothing)
  if (store.slots.mine.length < ALL_SLOTS.length) throw new Error('another instance has accounts of the bench')
  return store
}

/** The same rows in both: a shop, a connection-less account and a queue each, and their deliveries, all due. */
function rows (numbers: (from: number, to: number) => string, waiting: number, accounts: number): string[] {
  return [
    `insert into shops (shop_key, id, name, domain, plan, active, created_at, updated_at) select n, 's' || n, 'Acme', 's' || n, 'pro', 1, ${NOW}, ${NOW} from ${numbers(1, accounts)}`,
    `insert into accounts (account_key, provider, account, slot) select n, 'alpha', 'A' || n, 0 from ${numbers(1, accounts)}`,
    `insert into queues (queue_key, shop_key, channel, setup_group, provider, account_key, ready, priority) select n, n, 'sms', 'things', 'alpha', n, 1, 2 from ${numbers(1, accounts)}`,
    `insert into events (event_key, id, shop_key, source, source_id, type, time_at, received_at, data)
      select n, 'evt_' || n, 1 + n % ${accounts}, '/bench', 'e' || n, 'thing.happened', ${NOW}, ${NOW}, '{"customer":{"name":"Ada","phone":"+12015550123"}}' from ${numbers(1, waiting)}`,
    `insert into deliveries (delivery_key, id, event_key, queue_key, state, priority, due_at, expires_at, created_at)
      select n, 'dlv_' || n, n, 1 + n % ${accounts}, 1, 2, ${NOW} - 1000, ${NOW} + 86400000, ${NOW} from ${numbers(1, waiting)}`
  ]
}

async function fill ({ place: { kind, at }, waiting, accounts }: Side): Promise<void> {
  if (kind === 'sqlite') {
    const db = new DatabaseSync(join(at, 'gateway.db'))
    const numbers = (from: number, to: number): string => `(with recursive row (n) as (select ${from} union all select n + 1 from row where n < ${to}) select n from row)`
    for (const sql of rows(numbers, waiting, accounts)) db.exec(sql)
    db.close()
    return
  }
  const client = new Client({ connectionString: at })
  await client.connect()
  for (const sql of rows((from, to) => `generate_series(${from}, ${to}) as row (n)`, waiting, accounts)) await client.query(sql)
  await client.query('vacuum analyze')
  await client.query('checkpoint') // else it goes on in the background, and each claim beside it; after it each page claimed from costs its image in the log
  await client.end()
}
