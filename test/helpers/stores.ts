// Where tests keep their data, decided in one place: a SQLite file each, or with TEST_STORE=postgres a database each.

import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client, Pool } from 'pg'
import type { Row, Store, StoreEvents } from '../../gateway/contract.ts'
import { clientConfig } from '../../gateway/store/postgres/connection.ts'
import { onPostgres } from '../e2e/world.ts'
import { database } from './postgres.ts'
import { tempDir, type Teardown } from './tmp.ts'

/** A path, or a URL. */
export type Place = string

export const storeKind: 'sqlite' | 'postgres' = process.env.TEST_STORE === 'postgres' ? 'postgres' : 'sqlite'
/** No test sees the end of such a lease, however busy the machine is; and no request of any lasts longer. */
const LEASE_MS = 24 * 3_600_000
const LEASE = '10m'
const POOL = 2
/** A test waits longer for its own connection than a gateway does: the machine may be busy with others. */
const CONNECT_MS = 60_000
const FILE = 'gateway.db'

/** A new place without anything in it, gone when the test ends. */
export async function newPlace (t: Teardown): Promise<Place> {
  if (storeKind === 'sqlite') return join(tempDir(t), FILE)
  const spare = free.pop() ?? await newDatabase()
  used.add(spare)
  t.teardown(async () => {
    if (spare.url !== spare.made) await rename(spare, spare.made)
    await forget(spare.url)
    used.delete(spare)
    free.push(spare)
  })
  await empty(spare.url)
  return spare.url
}

/** The store at a place, as a new process would open it, with no account yet; closed when the test ends. `now` is the clock of a store that has none. */
export async function openTestStore (t: Teardown, place: Place, now: () => number): Promise<Store> {
  const store = await opened(place, now)
  t.teardown(() => store.close())
  return store
}

async function opened (place: Place, now: () => number): Promise<Store> {
  if (storeKind === 'sqlite') return (await import('../../gateway/store/sqlite.ts')).openSqlite({ path: place, now })
  const { openPostgres } = await import('../../gateway/store/postgres/store.ts')
  return await openPostgres({ url: place, pool: POOL, leaseMs: LEASE_MS, allowDataLoss: false, mono: () => performance.now(), onError () {} })
}

/** One that has every account, and nobody who is told of them. */
export async function openAlone (t: Teardown, place: Place, now: () => number): Promise<Store> {
  const store = await openTestStore(t, place, now)
  await store.listen(NO_EVENTS)
  return store
}

const NO_EVENTS: StoreEvents = { taken: async () => {}, asked: async () => {}, lost: () => {}, work: () => {}, news: () => {}, onError: error => { throw error } }

/** Rows of one statement, as another process would see them; or writes. Both databases must know the words. */
export async function query (place: Place, sql: string): Promise<Row[]> {
  if (storeKind === 'postgres') return (await poolOf(place).query<Row>(sql)).rows
  const db = new DatabaseSync(place, { timeout: 5000 })
  try {
    return db.prepare(sql).all().map(row => ({ ...row })) as Row[]
  } finally {
    db.close()
  }
}

/** What a process leaves there that is killed at this moment, for the next one; whoever has it open writes nothing there any more. */
export async function leftAt (t: Teardown, place: Place): Promise<Place> {
  if (storeKind === 'postgres') return await cutOff(place)
  const copy = join(tempDir(t), FILE)
  for (const suffix of ['', '-wal']) if (existsSync(place + suffix)) copyFileSync(place + suffix, copy + suffix)
  return copy
}

/** Lets the leases of a process that was killed run out. */
export async function runOut (place: Place): Promise<void> {
  if (storeKind === 'sqlite') return
  await query(place, 'update slots set expires_at = 0')
  await query(place, 'update instances set expires_at = 0')
}

/** What a config says of the store there, and the environment that it needs. */
export function storeConfig (place: Place): { config: Record<string, unknown>, env: Record<string, string> } {
  if (storeKind === 'sqlite') return { config: { driver: 'sqlite', path: place }, env: {} }
  return { config: { driver: 'postgres', url: { env: 'DATABASE_URL' }, pool: POOL, lease: LEASE }, env: { DATABASE_URL: place } }
}

/** For a gateway as a process, what of its world is another way; nothing for SQLite, whose file lies beside it. */
export async function storeOfProcess (t: Teardown): Promise<ReturnType<typeof onPostgres> | undefined> {
  return storeKind === 'postgres' ? onPostgres(await newPlace(t)) : undefined
}

// ── databases, which cost more than a file: a test file uses them again ──

interface Spare { readonly made: string, url: string }

async function newDatabase (): Promise<Spare> {
  const { default: tap } = await import('tap') // whoever only loads this file, as campaigns do, is no test
  const made = await database(tap)
  return { made, url: made }
}

const free: Spare[] = []
const used = new Set<Spare>()
const pools = new Map<string, Pool>()

function poolOf (url: string): Pool {
  const there = pools.get(url)
  if (there) return there
  const made = new Pool({ ...clientConfig({ url, name: 'test' }), connectionTimeoutMillis: CONNECT_MS, max: 2, allowExitOnIdle: true })
  made.on('error', () => {}) // the query tells it
  pools.set(url, made)
  return made
}

async function connected (url: string): Promise<Client> {
  const client = new Client({ ...clientConfig({ url, name: 'test' }), connectionTimeoutMillis: CONNECT_MS })
  client.on('error', () => {}) // the query tells it
  await client.connect()
  return client
}

async function forget (url: string): Promise<void> {
  const pool = pools.get(url)
  pools.delete(url)
  await pool?.end()
}

/** One that was not used before has no tables yet. */
async function empty (url: string): Promise<void> {
  await query(url, `do $$ declare name text; begin
    for name in select tablename from pg_tables where schemaname = 'public' and tablename not in ('slots', 'schema_version', 'extensions') loop
      execute format('truncate %I restart identity cascade', name);
    end loop;
    for name in select sequencename from pg_sequences where schemaname = 'public' and sequencename like 'next_%' loop
      execute format('alter sequence %I restart', name);
    end loop;
    if to_regclass('slots') is not null then update slots set owner = 0, epoch = 0, expires_at = 0; end if;
  end $$`)
}

/** Under another name nobody who knew it finds it again. */
async function cutOff (url: string): Promise<string> {
  const spare = [...used].find(one => one.url === url)
  if (!spare) throw new Error('this place is no test\'s')
  await rename(spare, `${url}x`)
  await runOut(spare.url)
  return spare.url
}

async function rename (spare: Spare, to: string): Promise<void> {
  const [from, name] = [spare.url, to].map(url => new URL(url).pathname.slice(1)) as [string, string]
  await forget(spare.url)
  const admin = new URL(to)
  admin.pathname = '/postgres'
  const client = await connected(admin.href)
  try {
    await client.query(`alter database ${from} allow_connections false`)
    await client.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1', [from])
    await client.query(`alter database ${from} rename to ${name}`)
    await client.query(`alter database ${name} allow_connections true`)
  } finally {
    await client.end()
  }
  spare.url = to
}
