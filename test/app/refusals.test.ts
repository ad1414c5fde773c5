// What is refused over HTTP and at a reload, with its code, and that nothing of it is done.

import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { anEvent, CONFIG, deliveryOf, movable, startApp, until, type Answered, type App, type Body } from '../helpers/app.ts'
import { onlySqlite } from '../helpers/only-sqlite.ts'

const DAY_MS = 24 * 3_600_000
const REFUSED = { status: 422, body: { error: { code: 'GW_REQUEST_INVALID' } } }
const CONFLICT = { status: 409, body: { error: { code: 'GW_CONFLICT' } } }

interface Connection { provider: string, auth: string, account_id: string | null, ready: string[], secrets: Record<string, string> }

/** A shop's connection as the config declares it, and where it is put. */
async function connectionOf (app: App, shop: string): Promise<{ path: string, connection: Connection }> {
  const { body } = await app.ask('GET', `/v1/shops/${shop}`)
  const connection = (body.connections as unknown as Connection[])[0] as Connection
  return { path: `/v1/shops/${shop}/providers/${connection.provider}/connection`, connection }
}

/** Another connection of the same form. */
const connect = ({ auth, ready, secrets }: Connection, secret: string, more: object = {}) =>
  ({ auth, ready, secrets: Object.fromEntries(Object.keys(secrets).map(field => [field, secret])), ...more })

const shopOf = async (app: App, shop: string) => (await app.ask('GET', `/v1/shops/${shop}`)).body

// ── connections ────────────────────────────────────────────────────────────────────────────────

t.test('a secret that no header can hold is refused where it is given, is not repeated, and the one before it stays in use', async t => {
  const app = await startApp(t)
  const { path, connection } = await connectionOf(app, 'acme.example')
  const before = await shopOf(app, 'acme.example')
  for (const bad of ['\n', '\r\nx-more: 1', '\0', '花']) {
    const answered = await app.ask('PUT', path, { body: connect(connection, `never-shown-0123456789${bad}`) })
    t.match(answered, REFUSED, JSON.stringify(bad))
    t.strictSame(answered.body.error?.details.map(({ path: at, rule }) => [at, rule]), [['/secrets', 'usable']])
    t.notMatch(JSON.stringify(answered.body), /never-shown/)
  }
  t.strictSame(await shopOf(app, 'acme.example'), before, 'nothing of it was saved')
  t.notMatch(app.lines.join('\n'), /never-shown/)
  t.match(await app.attempted(await app.post(anEvent('usable-1'))), { outcome: 'delivered' })
  t.match(await app.ask('PUT', path, { body: connect(connection, 'plain-0123456789-last') }), { status: 200, body: { connection: { secrets: Object.fromEntries(Object.keys(connection.secrets).map(field => [field, '…last'])) } } })
})

t.test('only a caller for all shops names the account that a connection is counted with', async t => {
  const app = await startApp(t)
  const { path, connection } = await connectionOf(app, 'acme.example')
  const put = (key: 'acme' | 'all', more: object = {}) => app.ask('PUT', path, { key, body: connect(connection, 'plain-0123456789-last', more) })
  const before = await shopOf(app, 'acme.example')
  const answered = await put('acme', { account_id: 'OF-ANOTHER' })
  t.match(answered, REFUSED)
  t.strictSame(answered.body.error?.details.map(({ path: at, rule }) => [at, rule]), [['/account_id', 'scope']])
  t.strictSame(await shopOf(app, 'acme.example'), before, 'nothing of it was saved')
  t.match(await put('all', { account_id: 'OURS' }), { status: 200, body: { connection: { account_id: 'OURS' } } })
  t.match(await put('acme'), { status: 200, body: { connection: { account_id: null } } }, 'without one it may connect its own shop')
})

// ── another try ────────────────────────────────────────────────────────────────────────────────

const SENT_TWICE = { may_have_been_sent: true }
const LATE = { expired: true }
const SHOP = 'globex.example'

interface Tries {
  app: App
  advance (ms: number): void
  /** Posts an event that meets this fault; the address of its delivery. */
  meets (id: string, fault: object): Promise<string>
  shown (path: string): Promise<Body>
  retry (path: string, body?: object): Promise<Answered>
  /** Nothing is done with any of these bodies, and nothing changes. */
  refused (t: Test, path: string, bodies: Array<object | undefined>): Promise<void>
  /** It is taken, and delivered. */
  taken (t: Test, path: string, body?: object): Promise<Body>
}

async function tries (t: Test): Promise<Tries> {
  const clock = movable()
  const app = await startApp(t, { runtime: clock.runtime })
  const { connection: { provider } } = await connectionOf(app, SHOP)
  const shown = async (path: string) => (await app.ask('GET', path)).body
  const retry = (path: string, body?: object) => app.ask('POST', `${path}/retry`, body === undefined ? {} : { body })
  return {
    app,
    advance: clock.advance,
    async meets (id, fault) {
      await app.fault(provider, { ...fault, times: 1 })
      return `/v1/deliveries/${String(deliveryOf(await app.post(anEvent(id, { shop: SHOP }))).id)}`
    },
    shown,
    retry,
    async refused (t, path, bodies) {
      const before = await shown(path)
      for (const body of bodies) t.match(await retry(path, body), CONFLICT, `${String(before.state)}: ${JSON.stringify(body)}`)
      t.strictSame(await shown(path), before)
    },
    async taken (t, path, body) {
      const { status, body: answer } = await retry(path, body)
      t.equal(status, 202, JSON.stringify(body))
      await until(async () => (await shown(path)).finished_at !== null)
      t.match(await shown(path), { state: 'delivered' })
      return answer
    }
  }
}

/** Until nothing of it is left to be done without a person. */
const rests = async ({ shown }: Tries, path: string, state: string): Promise<void> =>
  until(async () => { const now = await shown(path); return now.state === state && now.finished_at !== null })

t.test('what may have been sent is sent again only for who says that twice is acceptable', async t => {
  const all = await tries(t)
  const path = await all.meets('twice-1', { kind: 'cut_after' })
  await until(async () => (await all.shown(path)).state === 'unknown')
  await all.refused(t, path, [undefined, {}, { may_have_been_sent: false }, LATE])
  await all.taken(t, path, SENT_TWICE)
  t.equal((await all.shown(path)).attempts, 2)
  await all.refused(t, path, [undefined, SENT_TWICE, LATE, { ...SENT_TWICE, ...LATE }])
})

t.test('what is older than its kind may be is sent only for who says so, and may wait as long as it might at first', async t => {
  const all = await tries(t)
  const unknown = await all.meets('late-1', { kind: 'cut_after' })
  await until(async () => (await all.shown(unknown)).state === 'unknown')
  const rejected = await all.meets('late-2', { kind: 'status', status: 400, body: {} })
  await rests(all, rejected, 'rejected')
  all.advance(2 * DAY_MS)
  await rests(all, unknown, 'unknown')
  await all.refused(t, unknown, [undefined, SENT_TWICE, LATE, { ...SENT_TWICE, expired: false }])
  await all.refused(t, rejected, [undefined, {}, SENT_TWICE])
  for (const [path, body] of [[unknown, { ...SENT_TWICE, ...LATE }], [rejected, LATE]] as const) {
    const from = Date.now() + 3 * DAY_MS // two have passed, and a day is what its kind may wait
    const { expires_at: expiresAt } = await all.taken(t, path, body)
    t.ok(Math.abs(Date.parse(String(expiresAt)) - from) < 60_000, String(expiresAt))
  }
})

t.test('what expired wants its word and no other', async t => {
  const all = await tries(t)
  await all.app.ask('PUT', '/v1/shops/slow.example', { body: { name: 'Slow', domain: 'slow.example', plan: 'pro' } })
  const path = `/v1/deliveries/${String(deliveryOf(await all.app.post(anEvent('slow-1', { shop: 'slow.example' }))).id)}`
  all.advance(2 * DAY_MS)
  await rests(all, path, 'expired')
  await all.refused(t, path, [undefined, SENT_TWICE])
  t.match(await all.retry(path, LATE), { status: 202, body: { state: 'held', reason: 'not_connected' } })
})

t.test('what was refused for certain needs no word; what is on its way is never taken twice', async t => {
  const all = await tries(t)
  const rejected = await all.meets('plain-1', { kind: 'status', status: 400, body: {} })
  await rests(all, rejected, 'rejected')
  await all.taken(t, rejected)
  const slow = await all.meets('plain-2', { kind: 'delay', delay_ms: 500 })
  await until(async () => (await all.shown(slow)).state === 'sending')
  for (const body of [undefined, { ...SENT_TWICE, ...LATE }]) t.match(await all.retry(slow, body), CONFLICT, 'sending')
  await until(async () => (await all.shown(slow)).state === 'delivered')
  t.match(await all.shown(slow), { attempts: 1 })
})

t.test('a word that is misspelt or no boolean is refused, and nothing is done', async t => {
  const all = await tries(t)
  const path = await all.meets('odd-1', { kind: 'status', status: 400, body: {} })
  await rests(all, path, 'rejected')
  const before = await all.shown(path)
  for (const body of [{ expired: 'true' }, { may_have_been_sent: 1 }, { may_have_been_send: true }, []]) t.match(await all.retry(path, body), REFUSED, JSON.stringify(body))
  t.strictSame(await all.shown(path), before)
})

// ── the mode, and the disk ─────────────────────────────────────────────────────────────────────

t.test('a reload that would send to the real providers, or no longer to them, is refused, and all goes on as it was', async t => {
  const app = await startApp(t)
  const success = async () => /^gateway_config_reload_success (\d)$/m.exec(String((await app.ask('GET', '/metrics')).body.text))?.[1]
  const line = CONFIG.split('\n').findIndex(text => text.startsWith('sandbox:')) + 1
  const { connection: { provider } } = await connectionOf(app, 'acme.example')
  const late = '  - { id: late.example, name: Late, domain: late.example, plan: pro }\n'
  for (const [n, to] of ['enabled: false, port: 0', 'enabled: true, url: "http://127.0.0.1:9"'].entries()) {
    const faulted = app.lines.length
    app.write(CONFIG.replace('enabled: true, port: 0', to) + late)
    t.equal(await app.reload(), false, to)
    t.equal(await success(), '0')
    const told = app.lines.slice(faulted).map(text => JSON.parse(text) as Body).filter(({ level }) => level === 50)
    t.match(told, [{ faults: [{ code: 'GW_CONFIG_VALUE', place: { line } }] }])
    t.equal((await app.ask('GET', '/v1/shops/late.example')).status, 404, 'nothing else of it was taken either')
    const received = (await app.received(provider)).length
    t.match(await app.delivered(await app.post(anEvent(`mode-${n}`))), { provider })
    t.equal((await app.received(provider)).length, received + 1, 'by the sandbox, as before')
  }
  app.write(CONFIG + late)
  t.equal(await app.reload(), true)
  t.equal((await app.ask('GET', '/v1/shops/late.example')).status, 200)
})

onlySqlite('while the disk is full nothing is accepted, and the gateway says that it is not ready; then it is again', 'the disk of a database is its own', async t => {
  const app = await startApp(t)
  const { exec } = DatabaseSync.prototype
  const mend = () => { DatabaseSync.prototype.exec = exec }
  t.teardown(mend)
  DatabaseSync.prototype.exec = function (sql) {
    if (sql === 'commit') throw Object.assign(new Error('database or disk is full'), { errcode: 13 })
    exec.call(this, sql)
  }
  const refused = await Promise.all(['full-1', 'full-2'].map(id => app.post(anEvent(id))))
  for (const answered of refused) t.match(answered, { status: 503, headers: { 'retry-after': '1' }, body: { error: { code: 'GW_STORE_FAILED' } } })
  t.equal((await app.ask('GET', '/readyz', { key: null })).status, 503)
  t.equal((await app.ask('GET', '/healthz', { key: null })).status, 200, 'it need not be killed')
  mend()
  t.match(await app.delivered(await app.post(anEvent('full-1'))), { outcome: 'delivered' })
  t.equal(await app.delivery('full-2'), undefined, 'what was refused is not there')
  t.equal((await app.ask('GET', '/readyz', { key: null })).status, 200)
})
