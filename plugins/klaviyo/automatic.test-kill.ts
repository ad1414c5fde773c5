// R1 for the automatic set-up: the gateway is killed with SIGKILL at each of its requests to Klaviyo: before the request arrives, when it
// was acted on and not answered, and shortly after the answer. Whatever comes of it, each metric has one flow in the end.

import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import { startSandbox, type Sandbox } from '../../gateway/providers/sandbox.ts'
import { seeded } from '../../test/campaign/seed.ts'
import { startListening, type Listening } from '../../test/helpers/gateway-process.ts'
import { entry, loadOne } from '../../test/helpers/providers.ts'
import type { ItemView, SetupView } from '../../test/helpers/setup.ts'
import { ROOT } from '../../test/helpers/sources.ts'
import { FOLDER } from './automatic.test-folder.ts'

export const MODES = ['before', 'unanswered', 'answered'] as const
export type Mode = typeof MODES[number]
/** More than the requests of one group with one event type: the last ones kill nobody. */
export const REQUESTS = 10

export interface Kill { at: number, mode: Mode }
export interface KillOptions {
  /** An empty folder. */
  dir: string
  seed: number
  kills: readonly Kill[]
  /** Another store than a SQLite file, and the environment that it needs. */
  on?: { store: Record<string, unknown>, env: Record<string, string> }
}
export interface KillReport { seed: number, kills: number, tasks: number, created: number, wrong: string[] }

const API_KEY = 'gw_test_0123456789abcdefghijklmnopqrst'
/** At once, each at an account of its own: the kill is aimed at the first, and hits the others anywhere. */
const SHOPS = 4
const GROUP = 'preorder'
const KILLED_WITHIN_MS = 30_000
const DONE_WITHIN_MS = 60_000
const LOOK_MS = 50
/** A claim, a save or the next request is on its way then. */
const AFTERWARDS_MS = 60

export async function killAtEachRequest ({ dir, seed, kills, on }: KillOptions): Promise<KillReport> {
  const sandbox = await startSandbox({ providers: [await loadOne(entry('klaviyo', import.meta.dirname))], port: 0 })
  const way = await startWay(sandbox, seeded(seed))
  const trial = new Trial(configIn(dir, way.url, on?.store), { ...on?.env, TEST_API_KEY: API_KEY }, way, sandbox)
  await trial.sandbox('POST', 'listing_delay', { ms: 0 })
  await trial.start()
  const report: KillReport = { seed, kills: 0, tasks: 0, created: 0, wrong: [] }
  try {
    for (const kill of kills) {
      const { killed, created, wrong } = await trial.round(kill)
      report.kills += Number(killed)
      report.tasks += SHOPS
      report.created += created
      report.wrong.push(...wrong.map(what => `${kill.mode} request ${kill.at}: ${what}`))
    }
  } finally {
    await trial.gateway.kill('SIGKILL')
    await way.close()
    await sandbox.close()
  }
  return report
}

/** Between the gateway and the sandbox. */
interface Way {
  url: string
  close (): Promise<void>
  /** From now on: what happens at the nth request with this key. */
  arm (key: string, kill: Kill, strike: () => void): void
  /** From now on nothing happens any more; whether it has, or will in a moment. */
  disarm (): boolean
}

async function startWay (sandbox: Sandbox, random: () => number): Promise<Way> {
  let armed: { key: string, kill: Kill, strike: () => void, seen: number } | null = null
  const server: Server = createServer((incoming, response) => {
    const mine = armed !== null && incoming.headers.authorization?.endsWith(armed.key) === true && ++armed.seen === armed.kill.at ? armed : null
    if (mine?.kill.mode === 'before') { mine.strike(); incoming.destroy(); return }
    void passed(incoming, sandbox.port).then(async answer => {
      if (mine?.kill.mode === 'unanswered') { mine.strike(); incoming.destroy(); return }
      send(response, answer)
      if (mine === null) return
      await wait(random() * AFTERWARDS_MS)
      mine.strike()
    }, () => { incoming.destroy() })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    arm: (key, kill, strike) => { armed = { key, kill, strike, seen: 0 } },
    disarm: () => {
      const struck = armed !== null && armed.seen >= armed.kill.at
      armed = null
      return struck
    },
    close: () => new Promise(resolve => { server.closeAllConnections(); server.close(() => { resolve() }) })
  }
}

interface Passed { status: number, headers: Record<string, string | string[] | undefined>, body: Buffer }

async function passed (incoming: IncomingMessage, port: number): Promise<Passed> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const { host: _host, connection: _connection, 'content-length': _length, 'transfer-encoding': _encoding, ...headers } = incoming.headers
  const answer = await request(`http://127.0.0.1:${port}${incoming.url}`, { method: incoming.method as 'GET', headers, ...(chunks.length > 0 && { body: Buffer.concat(chunks) }) })
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.arrayBuffer()) }
}

function send (response: ServerResponse, { status, headers: { connection: _connection, 'keep-alive': _alive, 'transfer-encoding': _encoding, ...headers }, body }: Passed): void {
  response.writeHead(status, headers as Record<string, string>).end(body)
}

class Trial {
  gateway!: Listening
  #file: string
  #env: Record<string, string>
  #way: Way
  #sandbox: Sandbox
  #shops = 0
  #aheadMs = 0

  constructor (file: string, env: Record<string, string>, way: Way, sandbox: Sandbox) {
    this.#file = file
    this.#env = env
    this.#way = way
    this.#sandbox = sandbox
  }

  async start (): Promise<void> {
    this.gateway = await startListening({ args: [join(ROOT, 'test/helpers/gateway-ahead.ts'), this.#file], env: { ...this.#env, AHEAD_MS: String(this.#aheadMs) } })
  }

  async sandbox (method: 'GET' | 'POST', path: string, body?: object): Promise<Record<string, unknown>> {
    const response = await request(`${this.#sandbox.url}/klaviyo/_sandbox/${path}`, { method, headers: body === undefined ? {} : { 'content-type': 'application/json' }, ...(body !== undefined && { body: JSON.stringify(body) }) })
    return await response.body.json() as Record<string, unknown>
  }

  /** Four shops set it up at once, and it is killed once. */
  async round (kill: Kill): Promise<{ killed: boolean, created: number, wrong: string[] }> {
    const shops = Array.from({ length: SHOPS }, () => ({ id: `shop-${++this.#shops}.example`, key: `pk_${String(this.#shops).padStart(16, '0')}` }))
    await Promise.all(shops.map(async ({ id, key }) => {
      await this.#ask('PUT', `/v1/shops/${id}`, { name: 'Acme', domain: id, plan: 'pro' })
      await this.#ask('POST', `${setupOf(id)}/key/connect`, { secrets: { api_key: key } })
      await this.#ask('POST', `${setupOf(id)}/method/choose`, { subject: GROUP, value: 'automatic' })
    }))
    const { gateway } = this
    this.#way.arm(shops[0]?.key as string, kill, () => { process.kill(gateway.pid, 'SIGKILL') })
    await Promise.all(shops.map(({ id }) => this.#ask('POST', `${setupOf(id)}/automatic/start`, { subject: GROUP }).catch(() => {}))) // it may be dead already
    await Promise.race([gateway.exited, this.#settled(shops.slice(0, 1), KILLED_WITHIN_MS)])
    const killed = this.#way.disarm()
    if (killed) {
      await gateway.exited
      await this.start()
    }
    for (const { id } of shops) await this.#begun(id)
    await this.#settled(shops, DONE_WITHIN_MS)
    const found = await Promise.all(shops.map(({ id }) => this.#found(id)))
    return { killed, created: found.reduce((sum, { created }) => sum + created, 0), wrong: found.flatMap(({ wrong }) => wrong) }
  }

  /** A start whose answer was lost with the gateway is asked for again. */
  async #begun (id: string): Promise<void> {
    if ((await this.#task(id)).state === 'open') await this.#ask('POST', `${setupOf(id)}/automatic/start`, { subject: GROUP })
  }

  /** Where it only waits for a lost answer to come true the clock is put forward. */
  async #settled (shops: ReadonlyArray<{ id: string }>, withinMs: number): Promise<void> {
    const until = performance.now() + withinMs
    while (performance.now() < until) {
      const items = await Promise.all(shops.map(({ id }) => this.#task(id).catch(() => null)))
      if (items.every(item => item !== null && item.state !== 'running')) return
      if (items.every(item => item?.state !== 'running' || item.progress?.waiting?.reason === 'no_answer') && items.some(item => item?.state === 'running')) {
        this.#aheadMs += 60_000
        try { process.kill(this.gateway.pid, 'SIGUSR2') } catch { return }
      }
      await wait(LOOK_MS)
    }
  }

  async #found (id: string): Promise<{ created: number, wrong: string[] }> {
    const { state, detail } = await this.#task(id)
    const { body: { connection } } = await this.#ask('GET', `/v1/shops/${id}/providers/klaviyo`) as { body: { connection: { account_id: string } } }
    const flows = (await this.sandbox('GET', `flows?account=${connection.account_id}`)).items as Array<{ name: string, status: string, metric_id: string }>
    const wrong = [
      ...(state === 'done' ? [] : [`${id} is ${state}: ${String(detail)}`]),
      ...(flows.length === 1 && flows[0]?.status === 'live' ? [] : [`${id} has ${flows.length} flows: ${flows.map(({ status }) => status).join(', ')}`])
    ]
    return { created: flows.length, wrong }
  }

  async #task (id: string): Promise<ItemView & { progress: { waiting: { reason: string } | null } | null, detail: string | null }> {
    const { body } = await this.#ask('GET', setupOf(id))
    const found = (body as unknown as SetupView).steps.find(step => step.id === 'automatic')?.items.find(({ subject }) => subject === GROUP)
    if (found === undefined) throw new Error(`${id} has no task`)
    return found as ItemView as never
  }

  async #ask (method: 'GET' | 'PUT' | 'POST', path: string, body?: object): Promise<{ body: Record<string, unknown> }> {
    const response = await request(this.gateway.url + path, { method, headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' }, ...(body !== undefined && { body: JSON.stringify(body) }) })
    const answer = await response.body.json() as Record<string, unknown>
    if (response.statusCode >= 300) throw new Error(`${method} ${path} answered ${response.statusCode}: ${JSON.stringify(answer)}`)
    return { body: answer }
  }
}

function setupOf (shop: string): string { return `/v1/shops/${shop}/providers/klaviyo/setup` }

function configIn (dir: string, sandboxUrl: string, store: Record<string, unknown> = { driver: 'sqlite', path: join(dir, 'gateway.db') }): string {
  const key = (name: string): object => ({ file: join(dir, 'keys', name), generate: true })
  const type = (name: string, group: string, kind: string): object => ({ schema: join(ROOT, 'schemas/events', `${name}.schema.json`), channel: 'sms', setup_group: group, kind, expires_after: '24h', person: '/customer/phone' })
  const file = join(dir, 'gateway.config.yaml')
  writeFileSync(file, JSON.stringify({
    version: 1,
    server: { port: 0 },
    log: { level: 'warn' },
    store,
    sandbox: { enabled: true, url: sandboxUrl },
    security: { encryption_keys: [{ id: 'k1', ...key('k1.key') }], person_key: key('person.key'), api_keys: [{ id: 'test', env: 'TEST_API_KEY', scopes: ['shops:read', 'shops:write'], shops: '*' }] },
    plans: { pro: ['external_sms'] },
    channels: { sms: {} },
    event_types: { 'back_in_stock.alert': type('back_in_stock.alert', 'back_in_stock', 'marketing'), 'back_in_stock.reminder': type('back_in_stock.reminder', 'back_in_stock', 'marketing'), 'preorder.confirmed': type('preorder.confirmed', GROUP, 'transactional'), 'waitlist.joined': type('waitlist.joined', 'back_in_stock', 'sync') },
    providers: { klaviyo: { path: FOLDER } },
    delivery: { request_deadline: '1s' }
  }, null, 2))
  return file
}
