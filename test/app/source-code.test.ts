// What a source's folder may bring besides webhooks: tables, what is written beside events, jobs, words before a send, routes.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { anEvent, makeApp, ROOT, until, type App, type Body } from '../helpers/app.ts'
import { configWith, hooked, writeSource } from '../sources/hook.ts'

/** Counts alerts of each shop, holds up those it was told of, and makes events of its own. */
const TALLY = `
import { defineSource } from '${ROOT}/gateway/define.ts'
const SCHEMA = { body: { type: 'object' } }
export default defineSource({
  id: 'tally',
  events: ['preorder.confirmed'],
  statements: d => ({
    tally_add: \`insert into tally_alerts (event_key, shop_key, name, stopped) select :event_key, :shop_key, :name, cast(:stopped as bigint) where exists (select 1 from events where event_key = :event_key)\`,
    tally_list: 'select name, stopped from tally_alerts where shop_key = :shop_key order by event_key',
    tally_mark: \`update tally_alerts set stopped = \${d.flag('stopped = 0')} where name = :name\`
  }),
  consumes: {
    'back_in_stock.alert': ({ key, shop, data }, context) => [
      { name: 'tally_add', params: { event_key: key, shop_key: shop.key, name: data.customer.name, stopped: data.customer.name === 'Stopped' ? 1 : 0 } },
      context.job('tally_count', 'shop ' + shop.key, context.now())
    ]
  },
  jobs: { tally_count: async ({ uniqueKey, cursor }, context) => {
    context.warn({ uniqueKey, rows: (await context.read('tally_list', { shop_key: Number(uniqueKey.split(' ')[1]) })).length }, 'tally counted')
    return null
  } },
  checks: { 'back_in_stock.alert': async ({ shop, data }, context) => {
    const rows = await context.read('tally_list', { shop_key: shop.key })
    return rows.some(row => row.name === data.customer.name && row.stopped === 1) ? { is: 'reject', reason: 'not_subscribed' } : { is: 'go' }
  } },
  api (app, context) {
    app.get('/', { config: { scope: 'shops:read' } }, async request => ({ shop: context.shopOf(request).id, caller: context.callerOf(request), rows: await context.read('tally_list', { shop_key: context.shopOf(request).key }) }))
    app.post('/make', { config: { scope: 'shops:write' }, schema: SCHEMA }, async request => context.accept(request.body.events.map(event => ({ ...event, shop: context.shopOf(request).id, timeAt: context.now() })), [{ name: 'tally_mark', params: { name: 'Made' } }]))
    app.post('/withdraw', { config: { scope: 'shops:write' }, schema: SCHEMA }, async request => ({ ahead: await context.ahead(context.shopOf(request).key, 'preorder.confirmed'), withdrawn: await context.withdraw(context.shopOf(request).key, request.body.ids, 'expired'), ends: await context.read('message_ends', { shop_key: context.shopOf(request).key, source_ids: JSON.stringify(request.body.ids), ...request.body.more }) }))
    app.post('/steal', { config: { scope: 'shops:write' }, schema: SCHEMA }, async () => context.read('shop', { id: 'x' }))
    app.get('/sealed', { config: { scope: 'shops:read' } }, async () => ({ same: context.open(context.seal('abc', 'here'), 'here'), other: context.open(context.seal('abc', 'here'), 'there') }))
  }
})
`
const TABLES = (number: string): string => `create table tally_alerts (event_key ${number} primary key, shop_key ${number} not null, name text not null, stopped ${number} not null);`

function tallyApp (t: Test): App {
  const app = makeApp(t, { config: configWith('  tally: { path: sources/tally }') })
  writeSource(app.dir, 'tally', TALLY)
  const folder = join(app.dir, 'sources/tally/migrations')
  mkdirSync(folder)
  writeFileSync(join(folder, '0001_start.sqlite.sql'), TABLES('integer'))
  writeFileSync(join(folder, '0001_start.postgres.sql'), TABLES('bigint'))
  return app
}

const named = (id: string, name: string): Body => {
  const event = anEvent(id)
  return { ...event, data: { ...event.data, customer: { ...(event.data as { customer: Body }).customer, name } } }
}
const tally = async (app: App): Promise<Body> => (await app.ask('GET', '/v1/shops/acme.example/tally')).body
const PREORDER = (JSON.parse(readFileSync(join(ROOT, 'schemas/events/preorder.confirmed.schema.json'), 'utf8')) as { examples: Body[] }).examples[0]
const preorder = (id: string): Body => ({ id, type: 'preorder.confirmed', data: PREORDER })

t.test('a source writes beside an event in its unit, once however often it comes, and its job runs', async t => {
  const app = tallyApp(t)
  await app.start()
  await app.post(named('a-1', 'Ann'))
  await app.post(named('a-1', 'Ann'))
  await app.post([named('a-2', 'Ben'), named('a-1', 'Ann')] as never)
  t.strictSame((await tally(app)).rows, [{ name: 'Ann', stopped: 0 }, { name: 'Ben', stopped: 0 }])
  await app.logged(entry => entry.msg === 'tally counted' && entry.rows === 2)
  await app.restart()
  t.equal(((await tally(app)).rows as Body[]).length, 2, 'its tables stay')
})

t.test('a source is asked before a send, and may refuse it', async t => {
  const app = tallyApp(t)
  await app.start()
  await app.post(named('stop-1', 'Stopped'))
  await until(async () => (await app.delivery('stop-1')).state === 'rejected')
  const gone = await app.post(named('go-1', 'Ann'))
  await app.delivered(gone)
  t.equal((await app.received('courier')).length, 1)
})

t.test('its routes are below the shop: for callers who may use it, and shops that exist', async t => {
  const app = tallyApp(t)
  await app.start()
  t.match(await tally(app), { shop: 'acme.example', caller: 'all', rows: [] })
  t.equal((await app.ask('GET', '/v1/shops/acme.example/tally', { key: null })).status, 401)
  t.equal((await app.ask('GET', '/v1/shops/acme.example/tally', { key: 'globex' })).status, 404)
  t.equal((await app.ask('GET', '/v1/shops/nobody.example/tally')).status, 404)
  t.equal((await app.ask('POST', '/v1/shops/acme.example/tally/steal', { body: {} })).status, 500, 'what is the core\'s it does not run')
  t.strictSame((await app.ask('GET', '/v1/shops/acme.example/tally/sealed')).body, { same: 'abc', other: null })
})

t.test('events that it makes enter all together with its steps, or none of both', async t => {
  const app = tallyApp(t)
  await app.start()
  await app.post(named('m-1', 'Made'))
  const make = async (events: Body[]): Promise<Body> => (await app.ask('POST', '/v1/shops/acme.example/tally/make', { body: { events } })).body
  t.match(await make([preorder('p-1'), { ...preorder('p-2'), data: {} }]), { is: 'refused', sourceId: 'p-2', code: 'GW_EVENT_INVALID' })
  t.match(await tally(app), { rows: [{ stopped: 0 }] })
  t.match(await make([preorder('p-1'), preorder('p-2')]), { is: 'accepted', events: [{ sourceId: 'p-1', status: 'accepted' }, { sourceId: 'p-2', status: 'accepted' }] })
  t.match(await tally(app), { rows: [{ stopped: 1 }] })
  await until(async () => (await app.received('courier')).length === 3)
})

t.test('what it made and nobody works on it can withdraw; what was sent stays sent', async t => {
  const app = tallyApp(t)
  await app.start()
  await app.ask('POST', '/v1/shops/acme.example/tally/make', { body: { events: [preorder('w-1')] } })
  await until(async () => (await app.received('courier')).length === 1)
  await until(async () => ((await app.ask('GET', '/v1/deliveries')).body.items as Body[]).every(({ state }) => state === 'delivered'))
  t.match((await app.ask('POST', '/v1/shops/acme.example/tally/withdraw', { body: { ids: ['w-1', 'no-such'] } })).body, { withdrawn: 0, ahead: { provider: 'courier', held: null }, ends: [{ source_id: 'w-1', state: 3 }] })
  await app.post(anEvent('theirs'))
  const [row] = await app.query('select source from events where source_id = \'theirs\'')
  t.strictSame((await app.ask('POST', '/v1/shops/acme.example/tally/withdraw', { body: { ids: ['theirs'], more: { source: String(row?.source) } } })).body.ends, [], 'of events that others made it reads nothing')
})

t.test('a kind of job whose source is gone waits until it is there again', async t => {
  const app = tallyApp(t)
  await app.start()
  app.write(configWith('  hook: { path: sources/hook, secrets: { token: { env: KEY_ALL } } }'))
  writeSource(app.dir, 'hook')
  t.equal(await app.reload(), true)
  t.equal((await app.ask('GET', '/v1/shops/acme.example/tally')).status, 404)
  t.equal((await hooked(app, {}, { token: 'no' })).status, 401)
})
