// R1, R2: the gateway is killed at the request that adds a customer: before it arrives, when it was acted on and not answered, and shortly
// after the answer. The customer is asked to opt in once, and the alert that waited is sent once.

import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { startSandbox, type Sandbox } from '../../gateway/providers/sandbox.ts'
import { anEvent, ROOT, until, type Body } from '../../test/helpers/app.ts'
import { startListening, type Listening } from '../../test/helpers/gateway-process.ts'
import { database, haveNoPostgres } from '../../test/helpers/postgres.ts'
import { entry, loadOne } from '../../test/helpers/providers.ts'
import { tempDir } from '../../test/helpers/tmp.ts'
import { SILENT } from './silent.test-folder.ts'
import { KEY, KEYWORD, PEOPLE, SHOP } from './subscribers.test-world.ts'

const MODES = ['before', 'unanswered', 'answered'] as const
type Mode = typeof MODES[number]

const API_KEY = 'gw_test_0123456789abcdefghijklmnopqrst'
/** A claim or a commit is on its way then. */
const AFTERWARDS_MS = 5
const LOOK_MS = 100

/** Between the gateway and the sandbox: at the next request that adds somebody it is struck. */
interface Way { url: string, arm (mode: Mode, strike: () => void): void }

async function startWay (t: Test, sandbox: Sandbox): Promise<Way> {
  let armed: { mode: Mode, strike: () => void } | null = null
  const server = createServer((incoming, response) => {
    const mine = incoming.method === 'POST' && incoming.url?.endsWith(PEOPLE) ? armed : null
    if (mine !== null) armed = null
    if (mine?.mode === 'before') { mine.strike(); incoming.destroy(); return }
    void passed(incoming, sandbox.port).then(async ({ status, body }) => {
      if (mine?.mode === 'unanswered') { mine.strike(); incoming.destroy(); return }
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
      if (mine === null) return
      await wait(AFTERWARDS_MS)
      mine.strike()
    }, () => { incoming.destroy() })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, arm (mode, strike) { armed = { mode, strike } } }
}

async function passed (incoming: IncomingMessage, port: number): Promise<{ status: number, body: Buffer }> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const { authorization = '', 'content-type': type } = incoming.headers
  const answer = await request(`http://127.0.0.1:${port}${incoming.url}`, { method: incoming.method as 'GET', headers: { authorization, ...(type !== undefined && { 'content-type': type }) }, ...(chunks.length > 0 && { body: Buffer.concat(chunks) }) })
  return { status: answer.statusCode, body: Buffer.from(await answer.body.arrayBuffer()) }
}

function configIn (dir: string, sandboxUrl: string, store: object): string {
  const key = (name: string): object => ({ file: join(dir, 'keys', name), generate: true })
  const type = (name: string, group: string, kind: string): object => ({ schema: join(ROOT, 'schemas/events', `${name}.schema.json`), channel: 'sms', setup_group: group, kind, expires_after: '24h', person: '/customer/phone' })
  const file = join(dir, 'gateway.config.yaml')
  writeFileSync(file, JSON.stringify({
    version: 1, server: { port: 0 }, log: { level: 'warn' }, store, sandbox: { enabled: true, url: sandboxUrl },
    security: { encryption_keys: [{ id: 'k1', ...key('k1.key') }], person_key: key('person.key'), api_keys: [{ id: 'test', env: 'TEST_API_KEY', scopes: ['events:write', 'deliveries:read', 'shops:read', 'shops:write'], shops: '*' }] },
    plans: { pro: ['external_sms'] }, channels: { sms: {} },
    event_types: {
      'back_in_stock.alert': type('back_in_stock.alert', 'back_in_stock', 'marketing'), 'back_in_stock.reminder': type('back_in_stock.reminder', 'back_in_stock', 'marketing'),
      'preorder.confirmed': type('preorder.confirmed', 'preorder', 'transactional'), 'waitlist.joined': type('waitlist.joined', 'back_in_stock', 'sync')
    },
    providers: { postscript: { path: SILENT } }, delivery: { request_deadline: '1s' }
  }))
  return file
}

/** Kills it once in each of these ways, each time at a customer of their own. */
async function killed (t: Test, modes: readonly Mode[], store: object, env: Record<string, string>): Promise<void> {
  const dir = tempDir(t)
  const sandbox = await startSandbox({ providers: [await loadOne(entry('postscript', import.meta.dirname))], port: 0 })
  t.teardown(() => sandbox.close())
  const way = await startWay(t, sandbox)
  const file = configIn(dir, way.url, { driver: 'sqlite', path: join(dir, 'gateway.db'), ...store })
  let aheadMs = 0
  const start = (): Promise<Listening> => startListening({ args: [join(ROOT, 'test/helpers/gateway-ahead.ts'), file], env: { ...env, TEST_API_KEY: API_KEY, AHEAD_MS: String(aheadMs) } })
  let gateway = await start()
  t.teardown(() => gateway.kill('SIGKILL'))
  const ask = async (method: 'GET' | 'PUT' | 'POST', path: string, body?: object): Promise<Body> => {
    const answer = await request(gateway.url + path, { method, headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' }, ...(body !== undefined && { body: JSON.stringify(body) }) })
    return await answer.body.json() as Body
  }
  const delivery = async (id: string): Promise<Body | undefined> => (await ask('GET', `/v1/deliveries?source_id=${id}&shop=${SHOP}`)).items?.[0]
  const order = async (what: string, body: object): Promise<void> => { await (await request(`${sandbox.url}/postscript/_sandbox/${what}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })).body.dump() }
  /** Puts the clock forward until it is so. */
  const passes = async (question: () => Promise<boolean>): Promise<void> => {
    while (!await question()) {
      aheadMs += 60_000
      process.kill(gateway.pid, 'SIGUSR2')
      await wait(LOOK_MS)
    }
  }
  await ask('PUT', `/v1/shops/${SHOP}`, { name: 'Acme', domain: SHOP, plan: 'pro' })
  await ask('PUT', `/v1/shops/${SHOP}/channels/sms`, { provider: 'postscript' })
  await ask('PUT', `/v1/shops/${SHOP}/providers/postscript/connection`, { secrets: { shop_key: KEY }, settings: { keyword_id: KEYWORD }, ready: ['back_in_stock', 'preorder'] })
  for (const [i, mode] of modes.entries()) {
    const phone = `+1201555013${i}`
    const plain = anEvent(`sign-${i}`)
    const data = { ...plain.data, customer: { ...(plain.data as { customer: object }).customer, phone } }
    way.arm(mode, () => { process.kill(gateway.pid, 'SIGKILL') })
    await ask('POST', '/v1/events', [{ ...plain, type: 'waitlist.joined', data: { ...data, consent: { sms: true } } }, { ...plain, id: `alert-${i}`, data }])
    await gateway.exited
    gateway = await start()
    await passes(async () => (await delivery(`sign-${i}`))?.state === 'delivered')
    await until(async () => (await delivery(`alert-${i}`))?.reason === 'opt_in_pending')
    await order('opt_ins', { phone_number: phone })
    await passes(async () => (await delivery(`alert-${i}`))?.state === 'delivered')
    const { items } = await (await request(`${sandbox.url}/postscript/_sandbox/requests`)).body.json() as { items: Array<{ method: string, path: string, status: number, body: { phone_number?: string, phone?: string } | null }> }
    const adds = items.filter(({ method, path, body }) => method === 'POST' && path === PEOPLE && body?.phone_number === phone).map(({ status }) => status).toReversed()
    t.strictSame(adds.filter(status => status === 200), [200], `${mode}: asked to opt in once`)
    t.ok(adds.length <= 2 && adds.slice(1).every(status => status === 409), `${mode}: ${adds.join()}`)
    t.equal(items.filter(({ path, body }) => path === '/api/v2/events' && body?.phone === phone).length, 1, `${mode}: texted once`)
  }
}

t.test('killed at the request that adds a customer: asked to opt in once, and texted once', async t => { await killed(t, MODES, {}, {}) })

t.test('the same on PostgreSQL', { skip: haveNoPostgres }, async t => {
  await killed(t, ['unanswered'], { driver: 'postgres', path: undefined, url: { env: 'DATABASE_URL' }, lease: '3s' }, { DATABASE_URL: await database(t) })
})
