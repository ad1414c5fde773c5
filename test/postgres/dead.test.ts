// What the store does about connections that say nothing any more, and about what they leave behind in the database.

import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import type { StoreEvents } from '../../gateway/contract.ts'
import { clientConfig } from '../../gateway/store/postgres/connection.ts'
import { Reader } from '../../gateway/store/postgres/reader.ts'
import { openPostgres, type PostgresStore } from '../../gateway/store/postgres/store.ts'
import { until } from '../helpers/app.ts'
import { query } from '../helpers/postgres-cluster.ts'
import { database, haveNoCluster, haveNoPostgres, startCluster } from '../helpers/postgres.ts'
import { tcpProxy, type TcpProxy } from '../helpers/tcp-proxy.ts'


const DEAD = { timeout: {} }
const mono = (): number => performance.now()
const EVENTS: StoreEvents = { taken: async () => {}, asked: async () => {}, lost () {}, work () {}, news () {}, onError () {} }

interface Way { direct: string, url: string, proxy: TcpProxy }

async function way (t: Test): Promise<Way> {
  const direct = await database(t)
  const proxy = await tcpProxy(t, Number(new URL(direct).port))
  const url = new URL(direct)
  url.port = String(proxy.port)
  return { direct, url: url.href, proxy }
}

async function opened (t: Test, url: string, more: { mono?: () => number, leaseMs?: number } = {}): Promise<PostgresStore> {
  const store = await openPostgres({ url, pool: 2, leaseMs: 30_000, allowDataLoss: false, mono, onError () {}, ...more })
  t.teardown(() => store.close())
  return store
}

const beat = (store: PostgresStore): Promise<unknown> => store.commit([{ name: 'renew_slots', params: { owner: store.owner, lease_ms: 30_000, now: 0 } }])

t.test('of connections that all went dead one read finds it out for all (R23)', { skip: haveNoPostgres }, async t => {
  const { url, proxy } = await way(t)
  const reader = new Reader({ url, size: 5, mono, onError () {} })
  t.teardown(() => reader.close())
  await Promise.all(Array.from({ length: 5 }, () => reader.query('select pg_sleep(0.1)')))
  const { connections } = proxy.seen
  for (const direction of ['up', 'down'] as const) proxy.spoil(direction, DEAD)
  const askedAt = mono()
  await t.rejects(reader.query('select 1'), /no answer within/)
  t.ok(mono() - askedAt < 5000, 'it is given up in time')
  const next = t.rejects(reader.query('select 1'))
  await until(async () => proxy.seen.connections > connections) // and uses none of those that are left
  await next
  proxy.heal()
  t.strictSame((await reader.query('select 1 as here')).rows, [{ here: 1 }])
})

t.test('one slow read takes no connection from the others', { skip: haveNoPostgres }, async t => {
  const { url, proxy } = await way(t)
  const reader = new Reader({ url, size: 2, mono, onError () {} })
  t.teardown(() => reader.close())
  const slow = t.rejects(reader.query('select pg_sleep(4)'))
  let ended = false
  void slow.then(() => { ended = true })
  await until(async () => { await reader.query('select 1'); return ended })
  await slow
  const { connections } = proxy.seen
  await reader.query('select 1')
  t.equal(proxy.seen.connections, connections, 'the pool stayed')
})

t.test('a listener that went dead is replaced (R23)', { skip: haveNoPostgres }, async t => {
  const { direct, url, proxy } = await way(t)
  const store = await opened(t, url, { leaseMs: 1500 })
  await store.listen(EVENTS)
  const ears = async (): Promise<unknown[]> => await query(direct, 'select pid from pg_stat_activity where datname = current_database() and application_name = \'gateway listen\'')
  const [before] = await ears()
  for (const direction of ['up', 'down'] as const) proxy.spoil(direction, DEAD)
  await sleep(1500) // so that a question to it is lost: there is one each 500 ms
  proxy.heal()
  await until(async () => (await ears()).some(ear => (ear as { pid: number }).pid !== (before as { pid: number }).pid))
})

t.test('who goes away in the middle of a transaction keeps its rows for seconds, not for hours (R23)', { skip: haveNoPostgres }, async t => {
  const url = await database(t)
  await query(url, 'create table kept (n int)')
  await query(url, 'insert into kept values (1)')
  const gone = new Client(clientConfig({ url, name: 'gateway write' }))
  gone.on('error', () => {})
  await gone.connect()
  t.teardown(() => gone.end().catch(() => {}))
  await gone.query('begin; update kept set n = 2')
  await query(url, 'update kept set n = 3') // waits at most 30 s
  t.strictSame(await query(url, 'select n from kept'), [{ n: 3 }])
})

t.test('what was given up while it waited for a lock does not act when the lock is free (R22, R24)', { skip: haveNoPostgres }, async t => {
  const url = await database(t)
  let later = 0
  const store = await opened(t, url, { mono: () => performance.now() + later })
  const waiting = async (): Promise<number> => (await query(url, 'select 1 from pg_stat_activity where datname = current_database() and application_name = \'gateway write\' and wait_event_type = \'Lock\'')).length
  const joined = async (): Promise<number> => (await query(url, 'select 1 from instances')).length
  const before = await joined()
  for (const [how, cutOff] of [['its time for locks is over', false], ['its connection was cut off', true]] as const) {
    const blocker = new Client({ connectionString: url })
    await blocker.connect()
    await blocker.query('begin; lock table instances in share mode')
    const commit = store.commit([{ name: 'join_instances', params: { now: 0 } }])
    await until(async () => await waiting() === 1)
    if (cutOff) later += 2500
    await t.rejects(commit, { code: 'GW_STORE_UNSURE' })
    if (cutOff) later += 4000 // it had five seconds
    await until(async () => await waiting() === 0)
    await blocker.end()
    await until(async () => await beat(store).then(() => true, () => false))
    t.equal(await joined(), before, how)
  }
})

t.test('a transaction that does not end is given up, each in a row after twice the time, so that they do not take all connections (R22, M13)', { skip: haveNoCluster }, async t => {
  const cluster = await startCluster()
  t.teardown(() => cluster.close())
  const url = cluster.url()
  let later = 0
  const store = await opened(t, url, { mono: () => performance.now() + later })
  await store.listen(EVENTS)
  const standby = async (name: string): Promise<void> => {
    await query(url, `alter system set synchronous_standby_names = '${name}'`)
    await query(url, 'select pg_reload_conf()')
  }
  await standby('gone')
  const writers = async (): Promise<number> => (await query(url, 'select 1 from pg_stat_activity where datname = current_database() and application_name = \'gateway write\'')).length
  const stuck = async (n: number): Promise<void> => {
    let commit = store.commit([{ name: 'join_instances', params: { now: 0 } }])
    // Until the server has read its new setting a commit waits for nobody.
    while (await Promise.race([commit.then(() => true), sleep(200).then(() => false)])) commit = store.commit([{ name: 'join_instances', params: { now: 0 } }])
    await until(async () => (await query(url, 'select 1 from pg_stat_activity where datname = current_database() and application_name = \'gateway write\' and wait_event = \'SyncRep\'')).length === n)
    later += 2500
    await t.rejects(commit, { code: 'GW_STORE_UNSURE' })
    t.notOk(store.healthy())
  }
  await stuck(1)
  later += 4000 // it had five seconds
  await until(async () => await writers() === 2)
  await stuck(2)
  later += 4000 // it has ten
  await sleep(500)
  t.equal(await writers(), 2)
  later += 5000
  await until(async () => await writers() === 3)
  await standby('')
  await until(async () => await beat(store).then(() => true, () => false))
  t.ok(store.healthy())
})

t.test('a database that can only be read is asked for anew, since the name may lead elsewhere by then (R21)', { skip: haveNoPostgres }, async t => {
  const url = await database(t)
  const store = await opened(t, url)
  const name = new URL(url).pathname.slice(1)
  const readOnly = (setting: 'on' | 'off'): Promise<unknown> => query(url, `begin read write; alter database ${name} set default_transaction_read_only = ${setting}; commit`)
  await readOnly('on')
  await query(url, 'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = \'gateway write\'')
  await until(async () => await beat(store).then(() => false, ({ message }: Error) => message.includes('read-only')))
  t.notOk(store.healthy(), 'it is no database to trust')
  await readOnly('off')
  await until(async () => await beat(store).then(() => true, () => false)) // sessions that are there stay as they are
  t.ok(store.healthy())
})

t.test('slow answers do not put the clock off', { skip: haveNoPostgres }, async t => {
  const { direct, url, proxy } = await way(t)
  const store = await opened(t, url, { leaseMs: 1500 })
  await store.listen(EVENTS)
  proxy.spoil('down', { latency: { ms: 1500 } })
  let worst = 0
  for (const endsAt = mono() + 4000; mono() < endsAt;) {
    const before = store.now()
    const [row] = await query(direct, 'select (extract(epoch from clock_timestamp()) * 1000)::float8 as now')
    const off = Math.max(before - Number(row?.['now']), Number(row?.['now']) - store.now()) // 0 or less where it lies between the two
    worst = Math.max(worst, off)
    await sleep(50)
  }
  proxy.heal()
  t.ok(worst < 400, `it is off by ${Math.round(worst)} ms at most`)
})

t.test('at the start the clock is asked again while its answers are slow, but not for ever', { skip: haveNoPostgres }, async t => {
  const { query: ask } = Reader.prototype
  t.teardown(() => { Reader.prototype.query = ask })
  for (const [slow, times] of [[0, 1], [2, 3], [9, 5]] as const) {
    let later = 0
    let asked = 0
    Reader.prototype.query = async function (this: Reader, ...question) {
      const isClock = String(question[0]).includes('as now')
      const answer = await ask.apply(this, question)
      if (isClock && asked++ < slow) later += 100
      return answer
    }
    await opened(t, await database(t), { mono: () => performance.now() + later })
    t.equal(asked, times)
  }
})
