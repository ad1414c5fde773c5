// The config of a database that several gateways share: its keys, its secret, its lease; and what a reload keeps of it.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { loadConfig } from '../../gateway/config/load.ts'
import type { Config, PostgresConfig } from '../../gateway/contract.ts'
import { changes, type Kept } from '../../gateway/kept.ts'
import { loadAll, loadSound } from '../../gateway/load.ts'
import { within } from '../cli/cli.ts'
import { CONFIG } from '../helpers/app.ts'
import { exampleEnvironment } from '../helpers/example-env.ts'
import { MADE, MADE_FILES } from '../helpers/made-providers.ts'
import { writeFolder } from '../helpers/providers.ts'
import { exampleProject } from '../helpers/shipped.ts'
import { environment, FILES, load, SMALL } from './valid.ts'

const EXAMPLE = 'config/examples/scaled-out.yaml'
const SHARED = '{ driver: postgres, url: { env: DATABASE } }'

const withStore = (store: string, more = ''): string => SMALL.replace('{ path: data/gateway.db }', store) + more

/** What is wrong with the small config when its store is this one; `env` beside the variables it needs. */
async function faultsOf (t: Test, store: string, { more = '', env = {} }: { more?: string, env?: Record<string, string> } = {}) {
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': withStore(store, more) })
  const { faults } = await load(dir, { ...environment(), ...env })
  return faults
}

t.test('a shared database has its address from a secret, and defaults for the rest', async t => {
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': withStore(SHARED) })
  const env = environment()
  const { config, faults } = await load(dir, env)
  t.strictSame(faults, [])
  const store = config!.store as PostgresConfig
  t.match(store, { driver: 'postgres', pool: 4, leaseMs: 30_000, allowDataLoss: false })
  t.equal(store.url.reveal(), env['DATABASE'])
  t.notMatch(inspect(config, { depth: 9 }) + JSON.stringify(config), new URL(env['DATABASE'] as string).password)

  writeFileSync(join(dir, 'db.url'), `${env['DATABASE']}\n`)
  writeFileSync(join(dir, 'gateway.config.yaml'), withStore('{ driver: postgres, url: { file: db.url }, pool: 50, lease: 2s, allow_data_loss: true }', 'delivery: { request_deadline: 1s }\n'))
  const read = await load(dir, { ...env, DATABASE: '' })
  t.strictSame(read.faults, [])
  t.match(read.config!.store, { pool: 50, leaseMs: 2000, allowDataLoss: true })
  t.equal((read.config!.store as PostgresConfig).url.reveal(), env['DATABASE'])
})

t.test('what belongs to the other driver is a fault at its key that says which one, and what is missing one at the store', async t => {
  const unknown = (key: string, driver: string) => ({ code: 'GW_CONFIG_UNKNOWN_KEY', path: `/store/${key}`, place: { line: 2 }, message: new RegExp(`is for driver ${driver}`), fix: new RegExp(`driver: ${driver}`) })
  for (const key of ['path: data/gateway.db', 'synchronous: full', 'intake_free_mib: 64', 'send_free_mib: 32']) {
    t.match(await faultsOf(t, `{ driver: postgres, url: { env: DATABASE }, ${key} }`), [unknown(key.split(':')[0] as string, 'sqlite')], key)
  }
  for (const key of ['url: { env: DATABASE }', 'pool: 4', 'lease: 30s']) {
    t.match(await faultsOf(t, `{ path: data/gateway.db, ${key} }`), [unknown(key.split(':')[0] as string, 'postgres')], key)
  }
  t.match(await faultsOf(t, '{ driver: postgres }'), [{ code: 'GW_CONFIG_MISSING_KEY', path: '/store', message: '/store has no "url"', fix: /env: DATABASE_URL/ }])
  t.match(await faultsOf(t, '{ driver: sqlite }'), [{ code: 'GW_CONFIG_MISSING_KEY', path: '/store', message: '/store has no "path"', fix: /path:/ }])
  t.match(await faultsOf(t, '{}'), [{ code: 'GW_CONFIG_MISSING_KEY', message: '/store has no "path"' }])
  t.match(await faultsOf(t, '{ driver: postgress }'), [{ code: 'GW_CONFIG_VALUE', fix: 'Did you mean "postgres"?' }])
})

t.test('an address that cannot be used is refused before anything connects, and is never shown', async t => {
  const bad = {
    'mysql://gateway:hunter22@db.example.com/gateway': /no address of a PostgreSQL/,
    'db.example.com hunter22': /white space/,
    'hunter22': /no address of a PostgreSQL/,
    'postgres://gateway:hunter22@db.example.com': /names no database/,
    'postgres://gateway:hunter22@db.example.com/': /names no database/,
    'postgres:///gateway?password=hunter22': /names no host/,
    'postgres://gateway:12/hunter22@db.example.com/gateway': /%2F/,
    'postgres://gateway:12#hunter22@db.example.com/gateway': /names no database/,
    'postgres://gateway:hunter22%zz@db.example.com/gateway': /%/,
    'postgres://gateway:hunter22@db.example.com/gateway?options=-cfsync%3Doff': /"options"/,
    '<postgres://…>': /sample/
  }
  for (const [address, why] of Object.entries(bad)) {
    const faults = await faultsOf(t, SHARED, { env: { DATABASE: address } })
    t.match(faults, [{ code: 'GW_CONFIG_SECRET', path: '/store/url/env', message: why, fix: /postgres:\/\/user:password@/ }], address)
    t.notMatch(JSON.stringify(faults), 'hunter22', address)
  }
  t.match(await faultsOf(t, SHARED, { env: { DATABASE: '' } }), [{ code: 'GW_CONFIG_ENV_UNSET', message: /DATABASE is not set/ }])
  const written = await faultsOf(t, '{ driver: postgres, url: "postgres://gateway:hunter22@db.example.com/gateway" }')
  t.match(written, [{ code: 'GW_CONFIG_SECRET', path: '/store/url', message: 'a secret is never written here' }])
  t.notMatch(JSON.stringify(written), 'hunter22')
})

t.test('a lease that a request could outlast is refused at its place (2.7)', async t => {
  const lease = (text: string): string => `{ driver: postgres, url: { env: DATABASE }, lease: ${text} }`
  const short = { code: 'GW_CONFIG_VALUE', path: '/store/lease', place: { line: 2 } }
  t.match(await faultsOf(t, lease('15s')), [{ ...short, message: /longer than delivery\.request_deadline \(15000 ms\)/, fix: /at least 22500ms/ }])
  t.match(await faultsOf(t, lease('22s')), [short], 'it is renewed each third of it, so two thirds must do')
  t.strictSame(await faultsOf(t, lease('22500ms')), [])
  t.strictSame(await faultsOf(t, lease('3s'), { more: 'delivery: { request_deadline: 1s }\n' }), [])
  t.match(await faultsOf(t, SHARED, { more: 'delivery: { request_deadline: 21s }\n' }), [{ ...short, fix: /31500ms/ }], 'the default, which the file does not say')
  t.match(await faultsOf(t, lease('999ms'), { more: 'delivery: { request_deadline: 500ms }\n' }), [{ ...short, message: /shorter than 1s/ }])
  t.match(await faultsOf(t, lease('11m')), [{ ...short, message: /longer than 10m/ }])
})

/** A project with the providers made for tests, one of which has a deadline of its own. */
function project (t: Test, store: string, deadline: string) {
  const dir = t.testdir({ 'gateway.config.yaml': CONFIG.replace('{ path: data/gateway.db }', store) })
  writeFolder(join(dir, 'providers'), { ...MADE_FILES, 'courier/provider.yaml': `${MADE.courier['provider.yaml']}\ndeadline: ${deadline}\n` })
  const env: Record<string, string> = { ...environment(), ...Object.fromEntries(['ALL', 'ACME', 'GLOBEX', 'EVENTS', 'READER'].map((name, n) => [`KEY_${name}`, `${n}${environment()['CALLER']}`])), ACME_KEY: 'courier_0123456789abcdef', GLOBEX_KEY: 'herald_0123456789abcdef' }
  return { file: 'gateway.config.yaml', cwd: dir, env, createSecrets: false, sandboxUrl: null }
}

t.test('a provider with a longer deadline of its own needs a longer lease too (2.7)', async t => {
  t.match(await loadAll(project(t, SHARED, '25s')), { loaded: null, faults: [{ code: 'GW_CONFIG_VALUE', path: '/store/lease', message: /deadline of provider courier \(25000 ms\)/, fix: /37500ms/ }] })
  t.match(await loadAll(project(t, '{ driver: postgres, url: { env: DATABASE }, lease: 40s }', '25s')), { faults: [] })
  t.match(await loadAll(project(t, '{ path: data/gateway.db }', '25s')), { faults: [] }, 'one gateway alone has no lease')
})

t.test('a reload keeps the store, refuses requests that could outlast the lease it has, and says what has changed', async t => {
  const options = project(t, SHARED, '20s')
  const { config, written } = await loadSound(options)
  const started: Kept = { server: config.server, store: config.store }
  t.strictSame(changes(started, written), [])

  const file = join(options.cwd, 'gateway.config.yaml')
  const edit = (from: string, to: string) => { writeFileSync(file, readFileSync(file, 'utf8').replace(from, to)) }
  edit(SHARED, '{ driver: postgres, url: { env: DATABASE }, lease: 60s, pool: 9 }')
  const env = { ...options.env, DATABASE: (options.env['DATABASE'] as string).replace('gateway:', 'other:') }
  const again = await loadSound({ ...options, env, started })
  t.equal(again.config.store, started.store)
  t.match(changes(started, again.written), [{ section: 'store', changed: ['url', 'pool', 'lease'] }])

  edit('sandbox:', 'delivery: { request_deadline: 30s }\nsandbox:')
  t.equal((await loadAll({ ...options, env })).faults.length, 0, 'enough for one that starts now')
  t.match(await loadAll({ ...options, env, started }), { loaded: null, faults: [{ path: '/store/lease', message: /^the lease of 30000 ms/, fix: /until the next start/ }] })

  edit('{ driver: postgres, url: { env: DATABASE }, lease: 60s, pool: 9 }', '{ path: data/gateway.db }')
  edit('request_deadline: 30s', 'request_deadline: 15s')
  t.match(changes(started, (await loadSound({ ...options, started })).written), [{ section: 'store', changed: ['driver'] }])
})

t.test('the example for several gateways loads with the variables its .env.example names, and not without any one of its own', async t => {
  const cwd = exampleProject(t, EXAMPLE)
  const env = exampleEnvironment()
  const options = { file: EXAMPLE, cwd, createSecrets: false }
  const { config, faults } = await loadConfig({ ...options, env })
  t.strictSame(faults, [])
  t.match(config, { server: { host: '0.0.0.0', trustProxy: ['10.0.0.0/8'] }, store: { driver: 'postgres', leaseMs: 30_000 }, sandbox: { enabled: false }, delivery: { requestDeadlineMs: 15_000 } } as unknown as Partial<Config>)
  t.ok(readFileSync(join(cwd, EXAMPLE), 'utf8').includes('generate') === false, 'a key that one gateway made would be none of the others\'')
  for (const name of ['DATABASE_URL', 'GATEWAY_KEY_K1', 'GATEWAY_PERSON_KEY', 'STOREFRONT_API_KEY', 'SUPPORT_API_KEY', 'PUBLIC_URL']) {
    t.match((await loadConfig({ ...options, env: { ...env, [name]: '' } })).faults, [{ code: 'GW_CONFIG_ENV_UNSET' }], name)
  }
})

t.test('validate opens no database', async t => {
  const { cwd, env, file } = project(t, SHARED, '20s')
  const { code, out, err } = await within(['validate', '-c', file], { cwd, env: { ...env, DATABASE: 'postgres://gateway:hunter22@nowhere.example/gateway' } })
  t.equal(code, 0, err)
  t.match(out, /ok/)
})
