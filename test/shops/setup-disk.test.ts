// R7 at a set-up: the disk fills up before a step and during one. The same for deliveries is in test/app/overload.test.ts and test/e2e/disk.test.ts.

import t from 'tap'
import { canMount } from '../campaign/disk.ts'
import { movable, until, type App } from '../helpers/app.ts'
import { act, flowsFor, itemOf, KEY, KEY_OTHER, pathOf, SHOP, shown, startSetupApp, stateOf, world } from '../helpers/setup.ts'
import { smallDisk } from '../helpers/small-disk.ts'

const MIB = 1024 * 1024
const ALERT = 'back_in_stock.alert'
const PLENTY = 1024 * MIB

const connect = (app: App, key: string) => act(app, 'key/connect', { secrets: { api_key: key } })
const kept = async (app: App) => JSON.stringify(await Promise.all(['setup', 'setup_secrets', 'connections', 'audit'].map(table => app.query(`select * from ${table}`))))
const isReady = (app: App, is: boolean) => until(async () => ((await app.ask('GET', '/readyz', { key: null })).status === 200) === is)

t.test('R7: a disk that is nearly full refuses what a merchant does with GW_DISK_FULL, before anything of it is kept or asked; starting over is possible, and all else when there is room', async t => {
  let free = PLENTY
  const app = await startSetupApp(t, { freeBytes: async () => free })
  await connect(app, KEY)
  await until(async () => (await app.query('select 1 as there from jobs where kind = \'setup\'')).length === 0)
  free = 50 * MIB
  await isReady(app, false)
  const [before, asked] = [await kept(app), (await app.received('beacon')).length]
  for (const [what, body] of [['key/connect', { secrets: { api_key: KEY_OTHER } }], ['key/check', {}], ['list/refresh', {}], ['list/select', { value: 'l1' }], ['method/choose', { subject: 'preorder', value: 'trusted' }], ['test/send', { subject: ALERT, phone: '+12015550123' }]] as const) {
    t.match(await act(app, what, body), { status: 503, headers: { 'retry-after': '30' }, body: { error: { code: 'GW_DISK_FULL', fix: /Make room on the disk/ } } }, what)
  }
  t.equal((await app.received('beacon')).length, asked)
  t.equal(await kept(app), before)
  t.match(await app.ask('POST', `${pathOf()}/reset`, { body: {} }), { status: 200 })
  free = PLENTY
  await isReady(app, true)
  t.match((await connect(app, KEY_OTHER)).body, { account_name: 'Shop two' })
})

t.test('R7: a step that is under way when the disk gets nearly full asks nothing more, and goes on by itself', async t => {
  let free = PLENTY
  const clock = movable()
  const app = await startSetupApp(t, { freeBytes: async () => free, runtime: clock.runtime })
  await app.fault('beacon', { kind: 'status', status: 429, headers: { 'retry-after': '3' }, times: 1, match: { path: '/me' } })
  const connecting = connect(app, KEY)
  await until(async () => (await app.query('select 1 as again from jobs where kind = \'setup\' and cursor = \'1\'')).length === 1)
  free = 20 * MIB
  await isReady(app, false)
  const putOff = async () => (await app.query('select due_at from jobs where kind = \'setup\' and cursor = \'1\' and owner is null'))[0]?.due_at
  const first = await putOff()
  clock.advance(5000)
  await until(async () => { const now = await putOff(); return now !== undefined && now !== null && now !== first })
  t.strictSame(await app.received('beacon'), [], 'the limit alone was met, and that before')
  t.equal(await stateOf(app, 'key'), 'running')
  free = PLENTY
  await isReady(app, true)
  clock.advance(5000)
  t.match((await connecting).body, { connected: true, account_name: 'Shop one' })
})

t.test('R7: not a byte is left: each step is there whole or not at all, says so with 503, and can be taken again when there is room', { skip: canMount ? false : 'only root can mount a small disk' }, async t => {
  const disk = smallDisk(t)
  const clock = movable()
  const app = await startSetupApp(t, { dir: disk.dir, freeBytes: async () => PLENTY, runtime: clock.runtime })
  await connect(app, KEY)
  await until(async () => (itemOf(await shown(app), 'list')['options'] as object[]).length === 2)
  await world(app, { flows: flowsFor() })
  await act(app, 'method/choose', { subject: 'preorder', value: 'checked' })
  await act(app, 'list/select', { value: 'l2' })
  await until(async () => (await app.query('select 1 as there from jobs where kind = \'setup\'')).length === 0)
  disk.fill()
  const chosen = async () => {
    const { body: { connection } } = await app.ask('GET', `/v1/shops/${SHOP}/providers/beacon`)
    return [itemOf(await shown(app), 'list')['selected'], (connection as { settings: { list_id: string } }).settings.list_id, JSON.parse(String((await app.query('select given from setup where step = \'list\''))[0]?.given)).value]
  }
  let last = 'l2'
  for (let n = 0; ; n++) {
    const value = n % 2 === 0 ? 'l1' : 'l2'
    const { status, body } = await act(app, 'list/select', { value })
    if (status === 200) last = value
    else t.match({ status, body }, { status: 503, body: { error: { code: 'GW_STORE_FAILED', message: /full/, fix: /nothing of it was kept/ } } })
    t.strictSame(await chosen(), [last, last, last])
    if (status !== 200) break
  }
  const before = await kept(app)
  for (const [what, body] of [['key/connect', { secrets: { api_key: KEY_OTHER } }], ['method/choose', { subject: 'back_in_stock', value: 'trusted' }], ['flow/verify', { subject: 'preorder.confirmed', input: { flow_name: 'Flow preorder.confirmed' } }], ['reset', {}]] as const) {
    t.match(await act(app, what, body), { status: 503, body: { error: { code: 'GW_STORE_FAILED' } } }, what)
  }
  t.equal(await kept(app), before)
  t.strictSame(await app.query('select * from jobs where kind = \'setup\''), [])
  disk.clear()
  t.match(await act(app, 'flow/verify', { subject: 'preorder.confirmed', input: { flow_name: 'Flow preorder.confirmed' } }), { status: 200 })

  await app.fault('beacon', { kind: 'delay', delay_ms: 1000, match: { path: '/me' }, times: 1 })
  const connecting = connect(app, KEY_OTHER)
  await until(async () => (await app.query('select 1 as asked from calls where outcome is null and request_head = \'GET /me\'')).length === 1)
  disk.fill()
  await app.logged(({ msg, level }) => msg === 'a job failed; it is tried again' && level === 50)
  t.match(await shown(app), { account_name: 'Shop one' }, 'what works goes on until then')
  disk.clear()
  await until(async () => (await app.query('select 1 as again from jobs where kind = \'setup\' and owner is null')).length === 1)
  clock.advance(30_000)
  t.match((await connecting).body, { account_name: 'Shop two' })
  t.strictSame(await app.query('select * from setup_secrets'), [])
})
