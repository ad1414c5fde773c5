// config/examples/scaled-out.yaml as it is meant: several gateways as processes, one PostgreSQL, one sandbox in the providers' place.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { parse } from 'yaml'
import { loadSound } from '../../gateway/load.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { until } from '../helpers/app.ts'
import { exampleEnvironment } from '../helpers/example-env.ts'
import { startGatewayProcess, type GatewayProcess } from '../helpers/gateway-process.ts'
import { eventOf } from '../helpers/load.ts'
import { database, haveNoPostgres } from '../helpers/postgres.ts'
import { exampleProject, foldersOf, providersOf, type Written } from '../helpers/shipped.ts'
import { ROOT } from '../helpers/sources.ts'
import { tempDir } from '../helpers/tmp.ts'

const EXAMPLE = 'config/examples/scaled-out.yaml'
/** Nothing that a test sees within seconds is the end of such a lease. */
const LONG = { STORE_LEASE: '60s' }
const SHORT = { STORE_LEASE: '3s', REQUEST_DEADLINE: '1s' }

interface Delivery { id: string, state: string, attempts: number }
interface Attempt { msg: string, delivery: string, outcome: string }

/** What the gateways of a test share. */
interface Place { file: string, shops: Array<{ id: string, provider: string }>, env: Record<string, string>, sandboxUrl: string, start (env: Record<string, string>): Promise<GatewayProcess> }

async function place (t: Test, suits?: (provider: string) => boolean): Promise<Place> {
  const file = join(exampleProject(t, EXAMPLE, suits), EXAMPLE)
  const { shops = [] } = parse(readFileSync(file, 'utf8')) as Written
  const dataDir = tempDir(t)
  const env = { ...exampleEnvironment(), HOST: '127.0.0.1', LOG_LEVEL: 'info', DATABASE_URL: await database(t) }
  const { providers } = await loadSound({ file, cwd: ROOT, env, createSecrets: false, sandboxUrl: null })
  const sandbox = await startSandbox({ providers: providers.values(), port: 0 })
  t.teardown(() => sandbox.close())
  return {
    file,
    env,
    shops: shops.map(shop => ({ id: shop.id, provider: providersOf(shop)[0] as string })),
    sandboxUrl: sandbox.url,
    async start (more) {
      const gateway = await startGatewayProcess({ config: { file }, dataDir, env: { ...env, GATEWAY_SANDBOX: 'true', SANDBOX_URL: sandbox.url, ...more } })
      t.teardown(() => gateway.kill('SIGKILL'))
      return gateway
    }
  }
}

/** Whether the config's request deadline is the provider's: one with a longer deadline of its own allows no short lease. */
function hasNoDeadline (provider: string): boolean {
  const manifest = foldersOf(provider).map(folder => join(ROOT, folder, 'provider.yaml')).find(path => existsSync(path)) as string
  return !Object.hasOwn(parse(readFileSync(manifest, 'utf8')) as object, 'deadline')
}

/** Posts an alert; the id of its delivery. */
async function accepted (gateway: GatewayProcess, shop: string, id: string, { env }: Place): Promise<string> {
  const response = await request(`${gateway.url}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${env['STOREFRONT_API_KEY']}`, 'content-type': 'application/json' },
    body: JSON.stringify(eventOf({ id, shop }))
  })
  const body = await response.body.json() as { deliveries: Delivery[] }
  if (response.statusCode !== 202) throw new Error(JSON.stringify(body))
  return body.deliveries[0]?.id as string
}

async function shown (gateway: GatewayProcess, id: string, { env }: Place): Promise<Delivery> {
  const response = await request(`${gateway.url}/v1/deliveries/${id}`, { headers: { authorization: `Bearer ${env['SUPPORT_API_KEY']}` } })
  return await response.body.json() as Delivery
}

async function delivered (gateway: GatewayProcess, id: string, at: Place): Promise<Delivery> {
  await until(async () => (await shown(gateway, id, at)).state === 'delivered')
  return await shown(gateway, id, at)
}

/** What a gateway says of a delivery's attempts; its log comes a moment later. */
function attemptsOf (gateway: GatewayProcess, id: string): Attempt[] {
  return gateway.lines.filter(line => line.includes('"attempt"')).map(line => JSON.parse(line) as Attempt).filter(({ delivery }) => delivery === id)
}

/** Who of them works on the account over which a delivery went, and who does not. */
async function ownerOf (id: string, [one, other]: readonly [GatewayProcess, GatewayProcess]): Promise<{ owner: GatewayProcess, other: GatewayProcess }> {
  await until(async () => [one, other].some(gateway => attemptsOf(gateway, id).length > 0))
  return attemptsOf(one, id).length > 0 ? { owner: one, other } : { owner: other, other: one }
}

async function order (at: Place, provider: string, fault: object): Promise<void> {
  const response = await request(`${at.sandboxUrl}/${provider}/_sandbox/faults`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(fault) })
  await response.body.dump()
  if (response.statusCode !== 201) throw new Error(`the fault was refused: ${response.statusCode}`)
}

t.test('an event posted at any of them is delivered once by whoever has the account, and one that stops hands its accounts over', { skip: haveNoPostgres }, async t => {
  const at = await place(t)
  const pair = await Promise.all([at.start(LONG), at.start(LONG)])
  const [one, other] = pair
  t.ok(at.shops.length > 0)
  for (const { id: shop, provider } of at.shops) {
    const ids = await Promise.all(pair.map((gateway, n) => accepted(gateway, shop, `any-${shop}-${n}`, at)))
    for (const id of ids) for (const gateway of pair) t.match(await delivered(gateway, id, at), { state: 'delivered', attempts: 1 })
    const owners = await Promise.all(ids.map(id => ownerOf(id, pair)))
    t.equal(owners[0]?.owner, owners[1]?.owner, `one of them sends for ${shop}`)
    const { items } = await (await request(`${at.sandboxUrl}/${provider}/_sandbox/requests`)).body.json() as { items: Array<{ method: string }> }
    t.equal(items.filter(({ method }) => method === 'POST').length, 2, 'the provider got each once')
  }

  const shop = at.shops[0]?.id as string
  const first = await accepted(one, shop, 'stop-1', at)
  t.equal(await accepted(other, shop, 'stop-1', at), first, 'what one of them had is a duplicate at the other')
  await delivered(one, first, at)
  const { owner, other: left } = await ownerOf(first, pair)
  t.strictSame(await owner.kill('SIGTERM'), { code: 0, signal: null })
  const stoppedAt = performance.now()
  t.match(await delivered(left, await accepted(left, shop, 'stop-2', at), at), { attempts: 1 })
  const ms = performance.now() - stoppedAt
  t.comment(`handed over and delivered in ${Math.round(ms)} ms`)
  t.ok(ms < 30_000, 'half the lease: nobody waited for its end')
})

t.test('what one that is killed had accepted, another finishes when its lease is over (R24)', { skip: haveNoPostgres }, async t => {
  const at = await place(t, hasNoDeadline)
  if (at.shops.length === 0) {
    t.comment('no shop of the example is at a provider that allows a short lease')
    return
  }
  const pair = await Promise.all([at.start(SHORT), at.start(SHORT)])
  const { id: shop, provider } = at.shops[0] as { id: string, provider: string }
  const first = await accepted(pair[0], shop, 'kill-1', at)
  await delivered(pair[0], first, at)
  const { owner, other } = await ownerOf(first, pair)
  await order(at, provider, { kind: 'status', status: 429, headers: { 'retry-after': '5' }, times: 1 })
  const limited = await accepted(owner, shop, 'kill-2', at)
  await until(async () => attemptsOf(owner, limited).length > 0)
  const ids = [limited, await accepted(owner, shop, 'kill-3', at)]
  await owner.kill('SIGKILL')
  const third = await at.start(SHORT)
  for (const id of ids) for (const gateway of [other, third]) t.match(await delivered(gateway, id, at), { state: 'delivered' })
  t.strictSame(ids.map(id => attemptsOf(owner, id).map(({ outcome }) => outcome)), [['retry'], []], 'not by the one that was killed')
})
