// A PostgreSQL of a test's own, to stop, kill and fail over.

import { randomInt } from 'node:crypto'
import { appendFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { openDir, OWN_ID, prepare, privateDir, runAsPostgres, USER } from './postgres-binaries.ts'
import { serverIn, type Server } from './postgres-server.ts'

export type Settings = Record<string, string | number>

export interface ClusterOptions {
  /** As in postgresql.conf; before the defaults. `alter system` goes before both. */
  settings?: Settings
  /** The process that it does not outlive: this one unless told otherwise. */
  guard?: number
  /** An empty folder of the caller's that becomes its home and is removed with it. */
  home?: string
}

export interface Cluster extends Server {
  /** The same after each start. */
  readonly port: number
  readonly logFile: string
  url (database?: string): string
  /** Rows of one statement on a connection of its own, which waits at most 30 s for its answer. */
  query (sql: string, database?: string): Promise<Record<string, unknown>[]>
  /** A synchronous copy of this cluster, which stops for it and starts again. Each commit waits for it from then on. Closed with this one.
   * Its settings go before those it copies; it waits for no other unless they say so: `synchronous_standby_names`. */
  standby (settings?: Settings): Promise<Standby>
}

export interface Standby extends Cluster {
  /** Resolves when it takes writes. */
  promote (): Promise<void>
}

const DEFAULTS: Settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: 200,
  fsync: 'on',
  synchronous_commit: 'on',
  shared_buffers: '32MB',
  dynamic_shared_memory_type: 'mmap' // in its home, so that a kill leaves nothing in /dev/shm
}
/** Below the ports that systems give to outgoing connections, so that a stopped server finds its own again. */
const PORTS = [20_000, 32_000] as const
const PORTS_TRIED = 20
const ANSWER_WITHIN_MS = 30_000
const STANDBY_WITHIN_MS = 30_000
const STANDBY = 'standby'

/** Starts a cluster on a free port of loopback, in about 0.4 s. Whoever is on the machine may connect as `postgres`. Rejects where there are no binaries. */
export async function startCluster (options: ClusterOptions = {}): Promise<Cluster> {
  const { bin, template } = prepare()
  const { guard = process.pid, home = newHome(guard) } = options
  const cluster = clusterIn(home, bin, await freePort(), guard)
  try {
    copyData(template, home)
    configure(home, 'postgresql.conf', { ...DEFAULTS, ...options.settings })
    await cluster.start()
  } catch (error) {
    await cluster.close()
    throw error
  }
  return cluster
}


const newHome = (guard: number): string => openDir(`${homesOf(guard)}-own`)

/** What the names of all homes begin with that go when this process does. */
export function homesOf (guard: number | string): string {
  return `gateway-postgres-run-u${OWN_ID}-${guard}`
}

function copyData (source: string, home: string): void {
  const data = join(home, 'data')
  privateDir(data)
  runAsPostgres(home, 'cp', ['-R', `${source}/.`, data])
}

function configure (home: string, file: 'postgresql.conf' | 'postgresql.auto.conf', settings: Settings): void {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll('\'', '\'\'')}'\n`)
  appendFileSync(join(home, 'data', file), lines.join(''))
}

async function freePort (): Promise<number> {
  for (let n = 0; n < PORTS_TRIED; n++) {
    const port = randomInt(...PORTS)
    if (await isFree(port)) return port
  }
  throw new Error(`No free port in ${PORTS_TRIED} tries between ${PORTS.join(' and ')}.`)
}

function isFree (port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer().once('error', () => { resolve(false) }).listen(port, '127.0.0.1', () => {
      server.close(() => { resolve(true) })
    })
  })
}

function clusterIn (home: string, bin: string, port: number, guard: number): Cluster {
  const server = serverIn(home, bin, port, guard)
  const standbys: Cluster[] = []
  const cluster: Cluster = {
    ...server,
    port,
    logFile: join(home, 'log'),
    url: (database = USER) => `postgres://${USER}@127.0.0.1:${port}/${database}`,
    query: (sql, database) => query(cluster.url(database), sql),
    standby,
    async close () {
      for (const each of standbys) await each.close()
      await server.close()
    }
  }
  return cluster

  async function standby (settings: Settings = {}): Promise<Standby> {
    await cluster.stop('fast')
    const copy = newHome(guard)
    const second = clusterIn(copy, bin, await freePort(), guard)
    standbys.push(second)
    copyData(join(home, 'data'), copy)
    writeFileSync(join(copy, 'data', 'standby.signal'), '')
    configure(copy, 'postgresql.auto.conf', { primary_conninfo: `host=127.0.0.1 port=${port} user=${USER} application_name=${STANDBY}`, synchronous_standby_names: '', ...settings })
    await cluster.start()
    await second.start()
    await cluster.query(`alter system set synchronous_standby_names = '${STANDBY}'`)
    await cluster.query('select pg_reload_conf()')
    await follows()
    return { ...second, async promote () { await second.query('select pg_promote()') } }
  }

  async function follows (): Promise<void> {
    const deadline = performance.now() + STANDBY_WITHIN_MS
    while ((await cluster.query('select 1 from pg_stat_replication where sync_state = \'sync\'')).length === 0) {
      if (performance.now() > deadline) throw new Error(`The standby did not follow in ${STANDBY_WITHIN_MS} ms; its log is in ${cluster.logFile}.`)
      await sleep(20)
    }
  }
}

/** Rows of one statement on a connection of its own. */
export async function query (url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: ANSWER_WITHIN_MS, query_timeout: ANSWER_WITHIN_MS })
  client.on('error', () => {}) // the query tells it
  try {
    await client.connect()
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end().catch(() => {})
  }
}
