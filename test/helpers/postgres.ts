// PostgreSQL for tests: an empty database each, on a server that all files of a run share.

import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { moveInto, noBinaries, openDir, OWN_ID } from './postgres-binaries.ts'
import { homesOf, query, startCluster } from './postgres-cluster.ts'
import { exists } from './postgres-processes.ts'
import { SCRATCH, type Teardown } from './tmp.ts'

export { startCluster, type Cluster, type ClusterOptions, type Settings, type Standby } from './postgres-cluster.ts'

const given = process.env.TEST_DATABASE_URL
/** The tap that runs the files of this run, or this file alone. */
const runner = process.env.TAP === '1' ? process.ppid : process.pid
const STARTED_WITHIN_MS = 60_000

/** The reason to skip a test of `startCluster`, false to run it. On CI it is not skipped, and fails. */
export const haveNoCluster: string | false = skipped(noBinaries)
/** The reason to skip a test of `database`, false to run it. On CI it is not skipped, and fails. */
export const haveNoPostgres: string | false = given ? false : haveNoCluster

function skipped (why: string | null): string | false {
  if (why === null || process.env.CI) return false
  process.stderr.write(`Tests are skipped: ${why}\n`)
  return why
}

let server: Promise<string> | null = null

/** The URL of a new empty database of the test's own, dropped at its end with whoever is still connected. */
export async function database (t: Teardown): Promise<string> {
  server ??= given ? Promise.resolve(given) : sharedServer()
  const base = await server
  const name = `gateway_test_${randomUUID().replaceAll('-', '')}`
  await query(base, `create database ${name}`).catch((error: unknown) => {
    throw new Error(`${given ? 'TEST_DATABASE_URL must name a server that is up, and a user who may create databases' : 'No database was made'}: ${String(error)}`, { cause: error })
  })
  t.teardown(() => query(base, `drop database if exists ${name} with (force)`))
  const url = new URL(base)
  url.pathname = `/${name}`
  return url.href
}

/** Empties all tables of the gateway's in a database, as they are after the migrations. */
export async function emptied (url: string): Promise<void> {
  const tables = await query(url, `select string_agg(quote_ident(tablename), ', ') as names from pg_tables where schemaname = 'public' and tablename not in ('schema_version', 'extensions', 'slots')`)
  await query(url, `truncate ${String(tables[0]?.names)} restart identity; update slots set owner = 0, epoch = 0, expires_at = 0`)
}

/** The one of this run: found, or started by whoever comes first. It stops with the runner. */
async function sharedServer (): Promise<string> {
  const deadline = performance.now() + STARTED_WITHIN_MS
  for (let n = 1; ;) { // a home whose server is gone is left alone, and the next number tried
    const home = join(SCRATCH, `${homesOf(runner)}-shared${n}`)
    if (claim(home)) return await startIn(home)
    const url = await urlIn(home)
    if (url === 'gone') n++
    else if (url !== 'not yet') return url
    else if (performance.now() > deadline) throw new Error(`PostgreSQL was not started in ${STARTED_WITHIN_MS} ms; see ${home}.`)
    else await sleep(20)
  }
}

/** The home exists only together with the id of who starts the server in it. */
function claim (home: string): boolean {
  if (existsSync(home)) return false
  const made = openDir(`${homesOf(runner)}-claim`)
  writeFileSync(join(made, 'starter'), String(process.pid))
  return moveInto(home, made)
}

async function startIn (home: string): Promise<string> {
  removeLeftovers()
  const cluster = await startCluster({ guard: runner, home }).catch((error: unknown) => {
    rmSync(home, { recursive: true, force: true }) // so that the others need not wait
    throw error
  })
  const url = cluster.url()
  writeFileSync(join(home, 'url.new'), url)
  renameSync(join(home, 'url.new'), join(home, 'url'))
  return url
}

async function urlIn (home: string): Promise<string> {
  if (statSync(home, { throwIfNoEntry: false })?.uid !== OWN_ID) return existsSync(home) ? 'gone' : 'not yet'
  const url = read(join(home, 'url'))
  if (url === null) return exists(Number(read(join(home, 'starter')))) ? 'not yet' : 'gone'
  return await query(url, 'select 1').then(() => url, () => 'gone')
}

function read (file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}

/** Homes of runs that ended together with what watched over them, as when the machine stopped. */
function removeLeftovers (): void {
  for (const name of readdirSync(SCRATCH)) {
    const [, guard] = new RegExp(`^${homesOf('(\\d+)')}-`).exec(name) ?? []
    const home = join(SCRATCH, name)
    if (guard !== undefined && !exists(Number(guard)) && !exists(Number(read(join(home, 'postmaster')) ?? NaN))) rmSync(home, { recursive: true, force: true })
  }
}
