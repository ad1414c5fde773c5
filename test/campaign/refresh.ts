// R61: a token that ends again and again, under two gateways with many callers each. Each end costs one refresh, and no refresh
// token is ever used twice: the provider would end the grant. R62, R2: a gateway that dies with a new token in its hand.

import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import { loadSound } from '../../gateway/load.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { dieAt } from '../failpoints/points.ts'
import { anEvent, movable, type Answered, type App, type Asked, type Body } from '../helpers/app.ts'
import { startGatewayProcess } from '../helpers/gateway-process.ts'
import { choose, connect, connectionOf, lanternConfig, makeLanternApp, order, seen, type Asks, type Seen } from '../helpers/lantern.ts'
import { query } from '../helpers/postgres-cluster.ts'
import { SHOP } from '../helpers/setup.ts'
import type { Teardown } from '../helpers/tmp.ts'

export interface RefreshOptions {
  t: Teardown
  /** An empty database. */
  url: string
  expiries: number
  /** At each gateway. */
  callers: number
}

export interface RefreshReport { expiries: number, calls: number, undelivered: number, status: unknown, seen: Seen }

const STORE = 'store: { path: data/gateway.db }'
const SHARED = 'store: { driver: postgres, url: { env: DATABASE_URL }, pool: 2, lease: 60s }'
const CHECK = `/v1/shops/${SHOP}/providers/lantern/setup/allow/check`
const ENDED_WITHIN_MS = 30_000
const LOOK_MS = 20

export async function endAgainAndAgain ({ t, url, expiries, callers }: RefreshOptions): Promise<RefreshReport> {
  const { runtime, advance } = movable()
  const config = (sandbox: string): string => lanternConfig(text => text.replace(STORE, SHARED).replace('sandbox: { enabled: true, port: 0 }', sandbox))
  const one = makeLanternApp(t, { runtime, config: config('sandbox: { enabled: true, port: 0 }'), env: { DATABASE_URL: url } })
  await one.start()
  const other = makeLanternApp(t, { runtime, config: config(`sandbox: { enabled: true, url: "${one.sandboxUrl}" }`), env: one.env })
  await other.start()
  await connect(one)
  await choose(one)
  let calls = 0
  for (let n = 0; n < expiries; n++) {
    if (n % 2 === 0) await order(one, { expire: true }) // the provider says so
    else advance(2 * 3_600_000) // the clock does
    const ids = Array.from({ length: callers }, (_, i) => i)
    const asked = [one, other].flatMap((app, at) => ids.map(i => i === 0 ? app.ask('POST', CHECK, { body: {} }) : app.post(anEvent(`e-${n}-${at}-${i}`))))
    for (const { status } of await Promise.all(asked)) if (status >= 300) throw new Error(`a call was answered ${status}`)
    calls += asked.length
    await ended(url)
  }
  return { expiries, calls, undelivered: await open(url), status: await statusOf(other), seen: await seen(one) }
}

async function statusOf (app: App): Promise<unknown> { return (await connectionOf(app))['status'] }

async function open (url: string): Promise<number> {
  const [row] = await query(url, 'select count(*)::int as open from deliveries where state <> 3')
  return Number(row?.['open'])
}

/** All that was posted is delivered, and nobody waits for an answer. */
async function ended (url: string): Promise<void> {
  const until = performance.now() + ENDED_WITHIN_MS
  while (performance.now() < until) {
    const [row] = await query(url, "select count(*)::int as running from setup where action is not null")
    if (await open(url) === 0 && row?.['running'] === 0) return
    await wait(LOOK_MS)
  }
}

/** What is wrong; empty is good. */
export function refreshFaults ({ expiries, undelivered, status, seen: { refreshes, second_uses: secondUses, live } }: RefreshReport): string[] {
  return [
    ...(refreshes === expiries ? [] : [`${refreshes} refreshes for ${expiries} ends`]),
    ...(secondUses === 0 ? [] : [`${secondUses} refresh tokens were used twice`]),
    ...(live === 1 && status === 'connected' ? [] : [`the connection is ${String(status)}, and ${live} grants are alive`]),
    ...(undelivered === 0 ? [] : [`${undelivered} messages were not delivered`])
  ]
}

export function refreshLine ({ expiries, calls, seen: { refreshes, second_uses: secondUses } }: RefreshReport): string {
  return `${expiries} ends, ${calls} calls, ${refreshes} refreshes, ${secondUses} second uses`
}

const NEIGHBOUR = 'globex.example'

/** What was wrong, one line for each; empty is good. */
export async function dieMidRefresh ({ t, kills }: { t: Teardown, kills: number }): Promise<string[]> {
  const app = makeLanternApp(t)
  const file = join(app.dir, 'gateway.config.yaml')
  const { providers } = await loadSound({ file, cwd: app.dir, env: app.env, createSecrets: false, sandboxUrl: null })
  const sandbox = await startSandbox({ providers: providers.values(), port: 0 }) // it outlives the gateway
  t.teardown(() => sandbox.close())
  app.write(lanternConfig(text => text.replace('sandbox: { enabled: true, port: 0 }', `sandbox: { enabled: true, url: "${sandbox.url}" }`)))
  const gateway = await startGatewayProcess({ config: { file }, dataDir: app.dir, env: app.env })
  t.teardown(() => gateway.kill('SIGKILL'))
  const asks: Asks = { ask: (method, path, asked) => askAt(gateway.url, app, method, path, asked) }
  const lantern = { sandboxUrl: sandbox.url }
  const state = async (id: string): Promise<Body> => (await asks.ask('GET', `/v1/deliveries?source_id=${id}`)).body.items?.[0] as Body
  const becomes = async (id: string, wanted: string): Promise<Body> => {
    const until = performance.now() + ENDED_WITHIN_MS
    while (performance.now() < until && (await state(id))['state'] !== wanted) await wait(LOOK_MS)
    return await state(id)
  }
  const wrong: string[] = []
  for (const shop of [SHOP, NEIGHBOUR]) {
    await connect(asks, { shop })
    await choose(asks, shop)
  }
  for (let n = 0; n < kills; n++) {
    await gateway.kill('SIGKILL')
    await gateway.restart(dieAt('mid_refresh', 1))
    await order(lantern, { expire: true })
    await asks.ask('POST', '/v1/events', { body: anEvent(`mine-${n}`) })
    if ((await gateway.exited).signal !== 'SIGKILL') wrong.push(`${n}: it did not die`)
    await gateway.restart()
    await asks.ask('POST', '/v1/events', { body: anEvent(`theirs-${n}`, { shop: NEIGHBOUR }) })
    const mine = await becomes(`mine-${n}`, 'held')
    const theirs = await becomes(`theirs-${n}`, 'delivered')
    if (mine['reason'] !== 'credentials_refused') wrong.push(`${n}: the message is ${String(mine['state'])} ${String(mine['reason'])}`)
    if (theirs['state'] !== 'delivered') wrong.push(`${n}: the neighbour's message is ${String(theirs['state'])} ${String(theirs['reason'])}`)
    await connect(asks, { ready: false }).catch(async () => { // five times a minute are allowed
      await wait(60_000)
      await connect(asks, { ready: false })
    })
    const after = await becomes(`mine-${n}`, 'delivered')
    if (after['state'] !== 'delivered') wrong.push(`${n}: connected again, it is ${String(after['state'])} ${String(after['reason'])}`)
  }
  const { second_uses: secondUses } = await seen(lantern)
  if (secondUses > kills) wrong.push(`${secondUses} second uses for ${kills} kills`)
  return wrong
}

async function askAt (url: string, app: App, method: string, path: string, { body }: Asked = {}): Promise<Answered> {
  const response = await request(url + path, { method, headers: { authorization: `Bearer ${app.keyOf('all')}`, ...(body !== undefined && { 'content-type': 'application/json' }) }, ...(body !== undefined && { body: JSON.stringify(body) }) })
  return { status: response.statusCode, headers: response.headers, body: await response.body.json() as Body }
}
