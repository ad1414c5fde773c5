// A database that cannot be used: who starts the gateway is told why and what to do, at once, and the password is not in it.

import { once } from 'node:events'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import type { Code } from '../../gateway/errors.ts'
import { openFailure } from '../../gateway/store/postgres/failures.ts'
import { checkVersion } from '../../gateway/store/postgres/migrate.ts'
import { openPostgres } from '../../gateway/store/postgres/store.ts'
import { cli } from '../cli/cli.ts'
import { exampleEnvironment } from '../helpers/example-env.ts'
import { haveNoCluster, startCluster, type Cluster } from '../helpers/postgres.ts'
import { exampleProject } from '../helpers/shipped.ts'

const PASSWORD = 'p@ss:w/rd'
const ENCODED = encodeURIComponent(PASSWORD)
const EXAMPLE = 'config/examples/scaled-out.yaml'

/** Opens it; when that works, closes it again. */
async function open (url: string, allowDataLoss = false): Promise<void> {
  const store = await openPostgres({ url, pool: 1, leaseMs: 30_000, allowDataLoss, mono: () => performance.now(), onError () {} })
  await store.close()
}

async function refused (t: Test, url: string, code: Code, message: RegExp): Promise<void> {
  const error = await open(url).then(() => null, (error: unknown) => error as Error)
  t.match(error, { name: 'GatewayError', code, message }, `${code} ${message}`)
  t.notMatch(String(error?.message), PASSWORD)
  t.notMatch(String(error?.message), ENCODED)
}

/** A server that asks "limited" for a password, in a database of its own where it may connect and no more. */
async function strict (t: Test): Promise<{ cluster: Cluster, as: (user: string, password: string, database?: string) => string }> {
  const cluster = await startCluster()
  t.teardown(() => cluster.close())
  await cluster.query(`create role limited login password '${PASSWORD}'`)
  await cluster.query('create database shop')
  const file = join(dirname(cluster.logFile), 'data', 'pg_hba.conf')
  const before = readFileSync(file, 'utf8')
  writeFileSync(file, 'host all limited 127.0.0.1/32 scram-sha-256\n')
  appendFileSync(file, before)
  await cluster.query('select pg_reload_conf()')
  return { cluster, as: (user, password, database = 'shop') => `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${cluster.port}/${database}` }
}

async function listening (t: Test): Promise<number> {
  const server = createServer(socket => { t.teardown(() => socket.destroy()) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return (server.address() as AddressInfo).port
}

t.test('a database that is not there, or never answers, cannot be reached', async t => {
  const gone = createServer().listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port } = gone.address() as AddressInfo
  gone.close()
  await once(gone, 'close')
  await refused(t, `postgres://gateway:${ENCODED}@127.0.0.1:${port}/shop`, 'GW_DATABASE_UNREACHABLE', new RegExp(`^The database at 127.0.0.1:${port} cannot be reached: .*ECONNREFUSED`))
  await refused(t, `postgres://gateway:${ENCODED}@127.0.0.1:${await listening(t)}/shop`, 'GW_DATABASE_UNREACHABLE', /timeout/)
  await refused(t, `postgres://gateway:${ENCODED}@nowhere.invalid/shop`, 'GW_DATABASE_UNREACHABLE', /nowhere\.invalid:5432 cannot be reached/)
})

t.test('a password that comes back in an error is not shown', async t => {
  const url = `postgres://gateway:${ENCODED}@db.example.com/shop`
  for (const text of [PASSWORD, ENCODED, url]) t.equal(openFailure(new Error(`not ${text}`), url).message, 'The database at db.example.com:5432 cannot be used: not ***.')
})

t.test('a start ends with 1, the reason and the remedy, and without the password', async t => {
  const cwd = exampleProject(t, EXAMPLE)
  const { code, out, err } = await cli(['start', '-c', EXAMPLE, '--json'], { cwd, env: { ...exampleEnvironment(), PORT: '0', HOST: '127.0.0.1', DATABASE_URL: `postgres://gateway:${ENCODED}@127.0.0.1:${await listening(t)}/shop` } })
  t.equal(code, 1, err)
  t.match(err, /error: The database at 127\.0\.0\.1:\d+ cannot be reached: .*Start the database, or correct host and port in store\.url.*\[GW_DATABASE_UNREACHABLE\]/)
  t.match(JSON.parse(out), { error: { code: 'GW_DATABASE_UNREACHABLE' } })
  for (const secret of [PASSWORD, ENCODED]) t.notMatch(out + err, secret)
})

t.test('a database that does not let the gateway in, or lets it make nothing, says so in its own words', { skip: haveNoCluster }, async t => {
  const { cluster, as } = await strict(t)
  await refused(t, as('limited', 'wrong'), 'GW_DATABASE_REFUSED', /does not let this gateway in: password authentication failed for user "limited"/)
  await refused(t, `postgres://limited@127.0.0.1:${cluster.port}/shop`, 'GW_DATABASE_REFUSED', /password/)
  await refused(t, as('postgres', PASSWORD, 'nothing'), 'GW_DATABASE_REFUSED', /database "nothing" does not exist/)
  await refused(t, as('nobody', PASSWORD), 'GW_DATABASE_REFUSED', /role "nobody" does not exist/)
  await refused(t, as('limited', PASSWORD), 'GW_DATABASE_RIGHTS', /make its tables: permission denied for schema public/)
  await cluster.query('alter role limited connection limit 0')
  await refused(t, as('limited', PASSWORD), 'GW_DATABASE_REFUSED', /too many connections/)
  await cluster.query('alter role limited connection limit -1')
  await cluster.query('alter database shop set default_transaction_read_only = on')
  await refused(t, as('postgres', PASSWORD), 'GW_DATABASE_UNUSABLE', /read-only transaction/)
  await cluster.query('alter database shop reset default_transaction_read_only')
  await cluster.query('alter database shop owner to limited')
  await open(as('limited', PASSWORD))
})

t.test('a server that may lose what it has committed is refused, unless that is allowed', { skip: haveNoCluster }, async t => {
  const { cluster, as } = await strict(t)
  const set = async (setting: string, value: string) => {
    await cluster.query(`alter system set ${setting} = ${value}`)
    await cluster.query('select pg_reload_conf()')
    while (String((await cluster.query(`show ${setting}`))[0]?.[setting]) !== value) await new Promise(resolve => { setTimeout(resolve, 20) })
  }
  for (const setting of ['fsync', 'synchronous_commit', 'full_page_writes']) {
    await set(setting, 'off')
    await refused(t, as('postgres', PASSWORD), 'GW_STORE_UNSAFE', new RegExp(`${setting} = off`))
    await open(as('postgres', PASSWORD), true)
    await set(setting, 'on')
  }
  await open(as('postgres', PASSWORD))
  await cluster.query('insert into schema_version (version) values (999)', 'shop')
  await refused(t, as('postgres', PASSWORD), 'GW_STORE_NEWER', /version 999/)
})

t.test('a server older than 15 is refused', async t => {
  const server = (version: string) => ({ query: async () => ({ rows: [{ version }] }) }) as unknown as Parameters<typeof checkVersion>[0]
  await t.rejects(checkVersion(server('14.20 (Debian)')), { code: 'GW_DATABASE_UNUSABLE', message: /PostgreSQL 14\.20.*15 or later/ })
  for (const version of ['15.0', '18.4', '19beta1']) await t.resolves(checkVersion(server(version)), version)
})
