// The PostgreSQL of the tests does what the tests of faults rely on.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { homesOf, query } from '../helpers/postgres-cluster.ts'
import { exists } from '../helpers/postgres-processes.ts'
import { database, haveNoCluster, haveNoPostgres, startCluster, type Cluster, type Settings } from '../helpers/postgres.ts'
import { SCRATCH } from '../helpers/tmp.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const HELPER = './test/helpers/postgres.ts'

async function cluster (t: Test, settings: Settings = {}): Promise<Cluster> {
  const made = await startCluster({ settings })
  t.teardown(() => made.close())
  return made
}

/** A program of one import and one line; what it has printed first. It stays for ever. */
async function program (t: Test, line: string, env: Record<string, string | undefined> = {}) {
  const code = `const all = await import('${HELPER}'); ${line}; setInterval(() => {}, 1e6)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const [said] = await once(child.stdout, 'data') as [Buffer]
  return { child, said: String(said).trim() }
}

const count = async (of: Cluster) => Number((await of.query('select count(*) from kept'))[0]?.count)

async function until (question: () => boolean | Promise<boolean>): Promise<void> {
  while (!await question()) await sleep(20)
}

t.test('a test has a database of its own, gone with the test and whoever is connected', { skip: haveNoPostgres }, async t => {
  const clean: (() => unknown)[] = []
  const urls = await Promise.all([1, 2].map(() => database({ teardown: task => { clean.push(task) } })))
  const [first, second] = urls as [string, string]
  await query(first, 'create table kept (n int)')
  await t.rejects(query(second, 'select * from kept'), { code: '42P01' })
  const connected = query(second, 'select pg_sleep(20)')
  await until(async () => (await query(first, `select 1 from pg_stat_activity where datname = '${new URL(second).pathname.slice(1)}'`)).length > 0)
  await Promise.all([t.rejects(connected), ...clean.map(task => task())])
  await t.rejects(query(first, 'select 1'), { code: '3D000' })
})

t.test('files of one run that start at the same moment share a server, whatever a crashed start has left', { skip: haveNoCluster }, async t => {
  const left = join(SCRATCH, `${homesOf(process.pid)}-shared1`)
  if (!existsSync(left)) { // else it is the one of this very file, run alone
    mkdirSync(left)
    t.teardown(() => { rmSync(left, { recursive: true }) })
    writeFileSync(join(left, 'starter'), '999999999')
  }
  const files = await Promise.all([1, 2, 3].map(() => program(t, 'console.log(await all.database({ teardown () {} }))', { TAP: '1', TEST_DATABASE_URL: undefined })))
  const urls = files.map(({ said }) => new URL(said))
  t.equal(new Set(urls.map(({ host }) => host)).size, 1)
  t.equal(new Set(urls.map(({ pathname }) => pathname)).size, 3)
  for (const { child } of files) child.kill('SIGKILL')
  t.strictSame(await query((urls[0] as URL).href, 'select 1 as here'), [{ here: 1 }], 'and it outlives the file that started it')
})

t.test('a killed server has all that was committed when it starts again, on its port (R20)', { skip: haveNoCluster }, async t => {
  const server = await cluster(t)
  await server.query('create table kept (n int)')
  const { port } = server
  for (const [n, end] of [() => server.stop('immediate'), () => server.stop('fast'), () => server.killHard()].entries()) {
    await server.query('insert into kept values (1)')
    await end()
    await t.rejects(server.query('select 1'), { code: 'ECONNREFUSED' })
    await server.start()
    t.equal(await count(server), n + 1)
  }
  t.equal(server.port, port)
  t.strictSame(await server.query('select current_setting(\'fsync\') || current_setting(\'synchronous_commit\') as safe'), [{ safe: 'onon' }])
})

t.test('a paused server takes connections and answers nobody until it goes on (R22)', { skip: haveNoCluster }, async t => {
  const server = await cluster(t)
  await server.query('create table kept (n int)')
  server.pause()
  let answered = false
  const late = server.query('insert into kept values (1)').then(() => { answered = true })
  await sleep(200)
  t.notOk(answered)
  server.resume()
  await late
  t.equal(await count(server), 1)
  server.pause()
  await server.stop('immediate')
  await server.start()
  t.equal(await count(server), 1, 'it can be ended while it is paused')
})

t.test('a standby has every commit, and takes over when the primary is killed (R21)', { skip: haveNoCluster }, async t => {
  const primary = await cluster(t)
  await primary.query('create table kept (n int)')
  const standby = await primary.standby()
  for (let n = 0; n < 20; n++) await primary.query('insert into kept values (1)')
  await t.rejects(standby.query('insert into kept values (1)'), { code: '25006' })
  await primary.killHard()
  await standby.promote()
  t.equal(await count(standby), 20)
  await standby.query('insert into kept values (1)')
  const next = await standby.standby()
  await standby.killHard()
  await next.promote()
  t.equal(await count(next), 21, 'and so does the standby of a standby')
})

t.test('a promoted standby with a copied synchronous_standby_names never answers its first commit (M13, R22)', { skip: haveNoCluster }, async t => {
  const primary = await cluster(t)
  await primary.query('create table kept (n int)')
  const standby = await primary.standby({ synchronous_standby_names: 'standby' })
  await primary.killHard()
  await standby.promote()
  const commit = standby.query('insert into kept values (1)')
  await until(async () => (await standby.query('select 1 from pg_stat_activity where wait_event = \'SyncRep\'')).length > 0)
  await standby.query('alter system reset synchronous_standby_names')
  await standby.query('select pg_reload_conf()')
  await commit
  t.equal(await count(standby), 1)
})

t.test('of a test that was killed no server and no folder stays, not even of a paused one', { skip: haveNoCluster }, async t => {
  const { child, said } = await program(t, 'const c = await all.startCluster(); c.pause(); console.log(c.logFile)')
  const home = dirname(said)
  const postmaster = Number(readFileSync(join(home, 'postmaster'), 'utf8'))
  t.ok(exists(postmaster))
  child.kill('SIGKILL')
  await until(() => !existsSync(home))
  t.notOk(exists(postmaster))
})
